"""A two-stage pipeline: the next lot is prepared while this one commits.

A *lot* is what waits for one topic, of all its partitions together: under load lots grow by
themselves, and the fixed cost of a batch is paid once. Lots of one topic commit one after the other, so
two batches of one partition never overtake each other. Small lots of several topics commit beside each
other: each waits for the broker and the store, and a province has many topics that tell little at a time.

What can go wrong has four answers, chosen here and nowhere else:
``TryAgain`` waits and repeats; ``Fenced`` drops the batches another worker owns and goes on with the
rest; a record's own fault was already turned into a reject by the hop; all else stops the process,
because an exception that leaves a Faust agent loses data.
"""

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Container, Coroutine, Iterable, Sequence
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
IN_WORK = 2  # lots of a topic: one commits, the next is prepared; a third would be small, and wait for both
LOTS_IN_WORK = 3  # of all topics; a third only while all are small, for memory
LONGEST_WAIT_SECONDS = 5.0


def choose_lot(waiting: Iterable[Batch], closed: Container[str] = ()) -> tuple[list[Batch], deque[Batch]]:
    """The next lot and what stays: batches of the first one's topic, each partition's in one chain.

    ``closed``: topics of which all stays.
    """
    lot: list[Batch] = []
    stays: deque[Batch] = deque()
    newest: dict[Position, Batch | None] = {}
    records = 0
    for batch in waiting:
        before = newest.get(batch.position)
        chained = batch.position not in newest or (before is not None and batch.continues(before))
        same_topic = not lot or batch.position.topic == lot[0].position.topic
        free = batch.position.topic not in closed
        if free and chained and same_topic and records < LOT_RECORDS:
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
        self._working: Counter[str] = Counter()  # lots being prepared or committing, by topic
        self._records = 0  # in these
        self._commits: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by topic
        self._tasks: set[asyncio.Task[None]] = set()
        self._troubles: dict[str, str] = {}  # by topic
        self._moved: dict[str, float] = {}  # topics in work: when each last did
        self.last_progress = time.monotonic()

    @property
    def waits_since(self) -> float:
        """When the topic in work that waits longest last moved (monotonic)."""
        return min(self._moved.values(), default=self.last_progress)

    @property
    def trouble(self) -> str:
        """Why the mill waits, for logs and metrics; empty when it does not."""
        return next(iter(self._troubles.values()), "")

    @property
    def idle(self) -> bool:
        """Nothing is waiting, being prepared or committing."""
        return not self._waiting and not self._working.total()

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
                lot, self._waiting = choose_lot(self._waiting, self._closed())
                if not lot:  # what was free was let go, or the mill was paused
                    continue
                topic, records = lot[0].position.topic, sum(len(batch.records) for batch in lot)
                self._working[topic] += 1
                self._records += records
                self._moved.setdefault(topic, time.monotonic())
                await self._begin(topic, [*lot, *self._waiting])
                prepared = await self._prepare(lot)
                self._do(self._commit_in_turn(topic, records, lot, prepared))

    async def _some_free(self) -> None:
        """Wait until a batch may go into a lot."""
        while self._full() or self._closed().issuperset(one.position.topic for one in self._waiting):
            self._wake.clear()
            await self._wake.wait()

    def _full(self) -> bool:
        """Whether no lot may be prepared now, of whatever topic."""
        lots = self._working.total()
        return lots >= LOTS_IN_WORK or (lots >= IN_WORK and self._records >= LOT_RECORDS)

    def _closed(self) -> set[str]:
        """Topics of which another lot would only wait."""
        return {topic for topic, lots in self._working.items() if lots >= IN_WORK}

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is prepared or commits inside; what is offered waits. Stay short: see ``idle``."""
        async with self._turn:
            while self._working.total():  # noqa: ASYNC110 - no event: the last commit ends it
                await asyncio.sleep(0.005)
            yield
            self.last_progress = time.monotonic()

    async def _begin(self, topic: str, batches: list[Batch]) -> None:
        attempt = 0
        while True:
            try:
                await self._hop.begin(batches)
            except TryAgain as error:
                attempt += 1
                await self._wait(topic, error, attempt)
            else:
                if attempt:  # otherwise the trouble is a commit's: it may need what this did not ask
                    self._recovered(topic)
                return

    async def _prepare(self, lot: list[Batch]) -> P:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._threads, self._hop.prepare, lot)
        records = sum(len(batch.records) for batch in lot)
        self._metrics.lot(self._hop.name, records, time.perf_counter() - started)
        return prepared

    async def _commit_in_turn(self, topic: str, records: int, lot: list[Batch], prepared: P) -> None:
        async with self._commits[topic]:
            started = time.perf_counter()
            await self._commit(topic, lot, prepared)
            self._metrics.step(self._hop.name, "commit", time.perf_counter() - started)
        self._working[topic] -= 1
        self._records -= records
        self.last_progress = self._moved[topic] = time.monotonic()
        if not self._working[topic]:
            del self._working[topic], self._moved[topic]
        self._wake.set()

    async def _commit(self, topic: str, lot: list[Batch], prepared: P) -> None:
        attempt = 0
        while lot:
            try:
                await self._hop.commit(prepared)
            except TryAgain as error:
                attempt += 1
                await self._wait(topic, error, attempt)
            except Fenced as error:
                self._recovered(topic)  # the store answered; perhaps only the last try's answer was lost
                lot = self._drop(lot, error)
                if lot:
                    prepared = await self._prepare(lot)
            else:
                self._recovered(topic)
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

    async def _wait(self, topic: str, error: TryAgain, attempt: int) -> None:
        if error.message not in self._troubles.values():
            logger.warning("waiting", hop=self._hop.name, why=error.message, next_step=error.next_step)
        self._troubles[topic] = error.message
        self._metrics.waits.labels(self._hop.name).inc()
        longest = min(LONGEST_WAIT_SECONDS, error.retry_after_seconds * 2 ** min(attempt - 1, 5))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    def _recovered(self, topic: str) -> None:
        if self._troubles.pop(topic, "") and not self._troubles:
            logger.info("working again", hop=self._hop.name)
