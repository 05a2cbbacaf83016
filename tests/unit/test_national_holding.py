"""Which partitions a member of a group held without a break."""

from types import SimpleNamespace

from kafka import TopicPartition

from consumers.holding import Holding

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Kafka:
    """Only what the listener asks of a ``KafkaConsumer``."""

    def __init__(self) -> None:
        self.generation = 0
        self.begun_at_start: list[TopicPartition] = []

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(generation_id=self.generation)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self.begun_at_start += partitions


def holding(again_from_start: bool = False) -> tuple[Holding, Kafka]:
    kafka = Kafka()
    found = Holding(again_from_start=again_from_start)
    found.kafka = kafka
    return found, kafka


def assign(found: Holding, kafka: Kafka, generation: int, *partitions: TopicPartition) -> set[int]:
    if found.assigned is not None:
        found.on_partitions_revoked(found.assigned)
    kafka.generation = generation
    found.on_partitions_assigned(set(partitions))
    return found.take_lost()


def test_a_partition_kept_from_one_generation_to_the_next_was_nobody_elses() -> None:
    found, kafka = holding()
    assert assign(found, kafka, 1, A, B) == {0, 1}
    assert assign(found, kafka, 2, A, B) == set()
    assert assign(found, kafka, 3, A) == {1}
    assert assign(found, kafka, 4, A, B) == {1}


def test_a_missed_generation_may_have_given_every_partition_to_somebody_else() -> None:
    found, kafka = holding()
    assign(found, kafka, 1, A)
    assert assign(found, kafka, 3, A) == {0}


def test_a_member_that_was_thrown_out_has_lost_everything() -> None:
    found, kafka = holding()
    assign(found, kafka, 1, A)
    found.on_partitions_lost({A})
    assert found.assigned is None
    kafka.generation = 2
    found.on_partitions_assigned({A})
    assert found.take_lost() == {0}


def test_what_is_owed_of_a_partition_stays_as_long_as_the_partition_does() -> None:
    found, kafka = holding(again_from_start=True)
    assign(found, kafka, 1, A, B)
    found.owed = {A: 7, B: 9}
    assign(found, kafka, 2, A)
    assert found.owed == {A: 7}
    assign(found, kafka, 3, A, B)
    assert found.owed == {A: 7}
    assert sorted(kafka.begun_at_start) == [A, B, B], "A is read on from where it was"
    found.on_partitions_lost({A, B})
    assert found.owed == {}


def test_what_is_owed_over_a_missed_generation_may_be_behind_what_another_committed() -> None:
    found, kafka = holding()
    assign(found, kafka, 1, A)
    found.owed = {A: 7}
    assign(found, kafka, 3, A)
    assert found.owed == {}


def test_from_start_means_once_for_each_partition() -> None:
    found, kafka = holding(again_from_start=True)
    assign(found, kafka, 1, A)
    found.committed([A])
    assign(found, kafka, 2, A, B)
    found.committed([B])
    assign(found, kafka, 3, B)
    assert kafka.begun_at_start == [A, B]


def test_what_is_lost_before_its_first_commit_begins_at_the_start_again() -> None:
    """The group still stands at its old offset, perhaps at the end: to go on there would skip the log."""
    found, kafka = holding(again_from_start=True)
    assign(found, kafka, 1, A)
    found.on_partitions_lost({A})
    assign(found, kafka, 3, A)
    assert kafka.begun_at_start == [A, A]
