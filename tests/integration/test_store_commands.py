"""What ``lienthong store migrate --dry-run`` prints for PostgreSQL is what an administrator can run."""

import json
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from consumers.numbers_commands import store
from deploy.local.postgres import PostgresNode, libpq_url
from schemas.library import SHIPPED


def run(*words: str) -> tuple[str, str]:
    done = CliRunner().invoke(store, words)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def made(url: str) -> list[tuple[object, ...]]:
    """All that a migration makes: columns, how they are kept, comments, indexes, views."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT c.relname, c.relkind, obj_description(c.oid, 'pg_class'), pg_get_viewdef(c.oid),"
                " pg_get_indexdef(c.oid), a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
                " a.attstorage, a.attidentity, col_description(c.oid, a.attnum)"
                " FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
                " WHERE c.relnamespace = 'public'::regnamespace ORDER BY c.relname, a.attnum"
            )
            return [tuple(row) for row in rows]
    finally:
        engine.dispose()


def test_the_printed_sql_is_all_that_is_needed(
    postgres: PostgresNode, database: str, unique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A label may have a percent sign, which the driver takes for the beginning of a parameter.
    own = tmp_path / "formats" / "thu" / "nghiem" / "v1.avsc"
    own.parent.mkdir(parents=True)
    layout = json.loads((SHIPPED / "formats/hotich/khaisinh/v1.avsc").read_text(encoding="utf-8"))
    layout["fields"][0]["label"] = "Tỷ lệ, 100 % là 'đủ'"
    own.write_text(json.dumps(layout), encoding="utf-8")
    monkeypatch.setenv("LIENTHONG_CONTRACTS", str(tmp_path))
    monkeypatch.setenv("LIENTHONG_STORE", database)
    script, said = run("migrate", "--dry-run")
    assert "nothing was run" in said
    assert made(database) == []
    with psycopg.connect(libpq_url(database)) as administrator:
        administrator.execute(script.encode())
    assert run("migrate", "--dry-run")[0] == ""
    assert run("migrate")[1].startswith("0 statements run")

    another = postgres.create_database(f"{unique}_run")
    try:
        monkeypatch.setenv("LIENTHONG_STORE", another)
        run("migrate")
        assert made(database) == made(another)
    finally:
        postgres.drop_database(f"{unique}_run")
