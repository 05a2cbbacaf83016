"""The crash campaign's own parts: what is planned, and what is told."""

from collections import Counter

import pytest

from tests.campaign.plan import CREWS, KINDS, TEN, draw, many_kills
from tests.campaign.report import recoveries, spread
from tests.campaign.scenario import Recovery

PLANS = [draw(seed) for seed in range(TEN, TEN + 10)]


def test_a_seed_gives_the_same_scenario_again() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_the_ten_of_make_test_bring_about_everything() -> None:
    there = {(fault.kind, fault.target) for plan in PLANS for fault in plan.faults}
    programs = {name for crew in CREWS for name in crew}
    assert {target for kind, target in there if kind == "kill -9"} >= {*programs, "capture", "broker"}
    assert {target for kind, target in there if kind == "immediate stop"} == {"store", "agency"}
    assert len({kind for kind, _ in there}) == len(KINDS) - 1  # a program and the broker are killed alike
    assert {tuple(plan.crew) for plan in PLANS} == {tuple(crew) for crew in CREWS}


def test_a_scenario_has_faults_that_overlap() -> None:
    overlapping = [
        (one, other)
        for plan in PLANS
        for one, other in zip(plan.faults, plan.faults[1:], strict=False)
        if other.at < one.at + one.lasts
    ]
    assert len(overlapping) >= 10


def test_the_long_one_kills_workers_as_often_as_asked() -> None:
    plan = many_kills(1, of_workers=20)
    assert {fault.kind for fault in plan.faults} == {"kill -9"}
    hit = Counter(fault.target for fault in plan.faults)
    assert hit["w1"] + hit["w2"] == 20
    assert hit.keys() == {"w1", "w2", "capture"}
    assert plan.births + plan.changes == 50_000


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ([3.0], (3.0, 3.0, 3.0, 3.0)),
        ([float(n) for n in range(1, 22)], (1.0, 11.0, 20.0, 21.0)),  # p95 of 21: the 20th
    ],
)
def test_how_recovery_times_are_spread(seconds: list[float], told: tuple[float, ...]) -> None:
    assert spread(seconds) == pytest.approx(told)


def test_recovery_is_told_by_cause_and_together() -> None:
    found = [Recovery(what="kill -9 worker", seconds=4.0), Recovery(what="disk full store", seconds=2.0)]
    head, *rows = recoveries(found)
    assert head.split()[-4:] == ["min", "median", "p95", "max"]
    assert [row.split()[-5:] for row in rows] == [
        ["1", "2.0", "2.0", "2.0", "2.0"],
        ["1", "4.0", "4.0", "4.0", "4.0"],
        ["2", "2.0", "3.0", "3.9", "4.0"],
    ]
