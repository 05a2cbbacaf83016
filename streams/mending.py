"""Repairs: does to rejects what people asked for, and what a new library makes worth another try.

A record that waits is drained in its order, head first, through the very translation that all records take,
while the mill stands between two lots: nothing overtakes it, and nothing is parked behind it meanwhile.
The result is written in one transaction with the partition's unmoved ledger row, so a worker that lost the
partition changes nothing. A crash between publishing and that transaction publishes again, and so does a
person who meanwhile corrects the reject or asks for something else; the version gate makes that harmless.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from consumers.receipts import Parked, Reject, RejectRow
from consumers.repairs import Became, Mend, RepairStore, Work
from consumers.store import Position, Slice
from streams.batch import Record
from streams.claims import Claims
from streams.looking import Looker
from streams.metrics import RoadMetrics
from streams.mill import Mill
from streams.publisher import Outgoing, Publisher, publish_from_thread
from streams.translate import TranslateHop, Translation

logger = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
HEADS = 200  # rejects drained at a time; the mill stands still meanwhile
CHANGES = 2_000  # and changes behind them


@dataclass
class Kept:
    """A record as the store kept it, for those who read records of Kafka."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int = 0


@dataclass(slots=True)
class _Try:
    """One piece of work and the changes that are tried for it, in order."""

    work: Work
    changes: list[tuple[int | None, Reject | Parked]]  #: id if parked; the head has none
    rows: list[int] = field(default_factory=list)  #: their places among the records translated together
    stays: list[int] = field(default_factory=list)  #: of these, the refused one and all behind it


class Mender(Looker):
    """One for a worker that translates. ``start`` on the main loop."""

    waiting = "repairs wait"

    def __init__(
        self,
        *,
        hop: TranslateHop,
        mill: Mill[Any],
        claims: Claims,
        store: RepairStore,
        publisher: Publisher,
        deployment: str,
        metrics: RoadMetrics,
        executor: Executor,
        national: Sequence[str],
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=LOOK_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._hop = hop
        self._mill = mill
        self._claims = claims
        self._store = store
        self._publisher = publisher
        self._deployment = deployment
        self._metrics = metrics
        self._national = national
        self._healed: dict[Position, int] = {}  # the epoch in which we asked for another try

    def start(self) -> None:
        """Begin to look, once a second."""
        self._on = asyncio.get_running_loop()
        super().start()

    async def look(self) -> bool:
        """Do a part of what is asked for; whether there may be more."""
        topics = set(self._hop.topics)
        held = {p: one.epoch for p, one in self._claims.held.items() if p.topic in topics}
        self._hop.tell_blocked(held)
        await self._heal(held)
        resent = await self._in_store(lambda: self._store.resend(self._national, HEADS, self._send))
        everywhere = await self._in_store(lambda: self._store.asked(self._deployment))
        asked = [position for position in everywhere if position in held]
        if not asked:
            return resent == HEADS
        for position in asked:
            async with self._mill.paused():  # each by itself: the mill goes on between them
                await self._drain(position)
        return True

    async def _heal(self, held: Mapping[Position, int]) -> None:
        """What another library refused may pass now: a code arrived, a contract was mended."""
        new = [position for position, epoch in held.items() if self._healed.get(position) != epoch]
        if not new:
            return
        libraries = {topic: self._hop.fingerprint(topic) for topic in {position.topic for position in new}}
        asked = await self._in_store(lambda: self._store.ask_again(self._deployment, new, libraries))
        for topic, count in asked.items():
            logger.info("rejects are tried again: the library has changed", topic=topic, rejects=count)
        self._healed |= {position: held[position] for position in new}

    # --- national records ----------------------------------------------------------------------------

    def _send(self, rows: Sequence[RejectRow]) -> None:
        """In a store's thread: publish rejected national records once more."""
        by_topic: dict[str, list[Outgoing]] = {}
        for row in rows:
            reject = row.reject
            headers = [("schema-sha256", reject.fingerprint.encode())] if reject.fingerprint else []
            outgoing = Outgoing(reject.key, reject.original or b"", headers)
            by_topic.setdefault(reject.topic, []).append(outgoing)
        publish_from_thread(self._publisher, by_topic, self._on)

    # --- changes of the province ---------------------------------------------------------------------

    async def _drain(self, position: Position) -> None:
        held = self._claims.held.get(position)
        if held is None:
            return
        here = Slice(position=position, start=held.committed, next=held.committed, epoch=held.epoch)
        works = await self._in_store(
            lambda: self._store.work(self._deployment, position, heads=HEADS, changes=CHANGES)
        )
        tries = [_Try(work, _changes(work)) for work in works]
        records = _records(position, tries)
        out = await self._in_store(lambda: self._hop.translate(position.topic, records))
        mends = [_judge(one, out, records) for one in tries]
        out.withdraw(records, {row for one in tries for row in one.stays})
        await self._hop.publish(out)
        formats = [target.format for target in out.contract.targets]
        try:
            written = await self._in_store(
                lambda: self._store.mend(
                    self._deployment, here, mends, formats=formats, receipts=out.receipts
                )
            )
        except BaseException:
            self._hop.forget(position)  # whether it is written is not known, and so not what waits
            raise
        for mend in written:
            self._hop.unblock(position, here.epoch, mend)
            self._metrics.mended.labels(out.contract.system, out.contract.dataset, _outcome(mend)).inc()
        where = f"{position.topic}-{position.partition}"
        logger.info("rejects worked on", partition=where, rejects=len(written))


def _changes(work: Work) -> list[tuple[int | None, Reject | Parked]]:
    """What is tried for a piece of work, in order."""
    behind: list[tuple[int | None, Reject | Parked]] = list(work.parked)
    if work.asked == "drop" or (work.asked == "supersede" and behind):
        return behind
    return [(None, work.reject), *behind]


def _records(position: Position, tries: Sequence[_Try]) -> list[tuple[int, Record]]:
    records: list[tuple[int, Record]] = []
    for one in tries:
        for _, change in one.changes:
            one.rows.append(len(records))
            headers = [("seq", str(change.seq).encode())] if change.seq is not None else []
            if change.fingerprint is not None:
                headers.append(("schema-sha256", change.fingerprint.encode()))
            kept = Kept(change.offset, change.key, change.original, headers)
            records.append((position.partition, kept))
    return records


def _judge(one: _Try, out: Translation, records: Sequence[tuple[int, Record]]) -> Mend:
    """What becomes of a piece of work: all before the first change that is refused again is done."""
    work, again = one.work, None
    refused = {(reject.offset, reject.key): reject for reject in out.rejects}
    for at, row in enumerate(one.rows):
        again = refused.get((records[row][1].offset, records[row][1].key))
        if again is not None:
            one.stays = one.rows[at:]
            break
    tried = len(one.rows) - max(0, len(one.stays) - 1)  # the refused one is parked no longer, but the head
    done = [number for number, _ in one.changes[:tried] if number is not None]
    superseded: list[int] = []
    became: Became | None = "dropped" if work.asked == "drop" else "mended"
    if work.asked == "supersede" and work.parked:
        became = "superseded"
        done += [number for number, _ in work.passed]
        superseded = [seq for seq in (work.reject.seq, *(seq for _, seq in work.passed)) if seq is not None]
    if again is None:
        return Mend(work=work, became=None if work.more else became, done=done, superseded=superseded)
    if one.changes[tried - 1][0] is None:
        told = (work.reject.rule, work.reject.field, work.reject.seq)
        became = None if (again.rule, again.field, again.seq) == told else "again"
    if not work.reject.blocks:
        again = replace(again, blocks=False)  # later changes have long passed it
    return Mend(work=work, became=became, done=done, again=again, superseded=superseded)


def _outcome(mend: Mend) -> str:
    """For the metric."""
    return "again" if mend.again is not None else mend.became or "partly"
