"""One look at the whole road: a plain snapshot of systems, hops, partitions, groups and targets.

What is not known is ``None`` or not there: a figure of an earlier look is never told as a present one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from consumers.proofs import Proof
from consumers.repairs import Breaker
from consumers.store import Position
from schemas.contracts import Promise

HopName = Literal["translate", "sync"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that was asked: a broker, the store, an agency's outbox."""

    kind: Literal["broker", "store", "outbox"]
    name: str  #: a broker's number, ``store``, an outbox's name in the list of outboxes; never an address
    up: bool  #: whether it answered
    why: str = ""  #: if not: what is wrong, in one sentence without a password
    seconds: float | None = None  #: how long the answer took
    skew_seconds: float | None = None  #: how far its clock is ahead of ours; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A partition that a hop reads, where both the broker and the ledger are known."""

    partition: int
    begin: int  #: first offset that is left
    end: int
    next_offset: int | None  #: of the ledger; None: nothing was ever read
    oldest_seconds: float | None  #: age of the oldest unread record; 0: none waits; None: not known
    hours_left: float | None  #: until retention deletes it; None: none waits, or it is kept for ever
    still_seconds: float | None  #: since the ledger moved or was claimed; None: it never was

    @property
    def lag(self) -> int:
        """Records that are left and not read. What was never read is read from the log's start."""
        return max(0, self.end - max(self.begin, self.next_offset or 0))

    @property
    def lost(self) -> int:
        """Records that retention deleted before they were read."""
        return max(0, self.begin - self.next_offset) if self.next_offset is not None else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One of the two steps of a dataset, on one topic."""

    name: HopName
    topic: str
    group: str  #: the workers' Kafka group
    missing: bool | None = None  #: whether the cluster has no such topic; None: not known
    silent: int | None = None  #: partitions whose broker does not answer; None: no broker does
    places: Sequence[Place] = ()  #: those that are known; none while broker or store is away
    group_members: int | None = None  #: workers in the group; None: not known
    members: int | None = None  #: those of them that hold partitions of the topic
    newest: datetime | None = None  #: when the newest record came; None: not known, or there is none

    @property
    def lag(self) -> int | None:
        """Unread records, or None if nothing is known."""
        return sum(place.lag for place in self.places) if self.places else None

    @property
    def lag_seconds(self) -> float | None:
        """Age of the oldest unread record, or None if not known."""
        known = [place.oldest_seconds for place in self.places if place.oldest_seconds is not None]
        return max(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """What waits in an agency's database."""

    target: str  #: name of the outbox
    waiting: int
    oldest_seconds: float  #: age of the oldest; 0: none waits
    in_place: bool  #: all triggers are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """How unusual it is that an agency has said nothing for so long."""

    since: datetime  #: its newest change
    unlikely: float  #: how likely it is by its own past weeks that nothing came since; 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One contract on the road."""

    system: str
    dataset: str
    owner: str  #: the agency
    title: str
    promise: Promise
    inbound: bool
    hops: Sequence[Hop]
    outbox: Outbox | None = None  #: None: not in the list of outboxes, or away
    breaker: Breaker | None = None
    open_rejects: Mapping[str, int] | None = None  #: by rule; None: the store is away
    refused_lately: Mapping[str, int] = field(default_factory=dict)  #: by rule, of the open ones
    good_lately: int = 0
    proof: Proof | None = None  #: the last comparison with the store; None: never, or not known
    silence: Silence | None = None  #: None: not silent for long, or not known

    @property
    def id(self) -> str:
        """``hotich_qnam/khaisinh``."""
        return f"{self.system}/{self.dataset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlace:
    """How far a Kafka group is in one partition, by what it committed; of ours, by the ledger.

    A group that never committed in a partition is not told.
    """

    position: Position
    offset: int
    lag: int | None  #: None: the partition's end is not known
    lag_seconds: float | None  #: age of the first record behind it; 0: there is none; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A Kafka group that reads topics of the contract library."""

    name: str
    ours: bool  #: workers of this deployment
    members: int | None  #: None: not known, or not asked for
    places: Sequence[GroupPlace]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look."""

    at: datetime  #: by our clock, when it ended
    seconds: float  #: how long it took
    targets: Sequence[Target]
    datasets: Sequence[Dataset]
    groups: Sequence[Group]
    bounds: Mapping[Position, tuple[int, int]]  #: begin and end of each partition that is known
    disks: Mapping[str, float]  #: by broker: used share of its fullest disk, 0 to 1
    store_busy_seconds: float | None  #: how long the longest statement of a worker has been running
    orphan_indices: Mapping[str, int]  #: by system, as of some minutes ago; none while the store is away
    #: Fingerprints of the libraries that workers took in, by worker; none while the store is away.
    libraries: Mapping[str, set[str]] = field(default_factory=dict)

    def away(self, kind: str) -> Sequence[Target]:
        """The targets of this kind that did not answer."""
        return [one for one in self.targets if one.kind == kind and not one.up]
