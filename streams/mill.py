"""A two-stage pipeline: the next lot is prepared while this one commits.

A *lot* is what waits for one topic, of all its partitions together: under load lots grow by
themselves, and the fixed cost of a batch is paid once. Lots that share a partition commit one after the
other, so two batches of one partition never overtake each other. Others commit beside each other, for each
waits for the broker and the store: a province has many topics that tell little at a time, and of one that
tells much a lot is hardly more than a batch of one partition.

What can go wrong has four answers, chosen here and nowhere else:
``TryAgain`` waits and repeats; ``Fenced`` drops the batches another worker owns and goes on with the
rest; a record's own fault was already turned into a reject by the hop; all else stops the process,
because an exception that leaves a Faust agent loses data.
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import structlog

from consumers.store import Fenced, Position
from schemas.errors import TryAgain
from streams.batch import Batch
from streams.claims import Claims
from streams.metrics import RoadMetrics

logger = structlog.get_logger(__name__)
P = TypeVar("P")

LOT_RECORDS = 4_000  # enough to hide a batch's fixed cost, small enough for memory and latency
PARTITION_IN_WORK = 2  # lots: one commits, the next is prepared; a third would be small, and wait for both
TOPIC_IN_WORK = 3  # lots that commit or are prepared beside each other
LOTS_IN_WORK = 4  # one is kept for others than a topic that cannot commit
LONGEST_WAIT_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class _Lot:
    """A lot in work."""

    batches: list[Batch]
    topic: str
    positions: frozenset[Position]
    before: Sequence[asyncio.Event]  #: that the lots are done which share a partition with it
    done: asyncio.Event = field(default_factory=asyncio.Event)
    moved: float = field(default_factory=time.monotonic)  #: when it was begun, or its commit; between: inf
    trouble: str = ""  #: why it waits; empty when it does not


def choose_lot(
    waiting: Iterable[Batch], free: Callable[[Position], bool] = lambda _: True
) -> tuple[list[Batch], deque[Batch]]:
    """The next lot and what stays: batches of the first one's topic, each partition's in one chain.

    ``free``: whether anything of a partition may be taken.
    """
    lot: list[Batch] = []
    stays: deque[Batch] = deque()
    newest: dict[Position, Batch | None] = {}
    records = 0
    for batch in waiting:
        before = newest.get(batch.position)
        chained = batch.position not in newest or (before is not None and batch.continues(before))
        same_topic = not lot or batch.position.topic == lot[0].position.topic
        if chained and same_topic and records < LOT_RECORDS and free(batch.position):
            lot.append(batch)
            newest[batch.position] = batch
            records += len(batch.records)
        else:
            stays.append(batch)
            newest[batch.position] = None  # nothing behind it may overtake it
    return lot, stays


class Hop(Protocol[P]):
    """What one agent does with a lot."""

    name: str

    async def begin(self, batches: Sequence[Batch]) -> None:
        """Fetch what preparing these batches needs of services, the next lot's and what waits behind it.

        Raises ``TryAgain``.
        """

    def prepare(self, lot: Sequence[Batch]) -> P:
        """Decode and reshape; runs in a worker thread; touches no service."""

    async def commit(self, prepared: P) -> None:
        """Make it durable with its ledger step; may be called again after ``TryAgain``.

        Other lots, also of the same topic but of other partitions, may commit at the same time.

        Raises:
            TryAgain: a service is away; nothing is lost by repeating.
            Fenced: some batches belong to another worker now; nothing was written.
        """


class Mill(Generic[P]):
    """Runs one hop for one worker."""

    def __init__(
        self,
        hop: Hop[P],
        *,
        claims: Claims,
        metrics: RoadMetrics,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        self._hop = hop
        self._claims = claims
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(1, f"prepare-{hop.name}")
        self._stop_the_line = stop_the_line
        self._waiting: deque[Batch] = deque()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._lots: list[_Lot] = []  # being prepared or committing, in turn
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_progress = time.monotonic()

    @property
    def waits_since(self) -> float:
        """When the lot in work that waits longest last moved (monotonic)."""
        return min((lot.moved for lot in self._lots), default=self.last_progress)

    @property
    def trouble(self) -> str:
        """Why the mill waits, for logs and metrics; empty when it does not."""
        return next((lot.trouble for lot in self._lots if lot.trouble), "")

    @property
    def idle(self) -> bool:
        """Nothing is waiting, being prepared or committing."""
        return not self._waiting and not self._lots

    def offer(self, batch: Batch) -> None:
        """Take a batch from the agent. Never blocks: the claims bound what is in flight."""
        self._claims.entered(batch)
        self._waiting.append(batch)
        self._wake.set()

    def discard(self, topic: str) -> None:
        """Let go what waits of a topic; it is read again from the ledger."""
        for batch in [one for one in self._waiting if one.position.topic == topic]:
            self._waiting.remove(batch)
            self._claims.dropped(batch)

    def start(self) -> None:
        """Start on the running loop."""
        self._do(self._prepare_all())

    def _do(self, stage: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guard(stage))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Stop at once. What was not committed is read again by the next owner."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _guard(self, stage: Coroutine[Any, Any, None]) -> None:
        try:
            await stage
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # At once: what waits for this commit must not overtake it.
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()
            self._stop_the_line(error)

    async def _prepare_all(self) -> None:
        while True:
            await self._some_free()
            async with self._turn:
                # What waits for a reject is known for a claim; under a lost one a change would pass it.
                self._waiting = deque(batch for batch in self._waiting if self._claims.holds(batch))
                batches, self._waiting = choose_lot(self._waiting, self._free)
                if not batches:  # what was free was let go, or the mill was paused
                    continue
                mine = frozenset(batch.position for batch in batches)
                before = [other.done for other in self._lots if not mine.isdisjoint(other.positions)]
                lot = _Lot(batches, batches[0].position.topic, mine, before)
                self._lots.append(lot)
                await self._begin(lot)
                # That may have taken long, and what was learnt may be of a newer claim by now: see above.
                lot.batches = [batch for batch in batches if self._claims.holds(batch)]
                if lot.batches:
                    prepared = await self._prepare(lot.batches)
                    self._do(self._commit_in_turn(lot, prepared))
                else:
                    self._done(lot)

    async def _some_free(self) -> None:
        """Wait until a batch may go into a lot."""
        while len(self._lots) >= LOTS_IN_WORK or not any(self._free(one.position) for one in self._waiting):
            self._wake.clear()
            await self._wake.wait()

    def _free(self, position: Position) -> bool:
        """Whether another lot with it would do more than wait, and leave room for other topics."""
        sharing = sum(position in lot.positions for lot in self._lots)
        beside = sum(position.topic == lot.topic for lot in self._lots)
        return sharing < PARTITION_IN_WORK and beside < TOPIC_IN_WORK

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is prepared or commits inside; what is offered waits. Stay short: see ``idle``."""
        async with self._turn:
            while self._lots:  # noqa: ASYNC110 - no event: the last commit ends it
                await asyncio.sleep(0.005)
            yield
            self.last_progress = time.monotonic()

    async def _begin(self, lot: _Lot) -> None:
        attempt = 0
        while True:
            try:
                await self._hop.begin([*lot.batches, *self._waiting])
            except TryAgain as error:
                attempt += 1
                await self._wait(lot, error, attempt)
            else:
                self._recovered(lot)
                return

    async def _prepare(self, lot: list[Batch]) -> P:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads, self._hop.prepare, lot)
        records = sum(len(batch.records) for batch in lot)
        self._metrics.lot(self._hop.name, records, time.perf_counter() - started)
        return prepared

    async def _commit_in_turn(self, lot: _Lot, prepared: P) -> None:
        lot.moved = math.inf  # what it waits for is another lot, whose time counts
        for done in lot.before:
            await done.wait()
        lot.moved, started = time.monotonic(), time.perf_counter()
        await self._commit(lot, prepared)
        self._metrics.step(self._hop.name, "commit", time.perf_counter() - started)
        self._done(lot)

    def _done(self, lot: _Lot) -> None:
        self._lots.remove(lot)
        self.last_progress = time.monotonic()
        lot.done.set()
        self._wake.set()

    async def _commit(self, lot: _Lot, prepared: P) -> None:
        attempt = 0
        while lot.batches:
            try:
                await self._hop.commit(prepared)
            except TryAgain as error:
                attempt += 1
                await self._wait(lot, error, attempt)
            except Fenced as error:
                self._recovered(lot)  # the store answered; perhaps only the last try's answer was lost
                lot.batches = self._drop(lot.batches, error)
                if lot.batches:
                    prepared = await self._prepare(lot.batches)
            else:
                self._recovered(lot)
                for batch in lot.batches:
                    self._claims.settled(batch)
                return

    def _drop(self, lot: list[Batch], error: Fenced) -> list[Batch]:
        fenced = set(error.positions)
        for batch in lot:
            if batch.position in fenced:
                self._claims.dropped(batch)
                self._metrics.fenced.labels(self._hop.name).inc()
        logger.info(
            "batches dropped: their partitions were claimed anew", hop=self._hop.name, partitions=len(fenced)
        )
        return [batch for batch in lot if batch.position not in fenced]

    async def _wait(self, lot: _Lot, error: TryAgain, attempt: int) -> None:
        if all(other.trouble != error.message for other in self._lots):
            logger.warning("waiting", hop=self._hop.name, why=error.message, next_step=error.next_step)
        lot.trouble = error.message
        self._metrics.waits.labels(self._hop.name).inc()
        longest = min(LONGEST_WAIT_SECONDS, error.retry_after_seconds * 2 ** min(attempt - 1, 5))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    def _recovered(self, lot: _Lot) -> None:
        if lot.trouble:
            lot.trouble = ""
            if not self.trouble:
                logger.info("working again", hop=self._hop.name)
