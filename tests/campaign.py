"""Random kill -9 of workers and relay under load: 0 lost, 0 doubled, 0 stale wins, every number answered.

The oracle (``deploy.demo.oracle``) knows each record's national form from its generator and shares no code
with the road. Doubles are counted on the ungated effect log: the version gate would hide them.
"""

import random
import signal
import threading
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from deploy.demo.agency import Clerks, create_table, load
from deploy.demo.changes import Change, Register
from deploy.demo.observe import Observer
from deploy.demo.oracle import Oracle, compare
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.road import Road, road, wait_for

PROGRAMS = {
    "capture": ("capture", "run"),
    "w1": ("road", "run", "--name", "w1"),
    "w2": ("road", "run", "--name", "w2"),
}
VICTIMS = ("w1", "w2", "w1", "w2", "capture")


def run_campaign(
    kafka: KafkaNode,
    postgres: PostgresNode,
    folder: Path,
    *,
    seed: int,
    births: int,
    changes: int,
    kills: int,
) -> None:
    """Let clerks make so many changes, kill programs at least so often, compare with the oracle."""
    rng = random.Random(seed)
    for name in ("campaign_national", "campaign_agency"):
        postgres.create_database(name)
    source, store = postgres.url("campaign_agency"), postgres.url("campaign_national")
    settings = {"LIENTHONG_SOURCE": source, "LIENTHONG_EFFECT_LOG": "true"}
    started_at = datetime.now(UTC)
    oracle = Oracle()
    register = Register(births, seed)
    snapshot = register.snapshot()
    libpq = source.replace("+psycopg", "")
    create_table(libpq)
    load(libpq, (change.row for change in snapshot if change.row is not None))
    oracle.add(snapshot)
    with road(kafka.bootstrap, store, folder / "logs", **settings) as one:
        one.run("store", "migrate")  # once more, with the effect log's table
        one.run("capture", "install")
        one.run("capture", "snapshot")
        for name, words in PROGRAMS.items():
            one.start(name, *words)
        clerks = _Clerks(register, oracle, libpq, changes - len(snapshot))
        clerks.start()
        killed = _kill_at_random(one, rng, clerks, kills)
        clerks.join(timeout=120)
        assert clerks.error is None, clerks.error
        assert not clerks.is_alive()
        observer = Observer(store=store, source=source, broker=kafka.bootstrap)
        try:
            _wait_until_answered(one, observer, clerks.written + len(snapshot))
            checks = compare(oracle, observer.everything(started_at))
        finally:
            observer.close()
    # The demo publishes late versions on purpose; here they come by themselves, and are not counted.
    told = [check for check in checks if check.name != "older versions that came late changed nothing"]
    assert len(told) == len(checks) - 1
    failed = [f"{check.name}: {check.detail}" for check in told if not check.passed]
    assert not failed, f"seed {seed}, {killed} kills:\n" + "\n".join(failed)
    assert killed >= kills


class _Clerks(threading.Thread):
    """Writes live changes at a steady pace until there are ``count`` of them."""

    def __init__(self, register: Register, oracle: Oracle, address: str, count: int) -> None:
        super().__init__(name="clerks", daemon=True)
        self._register, self._oracle, self._address, self._count = register, oracle, address, count
        self.written = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            clerks = Clerks(self._address)
            while self.written < self._count:
                for group in self._transactions():
                    clerks.write(group)
                    self._oracle.add(group)
                    self.written += len(group)
                time.sleep(0.1)
            clerks.close()
        except Exception as error:  # told by the test, which waits for this thread
            self.error = error

    def _transactions(self) -> list[list[Change]]:
        return list(islice(self._register.transactions(40), 40))


def _kill_at_random(one: Road, rng: random.Random, clerks: _Clerks, at_least: int) -> int:
    """Kill and restart programs until the clerks are done, and at least so many times."""
    kills = 0
    while kills < at_least or clerks.is_alive():
        time.sleep(rng.uniform(1.0, 6.0))
        name = rng.choice(VICTIMS)
        one.end(name, signal.SIGKILL)
        kills += 1
        time.sleep(rng.uniform(0.0, 1.5))
        one.start(name, *PROGRAMS[name])
    return kills


def _wait_until_answered(one: Road, observer: Observer, changes: int) -> None:
    def answered() -> bool:
        return len(observer.answered_in_all()) >= changes and observer.unread() == 0

    wait_for(f"{changes} changes answered", answered, every=1.0)
    for name, process in one.processes.items():
        assert process.poll() is None, f"{name} ended by itself:\n{one.log(name)[-1500:]}"
