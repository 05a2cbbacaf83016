"""What travels through Faust instead of single records: one fetched batch of one partition."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from consumers.store import Position, Slice


class Record(Protocol):
    """The parts of an ``aiokafka`` consumer record that the road reads."""

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

    @property
    def slice(self) -> Slice:
        """The ledger step this batch stands for."""
        return Slice(position=self.position, start=self.start, next=self.next, epoch=self.epoch)


def header(record: Record, name: str) -> bytes | None:
    """The record's first header of this name, or None."""
    return next((value for key, value in record.headers if key == name), None)
