"""Drafts from PostgreSQL: its types, comments, schemas, permissions, and views that take long."""

import psycopg
import pytest
from sqlalchemy import make_url

from producers import introspection
from producers.introspection import read_table
from schemas.drafting.drafts import draft_of
from schemas.errors import LienthongError
from tests.layouts import entries
from tests.layouts.held_out import COMMENTED
from tests.offline.drafts import PROMISED, library, right


def connect(database: str) -> psycopg.Connection:
    url = make_url(database).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False))


def run(database: str, *statements: str) -> None:
    with connect(database) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_comments_of_columns_are_read(database: str) -> None:
    comments = [
        f"""COMMENT ON COLUMN "{COMMENTED.table}"."{held.name}" IS '{held.comment}'"""
        for held in COMMENTED.columns
    ]
    run(database, COMMENTED.ddl(), *comments, f"""COMMENT ON TABLE "{COMMENTED.table}" IS 'Sổ khai sinh'""")
    marks = ", ".join(["%s"] * len(COMMENTED.columns))
    with connect(database) as connection:
        statement = f'INSERT INTO "{COMMENTED.table}" VALUES ({marks})'.encode()
        connection.cursor().executemany(statement, COMMENTED.rows(entries.births(300, 11), seed=1))
    table = read_table(database, COMMENTED.table)
    assert (table.comment, table.sampled, table.keys) == ("Sổ khai sinh", 300, (("F000",),))
    draft = draft_of(table, library(), name=("thu", "bang"))
    assert right(draft, COMMENTED, "hotich.khaisinh.v1") >= PROMISED


def test_types_become_what_capture_sends_and_no_value_is_too_odd(database: str) -> None:
    run(
        database,
        "CREATE SCHEMA so",
        "CREATE TABLE so.kieu (ma numeric(9, 0) PRIMARY KEY, gia numeric(12, 2), anh bytea, dung boolean,"
        " ngay date, luc timestamptz, ghi jsonb, ds text[], uid uuid, le double precision, kho inet)",
        "INSERT INTO so.kieu VALUES (1, 2.50, '\\x00', true, 'infinity', '-infinity', '{\"a\": 1}', '{x}',"
        " '00000000-0000-0000-0000-000000000001', 'NaN', '10.0.0.1'), (2, NULL, NULL, NULL, '2020-05-04 BC',"
        " NULL, NULL, NULL, NULL, 0.5, NULL)",
    )
    table = read_table(database, "so.kieu")
    held = {column.name: column.avro for column in table.columns}
    assert {name for name, avro in held.items() if avro == "string"} == {
        "gia", "ngay", "luc", "ghi", "ds", "uid", "kho"
    }  # fmt: skip
    assert (held["ma"], held["anh"], held["dung"], held["le"]) == ("long", None, "boolean", "double")
    assert set(table.by_name["dung"].values) == {"true", None}
    assert (table.name, table.keys, table.sampled) == ("so.kieu", (("ma",),), 2)


def test_without_permission_it_is_told_and_no_password_with_it(database: str, unique: str) -> None:
    run(database, "CREATE TABLE kin (ma bigint PRIMARY KEY)", f"CREATE ROLE {unique} LOGIN PASSWORD 's3cret'")
    stranger = (
        make_url(database).set(username=unique, password="s3cret").render_as_string(hide_password=False)
    )
    try:
        with pytest.raises(LienthongError) as caught:
            read_table(stranger, "kin")
    finally:
        run(database, f"DROP ROLE {unique}")
    assert caught.value.message == "the database cannot be read: permission denied for table kin"
    assert "SELECT" in caught.value.next_step
    assert caught.value.__cause__ is None


def test_a_view_that_takes_too_long_is_given_up(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(database, "CREATE VIEW cham AS SELECT 1 AS ma, pg_sleep(120)::text AS cho")
    monkeypatch.setitem(introspection._LIMITS, "postgresql", "SET statement_timeout = '300ms'")
    with pytest.raises(LienthongError, match="statement timeout"):
        read_table(database, "cham")
