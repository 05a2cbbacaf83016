"""Audit keys: their files, the marks and trees made with them, and a key that takes over from another."""

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from consumers import health
from consumers.audit_key import (
    Anchor,
    AuditKey,
    load_key,
    load_keys,
    make_key,
    note_anchor,
    noted_anchor,
    obtain_key,
    public_file,
)
from consumers.audit_tree import leaf, path, root
from consumers.opening import open_store
from schemas.errors import SettingsError
from tests.audit_lab import export, run, script, seal
from tests.store_lab import BOOK, Lab, delete, upsert


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


def test_two_containers_share_a_folder_though_both_are_process_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "audit.key.last"
    mine, others = (Anchor(number=number, digest="0" * 64) for number in (1, 2))
    put = Path.replace

    def replace(written: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", put)
        note_anchor(file, others)  # between the two steps of the first one
        return put(written, target)

    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(Path, "replace", replace)
    note_anchor(file, mine)
    assert noted_anchor(file) == mine
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


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


@pytest.mark.usefixtures("other_tables")
def test_a_record_whose_row_another_one_took_over_under_a_new_key_is_not_gone(
    lab: Lab, key_file: Path
) -> None:
    assert run("keygen", "--renew").exit_code == 0
    new = load_key(key_file)
    with closing(open_store(lab.url, audit_key=new)) as store:
        mine = replace(lab, store=store, key=new)
        mine.apply(delete(30, "K5", person="p5"))
        mine.apply(upsert(31, "K5", person="p50"))  # no row tells of p5 any more
    found = run("verify", "--rows")
    assert found.exit_code == 0, found.output
    lab.execute(f"DELETE FROM {BOOK.table} WHERE lt_key IN ('K5', 'K6')")
    found = run("verify", "--rows")
    assert [line.split("number ")[1].split(" is")[0] for line in found.stdout.splitlines()] == [
        "6 in thu.nghiem.v1",
        "31 in thu.nghiem.v1",
    ]
