"""The port of repairs: rejects as work. What is asked for them, by whom and why; and how it is done.

A person asks with a row, never with a message: the worker that owns the reject's partition sees it and acts,
so that nothing overtakes anything and a worker that lost the partition cannot interfere.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from consumers.auditing import AuditStore
from consumers.ranges import Ranges
from consumers.receipts import Parked, Receipt, Reject, RejectRow
from consumers.standing import StandingStore
from consumers.store import NationalStore, Position, Slice
from consumers.trace_readings import TraceStore

#: ``retry``: translate it again, as corrected if it was, and then what waits behind it. ``drop``: refuse it
#: for good and let go what waits. ``supersede``: try the newest change that waits, alone.
Asked = Literal["retry", "drop", "supersede"]

#: What a reject ended as. ``again``: rejected once more, for the cause that a newer reject tells. ``sent``: a
#: national record, published once more.
Became = Literal["mended", "dropped", "superseded", "again", "sent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Open rejects; what is not told does not narrow them."""

    system: str | None = None
    dataset: str | None = None
    rule: str | None = None
    field: str | None = None
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Open rejects that one rule refused in one field."""

    dataset: str
    rule: str
    field: str
    how_many: int
    parked: int  #: changes that wait behind them
    asked: int  #: of the rejects, those that something is asked for already
    oldest: datetime
    example: int  #: id of the newest of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One line of the audit log."""

    at: datetime
    who: str
    action: str  #: reveal, fix, retry, drop, supersede, accept_loss
    why: str
    detail: str  #: names, never values


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A source that is paused because most of its changes were refused."""

    system: str
    dataset: str
    at: datetime
    rule: str  #: the most frequent cause
    field: str
    detail: str  #: counts, in no language: refused changes, a slash, late changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A reject that something is asked for, with what waits behind it."""

    id: int
    asked: Asked
    reject: Reject  #: ``original`` as corrected
    #: As it was read; with ``asked`` it tells whether a person has asked for something else since.
    correction: bytes | None = dataclasses.field(repr=False)
    parked: Sequence[tuple[int, Parked]]  #: with their ids, in order; of ``supersede`` the newest only
    passed: Sequence[tuple[int, int | None]] = ()  #: ids and numbers of those that ``supersede`` passes over
    more: bool = False  #: more wait than are told; asked for again once these are done


@dataclass(frozen=True, slots=True, kw_only=True)
class Mend:
    """What became of one piece of work."""

    work: Work
    became: Became | None  #: None: rejected for the same cause, or not finished
    done: Sequence[int]  #: ids of parked changes that wait no longer
    again: Reject | None = dataclasses.field(default=None, repr=False)  #: what is refused now; the rest waits
    superseded: Sequence[int] = ()  #: numbers to be answered as superseded


class RepairStore(NationalStore, StandingStore, AuditStore, TraceStore, Protocol):
    """A national store whose rejects can be worked on. Errors as of ``NationalStore``."""

    # --- for people ----------------------------------------------------------------------------------

    def causes(self, system: str, dataset: str | None = None) -> list[Cause]:
        """Open rejects by dataset, rule and field, the most frequent first."""

    def open_rejects(self, which: Which, *, limit: int = 1000, after: int = 0) -> list[RejectRow]:
        """Open rejects, by id: at most ``limit``, behind the id ``after``."""

    def reject(self, number: int) -> RejectRow | None:
        """One reject, open or not."""

    def waiting(self, ids: Sequence[int]) -> dict[int, int]:
        """How many changes wait behind each of these rejects; those with none are left out."""

    def behind(self, number: int) -> list[Parked]:
        """The changes that wait behind a reject, in order."""

    def deeds(self, number: int) -> list[Deed]:
        """What people did with a reject, in order."""

    def ask(self, which: Which, asked: Asked, *, who: str, why: str) -> int:
        """Ask for open rejects; how many there were. Each gets a line in the audit log.

        ``supersede`` concerns only those with something behind them; a ``drop`` of one that blocks nothing
        is done at once.
        """

    def correct(self, number: int, value: bytes, *, who: str, why: str, detail: str) -> bool:
        """Keep a corrected record beside an open reject and ask for it; False if it is not open."""

    def revealed(self, number: int, *, who: str, why: str) -> None:
        """Note in the audit log that somebody is shown the values of a reject; to be called before."""

    # --- the flood breaker ---------------------------------------------------------------------------

    def open_breaker(
        self,
        deployment: str,
        system: str,
        dataset: str,
        *,
        rule: str,
        field: str,
        detail: str,
        formats: Sequence[str],
    ) -> None:
        """Pause a source, and have its publisher told by a receipt ``paused``. Nothing if it is paused."""

    def close_breaker(self, deployment: str, system: str, dataset: str, *, formats: Sequence[str]) -> bool:
        """Let a source flow again; its publisher gets a receipt ``resumed``. False if it is not paused."""

    def breakers(self, deployment: str) -> list[Breaker]:
        """The sources paused now."""

    # --- numbers that never arrived ------------------------------------------------------------------

    def note_gaps(self, system: str, dataset: str, missing: Ranges) -> Ranges:
        """Remember which numbers of a dataset never arrived; those noted before are given back."""

    def gaps(self, system: str, dataset: str) -> Ranges:
        """Numbers of a dataset that had not arrived when somebody last looked."""

    # --- for the worker that owns the partitions -----------------------------------------------------

    def ask_again(
        self, deployment: str, positions: Sequence[Position], libraries: Mapping[str, str]
    ) -> dict[str, int]:
        """Ask to retry all heads of these partitions that another library than the topic's refused.

        Args:
            libraries: the fingerprint that each topic's records are translated with now.

        Returns how many were asked for, of each topic with some.
        """

    def ask_unread_again(self, topics: Sequence[str], schema_ids: Sequence[int]) -> int:
        """Ask to send again what of national topics was refused because these schemas were not known.

        Returns how many records were asked for.
        """

    def asked(self, deployment: str) -> list[Position]:
        """The partitions where something is asked for, whoever holds them."""

    def work(self, deployment: str, position: Position, *, heads: int, changes: int) -> list[Work]:
        """What is asked for in one partition, the oldest first: about so many rejects and changes at once."""

    def mend(
        self,
        deployment: str,
        held: Slice,
        mends: Sequence[Mend],
        *,
        formats: Sequence[str],
        receipts: Sequence[Receipt] = (),
    ) -> Sequence[Mend]:
        """Write what became of work, in one transaction with the (unmoved) step of its partition.

        ``receipts``: of changes that were answered without the store, also of those that are left.

        Returns those written. A reject that was corrected, or for which something else was asked, since its
        work was given out is left as it is with all that waits behind it: it is work again.

        Raises ``Fenced`` if the partition was claimed anew; then nothing was written.
        """

    def resend(self, topics: Sequence[str], limit: int, send: Callable[[Sequence[RejectRow]], None]) -> int:
        """Hand rejected records of national topics, asked for, to ``send``, and mark them when it returns.

        As ``publish_receipts`` does. Repeating a record changes nothing: the version gate decides.
        """
