"""The national-sync consumer: what a ministry's integration team reads a national format with.

    with NationalConsumer("hotich.khaisinh.v1", broker="kafka:9092", group="ministry") as consumer:
        for batch in consumer.batches():
            save(batch.records)

What the caller can rely on:

- Offsets are committed when the loop asks for the next batch, or by ``batch.commit()``; never before.
  If the caller raises (or leaves the loop), that batch is not committed and comes again: at least once.
- Within a batch a key comes once, in its newest version; but one that passes to another source record
  comes with each step of that, in order: the delete that frees it, the record that takes it over, and
  that one's delete if it is gone again, too. Across batches older and repeated versions are kept back for
  the last ``remember_keys`` keys that this process has handed over. After a restart, for a partition that
  comes from another member, or for a key that long nothing was heard of, that memory is empty: then an
  older version may come once more. To gate for ever, keep ``system``, ``dataset``, ``source_key``, ``seq``
  and ``deleted`` beside your row and let a record in only if

  * there is no row for its ``key``; or
  * the row has the same system, dataset and source key, and a smaller ``seq``; or
  * the row is deleted, has the same system and dataset, and a smaller ``seq``, and the record is no delete.

- A record that cannot be read, or whose key another living record holds, never stops the others: it is
  written to the park file (``consumers.park``), on disk before its offset is committed.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consumers.gate import NewestOnly
from consumers.metrics import ConsumeMetrics
from consumers.park import Park, ParkedRecord
from consumers.records import UNREADABLE, NationalRecord, Unreadable, read_records
from consumers.topic_reader import Fetched, TopicReader
from schemas.codec import decode
from schemas.documents import suggestion
from schemas.errors import LienthongError, SettingsError
from schemas.formats import NationalFormat
from schemas.library import Library, load_library
from schemas.reasons import Language, reason

logger = logging.getLogger(__name__)

KEY_TAKEN = "national_key_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalBatch:
    """Records of one fetch. An empty one says that nothing came for ``timeout_seconds``."""

    records: tuple[NationalRecord, ...]
    stale: int  #: older and repeated versions that were kept back
    parked: tuple[ParkedRecord, ...]  #: not for the caller; on disk once the batch is committed
    #: what of each partition was read: the first offset, and the offset to go on from
    offsets: Mapping[int, tuple[int, int]]
    _finish: Callable[["NationalBatch"], bool] = field(repr=False)

    def commit(self) -> bool:
        """Say that the work on this batch is done. Called by the loop itself when it goes on.

        True: parked records are on disk and the group's offsets stand behind this batch. False: the
        offsets could not be committed now, and the batch may come again, here or at another member.
        Called again, or when the batch is no longer in hand, it only tells whether they stand behind it by
        now. Raises ``TryAgain`` if the park file cannot be written.
        """
        return self._finish(self)


class NationalConsumer:
    """Reads one national format, typed, in batches. Not thread-safe, except ``stop``."""

    def __init__(
        self,
        topic: str,
        *,
        broker: str,
        group: str | None = None,
        library: Library | None = None,
        from_start: bool = False,
        park: Path | None = None,
        remember_keys: int = 100_000,
        longest_work_seconds: float = 300.0,
        language: Language = "vi",
        metrics: ConsumeMetrics | None = None,
        kafka_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Name what to read; nothing is opened before ``with``.

        ``topic``: a format (``hotich.khaisinh.v1``) or its topic (``national.hotich.khaisinh.v1``).
        ``broker``: bootstrap servers, separated by commas.
        ``group``: the members of one group share the partitions and go on where the group stopped; a new
        group begins at the log's start. None only looks: all partitions from the start, nothing committed.
        ``from_start``: the group reads everything again.
        ``park``: the park file; ``<topic>.park.jsonl`` in the working folder if not given. Each look without
        a group parks again what it meets: a line is one by topic, partition and offset.
        ``remember_keys``: bound of the newest-only memory, about 300 bytes each.
        ``longest_work_seconds``: a caller that works longer on one batch loses its partitions.
        ``kafka_options``: passed to kafka-python, for TLS and SASL.

        Raises ``SettingsError`` for an unknown format, and for a group without a name.
        """
        if group is not None and not group.strip():
            raise SettingsError(
                "the consumer group has no name",
                next_step="name it with --group, or leave --group out to look only",
            )
        self._library = library if library is not None else load_library()
        self.format = find_format(self._library, topic)
        self._gate = NewestOnly(remember_keys)
        self.park = Park(park if park is not None else Path(f"{self.format.topic}.park.jsonl"))
        self._language = language
        self._metrics = metrics
        self._stopped = False
        self._reader: TopicReader | None = None
        self._in_hand: NationalBatch | None = None
        self._names = tuple(one.name for one in self.format.fields)
        self._open = partial(
            TopicReader,
            self.format.topic,
            brokers=broker,
            group=group,
            from_start=from_start,
            longest_work_seconds=longest_work_seconds,
            options=kafka_options or {},
        )

    def __enter__(self) -> Self:
        """Connect. Raises ``TryAgain`` if no broker answers, ``LienthongError`` if the topic is missing."""
        self._reader = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group. The batch in hand is not committed."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def stop(self) -> None:
        """End the loop after the batch in hand, committing it. Any thread or signal handler may call it."""
        self._stopped = True  # no Event: a signal handler must not ask for a lock

    def batches(
        self,
        max_records: int = 500,
        timeout_seconds: float = 1.0,
        *,
        until_end: bool = False,
        at_most: int | None = None,
    ) -> Iterator[NationalBatch]:
        """Batches of at most ``max_records``, for ever; unless ``stop`` is called, or

        ``until_end``: everything was read up to where the topic ended when we began; or
        ``at_most``: so many records were handed over.

        Raises ``StopTheLine`` when going on would lose records (retention has passed the group by).
        """
        reader = self._reader
        if reader is None:
            raise LienthongError(
                "the national-sync consumer is not open", next_step="use it in a with statement"
            )
        self._rewind(reader)
        wanted = at_most if at_most is not None else sys.maxsize
        while wanted and not self._stopped:
            batch = self._batch(reader.fetch(min(max_records, wanted), timeout_seconds), reader)
            if until_end and not batch.offsets and reader.at_end():
                return
            self._in_hand = batch
            wanted -= len(batch.records)
            began = time.perf_counter()
            yield batch
            if self._metrics is not None:
                self._metrics.worked(self.format.topic, time.perf_counter() - began)
            batch.commit()
            if until_end and reader.at_end():
                return

    def _rewind(self, reader: TopicReader) -> None:
        """A batch whose work did not end comes again."""
        batch, self._in_hand = self._in_hand, None
        if batch is not None:
            reader.rewind({partition: start for partition, (start, _) in batch.offsets.items()})

    def _batch(self, fetched: list[Fetched], reader: TopicReader) -> NationalBatch:
        self._gate.forget(reader.take_lost())
        raw = [record for part in fetched for record in part.records]
        records, parked = self._read(raw)
        admitted = self._gate.admit(records)
        originals = {(record.partition, record.offset): record for record in raw} if admitted.taken else {}
        for record in admitted.taken:
            where = f"seq {record.seq} of {record.system}/{record.dataset}"
            original = originals[record.partition, record.offset]
            parked.append(self._parked(original, KEY_TAKEN, where))
        return NationalBatch(
            records=admitted.newest,
            stale=admitted.stale,
            parked=tuple(sorted(parked, key=lambda one: (one.partition, one.offset))),
            offsets={part.partition: (part.start, part.next) for part in fetched},
            _finish=partial(self._finish, reader),
        )

    def _read(self, raw: list[Any]) -> tuple[list[NationalRecord], list[ParkedRecord]]:
        """Decode a fetch: its records in the order of their positions, and what could not be read."""
        if not raw:
            return [], []
        decoded = decode(
            [record.value for record in raw],
            registry=self._library.registry,
            subject=self.format.subject,
            fingerprints=[dict(record.headers).get("schema-sha256") for record in raw],
        )
        parked = [self._parked(raw[fault.row], fault.rule, fault.detail) for fault in decoded.faults]
        positions = [(record.partition, record.offset) for record in raw]
        records: list[NationalRecord] = []
        for _, frame in decoded.groups:
            for found in read_records(frame, self._names, positions):
                if isinstance(found, Unreadable):
                    parked.append(self._parked(raw[found.row], UNREADABLE, found.detail))
                else:
                    records.append(found)
        records.sort(key=lambda record: (record.partition, record.offset))
        return records, parked

    def _parked(self, original: Any, rule: str, detail: str) -> ParkedRecord:
        return ParkedRecord(
            topic=self.format.topic,
            partition=original.partition,
            offset=original.offset,
            rule=rule,
            detail=detail,
            reason=reason(rule, "", self._language),
            key=original.key,
            value=original.value,
        )

    def _finish(self, reader: TopicReader, batch: NationalBatch) -> bool:
        following = {partition: end for partition, (_, end) in batch.offsets.items()}
        if batch is not self._in_hand or reader is not self._reader:
            return reader.stands_behind(following)  # finished already, or given up
        self.park.write(batch.parked)
        for one in batch.parked:
            logger.warning(
                "Parked %s-%d offset %d (%s: %s) in %s",
                one.topic,
                one.partition,
                one.offset,
                one.rule,
                one.detail,
                self.park.path,
                extra={"action": "record_parked"},
            )
        # From here the caller's work counts as done, whatever Kafka says: if these records come again,
        # the gate keeps them back.
        self._gate.learn(batch.records)
        self._in_hand = None
        committed = reader.commit(following)
        if self._metrics is not None:
            self._metrics.finished(
                self.format.topic,
                delivered=len(batch.records),
                stale=batch.stale,
                parked_by_rule=[one.rule for one in batch.parked],
                committed=committed if batch.offsets else None,
                lag=reader.lag(),
            )
        return committed


def find_format(library: Library, name: str) -> NationalFormat:
    """The format that ``name`` means: ``hotich.khaisinh.v1`` or ``national.hotich.khaisinh.v1``.

    Raises ``SettingsError`` with the names that come close.
    """
    found = library.formats.get(name.removeprefix("national."))
    if found is None:
        close = suggestion(name, [f"national.{full_id}" for full_id in sorted(library.formats)])
        raise SettingsError(
            f"no national format is called {name}",
            next_step=f"{close}; or add the folder that holds it to LIENTHONG_CONTRACTS",
        )
    return found
