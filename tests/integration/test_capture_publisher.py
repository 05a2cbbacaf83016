"""The publisher against a real broker: order, refusals, restarts, and no thread left behind."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from kafka.partitioner.default import murmur2

from deploy.local.kafka import KafkaNode
from producers import publisher as publishing
from producers.envelope import Outgoing
from producers.publisher import Publisher, Verdict
from schemas.errors import SettingsError, TryAgain
from tests.road import wait_for
from tests.topics import every_record, new_topic

ACK, LARGE, UNKNOWN = Verdict.ACKNOWLEDGED, Verdict.TOO_LARGE, Verdict.UNKNOWN

MakeTopic = Callable[..., str]

#: What compression does not make small.
NOISE = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=400_000))


@pytest.fixture
def make_topic(kafka: KafkaNode, unique: str) -> MakeTopic:
    def make(partitions: int = 3, **settings: str) -> str:
        # Records here are of 2023: the broker deletes what is older than a week when it looks next.
        new_topic(kafka.bootstrap, unique, partitions=partitions, **{"retention.ms": "-1", **settings})
        return unique

    return make


@pytest.fixture
def publisher(kafka: KafkaNode) -> Iterator[Publisher]:
    one = Publisher(kafka.bootstrap, client_id="test-capture")
    yield one
    one.abandon()


def record(topic: str, key: str, text: str) -> Outgoing:
    return Outgoing(
        topic=topic,
        key=key.encode(),
        value=text.encode(),
        headers=[("seq", b"7")],
        timestamp_ms=1_700_000_000_123,
    )


def read(kafka: KafkaNode, topic: str) -> list[tuple[int, str, str]]:
    """(partition, key, value) of every record there is now."""
    return [told(one) for one in every_record(kafka.bootstrap, topic)]


def told(one: Any) -> tuple[int, str, str]:
    return one.partition, one.key.decode(), one.value.decode()


def in_the_end(publisher: Publisher, records: Sequence[Outgoing]) -> None:
    """Publish as the relay does: again what was not acknowledged, until a broker that came back is ready."""

    def acknowledged() -> bool:
        with suppress(TryAgain):
            return set(publisher.publish(records)) == {ACK}
        return False

    wait_for("all acknowledged", acknowledged)


def our_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if "test-capture" in one.name]


def test_records_arrive_in_order_with_key_headers_and_time(
    kafka: KafkaNode, publisher: Publisher, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    sent = [record(topic, f"k{at % 5}", str(at)) for at in range(3000)]
    assert publisher.publish(sent) == [ACK] * 3000
    records = every_record(kafka.bootstrap, topic)
    found = [told(one) for one in records]
    for key in {key for _, key, _ in found}:
        mine = [(part, int(value)) for part, k, value in found if k == key]
        assert [number for _, number in mine] == sorted(number for _, number in mine)
        # Kafka's own partitioner, as every other producer uses it.
        assert {part for part, _ in mine} == {(murmur2(key.encode()) & 0x7FFFFFFF) % 3}
    assert {(*one.headers, one.timestamp) for one in records} == {(("seq", b"7"), 1_700_000_000_123)}


def test_a_record_that_the_topic_refuses_is_told_apart(
    kafka: KafkaNode, publisher: Publisher, make_topic: MakeTopic
) -> None:
    topic = make_topic(1, **{"max.message.bytes": "200000"})
    assert publisher.publish([record(topic, "a", NOISE)]) == [LARGE]
    assert publisher.publish([record(topic, "b", "small")]) == [ACK]
    several = [
        record(topic, "c", "1"),
        record(topic, "a", NOISE),
        record(topic, "a", "must not overtake"),
        record(topic, "c", "2"),
        record(topic, "d", NOISE),
        record(topic, "e", "3"),
    ]
    assert publisher.publish(several) == [ACK, LARGE, UNKNOWN, ACK, LARGE, ACK]
    found = read(kafka, topic)
    assert {key for _, key, _ in found} == {"b", "c", "e"}
    assert list(dict.fromkeys(value for _, key, value in found if key == "c")) == ["1", "2"]


def test_a_producer_that_is_never_answered_is_given_up(
    kafka: KafkaNode, publisher: Publisher, make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = make_topic(1)
    assert publisher.publish([record(topic, "a", "1")]) == [ACK]
    monkeypatch.setattr(publishing, "SILENCE_SECONDS", 2.0)
    assert kafka.pid is not None
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        assert publisher.publish([record(topic, "a", "2"), record(topic, "a", "3")]) == [UNKNOWN, UNKNOWN]
        assert publisher.failure == "NoAnswer"
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
    monkeypatch.undo()
    in_the_end(publisher, [record(topic, "a", "2"), record(topic, "a", "3")])
    values = [value for _, _, value in read(kafka, topic)]
    assert list(dict.fromkeys(values)) == ["1", "2", "3"]


def test_a_record_larger_than_any_request_is_refused_at_once(
    publisher: Publisher, make_topic: MakeTopic
) -> None:
    topic = make_topic(1)
    assert publisher.publish([record(topic, "a", "x" * (65 * 1024 * 1024))]) == [LARGE]


def test_order_per_key_over_broker_restarts(
    kafka: KafkaNode, publisher: Publisher, make_topic: MakeTopic
) -> None:
    """As the relay does it: what was not acknowledged is sent again, from the first of it on."""
    topic = make_topic()
    restarts: list[BaseException] = []

    def trouble() -> None:
        try:
            for kill in (kafka.kill, kafka.stop):
                time.sleep(0.3)
                kill()
                time.sleep(0.5)
                kafka.start()
        except BaseException as error:
            restarts.append(error)

    troubled = threading.Thread(target=trouble)
    troubled.start()
    at = 0
    deadline = time.monotonic() + 500
    while troubled.is_alive() or at < 20_000:
        assert time.monotonic() < deadline
        batch = [record(topic, f"k{number % 7}", str(number)) for number in range(at, at + 500)]
        with suppress(TryAgain):
            verdicts = publisher.publish(batch)
            if set(verdicts) == {ACK}:
                at += 500
                continue
        time.sleep(0.2)
    troubled.join()
    assert restarts == []
    by_key: dict[str, list[int]] = {}
    for _, key, value in read(kafka, topic):
        by_key.setdefault(key, []).append(int(value))
    assert sorted({number for mine in by_key.values() for number in mine}) == list(range(at)), "none is lost"
    for mine in by_key.values():
        # Repeats of a run are allowed, but no number comes before the one that it follows.
        highest = mine[0]
        for number in mine:
            assert number <= highest + 7
            highest = max(highest, number)


def test_waiting_is_told_each_second_and_can_be_given_up(
    kafka: KafkaNode, publisher: Publisher, make_topic: MakeTopic
) -> None:
    topic = make_topic(1)
    assert publisher.publish([record(topic, "a", "before")]) == [ACK]
    kafka.kill()
    calls = []

    class Enough(Exception):
        pass

    def waiting() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise Enough

    with pytest.raises(Enough):
        publisher.publish([record(topic, "a", "never")], waiting=waiting)
    assert len(calls) == 3
    assert our_threads() == [], "the sending thread would go on behind the back of the next producer"
    with pytest.raises(TryAgain, match="no broker listens"):
        publisher.publish([record(topic, "a", "never")])
    kafka.start()
    in_the_end(publisher, [record(topic, "a", "after")])
    values = [value for _, _, value in read(kafka, topic)]
    assert list(dict.fromkeys(values)) == ["before", "after"], "what was given up never comes"


def test_a_topic_that_is_missing_is_named(publisher: Publisher, make_topic: MakeTopic, unique: str) -> None:
    topic = make_topic(1)
    assert publisher.missing([topic, f"{unique}.khong_co"]) == [f"{unique}.khong_co"]


def test_addresses_that_are_none() -> None:
    with pytest.raises(SettingsError, match="LIENTHONG_BROKER"):
        Publisher("khong phai dia chi", client_id="x").missing(["t"])
    with pytest.raises(TryAgain):
        Publisher("127.0.0.1:1", client_id="x").missing(["t"])
