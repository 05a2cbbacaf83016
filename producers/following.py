"""Follows the receipts of this agency's systems into its own database; see ``producers.answers``."""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from producers.answers import Answer, AnswerBook
from producers.publisher import require_listener
from producers.settings import RelaySettings
from schemas.codec import decode
from schemas.errors import LienthongError, TryAgain
from schemas.hearing import Hearing
from schemas.registry import RECEIPT_SUBJECT, FileRegistry

logger = structlog.get_logger(__name__)

AT_ONCE = 500
POLL_MS = 1_000
ANSWER_MS = 10_000
TROUBLE_SECONDS = 2.0
PRUNE_SECONDS = 3_600.0


class Follower:
    """One for an agency's database.

    Args:
        book: where answers are kept.
        datasets: ids of what is captured here. All answers of their systems are kept, for a dataset that is
            installed later is answered before anybody starts this again; ``prune`` forgets those of no use.
        settings: broker, days to keep, language of reasons.
        registry: knows the receipts' schema.
    """

    def __init__(
        self, book: AnswerBook, datasets: Sequence[str], settings: RelaySettings, registry: FileRegistry
    ) -> None:
        self._book = book
        self._systems = sorted({dataset.partition("/")[0] for dataset in datasets})
        self._settings = settings
        self._registry = registry
        self._pruned = 0.0
        self.told = 0  #: numbers answered since the start, captured here or not

    def run(self, stop: Event, *, until_end: bool = False) -> None:
        """Follow until ``stop`` is set; with ``until_end`` until the topics' present ends.

        Goes on by itself after the broker or the database was away. Raises ``LienthongError`` if a topic or
        the outbox is missing, and with ``until_end`` ``TryAgain`` as well.
        """
        trouble = ""
        while not stop.is_set():
            try:
                self._follow(stop, until_end)
                return
            except TryAgain as error:
                if until_end:
                    raise
                if error.message != trouble:
                    logger.warning("waiting", why=error.message, next_step=error.next_step)
                trouble = error.message
                self._book.close()
                stop.wait(TROUBLE_SECONDS)

    def _follow(self, stop: Event, until_end: bool) -> None:
        self._book.create()
        require_listener(self._settings.broker)
        try:
            with closing(self._consumer()) as consumer:
                parts = list(self._partitions(consumer))
                consumer.assign(parts)
                for part in parts:
                    consumer.seek(part, self._book.place(_name(part)))
                ends = _ends(consumer)
                hearing: Hearing[TopicPartition] = Hearing(time.monotonic())
                while not stop.is_set():
                    places = _places(consumer)
                    if until_end and all(places[part] >= end for part, end in ends.items()):
                        return
                    polled = consumer.poll(timeout_ms=POLL_MS, max_records=AT_ONCE)
                    for part, records in polled.items():
                        self._take(part, records)
                    hearing.heard(time.monotonic(), polled, AT_ONCE)
                    if hearing.deaf(time.monotonic(), lambda: _places(consumer), lambda: _ends(consumer)):
                        raise TryAgain(
                            "receipts wait, but the connection to the broker brings none; connecting anew"
                        )
                    self._prune(stop)
        except KafkaError as error:
            raise TryAgain(f"the broker cannot be used: {type(error).__name__}") from error

    def _consumer(self) -> Any:
        return KafkaConsumer(
            bootstrap_servers=self._settings.broker.split(","),
            client_id="lienthong-follow",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            reconnect_backoff_max_ms=2_000,
        )

    def _partitions(self, consumer: Any) -> Iterable[TopicPartition]:
        for system in self._systems:
            topic = f"receipts.{system}"
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise LienthongError(
                    f"the topic {topic} does not exist", next_step="have it made: lienthong road topics"
                )
            yield from (TopicPartition(topic, number) for number in sorted(numbers))

    def _take(self, part: TopicPartition, records: Sequence[Any]) -> None:
        decoded = decode(
            [record.value for record in records], registry=self._registry, subject=RECEIPT_SUBJECT
        )
        if decoded.faults:
            # Answers can be read again from the store; to stand still would keep all later ones back.
            logger.error("receipts cannot be read", topic=part.topic, receipts=len(decoded.faults))
        rows = [row for _, frame in decoded.groups for row in frame.sort("__row").iter_rows(named=True)]
        answers = [self._answer(row) for row in rows]
        for one in answers:
            if one.outcome in ("paused", "resumed"):
                logger.warning("the province tells of a source", source=one.dataset, why=one.reason)
        self.told += self._book.take(_name(part), records[-1].offset + 1, answers)

    def _answer(self, row: dict[str, Any]) -> Answer:
        return Answer(
            dataset=f"{row['system']}/{row['dataset']}",
            format=row["format"],
            outcome=row["outcome"],
            seqs=row["seqs"],
            reason=row[f"reason_{self._settings.language}"],
            at=datetime.fromtimestamp(row["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds"),
        )

    def _prune(self, stop: Event) -> None:
        if time.monotonic() - self._pruned > PRUNE_SECONDS:
            before = datetime.now(UTC) - timedelta(days=self._settings.keep_days)
            self._book.prune(before.isoformat(timespec="milliseconds"), stop)
            self._pruned = time.monotonic()


def _ends(consumer: Any) -> dict[TopicPartition, int]:
    ends: dict[TopicPartition, int] = consumer.end_offsets(consumer.assignment(), timeout_ms=ANSWER_MS)
    return ends


def _places(consumer: Any) -> dict[TopicPartition, int]:
    return {part: consumer.position(part, timeout_ms=ANSWER_MS) for part in consumer.assignment()}


def _name(part: TopicPartition) -> str:
    return f"{part.topic}-{part.partition}"
