"""Looks again and again, and tells for each dataset the state it is in."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import structlog

from consumers.causes import Verdict, decide
from consumers.monitor_metrics import MonitorMetrics
from consumers.observation import Observation
from schemas.reasons import Language

logger = structlog.get_logger(__name__)

#: What needs two looks compares with one of so long ago.
BEFORE_SECONDS = 60.0
#: After so many looks in a row that failed in a way nobody foresaw, the monitor ends: a process that is up
#: and tells nothing would alarm nobody.
FAILED_LOOKS = 3


class Looking(Protocol):
    """What ``consumers.observer.Observer`` does."""

    def look(self) -> Observation:
        """One look; never raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One look, and what is made of it."""

    seen: Observation
    verdicts: dict[str, Verdict]  #: by the dataset's id


class Watcher:
    """Remembers the looks of the last minute."""

    def __init__(self, observer: Looking, clock: Callable[[], float] = time.monotonic) -> None:
        self._observer = observer
        self._clock = clock
        self._looks: deque[tuple[float, Observation]] = deque()

    def look(self) -> Watched:
        """Look, and decide."""
        seen = self._observer.look()
        now = self._clock()
        while self._looks and now - self._looks[0][0] > BEFORE_SECONDS:
            self._looks.popleft()
        earlier = [one for _, one in self._looks]
        self._looks.append((now, seen))
        return Watched(seen=seen, verdicts={one.id: decide(one, seen, earlier) for one in seen.datasets})


def monitor(
    watcher: Watcher, metrics: MonitorMetrics, *, every_seconds: float, language: Language, stop: Event
) -> None:
    """Look until told to stop; log each change of a state.

    A look that fails shows nothing: the metrics keep the time of the last good one, and grow old with it.
    """
    states: dict[str, str] = {}
    failed = 0
    while not stop.is_set():
        begun = time.monotonic()
        try:
            watched = watcher.look()
        except Exception as problem:
            failed += 1
            if failed == FAILED_LOOKS:
                raise
            logger.error("the look failed", exc_info=problem)  # its kind and place only: see schemas.logs
            stop.wait(every_seconds)
            continue
        failed = 0
        metrics.show(watched.seen, watched.verdicts)
        for name, verdict in watched.verdicts.items():
            if verdict.state != states.get(name, "healthy"):
                if verdict.state == "healthy":
                    logger.info("healthy again", dataset=name, before=states[name])
                else:
                    logger.warning(
                        verdict.state,
                        dataset=name,
                        cause=verdict.cause(language),
                        next_step=verdict.next_step(language),
                        **({"why": verdict.details["why"]} if "why" in verdict.details else {}),
                    )
            states[name] = verdict.state
        stop.wait(max(0.0, every_seconds - (time.monotonic() - begun)))
