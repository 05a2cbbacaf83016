"""A little road to be watched: topics, ledger and outbox filled by hand, no worker at all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from consumers.observation import Dataset, Hop, Observation, Target
from consumers.observer import Observer
from consumers.opening import open_store
from consumers.outboxes import OutboxLook, OutboxState
from consumers.outlook import Outlook, look
from consumers.settings import OrphanSettings
from consumers.store import Position
from schemas.errors import TryAgain
from schemas.library import Library
from tests.road import PATIENTLY, wait_for
from tests.shipped import shipped
from tests.topics import new_topic

PARTITIONS = 2


@dataclass
class Box:
    """An agency's outbox, as it is told to be."""

    dataset: str
    waiting: int = 0
    away: bool = False

    def look(self) -> OutboxLook:
        if self.away:
            raise TryAgain("the agency database does not answer")
        state = OutboxState(
            dataset=self.dataset, waiting=self.waiting, oldest_seconds=float(self.waiting), in_place=True
        )
        return OutboxLook(states=[state], now_ms=int(time.time() * 1000))

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class WatchLab:
    """One contract of its own name, its two topics, and what an observer sees of it."""

    broker: str
    url: str
    name: str
    library: Library = field(init=False)
    epochs: dict[Position, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = shipped()
        contract = whole.contracts["hotich_qnam/khaisinh"]
        national = replace(whole.formats["hotich.khaisinh.v1"], domain=self.name)
        target = replace(contract.targets[0], format=national.full_id)
        contract = replace(contract, system=self.name, targets=(target,))
        self.library = replace(whole, formats={national.full_id: national}, contracts={contract.id: contract})
        self.contract, self.national = contract, national
        self.store = open_store(self.url)
        self.store.migrate([national])
        self.box = Box(contract.id)
        self.producer = KafkaProducer(bootstrap_servers=self.broker)
        self.admin = KafkaAdminClient(bootstrap_servers=self.broker, **PATIENTLY)
        for topic in (contract.topic, national.topic):
            settings = {"message.timestamp.type": "CreateTime"}
            new_topic(self.broker, topic, partitions=PARTITIONS, **settings)
        self.observer = Observer(
            self.library,
            deployment=self.name,
            brokers=self.broker,
            store=self.store,
            outboxes={"so_tu_phap": self.box},
            outlook=self.outlook,
        )

    def outlook(self) -> Outlook:
        settings = OrphanSettings(store=self.url)
        return look(settings, self.library, datetime.now(UTC))

    def send(self, topic: str, partition: int, count: int, *, age_seconds: float = 0.0) -> None:
        """Records whose own timestamps are so old."""
        moment = int((time.time() - age_seconds) * 1000)
        for _ in range(count):
            self.producer.send(topic, value=b"fictional", partition=partition, timestamp_ms=moment)
        self.producer.flush()

    def ledger(self, topic: str, partition: int, offset: int, *, deployment: str | None = None) -> None:
        """Put the ledger there, as a worker would."""
        position, name = Position(topic=topic, partition=partition), deployment or self.name
        claim = self.store.claim(name, [position], generation=1, owner="w1")[position]
        assert claim.next_offset is None
        self.store.start_at(name, position, epoch=claim.epoch, offset=offset)

    def look(self) -> Observation:
        return self.observer.look()

    def close(self) -> None:
        self.observer.close()
        self.producer.close()
        self.admin.close()


def only(seen: Observation) -> Dataset:
    """The one dataset."""
    (dataset,) = seen.datasets
    return dataset


def hops(seen: Observation) -> tuple[Hop, Hop]:
    """Translate and sync."""
    translate, sync = only(seen).hops
    return translate, sync


def target(seen: Observation, name: str) -> Target:
    """The target of this name."""
    (found,) = [one for one in seen.targets if one.name == name]
    return found


def lags(hop: Hop) -> Sequence[int]:
    """By partition."""
    return [place.lag for place in hop.places]


def see(lab: WatchLab, what: str, ready: object) -> Observation:
    """Look until ``ready`` says so of an observation, and give that one."""
    assert callable(ready)
    found: list[Observation] = []

    def looked() -> bool:
        found[:] = [lab.look()]
        return bool(ready(found[0]))

    wait_for(what, looked, every=0.5)
    return found[0]


def sqlite(folder: Path) -> str:
    """The address of a store that needs no server."""
    return f"sqlite:///{folder}/national.db"
