"""The laws of capture on SQLite, and what only SQLite does: replace rows without a word, hold anything."""

import json
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from producers import sqlite_rows, sqlite_session
from producers.opening import open_outbox, open_site
from producers.outbox import Capture, Locked
from producers.rows import Choice
from producers.sqlite_rows import SqliteRows
from schemas.errors import LienthongError, SettingsError
from schemas.sums import bucket_of
from tests.capture_lab import SOHO, CaptureLab, a_contract, replayed, take
from tests.capture_laws import CaptureLaws
from tests.line_laws import LINED, LineLaws, dong, make

TEXT_KEY = Capture.of(
    a_contract(dataset="chu", table="so_chu", key=("ma",), columns={"ma": "string", "ten": "string"})
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CaptureLab]:
    one = CaptureLab(f"sqlite:///{tmp_path}/so_ho.db")
    yield one
    one.close()


class TestSqlite(CaptureLaws):
    """All of them."""


class TestReplace:
    """SQLite removes the rows that a REPLACE collides with, and fires no trigger for them."""

    def test_a_replaced_row_is_the_before_of_the_new_one(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "cũ")
        lab.hand.run("INSERT OR REPLACE INTO so_ho (id, ho_ten) VALUES (1, 'mới')")
        assert lab.told() == [("c", "1"), ("u", "1")]
        last = lab.rows()[1]
        assert (json.loads(last.before or "")["ho_ten"], json.loads(last.after or "")["ho_ten"]) == (
            "cũ",
            "mới",
        )

    def test_a_row_of_another_key_that_is_replaced_is_told_as_deleted(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một", ma="A")
        lab.insert(2, "hai", ma="B")
        lab.hand.run("REPLACE INTO so_ho (id, ho_ten, ma) VALUES (3, 'ba', 'A')")
        assert lab.told()[2:] == [("d", "1"), ("c", "3")]
        assert json.loads(lab.rows()[2].before or "")["ho_ten"] == "một"
        lab.hand.run("UPDATE OR REPLACE so_ho SET ma = 'A' WHERE id = 2")
        assert set(lab.table()) == {"2"}
        assert replayed(lab.rows()) == lab.table()

    def test_an_update_that_replaces_the_holder_of_its_new_key(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một")
        lab.insert(2, "hai")
        lab.hand.run("UPDATE OR REPLACE so_ho SET id = 2 WHERE id = 1")
        assert lab.told()[2:] == [("d", "1"), ("u", "2")]
        assert json.loads(lab.rows()[3].before or "")["ho_ten"] == "hai"
        assert replayed(lab.rows()) == lab.table()

    def test_an_ignored_insert_says_nothing_and_leaves_nothing_behind(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một", ma="A")
        lab.hand.run("INSERT OR IGNORE INTO so_ho (id, ho_ten) VALUES (1, 'khác')")
        lab.hand.run("INSERT OR IGNORE INTO so_ho (id, ho_ten, ma) VALUES (9, 'khác', 'A')")
        assert lab.told() == [("c", "1")]
        lab.insert(2)
        lab.hand.run("DELETE FROM so_ho WHERE id = 1")
        lab.insert(1, "một", ma="A")
        assert lab.told() == [("c", "1"), ("c", "2"), ("d", "1"), ("c", "1")]

    def test_an_upsert_is_an_update(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một")
        upsert = "INSERT INTO so_ho (id, ho_ten) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET ho_ten = ?"
        lab.hand.run(upsert, "x", "hai")
        assert lab.told() == [("c", "1"), ("u", "1")]
        assert replayed(lab.rows()) == lab.table()

    def test_a_row_whose_key_an_upsert_moves_is_deleted_once(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.hand.run("INSERT INTO so_ho (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 5")
        lab.hand.run("INSERT OR IGNORE INTO so_ho (id) VALUES (5)")
        lab.hand.run("UPDATE so_ho SET id = 6")
        assert lab.told() == [("c", "1"), ("d", "1"), ("c", "5"), ("d", "5"), ("c", "6")]

    @pytest.mark.parametrize("recursive", ["ON", "OFF"])
    @pytest.mark.parametrize("seed", range(4))
    def test_replaying_the_outbox_gives_the_table(self, lab: CaptureLab, seed: int, recursive: str) -> None:
        lab.install()
        lab.hand.run(f"PRAGMA recursive_triggers = {recursive}")
        chance = random.Random(seed)
        for _ in range(80):
            id_, ma = chance.randint(1, 12), chance.choice("ABCDEFGH")
            policy = chance.choice(["REPLACE", "IGNORE"])
            if chance.random() < 0.6:
                lab.hand.run(
                    f"INSERT OR {policy} INTO so_ho (id, ho_ten, ma) VALUES (?, ?, ?)",
                    id_,
                    f"{chance.random()}",
                    ma,
                )
            elif chance.random() < 0.5:
                new = chance.randint(1, 12)
                lab.hand.run(f"UPDATE OR {policy} so_ho SET ma = ?, id = ? WHERE id = ?", ma, new, id_)
            else:
                lab.hand.run("DELETE FROM so_ho WHERE id = ?", id_)
            assert replayed(lab.rows()) == lab.table()
        assert {op for op, _ in lab.told()} >= {"c", "d"}

    def test_rows_are_put_aside_only_for_a_moment(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, ma="A")
        lab.hand.run("REPLACE INTO so_ho (id, ma) VALUES (2, 'A')")
        assert lab.hand.run("SELECT count(*) FROM lienthong_replaced_thu__soho") == [(0,)]


class TestTriggersOfTheVendor:
    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_a_trigger_that_corrects_the_row(self, lab: CaptureLab, first: str) -> None:
        theirs = (
            "CREATE TRIGGER sua AFTER UPDATE OF ho_ten ON so_ho WHEN NEW.ho_ten <> upper(NEW.ho_ten)"
            " BEGIN UPDATE so_ho SET ho_ten = upper(ho_ten) WHERE id = NEW.id; END"
        )
        if first == "theirs":
            lab.hand.run(theirs)
        lab.install()
        if first == "ours":
            lab.hand.run(theirs)
        lab.insert(1, "abc")
        lab.hand.run("UPDATE so_ho SET ho_ten = 'xyz'")
        assert lab.table()["1"]["ho_ten"] == "XYZ"
        assert replayed(lab.rows()) == lab.table()

    def test_a_renamed_column_keeps_the_name_of_the_contract(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("ALTER TABLE so_ho RENAME COLUMN ho_ten TO ten_moi")
        lab.hand.run("INSERT INTO so_ho (id, ten_moi) VALUES (1, 'An')")
        assert json.loads(lab.rows()[0].after or "")["ho_ten"] == "An"


class TestAnything:
    """A column of SQLite holds any value; a clerk's statement must never fail for what we make of it."""

    @pytest.mark.parametrize("value", [b"\xff\xfe", b"abc", 7, 2.5, "chữ", None])
    def test_any_value_in_any_column(self, lab: CaptureLab, value: object) -> None:
        lab.hand.run("CREATE TABLE so_chu (ma TEXT PRIMARY KEY, ten, con BLOB)")
        anything = Capture.of(
            a_contract(
                dataset="chu",
                table="so_chu",
                key=("ma",),
                columns={"ma": "string", "ten": "long", "con": "boolean"},
            )
        )
        lab.install(anything)
        lab.hand.run("INSERT INTO so_chu VALUES ('a', ?, ?)", value, value)
        lab.hand.run("UPDATE so_chu SET ten = 1")
        row = lab.number(anything)[0]
        assert row.after is not None

    def test_text_that_is_not_utf8_reaches_the_relay_as_it_is(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("INSERT INTO so_ho (id, ho_ten) VALUES (1, CAST(X'C3' AS TEXT))")
        (row,) = lab.number()
        assert json.loads(row.after or "")["ho_ten"] == "\udcc3"

    def test_a_key_that_is_not_utf8_ends_no_reading_of_the_table(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE so_chu (ma TEXT PRIMARY KEY NOT NULL, ten TEXT)")
        lab.hand.run("INSERT INTO so_chu VALUES ('a', 'x'), (CAST(X'62E1' AS TEXT), 'y'), ('c', 'z')")
        lab.install(TEXT_KEY)
        assert lab.site.begin_snapshot(TEXT_KEY) == 0
        chunks = [lab.site.snapshot_chunk(TEXT_KEY, 1) for _ in range(4)]
        assert chunks == [1, 1, 1, None]
        assert [row.key for row in lab.number(TEXT_KEY)] == ["a", "b\udce1", "c"]
        rows = SqliteRows(make_url(lab.source))
        (frame,) = rows.frames(TEXT_KEY)
        assert (frame.rows["key"].to_list(), frame.broken) == (["a", "b?", "c"], {"b?": "ma"})
        (frame,) = rows.frames(TEXT_KEY, {bucket_of("b?")})
        assert frame.rows["key"].to_list() == ["b?"], "in the bucket that its sum is in"
        seen: list[str] = []
        place: Sequence[Any] = ()
        while page := rows.chosen(TEXT_KEY, Choice(), place, 1):
            seen.append(page[0].key)
            place = page[0].place
        assert seen == ["a", "b\udce1", "c"]
        rows.close()

    def test_a_snapshot_goes_on_behind_a_key_that_is_a_blob(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE so_chu (ma PRIMARY KEY NOT NULL, ten TEXT)")
        lab.hand.run("INSERT INTO so_chu VALUES ('b', 'x'), (X'61', 'y'), (X'62E1', 'z'), (7, 'w')")
        lab.install(TEXT_KEY)
        lab.site.begin_snapshot(TEXT_KEY)
        chunks = [lab.site.snapshot_chunk(TEXT_KEY, 1) for _ in range(5)]
        assert chunks == [1, 1, 1, 1, None]
        assert [row.key for row in lab.number(TEXT_KEY)] == ["7", "b", "a", "b\udce1"]

    def test_the_end_of_a_page_may_be_a_key_that_is_not_utf8(
        self, lab: CaptureLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_rows, "_AT_ONCE", 1)
        lab.hand.run("CREATE TABLE so_chu (ma TEXT PRIMARY KEY NOT NULL, ten TEXT)")
        lab.hand.run("INSERT INTO so_chu VALUES (CAST(X'62E1' AS TEXT), 'y'), ('c', 'z')")
        rows = SqliteRows(make_url(lab.source))
        assert [frame.rows["key"].to_list() for frame in rows.frames(TEXT_KEY)] == [["b?"], ["c"]]
        rows.close()

    def test_a_nul_within_a_text_is_kept(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "a\x00b")
        (row,) = lab.number()
        assert json.loads(row.after or "")["ho_ten"] == "a\x00b"

    def test_keys_that_differ_only_in_case_are_two_keys(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE so_chu (ma TEXT PRIMARY KEY COLLATE NOCASE, ten TEXT) WITHOUT ROWID")
        lab.install(TEXT_KEY)
        lab.hand.run("INSERT INTO so_chu VALUES ('a', 'x')")
        lab.hand.run("UPDATE so_chu SET ma = 'A'")
        assert lab.told(TEXT_KEY) == [("c", "a"), ("d", "a"), ("c", "A")]
        assert take(lab, TEXT_KEY) == 1
        assert replayed(lab.rows(TEXT_KEY)) == lab.table(TEXT_KEY)


class TestShape:
    def test_what_keeps_a_key_unique(self, lab: CaptureLab) -> None:
        shape = lab.site.inspect("so_ho")
        assert shape is not None
        assert set(shape.unique) == {frozenset({"id"}), frozenset({"ma"})}
        lab.insert(1, ma=None)
        shape = lab.site.inspect("so_ho")
        assert shape is not None
        assert set(shape.unique) == {frozenset({"id"})}, "ma has a null now"
        assert shape.columns["le_phi"].declared == "any"

    def test_views_and_tables_that_are_not_there(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE VIEW xem AS SELECT * FROM so_ho")
        shape = lab.site.inspect("xem")
        assert shape is not None
        assert "not a table" in shape.obstacle
        assert lab.site.inspect("khong_co") is None

    def test_an_index_on_an_expression_is_told(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE UNIQUE INDEX bieu_thuc ON so_ho (lower(ho_ten))")
        shape = lab.site.inspect("so_ho")
        assert shape is not None
        assert any("bieu_thuc" in note for note in shape.notes)
        lab.install()


class TestOpening:
    def test_a_file_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        missing = tmp_path / "khong_co.db"
        for port in (open_site(f"sqlite:///{missing}"), open_outbox(f"sqlite:///{missing}")):
            with pytest.raises(LienthongError, match="no file"):
                port.states()
        with pytest.raises(LienthongError, match="no file"):
            open_outbox(f"sqlite:///{missing}").lead()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "source",
        [
            "",
            "khong phai dia chi",
            "mysql://u:mat_khau@h/d",
            "postgresql://u:mat_khau@h:54x2/d",
            "sqlite://",
        ],
    )
    def test_an_address_that_cannot_be_used_is_refused_without_showing_it(self, source: str) -> None:
        with pytest.raises(LienthongError, match="LIENTHONG_SOURCE") as caught:
            open_site(source)
        assert "mat_khau" not in f"{caught.value.message}{caught.value.next_step}"

    def test_other_kinds_are_a_setting_to_correct(self) -> None:
        with pytest.raises(SettingsError, match="mysql"):
            open_outbox("mysql://h/d")

    def test_a_file_that_somebody_locks_is_busy_and_not_broken(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.number()
        lab.outbox.close()
        other = lab.another_hand()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite_session, "_WAIT_SECONDS", 0.05)
            with lab.transaction(other):
                lab.insert(2, hand=other)
                with pytest.raises(Locked, match="SQLITE_BUSY"):
                    lab.outbox.mark([1])
        lab.outbox.mark([1])
        assert lab.outbox.pending(0, 10, 10**9) == []
        assert lab.told(SOHO) == [("c", "1"), ("c", "2")]

    def test_a_lead_that_cannot_be_taken_is_no_other_relay(
        self, lab: CaptureLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = make_url(lab.source).database
        lock = Path(f"{path}-lienthong-relay")
        lock.mkdir()
        with pytest.raises(LienthongError, match="SQLITE_CANTOPEN") as caught:
            lab.outbox.lead()
        assert caught.value.next_step
        lock.rmdir()
        # Made by another user. These tests may run as one who may write any file.
        lock.touch()
        monkeypatch.setattr(os, "access", lambda path, mode: False)
        with pytest.raises(LienthongError, match="SQLITE_READONLY"):
            lab.outbox.lead()
        monkeypatch.undo()
        assert lab.outbox.lead()
        assert not open_outbox(lab.source).lead()


class TestLines(LineLaws):
    """All of them, and what only SQLite does."""

    @pytest.mark.parametrize("recursive", ["ON", "OFF"])
    def test_replaced_lines_change_the_records_that_lose_them(self, lab: CaptureLab, recursive: str) -> None:
        make(lab)
        for id_ in (1, 2, 3):
            lab.insert(id_)
        dong(lab, 1, 1, loai="a", ma="A")
        dong(lab, 2, 2, loai="b", ma="B")
        lab.install(LINED)
        lab.hand.run(f"PRAGMA recursive_triggers = {recursive}")
        lab.hand.run("REPLACE INTO so_dong (dong_id, ho_id, loai, ma) VALUES (1, 3, 'c', 'B')")
        assert replayed(lab.rows(LINED)).keys() == {"1", "2", "3"}
        assert {key: image["dong"] for key, image in replayed(lab.rows(LINED)).items()} == {
            key: image["dong"] for key, image in lab.table(LINED).items()
        }
        lab.hand.run("UPDATE OR REPLACE so_dong SET dong_id = 7, ho_id = 1")
        lab.hand.run("REPLACE INTO so_ho (id, ho_ten) VALUES (1, 'khác')")
        assert replayed(lab.rows(LINED))["1"] == lab.table(LINED)["1"]
