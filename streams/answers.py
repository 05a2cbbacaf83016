"""Publishes receipts and rejects from the store's outboxes to ``receipts.*`` and ``rejected.*``.

They were written in the same transaction as the rows and the ledger, so an answer is never wrong and
never missing; it may be published twice after a crash. Several workers share the work: the store hands
each row to one of them at a time, and only to those whose library has its system: while workers are
restarted one by one, the older ones do not know of a new system's topics.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import structlog

from consumers.preparing import NOBODY
from consumers.receipts import ReceiptRow, RejectRow
from consumers.store import NationalStore
from schemas.codec import encode_row
from schemas.errors import TryAgain
from schemas.library import Library
from schemas.reasons import reason
from schemas.registry import RECEIPT_SUBJECT, REJECT_SUBJECT, RegisteredSchema
from streams.metrics import RoadMetrics
from streams.publisher import Outgoing, Publisher, publish_from_thread
from streams.threads import in_thread

logger = structlog.get_logger(__name__)

POLL_SECONDS = 0.25
TROUBLE_SECONDS = 2.0
AT_ONCE = 500
MAX_ANSWER_BYTES = 850_000  # what is larger stays in the store's lienthong_reject only


class AnswersPublisher:
    """One for a worker; its two loops run on the main loop, the store's calls in threads."""

    def __init__(
        self,
        *,
        store: NationalStore,
        library: Library,
        publisher: Publisher,
        metrics: RoadMetrics,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._metrics = metrics
        self._executor = executor
        self._stop_the_line = stop_the_line
        self._receipt_schema = library.registry.current(RECEIPT_SUBJECT)
        self._reject_schema = library.registry.current(REJECT_SUBJECT)
        self._systems = {contract.system for contract in library.contracts.values()} | {NOBODY}
        self._looked = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start both loops."""
        loop = self._on = asyncio.get_running_loop()
        receipts = self._loop("receipts", self._publish_receipts)
        rejects = self._loop("rejects", self._publish_rejects)
        self._tasks = [loop.create_task(receipts), loop.create_task(rejects)]

    async def stop(self) -> None:
        """Stop at once; what was not marked is published again by the next worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _loop(self, kind: str, publish: Callable[[], int]) -> None:
        trouble = ""
        while True:
            try:
                done = await in_thread(self._executor, publish)
                self._metrics.answers.labels(kind).inc(done)
                trouble = ""
            except (TryAgain, TimeoutError) as error:
                text = str(error) or "the broker did not acknowledge in time"
                if text != trouble:
                    logger.warning("answers wait", kind=kind, why=text)
                trouble, done = text, 0
                await asyncio.sleep(TROUBLE_SECONDS)
            except Exception as error:
                self._stop_the_line(error)
                return
            if done < AT_ONCE:
                await asyncio.sleep(POLL_SECONDS)

    # --- in a store thread ---------------------------------------------------------------------------

    def _publish_receipts(self) -> int:
        self._warn()
        return self._store.publish_receipts(self._systems, AT_ONCE, self._send_receipts)

    def _publish_rejects(self) -> int:
        return self._store.publish_rejects(self._systems, AT_ONCE, self._send_rejects)

    def _warn(self) -> None:
        """Tell once, at the start, that answers wait for a worker with another library.

        Not whose: the name may be what a stranger wrote into a record.
        """
        if self._looked:
            return
        if unknown := self._store.unpublished() - self._systems:
            logger.warning(
                "answers of systems without a contract here wait in the store", systems=len(unknown)
            )
        self._looked = True

    def _send_receipts(self, rows: Sequence[ReceiptRow]) -> None:
        # Nobody reads those of no system: marked, they do not stand before the others at each look.
        known = [row for row in rows if row.system != NOBODY]
        self._send([(f"receipts.{row.system}", self._receipt(row)) for row in known])

    def _send_rejects(self, rows: Sequence[RejectRow]) -> None:
        self._send([(f"rejected.{row.reject.system}", self._reject(row)) for row in rows])

    def _send(self, answers: Sequence[tuple[str, Outgoing]]) -> None:
        by_topic: dict[str, list[Outgoing]] = {}
        for topic, outgoing in answers:
            by_topic.setdefault(topic, []).append(outgoing)
        publish_from_thread(self._publisher, by_topic, self._on)

    def _receipt(self, row: ReceiptRow) -> Outgoing:
        fields: dict[str, Any] = {
            "system": row.system,
            "dataset": row.dataset,
            "format": row.format,
            "outcome": row.outcome,
            "seqs": row.seqs,
            "first_seq": row.first_seq,
            "last_seq": row.last_seq,
            "how_many": row.how_many,
            **_why(row.rule, row.field),
            "at_ms": int(row.at.timestamp() * 1000),
        }
        return _outgoing(row.dataset, fields, self._receipt_schema)

    def _reject(self, row: RejectRow) -> Outgoing:
        reject = row.reject
        original, key, source_key, detail = reject.original, reject.key, reject.source_key, reject.detail
        size = len(original or b"") + len(key or b"") + len((source_key or "").encode())
        if size > MAX_ANSWER_BYTES:
            detail = f"{detail}; {size} bytes kept in lienthong_reject {row.id} only".lstrip("; ")
            original = key = source_key = None
        fields: dict[str, Any] = {
            "system": reject.system,
            "dataset": reject.dataset,
            "seq": reject.seq,
            "source_key": source_key,
            "topic": reject.topic,
            "partition": reject.partition,
            "offset": reject.offset,
            **_why(reject.rule, reject.field),
            "detail": detail,
            "key": key,
            "original": original,
            "at_ms": int(row.at.timestamp() * 1000),
        }
        return _outgoing(reject.dataset, fields, self._reject_schema)


def _why(rule: str, field: str) -> dict[str, str | None]:
    if not rule:
        return {"rule": None, "field": None, "reason_vi": None, "reason_en": None}
    return {
        "rule": rule,
        "field": field or None,
        "reason_vi": reason(rule, field, "vi"),
        "reason_en": reason(rule, field, "en"),
    }


def _outgoing(dataset: str, fields: Mapping[str, Any], registered: RegisteredSchema) -> Outgoing:
    headers = [("schema-sha256", registered.sha256.encode())]
    return Outgoing(key=dataset.encode(), value=encode_row(fields, registered), headers=headers)
