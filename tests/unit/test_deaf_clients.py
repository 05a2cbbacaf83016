"""A Kafka client that went deaf is given up for another one, by each that keeps one for long."""

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from consumers.kafka_look import MISSES
from consumers.record_times import RecordTimes
from consumers.store import Position
from consumers.topic_reader import TopicReader
from producers.answers import Answer
from producers.following import Follower
from producers.settings import RelaySettings
from tests.shipped import shipped

TOPIC = "receipts.thu"
RECORD = SimpleNamespace(offset=3, timestamp=77, value=b"no envelope")


class Kafka:
    """What the readers ask of a ``KafkaConsumer``: the first of them hears nothing, those made later do."""

    made: ClassVar[list["Kafka"]] = []
    now: ClassVar[float] = 0.0  #: seconds that were waited for nothing
    answers: ClassVar[bool] = True  #: whether the deaf one still tells where the log ends
    parts: ClassVar[int] = 1  #: the deaf one still hears all but the first

    def __init__(self, **options: Any) -> None:
        self.deaf = not self.made
        self.places: dict[TopicPartition, int] = {}
        self.closed = False
        self.made.append(self)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self.parts))

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        self.places = dict.fromkeys(parts, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self.places)

    def seek(self, part: TopicPartition, offset: int) -> None:
        self.places[part] = offset

    def seek_to_beginning(self) -> None:
        self.places = dict.fromkeys(self.places, 0)

    def position(self, part: TopicPartition, timeout_ms: float) -> int:
        return self.places[part]

    def end_offsets(self, parts: Sequence[TopicPartition], timeout_ms: float) -> dict[TopicPartition, int]:
        if self.deaf and not self.answers:
            raise KafkaTimeoutError
        return {part: max(4, self.places[part]) for part in parts}

    def poll(self, timeout_ms: float, max_records: int) -> Mapping[TopicPartition, list[Any]]:
        if self.deaf:
            Kafka.now += timeout_ms / 1000
            flowing = [part for part in self.places if part.partition]
            self.places |= {part: self.places[part] + 1 for part in flowing}
            return {part: [SimpleNamespace(offset=self.places[part] - 1, value=b"")] for part in flowing}
        heard = {part: [RECORD] for part, place in self.places.items() if place <= RECORD.offset}
        self.places |= dict.fromkeys(heard, RECORD.offset + 1)
        return heard

    def close(self, **how: Any) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def _clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kafka, "made", [])
    monkeypatch.setattr(Kafka, "parts", 1)
    monkeypatch.setattr("schemas.hearing.SILENCE_SECONDS", 0.0)
    monkeypatch.setattr("schemas.hearing.FLOWING_SECONDS", 0.0)
    monkeypatch.setattr(Kafka, "now", 0.0)
    monkeypatch.setattr("consumers.record_times.time", SimpleNamespace(monotonic=lambda: Kafka.now))
    monkeypatch.setattr("producers.following.TROUBLE_SECONDS", 0.0)
    for room in ("consumers.record_times", "consumers.topic_reader", "producers.following"):
        monkeypatch.setattr(f"{room}.KafkaConsumer", Kafka)
        monkeypatch.setattr(f"{room}.require_listener", lambda brokers: None)


def only_the_second_hears() -> None:
    assert [(one.deaf, one.closed) for one in Kafka.made] == [(True, True), (False, False)]


def test_the_times_of_records_come_again() -> None:
    times, wanted = RecordTimes("nowhere:1"), [(Position(topic=TOPIC, partition=0), 3)]
    assert [dict(times.at(wanted)) for _ in range(MISSES)] == [{}] * MISSES
    assert dict(times.at(wanted)) == {wanted[0]: 77}
    only_the_second_hears()
    times.at([])


@pytest.mark.parametrize("answers", [True, False])
def test_a_topic_is_read_on(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    monkeypatch.setattr(Kafka, "answers", answers)
    reader = TopicReader(
        TOPIC, brokers="nowhere:1", group=None, from_start=True, longest_work_seconds=1, options={}
    )
    reader.rewind({0: 2})
    while not (fetched := reader.fetch(1, 0.0)):
        assert len(Kafka.made) <= 2
    assert [(one.start, one.next) for one in fetched] == [(3, 4)]
    only_the_second_hears()


def test_a_topic_of_which_one_partition_still_flows_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kafka, "parts", 2)
    reader = TopicReader(
        TOPIC, brokers="nowhere:1", group=None, from_start=True, longest_work_seconds=1, options={}
    )
    fetched = {0: 0, 1: 0}
    while not fetched[0]:
        for one in reader.fetch(10, 0.0):
            if len(Kafka.made) == 1:
                assert one.start == fetched[one.partition], "nothing of a poll is lost with its connection"
            fetched[one.partition] = one.next
        assert fetched[1] < 20
    assert fetched[0] == 4
    only_the_second_hears()


class Book:
    """What ``Follower`` asks of an ``AnswerBook``."""

    def __init__(self, done: Callable[[], None]) -> None:
        self.done = done
        self.places: dict[str, int] = {}

    def create(self) -> None:
        pass

    def prune(self, before: str, stop: Event) -> None:
        pass

    def close(self) -> None:
        pass

    def place(self, topic: str) -> int:
        return self.places.get(topic, 0)

    def take(self, topic: str, next_offset: int, answers: Sequence[Answer]) -> int:
        self.places[topic] = next_offset
        self.done()
        return len(answers)


@pytest.mark.parametrize("answers", [True, False])
def test_receipts_are_followed_on(monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    monkeypatch.setattr(Kafka, "answers", answers)
    stop = Event()
    book = Book(stop.set)
    settings = RelaySettings(source="sqlite:///none.db", broker="nowhere:1")
    Follower(book, ["thu/so"], settings, shipped().registry).run(stop)  # type: ignore[arg-type]
    assert book.places == {f"{TOPIC}-0": 4}
    assert [one.deaf for one in Kafka.made] == [True, False]


def test_receipts_of_which_one_partition_still_flows_are_followed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kafka, "parts", 2)
    stop = Event()

    def look() -> None:
        if f"{TOPIC}-0" in book.places or book.places[f"{TOPIC}-1"] > 20:
            stop.set()

    book = Book(look)
    settings = RelaySettings(source="sqlite:///none.db", broker="nowhere:1")
    Follower(book, ["thu/so"], settings, shipped().registry).run(stop)  # type: ignore[arg-type]
    assert book.places[f"{TOPIC}-0"] == 4
    assert [one.deaf for one in Kafka.made] == [True, False]
