"""``lienthong audit verify --rows`` on SQLite: rows altered behind the road are found."""

import json
from collections.abc import Iterator

import polars as pl
import pytest

from consumers.sqlite import SqliteStore
from schemas.formats import NationalFormat
from tests.audit_lab import run
from tests.laws.moved import left
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, delete, upsert


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
        (
            "UPDATE {table} SET lt_deleted_at = lt_applied_at WHERE lt_key = 'K5'",
            "number 5 in thu.nghiem.v1 is gone",
        ),
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
def test_what_the_road_takes_out_of_force_has_its_line(lab: Lab) -> None:
    lab.store.note_left([left("K4", person="p4"), left("K6", person="p6")])
    lab.apply(upsert(40, "K40", person="p4"), delete(41, "K5", person="p5"))  # buried; deleted
    lab.apply(upsert(43, "K60", person="p6"), partition=1)
    lab.apply(upsert(42, "K6", person="p6"))  # came late: written and buried at once
    lab.apply(upsert(44, "K7", person="p7"), delete(45, "K7", person="p7"))  # only the delete is staged
    lab.apply(upsert(46, "K3", person="p3"), upsert(47, "K5", person="p50"))  # revived; taken over
    found = run("verify", "--rows")
    assert found.exit_code == 0, found.output
    lab.execute(f"UPDATE {BOOK.table} SET lt_deleted_at = lt_applied_at WHERE lt_key IN ('K3', 'K40', 'K60')")
    found = run("verify", "--rows")
    assert [f"number {seq} in thu.nghiem.v1 is gone" in found.stdout for seq in (40, 43, 46)] == [True] * 3
    assert len(found.stdout.splitlines()) == 3
    lab.apply(upsert(48, "K3", person="p3"), delete(49, "K40", person="p4"), upsert(50, "K60", person="p6"))
    assert run("verify", "--rows").exit_code == 0, "what the road says next holds again"


@pytest.mark.usefixtures("other_tables")
def test_what_is_taken_out_of_force_meanwhile_is_no_flaw(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.store.note_left([left("K4", person="p4")])
    read = SqliteStore.rows_as_sent
    meanwhile = [upsert(40, "K40", person="p4"), delete(41, "K5", person="p5")]  # one in each look

    def reading(store: SqliteStore, national: NationalFormat) -> Iterator[pl.DataFrame]:
        if meanwhile:
            lab.apply(meanwhile.pop(0))
        return read(store, national)

    monkeypatch.setattr(SqliteStore, "rows_as_sent", reading)
    found = run("verify", "--rows")
    assert found.exit_code == 0, found.output
    assert not meanwhile, "looked twice"


@pytest.mark.usefixtures("other_tables")
def test_rows_from_before_the_chain_are_counted_apart(lab: Lab) -> None:
    lab.execute(
        f"INSERT INTO {BOOK.table} (lt_key, lt_system, lt_dataset, lt_source_key, lt_seq, lt_applied_at)"
        f" VALUES ('OLD', '{SYSTEM}', '{DATASET}', 'old', 1, '2020-01-01T00:00:00.000000+00:00')"
    )
    found = run("verify", "--rows")
    assert found.exit_code == 0, found.output
    assert "20 rows in force were compared; 1 are older than the chain" in found.stderr
