"""Rows of an agency's PostgreSQL table, read for a comparison and sent again; see ``producers.rows``."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import polars as pl
from sqlalchemy import URL

from producers.outbox import Capture, Slow
from producers.postgres import read_states
from producers.postgres_session import Session
from producers.postgres_sql import address, after_key, image, key_of, lines_of
from producers.rows import Choice, Chosen, Frame, Looked, Quotes, conditions, frame_schema, gathered
from producers.sql import OUTBOX, name, text
from schemas.errors import LienthongError
from schemas.national import parts_of
from schemas.sides import Newest
from schemas.sums import BETWEEN, BUCKET_DIGITS, MISSING, Sum, Sums, wrapped

_FOUND: Final = """
SELECT n.nspname, c.relname, c.relkind FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)
"""
_TYPES: Final = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
#: For statements that read a whole table.
_UNHURRIED: Final = "30min"
#: Below deadlock_timeout (1 s), so that a clerk who waits for us is never chosen as a deadlock's victim.
BRIEF: Final = "400ms"
#: Of one lock, so that waiting for others is told from being slow.
_WAIT: Final = "300ms"
_AT_ONCE: Final = 20_000
_LETTER: Final = r"A-Za-z_\x80-\U0010ffff"  # of a name, which may go on with digits and dollars
#: E'…' has escapes, and goes on behind a line's end; $tag$…$tag$ begins where no name goes on.
_CLOSED: Final = rf"""(?<![{_LETTER}0-9$])[eE]'(?: [^'\\] | \\. | '' | '\s*[\n\r]\s*' )*'
    | '[^']*' | "[^"]*"
    | (?<![{_LETTER}0-9$])(\$(?:[{_LETTER}][{_LETTER}0-9]*)?\$).*?\1"""
#: Without backslash and dollar there are no quotes but these two, and each ends at the next of its kind.
_PLAIN: Final = r"""(?: '[^'\\$]*' | "[^"\\$]*" | [^'"\\$] )*"""
QUOTES: Final = Quotes(closed=re.compile(_CLOSED, re.X | re.S | re.A), plain=re.compile(_PLAIN, re.X))


class PostgresRows:
    """See ``Rows``."""

    def __init__(self, url: URL) -> None:
        self._session = Session(url)

    def captured(self, capture: Capture) -> bool:
        return any(s.capture.dataset == capture.dataset and s.captured for s in read_states(self._session))

    # --- reading -------------------------------------------------------------------------------------

    def sums(self, capture: Capture) -> Sums:
        parts = f"ARRAY[{', '.join(self._printed(capture))}]"
        row = f"array_to_string({parts}, chr({ord(BETWEEN)}), chr({ord(MISSING)}))"
        total = f"sum(('x' || substr({_md5('x.row')}, 1, 16))::bit(64)::bigint)::text"
        query = (
            f"SELECT substr({_md5('x.key')}, 1, {BUCKET_DIGITS}), count(*), {total} FROM ("
            f"SELECT {key_of('t', capture)} AS key, {row} AS row FROM {source(self._session, capture)}) AS x"
            " GROUP BY 1"
        )
        with self._snapshot():
            return {bucket: Sum(rows, wrapped(int(sum_))) for bucket, rows, sum_ in self._session.rows(query)}

    def frames(self, capture: Capture, buckets: Collection[str] | None = None) -> Iterator[Frame]:
        within = "true"
        if buckets is not None:
            listed = ", ".join(map(text, sorted(buckets)))
            within = f"substr({_md5(key_of('t', capture))}, 1, {BUCKET_DIGITS}) IN ({listed})"
        with self._snapshot():
            for block in self._session.copied(self._select(capture, within), _AT_ONCE):
                yield Frame(_read(block, capture))

    def look(self, capture: Capture, keys: Sequence[str]) -> Looked:
        with self._snapshot():
            within = named(self._session, capture, keys)
            blocks = self._session.copied(self._select(capture, within), _AT_ONCE) if within else ()
            frame = gathered(capture, (_read(block, capture) for block in blocks))
            return Looked(frame, self._newest(capture, keys))

    def _newest(self, capture: Capture, keys: Sequence[str]) -> Mapping[str, Newest]:
        query = (
            "SELECT DISTINCT ON (key) key, seq, (extract(epoch FROM changed_at) * 1000)::bigint,"
            f" coalesce(after, before)::text FROM {OUTBOX}"
            " WHERE dataset = %s AND key = ANY(%s) ORDER BY key, id DESC"
        )
        if not self._session.rows("SELECT to_regclass(%s)", (OUTBOX,))[0][0]:
            return {}
        found = self._session.rows(query, (capture.dataset, list(keys)))
        return {key: Newest(seq, changed_ms, last) for key, seq, changed_ms, last in found}

    def chosen(self, capture: Capture, choice: Choice, after: Sequence[str], size: int) -> list[Chosen]:
        types = key_types(self._session, capture)
        behind = after_key("t", types, ">", after) if after else "true"
        asked = conditions(
            capture, choice, key_of("t", capture), lambda ms: f"to_timestamp({ms / 1000!r})", QUOTES
        )
        listed = ", ".join(f"t.{name(column)}::text" for column in types)
        order = ", ".join(f"t.{name(column)}" for column in types)
        query = (
            f"SELECT {key_of('t', capture)}, {listed} FROM {source(self._session, capture)}"
            f" WHERE {' AND '.join([behind, *asked])} ORDER BY {order}"
        )
        with self._snapshot():
            # With a parameter it can be one statement only, whatever the condition says.
            rows = self._session.rows(f"{query.replace('%', '%%')} LIMIT %s", (size,))
        return [Chosen(row[0], row[1:]) for row in rows]

    # --- sending -------------------------------------------------------------------------------------

    def send(self, capture: Capture, keys: Sequence[str]) -> int:
        with briefly(self._session):
            within = named(self._session, capture, keys)
            return write_rows(self._session, capture, within) if within else 0

    def send_deletes(self, capture: Capture, images: Mapping[str, str]) -> int:
        with briefly(self._session):
            # Whoever takes an outbox id has a transaction id already: see ``postgres_floor``.
            self._session.rows("SELECT txid_current()")
            # Nobody can put the record back before our outbox row has its place among the others.
            table, only = resolved(self._session, capture.table)
            self._session.rows(f"LOCK TABLE {only} {table} IN SHARE ROW EXCLUSIVE MODE")
            within = named(self._session, capture, list(images))
            query = f"SELECT {key_of('t', capture)} FROM {only} {table} AS t WHERE {within}"
            there = {row[0] for row in self._session.rows(query)} if within else set()
            gone = [(capture.dataset, key, before) for key, before in images.items() if key not in there]
            for row in gone:
                self._session.rows(
                    f"INSERT INTO {OUTBOX} (dataset, op, key, before) VALUES (%s, 'd', %s, %s)", row
                )
        return len(gone)

    def waiting(self, newest: int) -> int:
        return waiting(self._session, newest)

    def close(self) -> None:
        self._session.close()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Statements that only read, and all see the same."""
        with self._session.transaction():
            self._session.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            self._session.rows(f"SET LOCAL statement_timeout = '{_UNHURRIED}'")
            yield

    def _printed(self, capture: Capture) -> list[str]:
        columns = [f"t.{name(column)}::text" for column in capture.columns]
        lines = [f"{lines_of('t', one, address(one.table))}::text" for one in capture.lines.values()]
        return [key_of("t", capture), *columns, *lines]

    def _select(self, capture: Capture, within: str) -> str:
        printed = ", ".join(self._printed(capture))
        query = f"SELECT {printed} FROM {source(self._session, capture)} WHERE {within}"
        return f"COPY ({query}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')"


@contextmanager
def briefly(session: Session) -> Iterator[None]:
    """A transaction that locks rows: ``Locked`` if it has to wait for others, ``Slow`` if it is slow."""
    try:
        with session.transaction():
            session.rows(f"SET LOCAL lock_timeout = '{_WAIT}'")
            session.rows(f"SET LOCAL statement_timeout = '{BRIEF}'")
            yield
    except Slow as problem:
        index = "have an index made on the contract's key columns, in their order, if there is none"
        raise Slow(problem.message, next_step=f"{index}; else {problem.next_step}") from None


def resolved(session: Session, table: str) -> tuple[str, str]:
    """The table's quoted full name, and ``ONLY`` if it is a plain one: no rows of its child tables.

    Raises ``LienthongError`` if this database has no such table.
    """
    found = session.rows(_FOUND, (address(table),))
    if not found:
        raise LienthongError(
            f"the agency database has no table {table}",
            next_step="connect to the database that has it (LIENTHONG_SOURCE), or correct the contract",
        )
    schema, table, kind = found[0]
    return f"{name(schema)}.{name(table)}", "" if kind == "p" else "ONLY"


def source(session: Session, capture: Capture) -> str:
    """The captured table as ``t``; see ``resolved``."""
    table, only = resolved(session, capture.table)
    return f"{only} {table} AS t"


def key_types(session: Session, capture: Capture) -> dict[str, str]:
    """Key column -> its type, in the order of the key."""
    declared: dict[str, str] = dict(session.rows(_TYPES, (address(capture.table),)))
    return {column: declared[column] for column in capture.key}


def named(session: Session, capture: Capture, keys: Sequence[str]) -> str:
    """A condition on the records ``t`` with these keys, by the key's index; empty if there can be none."""
    types = key_types(session, capture)
    rows = []
    for parts in map(parts_of, keys):
        if len(parts) == len(types):
            casts = (
                f"CAST({text(part)} AS {declared})"
                for part, declared in zip(parts, types.values(), strict=True)
            )
            rows.append(f"({', '.join(casts)})")
    if not rows:
        return ""
    columns = ", ".join(f"t.{name(column)}" for column in types)
    listed = f"ARRAY[{', '.join(map(text, keys))}]::text[]"
    # A query and no list: planned as a join, by the index if they are few.
    return f"({columns}) IN (VALUES {', '.join(rows)}) AND {key_of('t', capture)} = ANY({listed})"


def write_rows(session: Session, capture: Capture, within: str) -> int:
    """Put the rows of a condition into the outbox as op ``r``, in this transaction; how many.

    FOR SHARE waits for whoever is changing a row, or its lines; the next statement reads what they
    committed. The outbox ids are taken in it, once the locks are held, and whoever changes a row next waits
    for our commit. A row that comes, or whose key moves, is left to its own trigger.
    """
    order = ", ".join(f"t.{name(column)}" for column in capture.key)
    table = source(session, capture)
    locked = session.rows(
        f"SELECT {key_of('t', capture)} FROM {table} WHERE {within} ORDER BY {order} FOR SHARE"
    )
    keys = f"ARRAY[{', '.join(text(key) for (key,) in locked)}]::text[]"
    written = session.rows(
        f"WITH written AS (INSERT INTO {OUTBOX} (dataset, op, key, after)"
        f" SELECT {text(capture.dataset)}, 'r', {key_of('t', capture)}, {image('t', capture)}"
        f" FROM {table} WHERE {within} AND {key_of('t', capture)} = ANY({keys}) ORDER BY {order}"
        " RETURNING 1) SELECT count(*) FROM written"
    )
    return int(written[0][0])


def waiting(session: Session, newest: int) -> int:
    """How many of the ``newest`` outbox rows wait to be published."""
    query = (
        f"SELECT count(*) FROM {OUTBOX} WHERE published_at IS NULL"
        f" AND id > (SELECT last_value FROM {OUTBOX}_id_seq) - %s"
    )
    return int(session.rows(query, (newest,))[0][0])


def _md5(text_: str) -> str:
    # Of the letters, whatever the server's encoding is.
    return f"md5(convert_to({text_}, 'UTF8'))"


def _read(block: bytes, capture: Capture) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(block), has_header=False, schema=frame_schema(capture))
