"""The translate hop: changes of one dataset to national records, or of a national format back, by contract.

Order of things, so that a crash at any point loses nothing: note the keys that refused updates may have
left (a later version must find them); publish to the national topics and wait
for every acknowledgement; then one transaction of the store takes the rejects, the changes that wait behind
them, their receipts and the ledger's step. A crash in between publishes the same records again; the version
gate makes that harmless.
"""

import time
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import repeat

import numpy as np
import polars as pl
import structlog

from consumers.preparing import NAME_CHARACTERS, NOBODY, WHOSE, is_name, receipts_of_numbers
from consumers.receipts import Left, Parked, Receipt, Reject
from consumers.repairs import Mend
from consumers.store import NationalStore, Position
from schemas.codec import decode, encode
from schemas.contracts import Contract
from schemas.library import Library
from schemas.mapping import Translated, Translator
from streams.batch import Batch, Record, fingerprint_header, header, seq_header, slices_of
from streams.breaker import NOTHING_JUDGED, Breakers, Judged, judged
from streams.metrics import RoadMetrics
from streams.parking import Blocks, Head, Placed, behind, block, parked
from streams.publisher import Outgoing, Publisher, publish_all
from streams.threads import in_thread

logger = structlog.get_logger(__name__)

MAX_RECORD_BYTES = 900_000  # key and value; below the broker's default for a message batch
MAX_KEY_CHARACTERS = 600  # of both keys: longer ones may not fit an index, and no register has such keys


@dataclass(slots=True, kw_only=True)
class Translation:
    """A lot, translated; ``published`` remembers what a repeated commit need not do again."""

    contract: Contract
    batches: Sequence[Batch]
    outgoing: dict[str, list[Outgoing]] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)  #: beside ``outgoing``: places among the records
    rejects: list[Reject] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    #: By full id of a format, system and dataset: places among the records and numbers of changes that do not
    #: concern the format.
    passed: dict[tuple[str, str, str], list[tuple[int, int]]] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    judged: Judged = NOTHING_JUDGED
    published: bool = False

    def withdraw(self, records: Sequence[Placed], rows: Container[int]) -> None:
        """Take records out again, whatever became of them: not to be published, nor rejected."""
        for topic, mine in self.rows.items():
            pairs = zip(mine, self.outgoing[topic], strict=True)
            self.outgoing[topic] = [one for row, one in pairs if row not in rows]
            self.rows[topic] = [row for row in mine if row not in rows]
        self.passed = {
            whose: [(row, seq) for row, seq in mine if row not in rows] for whose, mine in self.passed.items()
        }
        places = {(p, record.offset) for row, (p, record) in enumerate(records) if row in rows}
        self.rejects = [one for one in self.rejects if (one.partition, one.offset) not in places]

    @property
    def receipts(self) -> list[Receipt]:
        """What is answered here for good: changes that do not concern a format."""
        return [
            receipt
            for (full_id, system, dataset), mine in self.passed.items()
            if mine
            for receipt in receipts_of_numbers(system, dataset, [seq for _, seq in mine], [full_id], "passed")
        ]


class TranslateHop:
    """Serves some contracts of the library, no two of one topic.

    Args:
        deployment: under which name the ledger knows this reader.
        fingerprints: by contract, see ``schemas.library``.
    """

    name = "translate"

    def __init__(
        self,
        *,
        library: Library,
        contracts: Iterable[Contract],
        store: NationalStore,
        publisher: Publisher,
        deployment: str,
        metrics: RoadMetrics,
        executor: Executor,
        fingerprints: Mapping[str, str],
    ) -> None:
        self._library = library
        self._contracts = {contract.topic: contract for contract in contracts}
        self._fingerprints = {topic: fingerprints[one.id] for topic, one in self._contracts.items()}
        self._store = store
        self._publisher = publisher
        self._deployment = deployment
        self._metrics = metrics
        self._executor = executor
        self._translators = {topic: Translator(c, library) for topic, c in self._contracts.items()}
        self._blocks = Blocks()
        self.breakers: Breakers | None = None

    @property
    def contracts(self) -> list[Contract]:
        """What it serves."""
        return list(self._contracts.values())

    @property
    def topics(self) -> list[str]:
        """What its contracts read."""
        return sorted(self._contracts)

    async def begin(self, batches: Sequence[Batch]) -> None:
        """Learn which records wait in the partitions that were claimed since, of all datasets at once."""
        if new := self._blocks.unknown(batches):
            found = await in_thread(self._executor, lambda: self._store.blocked(self._deployment, list(new)))
            self._blocks.learn(new, found)

    # --- prepare: touches no service ---------------------------------------------------------------

    def prepare(self, lot: Sequence[Batch]) -> Translation:
        """Decode, translate and encode a lot of one topic, but for what waits behind a reject."""
        topic = lot[0].position.topic
        contract = self._contracts[topic]
        out = Translation(contract=contract, batches=lot)
        records = [(batch.position.partition, record) for batch in lot for record in batch.records]
        heads = self._blocks.heads(lot)
        if waiting := behind(records, heads):
            out.parked += [parked(contract, records[row], head) for row, head in waiting.items()]
            records = [placed for row, placed in enumerate(records) if row not in waiting]
        self._translate(contract, records, 0, out)
        if out.rejects:
            block(out.rejects, heads)
            waiting = behind(records, heads)
            self._take_back(contract, records, waiting, out)
            records = [placed for row, placed in enumerate(records) if row not in waiting]
        out.judged = judged(records, out.rejects)
        return out

    def translate(self, topic: str, records: Sequence[Placed]) -> Translation:
        """Translate records of one topic whatever waits; for repairs."""
        out = Translation(contract=self._contracts[topic], batches=())
        if records:
            self._translate(out.contract, records, 0, out)
        return out

    def _take_back(
        self, contract: Contract, records: Sequence[Placed], waiting: Mapping[int, Head], out: Translation
    ) -> None:
        """Park what came behind a reject of its record in the same lot, whatever became of it."""
        if not waiting:
            return
        out.withdraw(records, waiting)
        out.parked += [parked(contract, records[row], head) for row, head in waiting.items()]
        out.parked.sort(key=lambda one: (one.partition, one.offset))

    def _translate(self, contract: Contract, records: Sequence[Placed], first: int, out: Translation) -> None:
        """Translate records, of which the first one has the row ``first``."""
        try:
            self._translate_columns(contract, records, first, out)
        except Exception as error:
            # A record nobody foresaw must not stop the line: halve until it stands alone, then reject it.
            if len(records) == 1:
                partition, record = records[0]
                detail = type(error).__name__
                logger.error(
                    "record not translatable",
                    topic=contract.topic,
                    partition=partition,
                    offset=record.offset,
                    error=detail,
                )
                out.rejects.append(self._reject(contract, partition, record, "unexpected_error", "", detail))
                return
            middle = len(records) // 2
            self._translate(contract, records[:middle], first, out)
            self._translate(contract, records[middle:], first + middle, out)

    def _translate_columns(
        self, contract: Contract, records: Sequence[Placed], first: int, out: Translation
    ) -> None:
        decoded = decode(
            [record.value for _, record in records],
            registry=self._library.registry,
            subject=contract.subject,
            fingerprints=[header(record, "schema-sha256") for _, record in records],
        )
        translator = self._translators[contract.topic]
        frames = [frame for _, frame in decoded.groups]
        if contract.source is None:
            frames = [in_source_order(frame) for frame in frames]
        results = [translator.translate(frame) for frame in frames]
        outgoing, too_large = self._encode(results, "lt_seq" if contract.source is None else "__row")
        left = [
            one
            for frame, result in zip(frames, results, strict=True)
            for one in keys_left(contract, translator, frame, {*result.rejects["__row"], *too_large})
        ]
        for fault in decoded.faults:
            partition, record = records[fault.row]
            out.rejects.append(self._reject(contract, partition, record, fault.rule, "", fault.detail))
        for frame, result in zip(frames, results, strict=True):
            for row, seq, source_key, field_name, rule, system, dataset in result.rejects.iter_rows():
                partition, record = records[row]
                reject = self._reject(
                    contract, partition, record, rule, field_name, "", seq=seq, source_key=source_key
                )
                if not (is_name(system) and is_name(dataset)):  # a national change that nobody made
                    system, dataset = NOBODY, contract.source or contract.dataset
                out.rejects.append(replace(reject, system=system, dataset=dataset))
            for full_id, numbers in result.passed.items():
                for row, seq, *whose in made_by(contract, frame, numbers).drop_nulls().iter_rows():
                    out.passed.setdefault((full_id, *whose), []).append((first + row, seq))
            out.warnings += Counter(result.warnings["rule"].to_list()).items()
        for row in sorted(too_large):
            partition, record = records[row]
            out.rejects.append(self._reject(contract, partition, record, "record_too_large", "", ""))
        out.left += left
        for topic, rows in outgoing.items():
            out.rows.setdefault(topic, []).extend(first + row for row, _ in rows)
            out.outgoing.setdefault(topic, []).extend(one for _, one in rows)

    def _reject(
        self,
        contract: Contract,
        partition: int,
        record: Record,
        rule: str,
        field_name: str,
        detail: str,
        *,
        seq: int | None = None,
        source_key: str | None = None,
    ) -> Reject:
        return Reject(
            system=contract.system,
            dataset=contract.dataset,
            seq=seq if seq is not None else seq_header(record),
            source_key=source_key if source_key is not None else _text(record.key),
            topic=contract.topic,
            partition=partition,
            offset=record.offset,
            rule=rule,
            field=field_name,
            detail=detail,
            key=record.key,
            original=record.value,
            blocks=record.key is not None,
            contract=f"{contract.id}@{contract.version}",
            library=self._fingerprints[contract.topic],
            fingerprint=fingerprint_header(record),
        )

    def _encode(
        self, results: Sequence[Translated], order: str
    ) -> tuple[dict[str, list[tuple[int, Outgoing]]], set[int]]:
        """Records to publish by topic, each with its row, and rows of events that are too large."""
        outgoing: dict[str, list[tuple[int, Outgoing]]] = {}
        for full_id in {full_id for result in results for full_id in result.national}:
            frames = [result.national[full_id] for result in results if full_id in result.national]
            frame = frames[0] if len(frames) == 1 else pl.concat(frames).sort(order, maintain_order=True)
            if not frame.height:
                continue
            national = self._library.formats[full_id]
            registered = self._library.registry.current(national.subject)
            headers = [("schema-sha256", registered.sha256.encode())]
            keys = frame["lt_key"].cast(pl.Binary).to_list()
            values = encode(frame[[name for name in frame.columns if name != "__row"]], registered)
            records = map(Outgoing, keys, values, repeat(headers))
            outgoing[national.topic] = list(zip(frame["__row"].to_list(), records, strict=True))
        too_large = {row for found in outgoing.values() for row, one in found if one.size > MAX_RECORD_BYTES}
        if too_large:
            outgoing = {
                topic: [one for one in found if one[0] not in too_large] for topic, found in outgoing.items()
            }
        return outgoing, too_large

    # --- commit ----------------------------------------------------------------------------------

    async def commit(self, prepared: Translation) -> None:
        """Publish, then settle in the store; see the module's text for why in this order."""
        contract = prepared.contract
        await self.publish(prepared)
        await in_thread(
            self._executor,
            lambda: self._store.settle(
                self._deployment,
                slices_of(prepared.batches),
                rejects=prepared.rejects,
                parked=prepared.parked,
                formats=[target.format for target in contract.targets],
                receipts=prepared.receipts,
            ),
        )
        self._count(prepared)
        if self.breakers is not None:
            await self.breakers.judge(contract, prepared.judged, prepared.rejects)

    async def publish(self, prepared: Translation) -> None:
        """The first half of ``commit``; done once, however often it is called."""
        if prepared.published:
            return
        if prepared.left:
            await in_thread(self._executor, lambda: self._store.note_left(prepared.left))
        started = time.perf_counter()
        await publish_all(self._publisher, prepared.outgoing)
        prepared.published = True
        self._metrics.step(self.name, "publish", time.perf_counter() - started)

    def unblock(self, position: Position, epoch: int, mend: Mend) -> None:
        """Take note of what became of a reject, once it is written."""
        head, again = mend.work.reject, mend.again
        if head.blocks and head.key is not None and (mend.became is not None or again is not None):
            self._blocks.move(position, epoch, head.key, again.offset if again is not None else None)

    def forget(self, position: Position) -> None:
        """Ask the store again what waits in a partition; while nothing of it is in work."""
        self._blocks.forget(position)

    def tell_blocked(self, held: Mapping[Position, int]) -> None:
        """Tell how many records wait in the partitions held, each with its epoch."""
        for topic, contract in self._contracts.items():
            gauge = self._metrics.blocked.labels(contract.system, contract.dataset)
            gauge.set(self._blocks.count(topic, held))

    def fingerprint(self, topic: str) -> str:
        """Of all that the translation of a topic follows."""
        return self._fingerprints[topic]

    def _count(self, prepared: Translation) -> None:
        contract, metrics = prepared.contract, self._metrics
        name = (contract.system, contract.dataset)
        metrics.changes_in.labels(*name).inc(sum(len(batch.records) for batch in prepared.batches))
        topics = {self._library.formats[t.format].topic: t.format for t in contract.targets}
        for topic, records in prepared.outgoing.items():
            metrics.translated.labels(*name, topics[topic]).inc(len(records))
        for rule, count in prepared.warnings:
            metrics.warned.labels(*name, rule).inc(count)
        for reject in prepared.rejects:
            metrics.rejected.labels(*name, reject.rule).inc()
        metrics.parked.labels(*name).inc(len(prepared.parked))


def in_source_order(events: pl.DataFrame) -> pl.DataFrame:
    """The events of a lot by sequence number, if all have one.

    A national key may pass from one source record to another (an entry deleted and typed in again); theirs
    are two partitions, and the delete should be published first; where the two come in different lots, the
    newcomer may be refused and is tried again. Within a key the order is the same anyway.
    """
    numbers = events["source"].struct.unnest()["seq"]
    if numbers.null_count() or numbers.is_sorted():
        return events
    return events[np.argsort(numbers.to_numpy(), kind="stable")]


def made_by(contract: Contract, frame: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Numbers of some changes (``__row``, ``lt_seq``) with the system and the dataset that count them."""
    if contract.source is None:
        return numbers.with_columns(lt_system=pl.lit(contract.system), lt_dataset=pl.lit(contract.dataset))
    told = numbers.join(frame.select("__row", *WHOSE), on="__row", how="left", maintain_order="left")
    return told.filter(pl.col(name).str.len_chars().is_between(1, NAME_CHARACTERS) for name in WHOSE)


def keys_left(
    contract: Contract, translator: Translator, frame: pl.DataFrame, rows: Collection[int]
) -> list[Left]:
    """The national keys that the refused updates of a batch had before: their records may have moved.

    Of a refused row of a snapshot it is the key that it has: the next change, which has it as the key before,
    may be superseded. ``rows``: those that were refused, for whatever reason, and maybe others.
    ``before`` is translated as if it were deleted; one that has no key then never stood in the store.
    """
    if contract.source or not rows:
        return []
    known = pl.when(pl.col("op") == "u").then("before").otherwise("after")
    refused = frame.filter(pl.col("__row").is_in(list(rows)) & pl.col("op").is_in(["u", "r"]))
    refused = refused.with_columns(before=known).filter(pl.col("before").is_not_null())
    if refused.is_empty():
        return []
    deleted = translator.translate(refused.with_columns(op=pl.lit("d")))
    return [
        Left(system=contract.system, dataset=contract.dataset, source_key=source_key, format=full_id, key=key)
        for full_id, national in deleted.national.items()
        for source_key, key in national.select("lt_source_key", "lt_key").iter_rows()
        if len(key) + len(source_key) < MAX_KEY_CHARACTERS
    ]


def _text(key: bytes | None) -> str | None:
    return key.decode("utf-8", "replace") if key is not None else None
