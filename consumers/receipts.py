"""What became of changes: receipts and rejects, as the road writes them and as they are read again."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consumers.ranges import Ranges

#: What a receipt says of changes; ``paused`` and ``resumed`` are about a source and tell no number.
Outcome = Literal["applied", "stale", "passed", "rejected", "parked", "paused", "resumed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One record that was not applied. ``detail`` never carries a personal value; ``original`` may."""

    system: str
    dataset: str
    seq: int | None  #: None when the record could not be read that far
    source_key: str | None = dataclasses.field(repr=False)
    topic: str
    partition: int
    offset: int
    rule: str  #: a rule code of ``schemas.reasons``
    field: str  #: the field at fault, or ""
    detail: str
    key: bytes | None = dataclasses.field(repr=False)
    original: bytes | None = dataclasses.field(repr=False)  #: the record's value as it came
    blocks: bool = False  #: later changes of its record wait until this one is mended
    contract: str | None = None  #: id and version of the contract that refused it, if one did
    library: str | None = None  #: fingerprint of all that the refusal followed
    fingerprint: str | None = None  #: of the schema it was written with, as its header tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """A change that waits, in order, behind the reject of an earlier change of its record."""

    system: str
    dataset: str
    topic: str
    partition: int
    offset: int
    head: int  #: offset of the reject that it waits for
    key: bytes = dataclasses.field(repr=False)  #: the Kafka key, which names the record
    seq: int | None  #: as its header tells; None: it has none
    original: bytes | None = dataclasses.field(repr=False)  #: the record's value as it came
    fingerprint: str | None  #: of the schema it was written with, as its header tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A national key that a source record had before an update of it was refused.

    The update may have moved the record. Its next good version stands under the new key, and does not know
    of the old one, because a change tells only the version right before it.
    """

    system: str
    dataset: str
    source_key: str = dataclasses.field(repr=False)
    format: str
    key: str = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectRow:
    """A reject as it is stored."""

    id: int
    at: datetime
    reject: Reject  #: ``original`` as corrected, if it was
    corrected: bool = False
    asked: str | None = None  #: what is asked for it; see ``consumers.repairs``
    became: str | None = None  #: what it ended as; None: it is open


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCount:
    """How many changes one rule refused."""

    system: str
    dataset: str
    rule: str
    field: str
    how_many: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRow:
    """One answer of one batch: what became of these sequence numbers of one dataset in one format."""

    id: int
    system: str
    dataset: str
    format: str  #: full id, ``hotich.khaisinh.v1``
    outcome: Outcome
    seqs: str  #: ``812-815,817``; see ``consumers.ranges``
    first_seq: int
    last_seq: int
    how_many: int
    rule: str  #: "" unless rejected
    field: str  #: "" unless rejected
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All receipts of one dataset in one format, folded: each number from 1 to the highest is in one place.

    A record delivered again, or one that waited, gets further answers; the best one counts, in the order of
    the fields.
    """

    system: str
    dataset: str
    format: str
    applied: Ranges
    stale: Ranges
    passed: Ranges  #: the record does not concern the format; it was deleted there if it did
    rejected: Ranges
    parked: Ranges  #: behind a reject of their record
    waiting: Ranges  #: no answer yet, though a higher number has one

    @property
    def known(self) -> Ranges:
        """All numbers with an answer."""
        return self.applied | self.stale | self.passed | self.rejected | self.parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt before it is stored."""

    system: str
    dataset: str
    format: str
    outcome: Outcome
    seqs: str
    first_seq: int
    last_seq: int
    how_many: int
    rule: str = ""
    field: str = ""
