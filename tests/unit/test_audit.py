"""The audit chain on SQLite: what verify finds, and what the script for strangers thinks of an export."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consumers import health
from consumers.audit_key import (
    AuditKey,
    anchor_file,
    load_key,
    load_keys,
    make_key,
    note_anchor,
    obtain_key,
    public_file,
)
from consumers.audit_lines import LINE
from consumers.audit_tree import leaf, path, root
from consumers.opening import open_store
from schemas.errors import SettingsError
from schemas.library import load_library
from streams.cli import app
from tests.laws.moved import left
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, delete, numbered, upsert
from tests.unit.provinces import write_format

SCRIPT = Path(__file__).parents[2] / "deploy/verify_audit.py"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys" / "audit.key"
    make_key(file)
    return file


@pytest.fixture
def lab(tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Three seals: twenty new records; an update and a delete; a thing a person did."""
    url, key = f"sqlite:///{tmp_path}/national.db", load_key(key_file)
    monkeypatch.setenv("LIENTHONG_STORE", url)
    monkeypatch.setenv("LIENTHONG_AUDIT_KEY", str(key_file))
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")
    store = open_store(url, audit_key=key)
    store.migrate([BOOK])
    made = Lab(store=store, url=url, shift_claims=lambda _: None, key=key)
    made.apply(*numbered(20))
    seal(made, key_file)
    made.apply(upsert(21, "K2", person="p2", hoTen="Thử"))
    made.apply(delete(22, "K3", person="p3"))
    seal(made, key_file)
    store.revealed(7, who="Bà Thử", why="kiểm tra")
    seal(made, key_file)
    yield made
    made.close()


def seal(lab: Lab, key_file: Path) -> None:
    made = lab.store.seal(lab.key)
    assert made is not None
    note_anchor(anchor_file(key_file, lab.url), made.anchor)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


def test_a_sound_chain_is_told_with_an_anchor(lab: Lab) -> None:
    found = run("verify")
    assert found.exit_code == 0, found.output
    assert f"sound: 23 lines, 3 seals; key {lab.key.id}" in found.stdout
    anchor = re.search(r"--anchor (3:[0-9a-f]{64})", found.stderr)
    assert anchor
    assert run("verify", "--anchor", anchor[1]).exit_code == 0


def test_what_is_not_sealed_yet_is_told_and_no_flaw(lab: Lab) -> None:
    lab.apply(upsert(23, "K9", person="p9"))
    found = run("verify")
    assert found.exit_code == 0
    assert "1 lines are not sealed yet" in found.stderr


FIRST = "lienthong_audit_block SET lines = {} WHERE id = (SELECT min(id) FROM lienthong_audit_block)"
OTHER_LINES = {
    "altered": f"substr(lines, 1, {9 * LINE.size}) || x'7f' || substr(lines, {9 * LINE.size + 2})",
    "removed": f"substr(lines, 1, {9 * LINE.size}) || substr(lines, {10 * LINE.size + 1})",
    "put elsewhere": f"substr(lines, 1, {8 * LINE.size}) || substr(lines, {9 * LINE.size + 1}, {LINE.size})"
    f" || substr(lines, {8 * LINE.size + 1}, {LINE.size}) || substr(lines, {10 * LINE.size + 1})",
    "added": f"lines || substr(lines, 1, {LINE.size})",
}


@pytest.mark.parametrize("how", OTHER_LINES)
def test_lines_that_were_tampered_with_are_found_and_placed(lab: Lab, how: str) -> None:
    lab.execute(f"UPDATE {FIRST.format(f'CAST({OTHER_LINES[how]} AS blob)')}")
    found = run("verify", "--json")
    assert found.exit_code == 1
    flaws = json.loads(found.stdout)["flaws"]
    assert {flaw["seal"] for flaw in flaws} == {1}
    (flaw,) = flaws
    assert flaw["what"] == {"put elsewhere": "altered"}.get(how, how)
    if flaw["what"] == "altered":
        assert "one of lines 1 to 16" in flaw["text"]
        assert f"{SYSTEM}/{DATASET} -> {BOOK.full_id}" in flaw["text"]


def test_each_language_is_told_whole(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = f"CAST({OTHER_LINES['altered']} AS blob)"
    lab.execute(f"UPDATE {FIRST.format(altered)}")
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "vi")
    (line,) = run("verify").stdout.splitlines()
    assert "một trong các dòng 1 đến 16 (số thứ tự nay là 1, 2" in line
    assert not re.search(r"\b(line|lines|block|the|or|was|were|of)\b", line)
    (flaw,) = json.loads(run("verify", "--json").stdout)["flaws"]
    assert flaw["text_vi"] in line
    assert "was altered or moved" in flaw["text"]


@pytest.mark.parametrize(
    ("statement", "what", "seals"),
    [
        ("DELETE FROM lienthong_audit_block WHERE seal = 2 AND id = 2", "removed", {2}),
        ("UPDATE lienthong_audit_block SET contract = 'khac' WHERE id = 3", "altered", {2}),
        ("UPDATE lienthong_audit_block SET seal = 1 WHERE id = 2", "added", {1, 2}),
        ("UPDATE lienthong_audit_block SET id = 9 - id WHERE seal = 2", "removed", {2}),
        ("DELETE FROM lienthong_audit_seal WHERE number = 2", "removed", {2}),
        ("DELETE FROM lienthong_audit_seal WHERE number = 3", "truncated", {3, None}),
        ("UPDATE lienthong_audit_seal SET leaves = zeroblob(32) WHERE number = 2", "altered", {2}),
        ("UPDATE lienthong_audit_seal SET signature = zeroblob(64) WHERE number = 2", "forged", {2}),
        ("UPDATE lienthong_audit_seal SET statement = '{}' WHERE number = 2", "forged", {2, 3}),
        ("UPDATE lienthong_audit SET who = 'Ông Khác'", "deed", {None}),
        ("DELETE FROM lienthong_audit", "deed", {None}),
    ],
)  # fmt: skip
def test_other_tampering_is_found(lab: Lab, statement: str, what: str, seals: set[int | None]) -> None:
    lab.execute(statement)
    found = run("verify", "--json")
    assert found.exit_code == 1
    flaws = json.loads(found.stdout)["flaws"]
    assert what in {flaw["what"] for flaw in flaws}
    assert {flaw["seal"] for flaw in flaws} == seals
    assert run("verify").exit_code == 1


def test_an_end_that_was_cut_off_is_found_by_the_anchor_only(lab: Lab, key_file: Path) -> None:
    anchor = str(lab.store.last_seal().anchor)  # type: ignore[union-attr] # there are three
    lab.execute(
        "DELETE FROM lienthong_audit_block WHERE seal > 1",
        "DELETE FROM lienthong_audit_seal WHERE number > 1",
        "DELETE FROM lienthong_audit",
    )
    public = str(public_file(key_file))
    assert run("verify", "--public-key", public).exit_code == 0
    found = run("verify", "--public-key", public, "--anchor", anchor)
    assert found.exit_code == 1
    assert "the chain ends at seal 1, and the anchor remembers seal 3" in found.stdout
    assert run("verify").exit_code == 1, "the anchor beside the key"


def test_a_whole_chain_sealed_anew_by_another_key_is_forged(lab: Lab) -> None:
    lab.execute("DELETE FROM lienthong_audit_seal", "UPDATE lienthong_audit_block SET seal = NULL")
    assert lab.store.seal(AuditKey.generate())
    found = run("verify", "--json")
    assert found.exit_code == 1
    assert {flaw["what"] for flaw in json.loads(found.stdout)["flaws"]} == {"forged", "truncated"}


def test_without_a_key_nothing_can_be_judged(lab: Lab, tmp_path: Path) -> None:
    assert run("verify", "--public-key", str(tmp_path / "none.pub")).exit_code == 1  # CliRunner: any error
    error = run("verify", "--anchor", "3:zz").exception
    assert getattr(error, "exit_code", None) == 2


# --- the doctor --------------------------------------------------------------------------------------


def test_the_doctor_tells_lines_that_nobody_seals_and_why(lab: Lab, key_file: Path) -> None:
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.detail) == (
        True,
        f"0 lines of the audit chain not sealed yet, the oldest for 0 s; key {lab.key.id}",
    )
    lab.apply(upsert(23, "K9", person="p9"))
    assert health.audit_sealed(lab.url, key_file).ok, "a worker has a minute"
    lab.execute("UPDATE lienthong_audit_block SET at = '2020-01-01T00:00:00.000000+00:00' WHERE seal IS NULL")
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.detail.partition(",")[0]) == (False, "1 line of the audit chain not sealed yet")
    assert "lienthong road run" in found.next_step
    key_file.chmod(0o644)
    found = health.audit_sealed(lab.url, key_file)
    assert (found.ok, found.next_step) == (False, f"chmod 600 {key_file}")
    key_file.unlink()
    found = health.audit_sealed(lab.url, key_file)
    assert not found.ok
    assert f"there is no {key_file}" in found.detail


def test_the_doctor_tells_a_key_that_did_not_seal_until_now(lab: Lab, tmp_path: Path) -> None:
    make_key(tmp_path / "other.key")
    found = health.audit_sealed(lab.url, tmp_path / "other.key")
    assert not found.ok
    assert lab.key.id in found.detail
    assert "the same LIENTHONG_AUDIT_KEY" in found.next_step
    found = health.audit_sealed(lab.url, tmp_path / "none.key")
    assert found.ok, "the key lies on another machine"
    assert f"key {lab.key.id}, not here" in found.detail


# --- one record --------------------------------------------------------------------------------------


def export(lab: Lab, record: str, into: Path) -> None:
    found = run("export", SYSTEM, record, "--dataset", DATASET, "--into", str(into))
    assert found.exit_code == 0, (found.output, found.exception)


def script(*words: Path) -> subprocess.CompletedProcess[str]:
    """As a stranger runs it: nothing of ours can be imported."""
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, words)], capture_output=True, text=True, check=False
    )


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


# --- a key takes over --------------------------------------------------------------------------------


@pytest.mark.usefixtures("other_tables")
def test_a_key_takes_over_and_what_both_wrote_is_verified(lab: Lab, key_file: Path, tmp_path: Path) -> None:
    old = lab.key
    file = tmp_path / "p2.audit"
    export(lab, "p2", file)
    made = run("keygen", "--renew")
    assert made.exit_code == 0, made.output
    kept = key_file.with_name(f"audit.key.{old.id}")
    assert str(kept) in made.stderr
    new = load_key(key_file)
    assert new.id in made.stdout
    assert ([key.id for key in load_keys(key_file)], kept.stat().st_mode & 0o777) == ([new.id, old.id], 0o600)
    with closing(open_store(lab.url, audit_key=new)) as store:
        mine = replace(lab, store=store, key=new)
        mine.apply(upsert(30, "K2", person="p2", hoTen="Mới"), upsert(31, "K30", person="p30"))
        mine.apply(delete(32, "K5", person="p5"))
        seal(mine, key_file)
    found = run("verify", "--rows", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["keys"], told["rows"]) == (sorted([old.id, new.id]), 19)
    assert health.audit_sealed(lab.url, key_file).ok
    assert "forged" in run("verify", "--public-key", str(public_file(key_file))).stdout
    both = (public_file(kept), public_file(key_file))
    assert script(*both, file).returncode == 0, "an export of before"
    export(lab, "p2", file)
    shown = script(*both, file)
    assert shown.returncode == 0, shown.stdout
    assert [line.split("  ")[2] for line in shown.stdout.splitlines()[:-1]] == ["2", "21", "30"]
    assert script(public_file(key_file), file).returncode == 1
    for row in ("K2", "K4"):
        lab.execute(f"UPDATE {BOOK.table} SET hoten = 'Khác' WHERE lt_key = '{row}'")
    found = run("verify", "--rows")
    assert [line.split("number ")[1].split()[0] for line in found.stdout.splitlines()] == ["30", "4"]


# --- trees and keys ----------------------------------------------------------------------------------


def test_the_tree_is_that_of_rfc_6962() -> None:
    """The example of its section 2.1.3: seven leaves, the paths of the first, fourth, fifth and last."""
    a, b, c, d, e, f, j = (leaf(bytes([number])) for number in range(7))
    g, h, i = root([a, b]), root([c, d]), root([e, f])
    k, m = root([g, h]), root([i, j])
    leaves = [a, b, c, d, e, f, j]
    assert root(leaves) == root([k, m])
    assert path(leaves, 0) == [b, h, m]
    assert path(leaves, 3) == [c, g, m]
    assert path(leaves, 4) == [f, j, k]
    assert path(leaves, 6) == [i, k]


def test_marks_are_equal_one_by_one_and_together_and_differ_by_source_and_length() -> None:
    key = AuditKey.generate()
    records = [b"", b"1", b"2", b"x" * 15, b"x" * 16, b"x" * 17, b"x" * 33, "hồ sơ".encode() * 9]
    together = key.marks("a", "b", records)
    one_by_one = [key.marks("a", "b", [record]) for record in records]
    assert together.handles == b"".join(one.handles for one in one_by_one)
    assert together.salts == b"".join(one.salts for one in one_by_one)
    others = [key.marks("a", "c", records), AuditKey.generate().marks("a", "b", records)]
    texts = [text for marks in (together, *others) for text in (marks.handles, marks.salts)]
    pieces = [text[at : at + 16] for text in texts for at in range(0, len(text), 16)]
    assert len(set(pieces)) == len(pieces)


def test_a_key_file_is_its_owners_only_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "audit.key"
    key, is_new = obtain_key(file)
    assert (is_new, file.stat().st_mode & 0o777) == (True, 0o600)
    again, is_new = obtain_key(file)
    assert (is_new, again.id) == (False, key.id)
    assert again.marks("s", "d", [b"1"]) == key.marks("s", "d", [b"1"])
    with pytest.raises(SettingsError, match="is there already"):
        make_key(file)
    assert sorted(one.name for one in file.parent.iterdir()) == ["audit.key", "audit.key.pub"]
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="can be read by others"):
        load_key(file)


# --- rows --------------------------------------------------------------------------------------------


@pytest.fixture
def province(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that knows the format of the lab."""
    folder = tmp_path / "library"
    write_format(folder, "thu.nghiem.v1", "so", "hoTen", "ghiChu")
    monkeypatch.setenv("LIENTHONG_CONTRACTS", str(folder))


@pytest.fixture
def other_tables(lab: Lab, province: None) -> None:
    folder = Path(os.environ["LIENTHONG_CONTRACTS"])
    lab.store.migrate(list(load_library([folder]).formats.values()))


@pytest.mark.usefixtures("other_tables")
def test_rows_fit_their_lines(lab: Lab) -> None:
    lab.apply(
        upsert(30, "K30", person="p30", hoTen='Lê "Thử",\nNghiệm', ghiChu=""), upsert(31, "NEW", person="p9")
    )
    lab.apply(delete(31, "K9", person="p9", answers=False))
    found = run("verify", "--rows", "--json")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["rows"], told["older_rows"]) == (20, 0)


@pytest.mark.usefixtures("other_tables")
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE {table} SET hoten = 'Khác' WHERE lt_key = 'K2'",
            "number 21 in thu.nghiem.v1 is not as its",
        ),
        (
            "UPDATE {table} SET lt_seq = 99 WHERE lt_key = 'K4'",
            "number 99 in thu.nghiem.v1 is not as its line",
        ),
        (
            "UPDATE {table} SET lt_deleted_at = NULL WHERE lt_key = 'K3'",
            "number 22 in thu.nghiem.v1 is not as",
        ),
        ("DELETE FROM {table} WHERE lt_key = 'K5'", "number 5 in thu.nghiem.v1 is gone"),
    ],
)
def test_a_row_altered_behind_the_road_is_found(lab: Lab, statement: str, told: str) -> None:
    lab.execute(statement.format(table=BOOK.table))
    assert run("verify").exit_code == 0
    found = run("verify", "--rows")
    assert found.exit_code == 1
    assert told in found.stdout


@pytest.mark.usefixtures("other_tables")
def test_a_row_that_was_buried_and_dug_up_is_found(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.store.note_left([left("K4", person="p4")])
    lab.apply(upsert(40, "K40", person="p4"))
    assert run("verify", "--rows").exit_code == 0
    lab.execute(f"UPDATE {BOOK.table} SET lt_deleted_at = NULL WHERE lt_key = 'K4'")
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "vi")
    found = run("verify", "--rows")
    assert found.exit_code == 1
    assert "số 4 trong thu.nghiem.v1 không như dòng nhật ký đã ghi" in found.stdout


@pytest.mark.usefixtures("other_tables")
def test_rows_from_before_the_chain_are_counted_apart(lab: Lab) -> None:
    lab.execute(
        f"INSERT INTO {BOOK.table} (lt_key, lt_system, lt_dataset, lt_source_key, lt_seq, lt_applied_at)"
        f" VALUES ('OLD', '{SYSTEM}', '{DATASET}', 'old', 1, '2020-01-01T00:00:00.000000+00:00')"
    )
    found = run("verify", "--rows")
    assert found.exit_code == 0, found.output
    assert "20 rows in force were compared; 1 are older than the chain" in found.stderr
