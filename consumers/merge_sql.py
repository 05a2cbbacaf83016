"""The version gate as SQL, for PostgreSQL and SQLite alike.

Names of tables and columns come from national formats, whose loader allows letters, digits and ``_`` only;
values never enter these texts.
"""
# ruff: noqa: S608 (for that reason)

from collections.abc import Mapping
from dataclasses import dataclass

from consumers.ddl import column_name
from consumers.preparing import staged_fields
from schemas.formats import NationalFormat

WHOSE = ("lt_system", "lt_dataset", "lt_source_key")
#: By key, so locks are taken in one order; and so that what a merge tells can be told apart. The order of the
#: rows on their pages is another: a short row goes where a long one before it found no room.
IN_ORDER = "ORDER BY s.lt_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Where the two databases differ."""

    staging: str  #: the temporary table of a connection, for all formats: only as wide as the widest so far
    mark: str  #: placeholder of the driver
    telling: str  #: ``{merge}`` so that it gives, for each row it writes in turn, the version replaced or -1
    lock_left: str  #: clause that locks the rows of ``lienthong_left``, where rows can be locked
    committed_at: str  #: SQL of the time that ``s.lt_committed_ms`` means


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSql:
    """Statements for one format; each takes the first ``lt_row`` and the one behind the last.

    ``{now}`` stands for the transaction's time: the same in all statements of one transaction, so that
    ``losers`` can tell a row written just now from one that was there.
    """

    upsert: str
    delete: str
    losers: str  #: rows (lt_row, verdict) of the staged rows that the merge before did not write
    left: str  #: staged rows of records that may stand under another key, locked: see ``sql_store``
    bury: str  #: make a record's older row a tombstone; takes key, lt_row of the staged row, seq


def merge_sql(national: NationalFormat, dialect: Dialect) -> MergeSql:
    """Build the statements for one format."""
    table = national.table
    staging = dialect.staging
    names = [f'"{column_name(field)}"' for field in national.fields]
    fields = {name: f"s.{staged}" for name, staged in zip(names, staged_fields(len(names)), strict=True)}
    staged = f"FROM {staging} s WHERE s.lt_row >= {dialect.mark} AND s.lt_row < {dialect.mark}"
    return MergeSql(
        upsert=_upsert(table, staged, fields, dialect),
        delete=_delete(table, staged, dialect),
        losers=_losers(table, staged),
        left=_left(national, staging, dialect),
        bury=_bury(table, staging, dialect),
    )


def _same(columns: tuple[str, ...], other: str) -> str:
    return " AND ".join(f"t.{column} = {other}.{column}" for column in columns)


def _upsert(table: str, staged: str, fields: Mapping[str, str], dialect: Dialect) -> str:
    plain = ["lt_key", *WHOSE, "lt_seq", "lt_contract", "lt_warnings", "lt_overflow"]
    names = [*plain, *fields, "lt_committed_at", "lt_applied_at"]
    values = [*(f"s.{name}" for name in plain), *fields.values(), dialect.committed_at, "{now}"]
    changed = [f"{name} = excluded.{name}" for name in names[1:]] + ["lt_deleted_at = NULL"]
    # Of a tombstone that another record takes over, nothing was its own before.
    changed.append("lt_before = CASE WHEN t.lt_source_key = excluded.lt_source_key THEN t.lt_seq END")
    return (
        f"INSERT INTO {table} AS t ({', '.join(names)}) SELECT {', '.join(values)} {staged} {IN_ORDER}"
        f" ON CONFLICT (lt_key) DO UPDATE SET {', '.join(changed)}"
        # Its own holder, or the tombstone of another record of the same dataset, and older in any case.
        f" WHERE t.lt_seq < excluded.lt_seq AND {_same(WHOSE[:2], 'excluded')}"
        " AND (t.lt_source_key = excluded.lt_source_key OR t.lt_deleted_at IS NOT NULL)"
    )


def _delete(table: str, staged: str, dialect: Dialect) -> str:
    plain = [*WHOSE, "lt_seq", "lt_contract", "lt_warnings"]
    names = ["lt_key", *plain, "lt_committed_at", "lt_applied_at", "lt_deleted_at"]
    deleted_at = f"COALESCE({dialect.committed_at}, {{now}})"
    values = [f"s.{name}" for name in ("lt_key", *plain)] + [dialect.committed_at, "{now}", deleted_at]
    changed = [f"{name} = excluded.{name}" for name in names[1:-1]]
    # The fields keep their last values; a record deleted before keeps its date.
    changed += ["lt_deleted_at = COALESCE(t.lt_deleted_at, excluded.lt_deleted_at)", "lt_before = t.lt_seq"]
    # A delete that warns is of a record that may never have been here: then it leaves nothing.
    there = f"(s.lt_warnings IS NULL OR EXISTS (SELECT 1 FROM {table} h WHERE h.lt_key = s.lt_key))"
    return (
        f"INSERT INTO {table} AS t ({', '.join(names)}) SELECT {', '.join(values)} {staged} AND {there}"
        f" {IN_ORDER}"
        f" ON CONFLICT (lt_key) DO UPDATE SET {', '.join(changed)}"
        f" WHERE t.lt_seq < excluded.lt_seq AND {_same(WHOSE, 'excluded')}"
    )


def _losers(table: str, staged: str) -> str:
    same, written = _same(WHOSE, "s"), "t.lt_seq = s.lt_seq AND t.lt_applied_at = {now}"
    held = f"t.lt_key IS NULL OR NOT ({same})"
    verdict = f"CASE WHEN {held} THEN 'held' WHEN t.lt_seq = s.lt_seq THEN 'duplicate' ELSE 'stale' END"
    joined = staged.replace(" s WHERE", f" s LEFT JOIN {table} t ON t.lt_key = s.lt_key WHERE")
    return f"SELECT s.lt_row, {verdict} {joined} AND NOT COALESCE({same} AND {written}, false)"


def _left(national: NationalFormat, staging: str, dialect: Dialect) -> str:
    return (
        "SELECT s.lt_row, s.lt_key AS mine, s.lt_seq, l.*"
        f" FROM lienthong_left l JOIN {staging} s ON s.lt_system = l.system"
        " AND s.lt_dataset = l.dataset AND s.lt_source_key = l.source_key"
        f" WHERE l.format = '{national.full_id}' ORDER BY l.source_key, l.lt_key {dialect.lock_left}"
    )


def _bury(table: str, staging: str, dialect: Dialect) -> str:
    # Its version stays: what was said of it under this key may still be on its way, in another partition.
    return (
        f"UPDATE {table} AS t SET lt_applied_at = {{now}}, lt_deleted_at = {{now}}"
        f" WHERE t.lt_key = {dialect.mark} AND EXISTS"
        f" (SELECT 1 FROM {staging} s WHERE s.lt_row = {dialect.mark} AND {_same(WHOSE, 's')})"
        f" AND t.lt_seq < {dialect.mark} AND t.lt_deleted_at IS NULL RETURNING lt_seq"
    )
