"""What looks at the store again and again beside the mills of a worker."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

import structlog

from consumers.store import Fenced
from schemas.errors import TryAgain
from streams.threads import in_thread

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class Looker(ABC):
    """Calls ``look`` after each pause, and at once again while it says that there is more.

    A service that is away is waited for, and the mills tell that it is; any other error stops the process.

    Args:
        seconds: the pause.
        executor: the threads that talk to the store.
    """

    #: The event to log when ``look`` has to wait for another reason than before; None: the mills say enough.
    waiting: str | None = None

    def __init__(
        self, *, seconds: float, executor: Executor, stop_the_line: Callable[[BaseException], None]
    ) -> None:
        self._seconds = seconds
        self._executor = executor
        self._stop_the_line = stop_the_line
        self._trouble = ""
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def look(self) -> bool | None:
        """Do a part of the work; True if there may be more."""

    def start(self) -> None:
        """Begin to look; to be called on the main loop."""
        self._task = asyncio.get_running_loop().create_task(self._loop())

    async def stop(self) -> None:
        """Stop at once; what was not written is done again by the next owner."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                while await self.look():
                    pass
                self._trouble = ""
            except Fenced:
                pass  # claimed anew: its owner does the work
            except (TryAgain, TimeoutError) as error:
                self._tell(str(error) or "the broker did not acknowledge in time")
            except Exception as error:
                self._stop_the_line(error)
                return

    def _tell(self, trouble: str) -> None:
        if self.waiting is not None and trouble != self._trouble:
            logger.warning(self.waiting, why=trouble)
        self._trouble = trouble

    def _in_store(self, call: Callable[[], T]) -> Awaitable[T]:
        return in_thread(self._executor, call)
