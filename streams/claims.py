"""Which partitions this process may write, under which epoch, and from which offset.

Faust tells us what Kafka assigned; that is only a hint. A partition is read after its row in the
store's ledger was claimed, and from the ledger's offset. Three pitfalls of the prototype end here:

- *the zombie's re-claim*: a claim carries the group's generation, the store refuses a lower one, and
  nobody claims while the group is rejoining;
- *the silent hang*: claims run beside Faust's recovery and never inside it, each with its own
  deadline, and a claim that does not come is retried, counted and reported;
- *the silent loss*: the ledger is compared with the log's first and last offset at every claim; a
  partition that lost unread records is halted aloud, and the others flow on.

Everything here runs on the worker's main loop; only the store's calls leave it.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from consumers.store import Claim, NationalStore, Position, Slice
from schemas.errors import LienthongError
from streams.batch import Batch, Record
from streams.threads import in_thread

logger = structlog.get_logger(__name__)

CLAIM_DEADLINE_SECONDS = 10.0  # far below Faust's broker_request_timeout (30 s), far above a healthy claim
RETRY_SECONDS = 0.5
HALT_RECHECK_SECONDS = 15.0  # an operator's `road accept-loss` is picked up within this time
DRAIN_SECONDS = 3.0  # after a rebalance: let the running batch commit before the new claim fences it
TRIAL_RECORDS = 200  # of a paused source that is tried out
IN_FLIGHT = 2  # batches a partition: one commits, the next is prepared; more only fills memory
#: Small batches go on coming up to so many bytes: what is not fetched cannot join the next lot.
SMALL_BYTES = 64 * 1024
_BATCH_BYTES = 1_000  # what a batch takes besides its values


class Log(Protocol):
    """What the claims need of the Kafka consumer."""

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        """First offset still there and offset after the last, for each position.

        Raises ``TryAgain`` if the broker does not answer.
        """

    async def seek(self, offsets: Mapping[Position, int]) -> None:
        """Read each position from this offset on."""

    def generation(self) -> int | None:
        """The group's generation, or None while (re)joining or without a coordinator."""

    def leaderless(self, positions: Iterable[Position]) -> set[Position]:
        """Those that no broker leads, as far as is known: who asks for their bounds waits for long."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one fetch took from one partition."""

    records: Sequence[Record]
    before: int | None  #: the consumer's position when the fetch began; None: it had none
    after: int  #: and when it ended: behind the last record, and behind what is hidden after it


@dataclass(slots=True)
class Held:
    """A partition we may write."""

    epoch: int
    generation: int
    start: int  #: the ledger's offset that the next batch must find
    position: int  #: where the consumer must read next; past ``start`` only over records nobody sees
    fetched: int = 0  #: batches handed out and not yet settled or dropped
    milled: int = 0  #: of those, the ones that reached a mill
    committed: int = 0  #: the ledger's offset as we last wrote it
    #: next, first record's time (s since 1970) and bytes of each batch in flight
    flying: deque[tuple[int, float, int]] = field(default_factory=deque)

    @property
    def has_room(self) -> bool:
        """Whether another batch may be fetched."""
        return self.fetched < IN_FLIGHT or sum(size for _, _, size in self.flying) < SMALL_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A partition that must not be read on without a person's word."""

    reason: str
    lost: int  #: records that can no longer be read; 0 when the log is shorter than the ledger
    since: float
    ledger: int  #: where the ledger stood


class Claims:
    """Claims for one worker process.

    Args:
        store: where the ledger lives.
        deployment: name of this road; ledgers of several roads may share a database.
        owner: unique name of this process.
        log: the Kafka consumer.
        executor: threads for the store's calls.
        library: fingerprint of what the process follows.
    """

    def __init__(
        self,
        *,
        store: NationalStore,
        deployment: str,
        owner: str,
        log: Log,
        executor: Executor,
        library: str | None = None,
    ) -> None:
        self._store = store
        self._deployment = deployment
        self._owner = owner
        self._library = library
        self._log = log
        self._executor = executor
        self._held: dict[Position, Held] = {}
        self.halted: dict[Position, Halt] = {}
        self._task: asyncio.Task[None] | None = None
        self._next_try = 0.0
        self._unclaimed_since: dict[Position, float] = {}
        self._leaderless: set[Position] = set()
        self.failures = 0  #: claims that failed or ran over their deadline
        self.closed: dict[str, bool] = {}  #: topics not to be read; True: but for one fetch of one partition

    # --- reading -------------------------------------------------------------------------------

    def ready(self, assigned: Iterable[Position]) -> tuple[dict[Position, Held], bool]:
        """Partitions to fetch from now, and whether others are only waiting for room.

        Asks in the background for partitions that are assigned and not yet claimed.
        """
        generation = self._log.generation()
        if generation is None:
            return {}, False
        assigned = set(assigned)
        missing: list[Position] = []
        if self._held.keys() != assigned:
            self._give_up(assigned)
            missing += assigned - self._held.keys()
        # Often, and of hundreds of partitions: those in the usual state cost nothing but a comparison.
        ready, closed, full = dict(self._held), self.closed, False
        unusual = [
            (position, held)
            for position, held in ready.items()
            if held.fetched >= IN_FLIGHT
            or held.generation != generation
            or (closed and position.topic in closed)
        ]
        trials: dict[str, list[Position]] = {}
        for position, held in unusual:
            if held.generation != generation:
                missing.append(position)
            elif position.topic in closed:
                if closed[position.topic] and not held.fetched:
                    trials.setdefault(position.topic, []).append(position)
            elif held.has_room:
                continue
            else:
                full = True
            del ready[position]
        # Of a source on trial one partition at a time, for which of them has something to read is not known.
        ready |= {one: self._held[one] for one in map(random.choice, trials.values())}
        self._note_unclaimed(missing)
        if missing:
            self._ask(missing, generation)
        return ready, full

    def _give_up(self, assigned: set[Position]) -> None:
        """Forget what is another worker's now; its figures are not ours to tell."""
        for given in self._held.keys() - assigned:
            del self._held[given]
        for given in self.halted.keys() - assigned:
            del self.halted[given]

    def at_most(self, ready: Iterable[Position]) -> int | None:
        """How many records to fetch of these; None: as many as usual."""
        closed = self.closed
        return TRIAL_RECORDS if closed and any(one.topic in closed for one in ready) else None

    def batch(self, position: Position, held: Held, fetched: Fetched) -> Batch | None:
        """Wrap what was fetched; None if it holds nothing, or if it does not continue what we hold.

        A rebalance during the fetch sets the consumer back to the group's offset, and a fetch that was
        cancelled on its way takes records with it: what was read then would be read twice, or never.
        """
        mine = self._held.get(position) is held
        if not mine or fetched.before != held.position or self._log.generation() != held.generation:
            if mine:
                del self._held[position]  # to be claimed again, and read from the ledger
            return None
        held.position = fetched.after
        if not fetched.records:
            return None
        if position.topic in self.closed:
            if not self.closed[position.topic]:
                del self._held[position]  # paused while it was fetched: read again from the ledger
                return None
            self.closed[position.topic] = False  # this was the one fetch
        start, held.start = held.start, fetched.after
        held.fetched += 1
        size = _BATCH_BYTES + sum(len(one.value or b"") for one in fetched.records)
        held.flying.append((held.start, fetched.records[0].timestamp / 1000, size))
        return Batch(
            position=position, records=fetched.records, start=start, next=held.start, epoch=held.epoch
        )

    def hidden(self) -> dict[Position, Slice]:
        """The ledger's steps over what nobody sees, to where the consumer stands, if nothing is in flight."""
        return {
            position: Slice(position=position, start=held.start, next=held.position, epoch=held.epoch)
            for position, held in self._held.items()
            if held.position > held.start and not held.fetched
        }

    def stepped(self, steps: Iterable[Slice]) -> None:
        """These steps are in the ledger."""
        for step in steps:
            held = self._held.get(step.position)
            if held is not None and (held.epoch, held.start) == (step.epoch, step.start):
                held.start = held.committed = step.next

    # --- what became of a batch ------------------------------------------------------------------

    def entered(self, batch: Batch) -> None:
        """The batch reached a mill."""
        if held := self._current(batch):
            held.milled += 1

    def settled(self, batch: Batch) -> None:
        """The batch is in the ledger."""
        if held := self._current(batch):
            held.fetched -= 1
            held.milled -= 1
            held.committed = batch.next
            while held.flying and held.flying[0][0] <= batch.next:
                held.flying.popleft()

    def dropped(self, batch: Batch) -> None:
        """The ledger refused the batch: read again from the ledger, under a new claim."""
        if self._current(batch):
            del self._held[batch.position]

    def forget(self, positions: Iterable[Position]) -> None:
        """The log no longer has what we wanted to read next: compare with the ledger again."""
        for position in positions:
            self._held.pop(position, None)

    def committed(self, position: Position) -> int | None:
        """The ledger's offset as last seen here; a hint for Kafka's own offsets."""
        held = self._held.get(position)
        return held.committed if held else None

    def oldest_wait(self) -> float:
        """Seconds since the longest waiting assigned partition went without a claim; 0 if none does."""
        told = self.halted.keys() | self._leaderless
        waits = [since for position, since in self._unclaimed_since.items() if position not in told]
        return time.monotonic() - min(waits) if waits else 0.0

    def waiting_seconds(self) -> dict[Position, float]:
        """Age of the oldest record read and not yet in the ledger; 0 where none waits."""
        now = time.time()
        return {p: max(0.0, now - h.flying[0][1]) if h.flying else 0.0 for p, h in self._held.items()}

    @property
    def held(self) -> Mapping[Position, Held]:
        """Partitions we may write now."""
        return self._held

    # --- claiming ----------------------------------------------------------------------------------

    def holds(self, batch: Batch) -> bool:
        """Whether a batch may still be written, as far as is known here."""
        return self._current(batch) is not None

    def _current(self, batch: Batch) -> Held | None:
        held = self._held.get(batch.position)
        return held if held is not None and held.epoch == batch.epoch else None

    def _note_unclaimed(self, missing: Collection[Position]) -> None:
        now = time.monotonic()
        self._unclaimed_since = {p: self._unclaimed_since.get(p, now) for p in missing}

    def _ask(self, missing: Iterable[Position], generation: int) -> None:
        now = time.monotonic()
        if (self._task and not self._task.done()) or now < self._next_try:
            return
        wanted = {p for p in missing if self._may_try(p, now)}
        wanted -= self._without_leader(wanted)
        if wanted:
            self._task = asyncio.get_running_loop().create_task(self._claim(wanted, generation))

    def _without_leader(self, wanted: set[Position]) -> set[Position]:
        """One partition that is offline must not keep all others from being claimed."""
        found = self._log.leaderless(wanted)
        if found - self._leaderless:
            logger.warning(
                "partitions wait for a leader",
                partitions=[f"{p.topic}-{p.partition}" for p in sorted(found)],
                next_step="start the brokers that keep them; the others flow on",
            )
        self._leaderless = found
        return found

    def _may_try(self, position: Position, now: float) -> bool:
        halt = self.halted.get(position)
        return halt is None or now - halt.since > HALT_RECHECK_SECONDS

    async def _claim(self, wanted: Collection[Position], generation: int) -> None:
        try:
            await self._drain(wanted)
            async with asyncio.timeout(CLAIM_DEADLINE_SECONDS):
                await self._claim_now(wanted, generation)
        except (TimeoutError, LienthongError) as error:
            self.failures += 1
            text = str(error) or f"no answer from the store or the broker in {CLAIM_DEADLINE_SECONDS:.0f} s"
            logger.warning("claim failed, trying again", partitions=len(wanted), error=text)
        except Exception as error:  # a claim must never die silently: the partitions would stand still
            self.failures += 1
            logger.warning("claim failed, trying again", partitions=len(wanted), error=type(error).__name__)
        finally:
            self._next_try = time.monotonic() + RETRY_SECONDS

    async def _drain(self, wanted: Collection[Position]) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        for held in [self._held[p] for p in wanted if p in self._held]:
            while held.milled and time.monotonic() < deadline:  # noqa: ASYNC110 - no event: a drop ends it too
                await asyncio.sleep(0.02)

    async def _claim_now(self, wanted: Collection[Position], generation: int) -> None:
        claims = await in_thread(
            self._executor,
            lambda: self._store.claim(
                self._deployment,
                list(wanted),
                generation=generation,
                owner=self._owner,
                library=self._library,
            ),
        )
        for position in wanted:
            self._held.pop(position, None)
        refused = [p for p in wanted if p not in claims]
        if refused:
            logger.warning(
                "claim refused: a newer generation of the group owns the partition",
                partitions=[f"{p.topic}-{p.partition}" for p in refused],
                generation=generation,
            )
        if not claims:
            return
        bounds = await self._log.bounds(list(claims))
        begin_at: dict[Position, int] = {}
        for position, claim in claims.items():
            offset = await self._first_offset(claim, bounds[position])
            if offset is not None:
                begin_at[position] = offset
        await self._log.seek(begin_at)
        if self._log.generation() != generation:
            return  # a rebalance came in between: nobody claims while rejoining
        for position, offset in begin_at.items():
            epoch = claims[position].epoch
            self._held[position] = Held(
                epoch=epoch, generation=generation, start=offset, position=offset, committed=offset
            )
            self.halted.pop(position, None)
        if begin_at:
            logger.info("partitions claimed", partitions=len(begin_at), generation=generation)

    async def _first_offset(self, claim: Claim, bounds: tuple[int, int]) -> int | None:
        begin, end = bounds
        position = claim.position
        if claim.next_offset is None:
            await in_thread(
                self._executor,
                lambda: self._store.start_at(self._deployment, position, epoch=claim.epoch, offset=begin),
            )
            return begin
        halt = self.halted.get(position)
        # A log that was made anew grows past the ledger: it would go on with its first records unread.
        anew = halt is not None and not halt.lost and halt.ledger == claim.next_offset
        if begin <= claim.next_offset <= end and not anew:
            return claim.next_offset
        self._halt(position, claim.next_offset, begin, end)
        return None

    def _halt(self, position: Position, ledger: int, begin: int, end: int) -> None:
        where = f"{position.topic}-{position.partition}"
        if ledger < begin:
            lost = begin - ledger
            gone = f"{lost} records (offsets {ledger} to {begin - 1})"
            reason = f"{where}: {gone} were deleted by retention before they were read"
        else:
            lost = 0
            ends = f"the topic {'ended before it' if ledger <= end else f'ends at {end}'}"
            reason = f"{where}: the ledger stands at {ledger} but {ends}: it was made anew"
        self.halted[position] = Halt(reason=reason, lost=lost, since=time.monotonic(), ledger=ledger)
        logger.error(
            "partition halted",
            why=reason,
            next_step="bring the records back (lienthong capture snapshot), then: "
            f"lienthong road accept-loss {position.topic} {position.partition}{self._reader()}"
            + ("" if lost else " --anew"),
        )

    def _reader(self) -> str:
        """The option that names this reader, if it is an inbound contract's: see ``inbound_name``."""
        _, _, inbound = self._deployment.partition("/")
        return f" --inbound {inbound}" if inbound else ""
