"""``lienthong audit verify`` on SQLite: tampering with lines, seals and deeds is found and placed."""

import json
import re
from pathlib import Path

import pytest

from consumers.audit_key import AuditKey, public_file
from consumers.audit_lines import LINE
from tests.audit_lab import run
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, upsert


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


def test_an_end_that_was_cut_off_is_found_by_the_anchor_only(
    lab: Lab, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchor = str(lab.store.last_seal().anchor)  # type: ignore[union-attr] # there are three
    lab.execute(
        "DELETE FROM lienthong_audit_block WHERE seal > 1",
        "DELETE FROM lienthong_audit_seal WHERE number > 1",
        "DELETE FROM lienthong_audit",
    )
    public = str(public_file(key_file))
    for words in ([], ["--public-key", public]):
        found = run("verify", *words)
        assert found.exit_code == 1, "the anchor beside the key"
        assert "the chain ends at seal 1, and the anchor remembers seal 3" in found.stdout
        assert "no anchor was compared" not in found.stderr
    monkeypatch.setenv("LIENTHONG_AUDIT_KEY", str(tmp_path / "elsewhere" / "audit.key"))
    found = run("verify", "--public-key", public)
    assert found.exit_code == 0
    assert "no anchor was compared: a cut-off end would go unseen" in found.stderr
    found = run("verify", "--public-key", public, "--anchor", anchor)
    assert found.exit_code == 1
    assert "the chain ends at seal 1, and the anchor remembers seal 3" in found.stdout
    assert "no anchor was compared" not in found.stderr


def test_a_store_that_is_written_otherwise_has_no_anchor_and_that_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no anchor was compared" not in run("verify").stderr
    monkeypatch.setenv("LIENTHONG_STORE", lab.url.replace("national.db", "./national.db"))
    found = run("verify")
    assert found.exit_code == 0
    assert "write LIENTHONG_STORE as the worker of this store has it" in found.stderr


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_anchor_of_another_digest_is_found_whoever_else_remembers_the_seal(
    lab: Lab, key_file: Path, number: int
) -> None:
    wrong = f"{number}:{'0' * 64}"
    right = next(str(one.anchor) for one in lab.store.seals() if one.number == number)
    public = ["--public-key", str(public_file(key_file))]
    assert run("verify", "--anchor", right, "--anchor", right).exit_code == 0
    for words in (
        ["--anchor", wrong],  # and seal 3 is remembered beside the key
        [*public, "--anchor", wrong, "--anchor", right],
        [*public, "--anchor", right, "--anchor", wrong],
    ):
        found = run("verify", *words)
        assert found.exit_code == 1, words
        assert f"seal {number}\tis another one than the anchor remembers" in found.stdout


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


def test_a_store_that_is_none_cannot_be_judged(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_STORE", "kho quốc gia")
    error = run("verify").exception
    assert (getattr(error, "exit_code", None), str(error)) == (2, "LIENTHONG_STORE is not an SQLAlchemy URL")


def test_a_key_folder_that_is_closed_to_this_user_is_told(
    lab: Lab, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", closed)  # root, who may run the tests, is shut out of nothing
    error = run("verify").exception
    assert getattr(error, "exit_code", None) == 2
    assert "audit.key.pub: Permission denied" in str(error)
