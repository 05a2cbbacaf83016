"""One Kafka topic read by one member of a group, on kafka-python; offsets are committed only when told.

Everything that kafka-python does by itself and that could lose a record is turned off here: automatic
commits, creating a missing topic, and jumping to the log's start when retention has passed the group by.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    IllegalGenerationError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    RetriableError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from consumers.brokers import require_listener
from consumers.holding import Holding
from schemas.errors import LienthongError, SettingsError, StopTheLine, TryAgain
from schemas.hearing import SILENCE_SECONDS, Hearing
from schemas.logs import hush_false_alarms

logger = logging.getLogger(__name__)

#: The partitions have another owner, or none yet: what we would commit is not ours to commit.
_MOVED = (
    CommitFailedError,
    RebalanceInProgressError,
    IllegalGenerationError,
    UnknownMemberIdError,
)

_ANSWER_MS = 10_000

_CHOSEN = {
    "client_id": "lienthong-consume",
    "session_timeout_ms": 15_000,  # how long a killed member holds its partitions
    "reconnect_backoff_max_ms": 2_000,  # a broker that is back is found again before the session ends
}

#: What the promises of this module hang on; nobody may set them from outside.
_OURS = {
    "bootstrap_servers",
    "group_id",
    "enable_auto_commit",
    "auto_offset_reset",
    "isolation_level",
    "allow_auto_create_topics",
    "max_poll_interval_ms",
    "key_deserializer",
    "value_deserializer",
    "partition_assignment_strategy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Consecutive records of one partition."""

    partition: int
    records: tuple[Any, ...]  #: kafka-python's ``ConsumerRecord``
    start: int  #: offset of the first
    next: int  #: the offset to go on from


class TopicReader:
    """Reads one topic. Not thread-safe; ``stop`` of its user is the only thing another thread may call.

    ``group=None`` looks at all partitions from their start and commits nothing. ``from_start`` makes a
    group's member begin again at the log's start with each partition, the first time it is given it.
    """

    def __init__(
        self,
        topic: str,
        *,
        brokers: str,
        group: str | None,
        from_start: bool,
        longest_work_seconds: float,
        options: Mapping[str, Any],
    ) -> None:
        strangers = sorted(_OURS & set(options))
        if strangers:
            raise SettingsError(
                f"{', '.join(strangers)} cannot be given to the national-sync consumer",
                next_step="leave it out: no record may be lost or committed too early hangs on it",
            )
        hush_false_alarms()
        self.topic = topic
        self.group = group
        self._brokers = brokers
        self._options: dict[str, Any] = {
            **_CHOSEN,
            **options,
            "bootstrap_servers": brokers.split(","),
            "bootstrap_timeout_ms": _ANSWER_MS,
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
            "max_poll_interval_ms": int(longest_work_seconds * 1000),
        }
        self._stands: dict[int, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._holding = Holding(again_from_start=from_start and group is not None)
        self._kafka = self._connected()
        try:
            self._subscribe(self._kafka, {})
        except BaseException:
            self.close()
            raise
        self._hearing: Hearing[TopicPartition] = Hearing(time.monotonic())
        self._settled = time.monotonic()  # when it was last a member to whom partitions were given
        self._flows = False

    def _connected(self) -> Any:
        if "proxy_url" not in self._options:
            require_listener(self._brokers)
        with self._told():
            return KafkaConsumer(**self._options)

    def _subscribe(self, kafka: Any, places: Mapping[TopicPartition, int | None]) -> None:
        """``places``: where to go on without a group; at the start where nothing is known."""
        with self._told():
            partitions = kafka.partitions_for_topic(self.topic)
        if not partitions:
            raise LienthongError(
                f"the topic {self.topic} does not exist on the broker {self._brokers}",
                next_step="check LIENTHONG_BROKER; the road's topics are made by: lienthong road topics",
            )
        self._holding.kafka = kafka
        if self.group is None:
            everything = {TopicPartition(self.topic, partition) for partition in partitions}
            kafka.assign(sorted(everything))
            kafka.seek_to_beginning()
            for tp in everything:
                if (place := places.get(tp)) is not None:
                    kafka.seek(tp, place)
            self._holding.assigned = everything
        else:
            kafka.subscribe([self.topic], listener=self._holding)

    def fetch(self, max_records: int, timeout_seconds: float) -> list[Fetched]:
        """Wait at most ``timeout_seconds`` for records. A broker that is away is waited for.

        Raises ``StopTheLine`` if retention has deleted what the group has not read yet.
        """
        deadline = time.monotonic() + timeout_seconds
        try:
            if self._deaf():  # before the poll, for what came with the last one is dealt with by now
                self._connect_anew()
            with self._told():
                try:
                    polled = self._kafka.poll(timeout_ms=timeout_seconds * 1000, max_records=max_records)
                except NoOffsetForPartitionError:
                    self._begin_at_the_start()
                    polled = {}
            self._flows = bool(polled)
            self._hearing.heard(time.monotonic(), polled, max_records)
        except TryAgain as problem:
            logger.warning("%s; waiting", problem.message, extra={"action": "broker_away"})
            time.sleep(max(0.0, deadline - time.monotonic()))
            return []
        return [
            Fetched(
                partition=tp.partition,
                records=tuple(records),
                start=records[0].offset,
                next=records[-1].offset + 1,
            )
            for tp, records in sorted(polled.items())
        ]

    def _deaf(self) -> bool:
        """Of some partition nothing can come through this connection any more."""
        now = time.monotonic()
        if self._holding.assigned is None:  # they are being given out, which waits for the slowest member
            longest: float = self._options["max_poll_interval_ms"] / 1000
            return now - self._settled > longest + SILENCE_SECONDS
        self._settled = now
        try:
            return self._hearing.deaf(now, self._places, self._ends_now)
        except TryAgain:  # the broker is away, or what asks it is as deaf as what reads
            return not self._flows

    def _places(self) -> dict[TopicPartition, int | None]:
        return {tp: self._ours(tp) for tp in self._kafka.assignment()}

    def _ends_now(self) -> dict[TopicPartition, int]:
        with self._told():
            ends: dict[TopicPartition, int] = self._kafka.end_offsets(
                sorted(self._kafka.assignment()), timeout_ms=_ANSWER_MS
            )
        return ends

    def _connect_anew(self) -> None:
        """Go on with another connection. Raises ``TryAgain``, keeping this one, if no broker answers."""
        kafka = self._connected()
        logger.warning(
            "The connection to %s brings nothing of a partition of %s any more; connecting anew",
            self._brokers,
            self.topic,
            extra={"action": "connected_anew"},
        )
        try:
            self._subscribe(kafka, self._places())
        except BaseException:
            kafka.close(autocommit=False)
            raise
        self.close()
        if self.group is not None:
            self._holding.on_partitions_lost(self._holding.assigned or set())
        self._kafka, self._hearing, self._settled = kafka, Hearing(time.monotonic()), time.monotonic()

    def _begin_at_the_start(self) -> None:
        """A group that never committed on a partition begins at the log's start, and nowhere else."""
        for tp in self._kafka.assignment():
            if self._kafka.committed(tp, timeout_ms=_ANSWER_MS) is None:
                self._kafka.seek_to_beginning(tp)

    def rewind(self, starts: Mapping[int, int]) -> None:
        """Read again from these offsets, on the partitions that are still ours."""
        assigned = self._kafka.assignment()
        for partition, offset in starts.items():
            tp = TopicPartition(self.topic, partition)
            if tp in assigned:
                self._kafka.seek(tp, offset)

    def skip_to_last(self, records: int) -> None:
        """Go on from so many offsets before the end of each partition, if the log reaches back so far."""
        assigned = sorted(self._kafka.assignment())
        with self._told():
            begins = self._kafka.beginning_offsets(assigned, timeout_ms=_ANSWER_MS)
        ends = self._ends_now()
        self.rewind({tp.partition: max(begins[tp], ends[tp] - records) for tp in assigned})

    def commit(self, offsets: Mapping[int, int]) -> bool:
        """Tell Kafka how far the group has come; True when it has taken it.

        False: the partitions are being given out anew, or the broker is away. What stays ours is committed
        with the next batch; of what another member is given, the records come again there. Raises when
        nothing would help.
        """
        if self.group is None:
            return True
        self._holding.owed |= {TopicPartition(self.topic, p): offset for p, offset in offsets.items()}
        return self._commit_owed()

    def _commit_owed(self) -> bool:
        owed = self._holding.owed
        if not owed:
            return True
        offsets = {tp: OffsetAndMetadata(offset, "", -1) for tp, offset in owed.items()}
        try:
            with self._told():
                self._kafka.commit(offsets, timeout_ms=_ANSWER_MS)
        except _MOVED as problem:
            logger.warning(
                "The partitions of %s are being given out anew in group %s, too late to commit (%s); "
                "it is owed for those that stay here, the records of the others come again",
                self.topic,
                self.group,
                type(problem).__name__,
                extra={"action": "commit_moved"},
            )
            return False
        except TryAgain as problem:
            logger.warning("%s; the commit is owed", problem.message, extra={"action": "commit_owed"})
            return False
        self._holding.committed(offsets)
        self._stands |= {tp.partition: offset for tp, offset in owed.items()}
        owed.clear()
        return True

    def stands_behind(self, offsets: Mapping[int, int]) -> bool:
        """Whether Kafka has taken these offsets, or later ones, of us. Asks nobody."""
        return self.group is None or all(self._stands.get(p, -1) >= offset for p, offset in offsets.items())

    def take_lost(self) -> set[int]:
        """Partitions that another member may have worked on since the last call."""
        return self._holding.take_lost()

    def lag(self) -> dict[int, int]:
        """Offsets between what was fetched and the end of each partition, as last heard."""
        found = {}
        for tp in self._kafka.assignment():
            end = self._kafka.highwater(tp)
            position = self._ours(tp)
            if end is not None and position is not None:
                found[tp.partition] = max(0, end - position)
        return found

    def at_end(self) -> bool:
        """Whether every partition we hold was read to the end that it had when we first asked."""
        assigned = self._holding.assigned
        if assigned is None:
            return False
        with self._told():
            unseen = [tp for tp in assigned if tp not in self._ends]
            if unseen:
                self._ends.update(self._kafka.end_offsets(unseen, timeout_ms=_ANSWER_MS))
            positions = {tp: self._ours(tp) for tp in assigned}
        return all(position is not None and position >= self._ends[tp] for tp, position in positions.items())

    def _ours(self, tp: TopicPartition) -> int | None:
        try:
            position: int | None = self._kafka.position(tp, timeout_ms=1_000)
        except NoOffsetForPartitionError:
            return None
        return position

    def close(self) -> None:
        """Leave the group at once, committing nothing."""
        self._kafka.close(autocommit=False, timeout_ms=5_000)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn kafka-python's errors into ours: what is wrong, where, and what to do."""
        try:
            yield
        except (*_MOVED, NoOffsetForPartitionError):
            raise
        except OffsetOutOfRangeError as problem:
            raise StopTheLine(
                f"group {self.group} stands outside the log of {self.topic}: {problem}; retention has "
                "deleted changes that the group never read, or the topic was made anew",
                next_step="bring your store up to date from a full copy, then start again with --from-start",
            ) from problem
        except AuthorizationError as problem:
            raise LienthongError(
                f"the broker {self._brokers} refuses {self.topic} or group {self.group}",
                next_step="ask the road's operator to allow reading this topic with this group",
            ) from problem
        except RetriableError as problem:
            raise TryAgain(
                f"no answer from the broker {self._brokers} about {self.topic} ({type(problem).__name__})",
                next_step="check that the broker runs and that LIENTHONG_BROKER names it",
            ) from problem
        except KafkaError as problem:
            raise StopTheLine(
                f"{self.topic} on {self._brokers} cannot be read on: {problem}",
                next_step="show this to the road's operator; nothing was committed past it",
            ) from problem
