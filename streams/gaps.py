"""Finds sequence numbers that never arrived: a source counts its changes without gaps, so each must come.

A number without an answer may still be on its way. It counts as missing when everything that stood in the
province's topic went through both hops, a higher number had its answer before that, and it is still so half a
minute later. What arrives after all is missing no longer.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from math import inf
from time import monotonic

import structlog

from consumers.accounts import shortened
from consumers.ranges import Ranges
from consumers.repairs import RepairStore
from consumers.store import Position
from schemas.contracts import Contract
from schemas.formats import NationalFormat
from streams.claims import Claims, Log
from streams.looking import Looker
from streams.metrics import RoadMetrics

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
SUSPECT_SECONDS = 30.0  # what is on its way to Kafka in several partitions arrives within this time
EASY = 20  # of so many seconds one at most is spent on reading answers, of all datasets together

Ends = Mapping[Position, int]


@dataclass(slots=True)
class _Round:
    """One look at one dataset."""

    noted: bool | None = None  #: whether numbers are noted as missing; only the watch that looks notes any
    known: int = 0  #: the highest number with an answer when it began
    ends: Ends | None = None  #: of the province's topic, to be passed first
    national: Ends | None = None  #: of the national topics, to be passed then
    not_before: float = 0.0
    suspects: dict[tuple[int, int], float] = field(default_factory=dict)  #: since when


class GapWatch(Looker):
    """One for a worker; looks at the datasets whose first partition it holds, so that one worker does."""

    def __init__(
        self,
        *,
        contracts: Sequence[Contract],
        formats: Mapping[str, NationalFormat],
        store: RepairStore,
        claims: Claims,
        log: Log,
        deployment: str,
        metrics: RoadMetrics,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._contracts = contracts
        self._formats = formats
        self._store = store
        self._claims = claims
        self._log = log
        self._deployment = deployment
        self._metrics = metrics
        self._rounds: dict[str, _Round] = {}
        self._ledger: Ends | None = None  #: as it stood when this look first asked

    async def look(self) -> None:
        """Go one step with each dataset."""
        self._ledger = None
        for contract in self._contracts:
            if Position(topic=contract.topic, partition=0) not in self._claims.held:
                if self._rounds.pop(contract.id, None) is not None:
                    self._metrics.missing.remove(contract.system, contract.dataset)  # its holder tells now
                continue
            one = self._rounds.setdefault(contract.id, _Round())
            if one.ends is None:
                await self._begin(contract, one)
            elif one.national is None:
                if await self._passed(one.ends):
                    topics = {self._formats[target.format].topic for target in contract.targets}
                    one.national = await self._ends(topics)
            elif await self._passed(one.national):
                await self._conclude(contract, one)

    async def _begin(self, contract: Contract, one: _Round) -> None:
        if monotonic() < one.not_before:
            return
        unanswered, one.known = await self._unanswered(contract, one)
        if one.noted is None:
            gaps = await self._in_store(lambda: self._store.gaps(contract.system, contract.dataset))
            one.noted = bool(gaps)
            one.suspects = dict.fromkeys(gaps.spans, -inf)  # whoever looked before has waited for them
        if unanswered or one.noted:
            one.ends = await self._ends([contract.topic])

    async def _unanswered(self, contract: Contract, one: _Round) -> tuple[Ranges, int]:
        """Numbers that no format has an answer for, and the highest that has one."""
        started = monotonic()
        found = await self._in_store(lambda: self._store.answers(contract.system, contract.dataset))
        took = monotonic() - started
        one.not_before = monotonic() + EASY * took * len(self._rounds)
        known = max((each.known.highest for each in found), default=0)
        left = Ranges.of([(1, known)]) if known else Ranges()
        for each in found:
            left -= each.known
        return left, known

    async def _conclude(self, contract: Contract, one: _Round) -> None:
        left, _ = await self._unanswered(contract, one)
        now, spans = monotonic(), [(a, min(b, one.known)) for a, b in left.spans if a <= one.known]
        one.suspects = {span: _since(span, one.suspects, now) for span in spans}
        sure = Ranges.of(span for span, since in one.suspects.items() if now - since >= SUSPECT_SECONDS)
        before = await self._in_store(lambda: self._store.note_gaps(contract.system, contract.dataset, sure))
        self._metrics.missing.labels(contract.system, contract.dataset).set(len(sure))
        if new := sure - before:
            logger.error(
                "changes never arrived",
                source=contract.id,
                numbers=shortened(new),
                next_step="look at the agency's relay (lienthong capture status), or take a new snapshot",
            )
        if healed := before - sure:
            logger.info("missing changes arrived", source=contract.id, numbers=shortened(healed))
        one.noted = bool(sure)
        one.ends = one.national = None

    async def _ends(self, topics: Collection[str]) -> Ends:
        places = [position for position in await self._at() if position.topic in topics]
        bounds = await self._log.bounds(places)
        return {position: end for position, (_, end) in bounds.items()}

    async def _passed(self, ends: Ends) -> bool:
        at = await self._at()
        return all(at.get(position, 0) >= end for position, end in ends.items())

    async def _at(self) -> Ends:
        """How far the ledger is; read once a look: it has hundreds of rows, and up to 141 datasets ask."""
        if self._ledger is None:
            rows = await self._in_store(lambda: self._store.ledger(self._deployment))
            self._ledger = {row.position: row.next_offset or 0 for row in rows}
        return self._ledger


def _since(span: tuple[int, int], suspects: Mapping[tuple[int, int], float], now: float) -> float:
    """When a span was first suspected, perhaps as a part of a longer one."""
    return min(
        (since for (first, last), since in suspects.items() if first <= span[0] and span[1] <= last),
        default=now,
    )
