"""Change events as records to translate: which side of each event counts, and as what.

One event gives one record: ``after``, or ``before`` of a deletion. An event that may have moved a record to
another national key gives two: first the record as it was, to be deleted there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from schemas.contracts import COLUMN_TYPES, Contract
from schemas.errors import ContractError

#: What becomes of a record. LIVE: upserted; GONE: deleted, by the event or by its status; OLD: deleted
#: where it was, if it has moved.
LIVE, GONE, OLD = 0, 1, 2

_KNOWN_OP = pl.col("op").is_in(["c", "u", "r", "d"]).fill_null(value=False)
_DELETED = (pl.col("op") == "d").fill_null(value=False).alias("deleted")


@dataclass(frozen=True, slots=True)
class Records:
    """Records in the order of their events; an OLD one stands right before the other of its event."""

    source: pl.DataFrame  #: the contract's columns
    rows: pl.Series  #: UInt32: the event's ``__row``
    seq: pl.Series
    committed_ms: pl.Series
    roles: pl.Series  #: UInt8
    problems: Mapping[str, pl.Series]  #: what is wrong with the events themselves: op, status column -> rule
    all_live: bool  #: every role is LIVE


class EventReader:
    """Reads the events of one contract. ``key_columns``: those that national keys come from."""

    def __init__(self, contract: Contract, key_columns: Collection[str]) -> None:
        self._contract = contract
        self._key_columns = sorted(key_columns)
        self._main = pl.Series([LIVE], dtype=pl.UInt8)
        status = contract.status
        self._status: list[pl.Expr] = []
        if status is not None:
            dtype = COLUMN_TYPES[contract.columns[status.column]]
            for name, values in (("live", status.live), ("gone", status.gone)):
                listed = pl.Series(values, dtype=pl.String).cast(dtype).implode()
                self._status.append(pl.col(status.column).is_in(listed).fill_null(value=False).alias(name))

    def records(self, events: pl.DataFrame) -> Records:
        """The records of decoded envelopes with ``__row``.

        Raises ``ContractError`` if a column has another type than the contract says.
        """
        source, take, roles = self._sides(events)
        origin = events["source"].struct.unnest()
        envelope = pl.DataFrame([events["__row"], events["op"], origin["seq"], origin["ts_ms"]])
        if take is not None:
            envelope = envelope[take]
        problems: dict[str, pl.Series] = {}
        all_live = take is None
        wrong_op = envelope.select(~_KNOWN_OP).to_series()
        if wrong_op.any():
            problems["op"] = _problem(wrong_op, "op_unknown")
        if self._contract.status is not None:
            roles, gone = self._with_status(source, roles, self._contract.status.column, problems)
            all_live = all_live and not gone
        rows, _, seq, committed_ms = envelope.get_columns()
        return Records(source, rows, seq, committed_ms, roles, problems, all_live)

    def _sides(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series | None, pl.Series]:
        """The records' columns, the event of each (None: one each, in order), and roles without status."""
        count = len(events)
        after = _columns(events["after"].struct.unnest(), self._contract)
        before = _columns(events["before"].struct.unnest(), self._contract)
        sides = events.select(_DELETED)
        if events["before"].null_count() < count:
            changed = [pl.lit(before[name].ne_missing(after[name])) for name in self._key_columns]
            moved = ~_DELETED & pl.col("before").is_not_null() & pl.any_horizontal(changed)
            sides = events.select(_DELETED, moved.alias("moved"))
        if not any(side.any() for side in sides):
            return after, None, self._main.new_from_index(0, count)
        both = _both_sides(sides.with_row_index("event"), count)
        return pl.concat([after, before])[both["side"]], both["event"], both["role"]

    def _with_status(
        self, source: pl.DataFrame, roles: pl.Series, column: str, problems: dict[str, pl.Series]
    ) -> tuple[pl.Series, bool]:
        """Roles after the soft status, and whether one is gone by it.

        The status is not asked of deletions, nor of a record as it was before a move.
        """
        live, gone = source.select(self._status)
        if live.all():
            return roles, False
        asked = (roles == LIVE) & ~live
        unknown = asked & ~gone
        if unknown.any():
            problems[column] = _problem(unknown, "status_unknown")
        gone &= asked
        return pl.select(pl.when(gone).then(pl.lit(GONE, pl.UInt8)).otherwise(roles)).to_series(), bool(
            gone.any()
        )


def _both_sides(sides: pl.DataFrame, count: int) -> pl.DataFrame:
    """event, side (its place in all ``after``, then all ``before``) and role of each record, in order."""
    of_before = pl.col("event") + count
    main = sides.select(
        "event",
        pl.when("deleted").then(of_before).otherwise("event").alias("side"),
        pl.when("deleted").then(GONE).otherwise(LIVE).cast(pl.UInt8).alias("role"),
    )
    if "moved" not in sides.columns:
        return main
    old = sides.filter("moved").select("event", of_before.alias("side"), pl.lit(OLD, pl.UInt8).alias("role"))
    return pl.concat([old, main]).sort("event", maintain_order=True)


def _columns(found: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The contract's columns; one that the record's schema does not have yet is missing throughout."""
    there = {column.name: column for column in found.get_columns()}
    columns = []
    for name, avro in contract.columns.items():
        dtype = COLUMN_TYPES[avro]
        column = there.get(name)
        if column is None or column.dtype == pl.Null:
            column = pl.Series(name, [None], dtype).new_from_index(0, len(found))
        elif column.dtype != dtype:
            raise ContractError(
                f"{contract.id}: column {name} comes as {column.dtype}, the contract says {avro}",
                next_step="correct the contract's columns, or the schema that the producer registered",
            )
        columns.append(column)
    return pl.DataFrame(columns)


def _problem(where: pl.Series, rule: str) -> pl.Series:
    return pl.select(pl.when(where).then(pl.lit(rule))).to_series()
