"""The sync hop: national records into the national-format store.

Rows, receipts, rejects and the ledger's step are one transaction of the store, so a record is applied
exactly once in effect, however often it is delivered.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from consumers.preparing import NOBODY, WHOSE, by_dataset
from consumers.receipts import Reject
from consumers.repairs import RepairStore
from consumers.store import Applied, OriginalOf, Prepared, SyncBatch
from schemas.codec import decode
from schemas.contracts import Promise
from schemas.formats import NationalFormat
from schemas.library import Library
from streams.batch import Batch, Record, fingerprint_header, header, slices_of
from streams.metrics import RoadMetrics
from streams.threads import in_thread

Milliseconds = npt.NDArray[np.int64]  # since 1970


@dataclass(slots=True, kw_only=True)
class Load:
    """A lot, ready for the store."""

    format: NationalFormat
    prepared: Prepared
    committed: Mapping[tuple[str, str], Milliseconds]  #: system, dataset -> when its changes were made


class SyncHop:
    """One for a worker; serves every national format that a contract targets."""

    name = "sync"

    def __init__(
        self,
        *,
        library: Library,
        store: RepairStore,
        deployment: str,
        metrics: RoadMetrics,
        executor: Executor,
    ) -> None:
        self._registry = library.registry
        self._store = store
        self._deployment = deployment
        self._metrics = metrics
        self._executor = executor
        contracts = library.contracts.values()
        self._promises = {(contract.system, contract.dataset): contract.promise for contract in contracts}
        wanted = {target.format for contract in contracts for target in contract.targets}
        self._formats = {library.formats[full_id].topic: library.formats[full_id] for full_id in wanted}

    @property
    def topics(self) -> list[str]:
        """The national topics of all formats in use."""
        return sorted(self._formats)

    @property
    def known(self) -> list[int]:
        """The ids of all schemas that its topics' records may have, as far as the library knows."""
        subjects = {national.subject for national in self._formats.values()}
        return [one.id for subject in sorted(subjects) for one in self._registry.versions(subject)]

    async def begin(self, batches: Sequence[Batch]) -> None:
        """Nothing: to prepare a lot needs no service."""

    def prepare(self, lot: Sequence[Batch]) -> Load:
        """Decode a lot of one topic and choose what the store must see."""
        topic = lot[0].position.topic
        national = self._formats[topic]
        records = [(batch.position.partition, record) for batch in lot for record in batch.records]
        decoded = decode(
            [record.value for _, record in records],
            registry=self._registry,
            subject=national.subject,
            fingerprints=[header(record, "schema-sha256") for _, record in records],
        )
        rejects = [
            _reject(topic, records[fault.row][0], records[fault.row][1], fault.rule, fault.detail)
            for fault in decoded.faults
        ]
        rows = self._rows(national, [frame for _, frame in decoded.groups], records)
        batch = SyncBatch(
            format=national,
            topic=topic,
            slices=slices_of(lot),
            rows=rows,
            rejects=rejects,
            original_of=_finder(records),
        )
        return Load(
            format=national,
            prepared=self._store.prepare(batch),
            committed=_committed(rows),
        )

    @staticmethod
    def _rows(
        national: NationalFormat, frames: Sequence[pl.DataFrame], records: Sequence[tuple[int, Record]]
    ) -> pl.DataFrame:
        names = [column["name"] for column in national.wire_schema["fields"]]
        where = pl.DataFrame(
            [
                pl.Series("__partition", [partition for partition, _ in records], pl.Int32),
                pl.Series("__offset", [record.offset for _, record in records], pl.Int64),
            ]
        )
        frame = pl.concat([_with_all(f, names) for f in frames]) if frames else None
        if frame is None:
            text = dict.fromkeys(names, pl.String)
            frame = pl.DataFrame(
                schema={
                    "__row": pl.UInt32,
                    **text,
                    "lt_seq": pl.Int64,
                    "lt_committed_ms": pl.Int64,
                    "lt_answers": pl.Boolean,
                }
            )
        if len(frames) > 1:
            frame = frame.sort("__row", maintain_order=True)
        if frame.height != where.height:
            where = where[frame["__row"]]
        return frame[names].hstack(where)

    async def commit(self, prepared: Load) -> None:
        """Apply the lot in one transaction."""
        applied = await in_thread(
            self._executor, lambda: self._store.apply(prepared.prepared, self._deployment)
        )
        self._count(prepared, applied)

    def _count(self, prepared: Load, applied: Applied) -> None:
        metrics, name = self._metrics, prepared.format.full_id
        metrics.applied.labels(name).inc(applied.applied)
        metrics.stale.labels(name).inc(applied.stale)
        metrics.duplicate.labels(name).inc(applied.duplicate)
        for reject in (*prepared.prepared.rejects, *applied.rejected):
            whose = self._whose((reject.system, reject.dataset), name)
            metrics.rejected.labels(*whose, reject.rule).inc()
        now = time.time()
        for told, moments in prepared.committed.items():
            whose = self._whose(told, name)
            promise = self._promises.get(whose, Promise())
            metrics.in_store(whose, name, np.maximum(now - moments / 1000, 0), promise)

    def _whose(self, told: tuple[str, str], full_id: str) -> tuple[str, str]:
        """System and dataset as labels: a record's writer chooses the text, and it may name a person."""
        return told if told in self._promises else (NOBODY, full_id)


def _committed(rows: pl.DataFrame) -> dict[tuple[str, str], Milliseconds]:
    """Made here, in the thread that prepares: the event loop must not wait for a query of Polars."""
    changes = rows[[*WHOSE, "lt_committed_ms"]]
    if any(column.null_count() for column in changes):
        changes = changes.drop_nulls()
    return {whose: mine.to_numpy() for whose, mine in by_dataset(changes, "lt_committed_ms").items()}


def _with_all(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """These columns; a field that the format has gained since the record was written is missing in it."""
    there = set(frame.columns)
    missing = [pl.Series(name, [None], pl.String) for name in names if name not in there]
    return frame.hstack([one.new_from_index(0, frame.height) for one in missing])[["__row", *names]]


def _finder(records: Sequence[tuple[int, Record]]) -> OriginalOf:
    """Looks a record up by partition and offset; the index is made only if anything is rejected."""

    @cache
    def index() -> dict[tuple[int, int], Record]:
        return {(partition, record.offset): record for partition, record in records}

    def original_of(partition: int, offset: int) -> tuple[bytes | None, bytes | None]:
        record = index()[partition, offset]
        return record.key, record.value

    return original_of


def _reject(topic: str, partition: int, record: Record, rule: str, detail: str) -> Reject:
    return Reject(
        system=NOBODY,
        dataset=topic.removeprefix("national."),
        seq=None,
        source_key=None,
        topic=topic,
        partition=partition,
        offset=record.offset,
        rule=rule,
        field="",
        detail=detail,
        key=record.key,
        original=record.value,
        fingerprint=fingerprint_header(record),
    )
