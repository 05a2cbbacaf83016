"""A province's folder made for a test, and the gates run on it as people run them."""

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.library import SHIPPED
from streams.cli import app


def _of_one_layout() -> Path:
    """A copy of the shipped library as it was when births fed the 60-column layout only.

    It has a contract of each direction only: a check runs the examples of all that are there.
    """
    folder = Path(tempfile.mkdtemp(prefix="lienthong-gates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for kind in ("codes", "contracts", "formats", "registry"):
        shutil.copytree(SHIPPED / kind, folder / kind)
    for path in (folder / "contracts").glob("*/*.yaml"):
        if not path.name.startswith(("khaisinh.", "nguoidan.")):
            path.unlink()
    (folder / "formats/hotich/khaisinh/v2.avsc").unlink()
    lines = (folder / "registry/ids.csv").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if ",national.hotich.khaisinh.v2-value," in line):
        (folder / f"registry/{line.split(',')[0]}.avsc").unlink()
    for name, beside in {
        "contracts/hotich_qnam/khaisinh.yaml": r"\n  # The 70-column .*",
        "contracts/hotich_qnam/khaisinh.examples.yaml": (
            r"also:\n.*?(?=examples:\n)"
            r"|  - name: [^\n]*\n    format: hotich.khaisinh.v2\n.*?(?=  - name: |  # )"
        ),
        "registry/ids.csv": r"[0-9]+,national.hotich.khaisinh.v2-value,[0-9a-f]+\n",
    }.items():
        path = folder / name
        path.write_text(re.sub(beside, "", path.read_text(encoding="utf-8"), flags=re.S), encoding="utf-8")
    return folder


LIBRARY = _of_one_layout()
CONTRACT = (LIBRARY / "contracts/hotich_qnam/khaisinh.yaml").read_text(encoding="utf-8")
EXAMPLES = (LIBRARY / "contracts/hotich_qnam/khaisinh.examples.yaml").read_text(encoding="utf-8")
FORMAT = (LIBRARY / "formats/hotich/khaisinh/v1.avsc").read_text(encoding="utf-8")
#: The same contract as another system's; it says that no record is in both.
OTHER = CONTRACT.replace(
    "  hotich.khaisinh.v1:\n", "  hotich.khaisinh.v1:\n    beside: [hotich_qnam/khaisinh]\n"
)


def rule_of(field: str) -> str:
    """A rule of the contract that is written on one line, from ``{`` to ``}``."""
    found = re.search(rf"\n      {field}: (\{{.*\}})\n", CONTRACT)
    assert found
    return found[1]


def write(folder: Path, name: str, text: str) -> Path:
    """A file of a library folder, byte for byte."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def line_of(whole: str, part: str) -> int:
    """The line on which a part of a text begins."""
    return whole[: whole.index(part)].count("\n") + 1


@contextmanager
def shipping(folder: Path = LIBRARY) -> Iterator[None]:
    """As if this package shipped the library in this folder."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("schemas.library", "schemas.gates.checking"):
            patch.setattr(f"{module}.SHIPPED", folder)
        yield


def run(folder: Path, *words: str, shipped: Path = LIBRARY, **settings: str) -> Result:
    """``lienthong contracts …`` with the folder as the province's own, beside what is shipped."""
    with shipping(shipped):
        env = {"LIENTHONG_CONTRACTS": str(folder), **settings}
        return CliRunner().invoke(app, ["contracts", *words], env=env)


def findings(folder: Path, *words: str) -> Sequence[dict[str, Any]]:
    """What ``contracts check --json`` finds, without contracts that still want an id or examples."""
    result = run(folder, "check", "--json", *words)
    found = [one for one in json.loads(result.stdout) if one["severity"] != "warning"]
    assert result.exit_code == any(one["severity"] == "error" for one in found), result.output
    return found
