"""The sync hop and records of a schema that its library does not know yet."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from consumers.preparing import NOBODY
from consumers.receipts import RejectRow
from consumers.store import Position
from schemas.codec import encode_row
from schemas.registry import FileRegistry, RegisteredSchema, UnknownSchema
from streams.batch import Batch
from streams.claims import Claims
from streams.metrics import RoadMetrics
from streams.sync import SyncHop
from streams.unread import Unread
from tests.hop_lab import DATASET, FORMAT, ROAD, SYSTEM, Event, HopLab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HopLab]:
    made = HopLab(tmp_path)
    yield made
    made.close()


@dataclass
class Older:
    """A registry from before a schema was registered."""

    newer: FileRegistry
    lacks: int

    def schema(self, schema_id: int) -> RegisteredSchema:
        if schema_id == self.lacks:
            raise UnknownSchema("not known yet")
        return self.newer.schema(schema_id)

    def versions(self, subject: str) -> Sequence[RegisteredSchema]:
        return [one for one in self.newer.versions(subject) if one.id != self.lacks]


def test_what_an_older_worker_could_not_read_is_sent_again_once_a_newer_one_claims(lab: HopLab) -> None:
    """Workers are restarted one after the other: the first publishes what the others do not know yet."""
    national = lab.library.formats[FORMAT]
    older = Older(lab.library.registry, lab.library.registry.current(national.subject).id)
    position = Position(topic=national.topic, partition=0)

    def sync(registry: Any, records: Sequence[Any], *, generation: int) -> None:
        (claim,) = lab.store.claim(ROAD, [position], generation=generation, owner=f"w{generation}").values()
        start = claim.next_offset or 0
        if claim.next_offset is None:
            lab.store.start_at(ROAD, position, epoch=claim.epoch, offset=0)
        library = replace(lab.library, registry=registry)
        hop = SyncHop(
            library=library, store=lab.store, deployment=ROAD, metrics=lab.metrics, executor=lab.threads
        )
        stop = start + len(records)
        batch = Batch(position=position, records=records, start=start, next=stop, epoch=claim.epoch)

        unread = Unread(
            claims=cast(Claims, SimpleNamespace(held={position: claim})),
            store=lab.store,
            hop=hop,
            executor=lab.threads,
            stop_the_line=lambda error: pytest.fail(str(error)),
        )

        async def work() -> None:
            await unread.look()
            await hop.commit(hop.prepare([batch]))

        asyncio.run(work())

    lab.run(lab.change(1), lab.change(2))
    sent = [one for topic, one in lab.publisher.sent if topic == national.topic]
    sync(older, [Event(at, one.key, one.value, one.headers) for at, one in enumerate(sent)], generation=1)
    assert [row.reject.rule for row in lab.store.rejects("national")] == ["schema_unknown"] * 2
    assert lab.metrics.rejected.labels(NOBODY, FORMAT, "schema_unknown")._value.get() == 2
    sync(older, [], generation=2)
    assert [row.asked for row in lab.store.rejects("national")] == [None, None]
    sync(lab.library.registry, [], generation=3)
    again = list[RejectRow]()
    assert lab.store.resend([national.topic], 10, again.extend) == 2
    records = [Event(2 + at, row.reject.key, row.reject.original) for at, row in enumerate(again)]
    sync(lab.library.registry, records, generation=4)
    assert lab.said() == {"applied": "1-2"}


@dataclass
class Registry:
    """Two schemas of one subject."""

    schemas: dict[int, RegisteredSchema]

    def schema(self, schema_id: int) -> RegisteredSchema:
        if schema_id not in self.schemas:
            raise UnknownSchema("never registered")
        return self.schemas[schema_id]


def national_lot(lab: HopLab, registry: Registry, rows: Sequence[tuple[int, dict[str, Any]]]) -> list[Batch]:
    """One batch of partition 0: each record is written with the schema of the id beside it."""
    topic = lab.library.formats[FORMAT].topic
    records = [
        Event(at, b"k", encode_row(row, registry.schema(schema_id)))
        for at, (schema_id, row) in enumerate(rows)
    ]
    return [
        Batch(
            position=Position(topic=topic, partition=0), records=[one], start=one.offset, next=one.offset + 1,
            epoch=1,
        )
        for one in records
    ]  # fmt: skip


def test_a_lot_holds_what_its_records_hold_one_by_one(lab: HopLab) -> None:
    """Of several datasets, of a schema from before the format grew, and some that cannot be read."""
    national = lab.library.formats[FORMAT]
    newer = lab.library.registry.current(national.subject)
    first, *_, last = (one.name for one in national.fields)
    fields = [one for one in newer.schema["fields"] if one["name"] != last]
    older = replace(newer, id=9001, schema={**newer.schema, "fields": fields}, sha256="of the older")
    registry = Registry({newer.id: newer, older.id: older})
    hop = SyncHop(
        library=replace(lab.library, registry=cast(Any, registry)), store=lab.store, deployment=ROAD,
        metrics=lab.metrics, executor=lab.threads,
    )  # fmt: skip
    chance = random.Random(5)
    rows = []
    for seq in range(1, 61):
        schema = chance.choice([newer, older])
        row: dict[str, Any] = {
            "lt_key": f"K{seq}", "lt_op": chance.choice("ud"), "lt_system": "hotich",
            "lt_dataset": chance.choice(["qnam", "dnang"]), "lt_source_key": f"p{seq}", "lt_seq": seq,
            "lt_committed_ms": chance.choice([None, 10**12 + seq]), "lt_answers": True, first: 'Nguyễn "Văn"',
        }  # fmt: skip
        names = [one["name"] for one in schema.schema["fields"]]
        rows.append((schema.id, dict.fromkeys(names) | row | ({last: "mới"} if schema is newer else {})))
    lot = national_lot(lab, registry, rows)
    lot[7] = replace(lot[7], records=[Event(7, b"k", b"\x00\x00")])

    whole, parts = hop.prepare(lot), [hop.prepare([one]) for one in lot]
    assert whole.prepared.rows.columns == parts[7].prepared.rows.columns
    assert pl.concat([one.prepared.rows for one in parts]).equals(whole.prepared.rows)
    assert list(whole.prepared.rejects) == [reject for one in parts for reject in one.prepared.rejects]
    assert whole.prepared.rows["__offset"].to_list() == [at for at in range(60) if at != 7]
    committed: dict[tuple[str, str], list[int]] = {}
    for one in parts:
        for whose, moments in one.committed.items():
            committed.setdefault(whose, []).extend(moments.tolist())
    assert {whose: moments.tolist() for whose, moments in whole.committed.items()} == committed
    written = [one.prepared.csv.removeprefix(b"0,") for one in parts if one.prepared.csv]
    expected = [b"%d,%b" % (at, written[row]) for at, row in enumerate(whole.prepared.staged)]
    assert whole.prepared.csv == b"".join(expected)


def test_a_dataset_without_a_contract_is_counted_under_the_stand_in(lab: HopLab) -> None:
    """Whoever may write the topic chooses the text: no label may carry it."""
    national, scrape = lab.library.formats[FORMAT], CollectorRegistry()
    current = lab.library.registry.current(national.subject)
    metrics = RoadMetrics(scrape)
    hop = SyncHop(
        library=lab.library, store=lab.store, deployment=ROAD, metrics=metrics, executor=lab.threads
    )
    position = Position(topic=national.topic, partition=0)
    lab.store.claim(ROAD, [position], generation=1, owner="w1")
    lab.store.start_at(ROAD, position, epoch=1, offset=0)
    keys_of = {
        (SYSTEM, DATASET): ["K1"],
        ("hệ thống lạ", "một"): ["K2", "K1"],  # the second is another's: refused
        ("hệ thống lạ", "hai"): ["K3"],
        (SYSTEM, "tệp lạ"): ["K4", "K1"],
    }
    names = dict.fromkeys(one["name"] for one in current.schema["fields"])
    rows = [
        names | {
            "lt_key": key, "lt_op": "u", "lt_system": system, "lt_dataset": dataset, "lt_source_key": key,
            "lt_seq": seq, "lt_committed_ms": 10**12, "lt_answers": True,
        }
        for (system, dataset), keys in keys_of.items()
        for seq, key in enumerate(keys, 1)
    ]  # fmt: skip
    lot = national_lot(lab, Registry({current.id: current}), [(current.id, row) for row in rows])
    asyncio.run(hop.commit(hop.prepare(lot)))

    samples = [sample for family in scrape.collect() for sample in family.samples]
    pairs = {(one.labels["system"], one.labels["dataset"]) for one in samples if "system" in one.labels}
    assert pairs == {(SYSTEM, DATASET), (NOBODY, FORMAT)}

    def counted(name: str, system: str, **labels: str) -> float:
        wanted = {"system": system, **labels}.items()
        return sum(one.value for one in samples if one.name == name and wanted <= one.labels.items())

    for system, records, refused in ((SYSTEM, 1, 0), (NOBODY, 5, 2)):
        assert counted("lienthong_end_to_end_seconds_count", system) == records
        assert counted("lienthong_promise_changes_total", system, kept="no") == records
        assert counted("lienthong_rejected_total", system, rule="national_key_taken") == refused
