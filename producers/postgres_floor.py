"""Where to begin to look for rows without a number.

Rows that were published leave dead entries behind in the index of waiting ones. While somebody holds an old
snapshot (a backup may do so for hours) PostgreSQL cannot remove them, and each look would read them all: with
60,000 of them 40 to 350 ms, a hundred times a second. So a look begins above the ids that are settled.

An id is not settled when a higher one was seen: its transaction may commit later. It is, when every
transaction is over that was running when the id was the newest; those that only read do not count.
"""

from collections.abc import Sequence
from time import monotonic

from producers.postgres_session import Session
from producers.sql import OUTBOX

_EVERY_SECONDS = 1.0
#: Before it gave an id, the sequence's ``last_value`` is the one that it will give first.
_NEWEST = f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {OUTBOX}_id_seq"  # noqa: S608


class Floor:
    """Belongs to one connection and its one numbering thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._datasets: frozenset[str] = frozenset()
        self._floor = 0
        self._settled = 0  #: no transaction can still commit a row with such an id, or a lower one
        self._candidate: tuple[int, int] | None = None  #: an id, and a transaction id taken after it
        self._moved = True
        self._due = 0.0

    def below(self, datasets: Sequence[str]) -> int:
        """No row of these datasets at this id or below is without a number, nor ever will be."""
        if frozenset(datasets) != self._datasets:
            self._datasets = frozenset(datasets)
            self._floor = 0
        if monotonic() >= self._due:
            self._due = monotonic() + _EVERY_SECONDS
            self._settle()
        return self._floor

    def reached(self, last: int | None) -> None:
        """All rows up to the id ``last`` that were committed have numbers now; None: all rows."""
        self._moved |= last is not None
        self._floor = max(self._floor, self._settled if last is None else min(self._settled, last))

    def _settle(self) -> None:
        if self._candidate is not None:
            newest, first_after = self._candidate
            # Everything that runs has this transaction id or a higher one. (The snapshot's xmax would not do
            # for first_after: it follows the last transaction that ended, and younger ones may be running.)
            query = "SELECT txid_snapshot_xmin(txid_current_snapshot())"
            if self._session.rows(query)[0][0] < first_after:
                return
            self._settled, self._candidate = newest, None
        if self._moved:
            # In this order: whoever took an id up to this one has a lower transaction id than we take now.
            newest = self._session.rows(_NEWEST)[0][0]
            self._candidate = (newest, self._session.rows("SELECT txid_current()")[0][0])
            self._moved = False
