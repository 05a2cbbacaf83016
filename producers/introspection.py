"""A table of any database SQLAlchemy speaks to, with a bounded sample of its rows. Reads only.

What the database says of itself comes from SQLAlchemy's inspector, the rows from two plain statements; the
values are turned into what capture would send, and stay in the ``SampledTable``.
"""

import re
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Inspector
from sqlalchemy.exc import ArgumentError, DataError, NoSuchModuleError, SAWarning, SQLAlchemyError
from sqlalchemy.pool import NullPool

from schemas.contracts import AvroType
from schemas.drafting.tables import SampledColumn, SampledTable
from schemas.errors import LienthongError, SettingsError

#: Rows from each end of a table.
_ROWS_OF_AN_END = 1_000
#: The sample ends when so much text has been read, so that wide rows do not fill the memory.
_MOST_CHARACTERS = 32_000_000
#: What a text looks like shows in its beginning.
_LONGEST_TEXT = 500
#: Ends a statement that takes longer, where the database can: a view may hide any amount of work.
_LIMITS = {
    "postgresql": "SET statement_timeout = '30s'",
    "mariadb": "SET max_statement_time = 30",
    "mysql": "SET max_execution_time = 30000",
}
#: Types of dialects that are no ``LargeBinary``.
_BINARY = re.compile("BLOB|BINARY|RAW")
_BITS = {"0": "false", "1": "true"}
_NEXT_STEP = (
    "write postgresql+psycopg://user@host/database, mariadb+pymysql://…, mssql+pyodbc://…, "
    "oracle+oracledb://… or sqlite:////folder/file.db"
)


def read_table(address: str, table: str) -> SampledTable:
    """The table (``name`` or ``schema.name``) or view, and rows of both its ends.

    Raises ``SettingsError`` for a wrong address or a driver that is not installed, and ``LienthongError`` if
    the database or the table cannot be read. No message holds the address's password or a value.
    """
    engine = _engine(address)
    with warnings.catch_warnings(), _told(engine.url), engine.connect() as connection:
        # Types the dialect does not know, and indexes on expressions: said by what is drafted of them.
        warnings.simplefilter("ignore", SAWarning)
        if isinstance(raw := connection.connection.driver_connection, sqlite3.Connection):
            raw.text_factory = lambda text: text.decode(errors="replace")  # else an error tells the text
        if limit := _LIMITS.get(engine.dialect.name):
            connection.exec_driver_sql(limit)
        inspector = sa.inspect(connection)
        schema, name = _found(inspector, table)
        columns = inspector.get_columns(name, schema)
        sent = [one["name"] for one in columns if not _is_binary(one["type"])]
        keys = tuple(_keys(inspector, schema, name))
        comment = _comment(inspector, schema, name)
        rows = _sample(connection, name, schema, sent, keys[0] if keys else ())
    places = {column: at for at, column in enumerate(sent)}
    return SampledTable(
        name=name if schema is None else f"{schema}.{name}",
        columns=tuple(_column(one, places.get(one["name"]), rows) for one in columns),
        keys=keys,
        comment=comment,
        sampled=len(rows),
    )


def database_name(address: str) -> str:
    """What the address calls the database; of a file its name without folder and ending."""
    return str(_url(address).database or "").replace("\\", "/").rpartition("/")[2].partition(".")[0]


def _url(address: str) -> sa.URL:
    try:
        return sa.make_url(address)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        # The text may hold a password.
        raise SettingsError("this is no SQLAlchemy address of a database", next_step=_NEXT_STEP) from None


def _engine(address: str) -> sa.Engine:
    url = _url(address)
    if url.get_backend_name() == "sqlite" and "mode" not in url.query:
        # As written, SQLite would make a file that is not there.
        url = url.set(database=f"file:{url.database or ''}", query={"mode": "ro", "uri": "true"})
    try:
        return sa.create_engine(url, poolclass=NullPool)
    except NoSuchModuleError:
        text, next_step = f"SQLAlchemy has no dialect {url.drivername}", _NEXT_STEP
    except ImportError as error:
        text = f"the driver of {url.drivername} is not installed"
        next_step = f"pip install {error.name or url.get_driver_name()}"
    raise SettingsError(text, next_step=next_step)


@contextmanager
def _told(url: sa.URL) -> Iterator[None]:
    """The driver's errors in our words: their kind and their first line, which tells no row."""
    try:
        yield
    except DataError as error:
        # What it says may hold a value.
        raise LienthongError(
            f"a value of the table cannot be read: {type(error.orig).__name__}",
            next_step="name a view of the table that leaves the column out",
        ) from None
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines() or [""]
        text = said[0] if not url.password else said[0].replace(str(url.password), "***")
        raise LienthongError(
            f"the database cannot be read: {text}",
            next_step="check address, user and password, and that the user may SELECT from the table",
        ) from None


def _found(inspector: Inspector, table: str) -> tuple[str | None, str]:
    """Schema and name. A name may hold a dot itself."""
    schema, dot, name = table.partition(".")
    if inspector.has_table(table):
        return None, table
    if dot and inspector.has_table(name, schema):
        return schema, name
    known = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
    close = get_close_matches(table, known, n=3) or known[:10]
    raise LienthongError(
        f"no table or view {table} that this user may see",
        next_step=f"write it as the database does, or schema.name; there are: {', '.join(close) or 'none'}",
    )


def _keys(inspector: Inspector, schema: str | None, name: str) -> Iterator[tuple[str, ...]]:
    """The primary key, then other unique ones."""
    found = [inspector.get_pk_constraint(name, schema)["constrained_columns"]]
    found += [one["column_names"] for one in inspector.get_unique_constraints(name, schema)]
    found += [
        [column for column in one["column_names"] if column]
        for one in inspector.get_indexes(name, schema)
        if one["unique"] and None not in one["column_names"]
    ]
    yield from dict.fromkeys(tuple(columns) for columns in found if columns)


def _comment(inspector: Inspector, schema: str | None, name: str) -> str | None:
    if not inspector.dialect.supports_comments:  # as of SQLite
        return None
    return inspector.get_table_comment(name, schema)["text"]


def _is_binary(declared: Any) -> bool:
    return isinstance(declared, sa.LargeBinary) or _BINARY.search(type(declared).__name__) is not None


def _sample(
    connection: Connection, name: str, schema: str | None, columns: Sequence[str], key: Sequence[str]
) -> list[Sequence[str | None]]:
    """Rows of the table's beginning, and of its end if it has a key, whose index leads there."""
    if not columns:
        return []
    table = sa.table(name, *map(sa.column, columns), schema=schema)
    # PostgreSQL prints everything itself: dates that Python has no room for are no errors then.
    printed = connection.dialect.name == "postgresql"
    chosen = [
        (sa.cast(table.c[one], sa.Text) if printed else table.c[one]).label(f"c{at}")
        for at, one in enumerate(columns)
    ]
    query = sa.select(*chosen).limit(_ROWS_OF_AN_END)
    backwards = [table.c[one].desc() for one in key if one in table.c]
    streamed = connection.execution_options(stream_results=True, max_row_buffer=100)
    rows: dict[Sequence[str | None], None] = {}
    budget = _MOST_CHARACTERS
    for end in [query, query.order_by(*backwards)] if backwards else [query]:
        with streamed.execute(end) as result:
            for row in result:
                values = tuple(map(_text, row))
                rows[values] = None
                budget -= sum(len(one) if isinstance(one, str) else 8 for one in row)
                if budget < 0:
                    return list(rows)
    return list(rows)


def _text(value: Any) -> str | None:
    """A value as capture would send it, cut where no more is needed; None, too, for bytes that are no bit."""
    if value is None or isinstance(value, str):
        return value and value[:_LONGEST_TEXT]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return str(value[0]) if value in (b"\0", b"\1") else None
    if isinstance(value, date | time):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)[:_LONGEST_TEXT]


def _column(told: Any, place: int | None, rows: Sequence[Sequence[str | None]]) -> SampledColumn:
    """``told`` by the inspector; the column's ``place`` in the rows, None if it was not read."""
    avro = _avro(told["type"]) if place is not None else None
    values = [row[place] for row in rows] if place is not None else []
    if avro not in (None, "string") and not all(_HOLDS[avro](one) for one in values if one is not None):
        avro = "string"  # SQLite takes any value whatever a column was declared
    if avro == "boolean":
        values = [_BITS.get(one, one) if one else one for one in values]
    return SampledColumn(
        name=told["name"],
        avro=avro,
        nullable=told["nullable"],
        comment=told.get("comment"),
        values=tuple(values),
    )


def _avro(declared: Any) -> AvroType:
    if isinstance(declared, sa.Boolean) or type(declared).__name__ == "BIT":
        return "boolean"
    if isinstance(declared, sa.Integer):
        return "long"
    if isinstance(declared, sa.Float):
        return "double"
    if isinstance(declared, sa.Numeric) and declared.scale == 0 and (declared.precision or 99) < 19:
        return "long"
    return "string"


#: What a column of a type holds; any other value makes it a string.
_HOLDS: Mapping[AvroType, Callable[[str], object]] = {
    "long": re.compile("-?[0-9]{1,19}").fullmatch,
    "double": re.compile(
        r"-?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[-+]?[0-9]+)?|-?inf(inity)?|nan", re.IGNORECASE
    ).fullmatch,
    "boolean": re.compile("true|false|0|1").fullmatch,
    "string": lambda _: True,
}
