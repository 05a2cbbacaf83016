"""The stack of ``make up`` under ``.local``: Kafka, PostgreSQL, and Prometheus where it is installed."""

import fcntl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import KafkaNode
from deploy.local.node import Node
from deploy.local.postgres import PostgresNode
from deploy.local.process import PortTaken, quiet
from deploy.local.prometheus import PrometheusNode, installed

ROOT = Path(__file__).parents[2] / ".local"
#: The agency's own database, where changes are captured, and the national-format store.
DATABASES = ("agency", "national")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One server, as ``make status`` tells it."""

    name: str
    state: str  #: running | not answering | ended by itself | stopped
    pid: int | None
    address: str  #: empty before the first start
    log: Path


class Stack:
    """The servers of one folder. Safe against a second ``up`` or ``down`` at the same time."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.kafka = KafkaNode(root / "kafka")
        self.postgres = PostgresNode(root / "postgres")
        self.nodes: list[Node] = [self.kafka, self.postgres]
        if (program := installed()) is not None:
            # A demo that was kept names its programs there.
            demo = root / "demo" / "targets"
            self.nodes.append(PrometheusNode(root / "prometheus", program, targets=[demo]))

    @property
    def env_file(self) -> Path:
        """Shell lines that point ``lienthong`` at this stack."""
        return self.root / "env"

    def up(self, say: Callable[[str], None] = quiet) -> None:
        """Start what does not run, repair what is half made, make the databases, write ``env_file``.

        Raises ``StackError`` if a server does not come up; what already runs keeps running.
        """
        with self._lock():
            for node in self.nodes:
                name = node.name
                begun = time.monotonic()
                found = node.pid is not None
                if not found:
                    say(f"{name}: starting")
                try:
                    node.start(say=say)
                except PortTaken as taken:
                    say(f"{name}: {taken.message}; choosing a new one")
                    node.forget_ports()
                    node.start(say=say)
                took = "found running" if found else f"ready after {time.monotonic() - begun:.1f} s"
                say(f"{name}: {took}, 127.0.0.1:{node.port}, process {node.pid}")
            present = self.postgres.databases()
            for database in DATABASES:
                if database not in present:
                    self.postgres.create_database(database)
            lines = [f"export {name}='{value}'\n" for name, value in self.settings().items()]
            self.env_file.write_text("".join(lines))

    def down(self, say: Callable[[str], None] = quiet) -> None:
        """Stop all by process id; data stay. Does nothing to what does not run."""
        if not self.root.exists():
            say("nothing was ever started here")
            return
        with self._lock():
            for node in self.nodes:
                pid = node.pid
                if pid is None:
                    say(f"{node.name}: does not run")
                    continue
                say(f"{node.name}: stopping process {pid}")
                node.stop()
            self.env_file.unlink(missing_ok=True)

    def settings(self) -> dict[str, str]:
        """What points ``lienthong`` at this stack. Raises ``StackError`` before the first ``up``."""
        return {
            "LIENTHONG_BROKER": self.kafka.bootstrap,
            "LIENTHONG_STORE": self.postgres.url("national"),
            "LIENTHONG_SOURCE": self.postgres.url("agency"),
            "LIENTHONG_AUDIT_KEY": str(self.root.resolve() / "audit.key"),
        }

    def states(self) -> list[State]:
        """What runs, where, and what is wrong."""
        return [self._state(node) for node in self.nodes]

    def _state(self, node: Node) -> State:
        pid = node.pid
        if pid is not None:
            state = "running" if node.answers() else "not answering"
        else:
            state = "ended by itself" if node.crashed else "stopped"
        address = f"127.0.0.1:{node.port}" if node.was_started else ""
        return State(name=node.name, state=state, pid=pid, address=address, log=node.log)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def tell(message: str) -> None:
    """Talk goes to standard error, at once."""
    print(message, file=sys.stderr, flush=True)
