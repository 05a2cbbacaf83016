"""Looks whether the library's files are still those that the worker took in when it started.

A worker follows one library from its start to its end: a lot that was translated half by one contract and
half by another could not be told to anybody. So a change is told, and taken in by a restart.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

import structlog

from schemas.library import Library, changed_since
from streams.looking import Looker
from streams.metrics import RoadMetrics

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
NAMED = 5


class Shelf(Looker):
    """One for a worker.

    Args:
        folders: those that the library was read from, beside the shipped one.
        taken: the library's fingerprints then.
    """

    def __init__(
        self,
        *,
        library: Library,
        folders: Sequence[Path],
        taken: Mapping[str, str],
        metrics: RoadMetrics,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._library = library
        self._folders = folders
        self._taken = taken
        self._metrics = metrics
        self._told: list[str] = []

    async def look(self) -> None:
        """Compare once; what changed is logged when it becomes another."""
        changed = await self._in_store(lambda: changed_since(self._library, self._folders, self._taken))
        self._metrics.library_changed.set(len(changed))
        if changed and changed != self._told:
            more = [f"and {len(changed) - NAMED} more"] if len(changed) > NAMED else []
            logger.warning(
                "the library has changed: this worker goes on with what it started with",
                contracts=[*changed[:NAMED], *more],
                next_step="lienthong contracts check; then restart the workers, one after the other",
            )
        self._told = changed
