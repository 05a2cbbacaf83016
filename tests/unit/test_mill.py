"""Lots: what is taken together, and in which order; and what a mill tells of the trouble it has."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry

from consumers.store import Fenced, Position, Slice
from schemas.errors import StopTheLine, TryAgain
from streams.batch import Batch, slices_of
from streams.claims import Claims
from streams.metrics import RoadMetrics
from streams.mill import LOT_RECORDS, Mill, choose_lot


def batch(topic: str, partition: int, start: int, stop: int, *, epoch: int = 1, records: int = 1) -> Batch:
    position = Position(topic=topic, partition=partition)
    nothing = [None] * records
    return Batch(position=position, records=nothing, start=start, next=stop, epoch=epoch)  # type: ignore[arg-type]


def test_a_lot_takes_one_topic_and_chains_each_partition() -> None:
    waiting = [
        batch("a", 0, 0, 5),
        batch("b", 0, 0, 9),
        batch("a", 1, 3, 4),
        batch("a", 0, 5, 8),
    ]
    lot, stays = choose_lot(waiting)
    assert lot == [waiting[0], waiting[2], waiting[3]]
    assert list(stays) == [waiting[1]]
    assert slices_of(lot) == [
        Slice(position=Position(topic="a", partition=0), start=0, next=8, epoch=1),
        Slice(position=Position(topic="a", partition=1), start=3, next=4, epoch=1),
    ]


def test_nothing_overtakes_a_batch_that_does_not_continue_the_one_before() -> None:
    waiting = [batch("a", 0, 0, 5), batch("a", 0, 7, 9), batch("a", 0, 5, 7), batch("a", 0, 9, 12, epoch=2)]
    lot, stays = choose_lot(waiting)
    assert lot == [waiting[0]]
    assert list(stays) == waiting[1:]


def test_a_full_lot_leaves_the_rest_in_order() -> None:
    waiting = [batch("a", 0, 0, 1, records=LOT_RECORDS), batch("a", 1, 0, 1), batch("a", 0, 1, 2)]
    lot, stays = choose_lot(waiting)
    assert lot == waiting[:1]
    assert list(stays) == waiting[1:]


# --- the mill --------------------------------------------------------------------------------------------

AWAY = TryAgain("the store is away", retry_after_seconds=0.01)


@dataclass
class PlayedHop:
    """Answers its steps, one after the other, with these errors, and then with success."""

    begins: list[Exception | None] = field(default_factory=list)
    commits: list[Exception | None] = field(default_factory=list)
    at_commit: Callable[[], None] = lambda: None
    name: str = "sync"

    async def begin(self, batches: Sequence[Batch]) -> None:
        self._next(self.begins)

    def prepare(self, lot: Sequence[Batch]) -> int:
        return len(lot)

    async def commit(self, prepared: int) -> None:
        self.at_commit()
        self._next(self.commits)

    @staticmethod
    def _next(steps: list[Exception | None]) -> None:
        if steps and (error := steps.pop(0)) is not None:
            raise error


class Counting:
    """Claims that count what became of the batches."""

    def __init__(self, *, lost: Collection[int] = ()) -> None:
        self.told: list[str] = []
        self.lost = lost  #: epochs

    def holds(self, batch: Batch) -> bool:
        return batch.epoch not in self.lost

    def entered(self, batch: Batch) -> None:
        self.told.append("entered")

    def settled(self, batch: Batch) -> None:
        self.told.append("settled")

    def dropped(self, batch: Batch) -> None:
        self.told.append("dropped")


def run_mill(
    hop: PlayedHop,
    *batches: Batch,
    watch: Callable[[Mill[int]], None] = lambda _: None,
    lost: Collection[int] = (),
) -> list[str]:
    """Let a mill work on these until it is idle; what its claims were told. Each commit calls ``watch``.

    ``lost``: epochs of claims that are held no longer.
    """
    claims, ended = Counting(lost=lost), list[BaseException]()

    async def run() -> None:
        metrics = RoadMetrics(CollectorRegistry())
        mill = Mill[int](hop, claims=cast(Claims, claims), metrics=metrics, stop_the_line=ended.append)
        hop.at_commit = lambda: watch(mill)
        mill.start()
        for one in batches:
            mill.offer(one)
        async with asyncio.timeout(60):
            while not mill.idle:  # noqa: ASYNC110 - as the watchdog asks
                await asyncio.sleep(0.005)
        assert mill.trouble == ""
        await mill.stop()

    asyncio.run(run())
    assert ended == []
    return claims.told


def test_what_waits_under_a_lost_claim_is_not_worked_on() -> None:
    """Which records wait behind a reject is known for the new claim only: a change would go out past it."""
    batches = [batch("a", 0, 0, 5), batch("b", 0, 0, 3, epoch=2), batch("a", 0, 0, 5, epoch=2)]
    told = run_mill(PlayedHop(), *batches, lost={1})
    assert told == ["entered"] * 3 + ["settled"] * 2


def test_a_claim_that_is_lost_while_a_lot_begins_takes_its_batches_along() -> None:
    """What was learnt meanwhile may be of the newer claim: a change would go out past its reject."""
    lost: set[int] = set()
    prepared: list[int] = []

    class Losing(PlayedHop):
        async def begin(self, batches: Sequence[Batch]) -> None:
            lost.add(1)
            await super().begin(batches)

        def prepare(self, lot: Sequence[Batch]) -> int:
            prepared.extend(one.epoch for one in lot)
            return super().prepare(lot)

    told = run_mill(Losing(begins=[AWAY]), batch("a", 0, 0, 5), batch("a", 1, 0, 3, epoch=2), lost=lost)
    assert prepared == [2]
    assert told == ["entered"] * 2 + ["settled"]


def test_a_lot_of_which_all_was_lost_while_it_began_leaves_the_mill_idle() -> None:
    lost: set[int] = set()

    class Losing(PlayedHop):
        async def begin(self, batches: Sequence[Batch]) -> None:
            lost.add(1)

    assert run_mill(Losing(), batch("a", 0, 0, 5), lost=lost) == ["entered"]


def test_a_commit_whose_answer_was_lost_is_no_trouble_any_more_once_the_repeat_is_fenced() -> None:
    troubles: list[str] = []
    one = batch("a", 0, 0, 5)
    hop = PlayedHop(commits=[AWAY, Fenced([one.position])])
    told = run_mill(hop, one, watch=lambda mill: troubles.append(mill.trouble))
    assert told == ["entered", "dropped"]
    assert troubles == ["", "the store is away"]


def test_a_store_that_answers_again_before_a_lot_is_prepared_is_no_trouble_at_its_commit() -> None:
    troubles: list[str] = []
    hop = PlayedHop(begins=[AWAY, AWAY])
    told = run_mill(hop, batch("a", 0, 0, 5), watch=lambda mill: troubles.append(mill.trouble))
    assert told == ["entered", "settled"]
    assert troubles == [""]


def test_a_lot_that_needed_nothing_does_not_hide_that_another_cannot_commit() -> None:
    troubles: list[str] = []
    hop = PlayedHop(commits=[AWAY, AWAY, AWAY])
    told = run_mill(
        hop,
        batch("a", 0, 0, 5),
        batch("b", 0, 0, 5),
        watch=lambda mill: troubles.append(mill.trouble),
    )
    assert told == ["entered", "entered", "settled", "settled"]
    assert troubles == ["", *["the store is away"] * 4]


# --- several lots ----------------------------------------------------------------------------------------


@dataclass
class HeldHop:
    """Tells which commits begin and end, each named by what it begins with; each waits to be let go."""

    log: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    mill: Mill[str] = field(init=False)
    name: str = "sync"

    async def begin(self, batches: Sequence[Batch]) -> None:
        pass

    def prepare(self, lot: Sequence[Batch]) -> str:
        return f"{lot[0].position.topic}{lot[0].start}"

    async def commit(self, prepared: str) -> None:
        self.log.append(f"{prepared} begins")
        await self.held.setdefault(prepared, asyncio.Event()).wait()
        self.log.append(f"{prepared} ends")

    def let_go(self, *commits: str) -> None:
        for one in commits:
            self.held.setdefault(one, asyncio.Event()).set()

    async def logged(self, *said: str) -> None:
        """Wait until this is all that was told, and see that no more comes."""
        async with asyncio.timeout(60):
            while not self.log[len(said) - 1 :]:  # noqa: ASYNC110 - of tests only
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        assert self.log == list(said)
        self.log.clear()


@asynccontextmanager
async def held_mill(*batches: Batch) -> AsyncIterator[HeldHop]:
    hop, ended = HeldHop(), list[BaseException]()
    metrics = RoadMetrics(CollectorRegistry())
    mill = hop.mill = Mill[str](
        hop, claims=cast(Claims, Counting()), metrics=metrics, stop_the_line=ended.append
    )
    mill.start()
    for one in batches:
        mill.offer(one)
    yield hop
    await mill.stop()
    assert ended == []


def test_lots_of_several_topics_commit_beside_each_other_and_those_of_one_in_turn() -> None:
    async def scene() -> None:
        batches = [batch("a", 0, 0, 5), batch("b", 0, 0, 9), batch("a", 0, 7, 8), batch("c", 0, 0, 4)]
        async with held_mill(*batches) as hop:  # the second one of a does not continue the first: another lot
            await hop.logged("a0 begins", "b0 begins", "c0 begins")
            hop.let_go("a7", "b0", "c0")
            await hop.logged("b0 ends", "c0 ends")
            hop.let_go("a0")
            await hop.logged("a0 ends", "a7 begins", "a7 ends")

    asyncio.run(scene())


def test_lots_of_one_topic_commit_beside_each_other_unless_they_share_a_partition() -> None:
    async def scene() -> None:
        first = batch("a", 0, 0, 5, records=LOT_RECORDS)
        second = batch("a", 1, 10, 20, records=LOT_RECORDS)
        async with held_mill(first, second, batch("a", 1, 20, 21), batch("b", 0, 0, 9)) as hop:
            await hop.logged("a0 begins", "a10 begins", "b0 begins")
            hop.let_go("a20", "a0", "b0")
            await hop.logged("a0 ends", "b0 ends")
            hop.let_go("a10")
            await hop.logged("a10 ends", "a20 begins", "a20 ends")

    asyncio.run(scene())


def test_a_lot_behind_another_does_not_count_as_waiting_by_itself() -> None:
    """The watchdog would end a worker whose next lot was prepared long before its turn came."""

    async def scene() -> None:
        async with held_mill(batch("a", 0, 0, 5), batch("a", 0, 7, 8)) as hop:
            await hop.logged("a0 begins")
            while [one.moved for one in hop.mill._lots][1:] != [math.inf]:  # noqa: ASYNC110 - of tests only
                await asyncio.sleep(0.001)
            began = hop.mill.waits_since
            hop.let_go("a0")
            while not hop.log:  # noqa: ASYNC110 - of tests only
                await asyncio.sleep(0)
            assert hop.mill.waits_since > began  # also before the second one's turn is noticed
            await hop.logged("a0 ends", "a7 begins")
            assert began < hop.mill.waits_since <= time.monotonic()

    asyncio.run(scene())


def test_a_lot_of_many_partitions_waits_for_each_lot_before_it_and_keeps_the_next_ones_behind_it() -> None:
    async def scene() -> None:
        large = [batch("a", number, 10 * number, 15, records=LOT_RECORDS) for number in range(2)]
        both = [batch("a", 0, 5, 6), batch("a", 1, 17, 18)]  # neither continues what is large: another lot
        async with held_mill(*large, *both, batch("a", 1, 27, 28)) as hop:
            await hop.logged("a0 begins", "a10 begins")
            hop.let_go("a5", "a27", "a10")
            await hop.logged("a10 ends")
            hop.let_go("a0")
            await hop.logged("a0 ends", "a5 begins", "a5 ends", "a27 begins", "a27 ends")

    asyncio.run(scene())


def test_a_topic_that_cannot_commit_keeps_no_other_from_it() -> None:
    async def scene() -> None:
        stuck = [batch("a", number, number, 9, records=LOT_RECORDS) for number in range(4)]
        others = [batch("b", 0, 0, 9), batch("b", 0, 11, 12), batch("c", 0, 0, 4)]
        async with held_mill(*stuck, *others) as hop:
            await hop.logged("a0 begins", "a1 begins", "a2 begins", "b0 begins")
            began = time.monotonic()
            hop.let_go("b0", "b11", "c0")
            async with asyncio.timeout(60):
                while len(hop.log) < 5:  # noqa: ASYNC110 - of tests only
                    await asyncio.sleep(0.001)
            assert {one for one in hop.log if one.endswith("ends")} == {"b0 ends", "b11 ends", "c0 ends"}
            # The watchdog must see it: nothing moves there, whatever the others do.
            assert not hop.mill.idle
            assert hop.mill.waits_since <= began < hop.mill.last_progress

    asyncio.run(scene())


def test_what_waits_for_a_commit_that_ends_the_worker_does_not_overtake_it() -> None:
    class BadHop(HeldHop):
        async def commit(self, prepared: str) -> None:
            await super().commit(prepared)
            raise StopTheLine("nobody foresaw this")

    async def scene() -> None:
        hop, ended = BadHop(), asyncio.Event()
        claims, metrics = cast(Claims, Counting()), RoadMetrics(CollectorRegistry())
        mill = Mill[str](hop, claims=claims, metrics=metrics, stop_the_line=lambda _: ended.set())
        mill.start()
        for one in (batch("a", 0, 0, 5), batch("a", 0, 7, 8)):
            mill.offer(one)
        await hop.logged("a0 begins")
        hop.let_go("a0", "a7")
        await ended.wait()
        await hop.logged("a0 ends")
        await mill.stop()

    asyncio.run(scene())
