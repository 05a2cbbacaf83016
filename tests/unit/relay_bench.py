"""A relay on its bench: an outbox in memory, a broker that obeys, and a clock that does not tick."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

from prometheus_client import CollectorRegistry

from producers.envelope import CannotEncode, Encoder, Outgoing
from producers.metrics import CaptureMetrics
from producers.outbox import Capture, Change, Outbox, State
from producers.publisher import Publisher, Verdict
from producers.relay import Relay, RelayOptions
from schemas.errors import TryAgain

ACK, LARGE, UNKNOWN = Verdict.ACKNOWLEDGED, Verdict.TOO_LARGE, Verdict.UNKNOWN
A, B = "thu/a", "thu/b"


def capture(dataset: str) -> Capture:
    return Capture(dataset=dataset, table="t", key=("id",), columns={"id": "long"})


@dataclass
class MemoryOutbox:
    """An outbox of changes; ``seq`` 0 means not numbered. ``trouble`` is raised by the next call."""

    changes: list[Change] = field(default_factory=list)
    marked: list[int] = field(default_factory=list)
    others_lead: int = 0  #: so many more times another relay is found at work
    trouble: list[TryAgain] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    captures: dict[str, bool] = field(default_factory=lambda: {A: True, B: True})
    columns: dict[str, str] = field(default_factory=lambda: {"id": "long"})  #: of dataset A
    floors: dict[str, int] = field(default_factory=dict)  #: numbers are given above these
    connector: str = "memory"
    database: str = "thu"
    leading: bool = False

    def write(self, key: str, *, dataset: str = A, seq: int = 0, size: int = 10) -> Change:
        change = Change(
            id=len(self.changes) + 1, dataset=dataset, op="u", key=key, before=None,
            after=json.dumps({"id": 1}).ljust(size), changed_ms=1000, seq=seq,
        )  # fmt: skip
        self.changes.append(change)
        return change

    def lead(self) -> bool:
        self._called("lead")
        self.others_lead -= 1
        self.leading = self.others_lead < 0
        return self.leading

    def still_leads(self) -> None:
        self._called("still_leads")

    def states(self) -> list[State]:
        self._called("states")
        return [
            State(
                capture=replace(capture(dataset), columns=self.columns if dataset == A else {"id": "long"}),
                captured=True, in_place=in_place, next_seq=self.floors.get(dataset, 0) + 1, waiting=2,
                oldest_seconds=3.0, snapshot="none", snapshot_rows=0,
            )
            for dataset, in_place in self.captures.items()
        ]  # fmt: skip

    def number(self, datasets: Sequence[str], limit: int, characters: int) -> list[Change]:
        assert self.leading
        self._called("number")
        fresh = [one for one in self.changes if one.seq == 0 and one.dataset in datasets][:limit]
        for one in fresh:
            given = max(other.seq for other in self.changes if other.dataset == one.dataset)
            last = max(given, self.floors.get(one.dataset, 0))
            self.changes[one.id - 1] = replace(one, seq=last + 1)
        return [self.changes[one.id - 1] for one in fresh]

    def number_above(self, dataset: str, seq: int) -> None:
        self._called(f"number_above {dataset} {seq}")
        self.floors[dataset] = max(seq, self.floors.get(dataset, 0))

    def pending(self, after: int, limit: int, characters: int) -> list[Change]:
        self._called("pending")
        waiting = [one for one in self.changes if one.seq and one.id > after and one.id not in self.marked]
        return waiting[:limit]

    def mark(self, ids: Sequence[int]) -> None:
        self._called("mark")
        assert not set(ids) & set(self.marked)
        self.marked += ids

    def prune(self, days: float, limit: int) -> int:
        self._called(f"prune {days:g}")
        return 0

    def close(self) -> None:
        self.leading = False

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.trouble and what != "lead":
            raise self.trouble.pop(0)


class ObedientPublisher(Publisher):
    """Gives the verdicts it is told to; ACKNOWLEDGED if it is told nothing."""

    def __init__(self) -> None:
        super().__init__("nowhere:1", client_id="test")
        self.sent: list[tuple[str, str]] = []
        self.batches: list[int] = []
        self.numbers: dict[str, int] = {}  #: topic -> highest
        self.verdicts: Callable[[Outgoing], Verdict] = lambda _: ACK
        self.seconds_of_silence = 0
        self.abandoned = 0
        self.failure = "NotEnoughReplicasError"

    def highest(self, topics: Collection[str]) -> Mapping[str, int]:
        return {topic: self.numbers[topic] for topic in topics if topic in self.numbers}

    def publish(
        self, records: Sequence[Outgoing], *, waiting: Callable[[], None] = lambda: None
    ) -> list[Verdict]:
        self.batches.append(len(records))
        for _ in range(self.seconds_of_silence):
            waiting()
        found = [self.verdicts(record) for record in records]
        self.sent += [
            (record.topic, record.key.decode())
            for record, verdict in zip(records, found, strict=True)
            if verdict is ACK
        ]
        return found

    def abandon(self) -> None:
        self.abandoned += 1


class PlainEncoder(Encoder):
    def __init__(self, dataset: str) -> None:
        self.topic = dataset
        self.bad: dict[str, str] = {}  #: key -> rule
        self.left_out = set()
        self.strange: dict[str, str] = {}  #: key -> a column that only its image has

    def encode(self, change: Change, *, now_ms: int) -> Outgoing:
        if change.key in self.bad:
            raise CannotEncode("cot", self.bad[change.key])
        if change.key in self.strange:
            self.left_out.add(self.strange[change.key])
        value = f"{change.seq}".encode()
        return Outgoing(self.topic, change.key.encode(), value, [], min(change.changed_ms, now_ms))


@dataclass
class StillClock:
    """Moves only when the relay pauses; ``script`` is run at each pause, and its end stops the relay."""

    stop: Event
    script: list[Callable[[], None]]
    now: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def pause(self, stop: Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        if self.script:
            self.script.pop(0)()
        else:
            self.stop.set()


class Bench:
    """A relay on its bench."""

    def __init__(self) -> None:
        self.outbox = MemoryOutbox()
        self.publisher = ObedientPublisher()
        self.encoders = {A: PlainEncoder(A), B: PlainEncoder(B)}
        self.registry = CollectorRegistry()
        self.stop = Event()
        self.clock = StillClock(self.stop, [])
        self.prepared = 0
        self.options = RelayOptions(keep_days=30, stall_seconds=300)

    def run(self, *script: Callable[[], None]) -> None:
        """Run until the script is at its end and there is nothing left to do."""
        self.clock.script = list(script)
        outbox: Outbox = self.outbox
        Relay(
            outbox, self.publisher, self.prepare, CaptureMetrics(self.registry),
            clock=self.clock, options=self.options,
        ).run(self.stop)  # fmt: skip

    def prepare(self, outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        self.prepared += 1
        return dict(self.encoders)

    def forward(self, seconds: float) -> Callable[[], None]:
        """A step of a script: time goes by."""

        def go() -> None:
            self.clock.now += seconds

        return go

    def write(self, key: str, **more: Any) -> Callable[[], None]:
        """A step of a script: a clerk's change."""

        def go() -> None:
            self.outbox.write(key, **more)

        return go

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"lienthong_capture_{name}", labels)
