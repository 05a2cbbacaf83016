"""The monitor's metrics, its memory and its printing, over observations made by hand."""

import json
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from consumers import monitor_commands, status_commands
from consumers.causes import decide
from consumers.monitor_metrics import FRESH_SECONDS, MonitorMetrics
from consumers.observation import Group, GroupPlace, Observation
from consumers.proofs import Proof
from consumers.settings import MonitorSettings
from consumers.store import Position
from consumers.watcher import BEFORE_SECONDS, FAILED_LOOKS, Watcher, monitor
from schemas.date_forms import VIETNAM
from schemas.errors import SettingsError
from schemas.library import fingerprint_of, fingerprints, load_library
from schemas.logs import place_of_error
from schemas.metrics import CATALOGUE
from schemas.settings import load_settings
from streams.cli import app
from tests.observations import NATIONAL, NOW, away, dataset, hop, observation, outbox, place, waits

ME = {"system": "ho_tich", "dataset": "khai_sinh"}
PROOF = Proof(
    system="ho_tich", dataset="khai_sinh", at=NOW - timedelta(hours=1), took_ms=1, rows=9, translated=0,
    missing=1, extra=0, different=2, refused=4, in_flight=5, differing=3,
)  # fmt: skip
POSITION = Position(topic=NATIONAL, partition=0)


class Shown:
    """The metrics with a clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.metrics = MonitorMetrics(self.registry, lambda: self.now)

    def show(self, seen: Observation) -> None:
        self.metrics.show(seen, {one.id: decide(one, seen) for one in seen.datasets})

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    @property
    def names(self) -> set[str]:
        return {sample.name for family in self.registry.collect() for sample in family.samples}


def everything() -> Observation:
    """In which each metric has a sample."""
    lost = place(2, begin=500, next_offset=400, hours_left=0.0)
    national = hop("sync", waits(7, seconds=30.0), place(1), lost)
    places = [GroupPlace(position=POSITION, offset=3, lag=4, lag_seconds=5.0)]
    ours = Group(name="lienthong-road", ours=True, members=2, places=places)
    mine = dataset(
        hop("translate"), national, outbox=outbox(9, 40.0), open_rejects={"code_unknown": 2}, proof=PROOF
    )
    return observation(mine, groups=[ours], bounds={POSITION: (1, 7)}, orphan_indices={"ho_tich": 12})


def test_each_declared_metric_can_be_seen_and_no_other() -> None:
    shown = Shown()
    shown.show(everything())
    assert shown.names == {one.name for one in CATALOGUE if one.process == "monitor"}
    hop_place = {**ME, "hop": "sync", "topic": NATIONAL, "partition": "0"}
    assert shown.value("lienthong_hop_lag_changes", **hop_place) == 7
    assert shown.value("lienthong_hop_lag_seconds", **hop_place) == 30
    assert shown.value("lienthong_hop_lost_changes", **{**hop_place, "partition": "2"}) == 100
    assert shown.value("lienthong_proof_age_seconds", **ME) == 3600
    assert shown.value("lienthong_drift_records", **ME) == 3
    assert shown.value("lienthong_orphan_index", system="ho_tich") == 12
    group = {"consumergroup": "lienthong-road", "topic": NATIONAL, "partition": "0"}
    assert shown.value("kafka_consumergroup_lag", **group) == 4
    assert shown.value("kafka_topic_partition_current_offset", topic=NATIONAL, partition="0") == 7
    assert shown.value("lienthong_system_state", **ME, state="retention") == 1
    assert shown.value("lienthong_system_state", **ME, state="healthy") == 0


def test_what_is_away_has_no_series_and_what_is_not_keeps_its_own() -> None:
    shown = Shown()
    shown.show(everything())
    seen = everything()
    gone = replace(seen.datasets[0], hops=[hop("translate", silent=None, missing=None)], open_rejects=None)
    gone = replace(gone, hops=[replace(one, places=()) for one in gone.hops])
    shown.show(replace(seen, datasets=[gone], targets=away("cluster"), groups=[], bounds={}, disks={}))
    assert shown.value("lienthong_target_up", kind="broker", target="cluster") == 0
    assert shown.value("lienthong_target_up", kind="outbox", target="so_tu_phap") == 1
    assert shown.value("lienthong_outbox_waiting_changes", **ME) == 9
    assert not {one for one in shown.names if one.startswith(("kafka_", "lienthong_hop_", "lienthong_open"))}


def test_an_old_observation_is_no_longer_told() -> None:
    shown = Shown()
    assert shown.names == set()
    shown.show(everything())
    shown.now += FRESH_SECONDS
    assert shown.names
    shown.now += 1
    assert shown.names == set()


def test_what_is_not_known_is_no_sample_and_never_0() -> None:
    shown = Shown()
    unknown = GroupPlace(position=POSITION, offset=3, lag=None, lag_seconds=None)
    foreign = Group(name="bo", ours=False, members=None, places=[unknown])
    lagging = hop("translate", replace(waits(7), oldest_seconds=None))
    shown.show(observation(dataset(lagging, outbox=None), groups=[foreign]))
    assert not shown.names & {
        "kafka_consumergroup_lag",
        "kafka_consumergroup_lag_seconds",
        "lienthong_workers",
    }
    assert not shown.names & {"lienthong_hop_lag_seconds", "lienthong_outbox_waiting_changes"}
    assert (
        shown.value("kafka_consumergroup_current_offset", consumergroup="bo", topic=NATIONAL, partition="0")
        == 3
    )


# --- memory ----------------------------------------------------------------------------------------------


class Looks:
    """Gives these observations, one after the other, and the last for ever."""

    def __init__(self, *seen: Observation) -> None:
        self.seen = list(seen)

    def look(self) -> Observation:
        return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]

    def close(self) -> None:
        """Nothing is open."""


def test_a_look_is_compared_with_one_of_a_minute_ago_at_most() -> None:
    now = [0.0]
    stuck = observation(dataset(outbox=outbox(5, 300.0)))
    watcher = Watcher(Looks(stuck), lambda: now[0])
    (first,) = watcher.look().verdicts.values()
    now[0] += BEFORE_SECONDS
    (second,) = watcher.look().verdicts.values()
    now[0] += BEFORE_SECONDS + 1
    (third,) = watcher.look().verdicts.values()
    assert [one.state for one in (first, second, third)] == ["healthy", "capture_stuck", "healthy"]


def test_the_monitor_shows_each_look_until_it_is_told_to_stop() -> None:
    shown, stop = Shown(), Event()
    dead = observation(dataset(hop("translate", group_members=0)))

    class Last(Looks):
        def look(self) -> Observation:
            if len(self.seen) == 1:
                stop.set()
            return super().look()

    watcher = Watcher(Last(observation(), dead))
    monitor(watcher, shown.metrics, every_seconds=0.0, language="vi", stop=stop)
    assert shown.value("lienthong_system_state", **ME, state="worker_dead") == 1


def test_a_look_that_fails_shows_nothing_and_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown, stop, told = Shown(), Event(), list[Any]()

    def error(event: str, **fields: Any) -> None:
        told.append(place_of_error(None, "error", {"event": event, **fields}))

    monkeypatch.setattr("consumers.watcher.logger.error", error)

    class Failing(Looks):
        looked = 0

        def look(self) -> Observation:
            self.looked += 1
            if self.looked in (2, 3, 5):
                assert shown.value("lienthong_monitor_looked_timestamp_seconds") == NOW.timestamp()
                shown.now += FRESH_SECONDS / 2 + 1
                raise KeyError("Nguyễn Văn A")
            if self.looked == 4:
                assert shown.names == set()  # two failures: what was seen before is old
            if self.looked == 6:
                stop.set()
            return super().look()

    watching = Failing(observation())
    monitor(Watcher(watching), shown.metrics, every_seconds=0.0, language="vi", stop=stop)
    assert watching.looked == 6
    assert [(one["event"], one["error"]) for one in told] == [("the look failed", "KeyError")] * 3
    assert "Nguyễn" not in str(told)
    assert shown.value("lienthong_monitor_looked_timestamp_seconds") == NOW.timestamp()


def test_a_monitor_that_sees_nothing_any_more_ends() -> None:
    class Blind(Looks):
        looked = 0

        def look(self) -> Observation:
            self.looked += 1
            raise KeyError

    blind = Blind(observation())
    with pytest.raises(KeyError):
        monitor(Watcher(blind), Shown().metrics, every_seconds=0.0, language="vi", stop=Event())
    assert blind.looked == FAILED_LOOKS


def test_weights_that_are_none_are_told_before_anything_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
    monkeypatch.setenv("LIENTHONG_STORE", "sqlite:////nowhere/national.db")
    monkeypatch.setenv("LIENTHONG_ORPHAN_WEIGHTS", "coverage=abc")
    monkeypatch.setattr(monitor_commands, "Observer", lambda *_, **__: pytest.fail("it watches"))
    monkeypatch.setattr(
        monitor_commands, "configure_logs", lambda **_: None
    )  # its stream ends with the runner
    error = CliRunner().invoke(app, ["monitor", "run"]).exception
    assert isinstance(error, SettingsError)
    assert "LIENTHONG_ORPHAN_WEIGHTS" in error.message


# --- status ----------------------------------------------------------------------------------------------


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``status`` over an observation."""
    app = typer.Typer()
    app.command()(status_commands.status_command(lambda url: pytest.fail("no outbox is listed")))
    monkeypatch.setattr(status_commands, "BETWEEN_SECONDS", 0.0)
    monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
    monkeypatch.setenv("LIENTHONG_STORE", "sqlite:////nowhere/national.db")
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")

    def run(seen: Observation, *words: str) -> Any:
        monkeypatch.setattr(monitor_commands, "Observer", lambda *_, **__: Looks(seen))
        return CliRunner().invoke(app, list(words))

    return run


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (observation(), 0),
        (observation(dataset(refused_lately={"code_unknown": 9})), 1),
        (observation(targets=away("so_tu_phap")), 1),  # named on standard error, and no state tells of it
        (observation(dataset(), dataset(hop("translate", group_members=0), dataset="ket_hon")), 2),
    ],
)
def test_the_exit_status_tells_how_urgent_it_is(status: Any, seen: Observation, code: int) -> None:
    done = status(seen)
    assert done.exit_code == code, done.output


def test_the_table_begins_with_what_is_most_urgent(status: Any) -> None:
    dead = dataset(hop("translate", waits(7, seconds=30.0), group_members=0), hop("sync"), dataset="ket_hon")
    lines = status(observation(dataset(outbox=None, open_rejects=None), dead)).output.splitlines()
    assert lines[0].split("\t")[:4] == ["dataset", "state", "waiting", "seconds"]
    cells = lines[1].split("\t")
    assert cells[:6] == ["ho_tich/ket_hon", "worker dead", "7", "30", "0", "0"]
    assert "lienthong road run" in cells[7]
    assert lines[2].split("\t")[:6] == ["ho_tich/khai_sinh", "healthy", "0", "0", "?", "?"]


def test_workers_that_follow_another_library_are_named(status: Any) -> None:
    folders = load_settings(MonitorSettings).contract_folders
    here = fingerprint_of(fingerprints(load_library(folders), folders))
    assert status(observation(libraries={"w1": {here}})).exit_code == 0
    seen = observation(libraries={"w1": {here}, "w2": {here, "before"}, "w3": {"before"}})
    done = status(seen)
    assert done.exit_code == 1
    assert "w2, w3 took in another contract library" in done.stderr
    assert "restart the workers" in done.stderr
    assert json.loads(status(seen, "--json").stdout)["workers_with_another_library"] == ["w2", "w3"]
    assert "khởi động lại" in status(seen, "--lang", "vi").stderr


def test_on_a_terminal_the_time_of_the_look_is_told(status: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    first = status(observation()).output.splitlines()[0]
    assert NOW.astimezone(VIETNAM).strftime("%d.%m.%Y %H:%M:%S") in first


def test_json_is_one_document(status: Any) -> None:
    told = json.loads(status(observation(targets=away("store")), "--json").output)
    assert told["at"] == "2026-03-02T09:00:00+00:00"
    assert {"kind": "store", "name": "store", "up": False, "why": "gone"} in told["targets"]
    (one,) = told["datasets"]
    assert (one["dataset"], one["state"], one["severity"]) == ("ho_tich/khai_sinh", "store_away", "critical")
    assert "gone" in one["cause"]
