"""The installer's port to an agency's SQLite file: inspect a table, put triggers on it, take a snapshot."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from sqlalchemy import URL

from producers.outbox import Capture, Column, Shape, State
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS, begin_anew, name, text
from producers.sqlite import read_states
from producers.sqlite_lines import drop_lines, line_statements
from producers.sqlite_rows import waiting
from producers.sqlite_session import Session
from producers.sqlite_sql import (
    completion_statement,
    drop_statements,
    image,
    key_of,
    lacking,
    outbox_statements,
    read_back,
    remember_statement,
    trigger_statements,
)

#: A column of SQLite holds any value whatever it was declared; what does not fit is told by the relay.
_ANY: Final = frozenset({"string", "long", "double", "boolean"})

#: Nobody else can write while a chunk is written: kept short.
_MOST_ROWS: Final = 500


class SqliteSite:
    """See ``Site``."""

    def __init__(self, url: URL) -> None:
        self._session = Session(url)

    def inspect(self, table: str) -> Shape | None:
        found = self._session.rows("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,))
        if not found:
            return None
        kind, sql = found[0]
        obstacle = ""
        if kind != "table" or str(sql).upper().startswith("CREATE VIRTUAL"):
            obstacle = "is not a table (a view or virtual table has no triggers after a change)"
        columns = {
            row[1]: Column(declared=row[2] or "any", feeds=_ANY)
            for row in self._session.rows("SELECT * FROM pragma_table_xinfo(?)", (table,))
        }
        indexes, notes = self._unique_indexes(table)
        sets = [frozenset(index) for index in indexes]
        unique = tuple(one for one in sets if not self._has_null(table, one)) if not obstacle else ()
        listed = "SELECT i.name FROM pragma_index_list(?) AS x, pragma_index_info(x.name) AS i"
        rows = self._session.rows(f"{listed} WHERE i.seqno = 0 AND NOT x.partial", (table,))
        indexed = frozenset(
            [*(row[0] for row in rows), *(next(iter(one)) for one in indexes if len(one) == 1)]
        )
        return Shape(columns=columns, unique=unique, indexed=indexed, obstacle=obstacle, notes=tuple(notes))

    def needed(self, capture: Capture) -> list[str]:
        statements, digest = self._triggers(capture)
        completion = [completion_statement(capture)] if self.lacking(capture) else []
        if self._is_in_place(capture, digest):
            return completion
        before = [s.capture for s in self.states() if s.capture.dataset == capture.dataset]
        gone = [statement for one in before for statement in (*drop_lines(one), *drop_statements(one))]
        anew = begin_anew(capture.dataset, SNAPSHOTS)
        remembered = remember_statement(capture, digest)
        return [*outbox_statements(), *gone, *statements, anew, remembered, *completion]

    def outdated(self, capture: Capture) -> bool:
        return not self._is_in_place(capture, self._triggers(capture)[1])

    def _triggers(self, capture: Capture) -> tuple[list[str], str]:
        """The statements that make a dataset's triggers, and their fingerprint."""
        indexes, _ = self._unique_indexes(capture.table)
        of_lines = {which: self._unique_indexes(one.table)[0] for which, one in capture.lines.items()}
        statements = [*trigger_statements(capture, indexes), *line_statements(capture, of_lines)]
        return statements, sha256("\n".join([capture.to_json(), *statements]).encode()).hexdigest()

    def lacking(self, capture: Capture) -> int:
        if not self._session.rows("SELECT 1 FROM sqlite_master WHERE name = ?", (OUTBOX,)):
            return 0
        return int(self._session.rows(f"SELECT count(*) FROM {lacking(capture)}")[0][0])

    def removal(self, capture: Capture) -> list[str]:
        noted = f"UPDATE {DATASETS} SET captured = 0 WHERE dataset = {text(capture.dataset)}"
        return [*drop_lines(capture), *drop_statements(capture), noted]

    def run(self, statements: Sequence[str]) -> None:
        with self._session.transaction():
            for statement in statements:
                self._session.rows(statement)

    def states(self) -> list[State]:
        return read_states(self._session)

    def begin_snapshot(self, capture: Capture) -> int:
        query = (
            f"INSERT INTO {SNAPSHOTS} (dataset, after_key, rows, finished) VALUES (?, NULL, 0, 0)"
            " ON CONFLICT (dataset) DO UPDATE SET finished = 0,"
            " after_key = CASE WHEN finished THEN NULL ELSE after_key END,"
            " rows = CASE WHEN finished THEN 0 ELSE rows END RETURNING rows"
        )
        return int(self._session.rows(query, (capture.dataset,))[0][0])

    def snapshot_chunk(self, capture: Capture, size: int) -> int | None:
        keys = [f"t.{name(column)}" for column in capture.key]
        columns, order = f"({', '.join(keys)})", ", ".join(keys)
        source = f"{name(capture.table)} AS t"
        with self._session.transaction():
            query = f"SELECT after_key FROM {SNAPSHOTS} WHERE dataset = ? AND NOT finished"
            begun = self._session.rows(query, (capture.dataset,))
            if not begun:
                return None
            last = json.loads(begun[0][0], object_hook=_blob) if begun[0][0] else []
            marks, passed = read_back(last)
            behind = f"{columns} > {marks}" if last else "true"
            upto = self._session.rows(
                f"SELECT {order} FROM {source} WHERE {behind} ORDER BY {order} LIMIT ?",
                [*passed, min(size, _MOST_ROWS)],
            )
            if not upto:
                query = f"UPDATE {SNAPSHOTS} SET finished = 1, after_key = NULL WHERE dataset = ?"
                self._session.rows(query, (capture.dataset,))
                return None
            marks, end = read_back(upto[-1])
            written = self._session.rows(
                f"INSERT INTO {OUTBOX} (dataset, op, key, after)"
                f" SELECT {text(capture.dataset)}, 'r', {key_of('t', capture)}, {image('t', capture)}"
                f" FROM {source} WHERE {behind} AND {columns} <= {marks} ORDER BY {order} RETURNING 1",
                [*passed, *end],
            )
            query = f"UPDATE {SNAPSHOTS} SET after_key = ?, rows = rows + ? WHERE dataset = ?"
            last = json.dumps(upto[-1], default=_blob_as_json)
            self._session.rows(query, (last, len(written), capture.dataset))
        return len(written)

    def waiting(self, newest: int) -> int:
        return waiting(self._session, newest)

    def now_ms(self) -> int:
        query = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS integer)"
        return int(self._session.rows(query)[0][0])

    def close(self) -> None:
        self._session.close()

    def _unique_indexes(self, table: str) -> tuple[list[dict[str, str]], list[str]]:
        """Each unique index, the primary key too, as column -> collation; and what to tell about others."""
        rows = self._session.rows("SELECT name, pk FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
        indexes = [{column: "BINARY" for column, _ in rows}] if len(rows) == 1 else []
        notes = []
        listed = 'SELECT name FROM pragma_index_list(?) WHERE "unique" ORDER BY seq'
        for (index,) in self._session.rows(listed, (table,)):
            query = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
            parts = self._session.rows(query, (index,))
            if any(column is None for column, _ in parts):
                notes.append(f"rows replaced through {index}, an index on an expression, are not seen")
            elif dict(parts) not in indexes:
                indexes.append(dict(parts))
        return indexes, notes

    def _has_null(self, table: str, columns: frozenset[str]) -> bool:
        empty = " OR ".join(f"{name(column)} IS NULL" for column in columns)
        return bool(self._session.rows(f"SELECT 1 FROM {name(table)} WHERE {empty} LIMIT 1"))

    def _is_in_place(self, capture: Capture, digest: str) -> bool:
        if not any(s.capture.dataset == capture.dataset and s.captured and s.in_place for s in self.states()):
            return False
        query = f"SELECT sql_sha256 FROM {DATASETS} WHERE dataset = ?"
        return self._session.rows(query, (capture.dataset,)) == [(digest,)]


def _blob_as_json(value: bytes) -> dict[str, str]:
    """A part of a key that JSON has no word for; see ``_blob``."""
    return {"hex": value.hex()}


def _blob(stored: dict[str, str]) -> bytes:
    return bytes.fromhex(stored["hex"])
