"""A two-stage pipeline: the next lot is prepared while this one commits.

A *lot* is what waits for one topic, of all its partitions together: under load lots grow by
themselves, and the fixed cost of a batch is paid once. Lots of a mill commit one after the other, so
two batches of one partition never overtake each other.

What can go wrong has four answers, chosen here and nowhere else:
``TryAgain`` waits and repeats; ``Fenced`` drops the batches another worker owns and goes on with the
rest; a record's own fault was already turned into a reject by the hop; all else stops the process,
because an exception that leaves a Faust agent loses data.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
IN_WORK = 2  # lots: one commits, the next is prepared; a third would be small, and wait for both
LONGEST_WAIT_SECONDS = 5.0


def choose_lot(waiting: Iterable[Batch]) -> tuple[list[Batch], deque[Batch]]:
    """The next lot and what stays: batches of the first one's topic, each partition's in one chain."""
    lot: list[Batch] = []
    stays: deque[Batch] = deque()
    newest: dict[Position, Batch | None] = {}
    records = 0
    for batch in waiting:
        before = newest.get(batch.position)
        chained = batch.position not in newest or (before is not None and batch.continues(before))
        same_topic = not lot or batch.position.topic == lot[0].position.topic
        if chained and same_topic and records < LOT_RECORDS:
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
        self._room = asyncio.Semaphore(IN_WORK)
        self._prepared: asyncio.Queue[tuple[list[Batch], P]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._working = 0
        self.trouble = ""  #: why the mill waits, for logs and metrics; empty when it does not
        self.last_progress = time.monotonic()

    @property
    def idle(self) -> bool:
        """Nothing is waiting, being prepared or committing."""
        return not self._waiting and not self._working

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
        """Start both stages on the running loop."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._guard(self._prepare_all())),
            loop.create_task(self._guard(self._commit_all())),
        ]

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
            self._stop_the_line(error)

    async def _prepare_all(self) -> None:
        while True:
            await self._room.acquire()
            await self._some_waiting()
            async with self._turn:
                # What waits for a reject is known for a claim; under a lost one a change would pass it.
                self._waiting = deque(batch for batch in self._waiting if self._claims.holds(batch))
                if not self._waiting:  # or let go while the mill was paused
                    self._room.release()
                    continue
                lot = self._next_lot()
                await self._begin([*lot, *self._waiting])
                prepared = await self._prepare(lot)
                self._prepared.put_nowait((lot, prepared))

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is prepared or commits inside; what is offered waits. Stay short: see ``idle``."""
        async with self._turn:
            while self._working:  # noqa: ASYNC110 - no event: the last commit ends it
                await asyncio.sleep(0.005)
            yield
            self.last_progress = time.monotonic()

    async def _begin(self, batches: list[Batch]) -> None:
        attempt = 0
        while True:
            try:
                await self._hop.begin(batches)
            except TryAgain as error:
                attempt += 1
                await self._wait(error, attempt)
            else:
                if attempt:  # otherwise the trouble is a commit's: it may need what this did not ask
                    self._recovered()
                return

    async def _prepare(self, lot: list[Batch]) -> P:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads, self._hop.prepare, lot)
        records = sum(len(batch.records) for batch in lot)
        self._metrics.lot(self._hop.name, records, time.perf_counter() - started)
        return prepared

    async def _some_waiting(self) -> None:
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()

    def _next_lot(self) -> list[Batch]:
        lot, self._waiting = choose_lot(self._waiting)
        self._working += 1
        return lot

    async def _commit_all(self) -> None:
        while True:
            lot, prepared = await self._prepared.get()
            started = time.perf_counter()
            await self._commit(lot, prepared)
            self._metrics.step(self._hop.name, "commit", time.perf_counter() - started)
            self._working -= 1
            self._room.release()
            self.last_progress = time.monotonic()

    async def _commit(self, lot: list[Batch], prepared: P) -> None:
        attempt = 0
        while lot:
            try:
                await self._hop.commit(prepared)
            except TryAgain as error:
                attempt += 1
                await self._wait(error, attempt)
            except Fenced as error:
                self._recovered()  # the store answered; perhaps only the last try's answer was lost
                lot = self._drop(lot, error)
                if lot:
                    prepared = await self._prepare(lot)
            else:
                self._recovered()
                for batch in lot:
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

    async def _wait(self, error: TryAgain, attempt: int) -> None:
        if attempt == 1 or error.message != self.trouble:
            logger.warning("waiting", hop=self._hop.name, why=error.message, next_step=error.next_step)
        self.trouble = error.message
        self._metrics.waits.labels(self._hop.name).inc()
        longest = min(LONGEST_WAIT_SECONDS, error.retry_after_seconds * 2 ** min(attempt - 1, 5))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    def _recovered(self) -> None:
        if self.trouble:
            logger.info("working again", hop=self._hop.name)
            self.trouble = ""
