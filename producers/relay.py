"""The relay: numbers committed outbox rows, publishes them in order per key, marks what was acknowledged.

A number is durable before its record is published, and a row is marked only after the broker's
acknowledgement, so a crash at any point means that some rows are published again, under the same numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Final

import structlog

from producers.clock import Clock
from producers.envelope import CannotEncode, Encoder, Outgoing
from producers.metrics import CaptureMetrics
from producers.outbox import Change, Outbox, State, runs
from producers.parking import Parking
from producers.publisher import Publisher, Verdict
from schemas.errors import LienthongError, TryAgain

logger = structlog.get_logger(__name__)

BATCH: Final = 2_000  #: rows numbered and published at once
CHARACTERS: Final = 16_000_000  #: of images held in memory at once

#: A short poll. LISTEN/NOTIFY would save some milliseconds and cost the clerks more than half of their
#: commits per second (8 sessions, one row each: 3,300 commits/s without, 1,250 with NOTIFY), for it queues
#: all commits behind one lock.
SHORTEST_PAUSE: Final = 0.004
LONGEST_PAUSE: Final = 0.025
GATHER: Final = 100  #: after fewer rows a pause lets some more come together; each batch costs two commits

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_RETRY_PARKED_SECONDS = 60.0
_LOOK_SECONDS = 10.0
_PRUNE_SECONDS = 60.0
_PRUNE_ROWS = 2_000
_LAST_WORDS_SECONDS = 5

Prepare = Callable[[Outbox, Sequence[State]], Mapping[str, Encoder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """What an operator may choose."""

    keep_days: float = 30.0
    stall_seconds: float = 300.0


class _Changed(Exception):
    """Triggers were made anew since the encoders were: the rows at hand are to be encoded again."""


class _Stopped(Exception):
    """The process was told to end while the broker was away."""


class Relay:
    """Publishes one agency database's changes. One thread; ``run`` once.

    Args:
        outbox: the database.
        publisher: the broker.
        prepare: gives an encoder for each captured dataset that can be relayed; raises ``LienthongError`` if
            there is none.
        metrics: told everything.
        clock: time.
        options: the operator's.
    """

    def __init__(
        self,
        outbox: Outbox,
        publisher: Publisher,
        prepare: Prepare,
        metrics: CaptureMetrics,
        *,
        clock: Clock,
        options: RelayOptions,
    ) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._prepare = prepare
        self._metrics = metrics
        self._clock = clock
        self._options = options
        self._parking = Parking()
        self._encoders: Mapping[str, Encoder] = {}
        self._seen: dict[str, str] = {}  # dataset -> definition that its encoder is for
        self._told: set[tuple[str, ...]] = set()  # dataset and its columns that are not captured any more
        self._stop = Event()
        self._progress = self._failed_at = clock.monotonic()
        self._failures = 0
        self._due = {"look": 0.0, "prune": 0.0, "retry": 0.0}

    def run(self, stop: Event) -> None:
        """Relay until ``stop`` is set; then finish the batch at hand.

        Raises:
            TryAgain: broker or database were away for ``stall_seconds``.
            LienthongError: a person must look: a setting, a missing topic, a missing right.
        """
        self._stop = stop
        try:
            while not stop.is_set():
                try:
                    self._begin()
                    self._relay()
                except TryAgain as problem:
                    self._wait(problem)
        except _Stopped:
            logger.info("ended while the broker was away; what it did not acknowledge stays in the outbox")
        finally:
            self._metrics.leading.set(0)
            self._publisher.abandon()
            self._outbox.close()

    def _begin(self) -> None:
        """Become the one relay, and learn what is captured."""
        told = False
        while not self._outbox.lead():
            if self._stop.is_set():
                return
            if not told:
                logger.warning("another relay serves this database; waiting for its end")
                told = True
            self._progress = self._clock.monotonic()
            self._clock.pause(self._stop, 1.0)
        states = self._outbox.states()
        self._encoders = {}
        self._learn(states)
        self._metrics.leading.set(1)
        self._metrics.up.set(1)
        logger.info("relaying", datasets=sorted(self._encoders))
        self._parking.clear()

    def _relay(self) -> None:
        """Publish what waits and what comes, until told to stop."""
        while not self._stop.is_set():
            try:
                self._catch_up()
                self._follow()
            except _Changed:
                self._parking.clear()  # all that waits is read again, in order

    def _catch_up(self) -> None:
        """Publish, in order of id, what has a number and was never marked."""
        after = 0
        while not self._stop.is_set() and (rows := self._outbox.pending(after, BATCH, CHARACTERS)):
            self._publish_all(rows)
            after = rows[-1].id
        self._due["retry"] = self._clock.monotonic() + _RETRY_PARKED_SECONDS

    def _follow(self) -> None:
        """Number and publish what is committed, until told to stop."""
        pause = SHORTEST_PAUSE
        while not self._stop.is_set():
            active = [dataset for dataset in self._encoders if not self._parking.is_halted(dataset)]
            with self._metrics.step("number"):
                rows = self._outbox.number(active, BATCH, CHARACTERS)
            self._publish_all(rows)
            self._progress = self._clock.monotonic()
            self._keep_house()
            if len(rows) < GATHER:
                pause = SHORTEST_PAUSE if rows else min(2 * pause, LONGEST_PAUSE)
                self._clock.pause(self._stop, pause)

    def _publish_all(self, rows: Sequence[Change]) -> None:
        for changes in runs(rows):
            self._publish(changes)
            self._progress = self._clock.monotonic()

    def _publish(self, changes: Sequence[Change]) -> None:
        """Publish these rows and mark those that were acknowledged. Raises ``TryAgain`` if some were not."""
        with self._metrics.step("encode"):
            sent = list(self._encoded(changes))
        self._require_current()
        if not sent:
            return
        with self._metrics.step("publish"):
            verdicts = self._publisher.publish([record for _, record in sent], waiting=self._patience())
        self._metrics.up.set(1)
        self._metrics.batch.observe(len(sent))
        acknowledged, unknown = self._judge(sent, verdicts)
        if acknowledged:
            with self._metrics.step("mark"):
                self._outbox.mark([change.id for change in acknowledged])
            self._count(acknowledged)
        if unknown:
            raise TryAgain(f"the broker did not acknowledge {unknown} changes ({self._publisher.failure})")

    def _encoded(self, changes: Iterable[Change]) -> Iterable[tuple[Change, Outgoing]]:
        now_ms = self._clock.now_ms()
        for change in changes:
            encoder = self._encoders.get(change.dataset)
            if encoder is None or self._parking.holds(change):
                continue
            try:
                yield change, encoder.encode(change, now_ms=now_ms)
            except CannotEncode as problem:
                self._error(change, problem.rule)
                self._parking.park(change, problem.rule, problem.column)

    def _require_current(self) -> None:
        """Look at once if images have columns that their encoders do not know; nothing of them is sent yet.

        A definition is committed with its triggers, so one that is read after the rows tells: either it has
        the columns, and the rows go out with them (``_Changed``), or the contract has given them up.
        """
        left_out = {
            dataset: sorted(encoder.left_out)
            for dataset, encoder in self._encoders.items()
            if encoder.left_out
        }
        if not left_out:
            return
        for dataset in left_out:
            self._encoders[dataset].left_out.clear()
        states = self._outbox.states()
        wanted = _definitions(states)
        if any(wanted.get(dataset) != self._seen.get(dataset) for dataset in left_out):
            self._look(states)
            raise _Changed
        for dataset, columns in left_out.items():
            if (dataset, *columns) not in self._told:
                self._told.add((dataset, *columns))
                logger.warning(
                    "changes hold columns that are no longer captured; they are published without them",
                    dataset=dataset,
                    columns=columns,
                    next_step="if they should go on: name them in the contract, and run lienthong capture"
                    f" install --snapshot {dataset}",
                )

    def _judge(
        self, sent: Sequence[tuple[Change, Outgoing]], verdicts: Sequence[Verdict]
    ) -> tuple[list[Change], int]:
        """Which changes may be marked, and how many must be published again.

        A change behind an unmarked one of its key is not marked either: all of them are published again, so
        that the last record of a key in the topic is its newest.
        """
        acknowledged, unknown, stalled = [], 0, set()
        for (change, record), verdict in zip(sent, verdicts, strict=True):
            if verdict is Verdict.ACKNOWLEDGED and (change.dataset, change.key) not in stalled:
                acknowledged.append(change)
                continue
            stalled.add((change.dataset, change.key))
            if verdict is Verdict.TOO_LARGE:
                self._error(change, "record_too_large")
                self._parking.park(change, "record_too_large", f"{len(record.value)} bytes")
            elif self._parking.holds(change):
                continue
            elif verdict is Verdict.UNKNOWN:
                self._error(change, self._publisher.failure)
                unknown += 1
        return acknowledged, unknown

    def _count(self, acknowledged: Iterable[Change]) -> None:
        now_ms = self._clock.now_ms()
        for change in acknowledged:
            labels = change.dataset.split("/", 1)
            self._metrics.published.labels(*labels, change.op).inc()
            self._metrics.delay.labels(*labels).observe(max(0, now_ms - change.changed_ms) / 1000)

    def _error(self, change: Change, reason: str) -> None:
        self._metrics.errors.labels(*change.dataset.split("/", 1), reason).inc()

    def _keep_house(self) -> None:
        """What is done now and then: look at the outbox, prune it, try parked changes again."""
        now = self._clock.monotonic()
        if now >= self._due["look"]:
            self._due["look"] = now + _LOOK_SECONDS
            self._look(self._outbox.states())
        if now >= self._due["prune"]:
            full = self._outbox.prune(self._options.keep_days, _PRUNE_ROWS) == _PRUNE_ROWS
            self._due["prune"] = now + (1.0 if full else _PRUNE_SECONDS)
        if now >= self._due["retry"]:
            self._due["retry"] = now + _RETRY_PARKED_SECONDS
            if self._parking.clear():
                self._catch_up()

    def _look(self, states: Sequence[State]) -> None:
        """Tell the metrics, and notice what was installed or taken away since."""
        self._metrics.observe(states)
        for dataset in self._encoders:
            self._metrics.parked.labels(*dataset.split("/", 1)).set(self._parking.rows[dataset])
        for state in states:
            if state.captured and not state.in_place:
                logger.error(
                    "triggers are gone or disabled: changes are being missed",
                    dataset=state.capture.dataset,
                    next_step="run: lienthong capture install --snapshot",
                )
        wanted = _definitions(states)
        if wanted != self._seen:
            before = self._encoders.keys()
            # What was not touched goes on. An old encoder would leave out what new triggers capture.
            self._encoders = {
                dataset: encoder
                for dataset, encoder in self._encoders.items()
                if wanted.get(dataset) == self._seen.get(dataset)
            }
            try:
                self._learn(states)
            except TryAgain:
                raise
            except LienthongError as problem:
                logger.error("not relayed", why=problem.message, next_step=problem.next_step)
            if self._encoders.keys() - before:
                # What was numbered while it could not be encoded goes out before later rows of its keys.
                self._parking.clear()
                self._catch_up()

    def _learn(self, states: Sequence[State]) -> None:
        """Prepare encoders. A dataset that gets none is tried again at the next look."""
        try:
            prepared = self._prepare(self._outbox, states)
            self._number_above(
                {one: encoder.topic for one, encoder in prepared.items() if one not in self._encoders}, states
            )
            self._encoders = {**self._encoders, **prepared}
        finally:
            wanted = _definitions(states).items()
            self._seen = {dataset: one for dataset, one in wanted if dataset in self._encoders}

    def _number_above(self, topics: Mapping[str, str], states: Sequence[State]) -> None:
        """Give no number that a topic has already.

        An outbox that was restored from a backup, or made anew, would do so. To the national store that is a
        change it has, or an older one: it would be answered "applied" or "stale", and never be there.

        Args:
            topics: by dataset.
            states: of all datasets.
        """
        if not topics:
            return
        highest = self._publisher.highest(topics.values())
        for state in states:
            dataset = state.capture.dataset
            last = highest.get(topics.get(dataset, ""), 0)
            if last >= state.next_seq:
                self._outbox.number_above(dataset, last)
                logger.error(
                    "the outbox counts behind its topic: it was restored from a backup, or made anew; numbers"
                    " go on above the topic's",
                    dataset=dataset,
                    next_seq=state.next_seq,
                    topic_has=last,
                    next_step=f"run: lienthong capture snapshot {dataset}; then have the province run:"
                    f" lienthong reconcile run {dataset} (runbook LienthongNumbersMissing)",
                )

    def _wait(self, problem: TryAgain) -> None:
        """Say what is away, and wait; end the process if it has been away too long."""
        self._failures = self._failures + 1 if self._progress <= self._failed_at else 1
        self._failed_at = self._clock.monotonic()
        self._metrics.up.set(0)
        self._metrics.leading.set(0)
        self._metrics.waits.inc()
        self._publisher.abandon()
        self._outbox.close()
        stalled = self._failed_at - self._progress
        if stalled >= self._options.stall_seconds:
            raise TryAgain(
                f"no progress for {stalled:.0f} s: {problem.message}", next_step=problem.next_step
            ) from problem
        seconds = min(_FIRST_WAIT * 2 ** (self._failures - 1), _LONGEST_WAIT)
        logger.warning(
            "waiting",
            why=problem.message,
            next_step=problem.next_step,
            seconds=seconds,
            stalled=round(stalled),
        )
        self._clock.pause(self._stop, seconds)

    def _patience(self) -> Callable[[], None]:
        """To be called each second while the broker owes answers to one batch."""
        seconds = 0

        def one_more() -> None:
            nonlocal seconds
            seconds += 1
            if self._stop.is_set() and seconds >= _LAST_WORDS_SECONDS:
                raise _Stopped
            # Whoever leads after us must not find our records behind its own.
            self._outbox.still_leads()
            if seconds >= 2:
                self._metrics.up.set(0)
            if seconds in (3, 10, 30):
                logger.warning("the broker does not acknowledge", seconds=seconds)

        return one_more


def _definitions(states: Iterable[State]) -> dict[str, str]:
    return {state.capture.dataset: state.capture.to_json() for state in states if state.captured}
