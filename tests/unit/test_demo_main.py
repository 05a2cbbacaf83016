"""The demo's last line counts the checks and always comes, with the exit status that belongs to it."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.demo import __main__ as demo
from deploy.demo import pictures
from deploy.demo.oracle import Check
from deploy.demo.trouble import DemoError
from schemas.errors import LienthongError

GOOD = Check("rows are equal", True, "2,000 rows")
BAD = Check("receipts are equal", False, "one is missing")


@dataclass
class Played:
    """What the story does that is played instead of the true one, and what became of the stage."""

    checks: list[Check] = field(default_factory=list)
    breaks_off: BaseException | None = None
    cannot_end: BaseException | None = None
    ended: list[bool] = field(default_factory=list)  #: whether files were kept, for each time it was ended

    def tell(self) -> list[Check]:
        if self.breaks_off is not None:
            raise self.breaks_off
        return self.checks

    def close(self, *, keep_files: bool) -> None:
        self.ended.append(keep_files)
        if self.cannot_end is not None:
            raise self.cannot_end


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Played], int]]:
    def run(played: Played) -> int:
        server = SimpleNamespace(pid=None)
        stage = SimpleNamespace(
            logs=tmp_path, kafka=server, postgres=server, clear=lambda: None, close=played.close
        )
        story = SimpleNamespace(tell=played.tell, extra=played.checks)
        monkeypatch.setattr(demo, "Stage", lambda say: stage)
        monkeypatch.setattr(demo, "Story", lambda *whatever: story)
        return demo.main()

    monkeypatch.setattr(sys, "argv", ["demo"])
    monkeypatch.delenv("KEEP", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("checks", "last", "status"),
    [
        ([GOOD, GOOD], "demo: 2 checks passed, 0 failed", 0),
        ([GOOD, BAD, GOOD], "demo: 2 checks passed, 1 failed", 1),
    ],
)
def test_the_last_line_counts_the_checks(
    play: Callable[[Played], int],
    checks: list[Check],
    last: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = Played(checks)
    assert play(played) == status
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == last
    assert said.err == ""
    assert played.ended == [status != 0], "files of a run that failed are kept"


@pytest.mark.parametrize(
    "trouble",
    [
        DemoError("stuck"),
        LienthongError("no room", next_step="make room"),
        RuntimeError("who knows"),
        KeyboardInterrupt(),
    ],
)
def test_a_story_that_breaks_off_is_a_failed_check(
    play: Callable[[Played], int], trouble: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    played = Played([GOOD], breaks_off=trouble)
    assert play(played) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "demo: 1 checks passed, 1 failed"
    assert played.ended == [True]


@pytest.mark.parametrize(
    ("trouble", "foreseen"),
    [
        (OSError("busy"), True),
        (LienthongError("does not end"), True),
        (RuntimeError("busy"), False),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_cannot_be_ended_is_told_before_the_last_line(
    play: Callable[[Played], int],
    trouble: BaseException,
    foreseen: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert play(Played([GOOD], cannot_end=trouble)) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == "demo: 1 checks passed, 1 failed"
    told = (
        f"could not end everything (python -m deploy.demo --stop does): {type(trouble).__name__}: {trouble}"
    )
    assert told in said.err
    assert ("Traceback" in said.err) == (not foreseen)


def test_all_is_ended_even_if_nothing_can_be_shown(
    play: Callable[[Played], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*whatever: object) -> None:
        raise UnicodeEncodeError("ascii", "ế", 0, 1, "not in range")

    monkeypatch.setattr(pictures, "show_checks", broken)
    played = Played([GOOD])
    assert play(played) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "demo: 1 checks passed, 1 failed"
    assert played.ended == [True]
