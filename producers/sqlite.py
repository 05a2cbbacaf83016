"""The relay's port to an outbox in SQLite."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

from sqlalchemy import URL

from producers.outbox import Capture, Change, State, of_row
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS
from producers.sqlite_lines import line_triggers
from producers.sqlite_session import Lead, Session
from producers.sqlite_sql import trigger_names

_CHANGE: Final = "id, dataset, op, key, before, after, changed_at, seq"


def _fitting(where: str) -> str:
    """The first rows in order of id: parameters of ``where``, most rows, most characters (but one row)."""
    size = "coalesce(length(before), 0) + coalesce(length(after), 0)"
    return f"""
SELECT {_CHANGE} FROM (
  SELECT *, sum(size) OVER earlier - size AS ahead, sum(size) OVER earlier AS total
  FROM (SELECT *, {size} AS size FROM {OUTBOX} {where} ORDER BY id LIMIT ?) WINDOW earlier AS (ORDER BY id)
) WHERE total <= ? OR ahead = 0 ORDER BY id
"""


_UNNUMBERED: Final = (
    f"INDEXED BY {OUTBOX}_unnumbered WHERE seq IS NULL AND dataset IN (SELECT value FROM json_each(?))"
)
_PENDING: Final = "WHERE published_at IS NULL AND seq IS NOT NULL AND id > ?"
_MARK: Final = f"UPDATE {OUTBOX} SET published_at = ? WHERE id IN (SELECT value FROM json_each(?))"
_OLDEST: Final = f"SELECT id FROM {OUTBOX} WHERE published_at IS NOT NULL ORDER BY id LIMIT ?"
_PRUNE: Final = f"""
DELETE FROM {OUTBOX} WHERE published_at < ? AND id IN (SELECT value FROM json_each(?)) RETURNING id
"""
_STATES: Final = f"""
SELECT d.dataset, d.definition, d.captured, d.next_seq, coalesce(w.waiting, 0), w.oldest, s.finished,
  coalesce(s.rows, 0)
FROM {DATASETS} AS d LEFT JOIN {SNAPSHOTS} AS s USING (dataset) LEFT JOIN (
  SELECT dataset, count(*) AS waiting, min(changed_at) AS oldest FROM {OUTBOX}
  WHERE published_at IS NULL GROUP BY dataset
) AS w USING (dataset) ORDER BY d.dataset
"""


class SqliteOutbox:
    """See ``Outbox``. One writer at a time writes an SQLite file, so order of id is order of commit."""

    connector: Final = "sqlite"

    def __init__(self, url: URL) -> None:
        self._session = Session(url)
        self._lead = Lead(self._session.path)

    @property
    def database(self) -> str:
        return self._session.database

    def lead(self) -> bool:
        self._session.rows("SELECT 1")  # tells that the file is there before a lock file is made beside it
        return self._lead.take()

    def still_leads(self) -> None:
        """A lock on a file is lost with the process only."""

    def states(self) -> list[State]:
        return read_states(self._session)

    def number(self, datasets: Sequence[str], limit: int, characters: int) -> list[Change]:
        wanted = json.dumps(datasets)
        # Looked at without a write lock first: an idle relay must not stand in the clerks' way.
        if not self._session.rows(f"SELECT 1 FROM {OUTBOX} {_UNNUMBERED} LIMIT 1", (wanted,)):
            return []
        numbered = []
        with self._session.transaction():
            found = [
                of_row(row) for row in self._session.rows(_fitting(_UNNUMBERED), (wanted, limit, characters))
            ]
            for dataset, count in Counter(change.dataset for change in found).items():
                query = (
                    f"UPDATE {DATASETS} SET next_seq = next_seq + ? WHERE dataset = ? RETURNING next_seq - ?"
                )
                first = self._session.rows(query, (count, dataset, count))[0][0]
                mine = [change for change in found if change.dataset == dataset]
                numbered += [replace(change, seq=seq) for seq, change in enumerate(mine, first)]
            self._session.rows(
                f"UPDATE {OUTBOX} SET seq = n.value ->> 1 FROM json_each(?) AS n"
                f" WHERE {OUTBOX}.id = n.value ->> 0",
                (json.dumps([[change.id, change.seq] for change in numbered]),),
            )
        return sorted(numbered, key=attrgetter("id"))

    def number_above(self, dataset: str, seq: int) -> None:
        query = f"UPDATE {DATASETS} SET next_seq = max(next_seq, ?) WHERE dataset = ?"
        self._session.rows(query, (seq + 1, dataset))

    def pending(self, after: int, limit: int, characters: int) -> list[Change]:
        return [of_row(row) for row in self._session.rows(_fitting(_PENDING), (after, limit, characters))]

    def mark(self, ids: Sequence[int]) -> None:
        self._session.rows(_MARK, (_now_ms(), json.dumps(ids)))

    def prune(self, days: float, limit: int) -> int:
        before = _now_ms() - int(days * 86_400_000)
        # Looked for first, without a lock: there may be many before them that are never published.
        oldest = [id_ for (id_,) in self._session.rows(_OLDEST, (limit,))]
        return len(self._session.rows(_PRUNE, (before, json.dumps(oldest)))) if oldest else 0

    def close(self) -> None:
        self._session.close()
        self._lead.give_up()


def read_states(session: Session) -> list[State]:
    """Every dataset captured in this file; empty if nothing was ever installed."""
    if not session.rows("SELECT 1 FROM sqlite_master WHERE name = ?", (DATASETS,)):
        return []
    # With their tables: a table that was put in the place of another has none.
    found = session.rows("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
    there = {(trigger, table.lower()) for trigger, table in found}
    now = _now_ms()
    return [
        State(
            capture=(capture := Capture.from_json(dataset, definition)),
            captured=bool(captured),
            in_place=there.issuperset(_triggers(capture)),
            next_seq=next_seq,
            waiting=waiting,
            oldest_seconds=0.0 if oldest is None else max(0.0, (now - oldest) / 1000),
            snapshot="none" if finished is None else "done" if finished else "running",
            snapshot_rows=rows,
        )
        for dataset, definition, captured, next_seq, waiting, oldest, finished, rows in session.rows(_STATES)
    ]


def _triggers(capture: Capture) -> list[tuple[str, str]]:
    """Each trigger's name and its table's, which SQLite lets people write in large or small letters."""
    every = [*((one, capture.table) for one in trigger_names(capture)), *line_triggers(capture)]
    return [(trigger, table.lower()) for trigger, table in every]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
