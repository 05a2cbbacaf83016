"""Has national records sent again that a worker with an older library could not read.

Workers are restarted one after the other, so the first one with a new library publishes in a schema that the
others do not know yet. What they refused is asked for by whoever claims the partition next and knows it.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import structlog

from consumers.repairs import RepairStore
from consumers.store import Position
from streams.claims import Claims
from streams.looking import Looker
from streams.sync import SyncHop

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0


class Unread(Looker):
    """One for the partitions of a sync hop."""

    def __init__(
        self,
        *,
        claims: Claims,
        store: RepairStore,
        hop: SyncHop,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._claims = claims
        self._store = store
        self._topics = set(hop.topics)
        self._known = hop.known
        self._asked: Mapping[Position, int] = {}  # with the epochs

    async def look(self) -> None:
        """Ask once for each claim of a partition, of all topics together."""
        held = {p: one.epoch for p, one in self._claims.held.items() if p.topic in self._topics}
        if not held.items() - self._asked.items():
            return
        count = await self._in_store(lambda: self._store.ask_unread_again(sorted(self._topics), self._known))
        if count:
            logger.info("national records are sent again: their schema is known now", records=count)
        self._asked = held
