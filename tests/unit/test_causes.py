"""One state for each dataset, and the right one: what decides it, and what wins when several fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.causes import _TESTS, decide
from consumers.observation import Dataset, Observation, Place, Silence
from consumers.repairs import Breaker
from consumers.states import STATES
from tests.observations import (
    NATIONAL,
    NOW,
    TARGETS,
    away,
    dataset,
    hop,
    observation,
    outbox,
    place,
    waits,
)

PAUSED = Breaker(
    system="ho_tich", dataset="khai_sinh", at=NOW, rule="code_unknown", field="gioiTinh",
    detail="600/1000",
)  # fmt: skip


def state(seen: Observation, before: Observation | None = None) -> str:
    (one,) = seen.datasets
    return decide(one, seen, [before] if before else ()).state


def of(*hops: Any, **more: Any) -> Observation:
    return observation(dataset(*hops, **more))


def skewed(name: str, seconds: float) -> tuple[Any, ...]:
    return tuple(replace(one, skew_seconds=seconds) if one.name == name else one for one in TARGETS)


def silent(unlikely: float) -> Silence:
    return Silence(since=NOW - timedelta(hours=6), unlikely=unlikely)


NO_KAFKA = [hop("translate", silent=None, missing=None, group_members=None, members=None)]
CASES: dict[str, tuple[Observation, str]] = {
    "all is well": (observation(), "healthy"),
    "a little waits": (of(hop("translate", waits(7))), "healthy"),
    "no broker answers": (
        observation(dataset(*NO_KAFKA), targets=away("cluster")),
        "broker_away",
    ),
    "half of the brokers": (
        observation(dataset(hop("translate", silent=3)), targets=away("1")),
        "broker_away",
    ),
    "partitions that nobody leads": (of(hop("translate", silent=2)), "broker_away"),
    "a broker that leads nothing of ours": (observation(targets=away("1")), "healthy"),
    "no store": (observation(dataset(open_rejects=None), targets=away("store")), "store_away"),
    "an outbox away is told by its target": (
        observation(dataset(outbox=None), targets=away("so_tu_phap")),
        "healthy",
    ),
    "a topic is gone": (of(hop("translate"), hop("sync", missing=True)), "topic_missing"),
    "no worker": (of(hop("translate", group_members=0, members=0)), "worker_dead"),
    "given out anew": (of(hop("translate", waits(5), group_members=1, members=0)), "healthy"),
    "nobody for this topic": (
        of(hop("translate", waits(5, seconds=90, still_seconds=90), members=0)),
        "worker_dead",
    ),
    "a worker that stands still": (
        of(hop("sync", waits(5, seconds=90, still_seconds=90))),
        "worker_dead",
    ),
    "never read, and long": (
        of(hop("sync", waits(5, seconds=90, still_seconds=None))),
        "worker_dead",
    ),
    "a first change after a quiet night": (
        of(hop("translate", waits(1, seconds=2, still_seconds=40_000))),
        "healthy",
    ),
    "paused": (
        of(hop("translate", waits(500, seconds=900, still_seconds=900)), breaker=PAUSED),
        "breaker_open",
    ),
    "a lock in the store": (
        observation(
            dataset(hop("sync", waits(5, seconds=90, still_seconds=90))), store_busy_seconds=20.0
        ),
        "store_slow",
    ),
    "a long statement that holds up nothing": (observation(store_busy_seconds=20.0), "healthy"),
    "retention": (
        of(hop("sync", replace(waits(5, seconds=600_000), hours_left=1.0))),
        "retention",
    ),
    "retention has been there": (of(hop("sync", place(begin=500, next_offset=400, end=1000))), "retention"),
    "kept for an hour only, and just come": (
        of(hop("sync", replace(waits(5, seconds=30), hours_left=0.9))),
        "healthy",
    ),
    "retention before the dead worker": (
        of(hop("sync", replace(waits(5, seconds=600_000), hours_left=1.0), group_members=0)),
        "retention",
    ),
    "triggers are gone, and a lock in the store": (
        observation(
            dataset(hop("sync", waits(5, seconds=90, still_seconds=90)), outbox=outbox(in_place=False)),
            store_busy_seconds=20.0,
        ),
        "capture_stuck",
    ),
    "triggers are gone": (of(outbox=outbox(in_place=False)), "capture_stuck"),
    "codes": (of(refused_lately={"code_unknown": 5, "date_impossible": 2}, good_lately=10), "code_unknown"),
    "few among many": (of(refused_lately={"code_unknown": 5}, good_lately=1000), "healthy"),
    "two of two": (of(refused_lately={"code_unknown": 2}), "healthy"),
    "mapping": (of(refused_lately={"date_impossible": 5, "code_unknown": 2}), "mapping_refuses"),
    "schema": (of(refused_lately={"schema_unknown": 5}), "schema_unknown"),
    "disk": (observation(disks={"1": 0.5, "2": 0.95}), "disk_full"),
    "disk before the refused": (
        observation(dataset(refused_lately={"date_impossible": 5}), disks={"2": 0.97}),
        "disk_full",
    ),
    "the store's clock": (observation(targets=skewed("store", 60.0)), "clock_skew"),
    "the agency's clock": (observation(targets=skewed("so_tu_phap", -60.0)), "clock_skew"),
    "a clock of an agency that is not ours": (
        observation(dataset(outbox=None), targets=skewed("so_tu_phap", 60.0)),
        "healthy",
    ),
    "a record of tomorrow": (of(hop("translate", newest=NOW + timedelta(minutes=1))), "clock_skew"),
    "hot": (of(hop("translate", waits(900), waits(10, 1), place(2))), "hot_partition"),
    "even": (of(hop("translate", waits(300), waits(300, 1), waits(300, 2))), "healthy"),
    "behind": (of(hop("translate", waits(300, seconds=70), waits(300, 1), waits(300, 2))), "behind"),
    "silent": (of(silence=silent(0.0001)), "agency_silent"),
    "quiet": (of(silence=silent(0.2)), "healthy"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_cause(name: str) -> None:
    seen, expected = CASES[name]
    assert state(seen) == expected


def test_what_is_critical_is_never_hidden_behind_a_warning() -> None:
    states = [one for one, _ in _TESTS]
    assert [*states, "healthy"] == list(STATES)
    assert [STATES[one].severity for one in STATES] == sorted(
        (one.severity for one in STATES.values()), key=["critical", "warning", "ok"].index
    )


def test_an_outbox_that_waits_is_stuck_only_if_nothing_was_published() -> None:
    seen = of(outbox=outbox(50, 300.0))
    assert state(seen, None) == "healthy"  # one look cannot tell
    assert state(seen, seen) == "capture_stuck"
    before = of(hop("translate", place(end=900, next_offset=900), place(1), place(2)), hop("sync"))
    assert state(seen, before) == "healthy"


def test_an_outbox_that_grows_though_changes_are_published() -> None:
    before = of(
        hop("translate", place(end=900, next_offset=900), place(1), place(2)),
        hop("sync"),
        outbox=outbox(4000),
    )
    assert state(of(outbox=outbox(5000, 300.0)), before) == "outbox_growing"
    assert state(of(outbox=outbox(3000, 300.0)), before) == "healthy"  # it is being drained
    assert state(of(outbox=outbox(5000, 20.0)), before) == "healthy"  # a large import, just begun


def test_a_worker_that_gives_up_a_lock_and_tries_again_still_waits_for_the_store() -> None:
    seen = of(hop("sync", waits(5, seconds=90, still_seconds=90)))
    locked = observation(store_busy_seconds=9.0)
    (one,) = seen.datasets
    assert decide(one, seen, [observation(), locked, observation()]).state == "store_slow"
    assert decide(one, seen, [observation()]).state == "worker_dead"


def test_every_state_can_be_said_in_both_languages_with_a_next_step() -> None:
    seen = [case for case, _ in CASES.values()]
    grown = of(outbox=outbox(5000, 300.0))
    before = of(
        hop("translate", place(end=900, next_offset=900), place(1), place(2)),
        hop("sync"),
        outbox=outbox(4000),
    )
    verdicts = [decide(one.datasets[0], one) for one in seen]
    verdicts.append(decide(grown.datasets[0], grown, [before]))
    assert {one.state for one in verdicts} == set(STATES)
    for verdict in verdicts:
        for language in ("vi", "en"):
            told = [verdict.cause(language), verdict.next_step(language)]
            assert all(told) == (verdict.state != "healthy")
            assert not any("{" in text for text in told)


places = st.builds(
    Place,
    partition=st.integers(0, 5),
    begin=st.integers(0, 50),
    end=st.integers(50, 5000),
    next_offset=st.none() | st.integers(0, 5000),
    oldest_seconds=st.none() | st.floats(0, 1e6),
    hours_left=st.none() | st.floats(-10, 200),
    still_seconds=st.none() | st.floats(-5, 1e6),
)
hops = st.builds(
    hop,
    st.sampled_from(["translate", "sync"]),
    places,
    silent=st.none() | st.integers(0, 2),
    missing=st.none() | st.booleans(),
    group_members=st.none() | st.integers(0, 2),
)
datasets = st.builds(
    dataset,
    hops,
    hops,
    outbox=st.none() | st.builds(outbox, st.integers(0, 9000), st.floats(0, 1e6), in_place=st.booleans()),
    breaker=st.none() | st.just(PAUSED),
    refused_lately=st.dictionaries(
        st.sampled_from(["code_unknown", "schema_unknown", "x"]), st.integers(1, 9)
    ),
    good_lately=st.integers(0, 100),
)


@given(datasets, st.sampled_from([TARGETS, away("store"), away("1")]), st.none() | datasets)
def test_whatever_is_seen_has_one_state_that_can_be_told(
    one: Dataset, targets: Any, before: Dataset | None
) -> None:
    seen = observation(one, targets=targets)
    verdict = decide(one, seen, [observation(before)] if before else ())
    assert "{" not in verdict.cause("vi") + verdict.next_step("en")
    if not all(target.up for target in targets if target.kind == "store"):
        assert verdict.state in ("store_away", "broker_away")
    if verdict.state == "healthy":
        assert one.breaker is None
        assert one.outbox is None or one.outbox.in_place
        assert not any(found.missing or found.group_members == 0 for found in one.hops)


@pytest.mark.parametrize(("name", "hops"), [("cluster", NO_KAFKA), ("store", [])])
def test_what_a_server_said_stands_in_english_texts_only(name: str, hops: list[Any]) -> None:
    seen = observation(dataset(*hops), targets=away(name, "connection refused"))
    verdict = decide(seen.datasets[0], seen)
    assert "connection refused" in verdict.cause("en")
    assert "connection refused" not in verdict.cause("vi")


def test_a_national_topic_is_named_where_it_is_the_cause() -> None:
    seen = of(hop("translate"), hop("sync", missing=True))
    assert NATIONAL in decide(seen.datasets[0], seen).cause("vi")


def test_a_silence_began_at_an_hour_of_vietnam_wherever_the_monitor_runs() -> None:
    since = datetime(2026, 3, 5, 20, 30, tzinfo=UTC)
    seen = of(silence=Silence(since=since, unlikely=0.0001))
    assert "06.03.2026 03:30" in decide(seen.datasets[0], seen).cause("vi")
