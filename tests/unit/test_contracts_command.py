"""``lienthong contracts register``: ids for what has none, the same ids when run again."""

import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from schemas.commands import contracts
from schemas.library import SHIPPED, load_library


def test_a_province_registers_its_own_contract_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "contracts" / "other" / "births.yaml"
    path.parent.mkdir(parents=True)
    shutil.copy(SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml", path)
    shipped = (SHIPPED / "registry" / "ids.csv").read_bytes()
    monkeypatch.setenv("LIENTHONG_CONTRACTS", str(tmp_path))
    app = typer.Typer()
    app.add_typer(contracts, name="contracts")
    for _ in range(2):
        result = CliRunner().invoke(app, ["contracts", "register"])
        assert result.exit_code == 0, result.output
        given = dict(line.split("\t")[::-1] for line in result.stdout.splitlines())
        assert given["province.other.births-value"] == "10000"
        assert given["province.hotich_qnam.khaisinh-value"] == "4"
    assert (SHIPPED / "registry" / "ids.csv").read_bytes() == shipped
    registered = load_library([tmp_path]).registry.current("province.other.births-value")
    assert registered.schema["namespace"] == "province.other.births"
