"""What travels through Faust instead of single records: one fetched batch of one partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.store import Position, Slice
from schemas.events import seq_of_header


class Record(Protocol):
    """The parts of a record that the road reads, as aiokafka's parser gives them."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Records of one partition as they were fetched, and the claim they were fetched under.

    ``start`` is chained from the batch before and not from the first record: compaction and
    transactions leave holes in the offsets, and a batch lost on the way must not go unnoticed.
    """

    position: Position
    records: Sequence[Record]
    start: int  #: the ledger's ``next_offset`` this batch must find
    next: int  #: the offset after its last record
    epoch: int  #: of the claim; a newer claim makes this batch worthless

    def continues(self, other: "Batch") -> bool:
        """Whether this batch follows the other in the log, with nothing lost in between."""
        return self.start == other.next and self.epoch == other.epoch


def slices_of(lot: Sequence[Batch]) -> list[Slice]:
    """The ledger's steps of a lot: one for each partition, over all its batches.

    The batches of one partition must continue each other (``streams.mill`` sees to it).
    """
    first: dict[Position, Batch] = {}
    last: dict[Position, Batch] = {}
    for batch in lot:
        first.setdefault(batch.position, batch)
        last[batch.position] = batch
    return [
        Slice(position=position, start=begin.start, next=last[position].next, epoch=begin.epoch)
        for position, begin in first.items()
    ]


def seq_header(record: Record) -> int | None:
    """The sequence number from the record's header; None if it has none."""
    return seq_of_header(header(record, "seq"))


def fingerprint_header(record: Record) -> str | None:
    """The fingerprint of the schema that the record was written with, if its header tells."""
    told = header(record, "schema-sha256")
    return told.decode("ascii", "replace") if told is not None else None


def header(record: Record, name: str) -> bytes | None:
    """The record's first header of this name, or None."""
    for key, value in record.headers:
        if key == name:
            return value
    return None
