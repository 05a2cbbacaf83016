"""Asks something that may never answer, in a thread of its own, and waits no longer than until a deadline.

A server that was stopped in the middle keeps its sockets open and says nothing; neither a driver's timeout
nor a statement's helps against that. Whoever did not answer the last question is not asked another one.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Generic, Literal, ParamSpec, TypeVar

from consumers.observation import Target
from schemas.errors import LienthongError

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class _Answer(Generic[T]):
    value: T | None = None
    why: str = ""
    begun: float = field(default_factory=time.time)
    ended: float = 0.0
    came: threading.Event = field(default_factory=threading.Event)


class Asking(Generic[P, T]):
    """One that is asked again and again, always in the same thread.

    Args:
        ask: what asks; raises ``LienthongError`` if there is no answer.
    """

    def __init__(self, kind: Literal["broker", "store", "outbox"], name: str, ask: Callable[P, T]) -> None:
        self.kind = kind
        self.name = name
        self._ask = ask
        self._answer: _Answer[T] | None = None
        self._in_time = True  #: whether who asked last was given the answer, or its error
        self._questions: SimpleQueue[tuple[_Answer[T], Callable[[], T]] | None] = SimpleQueue()

    def begin(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Ask with these arguments, unless the last question is still open."""
        if self._answer is None:
            threading.Thread(target=self._run, name=f"asks {self.name}", daemon=True).start()
        elif not self._answer.came.is_set():
            return
        self._answer = _Answer()
        self._questions.put((self._answer, partial(self._ask, *args, **kwargs)))

    def answer(self, deadline: float) -> T | None:
        """The answer, or None; at the latest at ``deadline`` (of ``time.monotonic``)."""
        assert self._answer is not None
        self._in_time = self._answer.came.wait(max(0.0, deadline - time.monotonic()))
        return self._answer.value if self._in_time else None

    @property
    def trouble(self) -> str | None:
        """Why the last question got no answer; empty if it got one; None while it is open."""
        return self._answer.why if self._answer is not None and self._answer.came.is_set() else None

    def close(self) -> None:
        """Ask no more."""
        self._questions.put(None)

    def target(self, *, told_ms: float | None = None) -> Target:
        """How it answered, up to the last ``answer``. ``told_ms``: what its own clock said, ms since 1970."""
        answer = self._answer
        assert answer is not None
        if not answer.came.is_set():
            why = f"no answer for {time.time() - answer.begun:.0f} s"
            return Target(kind=self.kind, name=self.name, up=False, why=why)
        if answer.value is None:
            return Target(kind=self.kind, name=self.name, up=False, why=answer.why)
        if not self._in_time:  # it came since, and what it says was used by nobody
            why = f"answered after {answer.ended - answer.begun:.0f} s, too late"
            return Target(kind=self.kind, name=self.name, up=False, why=why)
        skew = None
        if told_ms is not None:  # between question and answer any time is right
            told = told_ms / 1000
            skew = min(0.0, told - answer.begun) + max(0.0, told - answer.ended)
        seconds = max(0.0, answer.ended - answer.begun)
        return Target(kind=self.kind, name=self.name, up=True, seconds=seconds, skew_seconds=skew)

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            answer, ask = question
            try:
                answer.value = ask()
            except LienthongError as problem:
                answer.why = "; ".join(filter(None, (problem.message, problem.next_step)))
            except Exception as problem:  # whatever it is, the others are told; its text may hold an address
                answer.why = f"nobody foresaw this: {type(problem).__name__}"
            answer.ended = time.time()
            answer.came.set()
