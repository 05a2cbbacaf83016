"""A whole road under test: real broker, real store, workers and relay as processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from sqlalchemy import create_engine, text

from schemas.errors import LienthongError
from schemas.library import Library, load_library
from streams.topics import TopicPlan, create_topics, plan_topics
from tests.changes import Events

LIENTHONG = (sys.executable, "-m", "streams.cli")


#: How long a test waits for what must come. No test measures time: on a busy machine all of it may be needed.
PATIENCE_SECONDS = 180.0
#: The same for what Kafka's clients ask; theirs is 30 s.
PATIENTLY = {"request_timeout_ms": int(PATIENCE_SECONDS * 1000)}


def wait_for(
    what: str | Callable[[], str],
    ready: Callable[[], Any],
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.1,
) -> Any:
    """Poll until ``ready()`` is true and return its value; ``AssertionError`` names what did not come.

    A ``what`` that is called tells what there is instead at that moment.
    """
    deadline = time.monotonic() + seconds
    while not (value := ready()):
        if time.monotonic() > deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"{told}: not within {seconds:.0f} s")
        time.sleep(every)
    return value


@dataclass
class Road:
    """One deployment: its settings, its processes and their logs."""

    broker: str
    store: str
    folder: Path
    contracts: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(self.store, pool_pre_ping=True)

    @property
    def library(self) -> Library:
        """The shipped library and the test's own folders."""
        return load_library([Path(folder) for folder in self.contracts.split(os.pathsep) if folder])

    @property
    def environment(self) -> dict[str, str]:
        """What the processes see."""
        return {
            **os.environ,
            "PYTHONUTF8": "1",
            "LIENTHONG_BROKER": self.broker,
            "LIENTHONG_STORE": self.store,
            "LIENTHONG_CONTRACTS": self.contracts,
            "LIENTHONG_AUDIT_KEY": str(self.folder / "audit.key"),
            **self.settings,
        }

    def run(
        self, *words: str, check: bool = True, seconds: float = PATIENCE_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run ``lienthong …`` to its end."""
        done = subprocess.run(
            [*LIENTHONG, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"lienthong {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
        return done

    def prepare(self) -> None:
        """Fresh topics and a migrated store."""
        fresh_topics(self.broker, self.library)
        self.run("store", "migrate")

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start ``lienthong …`` beside us, its output in ``<folder>/<name>.log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*LIENTHONG, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = process
        return process

    def worker(self, name: str = "w1", *words: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        return self.start(name, "road", "run", "--name", name, *words)

    def log(self, name: str) -> str:
        """What a process printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def end(self, name: str, signum: signal.Signals = signal.SIGTERM) -> int:
        """Signal a process and return its exit status."""
        process = self.processes.pop(name)
        process.send_signal(signum)
        return process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait(PATIENCE_SECONDS)
        self.engine.dispose()

    def events(self, dataset: str) -> Events:
        """What publishes changes of a dataset (``hotich_qnam/khaisinh``) without a relay."""
        library = self.library
        contract = library.contracts[dataset]
        return Events(contract, library.registry.current(contract.subject), self.broker)

    def query(self, sql: str, **values: Any) -> list[Any]:
        """Rows of the national store's database."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(sql), values))

    def one(self, sql: str, **values: Any) -> Any:
        """The first column of the first row."""
        return self.query(sql, **values)[0][0]

    def ledger(self) -> dict[tuple[str, int], int | None]:
        """The ledger's offsets."""
        rows = self.query("SELECT topic, partition, next_offset FROM lienthong_ledger")
        return {(row[0], row[1]): row[2] for row in rows}

    def backlog(self, *topics: str) -> int:
        """Records after the ledger's offsets, in all partitions of these topics.

        Asks the ledger first: what a hop put into the next topic before its own offsets moved is counted. A
        topic of which the broker does not tell counts as one record, for it is not known to be read.
        """
        ledger = self.ledger()
        ends = end_offsets(self.broker, topics)
        untold = len(set(topics) - {topic for topic, _ in ends})
        return untold + sum(end - (ledger.get(where) or 0) for where, end in ends.items())

    def metrics(self, name: str) -> str:
        """A worker's metrics page; its address is read from its log. Empty while nobody serves it."""
        found = re.findall(r"http://127\.0\.0\.1:\d+/metrics", self.log(name))
        if not found:
            return ""
        try:
            with urllib.request.urlopen(found[-1], timeout=PATIENCE_SECONDS) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:  # of a process that ended; the log goes on with the next one's
            return ""


def end_offsets(broker: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Where each partition ends now."""
    consumer = KafkaConsumer(bootstrap_servers=broker)
    try:
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        ends = consumer.end_offsets(partitions, timeout_ms=PATIENTLY["request_timeout_ms"])
    finally:
        consumer.close()
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}


def fresh_topics(broker: str, library: Library, names: Collection[str] | None = None) -> None:
    """Make the library's topics, or some of them, anew; those that nobody ever wrote to stay as they are."""
    planned = {plan.name for plan in plan_topics(library) if names is None or plan.name in names}
    written = {topic for (topic, _), end in end_offsets(broker, sorted(planned)).items() if end}
    if written:
        delete_topics(broker, library, written)
    make_topics(broker, plan_topics(library))


def make_topics(broker: str, plans: Sequence[TopicPlan]) -> None:
    """Create the topics that are missing; returns when every partition of all of them has a leader.

    A busy broker is fenced now and then and refuses them, or knows one only some time after it was made.
    """
    refusal = "not refused"

    def made() -> bool:
        nonlocal refusal
        try:
            create_topics(broker, plans, replication=1)
        except LienthongError as error:
            refusal = error.message
            return False
        return True

    wait_for(lambda: f"new topics made ({refusal})", made, every=0.5)
    admin = KafkaAdminClient(bootstrap_servers=broker, **PATIENTLY)
    try:
        admin.wait_for_topics([plan.name for plan in plans], timeout_ms=PATIENTLY["request_timeout_ms"])
    finally:
        admin.close()


def delete_topics(broker: str, library: Library, only: Collection[str] | None = None) -> None:
    """Delete the library's topics, or some of them; returns when they are gone."""
    names = {plan.name for plan in plan_topics(library) if only is None or plan.name in only}
    admin = KafkaAdminClient(bootstrap_servers=broker, **PATIENTLY)
    try:
        there = names & set(admin.list_topics())
        if there:
            admin.delete_topics(sorted(there))
            wait_for("old topics gone", lambda: not names & set(admin.list_topics()))
    finally:
        admin.close()


@contextmanager
def road(broker: str, store: str, folder: Path, *, contracts: str = "", **settings: str) -> Iterator[Road]:
    """A prepared road that is stopped at the end."""
    made = Road(broker=broker, store=store, folder=folder, contracts=contracts, settings=settings)
    try:
        made.prepare()
        yield made
    finally:
        made.close()
