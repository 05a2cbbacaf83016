"""What the national-sync consumer says of its commits and parks, and what it owes after a rebalance."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import CommitFailedError, KafkaTimeoutError

from consumers.national import NationalBatch, NationalConsumer
from schemas.errors import SettingsError
from tests.shipped import shipped

TOPIC = "national.hotich.khaisinh.v1"
A, B = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


class Kafka:
    """What the consumer asks of a ``KafkaConsumer``; as that one does, it keeps places it still holds."""

    def __init__(self, log: Mapping[TopicPartition, int], **options: Any) -> None:
        self.log: dict[TopicPartition, int] = dict(log)  #: records that cannot be read, of each partition
        self.generation = 0
        self.next: set[TopicPartition] | None = set(log)  #: what the next poll gives us, if it gives anew
        self.places: dict[TopicPartition, int] = {}
        self.stands: dict[TopicPartition, int] = {}  #: where the group stands
        self.trouble: Exception | None = None  #: with the next commits

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {tp.partition for tp in self.log}

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.listener = listener

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(generation_id=self.generation)

    def assignment(self) -> set[TopicPartition]:
        return set(self.places)

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        self.next, self.places = None, dict.fromkeys(parts, 0)

    def seek(self, part: TopicPartition, offset: int) -> None:
        self.places[part] = offset

    def seek_to_beginning(self, *parts: TopicPartition) -> None:
        self.places |= dict.fromkeys(parts or self.places, 0)

    def position(self, part: TopicPartition, timeout_ms: float) -> int:
        return self.places[part]

    def highwater(self, part: TopicPartition) -> int:
        return self.log[part]

    def throw_out(self) -> None:
        self.listener.on_partitions_lost(self.assignment())
        self.places, self.generation = {}, self.generation + 1

    def poll(self, timeout_ms: float, max_records: int) -> dict[TopicPartition, list[Any]]:
        if self.next is not None:
            if self.places:
                self.listener.on_partitions_revoked(self.assignment())
            self.places = {tp: self.places.get(tp, self.stands.get(tp, 0)) for tp in self.next}
            self.generation += 1
            self.listener.on_partitions_assigned(self.next)
            self.next = None
        found = {}
        for tp, place in self.places.items():
            if place < self.log[tp]:
                found[tp] = [_damaged(tp, place)]
                self.places[tp] = place + 1
        return found

    def commit(self, offsets: Mapping[TopicPartition, Any], timeout_ms: float) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.stands |= {tp: place.offset for tp, place in offsets.items()}

    def close(self, **how: Any) -> None:
        pass


def _damaged(tp: TopicPartition, offset: int) -> SimpleNamespace:
    return SimpleNamespace(partition=tp.partition, offset=offset, key=b"K", value=b"damaged", headers=())


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka({A: 1, B: 1})
    monkeypatch.setattr("consumers.topic_reader.KafkaConsumer", lambda **options: made)
    monkeypatch.setattr("consumers.topic_reader.require_listener", lambda brokers: None)
    return made


@pytest.fixture
def consumer(client: Kafka, tmp_path: Path) -> Iterator[NationalConsumer]:
    made = NationalConsumer(
        TOPIC, broker="nowhere:1", group="bo", library=shipped(), park=tmp_path / "park.jsonl"
    )
    with made:
        yield made


def loop(consumer: NationalConsumer) -> Iterator[NationalBatch]:
    return consumer.batches(timeout_seconds=0.0)


def offsets(where: Mapping[TopicPartition, int]) -> dict[int, int]:
    return {tp.partition: offset for tp, offset in where.items()}


def test_a_finished_batch_says_again_that_its_commit_failed_until_a_later_one_made_up_for_it(
    client: Kafka, consumer: NationalConsumer
) -> None:
    batches = loop(consumer)
    batch = next(batches)
    client.trouble = KafkaTimeoutError()
    assert [batch.commit(), batch.commit()] == [False, False]
    client.trouble = None
    later = next(batches)
    assert not batch.commit()
    assert later.commit()
    assert batch.commit()
    assert offsets(client.stands) == {0: 1, 1: 1}


def test_a_batch_that_was_left_behind_is_not_said_to_be_committed(
    client: Kafka, consumer: NationalConsumer
) -> None:
    left = next(loop(consumer))
    again = next(loop(consumer))
    assert again.offsets == left.offsets
    assert not left.commit()
    assert client.stands == {}
    assert again.commit()
    assert left.commit()


def test_a_batch_in_hand_when_the_consumer_was_left_is_not_said_to_be_committed(client: Kafka) -> None:
    with NationalConsumer(TOPIC, broker="nowhere:1", group="bo", library=shipped()) as consumer:
        batch = next(loop(consumer))
    assert not batch.commit()
    assert client.stands == {}


@pytest.mark.parametrize("group", ["", " "])
def test_a_group_needs_a_name(group: str) -> None:
    """An unset variable in ``--group "$GROUP"`` is no request to look only."""
    with pytest.raises(SettingsError, match="the consumer group has no name"):
        NationalConsumer(TOPIC, broker="nowhere:1", group=group, library=shipped())


@pytest.mark.parametrize("trouble", [KafkaTimeoutError(), CommitFailedError()])
def test_what_is_owed_is_committed_after_a_rebalance_of_the_partitions_that_stay(
    client: Kafka, consumer: NationalConsumer, trouble: Exception
) -> None:
    """kafka-python reads on where it was, so that nothing comes which would be committed instead."""
    batches = loop(consumer)
    batch = next(batches)
    client.trouble = trouble
    assert not batch.commit()
    client.trouble, client.next = None, {A}
    assert next(batches).commit()
    assert client.stands == {A: 1}
    assert not batch.commit(), "the records of the other partition come again"


def test_what_is_owed_by_a_member_that_was_thrown_out_is_never_committed(
    client: Kafka, consumer: NationalConsumer
) -> None:
    batches = loop(consumer)
    batch = next(batches)
    client.trouble = CommitFailedError()
    assert not batch.commit()
    client.throw_out()
    client.trouble, client.next = None, {A}
    client.log[A] = 5
    client.stands = {A: 5, B: 1}  # by another member
    assert next(batches).commit()
    assert client.stands == {A: 5, B: 1}
    assert not batch.commit()


def test_a_look_parks_each_record_once_and_the_next_look_parks_it_again(
    client: Kafka, tmp_path: Path
) -> None:
    park = tmp_path / "park.jsonl"
    for look in (1, 2):
        with NationalConsumer(TOPIC, broker="nowhere:1", library=shipped(), park=park) as consumer:
            next(loop(consumer))  # the work on it fails
            batches = loop(consumer)
            next(batches)
            assert next(batches).offsets == {}
        lines = [json.loads(line) for line in park.read_text(encoding="utf-8").splitlines()]
        assert [(line["partition"], line["offset"]) for line in lines] == [(0, 0), (1, 0)] * look
