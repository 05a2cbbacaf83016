"""One record's history, as ``lienthong audit export`` writes it and the script for strangers judges it."""

import json
from pathlib import Path

from consumers.audit_key import make_key, public_file
from tests.audit_lab import export, run, script
from tests.store_lab import DATASET, SYSTEM, Lab


def test_a_stranger_can_check_one_records_history(lab: Lab, key_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "p2.audit"
    export(lab, "p2", file)
    found = script(public_file(key_file), file)
    assert found.returncode == 0, found.stdout + found.stderr
    assert [line.split("  ")[2] for line in found.stdout.splitlines()[:-1]] == ["2", "21"]
    assert found.stdout.splitlines()[-1] == f"OK: 2 changes of a record of {SYSTEM}/{DATASET}"
    other = tmp_path / "other.key"
    make_key(other)
    assert script(public_file(other), file).returncode == 1
    assert script(tmp_path / "none", file).returncode == 2


def test_an_export_with_one_other_byte_is_wrong(lab: Lab, key_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "p3.audit"
    export(lab, "p3", file)
    whole = file.read_bytes()
    places = [whole.index(mark) + 12 for mark in (b'"key"', b'"page"', b'"path"', b'"statement"', b'"salt"')]
    for place in (*places, 0, len(whole) - 2, len(whole) // 2):
        changed = bytearray(whole)
        changed[place] ^= 1
        file.write_bytes(changed)
        assert script(public_file(key_file), file).returncode == 1, place


def test_an_export_that_its_signer_made_up_is_wrong(lab: Lab, key_file: Path, tmp_path: Path) -> None:
    """Who has the key can sign a file, and still not put a line into a tree that was sealed before."""
    file = tmp_path / "p2.audit"
    export(lab, "p2", file)
    told = json.loads(file.read_text().splitlines()[0])

    def left_out(told: dict[str, object]) -> None:
        del told["changes"][0]  # type: ignore[attr-defined]
        told["changes"].append({**told["changes"][0]})  # type: ignore[attr-defined,index]

    def another_line(told: dict[str, object]) -> None:
        told["changes"][0]["line"] = 3  # type: ignore[index]

    def another_hash(told: dict[str, object]) -> None:
        change = told["changes"][1]  # type: ignore[index]
        page = bytearray.fromhex(change["page"])
        page[-1] ^= 1
        change["page"], change["after"] = page.hex(), page[-32:].hex()

    for alter in (left_out, another_line, another_hash):
        copy = json.loads(json.dumps(told))
        alter(copy)
        text = json.dumps(copy)
        file.write_text(f"{text}\n{lab.key.sign(text.encode()).hex()}\n")
        assert script(public_file(key_file), file).returncode == 1, alter.__name__


def test_an_unknown_record_has_no_history(lab: Lab) -> None:
    found = run("export", SYSTEM, "nobody", "--dataset", DATASET)
    assert found.exit_code == 1
    assert "no sealed line" in str(found.exception)
    assert "nobody" not in str(found.exception)


def test_an_export_that_cannot_be_written_is_told(lab: Lab, tmp_path: Path) -> None:
    error = run("export", SYSTEM, "p2", "--dataset", DATASET, "--into", str(tmp_path)).exception
    assert getattr(error, "exit_code", None) == 2
    assert str(error) == f"{tmp_path}: Is a directory"
