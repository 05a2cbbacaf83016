"""One connection to an agency's SQLite file, and its errors in our own words."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from producers.outbox import Locked
from schemas.errors import LienthongError, TryAgain

Row = tuple[Any, ...]

#: How long a statement waits for a clerk's transaction.
_WAIT_SECONDS = 10.0


class Misunderstood(LienthongError):
    """The database refuses a statement for what it says."""


class Session:
    """Connects at first use, and again after ``close``. Outside ``transaction`` a statement is one."""

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:":
            raise LienthongError(
                "LIENTHONG_SOURCE: a database in memory cannot be captured", next_step="name a file"
            )
        self.path = Path(url.database).absolute()
        self.database = self.path.stem
        self._connection: sqlite3.Connection | None = None

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query and return its rows."""
        with self._told():
            return self._connected().execute(query, parameters).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within commits together or not at all; nobody else writes meanwhile."""
        with self._told():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self.path.is_file():
                raise LienthongError(
                    f"LIENTHONG_SOURCE: there is no file {self.path}", next_step="correct LIENTHONG_SOURCE"
                )
            # mode=rw: a file that went away meanwhile is an error, and not a new, empty database.
            address = f"{self.path.as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
            # Legacy files hold text in other encodings; one such row must not stop the others.
            connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
            # A number must survive a power cut once it was published.
            connection.execute("PRAGMA synchronous = FULL")
            self._connection = connection
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._translated(error) from None

    def _translated(self, error: sqlite3.Error) -> LienthongError:
        place = f"the agency database {self.database}"
        state = getattr(error, "sqlite_errorname", type(error).__name__)
        if state.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return Locked(f"{place} is locked by another program ({state})", next_step="end its transaction")
        if state.startswith(("SQLITE_IOERR", "SQLITE_FULL")):
            return TryAgain(f"{place} cannot be read or written ({state})", next_step="look at its disk")
        if state.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
            return LienthongError(
                f"{place} may not be written ({state})",
                next_step="give this user the right to write the file and its folder",
            )
        if state == "SQLITE_NOTADB":
            return LienthongError(
                f"{place} is no SQLite file ({state})", next_step="correct LIENTHONG_SOURCE"
            )
        # The text of a plain error names tables and columns, never a value; that of others might.
        what = str(error) if state == "SQLITE_ERROR" else state
        return Misunderstood(
            f"{place} refuses a statement ({what})",
            next_step="run: lienthong capture install; if that does not help, report it",
        )


class Lead:
    """The right to publish one file's changes: a lock on a small file beside it, gone when the process is."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-lienthong-relay")
        self._connection: sqlite3.Connection | None = None

    def take(self) -> bool:
        """True if we have it now. ``LienthongError`` if this user may not write the file."""
        if self._connection is None:
            # SQLite would lock it for reading then, which several relays can do.
            if self._path.exists() and not os.access(self._path, os.W_OK):
                raise self._refused("SQLITE_READONLY")
            connection: sqlite3.Connection | None = None
            try:
                connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if connection is not None:
                    connection.close()
                if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                    return False
                raise self._refused(error.sqlite_errorname) from None
            self._connection = connection
        return True

    def give_up(self) -> None:
        """Safe to repeat."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refused(self, state: str) -> LienthongError:
        return LienthongError(
            f"the file {self._path}, which keeps a second relay out, cannot be locked ({state})",
            next_step="give this user the right to write it and its folder",
        )
