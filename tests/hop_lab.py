"""The translate hop alone: the shipped library, a store in a file, and a publisher that only remembers."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from prometheus_client import CollectorRegistry

from consumers.opening import open_store
from consumers.store import Position
from schemas.codec import decode, encode_row
from schemas.errors import TryAgain
from schemas.library import Library, fingerprints
from streams.batch import Batch
from streams.claims import Claims, Held
from streams.mending import Mender
from streams.metrics import RoadMetrics
from streams.mill import Mill
from streams.publisher import Outgoing, Publisher
from streams.translate import TranslateHop, Translation
from tests.envelopes import GOOD, Row, event
from tests.shipped import shipped

SYSTEM, DATASET, FORMAT = "hotich_qnam", "khaisinh", "hotich.khaisinh.v1"
ROAD = "thu"


@dataclass
class Event:
    """A record as it is fetched."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


@dataclass
class Remembered:
    """A publisher without a broker."""

    sent: list[tuple[str, Outgoing]] = field(default_factory=list)
    away: bool = False

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise TryAgain("the broker is away")
        self.sent += [(topic, one) for one in records]


class Standing:
    """A mill that always stands still, and what is claimed."""

    def __init__(self) -> None:
        self.held: dict[Position, Held] = {}
        self.closed: dict[str, bool] = {}

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        yield


@dataclass
class HopLab:
    """One partition of the birth register, fed by hand."""

    folder: Path
    library: Library = field(default_factory=shipped)
    epoch: int = 0
    offset: int = 0  #: of the next record
    seq: int = 0  #: the last one given

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.folder}/national.db"
        self.store = open_store(self.url)
        self.contract = self.library.contracts[f"{SYSTEM}/{DATASET}"]
        self.store.migrate([self.library.formats[target.format] for target in self.contract.targets])
        self.registered = self.library.registry.current(self.contract.subject)
        self.position = Position(topic=self.contract.topic, partition=0)
        self.publisher = Remembered()
        self.threads = ThreadPoolExecutor(2)
        self.worker()

    def close(self) -> None:
        self.threads.shutdown()
        self.store.close()

    def worker(self, *, fingerprint: str | None = None) -> None:
        """A new worker takes the partition over; its library is another one if ``fingerprint`` says so."""
        told = fingerprints(self.library, ())
        self.metrics = RoadMetrics(CollectorRegistry())
        self.hop = TranslateHop(
            contracts=[self.contract],
            library=self.library,
            store=self.store,
            publisher=cast(Publisher, self.publisher),
            deployment=ROAD,
            metrics=self.metrics,
            executor=self.threads,
            fingerprints=told if fingerprint is None else dict.fromkeys(told, fingerprint),
        )
        self.epoch += 1
        claims = self.store.claim(ROAD, [self.position], generation=self.epoch, owner=f"w{self.epoch}")
        assert claims[self.position].epoch == self.epoch
        if claims[self.position].next_offset is None:
            self.store.start_at(ROAD, self.position, epoch=self.epoch, offset=0)
        self.claims = Standing()
        self.mender = Mender(
            hop=self.hop,
            mill=cast(Mill[Any], self.claims),
            claims=cast(Claims, self.claims),
            store=self.store,
            publisher=cast(Publisher, self.publisher),
            deployment=ROAD,
            metrics=self.metrics,
            executor=self.threads,
            national=[],
            stop_the_line=lambda error: None,
        )

    # --- records -------------------------------------------------------------------------------------

    def change(self, person: int, **values: Any) -> Event:
        """A create, or an update if ``before`` is among the values."""
        before: Row | None = values.pop("before", None)
        self.seq += 1
        row = {**GOOD, "id": person, "so_dk": f"{person}/2016", **values}
        told = event(row, before, op="u" if before else "c", seq=self.seq)
        return self.raw(str(person).encode(), encode_row(told, self.registered), seq=self.seq)

    def raw(self, key: bytes | None, value: bytes | None, *, seq: int | None = None) -> Event:
        """Any bytes."""
        headers = [("seq", str(seq).encode())] if seq is not None else []
        self.offset += 1
        return Event(self.offset - 1, key, value, headers)

    def batch(self, *events: Event, epoch: int | None = None) -> Batch:
        return Batch(
            position=self.position,
            records=events,
            start=events[0].offset,
            next=events[-1].offset + 1,
            epoch=self.epoch if epoch is None else epoch,
        )

    # --- the hop's steps -----------------------------------------------------------------------------

    def begin(self, lot: Sequence[Batch]) -> Translation:
        """What the mill does before it commits."""
        asyncio.run(self.hop.begin(lot))
        return self.hop.prepare(lot)

    def commit(self, prepared: Translation) -> None:
        asyncio.run(self.hop.commit(prepared))

    def run(self, *events: Event) -> None:
        """One lot, through."""
        self.commit(self.begin([self.batch(*events)]))

    def mend(self) -> int:
        """Let the worker do all that is asked for; how often it had something to do."""
        (row,) = self.store.ledger(ROAD)
        offset = row.next_offset or 0
        self.claims.held[self.position] = Held(
            epoch=self.epoch, generation=self.epoch, start=offset, position=offset, committed=offset
        )
        looks = 0
        while asyncio.run(self.mender.look()):
            looks += 1
        return looks

    # --- what came of it -----------------------------------------------------------------------------

    def published(self) -> list[tuple[str, int]]:
        """Person and number of each record of ``FORMAT``, in order."""
        national = self.library.formats[FORMAT]
        values = [one.value for topic, one in self.publisher.sent if topic == national.topic]
        decoded = decode(values, registry=self.library.registry, subject=national.subject)
        assert not decoded.faults
        found: list[tuple[str, int]] = []
        for _, frame in decoded.groups:
            found += frame.select("lt_source_key", "lt_seq").rows()
        return found

    def said(self) -> Mapping[str, str]:
        """The receipts, folded: outcome to ranges."""
        found = self.store.answers(SYSTEM, DATASET)
        names = ("applied", "stale", "passed", "rejected", "parked", "waiting")
        return {name: str(getattr(one, name)) for one in found for name in names if getattr(one, name)}
