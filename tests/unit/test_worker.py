"""What a worker does once a second, with a consumer that is played."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from consumers.store import NationalStore, Position
from schemas.errors import TryAgain
from streams.claims import Claims, Held
from streams.lanes import ConsumerLog, Lane, RoadApp, moves, reason
from streams.metrics import RoadMetrics
from streams.watchdog import Watchdog
from streams.worker import Worker

P0 = Position(topic="province.test.one", partition=0)


class PlayedConsumer:
    """Is assigned what the test wants, in the generation it wants."""

    def __init__(self) -> None:
        self.at: int | None = 1
        self.assigned: set[Position] | None = {P0}  #: None: its thread has not started
        self.known = True  #: whether the broker answers

    def generation(self) -> int | None:
        return self.at

    def assignment(self) -> set[Position]:
        assert self.assigned is not None, "asked before it was there"
        return self.assigned

    def ends(self) -> Mapping[Position, int | None]:
        return {P0: 7}

    def broker_known(self) -> bool:
        return self.known

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        raise KafkaTimeoutError("a very long text")


class Ended(Exception):
    """The test has seen enough."""


def ticking(
    monkeypatch: pytest.MonkeyPatch,
    lane: Lane,
    *between: Callable[[], None],
    beat: Callable[[], None] = lambda: None,
) -> float:
    """Let the worker tick so often, each of these called before; how many partitions it tells it holds.

    ``beat``: the watchdog's.
    """
    steps = list(between)

    async def sleep(_seconds: float) -> None:
        if not steps:
            raise Ended
        steps.pop(0)()

    monkeypatch.setattr("streams.worker.asyncio", SimpleNamespace(sleep=sleep))
    worker = Worker.__new__(Worker)
    worker._metrics = RoadMetrics(CollectorRegistry())
    dog = cast(Watchdog, SimpleNamespace(beat=beat))
    with pytest.raises(Ended):
        asyncio.run(worker._tick([lane], dog))
    return float(worker._metrics.partitions_held._value.get())


@pytest.fixture
def consumer() -> PlayedConsumer:
    return PlayedConsumer()


@pytest.fixture
def lane(consumer: PlayedConsumer) -> Lane:
    app = cast(RoadApp, SimpleNamespace(consumer=consumer, crashed=False, started=True, rebalancing=False))
    store = cast(NationalStore, None)  # nobody claims here
    claims = Claims(
        store=store, deployment="test", owner="one", log=ConsumerLog(app), executor=ThreadPoolExecutor(1)
    )
    claims._held[P0] = Held(epoch=1, generation=1, start=5, position=5, committed=5)
    mill = SimpleNamespace(last_progress=0.0, idle=True, trouble="")
    return Lane(app=app, claims=claims, mills=[mill])  # type: ignore[list-item]


def test_claims_of_a_worker_that_is_left_with_nothing_are_given_up_at_a_tick(
    consumer: PlayedConsumer, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.claims._note_unclaimed([Position(topic=P0.topic, partition=1)])

    def rebalancing() -> None:
        consumer.at, consumer.assigned = None, set()

    def left_with_nothing() -> None:
        assert set(lane.claims.held) == {P0}, "given up while it is not known whose they are"
        assert lane.claims.oldest_wait() > 0
        consumer.at = 2

    assert ticking(monkeypatch, lane, lambda: None) == 1
    assert ticking(monkeypatch, lane, rebalancing, left_with_nothing) == 0
    assert lane.claims.held == {}
    assert lane.claims.oldest_wait() == 0.0


@pytest.mark.parametrize(("started", "generation", "assigned"), [(True, None, None), (False, 1, set())])
def test_claims_are_left_alone_while_the_app_or_its_consumer_is_not_started(
    started: bool,
    generation: int | None,
    assigned: set[Position] | None,
    consumer: PlayedConsumer,
    lane: Lane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane.app.started = started  # type: ignore[misc]
    consumer.at, consumer.assigned = generation, assigned
    ticking(monkeypatch, lane, lambda: None)
    assert set(lane.claims.held) == {P0}


def test_a_broker_that_does_not_tell_the_bounds_of_a_log_is_away(consumer: PlayedConsumer) -> None:
    log = ConsumerLog(cast(RoadApp, SimpleNamespace(consumer=consumer)))
    with pytest.raises(TryAgain, match="KafkaTimeoutError") as caught:
        asyncio.run(log.bounds([P0]))
    assert "a very long text" not in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("newest", "oldest", "goes_on"),
    [(1, 1, True), (1, 50, True), (6, 20, False), (1, 70, False)],
    ids=["all move", "slow commits by turns", "nothing moves", "one lot hangs"],
)
def test_a_worker_goes_on_while_slow_commits_come_by_turns_and_not_while_one_hangs(
    lane: Lane, newest: float, oldest: float, goes_on: bool
) -> None:
    now = time.monotonic()
    mill = SimpleNamespace(last_progress=now - newest, waits_since=now - oldest, idle=False, trouble="")
    lane.mills[:] = [mill]  # type: ignore[list-item]
    assert moves(lane, 1) is goes_on


def test_a_broker_that_goes_away_is_told_once_and_so_is_its_return(
    consumer: PlayedConsumer, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(yes: bool) -> Callable[[], None]:
        return lambda: setattr(consumer, "known", yes)

    looked_for = [known(False)] * 2  # a lane that has just been started has no broker yet
    with capture_logs() as logs:
        ticking(monkeypatch, lane, *looked_for, known(True), *[known(False)] * 3, *[known(True)] * 2)
    assert [(one["log_level"], one["event"], bool(one.get("next_step"))) for one in logs] == [
        ("warning", "the broker does not answer", True),
        ("info", "the broker answers again", False),
    ]


def never_claimed(_consumer: PlayedConsumer, lane: Lane) -> None:
    lane.claims._note_unclaimed([Position(topic=P0.topic, partition=1)])


def away(consumer: PlayedConsumer, _lane: Lane) -> None:
    consumer.known = False


def rebalancing(_consumer: PlayedConsumer, lane: Lane) -> None:
    lane.app.rebalancing = True


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (never_claimed, "assigned partitions could not be claimed"),
        (away, "the broker does not answer"),
        (rebalancing, "the consumer group is still rebalancing"),
    ],
)
def test_the_watchdog_hears_nothing_of_a_lane_in_trouble_although_nothing_waits(
    trouble: Callable[[PlayedConsumer, Lane], None],
    why: str,
    consumer: PlayedConsumer,
    lane: Lane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So each ends in a bounded time and with its reason: who hangs in silence keeps its partitions."""
    lane.claims._held[P0].position = 7  # where the log ends: nothing waits
    beats: list[bool] = []
    troubled = False

    def strike() -> None:
        nonlocal troubled
        troubled = True
        trouble(consumer, lane)

    def nothing() -> None:
        """A tick like any other."""

    ticking(monkeypatch, lane, nothing, strike, nothing, beat=lambda: beats.append(troubled))
    assert beats == [False]
    assert reason([lane]) == why
