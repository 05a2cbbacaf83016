"""One MariaDB server on loopback."""

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from deploy.local.process import Server, StackError, free_port
from tests.layouts.entries import Entry
from tests.layouts.layout import Layout
from tests.more.debian import unpacked

#: May do everything, and needs the password.
USER, PASSWORD = "kiem_thu", "mat khau/@:1"
_GRANTS = f"""
FLUSH PRIVILEGES;
CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;
"""


class MariadbNode:
    """A server whose data and log lie in ``state``. Use ``stop``."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._server = Server("MariaDB", state / "process.json", state / "mariadb.log")
        self.port = free_port()

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        """The SQLAlchemy address of a database."""
        url = sa.URL.create("mariadb+pymysql", user, password, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Make the data folder and return when the server takes connections."""
        root = unpacked("mariadb-server-core", "usr/sbin/mariadbd")
        data = self._state / "data"
        data.mkdir(parents=True)
        share = root / "usr/share/mysql"
        program = [*_with_libraries(root), str(root / "usr/sbin/mariadbd"), "--no-defaults"]
        program += [f"--datadir={data}", f"--lc-messages-dir={share}", "--skip-name-resolve"]
        program += ["--user=root"] if os.geteuid() == 0 else []
        tables = [(share / f"mysql_system_tables{part}.sql").read_text() for part in ("", "_data")]
        script = "\n".join(["CREATE DATABASE mysql;", "USE mysql;", *tables, _GRANTS])
        done = subprocess.run(
            [*program, "--bootstrap"], input=script, text=True, capture_output=True, check=False
        )
        if done.returncode:
            text = f"MariaDB makes no data folder: {done.stderr[-500:]}"
            raise StackError(text, next_step="read what it says")
        settings = [
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--character-set-server=utf8mb4",
            f"--socket={self._state / 's'}",
        ]
        self._server.spawn([*program, *settings, f"--pid-file={self._state / 'pid'}"], cwd=data)
        self._server.wait_ready(self._answers, timeout_seconds=300)

    def stop(self) -> None:
        """End it."""
        if not self._server.end(signal.SIGTERM, timeout_seconds=60):
            self._server.end(signal.SIGKILL, timeout_seconds=10)

    def run(self, *statements: str, database: str = "mysql") -> None:
        """Run statements in a database."""
        engine = sa.create_engine(self.url(database), poolclass=sa.NullPool)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def fill(self, database: str, layout: Layout, entries: Iterable[Entry]) -> None:
        """A new database with the layout's table, comments included, and these entries."""
        self.run(f"CREATE DATABASE {database}")
        engine = sa.create_engine(self.url(database), poolclass=sa.NullPool)
        marks = ", ".join(["%s"] * len(layout.columns))
        with engine.begin() as connection:
            connection.exec_driver_sql(layout.ddl("`", comments=True))
            rows = [tuple(row) for row in layout.rows(entries, seed=1)]
            connection.exec_driver_sql(f"INSERT INTO `{layout.table}` VALUES ({marks})", rows)

    def _answers(self) -> bool:
        with suppress(sa.exc.OperationalError):
            self.run("SELECT 1")
            return True
        return False


def _with_libraries(root: Path) -> list[str]:
    """What goes before a program, so that it finds the libraries unpacked beside it."""
    if root == Path("/"):
        return []
    folders = {str(path.parent) for path in root.glob("**/lib*.so*")}
    return ["env", f"LD_LIBRARY_PATH={':'.join(sorted(folders))}"]
