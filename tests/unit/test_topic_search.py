"""The search for a key's records in a topic, on a client in memory."""

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError

from consumers.topic_search import TopicSearch
from schemas.errors import TryAgain


class Kafka:
    """A ``KafkaConsumer`` of a topic with one partition; retention may pass by before the first poll."""

    deleted: ClassVar[int] = 0  #: records that retention deletes then

    def __init__(self, **options: Any) -> None:
        self.reset = options.get("auto_offset_reset", "latest")
        self.log = [SimpleNamespace(offset=at, key=b"%d" % (at % 2)) for at in range(4)]
        self.place = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def beginning_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, 0)

    def end_offsets(self, parts: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(parts, len(self.log))

    def assign(self, parts: list[TopicPartition]) -> None:
        pass

    def seek(self, part: TopicPartition, offset: int) -> None:
        self.place = offset

    def position(self, part: TopicPartition) -> int:
        return self.place

    def poll(self, timeout_ms: float) -> dict[str, list[Any]]:
        if self.place < self.deleted and self.reset == "none":
            raise OffsetOutOfRangeError
        found = [] if self.place < self.deleted else self.log[self.place :]
        self.place = len(self.log)
        return {"all": found}


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> TopicSearch:
    monkeypatch.setattr("consumers.topic_search.KafkaConsumer", Kafka)
    monkeypatch.setattr("consumers.topic_search.require_listener", lambda brokers: None)
    return TopicSearch("nowhere:1", last=100, say=print)


def test_the_records_of_a_key_are_found(search: TopicSearch) -> None:
    found = search.find("thu", b"1", since=None)
    assert found is not None
    assert [one.offset for one in found.records] == [1, 3]


def test_records_that_retention_deletes_before_they_are_read_are_not_told_as_never_there(
    monkeypatch: pytest.MonkeyPatch, search: TopicSearch
) -> None:
    monkeypatch.setattr(Kafka, "deleted", 2)
    with pytest.raises(TryAgain, match="retention has deleted records of thu-0") as told:
        search.find("thu", b"1", since=None)
    assert told.value.next_step == "look once more"
