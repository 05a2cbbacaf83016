"""The look at Kafka when a part of it does not answer, told by a client that is told what to say."""

from collections.abc import Mapping
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError, NotLeaderForPartitionError, UnknownTopicOrPartitionError
from kafka.structs import OffsetAndMetadata, OffsetAndTimestamp

from consumers.kafka_look import MISSES, KafkaSight
from consumers.store import Position
from schemas.errors import TryAgain


class Cluster:
    """Two brokers: the first leads partition 0 of each topic and keeps group a, the second 1 and b."""

    def __init__(self, *topics: str) -> None:
        self.topics = list(topics)
        self.late: set[int | str] = set()
        self.leaders = [1, 2]
        self.asked: list[str] = []
        self.moved: dict[str, Exception] = {}  # what a question is answered with, once
        self.ends = {(topic, partition): 10 + partition for topic in topics for partition in (0, 1)}

    def _answer(self, who: int | str, question: str) -> None:
        self.asked.append(question)
        if who in self.late:
            raise KafkaTimeoutError("a very long text")
        if question in self.moved:
            raise self.moved.pop(question)

    def describe_cluster(self) -> Mapping[str, Any]:
        self._answer("cluster", "cluster")
        return {"brokers": [{"broker_id": 1}, {"broker_id": 2}]}

    def describe_topics(self, names: list[str]) -> list[Mapping[str, Any]]:
        parts = [{"partition_index": at, "leader_id": self.leaders[at]} for at in (0, 1)]
        return [
            {"name": one, "error_code": 0 if one in self.topics else 3, "partitions": parts} for one in names
        ]

    def describe_configs(self, resources: list[Any], config_filter: str) -> Mapping[str, Any]:
        told = {"retention.ms": {"value": "1000"}, "retention.bytes": {"value": "-1"}}
        told["cleanup.policy"] = {"value": "compact" if "compact" in self.topics else "delete"}
        return {"topic": {one.name: told for one in resources}}

    def list_groups(self, brokers: list[int]) -> list[Mapping[str, str]]:
        self._answer(brokers[0], "groups")
        return [{"group_id": "a" if brokers == [1] else "b"}]

    def describe_log_dirs(self, brokers: list[int]) -> list[Mapping[str, Any]]:
        parts = [{"partition_index": brokers[0] - 1, "partition_size": 500}]
        topics = [{"name": one, "partitions": parts} for one in self.topics]
        return [{"log_dirs": [{"error_code": 0, "topics": topics, "total_bytes": 100, "usable_bytes": 25}]}]

    def list_partition_offsets(self, wanted: Mapping[TopicPartition, int]) -> Mapping[Any, Any]:
        self._answer(next(iter(wanted)).partition + 1, f"offsets {int(next(iter(wanted.values())))}")
        if {tp.topic for tp in wanted} - set(self.topics):
            raise UnknownTopicOrPartitionError
        if any(self.leaders[tp.partition] < 0 for tp in wanted):
            raise NotLeaderForPartitionError
        return {
            tp: OffsetAndTimestamp(3 if spec == -2 else self.ends[tp], 77 if spec == -3 else -1, None)
            for tp, spec in wanted.items()
        }

    def list_group_offsets(self, groups: list[str]) -> Mapping[str, Any]:
        places = {TopicPartition("t", 0): 5, TopicPartition("t", 1): -1, TopicPartition("strange", 0): 1}
        told = {tp: OffsetAndMetadata(at, "", -1) for tp, at in places.items()}
        return dict.fromkeys(groups, told)

    def describe_groups(self, groups: list[str]) -> Mapping[str, Any]:
        given = {"assigned_partitions": [{"topic": "t", "partitions": [0, 1]}]}
        return {
            one: {"members": [{"member_assignment": given}, {"member_assignment": b""}]} for one in groups
        }

    def close(self) -> None:
        self.asked.append("close")


def sight(cluster: Cluster, *topics: str) -> KafkaSight:
    return KafkaSight(
        "127.0.0.1:1", topics=topics or ["t"], dated=["t"], groups=["a"], connect=lambda brokers: cluster
    )


def at(partition: int, topic: str = "t") -> Position:
    return Position(topic=topic, partition=partition)


def test_a_whole_look() -> None:
    look = sight(Cluster("t"), "t", "gone").look()
    assert {one.name: one.up for one in look.targets} == {"cluster": True, "1": True, "2": True}
    assert look.missing == frozenset({"gone"})
    assert (look.begins, look.ends) == ({at(0): 3, at(1): 3}, {at(0): 10, at(1): 11})
    assert look.newest_ms == {at(0): 77, at(1): 77}
    # -1 means that the group never committed there; topics of others do not concern us.
    assert look.committed == {"a": {at(0): 5}, "b": {at(0): 5}}
    assert [len(one.positions) for one in look.members["a"]] == [2, 0]
    assert set(look.members) == {"a"}
    assert (look.retention["t"].after_ms, look.retention["t"].above_bytes) == (1000, None)
    assert (look.sizes, look.disks) == ({at(0): 500, at(1): 500}, {"1": 0.75, "2": 0.75})


def test_a_client_that_misses_something_again_and_again_is_given_up() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    cluster.late = {2}
    for _ in range(MISSES):
        watching.look()
    assert "close" not in cluster.asked
    watching.look()
    assert cluster.asked.count("close") == 1


def test_a_compacted_topic_is_kept() -> None:
    assert sight(Cluster("t", "compact"), "t").look().retention["t"].after_ms is None


def test_half_of_the_answers_late_take_their_half_out_and_no_more() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    watching.look()
    cluster.late = {2}
    look = watching.look()
    assert [(one.name, one.up) for one in look.targets] == [("cluster", True), ("1", True), ("2", False)]
    assert "a very long text" not in look.targets[-1].why
    assert look.ends == {at(0): 10}
    assert look.silent == frozenset({at(1)})
    assert set(look.committed) == {"a"}
    cluster.late = set()
    assert watching.look().ends == {at(0): 10, at(1): 11}


def test_brokers_answer_though_nobody_tells_of_the_cluster() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    watching.look()
    cluster.late = {"cluster"}
    look = watching.look()
    assert [one.up for one in look.targets] == [False, True, True]
    assert (look.ends, look.missing) == ({at(0): 10, at(1): 11}, None)


def test_nobody_answers() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    watching.look()
    cluster.late = {"cluster", 1, 2}
    with pytest.raises(TryAgain, match="KafkaTimeoutError"):
        watching.look()
    assert cluster.asked[-1] == "close"
    assert watching.names == ["1", "2"]


def test_what_changes_rarely_is_not_asked_each_time() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    watching.look()
    cluster.asked.clear()
    watching.look()
    assert cluster.asked == ["cluster", "offsets -1", "offsets -1"]
    cluster.ends["t", 1] += 1
    cluster.asked.clear()
    assert watching.look().ends[at(1)] == 12
    assert cluster.asked == ["cluster", "offsets -1", "offsets -1", "offsets -3"]  # the newest record anew


def test_a_topic_that_is_deleted_in_between_is_noticed_at_once() -> None:
    cluster = Cluster("t", "u")
    watching = sight(cluster, "t", "u")
    assert watching.look().missing == frozenset()
    cluster.topics.remove("u")
    look = watching.look()
    assert look.missing == frozenset({"u"})
    assert set(look.ends) == {at(0), at(1)}
    assert all(one.up for one in look.targets)


def test_partitions_without_a_leader_are_silent_and_take_nothing_else_away() -> None:
    cluster = Cluster("t")
    watching = sight(cluster)
    watching.look()
    cluster.leaders[1] = -1
    look = watching.look()
    assert all(one.up for one in look.targets)
    assert look.ends == {at(0): 10}
    assert look.silent == frozenset({at(1)})


@pytest.mark.parametrize("problem", [UnknownTopicOrPartitionError(), NotLeaderForPartitionError()])
@pytest.mark.parametrize("question", ["offsets -2", "offsets -3"])  # the first record's, the newest one's
def test_what_moves_after_the_ends_were_told_takes_no_begin_away(question: str, problem: Exception) -> None:
    cluster = Cluster("t", "u")
    watching = sight(cluster, "t", "u")
    cluster.moved = {question: problem}
    look = watching.look()
    assert all(one.up for one in look.targets)
    assert look.begins == dict.fromkeys(look.ends, 3)
    assert set(look.ends) == {at(p, topic) for p in (0, 1) for topic in ("t", "u")}
    cluster.asked.clear()
    assert watching.look().begins == look.begins
    # What was learnt after the leaders were listed anew is known, and what was learnt before is asked again.
    assert cluster.asked.count("offsets -2") == (question == "offsets -3")


def test_what_is_deleted_after_the_ends_were_told_has_no_end_without_a_begin() -> None:
    cluster = Cluster("t", "u")
    watching = sight(cluster, "t", "u")
    told = cluster.list_partition_offsets

    def deleted(wanted: Mapping[TopicPartition, int]) -> Mapping[Any, Any]:
        if -2 in wanted.values() and "u" in cluster.topics:
            cluster.topics.remove("u")
        return told(wanted)

    cluster.list_partition_offsets = deleted  # type: ignore[method-assign]
    look = watching.look()
    assert look.ends.keys() == look.begins.keys() == {at(0), at(1)}
    assert (look.missing, look.silent) == (frozenset({"u"}), frozenset())
