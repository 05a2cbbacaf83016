"""Changes that cannot be published as they are: kept, told, and tried again; all other keys flow.

Publishing a later change of the same key would let it overtake, so it waits behind. Many such rows mean that
something is wrong with the dataset as a whole: then the dataset halts, and other datasets go on.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from producers.outbox import Change

logger = structlog.get_logger(__name__)

#: So many rows of one dataset may wait behind parked keys before it halts; they are read again at each try.
MOST_ROWS: Final = 1000
_MOST_TOLD: Final = 20  #: of one dataset, one by one; a flood of them would say no more

#: Rule -> what is wrong, and what to do.
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "column_missing": (
        "the table no longer has this column",
        "restore the column, or correct the contract; then run lienthong capture install --snapshot",
    ),
    "type_mismatch": (
        "the value is not of the contract's type",
        "give the column the type string in the contract, which holds every value, and run contracts register"
        " and capture install; then restart the relay",
    ),
    "utf8_invalid": (
        "the text is not UTF-8",
        "convert the agency's database to UTF-8",
    ),
    "image_unreadable": (
        "the outbox row is not readable",
        "report it with the version of the agency's database",
    ),
    "record_too_large": (
        "the topic refuses a record of this size",
        "raise max.message.bytes of the topic; the record goes out by itself within a minute",
    ),
}


@dataclass
class Parking:
    """What is parked now. Kept in memory only: after a restart it is found out anew from the outbox."""

    rows: Counter[str] = field(default_factory=Counter)  #: dataset -> rows that wait here
    _keys: set[tuple[str, str]] = field(default_factory=set)
    _told: dict[str, set[int]] = field(default_factory=dict)

    def holds(self, change: Change) -> bool:
        """Whether this change waits behind a parked one; if so it is counted."""
        if (change.dataset, change.key) not in self._keys and not self.is_halted(change.dataset):
            return False
        self._count(change.dataset)
        return True

    def park(self, change: Change, rule: str, place: str) -> None:
        """Keep a change that was refused. ``place`` is a column or a size, never a value."""
        self._keys.add((change.dataset, change.key))
        told = self._told.setdefault(change.dataset, set())
        if change.seq not in told and len(told) < _MOST_TOLD:
            told.add(change.seq)
            text, next_step = REASONS[rule]
            logger.error(
                "a change cannot be published; it waits, and later changes of its key behind it",
                dataset=change.dataset,
                seq=change.seq,
                place=place,
                rule=rule,
                why=text,
                next_step=next_step,
            )
        self._count(change.dataset)

    def is_halted(self, dataset: str) -> bool:
        """Whether nothing more of this dataset is published for now."""
        return self.rows[dataset] >= MOST_ROWS

    def clear(self) -> bool:
        """Let everything be tried again; True if something was parked."""
        if not self._keys:
            self._told.clear()  # all went out at the last try
            return False
        self._keys.clear()
        self.rows.clear()
        return True

    def _count(self, dataset: str) -> None:
        self.rows[dataset] += 1
        if self.rows[dataset] == MOST_ROWS:
            logger.error(
                "a dataset halts, for too many of its changes cannot be published; others go on",
                dataset=dataset,
                changes=MOST_ROWS,
                next_step="correct what the lines before this one name",
            )
