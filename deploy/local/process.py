"""Detached server processes: started, recorded, found again and ended by process id."""

import json
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from schemas.errors import LienthongError

#: Below the range that operating systems take for outgoing connections (32768 on Linux), so that a server
#: which is restarted finds its own port free.
PORTS = range(15_000, 32_000)

#: Boot time, from which start times are computed, may be corrected by the clock service.
START_TIME_TOLERANCE_SECONDS = 2.0


class StackError(LienthongError):
    """A server of the local stack does not start, stop or answer."""


def quiet(message: str) -> None:
    """Says nothing: for callers that do not want the talk."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # As servers do: a connection of an earlier run still in TIME_WAIT does not make the port busy.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port on which nobody listens. Should another program be faster, the start will say so."""
    for _ in range(200):
        port = random.choice(PORTS)
        if is_free(port):
            return port
    raise StackError(
        f"none of 200 ports tried between {PORTS.start} and {PORTS.stop} on 127.0.0.1 is free",
        next_step="stop other programs on this machine, then try again",
    )


@dataclass
class Server:
    """One detached process and the file that remembers it. Not thread-safe.

    The process outlives us: it has its own session and its output goes to ``log``. ``record`` holds process
    id and start time, and whatever the caller adds (ports), so that another run finds it, and a reused
    process id is not mistaken for it.
    """

    name: str  #: for people: "Kafka"
    record: Path
    log: Path

    def remembered(self) -> dict[str, float]:
        """What the record holds; empty when there is none or it was cut off while being written."""
        try:
            content = json.loads(self.record.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def remember(self, **numbers: float) -> None:
        """Add to the record, in one step: a reader sees the old record or the new one."""
        self._write(self.remembered() | numbers)

    def forget(self, *names: str) -> None:
        """Drop these numbers from the record."""
        self._write({name: number for name, number in self.remembered().items() if name not in names})

    def running(self) -> psutil.Process | None:
        """The recorded process, if it still runs."""
        seen = self.remembered()
        if "pid" not in seen:
            return None
        try:
            process = psutil.Process(int(seen["pid"]))
            same = abs(process.create_time() - seen["started"]) <= START_TIME_TOLERANCE_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def spawn(self, command: Sequence[str], *, cwd: Path) -> None:
        """Start ``command`` in a session of its own and remember it. Returns before it is ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _children.append(child)
        self.remember(pid=child.pid, started=psutil.Process(child.pid).create_time())

    def wait_ready(
        self, ready: Callable[[], bool], *, timeout_seconds: float, say: Callable[[str], None] = quiet
    ) -> None:
        """Return when ``ready()`` is true.

        Raises ``StackError``, with the end of the log, if the process ends or is too slow.
        """
        begun = time.monotonic()
        told = begun
        while not ready():
            now = time.monotonic()
            if self.running() is None:
                _reap()
                raise StackError(
                    f"{self.name} ended while starting; its last words:\n{self.last_words()}",
                    next_step=f"read {self.log}",
                )
            if now - begun > timeout_seconds:
                raise StackError(
                    f"{self.name} did not answer within {timeout_seconds:.0f} s;"
                    f" its last words:\n{self.last_words()}",
                    next_step=f"read {self.log}, then run make down and make up",
                )
            if now - told > 5:
                told = now
                say(f"{self.name}: still starting ({now - begun:.0f} s)")
            time.sleep(0.05)

    def end(self, signum: signal.Signals, *, timeout_seconds: float) -> bool:
        """Send one signal and wait. Returns False if the process is still there after ``timeout_seconds``."""
        process = self.running()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)
        deadline = time.monotonic() + timeout_seconds
        # Not psutil's wait(): a zombie has ended too, though its parent may be slow, as in many containers.
        while self.running() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        _reap(process.pid if process else None)
        if "pid" in self.remembered():
            self.forget("pid", "started")
        return True

    def last_words(self, lines: int = 12) -> str:
        """The end of the log, for an error text."""
        try:
            text = self.log.read_text(errors="replace")
        except FileNotFoundError:
            return "(nothing)"
        return "\n".join("  " + line for line in text.splitlines()[-lines:])

    def crashed(self) -> bool:
        """Whether it was started, and is gone without having been told to end."""
        return "pid" in self.remembered() and self.running() is None

    def _write(self, numbers: dict[str, float]) -> None:
        self.record.parent.mkdir(parents=True, exist_ok=True)
        new = self.record.with_suffix(".new")
        new.write_text(json.dumps(numbers))
        new.replace(self.record)


#: Servers that this process started. Kept although they are meant to outlive us: while we live, their ends
#: must be taken note of, or they would stay as zombies.
_children: list[subprocess.Popen[bytes]] = []


def _reap(ended: int | None = None) -> None:
    for child in _children:
        if child.pid == ended:
            # Shown as a zombie, yet not to be waited for until the last of its threads is gone too.
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
    _children[:] = [child for child in _children if child.poll() is None]


class PortTaken(StackError):
    """Another program listens where a server of ours used to."""

    def __init__(self, server: Server, port: int) -> None:
        super().__init__(
            f"port {port} on 127.0.0.1, where this {server.name} used to listen, is another program's now",
            next_step=f"stop that program, or remove {server.record} to have a new port chosen",
        )
