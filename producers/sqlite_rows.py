"""Rows of an agency's SQLite table, read for a comparison and sent again; see ``producers.rows``."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import polars as pl
from sqlalchemy import URL

from producers.outbox import Capture
from producers.rows import Choice, Chosen, Frame, Looked, Quotes, conditions, frame_schema
from producers.sql import OUTBOX, name, text, told
from producers.sqlite import read_states
from producers.sqlite_session import Misunderstood, Row, Session
from producers.sqlite_sql import image, key_of, lines_of, printed, read_back
from schemas.errors import SettingsError
from schemas.sides import Newest
from schemas.sums import Adding, Sums, bucket_of, row_texts

#: While rows are read nobody may be able to write: kept short.
_AT_ONCE: Final = 2_000
_CLOSED: Final = r"""'[^']*' | "[^"]*" | `[^`]*` | \[[^]]*\]"""
#: Texts, and names in any quotes that SQLite takes. A parameter, as ``$a(')``, may hold a quote that is none.
QUOTES: Final = Quotes(
    closed=re.compile(_CLOSED, re.X), plain=re.compile(rf"""(?: {_CLOSED} | [^'"`\[$:@\#] )*""", re.X)
)


class SqliteRows:
    """See ``Rows``. SQLite has no hashes of its own: sums are built here from all rows."""

    def __init__(self, url: URL) -> None:
        self._session = Session(url)

    def captured(self, capture: Capture) -> bool:
        return any(s.capture.dataset == capture.dataset and s.captured for s in read_states(self._session))

    def sums(self, capture: Capture) -> Sums:
        adding = Adding()
        for frame in self.frames(capture):
            keys = frame.rows["key"].to_list()
            adding.add(map(bucket_of, keys), row_texts(frame.rows).to_list())
        return adding.sums()

    def frames(self, capture: Capture, buckets: Collection[str] | None = None) -> Iterator[Frame]:
        after: Sequence[Any] = ()
        order = ", ".join(f"t.{name(column)}" for column in capture.key)
        while True:
            behind, parameters = _behind(order, after)
            query = (
                f"SELECT {order}, {_columns(capture)} FROM {name(capture.table)} AS t"
                f" WHERE {behind} ORDER BY {order} LIMIT ?"
            )
            rows = self._session.rows(query, [*parameters, _AT_ONCE])
            if not rows:
                return
            after = rows[-1][: len(capture.key)]
            mine = [row[len(capture.key) :] for row in rows]
            if buckets is not None:
                mine = [row for row in mine if bucket_of(_unicode(row[0])) in buckets]
            if mine:
                yield _frame(mine, capture)

    def look(self, capture: Capture, keys: Sequence[str]) -> Looked:
        wanted = json.dumps(keys)
        listed = "(SELECT value FROM json_each(?))"
        with self._reading():
            query = f"SELECT {_columns(capture)} FROM {name(capture.table)} AS t"
            rows = self._session.rows(f"{query} WHERE {key_of('t', capture)} IN {listed}", (wanted,))
            newest: dict[str, Newest] = {}
            if self._session.rows("SELECT 1 FROM sqlite_master WHERE name = ?", (OUTBOX,)):
                query = (
                    f"SELECT key, seq, changed_at, coalesce(after, before), max(id) FROM {OUTBOX}"
                    f" WHERE dataset = ? AND key IN {listed} GROUP BY key"
                )
                found = self._session.rows(query, (capture.dataset, wanted))
                newest = {key: Newest(seq, changed_ms, last) for key, seq, changed_ms, last, _ in found}
        return Looked(_frame(rows, capture), newest)

    def chosen(self, capture: Capture, choice: Choice, after: Sequence[Any], size: int) -> list[Chosen]:
        order = ", ".join(f"t.{name(column)}" for column in capture.key)
        behind, parameters = _behind(order, after)
        wanted = [behind, *conditions(capture, choice, key_of("t", capture), str, QUOTES)]
        query = (
            f"SELECT {key_of('t', capture)}, {order} FROM {name(capture.table)} AS t"
            f" WHERE {' AND '.join(wanted)} ORDER BY {order} LIMIT ?"
        )
        self._session.rows("PRAGMA query_only = 1")
        try:
            rows = self._session.rows(query, [*parameters, size])
        except Misunderstood as error:
            if choice.where is None:
                raise
            self.chosen(capture, replace(choice, where=None), after, size)  # raises if that is not to blame
            raise SettingsError(f"--where: {error.message}", next_step="correct the condition") from None
        finally:
            self._session.rows("PRAGMA query_only = 0")
        return [Chosen(row[0], row[1:]) for row in rows]

    def send(self, capture: Capture, keys: Sequence[str]) -> int:
        with self._session.transaction():
            rows = self._session.rows(
                f"INSERT INTO {OUTBOX} (dataset, op, key, after)"
                f" SELECT {text(capture.dataset)}, 'r', {key_of('t', capture)}, {image('t', capture)}"
                f" FROM {name(capture.table)} AS t"
                f" WHERE {key_of('t', capture)} IN (SELECT value FROM json_each(?)) RETURNING 1",
                (json.dumps(keys),),
            )
        return len(rows)

    def send_deletes(self, capture: Capture, images: Mapping[str, str]) -> int:
        with self._session.transaction():
            rows = self._session.rows(
                f"INSERT INTO {OUTBOX} (dataset, op, key, before)"
                f" SELECT {text(capture.dataset)}, 'd', j.key, j.value FROM json_each(?) AS j"
                f" WHERE NOT EXISTS (SELECT 1 FROM {name(capture.table)} AS t"
                f" WHERE {key_of('t', capture)} = j.key) RETURNING 1",
                (json.dumps(images),),
            )
        return len(rows)

    def waiting(self, newest: int) -> int:
        return waiting(self._session, newest)

    def close(self) -> None:
        self._session.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Statements that all see the same."""
        self._session.rows("BEGIN")
        try:
            yield
        finally:
            self._session.rows("COMMIT")


def waiting(session: Session, newest: int) -> int:
    """How many of the ``newest`` outbox rows wait to be published."""
    newer = f"id > (SELECT max(id) FROM {OUTBOX}) - ?"
    query = f"SELECT count(*) FROM {OUTBOX} WHERE published_at IS NULL AND {newer}"
    return int(session.rows(query, (newest,))[0][0])


def _behind(order: str, after: Sequence[Any]) -> tuple[str, list[Any]]:
    """The condition of rows behind a key, and its parameters."""
    marks, parameters = read_back(after)
    return (f"({order}) > {marks}" if after else "true"), parameters


def _columns(capture: Capture) -> str:
    columns = [
        told(f"CAST({printed('t', column, avro)} AS TEXT)", avro) for column, avro in capture.columns.items()
    ]
    return ", ".join(
        [key_of("t", capture), *columns, *(lines_of("t", one) for one in capture.lines.values())]
    )


def _unicode(value: str) -> str:
    """A text as it stands in a frame."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _frame(rows: Sequence[Row], capture: Capture) -> Frame:
    broken: dict[str, str] = {}
    texts = [list(row) for row in rows]
    schema = frame_schema(capture)
    try:
        return Frame(pl.DataFrame(texts, schema=schema, orient="row"))
    except UnicodeEncodeError:
        for row in texts:
            for at, column in enumerate(schema):
                value = row[at]
                if value is not None and not value.isascii():
                    row[at] = _unicode(value)
                    if row[at] != value:
                        broken[row[0]] = column
        return Frame(pl.DataFrame(texts, schema=schema, orient="row"), broken)
