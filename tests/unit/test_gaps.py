"""Numbers that never arrived are found when nothing is on its way any more, and not before."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka.errors import KafkaTimeoutError

from consumers.receipts import Answers
from consumers.store import Position
from streams.claims import Claims, Held, Log
from streams.gaps import EASY, GapWatch
from streams.lanes import ConsumerLog, RoadApp
from tests.hop_lab import DATASET, ROAD, SYSTEM, HopLab


class Ends:
    """A log that ends where it is told, or where the ledger stands."""

    def __init__(self) -> None:
        self.end = 0

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        return dict.fromkeys(positions, (0, self.end))


class Lab(HopLab):
    """A hop whose answers are rejects, and a watch with a clock that is set by hand."""

    now = 1000.0

    def watching(self) -> None:
        self.log = Ends()
        self.claims.held[self.position] = Held(epoch=1, generation=1, start=0, position=0)
        self.watch = GapWatch(
            contracts=self.hop.contracts,
            formats=self.library.formats,
            store=self.store,
            claims=cast(Claims, self.claims),
            log=cast(Log, self.log),
            deployment=ROAD,
            metrics=self.metrics,
            executor=self.threads,
            stop_the_line=lambda error: None,
        )

    def answered(self, *numbers: int) -> None:
        self.run(*(self.raw(None, b"", seq=number) for number in numbers))
        self.log.end = self.offset

    def look(self, times: int = 3, *, seconds: float = 0.0) -> str:
        """Go so many steps, each after so many seconds; what is noted now."""
        for _ in range(times):
            self.now += seconds
            asyncio.run(self.watch.look())
        return str(self.store.gaps(SYSTEM, DATASET))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.watching()
    monkeypatch.setattr("streams.gaps.monotonic", lambda: made.now)
    yield made
    made.close()


def test_numbers_below_zero_stop_nobody_who_reads_the_answers(lab: Lab) -> None:
    lab.answered(1, 3)
    lab.seq = -10
    lab.run(lab.change(1, ngay_sinh="31/31/2016"), lab.change(2, ngay_sinh="31/31/2016"))
    lab.log.end = lab.offset
    assert lab.said() == {"rejected": "-9--8,1,3", "waiting": "2"}
    lab.look()
    assert lab.look(6, seconds=10) == "2"


def test_a_gap_is_named_after_half_a_minute_and_heals_when_it_arrives(lab: Lab) -> None:
    lab.answered(1, 2, 7)
    assert lab.look() == ""  # perhaps it is on its way
    assert lab.look(6, seconds=10) == "3-6"
    assert lab.metrics.missing.labels(SYSTEM, DATASET)._value.get() == 4
    lab.answered(4, 5)
    assert lab.look() == "3,6"  # what is left of it needs no new half minute
    lab.answered(3, 6)
    assert lab.look() == ""
    assert lab.metrics.missing.labels(SYSTEM, DATASET)._value.get() == 0


def test_a_new_watch_goes_on_with_what_was_noted(lab: Lab) -> None:
    """After each rebalance it would tell that they arrived, and half a minute later that they never did."""
    lab.answered(1, 2, 7, 9)
    lab.look()
    assert lab.look(6, seconds=10) == "3-6,8"
    lab.watching()
    lab.answered(4)
    assert lab.look() == "3,5-6,8"
    assert lab.metrics.missing.labels(SYSTEM, DATASET)._value.get() == 4


def test_what_still_stands_in_the_topic_is_not_missing(lab: Lab) -> None:
    lab.answered(1, 5)
    lab.log.end += 3
    assert lab.look(9, seconds=60) == ""
    lab.log.end -= 3


def test_numbers_behind_the_highest_known_at_the_start_are_left_for_the_next_round(lab: Lab) -> None:
    lab.answered(1, 3)
    lab.look(1)
    lab.answered(9)
    lab.look(2)
    assert lab.look(3, seconds=20) == "2"
    assert lab.look(3, seconds=20) == "2,4-8"


def test_without_a_gap_or_the_first_partition_nothing_is_asked_of_the_log(lab: Lab) -> None:
    lab.answered(1, 2, 3)
    lab.log.bounds = None  # type: ignore[assignment, method-assign]
    assert lab.look(5, seconds=60) == ""
    del lab.claims.held[lab.position]
    lab.answered(9)
    assert lab.look(5, seconds=60) == ""


def test_who_loses_the_first_partition_tells_of_no_gap_any_more(lab: Lab) -> None:
    """Its new holder does; the old word would ring for ever."""
    lab.answered(1, 5)
    lab.look(6, seconds=10)
    assert (SYSTEM, DATASET) in lab.metrics.missing._metrics
    claimed = lab.claims.held.pop(lab.position)
    lab.look(1)
    assert (SYSTEM, DATASET) not in lab.metrics.missing._metrics
    lab.look(1)
    lab.claims.held[lab.position] = claimed
    lab.look(6, seconds=10)
    assert lab.metrics.missing.labels(SYSTEM, DATASET)._value.get() == 3


def test_a_twentieth_of_the_time_goes_into_reading_answers_of_all_datasets_together(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for contract in lab.hop.contracts:
        first = Position(topic=contract.topic, partition=0)
        lab.claims.held[first] = Held(epoch=1, generation=1, start=0, position=0)
    read: list[str] = []

    def answers(system: str, dataset: str) -> list[Answers]:
        lab.now += 1
        read.append(f"{system}/{dataset}")
        return []

    monkeypatch.setattr(lab.store, "answers", answers)
    lab.look(100, seconds=10)
    most = (lab.now - Lab.now) / EASY
    assert set(read) == {one.id for one in lab.hop.contracts}
    assert len(read) <= most + 2 * len(lab.hop.contracts)  # the first look knows of no other dataset yet


def test_a_broker_that_is_away_is_waited_for(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is the worker's own, and what is away is aiokafka's consumer behind it."""
    lab.answered(1, 5)
    ended: list[BaseException] = []
    answers = asyncio.Event()
    there = lab.log.bounds
    asked = 0

    async def bounds(positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise KafkaTimeoutError("a very long text")
        answers.set()
        return await there(positions)

    def end(error: BaseException) -> None:
        ended.append(error)
        answers.set()

    lab.watch._log = ConsumerLog(cast(RoadApp, SimpleNamespace(consumer=SimpleNamespace(bounds=bounds))))
    monkeypatch.setattr(lab.watch, "_seconds", 0.01)
    monkeypatch.setattr(lab.watch, "_stop_the_line", end)
    told: list[str] = []
    monkeypatch.setattr(lab.watch, "_tell", told.append)

    async def look() -> None:
        lab.watch.start()
        async with asyncio.timeout(60):
            await answers.wait()
        await lab.watch.stop()

    asyncio.run(look())
    assert ended == []
    assert told == ["the broker cannot be used: KafkaTimeoutError"]
