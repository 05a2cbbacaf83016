"""Where every dataset stands in the store, for the orphan index; and the index of past days."""

from collections.abc import Mapping
from datetime import date
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from consumers import ddl
from consumers.orphans import Seen
from consumers.ranges import Ranges
from consumers.store_part import StorePart

#: What was seen, by system, dataset and full id of the format.
Standing = Mapping[tuple[str, str, str], Seen]
#: By system: the index of past days, the oldest first. A day on which nobody looked has none.
History = Mapping[str, list[tuple[date, int]]]


class StandingStore(Protocol):
    """The part of a store that the orphan index needs. Errors as of ``NationalStore``."""

    def standing(self) -> Standing:
        """What the store says of each dataset in each format that it was ever asked to keep of it."""

    def note_indices(self, day: date, values: Mapping[str, int]) -> None:
        """Keep the index of these systems for a day, in place of an earlier one of that day."""

    def indices(self, since: date) -> History:
        """The values kept of a day and those after it."""


class StandingReadings(StorePart):
    """A ``StandingStore`` in SQL, alike on PostgreSQL and SQLite."""

    def standing(self) -> Standing:
        receipt, reject, parked, gap = ddl.receipt.c, ddl.reject.c, ddl.parked.c, ddl.gap.c
        count = sa.func.count()
        applied = sa.select(
            receipt.system,
            receipt.dataset,
            receipt.format,
            sa.func.max(receipt.at, type_=ddl.Moment()).filter(receipt.outcome == "applied"),
        ).where(receipt.seqs != "")
        open_rejects = sa.select(reject.system, reject.dataset, count).where(reject.became.is_(None))
        waiting = sa.select(parked.system, parked.dataset, count)
        with self._transaction() as connection:
            last = list(connection.execute(applied.group_by(receipt.system, receipt.dataset, receipt.format)))
            rejected = _counts(connection, open_rejects.group_by(reject.system, reject.dataset))
            behind = _counts(connection, waiting.group_by(parked.system, parked.dataset))
            never = {
                (system, dataset): len(Ranges.parse([seqs]))
                for system, dataset, seqs in connection.execute(sa.select(gap.system, gap.dataset, gap.seqs))
            }
        return {
            (system, dataset, full_id): Seen(
                applied_at=at,
                rejected=rejected.get((system, dataset), 0),
                parked=behind.get((system, dataset), 0),
                missing=never.get((system, dataset), 0),
            )
            for system, dataset, full_id, at in last
        }

    def note_indices(self, day: date, values: Mapping[str, int]) -> None:
        rows = [{"day": day.isoformat(), "system": system, "value": n} for system, n in values.items()]
        if not rows:
            return
        with self._transaction() as connection:
            insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(ddl.orphan_index)
            again = insert.on_conflict_do_update(
                index_elements=["day", "system"], set_={"value": insert.excluded.value}
            )
            connection.execute(again, rows)

    def indices(self, since: date) -> History:
        c = ddl.orphan_index.c
        query = sa.select(c.day, c.system, c.value).where(c.day >= since.isoformat()).order_by(c.day)
        found: dict[str, list[tuple[date, int]]] = {}
        with self._transaction() as connection:
            for day, system, value in connection.execute(query):
                found.setdefault(system, []).append((date.fromisoformat(day), value))
        return found


def _counts(connection: sa.Connection, query: sa.Select[*tuple[str, str, int]]) -> dict[tuple[str, str], int]:
    return {(system, dataset): how_many for system, dataset, how_many in connection.execute(query)}
