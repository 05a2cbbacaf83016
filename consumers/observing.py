"""Puts the looks at broker, store and outboxes together to one observation of the road. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from consumers.kafka_look import KafkaLook, Retention
from consumers.observation import Dataset, Group, GroupPlace, Hop, HopName, Outbox, Place
from consumers.outboxes import OutboxState
from consumers.proofs import Proof
from consumers.store import LedgerRow, Position, inbound_name
from consumers.store_look import Source, StoreLook
from schemas.contracts import Contract
from schemas.library import Library

_HOUR_MS = 3_600_000
_Ledgers = Mapping[str, Mapping[Position, LedgerRow]]  # by deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """That a hop of a contract reads a topic, under a deployment's name in the ledger."""

    hop: HopName
    topic: str
    deployment: str

    @property
    def group(self) -> str:
        """The workers' Kafka group."""
        return group_of(self.deployment)


def group_of(deployment: str) -> str:
    """The Kafka group of the workers that keep this ledger."""
    return f"{deployment.replace('/', '-')}-road"


def reads(contract: Contract, library: Library, deployment: str) -> list[Read]:
    """What is read for a contract: its own topic, then that of each format it feeds."""
    mine = inbound_name(deployment, contract.id) if contract.source else deployment
    topics = [library.formats[target.format].topic for target in contract.targets]
    first = Read(hop="translate", topic=contract.topic, deployment=mine)
    return [first, *(Read(hop="sync", topic=topic, deployment=deployment) for topic in topics)]


def libraries(
    ledgers: Mapping[str, Iterable[LedgerRow]], all_reads: Iterable[Read]
) -> Mapping[str, set[str]]:
    """Fingerprints of the libraries that workers took in, by worker; one that told none is not there.

    Args:
        ledgers: by deployment.
        all_reads: whose topics count; a ledger may know others that nobody reads any more.
    """
    ours = {(one.deployment, one.topic) for one in all_reads}
    found: dict[str, set[str]] = {}
    for deployment, rows in ledgers.items():
        for row in rows:
            if row.library is not None and (deployment, row.position.topic) in ours:
                found.setdefault(row.owner, set()).add(row.library)
    return found


def with_another_library(taken: Mapping[str, set[str]], here: str) -> list[str]:
    """Workers that took in another library than that of this fingerprint; ``taken``: as of ``libraries``."""
    return sorted(name for name, theirs in taken.items() if theirs != {here})


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What was found. None: it is away."""

    at: datetime  #: by our clock
    kafka: KafkaLook | None
    store: StoreLook | None
    proofs: Mapping[Source, Proof]  #: the last of each dataset
    outboxes: Mapping[str, tuple[str, OutboxState]]  #: by dataset: name of the outbox, and what waits
    times: Mapping[tuple[Position, int], int]  #: of first records at or behind an offset, ms since 1970

    @property
    def now_ms(self) -> float:
        """Milliseconds since 1970."""
        return self.at.timestamp() * 1000


def wanted_times(looks: Looks, all_reads: Iterable[Read]) -> set[tuple[Position, int]]:
    """Where the time of a record is needed: at the first unread one of each ledger and each group."""
    kafka = looks.kafka
    if kafka is None:
        return set()
    topics: dict[str, list[Position]] = {}
    for position in kafka.ends:
        topics.setdefault(position.topic, []).append(position)
    found: set[tuple[Position, int]] = set()
    ledgers = _ledgers(looks.store)
    for deployment, topic in {(one.deployment, one.topic) for one in all_reads} if looks.store else ():
        ledger = ledgers.get(deployment, {})
        found |= {(one, _first(one, ledger.get(one), kafka)) for one in topics.get(topic, ())}
    for places in kafka.committed.values():
        found |= {(one, max(offset, kafka.begins.get(one, 0))) for one, offset in places.items()}
    return {(one, offset) for one, offset in found if offset < kafka.ends.get(one, 0)}


def _ledgers(store: StoreLook | None) -> _Ledgers:
    known = store.ledgers if store is not None else {}
    return {name: {row.position: row for row in rows} for name, rows in known.items()}


def _first(position: Position, row: LedgerRow | None, kafka: KafkaLook) -> int:
    """Offset of the first record that is left and not read."""
    return max(kafka.begins[position], (row.next_offset or 0) if row is not None else 0)


def datasets(library: Library, deployment: str, looks: Looks) -> list[Dataset]:
    """Every contract on the road, by its id."""
    ledgers = _ledgers(looks.store)
    found = []
    for _, contract in sorted(library.contracts.items()):
        mine = reads(contract, library, deployment)
        found.append(_dataset(contract, mine, ledgers, looks))
    return found


def _dataset(
    contract: Contract,
    mine: Sequence[Read],
    ledgers: _Ledgers,
    looks: Looks,
) -> Dataset:
    source = (contract.system, contract.dataset)
    store, outbox = looks.store, looks.outboxes.get(contract.id)
    paused = store.breakers.get(mine[0].deployment, ()) if store else ()
    return Dataset(
        system=contract.system,
        dataset=contract.dataset,
        owner=contract.owner,
        title=contract.title,
        promise=contract.promise,
        inbound=contract.source is not None,
        hops=[_hop(read, ledgers.get(read.deployment), looks) for read in mine],
        outbox=Outbox(
            target=outbox[0],
            waiting=outbox[1].waiting,
            oldest_seconds=outbox[1].oldest_seconds,
            in_place=outbox[1].in_place,
        )
        if outbox
        else None,
        breaker=next((one for one in paused if (one.system, one.dataset) == source), None),
        open_rejects=store.open_rejects.get(source, {}) if store else None,
        refused_lately=store.refused_lately.get(source, {}) if store else {},
        proof=looks.proofs.get(source),
        good_lately=store.good_lately.get(source, 0) if store else 0,
    )


def _hop(read: Read, ledger: Mapping[Position, LedgerRow] | None, looks: Looks) -> Hop:
    kafka = looks.kafka
    if kafka is None:
        return Hop(name=read.hop, topic=read.topic, group=read.group)
    known = sorted(position for position in kafka.ends if position.topic == read.topic)
    members = kafka.members.get(read.group)
    newest = [kafka.newest_ms[one] for one in known if one in kafka.newest_ms]
    return Hop(
        name=read.hop,
        topic=read.topic,
        group=read.group,
        missing=read.topic in kafka.missing if kafka.missing is not None else None,
        silent=sum(one.topic == read.topic for one in kafka.silent),
        places=[_place(one, ledger.get(one), kafka, looks) for one in known] if ledger is not None else (),
        group_members=len(members) if members is not None else None,
        members=sum(any(one.topic == read.topic for one in member.positions) for member in members)
        if members is not None
        else None,
        newest=datetime.fromtimestamp(max(newest) / 1000, UTC) if newest else None,
    )


def _place(position: Position, row: LedgerRow | None, kafka: KafkaLook, looks: Looks) -> Place:
    begin, end = kafka.begins[position], kafka.ends[position]
    next_offset = row.next_offset if row is not None else None
    first = _first(position, row, kafka)
    oldest_ms = looks.times.get((position, first))
    moved = (row.updated_at or row.claimed_at) if row is not None else None
    return Place(
        partition=position.partition,
        begin=begin,
        end=end,
        next_offset=next_offset,
        oldest_seconds=_age(looks, oldest_ms) if first < end else 0.0,
        hours_left=hours_left(
            kafka.retention.get(position.topic),
            oldest_age_ms=looks.now_ms - oldest_ms if oldest_ms is not None else None,
            read_share=(first - begin) / (end - begin),
            size=kafka.sizes.get(position, 0),
            bytes_per_hour=kafka.per_hour.get(position, 0.0) * kafka.sizes.get(position, 0) / (end - begin),
        )
        if first < end
        else None,
        # By the store's own clock, as the ledger's times are.
        still_seconds=(looks.store.at - moved).total_seconds() if moved and looks.store else None,
    )


def hours_left(
    retention: Retention | None,
    *,
    oldest_age_ms: float | None,
    read_share: float,
    size: int,
    bytes_per_hour: float,
) -> float | None:
    """Until retention may delete the oldest unread record; None if it never does, or is not known.

    By size it is an estimate: records are taken to be equally long and to come as fast as lately. Kafka
    deletes whole segments, so that it is never earlier than told here.

    Args:
        read_share: the part of the log, 0 to 1, that lies before that record and goes first.
        size: of the partition, bytes.
    """
    if retention is None:
        return None
    found = []
    if retention.after_ms is not None and oldest_age_ms is not None:
        found.append((retention.after_ms - oldest_age_ms) / _HOUR_MS)
    if retention.above_bytes is not None:
        room = retention.above_bytes - size * (1 - read_share)
        if room <= 0:
            found.append(0.0)
        elif bytes_per_hour > 0:
            found.append(room / bytes_per_hour)
    return min(found, default=None)


def groups(looks: Looks, deployments: Sequence[str]) -> list[Group]:
    """Every group that reads our topics, by name; of our own the ledger tells, while the store answers."""
    kafka = looks.kafka
    if kafka is None:
        return []
    offsets = {name: places for name, places in kafka.committed.items() if places}
    ours = {group_of(name): name for name in deployments}
    for group, deployment in ours.items():
        if looks.store is not None:
            rows = looks.store.ledgers.get(deployment, ())
            offsets[group] = {row.position: row.next_offset for row in rows if row.next_offset is not None}
    found = []
    for name in sorted(offsets.keys() | (ours.keys() & kafka.members.keys())):
        places = [_group_place(*one, kafka, looks) for one in sorted(offsets.get(name, {}).items())]
        members = kafka.members.get(name)
        count = len(members) if members is not None else None
        found.append(Group(name=name, ours=name in ours, members=count, places=places))
    return found


def _group_place(position: Position, offset: int, kafka: KafkaLook, looks: Looks) -> GroupPlace:
    end = kafka.ends.get(position)
    if end is None:
        return GroupPlace(position=position, offset=offset, lag=None, lag_seconds=None)
    first = max(offset, kafka.begins.get(position, 0))
    seconds = _age(looks, looks.times.get((position, first))) if first < end else 0.0
    return GroupPlace(position=position, offset=offset, lag=max(0, end - offset), lag_seconds=seconds)


def _age(looks: Looks, moment_ms: int | None) -> float | None:
    return max(0.0, (looks.now_ms - moment_ms) / 1000) if moment_ms is not None else None
