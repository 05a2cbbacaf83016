"""What the servers of the local stack have in common: a folder, a process that outlives us, a kept port."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from deploy.local.process import PortTaken, Server, StackError, free_port, is_free, quiet


class Node(ABC):
    """A server on loopback whose data, log and process record lie in ``state``. It survives us: use ``stop``.

    The port is chosen at the first start and kept.
    """

    def __init__(self, name: str, state: Path) -> None:
        self.name = name  #: for people
        self.state = state.absolute()
        self._server = Server(name, self.state / "process.json", self.state / f"{name.lower()}.log")

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1. Raises ``StackError`` before the first start."""
        port = self._server.remembered().get("port")
        if port is None:
            raise StackError(f"this {self.name} was never started", next_step="run make up")
        return int(port)

    @property
    def pid(self) -> int | None:
        """The process id; None when it does not run."""
        process = self._server.running()
        return None if process is None else process.pid

    @property
    def was_started(self) -> bool:
        """Whether it has a port yet."""
        return "port" in self._server.remembered()

    @property
    def crashed(self) -> bool:
        """Whether it was started, and is gone without having been told to end."""
        return self._server.crashed()

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self._server.log

    @abstractmethod
    def start(self, *, say: Callable[[str], None] = quiet) -> None:
        """Return when it answers. A running one is found, a hanging one is replaced.

        Raises ``StackError`` if it does not come up, ``PortTaken`` if another program has its port.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it. Does nothing when it does not run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client is served."""

    def forget_ports(self) -> None:
        """Choose new ports at the next start; what was told to clients before is void."""
        self._server.record.unlink(missing_ok=True)

    def _choose_ports(self, *names: str) -> None:
        """At the first start only. Raises ``PortTaken`` if one of them is another program's now."""
        seen = self._server.remembered()
        if "port" not in seen:
            self._server.remember(**{name: free_port() for name in names})
            return
        for port in (int(seen[name]) for name in names):
            if not is_free(port):
                raise PortTaken(self._server, port)

    def _found(self, say: Callable[[str], None]) -> bool:
        """Whether it runs already and answers within half a minute."""
        if self._server.running() is None:
            return False
        try:
            self._server.wait_ready(self.answers, timeout_seconds=30, say=say)
        except StackError:
            say(f"{self.name}: runs but does not answer; starting it anew")
            return False
        return True
