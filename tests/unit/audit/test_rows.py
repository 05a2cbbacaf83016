"""``lienthong audit verify --rows`` on SQLite: rows altered behind the road are found."""

import json

import pytest

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
