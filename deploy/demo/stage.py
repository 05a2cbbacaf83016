"""The stage: folders, the two servers, the addresses, and the programs under the supervisor."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from deploy.demo.supervisor import Supervisor, command_line, end_recorded, environment, run_once
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from deploy.local.process import free_port
from deploy.local.prometheus import write_targets

ROOT: Final = Path(__file__).resolve().parents[2]
STATE: Final = ROOT / ".local" / "demo"
AGENCY_DATABASE: Final = "hotich_qnam"
NATIONAL_DATABASE: Final = "quocgia"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, and the settings that say so to ``lienthong``."""

    broker: str
    store: str  #: SQLAlchemy address of the national store
    source: str  #: SQLAlchemy address of the agency's database

    @property
    def settings(self) -> dict[str, str]:
        return {
            "LIENTHONG_BROKER": self.broker,
            "LIENTHONG_STORE": self.store,
            "LIENTHONG_SOURCE": self.source,
            "LIENTHONG_LANGUAGE": "vi",
            "LIENTHONG_METRICS_PORT": "0",
            "LIENTHONG_EFFECT_LOG": "true",
            "LIENTHONG_AUDIT_KEY": str(STATE / "audit.key"),
        }

    @property
    def source_libpq(self) -> str:
        return libpq_url(self.source)


class Stage:
    """Owns every process of the demo. ``close`` ends them all; ``leave`` lets them run on."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.logs = STATE / "logs"
        self.kafka = KafkaNode(STATE / "kafka")
        self.postgres = PostgresNode(STATE / "postgres")
        self.supervisor = Supervisor(STATE / "run", self.logs, ROOT, say)
        self.metrics: dict[str, str] = {}  #: program -> address of its metrics
        self.addresses: Addresses | None = None  #: None: not started

    def clear(self) -> None:
        """End what an earlier demo left running and begin with empty folders."""
        for name in stop_earlier(self.kafka, self.postgres):
            self._say(f"ended {name} of an earlier demo")
        shutil.rmtree(STATE, ignore_errors=True)
        self.logs.mkdir(parents=True)

    def start_servers(self) -> Addresses:
        """Kafka and PostgreSQL, each with its own folder and port, and the two databases."""
        self.kafka.start(say=self._say)
        self.postgres.start(say=self._say)
        self.addresses = addresses = Addresses(
            broker=self.kafka.bootstrap,
            store=self.postgres.create_database(NATIONAL_DATABASE),
            source=self.postgres.create_database(AGENCY_DATABASE),
        )
        lines = [f"export {name}='{value}'\n" for name, value in addresses.settings.items()]
        self.env_file.write_text("".join(lines))
        return addresses

    @property
    def env_file(self) -> Path:
        return STATE / "env"

    def start_program(self, name: str, *arguments: str, addresses: Addresses, **more: str) -> None:
        """``lienthong <arguments>`` under the supervisor, with its metrics on a known port."""
        port = free_port()
        self.metrics[name] = f"http://127.0.0.1:{port}/metrics"
        settings = addresses.settings | {"LIENTHONG_METRICS_PORT": str(port)} | more
        self.supervisor.start(name, command_line(*arguments), environment(settings))

    def command(self, *arguments: str, addresses: Addresses, **settings: str) -> str:
        """Run one ``lienthong`` command to its end; its stdout."""
        return run_once(
            *arguments, settings=addresses.settings | settings, root=ROOT, log=self.logs / "commands.log"
        )

    def restart_postgres(self) -> None:
        """As after a crash: no clean shutdown, every connection lost, recovery from the log."""
        self.postgres.stop("immediate")
        self.postgres.start(say=self._say)

    def watch(self) -> None:
        """Start the monitor, and tell the Prometheus of ``make up`` where all programs' metrics are."""
        if self.addresses is None:
            return  # the story broke off before there was anything to watch
        outboxes = STATE / "outboxes"
        outboxes.write_text(f"{AGENCY_DATABASE} {self.addresses.source}\n")
        self.start_program(
            "monitor", "monitor", "run", addresses=self.addresses, LIENTHONG_OUTBOXES=str(outboxes)
        )
        jobs: dict[str, list[str]] = {}
        for name, address in self.metrics.items():
            job = f"lienthong-{name}" if name in ("capture", "monitor") else "lienthong-road"
            jobs.setdefault(job, []).append(urlsplit(address).netloc)
        write_targets(STATE / "targets", "demo", jobs)

    def leave(self) -> None:
        self.supervisor.leave()

    def close(self, *, keep_files: bool) -> None:
        """End the programs, then the servers. Safe to repeat."""
        self.supervisor.close()
        self.kafka.stop()
        self.postgres.stop()
        if not keep_files:
            for server in (self.kafka, self.postgres):
                shutil.rmtree(server.state, ignore_errors=True)


def stop_earlier(kafka: KafkaNode, postgres: PostgresNode) -> list[str]:
    """End whatever a kept or killed demo left behind. Returns what was ended."""
    ended = end_recorded(STATE / "run")
    if kafka.pid is not None:
        kafka.stop()
        ended.append("Kafka")
    if postgres.pid is not None:
        postgres.stop()
        ended.append("PostgreSQL")
    return ended


def shown(path: Path) -> str:
    """A path as people in the repository's folder would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
