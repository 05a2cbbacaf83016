"""A province's folder made for a test, and the gates run on it as people run them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from schemas.library import SHIPPED
from streams.cli import app

CONTRACT = (SHIPPED / "contracts/hotich_qnam/khaisinh.yaml").read_text(encoding="utf-8")
EXAMPLES = (SHIPPED / "contracts/hotich_qnam/khaisinh.examples.yaml").read_text(encoding="utf-8")
FORMAT = (SHIPPED / "formats/hotich/khaisinh/v1.avsc").read_text(encoding="utf-8")
#: The same contract as another system's; it says that no record is in both.
OTHER = CONTRACT.replace(
    "  hotich.khaisinh.v1:\n", "  hotich.khaisinh.v1:\n    beside: [hotich_qnam/khaisinh]\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    """A file of a library folder, byte for byte."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def line_of(whole: str, part: str) -> int:
    """The line on which a part of a text begins."""
    return whole[: whole.index(part)].count("\n") + 1


def run(folder: Path, *words: str) -> Result:
    """``lienthong contracts …`` with the folder as the province's own."""
    return CliRunner().invoke(app, ["contracts", *words], env={"LIENTHONG_CONTRACTS": str(folder)})


def findings(folder: Path, *words: str) -> Sequence[dict[str, Any]]:
    """What ``contracts check --json`` finds, without contracts that still want an id or examples."""
    result = run(folder, "check", "--json", *words)
    found = [one for one in json.loads(result.stdout) if one["severity"] != "warning"]
    assert result.exit_code == any(one["severity"] == "error" for one in found), result.output
    return found
