"""What a monitor sees of Kafka in one look, by few requests, each for all of a broker.

A broker that does not answer takes its own partitions and groups out of the look, and no others. Offsets are
asked for each time, what changes rarely (leaders, retention, sizes, begins, groups) every half minute.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError, NotLeaderForPartitionError, UnknownTopicOrPartitionError
from kafka.protocol.consumer import OffsetSpec

from consumers.brokers import require_listener, told
from consumers.observation import Target
from consumers.store import Position
from schemas.errors import TryAgain

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
REFRESH_SECONDS = 30.0
#: After so many looks in a row that did not get all they asked for, the connection is given up for another:
#: ``schemas.hearing`` tells why.
MISSES = 3
#: The target that stands for all brokers together: whether any of them tells about the cluster.
CLUSTER = "cluster"
#: Who leads a partition that has no leader, as Kafka tells it.
NOBODY = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """When a topic's records are deleted."""

    after_ms: int | None  #: age; None: never by age
    above_bytes: int | None  #: size of a partition; None: never by size


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a group and what it was given."""

    positions: frozenset[Position]


@dataclass(slots=True, kw_only=True)
class KafkaLook:
    """One look."""

    targets: list[Target] = field(default_factory=list)
    missing: frozenset[str] | None = None  #: topics that the cluster does not have; None: not known
    silent: frozenset[Position] = frozenset()  #: partitions whose broker did not answer
    begins: dict[Position, int] = field(default_factory=dict)
    ends: dict[Position, int] = field(default_factory=dict)
    newest_ms: dict[Position, int] = field(default_factory=dict)  #: of the topics that this was asked of
    committed: dict[str, dict[Position, int]] = field(default_factory=dict)  #: by group
    members: dict[str, tuple[Member, ...]] = field(default_factory=dict)  #: by group
    retention: Mapping[str, Retention] = field(default_factory=dict)  #: by topic
    sizes: Mapping[Position, int] = field(default_factory=dict)  #: bytes
    per_hour: Mapping[Position, float] = field(default_factory=dict)  #: records that came, lately
    disks: Mapping[str, float] = field(default_factory=dict)  #: by broker: used share of its fullest


@dataclass(slots=True)
class _Known:
    """What is asked twice a minute."""

    at: float = -REFRESH_SECONDS
    leaders: dict[Position, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    begins: dict[Position, int] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  #: by the broker that keeps them
    retention: dict[str, Retention] = field(default_factory=dict)
    sizes: dict[Position, int] = field(default_factory=dict)
    disks: dict[str, float] = field(default_factory=dict)
    ends: dict[Position, int] = field(default_factory=dict)  #: as they were then
    per_hour: dict[Position, float] = field(default_factory=dict)


class KafkaSight:
    """Looks at the brokers. For one thread at a time.

    Args:
        brokers: bootstrap servers.
        topics: the topics of the contract library.
        dated: those whose newest record's time is wanted.
        groups: the groups of our workers, whose members are wanted.
    """

    def __init__(
        self,
        brokers: str,
        *,
        topics: Iterable[str],
        dated: Iterable[str],
        groups: Sequence[str],
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        self._brokers = brokers
        self._topics = sorted(set(topics))
        self._dated = frozenset(dated)
        self._groups = tuple(groups)
        self._connect = connect or connected
        self._admin: Any = None
        self._missed = 0
        self._known = _Known()
        self._names: list[str] = []  # of the brokers, as last heard
        self._newest: dict[Position, tuple[int, int]] = {}  # the end it was asked at, and the time

    def look(self) -> KafkaLook:
        """Ask everything. Raises ``TryAgain`` if no broker answers."""
        if self._missed >= MISSES:
            self.close()
        begun = time.monotonic()
        anew = begun - self._known.at >= REFRESH_SECONDS
        look = KafkaLook(targets=[self._ask_cluster(begun, anew=anew)])
        for name in self._names:
            look.targets.append(self._ask(name, look, anew=anew))
        if not any(one.up for one in look.targets):
            self.close()
            raise TryAgain(look.targets[0].why)
        self._ask_new_groups(look)
        self._missed = 0 if all(one.up for one in look.targets) else self._missed + 1
        known = self._known
        look.silent = frozenset(known.leaders) - frozenset(look.ends)
        look.missing = known.missing if look.targets[0].up else None
        look.retention = known.retention
        look.sizes, look.disks = known.sizes, known.disks
        look.per_hour = self._per_hour(look, anew=anew)
        return look

    def _ask_cluster(self, begun: float, *, anew: bool) -> Target:
        try:
            with told(self._brokers):
                if self._admin is None:
                    self._admin = self._connect(self._brokers)
                self._names = [str(one["broker_id"]) for one in self._admin.describe_cluster()["brokers"]]
                if anew:
                    self._refresh(begun)
        except TryAgain as problem:
            self._known.at = -REFRESH_SECONDS
            if self._admin is None or not self._known.leaders:
                self.close()
                raise
            return Target(kind="broker", name=CLUSTER, up=False, why=problem.message)
        return _target(CLUSTER, begun)

    @property
    def names(self) -> list[str]:
        """The brokers' numbers, as last heard."""
        return list(self._names)

    def offsets_at(self, positions: Iterable[Position], moment_ms: int) -> dict[Position, int | None]:
        """The first offset whose record is not older than ``moment_ms``; None: there is none."""
        with told(self._brokers):
            found = self._admin.list_partition_offsets({_tp(one): moment_ms for one in positions})
        return {_position(tp): one.offset if one.offset >= 0 else None for tp, one in found.items()}

    def close(self) -> None:
        """Give the connection up; it is made again by the next look."""
        if self._admin is not None:
            with suppress(KafkaError):
                self._admin.close()
        self._admin, self._missed = None, 0
        self._known.at = -REFRESH_SECONDS

    # --- twice a minute ------------------------------------------------------------------------------

    def _refresh(self, now: float) -> None:
        admin = self._admin
        known = replace(self._known, at=now, leaders={}, begins={})
        missing = set()
        for topic in admin.describe_topics(self._topics):
            if topic["error_code"]:
                missing.add(topic["name"])
                continue
            for one in topic["partitions"]:
                where = Position(topic=topic["name"], partition=one["partition_index"])
                known.leaders[where] = str(one["leader_id"])
        known.missing = frozenset(missing)
        known.retention = _retention(admin, [topic for topic in self._topics if topic not in missing])
        self._known = known

    def _per_hour(self, look: KafkaLook, *, anew: bool) -> Mapping[Position, float]:
        """How many records came in the last half minute, as an hour's worth."""
        known = self._known
        if anew:
            hours = REFRESH_SECONDS / 3600
            known.per_hour = {one: (end - known.ends.get(one, end)) / hours for one, end in look.ends.items()}
            known.ends = dict(look.ends)
        return known.per_hour

    def _ask_rarely(self, broker: str) -> None:
        """The groups that the broker keeps, and its disks."""
        number, known = int(broker), self._known
        known.groups[broker] = tuple(one["group_id"] for one in self._admin.list_groups([number]))
        (told_of,) = self._admin.describe_log_dirs(brokers=[number])
        dirs = [one for one in told_of["log_dirs"] if not one["error_code"]]
        known.disks[broker] = max((_used(one) for one in dirs), default=0.0)
        for topic in (topic for one in dirs for topic in one["topics"]):
            for part in topic["partitions"]:
                where = Position(topic=topic["name"], partition=part["partition_index"])
                if known.leaders.get(where) == broker:
                    known.sizes[where] = part["partition_size"]

    # --- each time -----------------------------------------------------------------------------------

    def _ask(self, broker: str, look: KafkaLook, *, anew: bool) -> Target:
        """Ask one broker: offsets of the partitions that it leads, groups that it keeps."""
        begun = time.monotonic()
        mine = [where for where, leader in self._known.leaders.items() if leader == broker]
        try:
            with told(self._brokers):
                if anew:
                    self._ask_rarely(broker)
                ends = self._offsets(mine, OffsetSpec.LATEST)
                begins = self._begins(ends)
                self._date(ends)
                self._ask_groups(self._known.groups.get(broker, ()), look)
        except TryAgain as problem:
            self._known.at = -REFRESH_SECONDS
            return Target(kind="broker", name=broker, up=False, why=problem.message)
        # What was deleted or lost its leader between the two questions has an end and no begin: not seen.
        look.ends |= {one: end for one, end in ends.items() if one in begins}
        look.begins |= begins
        there = [one for one, begin in begins.items() if ends[one] > begin and one in self._newest]
        look.newest_ms |= {one: self._newest[one][1] for one in there}
        return _target(broker, begun)

    def _begins(self, wanted: Collection[Position]) -> dict[Position, int]:
        """Those of before, and what is asked for the others."""
        before = {one: self._known.begins[one] for one in wanted if one in self._known.begins}
        asked = self._offsets([one for one in wanted if one not in before], OffsetSpec.EARLIEST)
        self._known.begins |= asked  # only now: to ask may have replaced what is known
        return before | asked

    def _offsets(self, positions: Iterable[Position], spec: Any) -> dict[Position, int]:
        return {where: found.offset for where, found in self._list(positions, spec).items()}

    def _list(self, positions: Iterable[Position], spec: Any) -> dict[Position, Any]:
        wanted = {_tp(one): spec for one in positions}
        if not wanted:
            return {}
        try:
            found = self._admin.list_partition_offsets(wanted)
        except (UnknownTopicOrPartitionError, NotLeaderForPartitionError):
            # A topic was deleted since they were last listed, or partitions have lost their leader.
            self._refresh(self._known.at)
            wanted = {tp: spec for tp in wanted if self._known.leaders.get(_position(tp), NOBODY) != NOBODY}
            found = self._admin.list_partition_offsets(wanted) if wanted else {}
        return {_position(tp): one for tp, one in found.items()}

    def _date(self, ends: Mapping[Position, int]) -> None:
        """Learn the time of the newest record where one came since it was last asked for."""
        moved = [
            where
            for where, end in ends.items()
            if where.topic in self._dated and self._newest.get(where, (0, 0))[0] != end
        ]
        for where, found in self._list(moved, OffsetSpec.MAX_TIMESTAMP).items():
            if found.timestamp >= 0:
                self._newest[where] = (ends[where], found.timestamp)

    def _ask_groups(self, groups: Sequence[str], look: KafkaLook) -> None:
        """How far each group is, and who is in ours."""
        if not groups:
            return
        topics = set(self._topics)
        for name, places in self._admin.list_group_offsets(list(groups)).items():
            mine = {_position(tp): one.offset for tp, one in places.items() if tp.topic in topics}
            # -1: the group never committed there
            look.committed[name] = {where: at for where, at in mine.items() if at >= 0}
        if ours := [name for name in groups if name in self._groups]:
            for name, group in self._admin.describe_groups(ours).items():
                look.members[name] = tuple(_member(one) for one in group["members"])

    def _ask_new_groups(self, look: KafkaLook) -> None:
        """Our groups that no broker kept when last listed: their first worker may have come since."""
        unlisted = set(self._groups) - {one for many in self._known.groups.values() for one in many}
        try:
            with told(self._brokers):
                self._ask_groups(sorted(unlisted), look)
        except TryAgain as problem:  # whoever would keep them does not answer
            logger.info("no answer about groups: %s", problem.message, extra={"action": "groups_unknown"})


def connected(brokers: str) -> KafkaAdminClient:
    """A client that waits no longer than a monitor may."""
    require_listener(brokers)
    return KafkaAdminClient(
        bootstrap_servers=brokers.split(","),
        bootstrap_timeout_ms=int(ANSWER_SECONDS * 1000),
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
        client_id="lienthong-monitor",
    )


def _target(name: str, begun: float) -> Target:
    return Target(kind="broker", name=name, up=True, seconds=time.monotonic() - begun)


def _tp(position: Position) -> TopicPartition:
    return TopicPartition(position.topic, position.partition)


def _position(tp: TopicPartition) -> Position:
    return Position(topic=tp.topic, partition=tp.partition)


def _retention(admin: Any, topics: Sequence[str]) -> dict[str, Retention]:
    wanted = {"retention.ms": None, "retention.bytes": None, "cleanup.policy": None}
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic, configs=wanted) for topic in topics]
    if not resources:
        return {}
    found = {}
    for topic, settings in admin.describe_configs(resources, config_filter="all")["topic"].items():
        kept = {name: int(settings[name]["value"]) for name in ("retention.ms", "retention.bytes")}
        deletes = "delete" in settings["cleanup.policy"]["value"]
        after, above = kept["retention.ms"], kept["retention.bytes"]
        found[topic] = Retention(
            after_ms=after if deletes and after >= 0 else None,
            above_bytes=above if deletes and above >= 0 else None,
        )
    return found


def _used(log_dir: Mapping[str, Any]) -> float:
    """The used share of a disk; 0 if the broker is too old to tell."""
    total, usable = log_dir.get("total_bytes", -1), log_dir.get("usable_bytes", -1)
    return 1 - usable / total if total > 0 and usable >= 0 else 0.0


def _member(member: Mapping[str, Any]) -> Member:
    """Members tell what they were given in Kafka's own layout, Faust's too."""
    given = member["member_assignment"]
    assigned = given["assigned_partitions"] if isinstance(given, Mapping) else ()
    return Member(
        positions=frozenset(
            Position(topic=one["topic"], partition=partition)
            for one in assigned
            for partition in one["partitions"]
        )
    )
