"""The soak's own judgement: what is an alarm, and what is not."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from consumers.causes import decide
from consumers.monitor_metrics import MonitorMetrics
from consumers.observation import Observation
from tests.observations import away, dataset, observation
from tests.road import Road
from tests.soak import watch as watching
from tests.soak.watch import FLAT_MB, LATE_SECONDS, Memory, Watch

A, B = "he001/hoso", "he002/hoso"


@dataclass
class Receipts:
    """What stands in the store's table of receipts."""

    rows: list[tuple[int, str, str, str, str]] = field(default_factory=list)

    def query(self, sql: str, **values: Any) -> list[tuple[int, str, str, str, str]]:
        return [row for row in self.rows if row[0] > values["last"]]


@dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(watching, "time", made)
    return made


def looked_at(receipts: Receipts, clock: Clock) -> Watch:
    return Watch(cast(Road, receipts), begun=clock.now)


def test_what_is_applied_in_time_is_no_alarm(clock: Clock) -> None:
    receipts = Receipts()
    watch = looked_at(receipts, clock)
    for seq in (1, 2, 3):
        watch.published(A, seq)
    clock.now += 2
    receipts.rows += [(1, A, "applied", "1-2", ""), (2, A, "applied", "3", "")]
    watch.look()
    watch.finish()
    assert (watch.alarms, watch.unanswered, watch.delays) == ([], 0, [2, 2, 2])


def test_a_late_answer_is_told_once_and_again_when_it_happens_again(clock: Clock) -> None:
    receipts = Receipts()
    watch = looked_at(receipts, clock)
    watch.published(A, 1)
    watch.published(B, 1)
    receipts.rows.append((1, B, "applied", "1", ""))
    for _ in range(3):
        clock.now += LATE_SECONDS
        watch.look()
    assert [one.text for one in watch.alarms] == [f"{A}: 1 changes, the oldest unanswered for 60 s"]
    receipts.rows.append((2, A, "applied", "1", ""))
    watch.look()
    watch.published(A, 2)
    clock.now += LATE_SECONDS + 1
    watch.look()
    assert len(watch.alarms) == 2


def test_what_is_refused_or_lost_is_an_alarm(clock: Clock) -> None:
    receipts = Receipts([(1, A, "rejected", "1", "code_unknown")])
    watch = looked_at(receipts, clock)
    watch.published(A, 1)
    watch.published(B, 1)
    watch.look()
    watch.finish()
    told = [f"{A}: rejected code_unknown", f"{B}: 1 changes were never answered"]
    assert [one.text for one in watch.alarms] == told


def page(seen: Observation) -> str:
    """What the monitor serves of an observation."""
    registry = CollectorRegistry()
    MonitorMetrics(registry, lambda: 0.0).show(seen, {one.id: decide(one, seen) for one in seen.datasets})
    return generate_latest(registry).decode()


def test_what_the_monitor_says_is_an_alarm_once(clock: Clock) -> None:
    watch = looked_at(Receipts(), clock)
    healthy, gone = observation(dataset()), observation(dataset(), targets=away("store"))
    watch.states(page(healthy))
    assert watch.alarms == []
    for seen in (gone, gone, healthy, gone):
        watch.states(page(seen))
    assert [one.text for one in watch.alarms] == ["ho_tich/khai_sinh: store_away, says the monitor"] * 2


def test_a_silent_monitor_is_an_alarm(clock: Clock) -> None:
    watch = looked_at(Receipts(), clock)
    watch.states("")
    assert [one.text for one in watch.alarms] == ["the monitor says nothing of any dataset"]


@pytest.mark.parametrize(
    ("samples", "growth"),
    [
        ([100.0, 900.0], 0.0),  # too few to tell
        ([100.0] + [300.0] * 9, 0.0),  # it grew while it warmed up
        ([float(100 + 10 * at) for at in range(10)], 60.0),  # 125 to 185
    ],
)
def test_memory_is_judged_when_it_is_warm(clock: Clock, samples: list[float], growth: float) -> None:
    watch = looked_at(Receipts(), clock)
    watch.memory["w1"] = Memory(samples=samples)
    assert watch.memory["w1"].growth == growth
    watch.finish()
    assert bool(watch.alarms) == (growth > FLAT_MB)
