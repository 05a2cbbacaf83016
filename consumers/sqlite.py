"""The national store in one SQLite file: for trials, small offices and tests. One writer at a time."""
# ruff: noqa: S608 (names of tables and columns come from formats, whose loader checks them)

import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from consumers.audit_key import AuditKey
from consumers.audit_tables import block
from consumers.merge_sql import Dialect
from consumers.outcomes import Refusal
from consumers.preparing import staged_rows, staging_columns
from consumers.sql_proofs import ProvingStore
from consumers.sql_store import MIGRATE, READS, Refused
from consumers.store import Prepared, StoreError
from schemas.errors import LienthongError, TryAgain
from schemas.sums import BETWEEN, MISSING, hash_of, md5_of

JOURNAL_TRIES, JOURNAL_WAIT_SECONDS = 100, 0.05
#: Like ``ddl.Moment`` writes it: UTC, six digits of a second.
MOMENT = "%Y-%m-%dT%H:%M:%f000+00:00"
ROW = ("SQLITE_CONSTRAINT", "SQLITE_TOOBIG", "SQLITE_MISMATCH")
WAIT = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_NOMEM")


class SqliteStore(ProvingStore):
    """See ``consumers.store``, ``consumers.repairs``, ``consumers.store_look`` and ``consumers.proofs``."""

    now = f"strftime('{MOMENT}', 'now')"
    ten_minutes_ago = f"strftime('{MOMENT}', 'now', '-10 minutes')"
    hour_ago = f"strftime('{MOMENT}', 'now', '-1 hour')"
    clock = now
    for_update = ""  # the whole file is locked
    dialect = Dialect(
        staging="temp.lt_stage",
        mark="?",
        telling="{merge} RETURNING CAST(COALESCE(lt_before, -1) AS text)",
        lock_left="",
        committed_at=f"strftime('{MOMENT}', s.lt_committed_ms / 1000.0, 'unixepoch')",
    )
    driver_error = sqlite3.Error

    def __init__(
        self,
        url: sa.URL,
        *,
        effect_log: bool = False,
        audit_key: AuditKey | None = None,
        busy_seconds: float = 10.0,
    ) -> None:
        engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": busy_seconds})
        sa.event.listen(engine, "connect", _set_up)
        sa.event.listen(engine, "begin", _begin)
        super().__init__(engine, effect_log=effect_log, audit_key=audit_key)

    def _moment(self, connection: sa.Connection) -> str:
        # SQLite's 'now' stands still for one statement only; the merge needs one time for its transaction.
        return f"'{datetime.now(UTC).isoformat(timespec='microseconds')}'"

    def _holds(self, handle: bytes) -> sa.ColumnElement[bool]:
        return sa.func.instr(block.c.lines, handle) > 0

    def _make_staging(self, connection: sa.Connection, fields: int) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in staging_columns(fields)[1:])
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {self.dialect.staging}")
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE {self.dialect.staging} (lt_row integer PRIMARY KEY, {columns})"
        )

    def _stage(self, connection: sa.Connection, prepared: Prepared) -> None:
        national = prepared.batch.format
        columns = [name for name, _ in staging_columns(len(national.fields))]
        rows = staged_rows(prepared.rows, national, prepared.staged).rows()
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"DELETE FROM {self.dialect.staging}")
        connection.exec_driver_sql(
            f"INSERT INTO {self.dialect.staging} ({', '.join(columns)}) VALUES ({marks})", rows
        )

    def _total(self, columns: Sequence[str]) -> str:
        text = f" || char({ord(BETWEEN)}) || ".join(
            f"coalesce({one}, char({ord(MISSING)}))" for one in columns
        )
        return f"lt_total({text})"

    def _understand(self, error: Exception) -> LienthongError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        name = getattr(cause, "sqlite_errorname", "")
        if name.startswith(ROW):
            return Refused(Refusal(field="", detail=name))
        if name.startswith(WAIT) or isinstance(cause, sa.exc.TimeoutError):
            return TryAgain(
                f"national store: the file is locked, full or unreadable ({name or 'no free connection'})",
                next_step="see what else has the file open, and its disk; workers go on by themselves",
            )
        if "no such table" in str(cause) or "no such column" in str(cause) or "no column named" in str(cause):
            return StoreError("national store: a table or column is missing", next_step=MIGRATE)
        return StoreError(
            f"national store: {name or type(cause).__name__}", next_step="check LIENTHONG_STORE"
        )


class _Total:
    """The aggregate ``lt_total``: the exact sum of the hashes of texts, as a text."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, text: str) -> None:
        self._total += hash_of(text)

    def finalize(self) -> str:
        return str(self._total)


def _begin(connection: sa.Connection) -> None:
    """With the write lock, so that no statement finds it taken; not where a whole table is only read."""
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _set_up(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, with the write lock
    connection.create_function("md5", 1, md5_of, deterministic=True)
    connection.create_aggregate("lt_total", 1, _Total)
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _write_ahead(connection: Any) -> None:
    """Let readers and a writer work at once. The change of a new file's mode does not wait by itself."""
    for _ in range(JOURNAL_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            time.sleep(JOURNAL_WAIT_SECONDS)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")
