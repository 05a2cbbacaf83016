"""Finds the records of one key in a topic: only its partition is read, and of that only the last part."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import OffsetOutOfRangeError
from kafka.partitioner.default import murmur2

from consumers.brokers import require_listener, told
from schemas.errors import TryAgain

SILENT_SECONDS, LONGEST_SECONDS = 2.0, 120.0
_POLL_MS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What was looked through."""

    topic: str
    partition: int
    begin: int  #: first offset that the log still has
    start: int  #: where the search began
    stop: int  #: behind the last offset looked at
    records: tuple[Any, ...]  #: kafka-python's ``ConsumerRecord``, in order


class TopicSearch:
    """One connection for several topics.

    Args:
        last: so many records at the end of a partition are looked through.
        say: told every two seconds how far it is.
    """

    def __init__(self, brokers: str, *, last: int, say: Callable[[str], None]) -> None:
        require_listener(brokers)
        self._last = last
        self._say = say
        with told(brokers):
            self._kafka = KafkaConsumer(
                bootstrap_servers=brokers.split(","),
                bootstrap_timeout_ms=10_000,
                client_id="lienthong-trace",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",  # who jumped to the end would tell that a record was never there
                allow_auto_create_topics=False,
                isolation_level="read_committed",
            )
        self._brokers = brokers

    def find(self, topic: str, key: bytes, *, since: datetime | None) -> Search | None:
        """The records of a key, from this time on if the last part of its partition reaches back so far.

        None if the topic does not exist. ``TryAgain`` if the broker is away or too slow, or if retention
        deleted records before they were read.
        """
        with told(self._brokers):
            partitions = sorted(self._kafka.partitions_for_topic(topic) or ())
            if not partitions:
                return None
            where = TopicPartition(topic, partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)])
            begin = int(self._kafka.beginning_offsets([where])[where])
            end = int(self._kafka.end_offsets([where])[where])
            start = max(begin, end - self._last, self._since(where, since))
            self._kafka.assign([where])
            self._kafka.seek(where, start)
            try:
                records = tuple(one for one in self._read(where, start, end) if one.key == key)
            except OffsetOutOfRangeError as problem:
                raise TryAgain(
                    f"retention has deleted records of {topic}-{where.partition} before they were read",
                    next_step="look once more",
                ) from problem
        return Search(
            topic=topic, partition=where.partition, begin=begin, start=start, stop=end, records=records
        )

    def _since(self, where: TopicPartition, since: datetime | None) -> int:
        if since is None:
            return 0
        told = self._kafka.offsets_for_times({where: int(since.timestamp() * 1000)}).get(where)
        return int(told.offset) if told is not None else 0

    def _read(self, where: TopicPartition, start: int, end: int) -> Iterator[Any]:
        began = talked = time.monotonic()
        while (place := int(self._kafka.position(where))) < end:
            for records in self._kafka.poll(timeout_ms=_POLL_MS).values():
                yield from (one for one in records if one.offset < end)
            now = time.monotonic()
            if now - talked > SILENT_SECONDS:
                share = 100 * (place - start) // (end - start)
                self._say(f"{where.topic}-{where.partition}: {share} % of {end - start} records …")
                talked = now
            if now - began > LONGEST_SECONDS:
                raise TryAgain(
                    f"{where.topic}-{where.partition} could not be read in {LONGEST_SECONDS:.0f} s",
                    next_step="look through less of it: --last",
                )

    def close(self) -> None:
        """Leave the broker."""
        self._kafka.close(autocommit=False, timeout_ms=5_000)


def time_of(record: Any) -> datetime:
    """When the broker took it, or its producer made it: as the topic is set."""
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def header_of(record: Any, name: str) -> bytes | None:
    """The record's first header of this name."""
    return next((value for key, value in record.headers if key == name), None)
