"""The demo's own small supervisor: starts ``lienthong`` programs, restarts the dead, ends them all.

In production this is systemd's or the container platform's work.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from deploy.demo.trouble import DemoError
from deploy.local.process import Server

RESTART_AFTER_SECONDS: Final = 0.5
RESTARTS_ALLOWED: Final = 10
#: Settings (2) and "a person must look" (70): a restart would not help.
HOPELESS: Final = (2, 70)


def command_line(*arguments: str) -> list[str]:
    """``lienthong`` run by this very interpreter, so that no path has to be right."""
    return [sys.executable, "-m", "streams.cli", *arguments]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without settings that the caller's shell may carry, and with the demo's."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIENTHONG_")}
    return inherited | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"} | dict(settings)


@dataclass
class Program:
    """One supervised program. ``record`` lets a later run find and end it if we die."""

    name: str
    command: list[str]
    env: dict[str, str]
    record: Server
    child: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    rest: float = RESTART_AFTER_SECONDS  #: seconds between its next end and its restart
    last_status: int | None = None
    dead_since: float | None = field(default=None, repr=False)


class Supervisor:
    """Watches from a thread of its own; ``check`` raises in the caller's thread what it found hopeless."""

    def __init__(
        self,
        state: Path,
        logs: Path,
        root: Path,
        say: Callable[[str], None],
        *,
        restarts_allowed: int = RESTARTS_ALLOWED,
    ) -> None:
        self._state, self._logs, self._root, self._say = state, logs, root, say
        self._restarts_allowed = restarts_allowed
        self._programs: dict[str, Program] = {}
        self._lock = threading.Lock()
        self._failed: DemoError | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a program and keep it alive until ``close``."""
        log = self._logs / f"{name}.log"
        record = Server(name, self._state / f"{name}.json", log)
        program = Program(name, list(command), dict(env), record)
        with self._lock:
            self._programs[name] = program
            self._spawn(program)
        if not self._watcher.is_alive():
            self._watcher.start()

    def kill(self, name: str, *, rest: float = RESTART_AFTER_SECONDS) -> int:
        """``kill -9``: the program gets no chance to tidy up. Returns the process id it had.

        It is started again ``rest`` seconds later.
        """
        return self.signal(name, signal.SIGKILL, rest=rest)

    def signal(self, name: str, signum: signal.Signals, *, rest: float = RESTART_AFTER_SECONDS) -> int:
        """Send a signal to a program and return its process id. Raises ``DemoError`` if it does not run."""
        with self._lock:
            program = self._programs[name]
            if _child(program).poll() is not None:
                raise DemoError(f"{name} was to get {signum.name} but does not run", self.log(name))
            program.rest = rest
            _child(program).send_signal(signum)
            return _child(program).pid

    def runs(self, name: str) -> bool:
        """Whether a program is there, between no end and its restart."""
        with self._lock:
            return _child(self._programs[name]).poll() is None

    def end(self, name: str, *, grace_seconds: float = 15) -> None:
        """End one program for good: politely, then by force."""
        with self._lock:
            program = self._programs.pop(name)
        self._end([program], grace_seconds)

    def restarts(self) -> dict[str, int]:
        """How often each program was started again."""
        return {program.name: program.restarts for program in self._programs.values()}

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    @property
    def failed(self) -> bool:
        """Whether a program cannot be kept alive."""
        return self._failed is not None

    def check(self) -> None:
        """Raises ``DemoError`` if a program cannot be kept alive."""
        if self._failed is not None:
            raise self._failed

    def leave(self) -> None:
        """Stop watching, let the programs run on."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join(timeout=5)

    def close(self, *, grace_seconds: float = 15) -> None:
        """End all programs: politely, then by force. Never raises; safe to repeat."""
        self.leave()
        self._end(list(self._programs.values()), grace_seconds)
        self._programs.clear()

    @staticmethod
    def _end(programs: Sequence[Program], grace_seconds: float) -> None:
        running = [p for p in programs if p.child is not None and p.child.poll() is None]
        for program in running:
            with suppress(ProcessLookupError):
                _child(program).terminate()
        deadline = time.monotonic() + grace_seconds
        for program in running:
            try:
                _child(program).wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _child(program).kill()
                _child(program).wait()

    def _spawn(self, program: Program) -> None:
        log = program.record.log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            program.child = subprocess.Popen(
                program.command,
                cwd=self._root,
                env=program.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for us: we end the programs in our own order
            )
        started = psutil.Process(program.child.pid).create_time()
        program.record.remember(pid=program.child.pid, started=started)

    def _watch(self) -> None:
        while not self._stopping.wait(0.1):
            with self._lock:
                for program in self._programs.values():
                    self._look_after(program)

    def _look_after(self, program: Program) -> None:
        status = _child(program).poll()
        if status is None or self._failed is not None:
            return
        now = time.monotonic()
        if program.dead_since is None:
            program.dead_since, program.last_status = now, status
            if status in HOPELESS or program.restarts >= self._restarts_allowed:
                self._failed = DemoError(
                    f"{program.name} ended with {_status(status)}"
                    + (f" after {program.restarts} restarts" if program.restarts else ""),
                    program.record.log,
                )
        elif now - program.dead_since >= program.rest:
            program.restarts += 1
            program.dead_since, program.rest = None, RESTART_AFTER_SECONDS
            self._spawn(program)
            self._say(f"supervisor: {program.name} had ended ({_status(status)}) and runs again")


def _child(program: Program) -> subprocess.Popen[bytes]:
    assert program.child is not None
    return program.child


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def end_recorded(state: Path) -> list[str]:
    """End programs that an earlier run left behind, by recorded process id. Returns their names."""
    ended = []
    for path in sorted(state.glob("*.json")):
        record = Server(path.stem, path, state / f"{path.stem}.log")
        if record.running() is not None:
            if not record.end(signal.SIGTERM, timeout_seconds=15):
                record.end(signal.SIGKILL, timeout_seconds=15)
            ended.append(path.stem)
        path.unlink(missing_ok=True)
    return ended


def run_once(
    *arguments: str, settings: Mapping[str, str], root: Path, log: Path, timeout_seconds: float = 300
) -> str:
    """Run one ``lienthong`` command to its end and return what it wrote to stdout.

    All it printed is added to ``log``. Raises ``DemoError`` if it fails or takes too long.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    told = f"lienthong {' '.join(arguments)}"
    with log.open("ab") as out:
        out.write(f"$ {told}\n".encode())
        out.flush()
        try:
            done = subprocess.run(
                command_line(*arguments),
                cwd=root,
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=out,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DemoError(f"`{told}` did not end within {timeout_seconds:.0f} s", log) from None
        out.write(done.stdout)
    if done.returncode != 0:
        raise DemoError(f"`{told}` ended with {_status(done.returncode)}", log)
    return done.stdout.decode(errors="replace")
