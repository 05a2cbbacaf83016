"""Ends a process that stands still, from a thread of its own.

Faust workers have been seen to hang for ever after a lost heartbeat or a rebalance. A worker that
makes no progress holds partitions which another could serve; so it dumps its stacks and ends, with a
clear exit code, and its supervisor starts it again. Progress means: the ledger moved, or there was
nothing to do and the main loop was alive to say so.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

from schemas.errors import TryAgain


class Watchdog:
    """Expects a beat at least every ``limit_seconds``.

    Args:
        limit_seconds: must be well above the longest rebalance and transaction (25 s).
        reason: asked for one sentence when the time is up; must not block.
    """

    def __init__(self, limit_seconds: float, reason: Callable[[], str]) -> None:
        self._limit = limit_seconds
        self._reason = reason
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching; the first beat is now."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def beat(self) -> None:
        """There was progress, or there is nothing to do."""
        self._last = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._last

    def _why(self) -> str:
        try:
            return self._reason()
        except Exception as error:  # asked in the middle of a breakdown; the end must come all the same
            return f"the reason cannot be told ({type(error).__name__})"

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._limit / 10)):
            if self.silence > self._limit:
                why = f"no progress for {self.silence:.0f} s: {self._why()}"
                end_process(TryAgain.exit_code, why + "; a supervisor should start a new worker", stacks=True)


def end_process(code: int, message: str, *, stacks: bool = False) -> None:
    """End now, without Faust's orderly stop, which can itself hang. The ledger keeps the data safe."""
    sys.stderr.write(f"error: {message}\n")
    if stacks:
        faulthandler.dump_traceback(file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
