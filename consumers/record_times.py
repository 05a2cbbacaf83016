"""When a record came, by its own timestamp: read from the topic, and only once while the offset stays."""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from consumers.brokers import require_listener, told
from consumers.kafka_look import ANSWER_SECONDS, MISSES
from consumers.store import Position

#: A batch that is larger comes all the same, but alone.
_FETCH_BYTES = 64 * 1024


class RecordTimes:
    """For one thread at a time."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers
        self._consumer: Any = None
        self._missed = 0
        self._seen: dict[tuple[Position, int], int] = {}

    def at(self, wanted: Collection[tuple[Position, int]]) -> Mapping[tuple[Position, int], int]:
        """Milliseconds since 1970 of the first record at or behind each offset.

        What does not come within ``ANSWER_SECONDS`` is left out, and after ``MISSES`` such looks it connects
        anew. Raises ``TryAgain`` if no broker answers.
        """
        self._seen = {one: moment for one, moment in self._seen.items() if one in wanted}
        unseen = sorted(set(wanted) - set(self._seen))
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            with told(self._brokers):
                while unseen and time.monotonic() < deadline:
                    now = dict(reversed(unseen))  # of each partition the first offset
                    self._read(now, deadline)
                    unseen = [(one, offset) for one, offset in unseen if now[one] != offset]
        except BaseException:
            self.close()
            raise
        self._missed = self._missed + 1 if set(wanted) - set(self._seen) else 0
        if self._missed >= MISSES:
            self.close()
        return dict(self._seen)

    def _read(self, wanted: Mapping[Position, int], deadline: float) -> None:
        consumer = self._connected()
        places = {TopicPartition(one.topic, one.partition): offset for one, offset in wanted.items()}
        consumer.assign(list(places))
        for tp, offset in places.items():
            consumer.seek(tp, offset)
        while places and time.monotonic() < deadline:
            try:
                polled = consumer.poll(timeout_ms=200, max_records=1)
            except OffsetOutOfRangeError as problem:  # deleted since; the next look sees the new begin
                polled = dict.fromkeys(problem.args[0], ())
            for tp, records in polled.items():
                offset = places.pop(tp, 0)
                for record in records:
                    self._seen[Position(topic=tp.topic, partition=tp.partition), offset] = record.timestamp
            if polled:
                # Not paused: what kafka-python 3.0.12 has fetched of a paused partition it keeps, and fetches
                # no more of it until that is taken out again, which may be never.
                consumer.assign(list(places))
        consumer.assign([])

    def _connected(self) -> Any:
        if self._consumer is None:
            require_listener(self._brokers)
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._brokers.split(","),
                bootstrap_timeout_ms=int(ANSWER_SECONDS * 1000),
                client_id="lienthong-monitor",
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="none",
                allow_auto_create_topics=False,
                max_partition_fetch_bytes=_FETCH_BYTES,
                reconnect_backoff_max_ms=2_000,
            )
        return self._consumer

    def close(self) -> None:
        """Give the connection up; it is made again when it is needed."""
        if self._consumer is not None:
            with suppress(KafkaError):
                self._consumer.close(autocommit=False, timeout_ms=1000)
        self._consumer, self._missed = None, 0
