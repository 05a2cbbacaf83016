"""A broker is killed and comes back under each reader that keeps its Kafka client for long: all read on."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest
from kafka import KafkaProducer

from consumers.record_times import RecordTimes
from consumers.store import Position
from consumers.topic_reader import TopicReader
from deploy.local.kafka import KafkaNode
from producers.answers import Answer
from producers.following import Follower
from producers.settings import RelaySettings
from schemas.errors import TryAgain
from tests.road import PATIENCE_SECONDS, wait_for
from tests.shipped import shipped
from tests.topics import new_topic

pytestmark = pytest.mark.timeout(1200)


class Times:
    """The monitor's reader of times."""

    def __init__(self, broker: str, topic: str) -> None:
        self.topic = topic
        self.times = RecordTimes(broker)
        self.close = self.times.close

    def client(self) -> Any:
        return self.times._consumer

    def read(self, offset: int) -> bool:
        try:
            return bool(self.times.at([(Position(topic=self.topic, partition=0), offset)]))
        except TryAgain:
            return False


class Reader:
    """The national consumer's reader of a topic, in a group or without one."""

    def __init__(self, broker: str, topic: str, group: str | None) -> None:
        self.reader = TopicReader(
            topic, brokers=broker, group=group, from_start=True, longest_work_seconds=300, options={}
        )
        self.close = self.reader.close
        self.next = 0

    def client(self) -> Any:
        return self.reader._kafka

    def read(self, offset: int) -> bool:
        for one in self.reader.fetch(100, 1.0):
            assert one.start <= self.next, "a record was passed over"
            self.next = one.next
            self.reader.commit({one.partition: one.next})
        return self.next > offset


class Book:
    """What ``Follower`` asks of an ``AnswerBook``, in memory."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, topic: str) -> int:
        return self.places.get(topic, 0)

    def take(self, topic: str, next_offset: int, answers: Sequence[Answer]) -> int:
        self.places[topic] = next_offset
        return len(answers)

    def create(self) -> None:
        """Nothing is to be made."""

    def prune(self, before: str, stop: Event) -> None:
        """Nothing is old."""

    def close(self) -> None:
        """Nothing is open."""


class Receipts:
    """``receipts follow``."""

    def __init__(self, broker: str, system: str) -> None:
        self.place = f"receipts.{system}-0"
        self.book = Book()
        self.stop = Event()
        self.clients: list[Any] = []
        settings = RelaySettings(source="sqlite:///none.db", broker=broker)
        follower = Follower(self.book, [f"{system}/so"], settings, shipped().registry)  # type: ignore[arg-type]
        self.connect = follower._consumer
        follower._consumer = self.connected  # type: ignore[method-assign]
        self.thread = Thread(target=follower.run, args=[self.stop])
        self.thread.start()

    def connected(self) -> Any:
        self.clients.append(self.connect())
        return self.clients[-1]

    def client(self) -> Any:
        return self.clients[-1]

    def read(self, offset: int) -> bool:
        assert self.thread.is_alive()
        time.sleep(0.2)
        return self.book.place(self.place) > offset

    def close(self) -> None:
        self.stop.set()
        self.thread.join(PATIENCE_SECONDS)


class Ground:
    """A topic, and who reads it."""

    def __init__(self, kafka: KafkaNode, unique: str) -> None:
        self.kafka = kafka
        self.system = unique
        self.topic = f"receipts.{unique}"
        new_topic(kafka.bootstrap, self.topic)

    def put(self) -> int:
        """A record more; its offset."""
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap, acks="all")
        try:
            return int(producer.send(self.topic, b"no envelope").get(PATIENCE_SECONDS).offset)
        finally:
            producer.close()

    def readers(self) -> dict[str, Callable[[], Any]]:
        broker = self.kafka.bootstrap
        return {
            "record times": lambda: Times(broker, self.topic),
            "a group's member": lambda: Reader(broker, self.topic, f"bo-{self.system}"),
            "without a group": lambda: Reader(broker, self.topic, None),
            "receipts": lambda: Receipts(broker, self.system),
        }


@pytest.fixture
def ground(kafka: KafkaNode, unique: str) -> Iterator[Ground]:
    yield Ground(kafka, unique)
    kafka.start()


def test_times_of_records_are_told_whatever_was_asked_before(
    kafka: KafkaNode, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.record_times.ANSWER_SECONDS", PATIENCE_SECONDS)
    topics = [Ground(kafka, f"{unique}{number}").topic for number in range(3)]
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", linger_ms=50)
    for topic in topics:
        for _ in range(20):  # in one batch, of which the first looks leave most
            producer.send(topic, b"no envelope", partition=0)
    producer.close()
    times = RecordTimes(kafka.bootstrap)
    try:
        for asked in ([0], [1], [0, 1], [2], [0, 2], [1], [0, 1, 2], [2], [1]):
            for offset in (3, 17):
                wanted = [(Position(topic=topics[number], partition=0), offset) for number in asked]
                assert times.at(wanted).keys() == set(wanted)
    finally:
        times.close()


def end_its_metadata(client: Any) -> None:
    """Bring a client where kafka-python was seen: it never asks again who leads what, in which epoch."""
    client._cluster.closed = True
    client._cluster._wakeup.notify()
    wait_for("its loop to end", lambda: client._cluster._refresh_loop_future.is_done)


@pytest.mark.parametrize("deaf", [False, True], ids=["left alone", "made deaf"])
def test_every_reader_reads_on_after_its_broker_was_killed(ground: Ground, deaf: bool) -> None:
    readers = {name: make() for name, make in ground.readers().items()}
    try:
        first = ground.put()
        for name, one in readers.items():
            wait_for(f"{name}: the first record", partial(one.read, first))
            if deaf:
                end_its_metadata(one.client())
        ground.kafka.kill()
        ground.kafka.start()
        second, waiting = ground.put(), set(readers)

        def all_read() -> bool:
            waiting.difference_update([name for name in sorted(waiting) if readers[name].read(second)])
            return not waiting

        wait_for(lambda: f"a record after the restart is not read by {sorted(waiting)}", all_read)
    finally:
        for one in readers.values():
            one.close()
