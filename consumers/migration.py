"""What a database lacks of the national store's tables, and the SQL that adds it: additions only."""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable, SetColumnComment, SetTableComment

from consumers.ddl import effect, format_table, metadata
from consumers.store import StoreError
from schemas.formats import NationalFormat


@dataclass(frozen=True, slots=True)
class Missing:
    """Something of a format that the database does not have yet."""

    what: str  #: ``table x``, ``column x.y``, ``view x``
    sql: str


def missing(
    connection: sa.Connection, formats: Sequence[NationalFormat], *, effect_log: bool
) -> list[Missing]:
    """What has to be added, in the order in which it can be. ``StoreError`` if a column has another type."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    own = [*metadata.sorted_tables, *([effect] if effect_log else [])]
    national = [format_table(one) for one in formats]
    found: list[Missing] = []
    for table in (*own, *national):
        if table.name in there:
            found += _missing_in(connection, inspector, table)
        else:
            found += _all_of(connection, table)
    found += _missing_indexes(connection, [table for table in own if table.name in there])
    for table in national:
        found += _view(connection, inspector, table, is_new=table.name not in there)
    return found


def _sql(connection: sa.Connection, element: sa.schema.ExecutableDDLElement) -> str:
    """As a person may run it: SQLAlchemy doubles percent signs for drivers that look for parameters."""
    sql = str(element.compile(dialect=connection.dialect)).strip()
    return sql.replace("%%", "%") if connection.dialect.paramstyle in {"format", "pyformat"} else sql


def _all_of(connection: sa.Connection, table: sa.Table) -> Iterator[Missing]:
    yield Missing(f"table {table.name}", _sql(connection, CreateTable(table)))
    for column in table.columns if connection.dialect.name == "postgresql" else ():
        if storage := column.info.get("storage"):
            text = f"ALTER TABLE {table.name} ALTER COLUMN {column.name} SET STORAGE {storage}"
            yield Missing(f"storage {table.name}", text)
    yield from _indexes(connection, table, ())
    yield from _comments(connection, table, None, {})


def _indexes(connection: sa.Connection, table: sa.Table, there: Container[str]) -> Iterator[Missing]:
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        if index.name not in there:
            yield Missing(f"index {index.name}", _sql(connection, CreateIndex(index)))


def _missing_indexes(connection: sa.Connection, tables: Sequence[sa.Table]) -> list[Missing]:
    """Indexes that tables of an earlier version lack. By name: expressions cannot be reflected everywhere."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'index'"
        if connection.dialect.name == "sqlite"
        else "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
    )
    there = set(connection.exec_driver_sql(query).scalars())
    return [one for table in tables for one in _indexes(connection, table, there)]


def _missing_in(connection: sa.Connection, inspector: sa.Inspector, table: sa.Table) -> Iterator[Missing]:
    existing = {column["name"]: column for column in inspector.get_columns(table.name)}
    for column in table.columns:
        wanted = _type(connection, column.type)
        if column.name not in existing:
            text = f"ALTER TABLE {table.name} ADD COLUMN {_quoted(connection, column.name)} {wanted}"
            yield Missing(f"column {table.name}.{column.name}", text)
        elif (is_now := _type(connection, existing[column.name]["type"])) != wanted:
            raise StoreError(
                f"{table.name}.{column.name}: is {is_now}, must be {wanted}",
                next_step="types are never altered here: move the table away, migrate, and snapshot again",
            )
    if connection.dialect.supports_comments:
        comment = inspector.get_table_comment(table.name)["text"]
        comments = {name: column.get("comment") for name, column in existing.items()}
        yield from _comments(connection, table, comment, comments)


def _type(connection: sa.Connection, kind: sa.types.TypeEngine[Any]) -> str:
    return kind.compile(dialect=connection.dialect).partition(" COLLATE")[0]


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)


def _comments(
    connection: sa.Connection, table: sa.Table, comment: str | None, comments: dict[str, str | None]
) -> Iterator[Missing]:
    if not connection.dialect.supports_comments:
        return
    if table.comment and table.comment != comment:
        yield Missing(f"comment on {table.name}", _sql(connection, SetTableComment(table)))
    for column in table.columns:
        if column.comment and column.comment != comments.get(column.name):
            yield Missing(
                f"comment on {table.name}.{column.name}", _sql(connection, SetColumnComment(column))
            )


def _view(
    connection: sa.Connection, inspector: sa.Inspector, table: sa.Table, *, is_new: bool
) -> Iterator[Missing]:
    """The rows in force. Old columns keep their places: PostgreSQL lets a view grow only at its end."""
    name = f"{table.name}_current"
    shown = [c["name"] for c in inspector.get_columns(name)] if name in inspector.get_view_names() else []
    existing = [] if is_new else [column["name"] for column in inspector.get_columns(table.name)]
    wanted = [*shown, *(c for c in _union(existing, table.columns.keys()) if c not in shown)]
    if shown == wanted:
        return
    columns = ", ".join(_quoted(connection, column) for column in wanted)
    # Names come from formats, whose loader allows letters, digits and _ only.
    body = f"{name} AS SELECT {columns} FROM {table.name} WHERE lt_deleted_at IS NULL"  # noqa: S608
    if connection.dialect.name == "sqlite":
        if shown:
            yield Missing(f"view {name}", f"DROP VIEW {name}")
        yield Missing(f"view {name}", f"CREATE VIEW {body}")
    else:
        yield Missing(f"view {name}", f"CREATE OR REPLACE VIEW {body}")


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))
