"""Faults planted one at a time on the real stack: the monitor names the cause, and raises no other alarm.

The measured times go to ``build/faults.json``; no test asserts one.
"""

import json
import re
import signal
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from tests.acceptance.test_repairs import CODES, CONTRACT, national_format
from tests.road import PATIENCE_SECONDS, PATIENTLY, Road, delete_topics, end_offsets, wait_for

pytestmark = pytest.mark.timeout(1500)

#: The captured dataset, one whose agency falls silent, and one whose clock is wrong.
MAIN, SILENT, SKEWED = "chinh", "imlang", "giolech"
STATE = re.compile(r'lienthong_system_state\{dataset="(\w+)",state="(\w+)",system="(\w+)"\} 1\.0')
RESULTS = Path(__file__).parents[2] / "build/faults.json"


def write_library(folder: Path) -> None:
    """Three datasets of one shape, each with a format of its own."""
    for system in (MAIN, SILENT, SKEWED):
        national = national_format() | {"namespace": f"thu.{system}.v1"}
        files = {
            f"formats/thu/{system}/v1.avsc": json.dumps(national, ensure_ascii=False),
            f"contracts/{system}/nguoi.yaml": CONTRACT.format(version=1, aliases="{}").replace(
                "thu.nguoi.v1", f"thu.{system}.v1"
            ),
            "codes/thu.loai.csv": CODES,
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


@dataclass
class Stack:
    """Broker, store, agency, worker, relay and monitor."""

    one: Road
    kafka: KafkaNode
    postgres: PostgresNode
    agency: sqlite3.Connection
    ids: int = 0
    took: dict[str, float] = field(default_factory=dict)

    def insert(self, count: int, *, loai: str = "Một", ngay: str = "01/02/2016") -> None:
        """A clerk writes records in one transaction."""
        with self.agency:
            for _ in range(count):
                self.ids += 1
                self.agency.execute(
                    "INSERT INTO nguoi VALUES (?, ?, ?, ?)", (self.ids, "Người Thử", loai, ngay)
                )

    def supervise(self) -> None:
        """Start what does not run, as a supervisor would."""
        for name, start in self.starters.items():
            process = self.one.processes.get(name)
            if process is None or process.poll() is not None:
                start()

    @property
    def starters(self) -> dict[str, Callable[[], Any]]:
        return {
            "w1": self.one.worker,
            "relay": lambda: self.one.start("relay", "capture", "run"),
            "monitor": lambda: self.one.start("monitor", "monitor", "run", "--every", "5"),
        }

    def states(self) -> dict[str, str]:
        """Dataset to state, as the monitor's page says."""
        return {f"{found[2]}/{found[0]}": found[1] for found in STATE.findall(self.one.metrics("monitor"))}

    def recover(self) -> None:
        """Wait until all is well."""

        def well() -> bool:
            self.supervise()
            return set(self.states().values()) == {"healthy"}

        wait_for("every dataset healthy", well, seconds=420, every=1)

    def expect(
        self,
        state: str,
        *systems: str,
        on_the_way: str = "",
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait for this state of these systems, or of all; nothing else may be told meanwhile."""
        began, strangers = time.monotonic(), set()

        def told() -> bool:
            meanwhile()
            states = self.states()
            mine = {one: s for one, s in states.items() if not systems or one.split("/")[0] in systems}
            for one, found in states.items():
                if found not in ("healthy", state if one in mine else "healthy", on_the_way):
                    strangers.add((one, found))
            return bool(mine) and set(mine.values()) == {state}

        def instead() -> str:
            lag = [
                line for line in self.one.metrics("monitor").splitlines() if line.startswith("lienthong_lag")
            ]
            return f"{state} of {systems or 'all'}; there is {self.states()}, told {strangers}, {lag}"

        wait_for(instead, told, seconds=240, every=0.5)
        self.took[state] = round(time.monotonic() - began, 1)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(self.took, indent=2))
        assert not strangers

    def drop_rejects(self) -> None:
        """Let go what was refused; good changes then end the row of bad ones that the breaker counts."""
        self.one.run("rejects", "drop", "--system", MAIN, "--yes", "--why", "thử nghiệm xong")
        self.insert(20)

    def settings(self, topic: str, **settings: str) -> None:
        """Change settings of a topic."""
        told = {name.replace("_", "."): value for name, value in settings.items()}
        admin = KafkaAdminClient(bootstrap_servers=self.one.broker, **PATIENTLY)
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=told)])
        admin.close()


@pytest.fixture(scope="module")
def whole(
    kafka: KafkaNode, postgres: PostgresNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("faults")
    write_library(folder / "library")
    database = postgres.create_database("faults")
    agency = sqlite3.connect(folder / "agency.db", timeout=PATIENCE_SECONDS)
    agency.execute("CREATE TABLE nguoi (id INTEGER PRIMARY KEY, ten TEXT, loai TEXT, ngay TEXT)")
    source = f"sqlite:///{folder}/agency.db"
    (folder / "outboxes").write_text(f"phong_thu {source}\n")
    made = Road(
        broker=kafka.bootstrap,
        store=database,
        folder=folder / "logs",
        contracts=str(folder / "library"),
        settings={
            "LIENTHONG_SOURCE": source,
            "LIENTHONG_OUTBOXES": str(folder / "outboxes"),
            "LIENTHONG_FLOOD_CONSECUTIVE": "200",
            "LIENTHONG_FLOOD_PAUSE_SECONDS": "3600",
            "LIENTHONG_STALL_SECONDS": "1200",
        },
    )
    try:
        made.run("contracts", "register")
        made.prepare()
        made.run("capture", "install", f"{MAIN}/nguoi")
        stack = Stack(one=made, kafka=kafka, postgres=postgres, agency=agency)
        stack.supervise()
        stack.insert(10)
        wait_for(
            "the first records", lambda: made.one(f"SELECT count(*) FROM thu_{MAIN}_v1") == 10, seconds=300
        )
        yield stack
    finally:
        made.close()
        agency.close()


@pytest.fixture
def stack(whole: Stack) -> Iterator[Stack]:
    whole.recover()
    yield whole
    whole.kafka.start()
    whole.postgres.start()


def test_a_dead_worker(stack: Stack) -> None:
    stack.one.end("w1", signal.SIGKILL)
    stack.expect("worker_dead")


def test_a_broker_that_is_away(stack: Stack) -> None:
    stack.kafka.kill()
    stack.expect("broker_away")


def test_a_store_that_is_away(stack: Stack) -> None:
    stack.postgres.stop("immediate")
    stack.expect("store_away")


def test_a_slow_store(stack: Stack) -> None:
    """For a minute and more; nobody starts the worker again, and nobody has to."""
    worker, ids = stack.one.processes["w1"], stack.ids
    there = f"SELECT count(*) FROM thu_{MAIN}_v1 WHERE CAST(lt_source_key AS integer) > :ids"
    with locked(stack, f"thu_{MAIN}_v1"):
        enough = time.monotonic() + 60
        stack.insert(5)
        stack.expect("store_slow", MAIN)
        time.sleep(max(0.0, enough - time.monotonic()))
    wait_for("the records by themselves", lambda: stack.one.one(there, ids=ids) == 5)
    assert worker.poll() is None


@contextmanager
def locked(stack: Stack, table: str) -> Iterator[None]:
    """Somebody else holds a table of the store."""
    with psycopg.connect(libpq_url(stack.one.store)) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_capture_that_is_stuck(stack: Stack) -> None:
    stack.one.end("relay", signal.SIGKILL)
    stack.insert(5)
    stack.expect("capture_stuck", MAIN)


def test_triggers_that_are_gone(stack: Stack) -> None:
    names = stack.agency.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'nguoi'"
    )
    with stack.agency:
        stack.agency.execute(f'DROP TRIGGER "{names.fetchall()[0][0]}"')
    stack.expect("capture_stuck", MAIN)
    stack.one.run("capture", "install", f"{MAIN}/nguoi")


def test_a_schema_that_is_not_known(stack: Stack) -> None:
    events = stack.one.events(f"{MAIN}/nguoi")
    for number in range(20):
        events.raw(struct.pack(">bI", 0, 7777) + b"fictional", key=f"la-{number}")
    events.close()
    stack.expect("schema_unknown", MAIN)
    stack.drop_rejects()


@pytest.mark.parametrize(
    ("state", "wrong"), [("code_unknown", {"loai": "Ba"}), ("mapping_refuses", {"ngay": "30/02/2016"})]
)
def test_changes_that_are_refused(stack: Stack, state: str, wrong: dict[str, str]) -> None:
    stack.insert(60, **wrong)
    stack.expect(state, MAIN)
    stack.drop_rejects()


@contextmanager
def paused(stack: Stack) -> Iterator[None]:
    """A flood of rejects has opened the breaker of the captured dataset."""
    stack.insert(260, loai="Ba")
    stack.expect("breaker_open", MAIN, on_the_way="code_unknown")
    try:
        yield
    finally:
        stack.one.run("road", "resume", f"{MAIN}/nguoi")
        wait_for("the rest is read", lambda: stack.one.backlog(f"province.{MAIN}.nguoi") == 0)
        stack.drop_rejects()


def test_an_open_breaker_and_unread_data_that_retention_is_about_to_delete(stack: Stack) -> None:
    topic = f"province.{MAIN}.nguoi"
    with paused(stack):
        stack.insert(20)
        # Told when a seventh of it is over; nothing is deleted while we wait for that.
        stack.settings(topic, retention_ms="240000")
        try:
            stack.expect("retention", MAIN, on_the_way="breaker_open")
        finally:
            stack.settings(topic, retention_ms="604800000")


def test_a_topic_that_was_deleted(stack: Stack) -> None:
    topic = f"province.{SILENT}.nguoi"
    delete_topics(stack.one.broker, stack.one.library, [topic])
    stack.expect("topic_missing", SILENT)
    stack.one.run("road", "topics")


def test_a_hot_partition(stack: Stack) -> None:
    """Most of what waits has one key. Nobody reads, but somebody is in the workers' group."""
    events, topic = stack.one.events(f"{SKEWED}/nguoi"), f"province.{SKEWED}.nguoi"
    stack.one.end("w1")
    idle = KafkaConsumer(topic, bootstrap_servers=stack.one.broker, group_id="lienthong-road")

    def joined() -> bool:
        idle.poll(timeout_ms=500)
        return bool(idle.assignment())

    try:
        wait_for("somebody in the group", joined)
        idle.pause(*idle.assignment())
        for number in range(600):
            events.write({"id": 1, "ten": f"Người Thử {number}", "loai": "Một", "ngay": "2016"})
        events.close()
        stack.expect("hot_partition", SKEWED, on_the_way="worker_dead", meanwhile=lambda: idle.poll(0))
    finally:
        idle.close()


def test_a_clock_that_is_ahead(stack: Stack) -> None:
    events, topic = stack.one.events(f"{SKEWED}/nguoi"), f"province.{SKEWED}.nguoi"
    stack.settings(topic, message_timestamp_type="CreateTime")
    ahead = int((time.time() + 600) * 1000)
    row = {"id": 1, "ten": "Người Thử", "loai": "Một", "ngay": "2016"}
    sent = events.producer.send(
        topic, key=b"1", value=events.value("c", None, row, 1), headers=list(events.headers(1).items()),
        timestamp_ms=ahead,
    )  # fmt: skip
    sent.get(PATIENCE_SECONDS)
    events.close()
    stack.expect("clock_skew", SKEWED)
    wait_for("the record is read", lambda: stack.one.backlog(topic) == 0)
    admin = KafkaAdminClient(bootstrap_servers=stack.one.broker, **PATIENTLY)
    admin.delete_records(
        {TopicPartition(*where): end for where, end in end_offsets(stack.one.broker, [topic]).items() if end}
    )
    admin.close()


def test_an_agency_that_is_silent_against_its_habit(stack: Stack) -> None:
    events, topic = stack.one.events(f"{SILENT}/nguoi"), f"province.{SILENT}.nguoi"
    stack.settings(topic, message_timestamp_type="CreateTime", retention_ms="-1")
    # A monitor asks for settings every half minute only; by the old ones these changes would be in danger.
    stack.one.end("monitor")
    stack.recover()
    last = datetime.now(UTC) - timedelta(hours=8)
    for back in range(28 * 24, -1, -1):
        events.seq += 1
        row = {"id": events.seq, "ten": "Người Thử", "loai": "Một", "ngay": "2016"}
        events.producer.send(
            topic,
            key=str(events.seq).encode(),
            value=events.value("c", None, row, events.seq),
            headers=list(events.headers(events.seq).items()),
            timestamp_ms=int((last - timedelta(hours=back)).timestamp() * 1000),
        )
    events.producer.flush()
    stack.expect("agency_silent", SILENT, on_the_way="behind")
    events.write({"id": 10_000, "ten": "Người Thử", "loai": "Một", "ngay": "2016"})
    events.close()


def test_an_outbox_that_grows(stack: Stack) -> None:
    """Something is published all the time (the first change again and again), but more is written."""
    events = stack.one.events(f"{MAIN}/nguoi")
    stack.one.end("relay", signal.SIGKILL)
    stack.insert(100)

    def written() -> None:
        stack.insert(1)
        events.seq = 0
        events.rows.clear()
        events.write({"id": 1, "ten": "Người Thử", "loai": "Một", "ngay": "01/02/2016"})
        events.producer.flush()

    stack.expect("outbox_growing", MAIN, meanwhile=written)
    events.close()
