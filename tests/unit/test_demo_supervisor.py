"""The demo's supervisor: the dead run again, the hopeless are told, nothing is left behind."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.demo.supervisor import Supervisor, end_recorded
from deploy.demo.trouble import DemoError
from deploy.local.process import Server
from tests.road import wait_for


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "run", tmp_path / "logs", tmp_path, lambda text: None)
    yield made
    made.close(grace_seconds=2)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


SLEEPS = python("import time; time.sleep(600)")


def recorded_pid(folder: Path, name: str) -> int | None:
    process = Server(name, folder / "run" / f"{name}.json", folder / "logs" / f"{name}.log").running()
    return None if process is None else process.pid


def test_a_killed_program_runs_again(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start("w1", SLEEPS, {})
    first = supervisor.kill("w1")
    wait_for("a restart", lambda: recorded_pid(tmp_path, "w1") not in (None, first))
    assert supervisor.restarts()["w1"] == 1
    supervisor.check()


def test_a_program_with_wrong_settings_is_not_tried_again(supervisor: Supervisor) -> None:
    supervisor.start("w1", python("import sys; print('no broker set', file=sys.stderr); sys.exit(2)"), {})
    wait_for("the end is told", lambda: supervisor.failed)
    with pytest.raises(DemoError, match="w1 ended with exit status 2") as caught:
        supervisor.check()
    assert caught.value.log is not None
    assert "no broker set" in caught.value.log.read_text()
    assert supervisor.restarts() == {"w1": 0}


def test_close_ends_even_those_that_do_not_listen(supervisor: Supervisor, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN)"
    supervisor.start("deaf", python(f"{deaf}; pathlib.Path({str(ready)!r}).touch(); time.sleep(600)"), {})
    wait_for("the program is ready", ready.exists)
    pid = recorded_pid(tmp_path, "deaf")
    assert pid is not None
    supervisor.close(grace_seconds=0.5)
    assert not psutil.pid_exists(pid)


def test_what_was_left_running_is_found_and_ended_by_a_later_run(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start("w1", SLEEPS, {})
    pid = recorded_pid(tmp_path, "w1")
    assert pid is not None
    supervisor.leave()
    assert end_recorded(tmp_path / "run") == ["w1"]
    assert recorded_pid(tmp_path, "w1") is None
    assert end_recorded(tmp_path / "run") == []


def test_one_program_is_ended_for_good_and_the_others_stay(supervisor: Supervisor, tmp_path: Path) -> None:
    for name in ("w1", "w2"):
        supervisor.start(name, SLEEPS, {})
    supervisor.end("w1")
    assert recorded_pid(tmp_path, "w1") is None
    assert supervisor.runs("w2")
    assert supervisor.restarts() == {"w2": 0}


def test_a_program_can_be_stopped_and_go_on(supervisor: Supervisor) -> None:
    supervisor.start("w1", SLEEPS, {})
    process = psutil.Process(supervisor.signal("w1", signal.SIGSTOP))
    wait_for("the stop", lambda: process.status() == psutil.STATUS_STOPPED)
    supervisor.signal("w1", signal.SIGCONT)
    wait_for("that it goes on", lambda: process.status() != psutil.STATUS_STOPPED)
    assert supervisor.restarts() == {"w1": 0}
