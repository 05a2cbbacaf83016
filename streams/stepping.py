"""Writes into the ledger that a partition was read to its end, where nothing can be seen any more.

A transaction ends with a marker, and one that was taken back leaves records that no reader gets. A batch
steps over what is hidden before its first record; behind the last one nothing would, for as long as the
source is silent. Then the partition would seem to wait for ever, and once retention has deleted the marker,
it would look as if records had been lost unread.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from consumers.store import Fenced, NationalStore, Position, Slice
from streams.claims import Claims
from streams.looking import Looker

LOOK_SECONDS = 5.0  # while transactions follow each other, the next one's batch takes the step


class Stepper(Looker):
    """One for the partitions of one reader."""

    def __init__(
        self,
        *,
        claims: Claims,
        store: NationalStore,
        deployment: str,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._claims = claims
        self._store = store
        self._deployment = deployment
        self._before: Mapping[Position, Slice] = {}

    async def look(self) -> None:
        """Step over what was hidden at the look before and still is all that came."""
        hidden = self._claims.hidden()
        silent = [step for position, step in hidden.items() if self._before.get(position) == step]
        self._before = hidden
        if not silent:
            return
        try:
            await self._in_store(lambda: self._store.settle(self._deployment, silent, rejects=[], formats=[]))
        except Fenced as error:
            self._claims.forget(error.positions)  # compare with the ledger before reading on
        else:
            self._claims.stepped(silent)
