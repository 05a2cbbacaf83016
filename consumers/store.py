"""The store port: where the road keeps national rows, its offset ledger, receipts and rejects.

Everything that one batch changes (rows, receipts, rejects, ledger) is one transaction, so a record that
is delivered again changes nothing, and an answer to the publisher is never wrong and never missing.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import polars as pl

from consumers.receipts import Answers, Left, Parked, Receipt, ReceiptRow, Reject, RejectCount, RejectRow
from schemas.errors import LienthongError
from schemas.formats import NationalFormat

if TYPE_CHECKING:
    from consumers.audit_lines import Draft


class StoreError(LienthongError):
    """The store is not as the formats need it, or answers what it should not; waiting will not help."""

    exit_code = 70


class Fenced(LienthongError):
    """Another claim owns some partitions now, or their ledger moved. Nothing at all was written.

    Attributes:
        positions: those whose epoch or next offset was not the expected one, in order.
    """

    def __init__(self, positions: Sequence["Position"]) -> None:
        names = ", ".join(f"{p.topic}-{p.partition}" for p in positions)
        super().__init__(
            f"{names}: claimed anew or moved by another worker", next_step="read again from the ledger"
        )
        self.positions = tuple(positions)


# --- positions and claims ---------------------------------------------------------------------------


class Position(NamedTuple):
    """One partition of one topic; a tuple, for a worker looks thousands up at a time."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to write one partition, until somebody claims it anew."""

    position: Position
    epoch: int  #: goes up by one with each claim; part of every write
    next_offset: int | None  #: the first offset not yet in the store; None: nothing was ever read


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The ledger's step for one fetched batch of one partition."""

    position: Position
    start: int  #: the ``next_offset`` the ledger must show now
    next: int  #: the ``next_offset`` it shows afterwards
    epoch: int  #: of the claim


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One partition as the ledger knows it."""

    position: Position
    next_offset: int | None
    epoch: int
    generation: int  #: of the consumer group, at the last claim
    owner: str  #: process that claimed it last
    claimed_at: datetime
    updated_at: datetime | None  #: last step; None: never
    library: str | None  #: fingerprint of the library that its owner follows; None: it told none


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A record whose changes wait: one of them was rejected and is not mended."""

    position: Position
    offset: int  #: of the reject
    key: bytes = dataclasses.field(repr=False)  #: the Kafka key


# --- batches -----------------------------------------------------------------------------------------

OriginalOf = Callable[[int, int], tuple[bytes | None, bytes | None]]
"""From (partition, offset) to the record's key and value; asked only for records that are rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBatch:
    """National records of one topic, from one or several partitions."""

    format: NationalFormat
    topic: str
    slices: Sequence[Slice]
    rows: pl.DataFrame
    """The format's wire columns, ``__partition`` (Int32), ``__offset`` (Int64, rising within a partition)."""
    rejects: Sequence[Reject] = ()  #: what could not be decoded; written in the same transaction
    original_of: OriginalOf | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A run of staged rows that one statement merges; no key comes twice in it."""

    op: Literal["u", "d"]
    start: int  #: first ``lt_row`` of the staged rows
    stop: int  #: behind the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Rider:
    """A version that is not staged, because another one of the same source record in the batch decides."""

    row: int  #: in ``Prepared.rows``
    winner: int  #: in ``Prepared.rows``
    order: Literal["older", "same", "behind"]  #: it came before the winner; is the same; came late and older


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A batch made ready without the database: for its caller a closed box."""

    batch: SyncBatch
    rows: pl.DataFrame = dataclasses.field(repr=False)  #: the readable rows of the batch, in its order
    rejects: tuple[Reject, ...]  #: the batch's and those of unreadable rows
    staged: pl.Series = dataclasses.field(
        repr=False
    )  #: for each ``lt_row`` of the staged rows, its place in ``rows``
    csv: bytes = dataclasses.field(repr=False)  #: the staged rows, for COPY
    steps: tuple[Step, ...]  #: one after the other they do what the single records would do
    riders: tuple[Rider, ...]
    receipts: tuple[Receipt, ...] = dataclasses.field(repr=False)  #: if all rows get applied
    draft: "Draft | None" = None  #: its audit lines; None: the store was opened without an audit key


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the rows of a batch; each is counted once."""

    applied: int  #: changed the store; or a newer version of theirs in the same batch did
    deleted: int  #: deletes among ``applied``
    stale: int  #: older than the store's row
    duplicate: int  #: exactly the version the store has
    rejected: Sequence[Reject]  #: by the store; those that came with the batch are not repeated here


def inbound_name(deployment: str, contract: str) -> str:
    """Under which deployment the ledger knows the reader of an inbound contract: it reads a national topic
    beside the deployment's own, from its own offsets. ``contract``: ``<system>/<dataset>``.
    """
    return f"{deployment}/{contract}"


# --- the port ----------------------------------------------------------------------------------------


class NationalStore(Protocol):
    """A national-format store. Thread-safe; any number of processes may share one database.

    Every method may raise ``TryAgain`` (database away, busy, full or too slow: nothing was written, the
    same call may succeed later) and ``StoreError`` (tables missing or of another shape: a person must act).
    """

    def check(self, formats: Sequence[NationalFormat]) -> None:
        """Connect and see that every table and column is there. ``StoreError`` names the next step."""

    def plan(self, formats: Sequence[NationalFormat]) -> list[str]:
        """The SQL that is still needed, additive only; empty when nothing is. Writes nothing.

        ``StoreError`` if an existing column has another type: that is never altered by itself.
        """

    def migrate(self, formats: Sequence[NationalFormat]) -> list[str]:
        """Run the plan in one transaction and return it. Several processes may do so at once."""

    def claim(
        self,
        deployment: str,
        positions: Sequence[Position],
        *,
        generation: int,
        owner: str,
        library: str | None = None,
    ) -> Mapping[Position, Claim]:
        """Claim partitions: each gets a new epoch, which fences every earlier claim of it.

        ``library``: fingerprint of the library that the owner follows, for who looks at the ledger.

        A position is missing from the answer when it was claimed under a higher ``generation``, or under
        the same by another ``owner``; unless nobody claimed or moved it for ten minutes by the database's
        clock (the consumer group was made anew and counts from 1 again).
        """

    def start_at(self, deployment: str, position: Position, *, epoch: int, offset: int) -> None:
        """Set a claimed partition's first offset ever. ``Fenced`` if there is one, or another epoch."""

    def accept_loss(
        self, deployment: str, position: Position, *, expected: int, offset: int, who: str, why: str
    ) -> None:
        """Move the ledger from ``expected`` to ``offset`` on a person's word; fences the present claim.

        Who did it, and why, is noted in the audit log with it. ``Fenced`` if the ledger does not show
        ``expected``; then nothing is noted.
        """

    def prepare(self, batch: SyncBatch) -> Prepared:
        """Do all of ``apply`` that needs no database, so that it can run while another commits. Pure."""

    def apply(self, prepared: Prepared, deployment: str) -> Applied:
        """Rows, receipts, rejects and the ledger's step of all slices, in one transaction.

        The result is what the batch's records would do one after the other:

        - the newest version (highest ``lt_seq``) of a source record wins; older ones are stale, the same one
          again is a duplicate;
        - a delete leaves a tombstone with its date and the last values; only the key's holder can delete it;
        - a key held by another living source record is refused (``national_key_taken``); a tombstone can be
          taken over by a later record of the same dataset;
        - whatever else the record still holds under keys it has ``left`` is deleted with it;
        - a row the database refuses becomes a reject (``database_refused``); the others are applied;
        - each change counted as applied leaves one line in the audit chain, if the store has an audit key.

        Returns after the commit. Safe to repeat. Raises ``Fenced`` and then nothing was written.
        """

    def settle(
        self,
        deployment: str,
        slices: Sequence[Slice],
        *,
        rejects: Sequence[Reject],
        parked: Sequence[Parked] = (),
        formats: Sequence[str],
        receipts: Sequence[Receipt] = (),
    ) -> None:
        """Translate's transaction: rejects, parked changes, their receipts, the ledger's step of all slices.

        Args:
            formats: full ids of the national formats that the changes were meant for; one that has a ``seq``
                gets a receipt in each.
            receipts: of changes that were answered without the store.

        Safe to repeat: a reject that is there already is not written twice. Raises ``Fenced``.
        """

    def blocked(self, deployment: str, positions: Sequence[Position]) -> list[Blocked]:
        """The records of these partitions whose changes wait; to be asked after claiming them."""

    def note_left(self, left: Sequence[Left]) -> None:
        """Remember keys that records may have left; to be called before a later version is published.

        Safe to repeat.
        """

    def publish_receipts(
        self, systems: Collection[str], limit: int, publish: Callable[[Sequence[ReceiptRow]], None]
    ) -> int:
        """Hand these systems' oldest unpublished receipts to ``publish`` and mark them when it returns.

        Rows in the hands of another process are skipped. If ``publish`` raises, nothing is marked. After a
        crash in between they are handed out again. Returns how many there were. Keep ``publish`` below the
        store's ``idle_in_transaction`` timeout (60 s).
        """

    def publish_rejects(
        self, systems: Collection[str], limit: int, publish: Callable[[Sequence[RejectRow]], None]
    ) -> int:
        """The same for rejects; large ones are handed out a few at a time, whatever the limit."""

    def unpublished(self) -> set[str]:
        """The systems whose receipts or rejects wait to be published."""

    def ledger(self, deployment: str) -> list[LedgerRow]:
        """All partitions of a deployment, in order."""

    def answers(self, system: str, dataset: str | None = None) -> list[Answers]:
        """What became of every sequence number, for each dataset and format."""

    def receipts(self, system: str, *, after: int = 0, limit: int = 1000) -> list[ReceiptRow]:
        """Receipts as written, by id, from the one behind ``after`` on."""

    def rejects(
        self,
        system: str,
        *,
        dataset: str | None = None,
        rule: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[RejectRow]:
        """Rejects, by id, from the one behind ``after`` on."""

    def reject_counts(self, system: str) -> list[RejectCount]:
        """Rejects by rule and field, the most frequent first."""

    def columns(self, national: NationalFormat, names: Sequence[str]) -> pl.DataFrame:
        """Fields of every record of a format, String, and ``lt_deleted``: a tombstone. In no order."""

    def sample(self, national: NationalFormat, limit: int) -> list[tuple[str, str, Mapping[str, str | None]]]:
        """System, dataset and fields of some records in force, whichever the database gives first."""

    def close(self) -> None:
        """Give all connections back. The store cannot be used afterwards."""
