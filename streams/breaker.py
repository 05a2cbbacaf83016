"""The flood breaker: a source of which most changes are refused is paused, and that source only.

A flood of rejects has one cause (a changed column, a wrong code list), and going on would only park the whole
register. The state stands in the store, so that all workers see it, and a restart does not forget it. After
a pause each worker lets one fetch through: if it is good enough the breaker closes by itself; a person closes
it with ``lienthong road resume``.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import structlog

from consumers.receipts import Reject
from consumers.repairs import RepairStore
from schemas.contracts import Contract
from schemas.errors import TryAgain
from streams.claims import Claims
from streams.looking import Looker
from streams.metrics import RoadMetrics
from streams.parking import Placed

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a source counts as flooding."""

    share: float  #: of refused changes among the last ``window``
    window: int  #: changes
    consecutive: int  #: refused changes without a good one between
    pause_seconds: float  #: before a fetch is let through to try


@dataclass(frozen=True, slots=True)
class Judged:
    """A lot as the breaker sees it; changes that wait are neither good nor bad."""

    changes: int
    refused: int
    last: int  #: refused ones after the last good one


NOTHING_JUDGED = Judged(0, 0, 0)


def judged(records: Sequence[Placed], rejects: Sequence[Reject]) -> Judged:
    """Count a lot, without those records that wait."""
    if not rejects:
        return Judged(len(records), 0, 0)
    refused = {(one.partition, one.offset) for one in rejects}
    last = 0
    for partition, record in reversed(records):
        if (partition, record.offset) not in refused:
            break
        last += 1
    return Judged(len(records), len(rejects), last)


@dataclass(slots=True)
class _Source:
    """What is known of one dataset since it last flowed freely."""

    lots: deque[Judged] = field(default_factory=deque)
    run: int = 0
    why: Counter[tuple[str, str]] = field(default_factory=Counter)
    paused_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # lots of several partitions settle at once

    def add(self, lot: Judged, window: int) -> None:
        self.lots.append(lot)
        while sum(one.changes for one in self.lots) - self.lots[0].changes >= window:
            self.lots.popleft()
        self.run = lot.last + (self.run if lot.last == lot.changes else 0)


class Breakers(Looker):
    """One for a worker that translates."""

    def __init__(
        self,
        *,
        contracts: Mapping[str, Contract],
        store: RepairStore,
        claims: Claims,
        deployment: str,
        limits: Limits,
        metrics: RoadMetrics,
        executor: Executor,
        discard: Callable[[str], None],
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._contracts = contracts  # by topic
        self._store = store
        self._claims = claims
        self._deployment = deployment
        self._limits = limits
        self._metrics = metrics
        self._discard = discard
        self._sources: dict[str, _Source] = {topic: _Source() for topic in contracts}

    async def look(self) -> None:
        """Pause and resume as the store says; to be awaited once before anything is read."""
        found = await self._in_store(lambda: self._store.breakers(self._deployment))
        open_ones = {(one.system, one.dataset) for one in found}
        for topic, contract in self._contracts.items():
            is_open = (contract.system, contract.dataset) in open_ones
            if is_open and topic not in self._claims.closed:
                self._pause(topic)
            elif not is_open and topic in self._claims.closed:
                self._claims.closed.pop(topic)
                self._sources[topic] = _Source()
                logger.info("source flows again", topic=topic)
            elif is_open and monotonic() >= self._sources[topic].paused_until:
                self._claims.closed[topic] = True
            self._metrics.breaker.labels(contract.system, contract.dataset).set(int(is_open))

    def _pause(self, topic: str) -> None:
        self._sources[topic].paused_until = monotonic() + self._limits.pause_seconds
        self._claims.closed[topic] = False
        self._discard(topic)

    async def judge(self, contract: Contract, lot: Judged, rejects: Sequence[Reject]) -> None:
        """A lot of a source is settled: open its breaker, or close it if this was the lot let through."""
        async with self._sources[contract.topic].turn:
            with suppress(TryAgain):  # the store is away: the next lot tells the same
                await self._judge(contract, lot, rejects)

    async def _judge(self, contract: Contract, lot: Judged, rejects: Sequence[Reject]) -> None:
        source = self._sources[contract.topic]
        if not lot.changes:
            return
        if contract.topic in self._claims.closed:
            await self._try_out(contract, lot)
            return
        source.add(lot, self._limits.window)
        if not lot.refused:
            source.why.clear()
            return
        source.why.update((one.rule, one.field) for one in rejects)
        changes = sum(one.changes for one in source.lots)
        refused = sum(one.refused for one in source.lots)
        flooding = changes >= self._limits.window and refused >= self._limits.share * changes
        if flooding or source.run >= self._limits.consecutive:
            await self._open(contract, source, f"{refused}/{changes}")

    async def _open(self, contract: Contract, source: _Source, told: str) -> None:
        (rule, name), _ = source.why.most_common(1)[0]
        told_of = {"rule": rule, "field": name, "detail": told}
        await self._in_store(
            lambda: self._store.open_breaker(
                self._deployment, contract.system, contract.dataset, **told_of, formats=_formats(contract)
            )
        )
        self._pause(contract.topic)
        every = f"{self._limits.pause_seconds:.0f} s"
        logger.error(
            "source paused: a flood of rejects",
            source=contract.id,
            refused=told,
            most=f"{name}: {rule}" if name else rule,
            next_step=f"mend the cause (lienthong rejects list {contract.system}); it is tried again every"
            f" {every}, or at once by: lienthong road resume {contract.id}",
        )

    async def _try_out(self, contract: Contract, lot: Judged) -> None:
        if monotonic() < self._sources[contract.topic].paused_until:
            return  # not the lot let through: this one was in work when the source was paused
        if lot.refused >= self._limits.share * lot.changes:
            self._sources[contract.topic].paused_until = monotonic() + self._limits.pause_seconds
            return
        await self._in_store(
            lambda: self._store.close_breaker(
                self._deployment, contract.system, contract.dataset, formats=_formats(contract)
            )
        )
        logger.info("source tried out: its changes are good again", source=contract.id)


def _formats(contract: Contract) -> list[str]:
    return [target.format for target in contract.targets]
