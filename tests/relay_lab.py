"""An agency under capture with a relay of its own, clerks at work, and what must be true of it in the end."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import fastavro
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from deploy.demo.agency import COLUMNS
from deploy.local.kafka import KafkaNode
from producers.outbox import Capture
from schemas.contracts import Contract
from schemas.library import SHIPPED, Library, load_library
from tests.capture_lab import CaptureLab, Hand
from tests.road import PATIENTLY, wait_for
from tests.topics import every_record, new_topic


@dataclass(frozen=True)
class Event:
    """One record as a reader finds it."""

    partition: int
    key: str
    seq: int
    op: str
    before: Any
    after: Any
    committed_ms: int


@dataclass
class Agency:
    """An agency's database with its own system name and topic, and a relay that can be killed."""

    lab: CaptureLab
    kafka: KafkaNode
    library: Library
    contract: Contract
    folder: Path
    relays: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.folder / "relay.log").read_text(encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONUTF8": "1",
            "PYTHONFAULTHANDLER": "1",
            "LIENTHONG_SOURCE": self.lab.source,
            "LIENTHONG_BROKER": self.kafka.bootstrap,
            "LIENTHONG_CONTRACTS": str(self.folder / "province"),
        }

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "streams.cli", "capture", *words]
        return subprocess.run(
            line, env=self.environment, capture_output=True, text=True, timeout=180, check=False
        )

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "relay.log").open("ab") as log:
            line = [sys.executable, "-m", "streams.cli", "capture", "run"]
            relay = subprocess.Popen(line, env=self.environment, stdout=log, stderr=log)
        self.relays.append(relay)
        return relay

    def end(self, relay: subprocess.Popen[bytes]) -> None:
        """Tell it to end; if it does not, fail with its log and where each of its threads stands."""
        relay.terminate()
        try:
            assert relay.wait(timeout=180) == 0, self.log
        except subprocess.TimeoutExpired:
            relay.send_signal(signal.SIGABRT)
            relay.wait()
            raise AssertionError(f"the relay does not end:\n{self.log}") from None

    def insert(self, first: int, last: int, hand: Hand | None = None) -> None:
        """One transaction of new rows."""
        with self.lab.transaction(hand) as one:
            for id_ in range(first, last + 1):
                one.run(
                    "INSERT INTO ht_khaisinh (id, ho_ten, trang_thai, du_lieu_cu) VALUES (?, ?, 1, ?)",
                    id_,
                    f"Người thử {id_}",
                    id_ % 2 == 0,
                )

    def waiting(self) -> int:
        return int(
            self.lab.hand.run("SELECT count(*) FROM lienthong_outbox WHERE published_at IS NULL")[0][0]
        )

    def published(self) -> int:
        return int(
            self.lab.hand.run("SELECT count(*) FROM lienthong_outbox WHERE published_at IS NOT NULL")[0][0]
        )

    def published_more_than(self, before: int) -> bool:
        return self.published() > before

    def drained(self) -> None:
        wait_for("the outbox to be empty", lambda: self.waiting() == 0)

    def events(self) -> list[Event]:
        """Every record of the topic, in order per partition."""
        return [self._decoded(one) for one in every_record(self.kafka.bootstrap, self.contract.topic)]

    def _decoded(self, record: Any) -> Event:
        registered = self.library.registry.schema(int.from_bytes(record.value[1:5], "big"))
        headers = dict(record.headers)
        assert record.value[0] == 0
        assert headers["schema-sha256"] == registered.sha256.encode()
        body = io.BytesIO(record.value[5:])
        envelope: Any = fastavro.schemaless_reader(body, registered.schema, None)
        assert body.read() == b""
        source = envelope["source"]
        assert int(headers["seq"]) == source["seq"]
        assert (source["name"], source["dataset"]) == (self.contract.system, self.contract.dataset)
        assert source["snapshot"] == ("true" if envelope["op"] == "r" else "false")
        assert record.timestamp == source["ts_ms"] <= envelope["ts_ms"]
        return Event(
            record.partition, record.key.decode(), source["seq"], envelope["op"],
            envelope["before"], envelope["after"], source["ts_ms"],
        )  # fmt: skip


def an_agency(source: str, kafka: KafkaNode, folder: Path, system: str) -> Iterator[Agency]:
    """The shipped contract under a system name of this test's own, so that its topic is its own too."""
    place = folder / "province" / "contracts" / system
    place.mkdir(parents=True)
    shipped = SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml"
    (place / "khaisinh.yaml").write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    library = load_library([folder / "province"])
    contract = library.contracts[f"{system}/khaisinh"]
    library.registry.register(contract.subject, contract.envelope_schema)
    new_topic(kafka.bootstrap, contract.topic, partitions=3)
    lab = CaptureLab(source)
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    lab.hand.run(
        f"CREATE TABLE ht_khaisinh ({columns if lab.is_postgres else columns.replace('bigint', 'INTEGER')})"
    )
    lab.install(Capture.of(contract))
    one = Agency(lab, kafka, library, contract, folder)
    try:
        yield one
    finally:
        for relay in one.relays:
            relay.kill()
            relay.wait()
        lab.close()


def hold_to_account(agency: Agency) -> list[Event]:
    """What must be true of topic, outbox and table when all is published, whatever happened on the way."""
    agency.drained()
    events = agency.events()
    capture = Capture.of(agency.contract)
    rows = {row.seq: row for row in agency.lab.rows(capture)}
    assert sorted(rows) == list(range(1, len(rows) + 1)), "numbers without gaps"
    assert {event.seq for event in events} == set(rows), "nothing is lost and nothing is invented"
    assert len({event.key: event.partition for event in events}) == len(
        {(e.key, e.partition) for e in events}
    )
    said: dict[int, Event] = {}
    newest: dict[str, int] = {}
    for event in events:
        first = said.setdefault(event.seq, event)
        assert (first.key, first.op, first.before, first.after) == (
            event.key, event.op, event.before, event.after,
        ), f"number {event.seq} stands for two changes"  # fmt: skip
        row = rows[event.seq]
        assert (event.key, event.op) == (row.key, row.op)
        assert event.after == _typed(row.after)
        assert event.before == _typed(row.before)
    for key in {event.key for event in events}:
        mine = [event.seq for event in events if event.key == key]
        known = sorted(set(mine))
        for at, seq in enumerate(mine):
            before = newest.get(key)
            # A repeated run is allowed; a number never comes before the one that it follows.
            assert before is None or seq <= before or known.index(seq) == known.index(before) + 1, mine[
                : at + 1
            ]
            newest[key] = max(seq, before or 0)
        assert mine[-1] == known[-1], "the last record of a key is its newest"
    state: dict[str, Any] = {}
    for seq in sorted(said):
        event = said[seq]
        if event.op == "d":
            state.pop(event.key, None)
        else:
            state[event.key] = event.after
    assert state == {key: _typed(json.dumps(image)) for key, image in agency.lab.table(capture).items()}
    return events


def _typed(image: str | None) -> Any:
    """SQLite has no booleans."""
    if image is None:
        return None
    found = json.loads(image)
    return {**found, "du_lieu_cu": None if found["du_lieu_cu"] is None else bool(found["du_lieu_cu"])}


def work(agency: Agency, *, seed: int, ids: int) -> Callable[[], None]:
    """Clerks who insert, correct, delete, move keys and change their minds, at least 500 times each.

    Gives what ends their day and waits for them.
    """
    failures: list[BaseException] = []
    evening = Flag()

    def clerk(number: int) -> None:
        chance = random.Random(seed + number)
        steps = 0
        try:
            with closing(agency.lab.another_hand()) as hand:
                while steps < 500 or not evening.is_set():
                    steps += 1
                    id_ = chance.randint(1, ids)
                    hand.run("BEGIN")
                    step = chance.randrange(6)
                    if step == 0:
                        hand.run("DELETE FROM ht_khaisinh WHERE id = ?", id_)
                    elif step == 1:
                        new = ids + 3 * chance.randrange(ids) + number
                        hand.run(
                            "UPDATE ht_khaisinh SET id = ? WHERE id = ?"
                            " AND NOT EXISTS (SELECT 1 FROM ht_khaisinh WHERE id = ?)",
                            new,
                            id_,
                            new,
                        )
                    elif step == 2:
                        text = (
                            "INSERT INTO ht_khaisinh (id, ho_ten) VALUES (?, ?) ON CONFLICT (id) DO NOTHING"
                        )
                        hand.run(text, id_, "Người mới")
                    else:
                        hand.run("UPDATE ht_khaisinh SET ho_ten = ? WHERE id = ?", f"{chance.random()}", id_)
                    hand.run("ROLLBACK" if chance.random() < 0.1 else "COMMIT")
                    time.sleep(0.002)
        except BaseException as error:
            failures.append(error)

    clerks = [Thread(target=clerk, args=(number,)) for number in range(3)]
    for one in clerks:
        one.start()

    def end() -> None:
        evening.set()
        for one in clerks:
            one.join()
        assert not failures, failures

    return end


def set_limit(agency: Agency, limit: int) -> None:
    """Returns when the broker knows of it, which may be some time after it took the order."""
    topic, name = agency.contract.topic, "max.message.bytes"
    admin = KafkaAdminClient(bootstrap_servers=agency.kafka.bootstrap, **PATIENTLY)

    def told() -> str:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: None})
        return str(admin.describe_configs([asked], config_filter="all")["topic"][topic][name]["value"])

    try:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: str(limit)})])
        wait_for("the new limit", lambda: told() == str(limit))
    finally:
        admin.close()
