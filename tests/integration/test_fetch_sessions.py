"""aiokafka's fetcher with fetch sessions, against a real broker."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.local.kafka import KafkaNode
from streams.fetch_sessions import Session, SessionFetcher
from tests.topics import new_topic

TOPIC, PARTITIONS = "fetch.sessions", 20


@asynccontextmanager
async def reader(broker: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        enable_auto_commit=False,
    )
    consumer.assign([TopicPartition(TOPIC, number) for number in range(PARTITIONS)])
    await consumer.start()
    for place in consumer.assignment():
        consumer.seek(place, 0)
    try:
        yield consumer
    finally:
        await consumer.stop()


def test_every_record_comes_once_though_a_fetch_tells_only_what_changed(
    kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiokafka.consumer.consumer.Fetcher", SessionFetcher)
    told: list[int] = []
    ask = Session.ask

    def noted(self: Session, wanted: object) -> object:
        changed, taken_back = ask(self, wanted)  # type: ignore[arg-type]
        told.append(len(changed) + len(taken_back))
        return changed, taken_back

    monkeypatch.setattr(Session, "ask", noted)
    new_topic(kafka.bootstrap, TOPIC, partitions=PARTITIONS)
    asyncio.run(_read_through_trouble(kafka.bootstrap, told))


async def _read_through_trouble(broker: str, told: list[int]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True)
    await producer.start()
    seen: Counter[bytes] = Counter()
    async with reader(broker) as consumer:
        for round_number in range(5):
            texts = [b"%d.%d" % (round_number, number) for number in range(50)]
            for number, text in enumerate(texts):
                await producer.send(TOPIC, text, partition=number % 7)
            await producer.flush()
            await _read(consumer, seen, 50 * (round_number + 1))
            (session,) = consumer._fetcher._sessions.values()
            assert session.id
            if round_number == 1:
                told.clear()
                await asyncio.sleep(0.5)  # some fetches of which nothing comes
                assert told
                assert not any(told[2:])
            if round_number == 2:
                session.epoch += 5  # an answer that went astray
            if round_number == 3:
                session.id += 1  # a broker that started anew
    await producer.stop()
    assert set(seen.values()) == {1}


async def _read(consumer: AIOKafkaConsumer, seen: Counter[bytes], wanted: int) -> None:
    async with asyncio.timeout(60):
        while seen.total() < wanted:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                seen.update(record.value for record in records)
