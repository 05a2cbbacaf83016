"""One connection to an agency's PostgreSQL, and its errors in our own words.

The database's own message may quote a record's values (``Failing row contains …``); it never goes on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy import URL

from producers.outbox import Locked, Slow
from producers.postgres_sql import SESSION
from schemas.errors import LienthongError, TryAgain

Row = tuple[Any, ...]

#: Ends a statement that hangs, a dead peer's connection (and with it its lead), and a forgotten transaction.
_LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "default_transaction_isolation": r"read\ committed",
    # Literals in our SQL escape quotes only.
    "standard_conforming_strings": "on",
    # A number must survive a crash of the server once it was published, whatever this server's default is.
    "synchronous_commit": "on",
}


class Session:
    """Connects at first use, and again after ``close``. Outside ``transaction`` a statement is one."""

    def __init__(self, url: URL) -> None:
        self.database = url.database or ""
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: psycopg.Connection[Row] | None = None

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Run a query and return its rows."""
        with self._told():
            cursor = self._connected().execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def copied(self, query: str, rows: int) -> Iterator[bytes]:
        """What a COPY gives, so many rows at a time."""
        with self._told(), self._connected().cursor() as cursor, cursor.copy(query.encode()) as copy:
            block: list[bytes] = []
            for row in copy:
                block.append(bytes(row))
                if len(block) >= rows:
                    yield b"".join(block)
                    block = []
            if block:
                yield b"".join(block)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything within commits together or not at all."""
        with self._told(), self._connected().transaction():
            yield

    def close(self) -> None:
        """Forget the connection; what it held is released by the server."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection[Row]:
        if self._connection is None:
            options = {**_LIMITS, **{key: value.replace(" ", r"\ ") for key, value in SESSION.items()}}
            connection: psycopg.Connection[Row] = psycopg.connect(
                self._address,
                autocommit=True,
                connect_timeout=10,
                application_name="lienthong capture",
                options=" ".join(f"-c {key}={value}" for key, value in options.items()),
            )
            # SQL_ASCII takes any bytes, and gives bytes unless it is asked for text.
            if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
                connection.execute("SET client_encoding = 'UTF8'")
            self._connection = connection
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from None

    def _translated(self, error: psycopg.Error) -> Exception:
        place = f"the agency database {self.database}"
        state = f"{type(error).__name__}, {error.sqlstate}" if error.sqlstate else type(error).__name__
        if isinstance(error, errors.QueryCanceled):
            return Slow(
                f"{place}: a statement takes longer than it may ({state})",
                next_step="try again when the server is less busy",
            )
        if isinstance(error, errors.LockNotAvailable):
            return Locked(
                f"{place}: a statement waited too long for others ({state})",
                next_step="try again when the long transactions on this table are over",
            )
        if isinstance(error, errors.UndefinedTable):
            return LienthongError(
                f"{place}: a table is missing ({state})", next_step="run: lienthong capture install"
            )
        if isinstance(error, errors.CharacterNotInRepertoire):
            return LienthongError(
                f"{place} holds text that is not UTF-8 ({state})",
                next_step="convert the agency's database to UTF-8",
            )
        if isinstance(error, errors.DataError):
            return LienthongError(
                f"{place}: a key or a condition does not fit the table ({state})",
                next_step="write it as the database would print it",
            )
        if isinstance(error, errors.InsufficientPrivilege):
            return LienthongError(
                f"{place}: the user of LIENTHONG_SOURCE may not do this ({state})",
                next_step="connect as the table's owner, or have the owner grant the right",
            )
        if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification):
            return LienthongError(
                f"{place}: the server refuses the user or the password of LIENTHONG_SOURCE ({state})",
                next_step="correct LIENTHONG_SOURCE",
            )
        if (error.sqlstate or "").startswith("25"):  # as the national store does: waiting may mend it
            return TryAgain(
                f"{place} is read-only now, or a transaction sat idle for too long ({state})",
                next_step="if it is a standby, name the primary in LIENTHONG_SOURCE",
            )
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return TryAgain(
                f"{place} does not answer ({state})", next_step="start it, or correct LIENTHONG_SOURCE"
            )
        return LienthongError(
            f"{place} refuses a statement ({state})",
            next_step="look at the server's log, and report it with the version of lienthong",
        )
