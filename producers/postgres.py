"""The relay's port to an outbox in PostgreSQL."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

from collections.abc import Sequence
from typing import Final

from sqlalchemy import URL

from producers.outbox import Capture, Change, State, of_row
from producers.postgres_floor import Floor
from producers.postgres_lines import line_triggers
from producers.postgres_session import Session
from producers.postgres_sql import address, trigger_names
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS

#: Names the right to publish among the advisory locks of a database: "lthg" and 1.
_LEAD: Final = (0x6C746867, 1)

_SIZE: Final = "coalesce(length(before::text), 0) + coalesce(length(after::text), 0)"
_CHANGE: Final = (
    "id, dataset, op, key, before::text, after::text, (extract(epoch FROM changed_at) * 1000)::bigint, seq"
)

#: One statement, so one commit. Rows that other transactions have not committed yet are not seen; they get
#: later numbers, which is right: no row of the same key can be among them, for a change of the same key waits
#: for this one's row lock before its trigger takes an outbox id. So per key, order of id is order of commit.
_NUMBER: Final = f"""
WITH waiting AS (
  SELECT id, dataset, {_SIZE} AS size FROM {OUTBOX}
  WHERE published_at IS NULL AND seq IS NULL AND id > %s AND dataset = ANY(%s) ORDER BY id LIMIT %s
), fitting AS (
  SELECT id, dataset, sum(size) OVER earlier - size AS ahead, sum(size) OVER earlier AS total
  FROM waiting WINDOW earlier AS (ORDER BY id)
), counted AS (
  SELECT id, dataset, row_number() OVER (PARTITION BY dataset ORDER BY id) AS place
  FROM fitting WHERE total <= %s OR ahead = 0
), counter AS (
  UPDATE {DATASETS} AS d SET next_seq = d.next_seq + c.total
  FROM (SELECT dataset, max(place) AS total FROM counted GROUP BY dataset) AS c
  WHERE d.dataset = c.dataset
  RETURNING d.dataset, d.next_seq - c.total AS first
), numbered AS (
  UPDATE {OUTBOX} AS o SET seq = counter.first + counted.place - 1
  FROM counted JOIN counter USING (dataset) WHERE o.id = counted.id RETURNING o.*
)
SELECT {_CHANGE} FROM numbered ORDER BY id
"""

_PENDING: Final = f"""
WITH waiting AS (
  SELECT *, {_SIZE} AS size FROM {OUTBOX}
  WHERE published_at IS NULL AND seq IS NOT NULL AND id > %s ORDER BY id LIMIT %s
), fitting AS (
  SELECT *, sum(size) OVER earlier - size AS ahead, sum(size) OVER earlier AS total
  FROM waiting WINDOW earlier AS (ORDER BY id)
)
SELECT {_CHANGE} FROM fitting WHERE total <= %s OR ahead = 0 ORDER BY id
"""

#: Need not reach the disk before we go on: a lost mark means one repeated record.
_MARK: Final = f"""
UPDATE {OUTBOX} SET published_at = clock_timestamp()
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS lazily WHERE id = ANY(%s)
"""

_PRUNE: Final = f"""
DELETE FROM {OUTBOX}
WHERE id IN (SELECT id FROM {OUTBOX} WHERE published_at IS NOT NULL ORDER BY id LIMIT %s)
AND published_at < clock_timestamp() - make_interval(secs => %s) RETURNING id
"""

_STATES: Final = f"""
SELECT d.dataset, d.definition::text, d.captured, d.next_seq, coalesce(w.waiting, 0),
  coalesce(extract(epoch FROM clock_timestamp() - w.oldest), 0)::float8, s.finished, coalesce(s.rows, 0)
FROM {DATASETS} AS d LEFT JOIN {SNAPSHOTS} AS s USING (dataset) LEFT JOIN (
  SELECT dataset, count(*) AS waiting, min(changed_at) AS oldest FROM {OUTBOX}
  WHERE published_at IS NULL GROUP BY dataset
) AS w USING (dataset) ORDER BY d.dataset
"""


#: A table put in the place of another, under its name, has no triggers, though these stand on the other. A
#: name that this user cannot find is compared as a name: a relay need not have every right.
_NOT_IN_PLACE: Final = """
SELECT DISTINCT w.dataset
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS w(dataset, trigger, named, address)
WHERE NOT EXISTS (
  SELECT 1 FROM pg_trigger AS t
  JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE t.tgname = w.trigger AND NOT t.tgisinternal AND t.tgenabled = 'A' AND CASE
    WHEN strpos(w.named, '.') > 0 THEN n.nspname || '.' || c.relname = w.named
    ELSE coalesce(c.oid = to_regclass(w.address), c.relname = w.named) END
)
"""


class PostgresOutbox:
    """See ``Outbox``. The lead is a session's advisory lock: not for a pooler that shares sessions."""

    connector: Final = "postgresql"

    def __init__(self, url: URL) -> None:
        self._session = Session(url)
        self._floor = Floor(self._session)

    @property
    def database(self) -> str:
        return self._session.database

    def lead(self) -> bool:
        return bool(self._session.rows("SELECT pg_try_advisory_lock(%s, %s)", _LEAD)[0][0])

    def still_leads(self) -> None:
        self._session.rows("SELECT 1")

    def states(self) -> list[State]:
        return read_states(self._session)

    def number(self, datasets: Sequence[str], limit: int, characters: int) -> list[Change]:
        floor = self._floor.below(datasets)
        rows = self._session.rows(_NUMBER, (floor, list(datasets), limit, characters))
        self._floor.reached(rows[-1][0] if rows else None)
        return [of_row(row) for row in rows]

    def number_above(self, dataset: str, seq: int) -> None:
        query = f"UPDATE {DATASETS} SET next_seq = greatest(next_seq, %s) WHERE dataset = %s"
        self._session.rows(query, (seq + 1, dataset))

    def pending(self, after: int, limit: int, characters: int) -> list[Change]:
        return [of_row(row) for row in self._session.rows(_PENDING, (after, limit, characters))]

    def mark(self, ids: Sequence[int]) -> None:
        self._session.rows(_MARK, (list(ids),))

    def prune(self, days: float, limit: int) -> int:
        return len(self._session.rows(_PRUNE, (limit, days * 86_400)))

    def close(self) -> None:
        self._session.close()
        self._floor = Floor(self._session)


def read_states(session: Session) -> list[State]:
    """Every dataset captured in this database; empty if nothing was ever installed."""
    if session.rows(f"SELECT to_regclass('{DATASETS}')")[0][0] is None:
        return []
    found = session.rows(_STATES)
    captures = [Capture.from_json(dataset, definition) for dataset, definition, *_ in found]
    missing = _not_in_place(session, captures)
    states = []
    for capture, (dataset, _, captured, next_seq, waiting, oldest, finished, rows) in zip(
        captures, found, strict=True
    ):
        states.append(
            State(
                capture=capture,
                captured=captured,
                in_place=dataset not in missing,
                next_seq=next_seq,
                waiting=waiting,
                oldest_seconds=max(0.0, oldest),
                snapshot="none" if finished is None else "done" if finished else "running",
                snapshot_rows=rows,
            )
        )
    return states


def _not_in_place(session: Session, captures: Sequence[Capture]) -> set[str]:
    """The datasets of which a trigger is not enabled, or not on its table."""
    wanted = [
        (one.dataset, trigger, table, address(table))
        for one in captures
        for trigger, table in (
            *((trigger, one.table) for trigger in trigger_names(one)),
            *line_triggers(one),
        )
    ]
    columns = [list(column) for column in zip(*wanted, strict=True)]
    return {dataset for (dataset,) in session.rows(_NOT_IN_PLACE, columns)} if wanted else set()
