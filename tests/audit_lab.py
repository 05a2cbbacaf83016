"""What tests do with an audit chain: seal, ask the command, and check an export as a stranger would."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from consumers.audit_key import anchor_file, note_anchor
from streams.cli import app
from tests.store_lab import DATASET, SYSTEM, Lab

SCRIPT = Path(__file__).parents[1] / "deploy/verify_audit.py"


def seal(lab: Lab, key_file: Path) -> None:
    made = lab.store.seal(lab.key)
    assert made is not None
    note_anchor(anchor_file(key_file, lab.url), made.anchor)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def export(lab: Lab, record: str, into: Path) -> None:
    found = run("export", SYSTEM, record, "--dataset", DATASET, "--into", str(into))
    assert found.exit_code == 0, (found.output, found.exception)


def script(*words: Path) -> subprocess.CompletedProcess[str]:
    """As a stranger runs it: nothing of ours can be imported."""
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False
    )
