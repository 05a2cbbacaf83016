"""Members of one group of the national-sync consumer: who has what, and what a lost one may commit."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consumers.national import NationalBatch, NationalConsumer
from deploy.local.kafka import KafkaNode
from tests.national_lab import Ground, a_ground, keys, to_end, until
from tests.road import PATIENCE_SECONDS

# kafka-python 3.0 does not always close a socket that is connecting when its client is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def ground(kafka: KafkaNode, tmp_path: Path) -> Iterator[Ground]:
    yield from a_ground(kafka, tmp_path)


@dataclass
class Member:
    """A member of the group in a thread of its own."""

    consumer: NationalConsumer
    work: Callable[[NationalBatch], None] = lambda batch: None
    seen: list[str] = field(default_factory=list)
    partitions: set[int] = field(default_factory=set)
    commits: list[bool] = field(default_factory=list)
    trouble: BaseException | None = None

    def start(self) -> "Member":
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            with self.consumer:
                for batch in self.consumer.batches(timeout_seconds=0.2):
                    self.seen += [record.key for record in batch.records]
                    self.partitions |= set(batch.offsets)
                    self.work(batch)
                    if batch.offsets:
                        self.commits.append(batch.commit())
        except BaseException as problem:
            self.trouble = problem

    def end(self) -> None:
        self.consumer.stop()
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()
        if self.trouble is not None:
            raise self.trouble


def group_of(ground: Ground) -> dict[str, Any]:
    """As the broker describes it."""
    described: dict[str, Any] = ground.admin.describe_groups([ground.group])[ground.group]
    return described


def test_two_members_share_the_partitions_and_each_record_comes_once(ground: Ground) -> None:
    members = [Member(ground.consumer()).start() for _ in range(2)]

    def both_have_one() -> bool:
        group = group_of(ground)  # asked twice, it could be stable with one and then be two, preparing
        return group["group_state"] == "Stable" and len(group["members"]) == 2

    try:
        until("a partition for each", both_have_one)
        expected = [f"{partition}-{at}" for partition in (0, 1) for at in range(200)]
        for partition in (0, 1):
            mine = [ground.change(key) for key in expected if key.startswith(f"{partition}-")]
            ground.put(*mine, partition=partition)
        until("every record", lambda: sum(len(member.seen) for member in members) >= len(expected))
    finally:
        for member in members:
            member.end()
    assert sorted(key for member in members for key in member.seen) == sorted(expected)
    assert sorted(len(member.partitions) for member in members) == [1, 1]
    assert ground.committed() == {0: 200, 1: 200}


def test_a_member_that_lost_its_partitions_cannot_commit_them_and_forgets_what_it_knew(
    ground: Ground,
) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    working, go_on = threading.Event(), threading.Event()

    def too_long(batch: NationalBatch) -> None:
        if batch.records and not working.is_set():
            working.set()
            assert go_on.wait(PATIENCE_SECONDS)

    slow = Member(ground.consumer(longest_work_seconds=10), work=too_long).start()
    try:
        assert working.wait(PATIENCE_SECONDS)
        until("nobody in the group", lambda: not group_of(ground)["members"])
        ground.put(ground.change("A", lt_op="d"))
        assert sorted(keys(to_end(ground.consumer()))) == ["A", "B"]
        assert ground.committed() == {0: 3}
        # Meanwhile A was left by its holder: who takes it now must get through.
        ground.put(ground.change("A", lt_source_key="khác"))
        go_on.set()
        until("A once more", lambda: "A" in slow.seen[2:])
    finally:
        go_on.set()
        slow.end()
    assert slow.commits[0] is False
    assert slow.seen == ["A", "B", "A"]
    assert ground.committed() == {0: 4}
    assert ground.parked() == []
