"""How a store writes what became of changes: receipts, rejects, and what waits behind them."""
# ruff: noqa: S608 (only names of our own tables and numbered placeholders are put into statements)

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa

from consumers import ddl
from consumers.merge_sql import Dialect
from consumers.receipts import Left, Parked, Receipt, Reject
from consumers.store_part import StorePart

_LEAVE = "DO NOTHING"
#: Refused in the same place for the same cause again: it was tried, or the log is read anew after a loss.
_OPEN_AGAIN = """(deployment, topic, "partition", "offset", rule, field, COALESCE(seq, -1)) DO UPDATE SET
    became = NULL, became_at = NULL, asked = NULL, correction = NULL, blocks = excluded.blocks,
    original = excluded.original, library = excluded.library, fingerprint = excluded.fingerprint
    WHERE lienthong_reject.became IS NOT NULL
        AND COALESCE(lienthong_reject.record_key, '') = COALESCE(excluded.record_key, '')"""


class Writings(StorePart):
    """Part of a ``SqlStore``: rows that go in beside the national ones, in the transaction of their batch."""

    dialect: ClassVar[Dialect]

    def note_left(self, left: Sequence[Left]) -> None:
        text = """
            INSERT INTO lienthong_left (system, dataset, source_key, format, lt_key)
            VALUES (:system, :dataset, :source_key, :format, :key) ON CONFLICT DO NOTHING"""
        rows = [_storable(one) for one in sorted(left, key=lambda one: (one.source_key, one.key))]
        with self._transaction() as connection:
            connection.execute(sa.text(text), rows)

    def _write_receipts(self, connection: sa.Connection, receipts: Sequence[Receipt]) -> None:
        self._insert(connection, "lienthong_receipt", [_storable(one) for one in receipts])

    def _write_refused(
        self, connection: sa.Connection, table: str, deployment: str, refused: Sequence[Reject | Parked]
    ) -> None:
        rows = [{"deployment": deployment, **_storable(one)} for one in refused]
        for row in rows:
            row["record_key"] = row.pop("key")
        self._insert(connection, table, rows, again=_OPEN_AGAIN if table == ddl.reject.name else _LEAVE)

    def _insert(
        self,
        connection: sa.Connection,
        table: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        again: str = _LEAVE,
    ) -> None:
        """Write rows of one shape, as of now; ``again``: what to do with one that is there already."""
        if not rows:
            return
        columns = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join([self.dialect.mark] * len(rows[0]))
        text = f"INSERT INTO {table} ({columns}, at) VALUES ({marks}, {self.now}) ON CONFLICT {again}"
        values = [tuple(row.values()) for row in rows]
        # One row goes as one statement: the driver's way for many costs more.
        connection.exec_driver_sql(text, values if len(values) > 1 else values[0])


def _storable(row: Receipt | Reject | Parked | Left) -> dict[str, Any]:
    """As parameters. A key of broken bytes must not stop the line a second time, now in the reject itself."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return {name: _clean(value) if isinstance(value, str) else value for name, value in values.items()}


def _clean(text: str) -> str:
    return (
        text
        if text.isascii() and "\0" not in text
        else text.replace("\0", "␀").encode("utf-8", "replace").decode()
    )
