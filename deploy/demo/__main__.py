"""The whole road on real parts, checked by an oracle. Exit status 0 only if all holds."""

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from deploy.demo import pictures
from deploy.demo.oracle import Check
from deploy.demo.stage import STATE, Stage, shown, stop_earlier
from deploy.demo.story import Story
from deploy.demo.trouble import DemoError, last_lines
from schemas.errors import LienthongError

LEAST_BIRTHS = 2000


def main() -> int:
    """Tell the story, print the checks, and last the line that counts them."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    stage = Stage(lambda text: console.print(Text(f"  {text}", style="dim")))
    if options.stop:
        for name in stop_earlier(stage.kafka, stage.postgres):
            console.print(f"ended {name}")
        return 0
    signal.signal(signal.SIGTERM, _as_interrupt)
    begun = time.monotonic()
    checks, troubles = list[Check](), list[BaseException]()
    with _noted("could not tell the story", troubles):
        checks += _told(console, stage, options.births, options.seed)
    with _noted("could not show the checks", troubles):
        pictures.show_checks(console, checks)
        console.print(f"\n  {time.monotonic() - begun:.0f} s in all; logs in {shown(stage.logs)}")
    passed = sum(check.passed for check in checks)
    with _noted("could not end everything (python -m deploy.demo --stop does)", troubles):
        _leave(console, stage, keep=options.keep, keep_files=passed < len(checks) or bool(troubles))
    failed = len(checks) - passed + len(troubles)
    print(f"demo: {passed} checks passed, {failed} failed", flush=True)
    return 1 if failed else 0


@contextmanager
def _noted(what: str, troubles: list[BaseException]) -> Iterator[None]:
    """Tell an error and go on: whatever happens, the servers are to be ended and the last line is to come."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as trouble:
        troubles.append(trouble)
        print(f"  {what}: {type(trouble).__name__}: {trouble}", file=sys.stderr)
        if not isinstance(trouble, (DemoError, LienthongError, OSError, KeyboardInterrupt)):
            traceback.print_exc()  # nobody foresaw it


def _told(console: Console, stage: Stage, births: int, seed: int) -> list[Check]:
    """The checks; if the story breaks off, those it made so far and one that failed."""
    story = Story(console, stage, births, seed)
    try:
        stage.clear()
        return story.tell()
    except DemoError as trouble:
        reason, log = str(trouble), trouble.log
    except KeyboardInterrupt:
        reason, log = "interrupted", None
    except LienthongError as trouble:
        reason, log = f"{trouble.message}. {trouble.next_step}", None
    except Exception as trouble:
        log = stage.logs / "demo.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        reason = f"unexpected {type(trouble).__name__}"
    console.print(Text(f"\n  The story broke off: {reason}", style="bold red"))
    if log is not None:
        console.print(Text(f"  the end of {shown(log)}:\n{last_lines(log)}"))
    return [*story.extra, Check("the story came to its end", False, reason.splitlines()[0])]


def _leave(console: Console, stage: Stage, *, keep: bool, keep_files: bool) -> None:
    """End everything, or tell how to reach and end what is left running. Half a stack is ended."""
    if not keep or stage.kafka.pid is None or stage.postgres.pid is None:
        stage.close(keep_files=keep_files)
        return
    stage.watch()
    stage.leave()
    console.print("\n[bold]Left running[/] (KEEP). Nobody restarts a worker that dies now.")
    console.print(Text(f"  Kafka       {stage.kafka.bootstrap}"))
    console.print(Text(f"  PostgreSQL  port {stage.postgres.port}, databases hotich_qnam and quocgia"))
    for name, address in stage.metrics.items():
        console.print(Text(f"  {name:<11} {address}"))
    console.print(Text("  Prometheus reads them if `make up` started one"))
    console.print(Text(f"  use it:     source {shown(stage.env_file)} && .venv/bin/lienthong doctor"))
    console.print(Text("  end it:     .venv/bin/python -m deploy.demo --stop"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--births", type=int, default=20_000, help="how many (default 20000)")
    parser.add_argument("--seed", type=int, default=2015, help="another seed makes other births")
    keep = os.environ.get("KEEP", "") not in ("", "0")
    parser.add_argument("--keep", action="store_true", default=keep, help="leave all running (or KEEP=1)")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    options = parser.parse_args()
    if options.births < LEAST_BIRTHS:
        parser.error(f"--births must be at least {LEAST_BIRTHS}: fewer pass before a worker can be killed")
    return options


def _as_interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    STATE.mkdir(parents=True, exist_ok=True)
    sys.exit(main())
