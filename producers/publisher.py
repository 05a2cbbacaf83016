"""Sends records to Kafka: idempotent, acks=all, Kafka's own partitioner, in order per key."""

import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any, Final

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)

from producers.envelope import Outgoing
from producers.topic_numbers import highest_numbers
from schemas.brokers import addresses
from schemas.errors import TryAgain

#: The broker's own limit decides; this is only above every sensible one.
_LARGEST_REQUEST: Final = 64 * 1024 * 1024
_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
#: Longer than delivery_timeout_ms. kafka-python can stop refreshing metadata for good when a broker leaves at
#: the wrong moment (3.0.12; seed 39 of the crash campaign); then nothing is answered and nothing expires.
SILENCE_SECONDS = 90.0
_LOOK_EVERY_SECONDS: Final = 1.0


class Verdict(Enum):
    """What became of one record."""

    ACKNOWLEDGED = "acknowledged"
    TOO_LARGE = "too large"  #: the topic refuses its size, now and each time
    UNKNOWN = "unknown"  #: not acknowledged; it may stand in the topic all the same


class Publisher:
    """One producer at a time; lives in one thread.

    Args:
        broker: bootstrap servers.
        client_id: shown in the broker's logs.
    """

    def __init__(self, broker: str, *, client_id: str) -> None:
        self._broker = broker
        self._client_id = client_id
        self._producer: Any = None
        self.failure = ""  #: why the last UNKNOWN was one: the name of Kafka's error

    def missing(self, topics: Collection[str]) -> list[str]:
        """Those of the topics that the broker does not have. Raises ``TryAgain`` if it does not answer."""
        require_listener(self._broker)
        try:
            admin = KafkaAdminClient(bootstrap_servers=self._broker, client_id=self._client_id)
        except KafkaError as error:
            raise self._away(error) from None
        try:
            return sorted(set(topics).difference(admin.list_topics()))
        except KafkaError as error:
            raise self._away(error) from None
        finally:
            admin.close()

    def highest(self, topics: Collection[str]) -> Mapping[str, int]:
        """The highest number that each topic holds near its ends. ``TryAgain`` if the broker is away."""
        require_listener(self._broker)
        try:
            return highest_numbers(self._broker, topics, client_id=self._client_id)
        except KafkaError as error:
            raise self._away(error) from None

    def publish(
        self, records: Sequence[Outgoing], *, waiting: Callable[[], None] = lambda: None
    ) -> list[Verdict]:
        """Send the records in this order and wait for what becomes of each.

        Args:
            records: all of them are sent before the first answer is waited for.
            waiting: called each second until all are answered. What it raises ends the wait, and the
                producer with it.

        If a verdict is UNKNOWN, later records of its key may have overtaken it; only publishing all of them
        again from the outbox puts them in order.

        Raises:
            TryAgain: nothing was sent, for the broker does not answer.
        """
        verdicts = self._attempt(records, waiting)
        if Verdict.TOO_LARGE not in verdicts or len(records) == 1:
            return verdicts
        # After a refusal for size kafka-python's producer is broken, and says the same of whatever comes
        # behind it. So ask again, one at a time; repeats keep the order of each key.
        first = verdicts.index(Verdict.TOO_LARGE)
        refused: set[tuple[str, bytes]] = set()
        for at in range(first, len(records)):
            name = (records[at].topic, records[at].key)
            if name in refused:
                verdicts[at] = Verdict.UNKNOWN  # must not overtake
                continue
            verdicts[at] = self._attempt(records[at : at + 1], waiting)[0]
            if verdicts[at] is Verdict.TOO_LARGE:
                refused.add(name)
        return verdicts

    def _attempt(self, records: Sequence[Outgoing], waiting: Callable[[], None]) -> list[Verdict]:
        futures = self._send(records)
        begun = time.monotonic()
        try:
            while not all(future.is_done for future in futures):
                self._flush()
                if all(future.is_done for future in futures):
                    break
                if time.monotonic() - begun > SILENCE_SECONDS:
                    self.failure = "NoAnswer"
                    break
                waiting()
        except BaseException:
            self.abandon()
            raise
        verdicts = [self._verdict(future) for future in futures]
        verdicts += [Verdict.UNKNOWN] * (len(records) - len(futures))
        if set(verdicts) != {Verdict.ACKNOWLEDGED}:
            self.abandon()
        return verdicts

    def abandon(self) -> None:
        """End the producer at once; nothing that waits in it is sent any more. Safe to repeat."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # close() alone first waits for what is unsent, and leaves the sending thread alive if that takes
        # too long; it would go on sending behind the back of the next producer.
        producer._sender.force_close()
        producer._sender.wakeup()
        producer._sender.join(10)
        with suppress(KafkaError):
            producer.close(timeout=0)

    def _send(self, records: Sequence[Outgoing]) -> list[Any]:
        """Hand the records to the producer, up to the first that it cannot take."""
        producer = self._ready()
        futures: list[Any] = []
        for record in records:
            try:
                future = producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                    timestamp_ms=record.timestamp_ms,
                )
            except _LARGE as error:
                future = _Refused(error)
            except KafkaError as error:
                self.failure = type(error).__name__
                break
            futures.append(future)
        return futures

    def _flush(self) -> None:
        """Send what waits. Returns when all is answered, or after a second."""
        # UnknownError: a batch was cut in two, and its halves have futures of their own.
        with suppress(KafkaTimeoutError, UnknownError):
            self._producer.flush(timeout=_LOOK_EVERY_SECONDS)

    def _verdict(self, future: Any) -> Verdict:
        if not future.is_done:
            return Verdict.UNKNOWN
        if future.succeeded():
            return Verdict.ACKNOWLEDGED
        if isinstance(future.exception, _LARGE):
            return Verdict.TOO_LARGE
        self.failure = type(future.exception).__name__
        return Verdict.UNKNOWN

    def _ready(self) -> Any:
        if self._producer is None:
            require_listener(self._broker)
            try:
                self._producer = KafkaProducer(
                    bootstrap_servers=self._broker,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    allow_auto_create_topics=False,
                    compression_type="lz4",
                    # Nothing is sent before a batch is full or flush() is called, which comes right after
                    # the last send: fewer and larger requests, and no waiting.
                    linger_ms=5,
                    batch_size=256 * 1024,
                    max_request_size=_LARGEST_REQUEST,
                    max_block_ms=10_000,
                    request_timeout_ms=20_000,
                    delivery_timeout_ms=60_000,
                    reconnect_backoff_max_ms=2_000,
                    bootstrap_timeout_ms=10_000,
                    metrics_enabled=False,
                )
            except KafkaError as error:
                raise self._away(error) from None
        return self._producer

    def _away(self, error: KafkaError) -> TryAgain:
        return TryAgain(
            f"the broker {self._broker} does not answer ({type(error).__name__})",
            next_step="check that it runs and that LIENTHONG_BROKER names it",
        )


class _Refused:
    """A future for a record that the producer would not even take."""

    is_done = True

    def __init__(self, error: KafkaError) -> None:
        self.exception = error

    def succeeded(self) -> bool:
        return False


def require_listener(brokers: str) -> None:
    """kafka-python keeps sockets and a thread for a broker it does not find, so look before it is asked."""
    for address in addresses(brokers):
        try:
            socket.create_connection(address, timeout=5).close()
            return
        except OSError:
            continue
    raise TryAgain(
        f"no broker listens on {brokers}",
        next_step="check that it runs and that LIENTHONG_BROKER names it",
    )
