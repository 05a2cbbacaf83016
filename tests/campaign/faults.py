"""How a planned fault is brought about, and taken back."""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import psycopg
from kafka.errors import KafkaError

from deploy.demo.observe import Observer
from deploy.demo.supervisor import Supervisor, command_line, environment
from deploy.demo.trouble import DemoError
from deploy.local.postgres import libpq_url
from tests.campaign.ground import START_SECONDS, Ground, Scene, execute
from tests.campaign.plan import WORKER, Fault
from tests.campaign.traffic import Traffic
from tests.road import wait_for

PATIENCE_SECONDS = 300.0


@dataclass(slots=True)
class Struck:
    """A fault that came and went."""

    fault: Fault
    over_at: float  #: of the monotonic clock
    written: int  #: changes committed when it was over


@dataclass
class Trouble:
    """Brings about the faults of a plan, each in its own thread; two of one target take turns."""

    ground: Ground
    scene: Scene
    crew: Supervisor
    traffic: Traffic
    observer: Observer
    struck: list[Struck] = field(default_factory=list)
    _targets: Mapping[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    _errors: list[BaseException] = field(default_factory=list)
    _extra: int = 0

    def play(self, faults: tuple[Fault, ...]) -> None:
        """Return when all are over. Raises the first error met."""
        begun = time.monotonic()
        threads = [threading.Thread(target=self._one, args=(fault, begun)) for fault in faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _one(self, fault: Fault, begun: float) -> None:
        try:
            time.sleep(max(0.0, begun + fault.at - time.monotonic()))
            with self._lock_of(fault):
                WAYS[fault.kind](self, fault)
                self.struck.append(Struck(fault, time.monotonic(), self.traffic.written))
        except BaseException as error:  # raised by play
            self._errors.append(error)

    def _lock_of(self, fault: Fault) -> AbstractContextManager[object]:
        """Copies go through the broker: it must not be killed while a producer waits for its answers."""
        return self._targets["broker" if fault.kind == "sent again" else fault.target]

    # --- programs -------------------------------------------------------------------------------------

    def _signal(self, name: str, signum: signal.Signals, rest: float = 0.0) -> None:
        """To a program that may just be between its end and its restart."""

        def sent() -> bool:
            self.crew.check()
            try:
                self.crew.signal(name, signum, rest=rest)
            except DemoError:
                return False
            return True

        wait_for(f"{name} runs", sent, seconds=PATIENCE_SECONDS, every=0.05)

    def kill(self, fault: Fault) -> None:
        if fault.target == "broker":
            self.ground.kafka.kill()
            time.sleep(fault.lasts)
            self.ground.kafka.start(timeout_seconds=START_SECONDS)
            return
        before = self.crew.restarts()[fault.target]
        self._signal(fault.target, signal.SIGKILL, fault.lasts)
        wait_for(
            f"{fault.target} is started again",
            lambda: self.crew.restarts()[fault.target] > before,
            seconds=PATIENCE_SECONDS,
            every=0.02,
        )

    def pause(self, fault: Fault) -> None:
        self._signal(fault.target, signal.SIGSTOP)
        time.sleep(fault.lasts)
        self._signal(fault.target, signal.SIGCONT)

    def one_more(self, fault: Fault) -> None:
        self._extra += 1
        name = f"{fault.target}{self._extra}"
        self.crew.start(name, command_line(*WORKER, "--name", name), environment(self.scene.settings))
        time.sleep(fault.lasts)
        self.crew.end(name)

    # --- databases ------------------------------------------------------------------------------------

    def stop_database(self, fault: Fault) -> None:
        if fault.target == "store":
            self.ground.store.stop("immediate")
            time.sleep(fault.lasts)
            self.ground.store.start(timeout_seconds=START_SECONDS)
            return
        with self.traffic.held():
            self.ground.agency.stop("immediate")
            time.sleep(fault.lasts)
            self.ground.agency.start(timeout_seconds=START_SECONDS)

    def fill_disk(self, fault: Fault) -> None:
        store = libpq_url(self.scene.addresses.store)
        self._switch(store, f"UPDATE campaign_disk SET full_share = {fault.amount}")
        time.sleep(fault.lasts)
        self._switch(store, "UPDATE campaign_disk SET full_share = 0")

    def step_clock(self, fault: Fault) -> None:
        source = self.scene.addresses.source_libpq
        self._switch(source, f"UPDATE campaign_clock SET wrong_by = make_interval(secs => {fault.amount})")
        time.sleep(fault.lasts)
        self._switch(source, "UPDATE campaign_clock SET wrong_by = '0'")

    @staticmethod
    def _switch(address: str, statement: str) -> None:
        """In a database that may just be away."""

        def done() -> bool:
            try:
                execute(address, statement)
            except psycopg.OperationalError:
                return False
            return True

        wait_for("a switch is turned", done, seconds=PATIENCE_SECONDS)

    # --- deliveries -----------------------------------------------------------------------------------

    def send_again(self, fault: Fault) -> None:
        """Any records of the topic so far, old and new, in any order."""
        rng = random.Random(f"{fault}")

        def sent() -> bool:
            try:
                there = list(self.observer.messages())
                chosen = rng.sample(there, min(len(there), int(fault.amount)))
                self.observer.publish_again(chosen)
            except (KafkaError, TimeoutError):
                return False
            return bool(chosen)

        wait_for("old records are sent again", sent, seconds=PATIENCE_SECONDS, every=0.5)


WAYS: Mapping[str, Callable[[Trouble, Fault], None]] = {
    "kill -9": Trouble.kill,
    "SIGSTOP": Trouble.pause,
    "SIGSTOP beyond the session": Trouble.pause,
    "immediate stop": Trouble.stop_database,
    "disk full": Trouble.fill_disk,
    "one more": Trouble.one_more,
    "sent again": Trouble.send_again,
    "clock step": Trouble.step_clock,
}
