"""Time as a collaborator, so that no test has to wait for it."""

import time
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """What the relay asks of time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def pause(self, stop: Event, seconds: float) -> None:
        """Wait; less long if ``stop`` is set."""


class SystemClock:
    """The computer's own."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def pause(self, stop: Event, seconds: float) -> None:
        stop.wait(seconds)
