"""The national store on PostgreSQL: COPY into a temporary table, then one version-gated merge.

What the server should have besides its defaults, measured in ``tests/benchmarks``: nothing is needed; room
in ``shared_buffers`` and ``max_wal_size`` helps a first snapshot. ``synchronous_commit`` is set on here: a
receipt must not be published for a row that a power cut takes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from consumers.audit_key import AuditKey
from consumers.audit_tables import block
from consumers.merge_sql import Dialect
from consumers.outcomes import Refusal
from consumers.preparing import staging_columns
from consumers.sql_proofs import ProvingStore
from consumers.sql_store import MIGRATE, Refused
from consumers.store import Prepared, StoreError
from schemas.errors import LienthongError, TryAgain
from schemas.sums import BETWEEN, MISSING

#: Error classes (first two characters of SQLSTATE) that waiting may mend, and what to say.
WAIT = {
    "08": "the connection was lost",
    "25": "the database is read-only now, or the transaction sat idle for too long",
    "40": "another transaction came in between",
    "53": "the database has run out of disk, memory or connections",
    "55": "the rows are locked by another program",
    "57": "the database is stopping, starting, or took too long",
    "58": "the database's machine reports an error",
}
#: Those that the content of a row causes: data, constraint, size of an index entry, view check, a trigger.
ROW = ("22", "23", "44", "54", "P0")
DATABASE_AWAY_SECONDS = 1.0
UNHURRIED = "30min"  #: for statements that read a whole table


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Bounds that keep a stuck database from holding a worker for ever."""

    connect_seconds: int = 5
    lock_seconds: float = 10.0  #: another program's lock; below the worker's watchdog
    statement_seconds: float = 30.0  #: one COPY, merge or read
    idle_in_transaction_seconds: float = 60.0  #: above the longest wait for Kafka while publishing receipts
    dead_peer_seconds: int = 20  #: a machine that vanished without a word


class PostgresStore(ProvingStore):
    """See ``consumers.store``, ``consumers.repairs``, ``consumers.store_look`` and ``consumers.proofs``."""

    now = "now()"  # of the transaction: the same in each of its statements
    ten_minutes_ago = "now() - interval '10 minutes'"
    hour_ago = "now() - interval '1 hour'"
    clock = "clock_timestamp()"
    longest = (
        "coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'lienthong' AND state = 'active'"
        " AND pid <> pg_backend_pid()"
    )
    limits = "SET LOCAL statement_timeout = '5s'"
    for_update = "FOR UPDATE OF l"
    dialect = Dialect(
        staging="pg_temp.lt_stage",
        mark="%s",
        # In one text: a value for each row would cost more than the merge.
        telling="WITH merged AS ({merge} RETURNING t.lt_before)"
        " SELECT string_agg(COALESCE(lt_before, -1)::text, ',') FROM merged",
        lock_left="FOR UPDATE OF l",
        committed_at="to_timestamp(s.lt_committed_ms * 0.001::float8)",
    )
    driver_error = psycopg.Error

    def __init__(
        self,
        url: sa.URL,
        *,
        effect_log: bool = False,
        audit_key: AuditKey | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        limits = timeouts or Timeouts()
        engine = sa.create_engine(
            url,
            # All are kept: one above a pool's size is opened, set up and closed again for each transaction.
            pool_size=24,  # above the threads that any process has for its store: as many as work are opened
            max_overflow=0,
            pool_use_lifo=True,  # one that knows the tables and statements already
            pool_timeout=10,
            hide_parameters=True,  # an error's text must not show a person's row
            connect_args={
                "connect_timeout": limits.connect_seconds,
                "application_name": "lienthong",
                "keepalives_idle": limits.dead_peer_seconds,
                "tcp_user_timeout": limits.dead_peer_seconds * 1000,
            },
        )
        sa.event.listen(engine, "connect", lambda connection, _: _set_up(connection, limits))
        super().__init__(engine, effect_log=effect_log, audit_key=audit_key)

    def _judge_at_once(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def _lock_migration(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('lienthong store migrate'))")

    def _only_sealer(self, connection: sa.Connection) -> bool:
        lock = "SELECT pg_try_advisory_xact_lock(hashtext('lienthong audit seal'))"
        return bool(connection.exec_driver_sql(lock).scalar_one())

    def _holds(self, handle: bytes) -> sa.ColumnElement[bool]:
        return sa.func.position(sa.literal(handle).op("IN")(block.c.lines)) > 0

    def _make_staging(self, connection: sa.Connection, fields: int) -> None:
        columns = ", ".join(f"{name} {kind}" for name, kind in staging_columns(fields))
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {self.dialect.staging}")
        connection.exec_driver_sql(
            # DELETE ROWS, not a DELETE: dead rows would halve the speed. Long rows stay whole on their page.
            f"CREATE TEMPORARY TABLE {self.dialect.staging} ({columns})"
            " WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS"
        )

    def _stage(self, connection: sa.Connection, prepared: Prepared) -> None:
        columns = ", ".join(name for name, _ in staging_columns(len(prepared.batch.format.fields)))
        text = f"COPY {self.dialect.staging} ({columns}) FROM STDIN (FORMAT csv)"
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        with driver.cursor() as cursor, cursor.copy(text.encode()) as copy:
            copy.write(prepared.csv)

    def _total(self, columns: Sequence[str]) -> str:
        text = f"array_to_string(ARRAY[{', '.join(columns)}], chr({ord(BETWEEN)}), chr({ord(MISSING)}))"
        return f"sum(('x' || substr(md5({text}), 1, 16))::bit(64)::bigint)::text"

    def _keep_alone(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("LOCK TABLE lienthong_proof_bucket IN SHARE ROW EXCLUSIVE MODE")

    def _take_time(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{UNHURRIED}'")

    def _drop_if_dead(self, connection: sa.Connection) -> None:
        if not connection.invalidated and getattr(connection.connection.driver_connection, "closed", True):
            connection.invalidate()

    def _understand(self, error: Exception) -> LienthongError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
        if not isinstance(cause, psycopg.Error) or state is None:
            return _without_state(cause)
        if state[:2] in ROW:
            diagnosis = cause.diag
            name = diagnosis.constraint_name or ""
            detail = f"SQLSTATE {state} {name}".strip()
            return Refused(Refusal(field=diagnosis.column_name or "", detail=detail))
        if state[:2] in WAIT:
            return _try_again(f"{WAIT[state[:2]]} (SQLSTATE {state})", "see the database's log")
        return _needs_a_person(state, cause)


def _set_up(connection: Any, limits: Timeouts) -> None:
    settings = {
        "lock_timeout": f"{limits.lock_seconds:g}s",
        "statement_timeout": f"{limits.statement_seconds:g}s",
        "idle_in_transaction_session_timeout": f"{limits.idle_in_transaction_seconds:g}s",
        "synchronous_commit": "on",
        "temp_buffers": "32MB",  # a batch of wide rows stays in memory
        "jit": "off",  # compiling a merge costs more than a batch
        "timezone": "UTC",
    }
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        encoding = cursor.execute("SHOW server_encoding").fetchone()
    connection.commit()
    if encoding != ("UTF8",):
        connection.close()  # the pool does not know it yet
        raise StoreError(
            "the national store's database cannot hold Vietnamese text: its encoding is not UTF8",
            next_step="make one with ENCODING 'UTF8' TEMPLATE template0, and correct LIENTHONG_STORE",
        )


def _try_again(what: str, next_step: str) -> TryAgain:
    return TryAgain(
        f"national store: {what}",
        next_step=f"{next_step}; workers go on by themselves when it answers",
        retry_after_seconds=DATABASE_AWAY_SECONDS,
    )


def _without_state(cause: BaseException | None) -> LienthongError:
    """Errors before or beside the server's answer: no connection, no free connection, a broken one."""
    text = str(cause)
    if "does not exist" in text:
        return StoreError(
            "national store: the database or the user named in LIENTHONG_STORE does not exist",
            next_step="create it, or correct LIENTHONG_STORE; then: " + MIGRATE,
        )
    if "authentication failed" in text or "no password supplied" in text:
        return StoreError(
            "national store: the database refuses the login", next_step="correct LIENTHONG_STORE"
        )
    return _try_again("no connection", "start the database, or correct LIENTHONG_STORE")


def _needs_a_person(state: str, cause: psycopg.Error) -> LienthongError:
    if state in ("42P01", "42703", "3F000"):
        return StoreError(
            f"national store: a table or column is missing (SQLSTATE {state})", next_step=MIGRATE
        )
    if state == "42501":
        return StoreError(
            "national store: the user of LIENTHONG_STORE lacks a right (SQLSTATE 42501)",
            next_step="grant SELECT, INSERT, UPDATE on its tables, and TEMPORARY on the database",
        )
    if state in ("3D000", "28000", "28P01"):
        return _without_state(cause)
    return StoreError(
        f"national store: SQLSTATE {state} ({type(cause).__name__})", next_step="see the database's log"
    )
