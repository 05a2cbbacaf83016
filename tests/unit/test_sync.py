"""The sync hop and records of a schema that its library does not know yet."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consumers.receipts import RejectRow
from consumers.store import Position
from schemas.registry import FileRegistry, RegisteredSchema, UnknownSchema
from streams.batch import Batch
from streams.claims import Claims
from streams.sync import SyncHop
from streams.unread import Unread
from tests.hop_lab import FORMAT, ROAD, Event, HopLab


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
    sync(older, [], generation=2)
    assert [row.asked for row in lab.store.rejects("national")] == [None, None]
    sync(lab.library.registry, [], generation=3)
    again = list[RejectRow]()
    assert lab.store.resend([national.topic], 10, again.extend) == 2
    records = [Event(2 + at, row.reject.key, row.reject.original) for at, row in enumerate(again)]
    sync(lab.library.registry, records, generation=4)
    assert lab.said() == {"applied": "1-2"}
