"""Asks something that may never answer, in a thread of its own, and waits no longer than until a deadline.

A server that was stopped in the middle keeps its sockets open and says nothing; neither a driver's timeout
nor a statement's helps against that. Whoever did not answer the last question is not asked another one.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from consumers.observation import Target
from schemas.errors import LienthongError

T = TypeVar("T")


@dataclass(slots=True)
class _Answer(Generic[T]):
    value: T | None = None
    why: str = ""
    begun: float = 0.0  # by the clock of the day, as the next
    ended: float = 0.0


class Asking(Generic[T]):
    """One that is asked again and again.

    Args:
        ask: what asks; raises ``LienthongError`` if there is no answer.
    """

    def __init__(self, kind: Literal["broker", "store", "outbox"], name: str, ask: Callable[[], T]) -> None:
        self.kind = kind
        self.name = name
        self._ask = ask
        self._thread: threading.Thread | None = None
        self._answer: _Answer[T] = _Answer()

    @property
    def busy(self) -> bool:
        """Whether the last question is still open."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Ask, unless the last question is still open."""
        if not self.busy:
            self._answer = _Answer(begun=time.time())
            self._thread = threading.Thread(target=self._run, args=(self._answer,), daemon=True)
            self._thread.start()

    def answer(self, deadline: float) -> T | None:
        """The answer, or None; at the latest at ``deadline`` (of ``time.monotonic``)."""
        assert self._thread is not None
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return None if self._thread.is_alive() else self._answer.value

    def target(self, *, told_ms: float | None = None) -> Target:
        """How it answered. ``told_ms``: what its own clock said meanwhile, ms since 1970."""
        answer = self._answer
        if not answer.ended:
            why = f"no answer for {time.time() - answer.begun:.0f} s"
            return Target(kind=self.kind, name=self.name, up=False, why=why)
        if answer.value is None:
            return Target(kind=self.kind, name=self.name, up=False, why=answer.why)
        skew = None
        if told_ms is not None:  # between question and answer any time is right
            told = told_ms / 1000
            skew = min(0.0, told - answer.begun) + max(0.0, told - answer.ended)
        seconds = max(0.0, answer.ended - answer.begun)
        return Target(kind=self.kind, name=self.name, up=True, seconds=seconds, skew_seconds=skew)

    def _run(self, answer: _Answer[T]) -> None:
        try:
            value = self._ask()
            answer.value = value
        except LienthongError as problem:
            answer.why = problem.message
        except Exception as problem:  # whatever it is, the others are told; its text may hold an address
            answer.why = f"nobody foresaw this: {type(problem).__name__}"
        answer.ended = time.time()
