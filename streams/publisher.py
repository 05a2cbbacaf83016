"""Publishes whole batches to Kafka: idempotent, acks=all, in order per partition.

Faust turns idempotence on only together with ``exactly_once`` (which loses data), and publishes one
message at a time (82 to 104 µs a record, against 3 µs here); so the road owns an aiokafka producer.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)

from schemas.errors import StopTheLine, TryAgain
from streams.partitioner import partitions_of

START_SECONDS = 30.0
IN_TRANSACTION_SECONDS = 30.0  # below the store's idle_in_transaction timeout (60 s)
HEARSAY_SECONDS = 20.0  # until every broker knows of a topic that was just made
MAX_BATCH_BYTES = 900_000  # below Kafka's default of 1 MB for a message batch


class Outgoing(NamedTuple):
    """One record to publish. A tuple, because thousands are made at a time."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]  #: a list: aiokafka's builder refuses every other sequence

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.value) + len(self.key or b"")


class Publisher:
    """One idempotent producer for a worker; lives on the main loop.

    Args:
        broker: bootstrap servers.
        client_id: shown in the broker's logs.
    """

    def __init__(self, broker: str, *, client_id: str) -> None:
        self._broker = broker
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            TryAgain: the broker is away.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            # aiokafka's lz4 is of level 9: 6.5 µs a record with the interpreter held, against 1.2 without it.
            compression_type="zstd",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=16 * 1024 * 1024,
            metadata_max_age_ms=10_000,
            request_timeout_ms=30_000,
        )
        try:
            # Bounded: waiting for a producer id alone would go on for ever without a controller.
            await asyncio.wait_for(producer.start(), START_SECONDS)
        except (KafkaConnectionError, TimeoutError) as error:
            await producer.stop()
            raise TryAgain(
                f"the broker {self._broker} does not answer",
                next_step="start it, or correct LIENTHONG_BROKER",
            ) from error
        self._producer = producer

    async def stop(self) -> None:
        """Close without waiting for what was not acknowledged: the ledger decides what is repeated."""
        if self._producer is not None:
            await asyncio.wait_for(self._producer.stop(), timeout=5)

    async def require(self, topics: Sequence[str]) -> None:
        """See that these topics exist: a missing one is told now and not by an endless wait.

        A broker may hear of topics that were just made some seconds after they were made: it is asked again.
        Their partitions are learnt, all at once: asked for one by one, each first publishing waits for them.

        Raises:
            StopTheLine: names the first missing topic.
        """
        deadline = time.monotonic() + HEARSAY_SECONDS
        while missing := await self._missing(topics):
            if time.monotonic() < deadline:
                await asyncio.sleep(1)
                continue
            raise StopTheLine(
                f"topic {missing[0]} does not exist ({len(missing)} of {len(topics)} are missing)",
                next_step="create them: lienthong road topics",
            )
        await self._ready.client.set_topics(topics)

    async def _missing(self, topics: Sequence[str]) -> list[str]:
        metadata = await self._ready.client.fetch_all_metadata()
        return [topic for topic in topics if topic not in metadata.topics()]

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> None:
        """Publish and wait for all acknowledgements.

        Idempotent batches never expire in aiokafka; while the broker is away this waits, and the
        worker's watchdog ends the process when the wait has lasted too long.

        Raises:
            TryAgain: the broker refused for now; publish the same again.
            StopTheLine: the topic is missing or a record can never be accepted.
        """
        try:
            await self._publish(topic, records)
        except MessageSizeTooLargeError as error:
            raise StopTheLine(
                f"topic {topic} refuses a record for its size",
                next_step=f"raise max.message.bytes of {topic}",
            ) from error
        except UnknownTopicOrPartitionError as error:
            raise StopTheLine(
                f"topic {topic} does not exist", next_step="create it: lienthong road topics"
            ) from error
        except KafkaError as error:
            raise TryAgain(f"the broker refused records for {topic}: {type(error).__name__}") from error

    async def _publish(self, topic: str, records: Sequence[Outgoing]) -> None:
        partitions = len(await self._ready.partitions_for(topic))
        by_partition: dict[int, list[Outgoing]] = {}
        places = partitions_of([record.key or b"" for record in records], partitions)
        for record, partition in zip(records, places, strict=True):
            by_partition.setdefault(partition, []).append(record)
        acknowledgements: list[asyncio.Future[object]] = []
        for partition, mine in by_partition.items():
            acknowledgements += await self._send(topic, partition, mine)
        await asyncio.gather(*acknowledgements)

    async def _send(
        self, topic: str, partition: int, records: Sequence[Outgoing]
    ) -> list[asyncio.Future[object]]:
        sent: list[asyncio.Future[object]] = []
        builder = self._ready.create_batch()
        for record in records:
            if self._append(builder, record):
                continue
            if builder.record_count():
                sent.append(await self._ready.send_batch(builder, topic, partition=partition))
                builder = self._ready.create_batch()
            if not self._append(builder, record):  # larger than a whole batch: alone, through send
                sent.append(await self._send_alone(topic, partition, record))
                builder = self._ready.create_batch()
        if builder.record_count():
            sent.append(await self._ready.send_batch(builder, topic, partition=partition))
        return sent

    async def _send_alone(self, topic: str, partition: int, record: Outgoing) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self._ready.send(
            topic, value=record.value, key=record.key, partition=partition, headers=record.headers
        )
        return future

    @staticmethod
    def _append(builder: object, record: Outgoing) -> bool:
        appended = builder.append(  # type: ignore[attr-defined]
            timestamp=None, key=record.key, value=record.value, headers=record.headers
        )
        return appended is not None

    @property
    def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise TryAgain("the producer is not connected yet")
        return self._producer


async def publish_all(publisher: Publisher, outgoing: Mapping[str, Sequence[Outgoing]]) -> None:
    """Publish to several topics and wait for all of them."""
    await asyncio.gather(*(publisher.publish(topic, records) for topic, records in outgoing.items()))


def publish_from_thread(
    publisher: Publisher, outgoing: Mapping[str, Sequence[Outgoing]], loop: asyncio.AbstractEventLoop
) -> None:
    """The same from a thread that holds a transaction of the store. ``TimeoutError`` if it takes too long."""
    done = asyncio.run_coroutine_threadsafe(publish_all(publisher, outgoing), loop)
    try:
        done.result(IN_TRANSACTION_SECONDS)
    except TimeoutError:
        done.cancel()
        raise
