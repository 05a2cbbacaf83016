"""The installer's port to an agency's PostgreSQL: inspect a table, put triggers on it, take a snapshot."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from sqlalchemy import URL

from producers.outbox import Capture, Column, Shape, State
from producers.postgres import read_states
from producers.postgres_lines import Place, line_removal, line_statements
from producers.postgres_rows import briefly, key_types, resolved, source, waiting, write_rows
from producers.postgres_session import Session
from producers.postgres_sql import (
    address,
    after_key,
    completion_statement,
    forget_statements,
    lacking,
    outbox_statements,
    remember_statement,
    removal,
    trigger_statements,
)
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS, begin_anew, name

_FOUND: Final = """
SELECT n.nspname, c.relname, c.relkind, row_security_active(c.oid),
  EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = c.oid)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)
"""

_COLUMNS: Final = """
SELECT a.attname, format_type(t.oid, a.atttypmod), a.attnotnull, format_type(b.oid, NULL),
  CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
  coalesce(to_jsonb(a) ->> 'attgenerated' = 'v', false)
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

#: Deferrable ones do not count: with them, a key can be given anew before its old holder has committed.
_UNIQUE: Final = """
SELECT array_agg(a.attname::text) FROM pg_index AS x
JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = ANY(x.indkey[0:x.indnkeyatts - 1])
WHERE x.indrelid = to_regclass(%s) AND x.indisunique AND x.indisvalid AND x.indimmediate
  AND x.indpred IS NULL AND x.indexprs IS NULL
GROUP BY x.indexrelid HAVING bool_and(a.attnotnull)
"""

#: The first column of each index that holds every row.
_INDEXED: Final = """
SELECT a.attname FROM pg_index AS x
JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
WHERE x.indrelid = to_regclass(%s) AND x.indisvalid AND x.indpred IS NULL
"""

_FEEDS: Final = {
    "smallint": {"long"},
    "integer": {"long"},
    "bigint": {"long"},
    "real": {"double"},
    "double precision": {"double"},
    "boolean": {"boolean"},
}


class PostgresSite:
    """See ``Site``."""

    def __init__(self, url: URL) -> None:
        self._session = Session(url)

    def inspect(self, table: str) -> Shape | None:
        where = (address(table),)
        found = self._session.rows(_FOUND, where)
        if not found:
            return None
        _, _, kind, guarded, divided = found[0]
        columns, unique = {}, []
        for column, declared, _, base, modifier, virtual in self._session.rows(_COLUMNS, where):
            feeds = {"string", *_FEEDS.get(base, ())}
            if base == "numeric" and modifier >= 4 and (modifier - 4) & 0x7FF == 0:
                feeds.add("long")  # numeric(p, 0): the scale is in the low bits of the type modifier
            if virtual:
                feeds = set()  # null in every row that a trigger is given
            columns[column] = Column(declared=declared, feeds=frozenset(feeds))
        for (names,) in self._session.rows(_UNIQUE, where):
            unique.append(frozenset(names))
        obstacle, notes = "", []
        if kind not in "rp":
            obstacle = "is not a table (a view has no changes of its own)"
        elif guarded:
            obstacle = "shows this user only some of its rows (row level security)"
        if kind == "p":
            text = "a partition that is truncated, attached or detached by itself is not seen"
            notes.append(f"{text}; nor are lines that are changed in it directly")
        elif divided:
            notes.append("rows of tables that inherit from it are not captured")
        indexed = frozenset(column for (column,) in self._session.rows(_INDEXED, where))
        return Shape(
            columns=columns, unique=tuple(unique), indexed=indexed, obstacle=obstacle, notes=tuple(notes)
        )

    def needed(self, capture: Capture) -> list[str]:
        schema = self._schema()
        statements, digest = self._triggers(capture, schema)
        completion = [completion_statement(capture, schema)] if self.lacking(capture) else []
        if self._is_in_place(capture, digest):
            return completion
        before = [s.capture for s in self.states() if s.capture.dataset == capture.dataset]
        gone = [drop for one in before for drop in (*line_removal(one, schema), removal(one, schema))]
        anew = begin_anew(capture.dataset, f"{name(schema)}.{name(SNAPSHOTS)}")
        remembered = remember_statement(capture, schema, digest)
        return [*outbox_statements(schema), *gone, *statements, anew, remembered, *completion]

    def outdated(self, capture: Capture) -> bool:
        return not self._is_in_place(capture, self._triggers(capture, self._schema())[1])

    def _triggers(self, capture: Capture, schema: str) -> tuple[list[str], str]:
        """The statements that make a dataset's triggers, and their fingerprint."""
        table, only = resolved(self._session, capture.table)
        lines = {which: resolved(self._session, one.table) for which, one in capture.lines.items()}
        sources = {which: f"{only} {table}" for which, (table, only) in lines.items()}
        place = Place(
            schema=schema,
            record=f"{only} {table}",
            lines={which: table for which, (table, _) in lines.items()},
            sources=sources,
        )
        statements = trigger_statements(capture, schema, table, only=only, sources=sources)
        statements += line_statements(capture, place)
        return statements, sha256("\n".join([capture.to_json(), *statements]).encode()).hexdigest()

    def lacking(self, capture: Capture) -> int:
        if self._session.rows(f"SELECT to_regclass('{OUTBOX}')")[0][0] is None:
            return 0
        return int(self._session.rows(f"SELECT count(*) FROM {lacking(capture, self._schema())}")[0][0])

    def removal(self, capture: Capture) -> list[str]:
        schema = self._schema()
        noted = forget_statements(capture, schema)
        return [*line_removal(capture, schema), removal(capture, schema), *noted]

    def run(self, statements: Sequence[str]) -> None:
        with self._session.transaction():
            for statement in statements:
                self._session.rows(statement)

    def states(self) -> list[State]:
        return read_states(self._session)

    def begin_snapshot(self, capture: Capture) -> int:
        query = (
            f"INSERT INTO {SNAPSHOTS} AS s (dataset, after_key, rows, finished) VALUES (%s, NULL, 0, false)"
            " ON CONFLICT (dataset) DO UPDATE SET finished = false,"
            " after_key = CASE WHEN s.finished THEN NULL ELSE s.after_key END,"
            " rows = CASE WHEN s.finished THEN 0 ELSE s.rows END RETURNING rows"
        )
        return int(self._session.rows(query, (capture.dataset,))[0][0])

    def snapshot_chunk(self, capture: Capture, size: int) -> int | None:
        table = source(self._session, capture)
        with briefly(self._session):
            query = f"SELECT after_key FROM {SNAPSHOTS} WHERE dataset = %s AND NOT finished FOR UPDATE"
            begun = self._session.rows(query, (capture.dataset,))
            if not begun:
                return None
            types = key_types(self._session, capture)
            behind = after_key("t", types, ">", begun[0][0]) if begun[0][0] else "true"
            listed = ", ".join(f"t.{name(column)}::text" for column in types)
            order = ", ".join(f"t.{name(column)}" for column in types)
            upto = self._session.rows(
                f"SELECT {listed} FROM (SELECT * FROM {table} WHERE {behind} ORDER BY {order} LIMIT {size})"
                f" AS t ORDER BY {order.replace(', t.', ' DESC, t.')} DESC LIMIT 1"
            )
            if not upto:
                query = f"UPDATE {SNAPSHOTS} SET finished = true, after_key = NULL WHERE dataset = %s"
                self._session.rows(query, (capture.dataset,))
                return None
            within = f"{behind} AND {after_key('t', types, '<=', upto[0])}"
            written = write_rows(self._session, capture, within)
            query = f"UPDATE {SNAPSHOTS} SET after_key = %s, rows = rows + %s WHERE dataset = %s"
            self._session.rows(query, (json.dumps(upto[0]), written, capture.dataset))
        return written

    def waiting(self, newest: int) -> int:
        return waiting(self._session, newest)

    def now_ms(self) -> int:
        query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        return int(self._session.rows(query)[0][0])

    def close(self) -> None:
        self._session.close()

    def _schema(self) -> str:
        return str(self._session.rows("SELECT current_schema()")[0][0])

    def _is_in_place(self, capture: Capture, digest: str) -> bool:
        if not any(s.capture.dataset == capture.dataset and s.captured and s.in_place for s in self.states()):
            return False
        query = f"SELECT sql_sha256 FROM {DATASETS} WHERE dataset = %s"
        return bool(self._session.rows(query, (capture.dataset,)) == [(digest,)])
