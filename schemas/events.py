"""Change events as records to translate: which side of each event counts, and as what.

One event gives one record: ``after``, or ``before`` of a deletion. An event that may have moved a record to
another national key gives two: first the record as it was, to be deleted there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from schemas.contracts import COLUMN_TYPES, Contract, Status
from schemas.errors import ContractError

#: What becomes of a record. LIVE: upserted; GONE: deleted, by the event or by its status; OLD: deleted
#: where it was, if it has moved.
LIVE, GONE, OLD = 0, 1, 2

_OPS = ("c", "u", "r", "d")


@dataclass(frozen=True, slots=True)
class Records:
    """Records in the order of their events, an OLD one right before the LIVE or GONE one of the same event."""

    source: pl.DataFrame  #: the contract's columns
    rows: pl.Series  #: UInt32: the event's ``__row``
    seq: pl.Series
    committed_ms: pl.Series
    roles: pl.Series  #: UInt8
    problems: Mapping[str, pl.Series]  #: what is wrong with the events themselves: op, status column -> rule
    all_live: bool  #: every role is LIVE


def records_of(events: pl.DataFrame, contract: Contract, key_columns: Collection[str]) -> Records:
    """The records of decoded envelopes with ``__row``. ``key_columns``: those that national keys come from.

    Raises ``ContractError`` if a column has another type than the contract says.
    """
    source, take, roles = _sides(events, contract, key_columns)
    envelope = events.select("__row", "op").hstack(events["source"].struct.unnest().select("seq", "ts_ms"))
    if take is not None:
        envelope = envelope[take]
    problems: dict[str, pl.Series] = {}
    known = envelope["op"].is_in(_OPS)
    if not known.all():
        problems["op"] = _problem(~known.fill_null(value=False), "op_unknown")
    all_live = take is None
    if contract.status is not None:
        roles, all_live = _with_status(source, roles, all_live, contract.status, problems)
    return Records(source, envelope["__row"], envelope["seq"], envelope["ts_ms"], roles, problems, all_live)


def _sides(
    events: pl.DataFrame, contract: Contract, key_columns: Collection[str]
) -> tuple[pl.DataFrame, pl.Series | None, pl.Series]:
    """The records' columns, the event of each (None: one each, in order), and their roles without status."""
    count = len(events)
    after = _columns(events["after"].struct.unnest(), contract)
    deleted = (events["op"] == "d").fill_null(value=False)
    with_before = events["before"].is_not_null()
    moved = with_before & ~deleted
    before = None
    if with_before.any():
        before = _columns(events["before"].struct.unnest(), contract)
        differs = pl.zeros(count, pl.Boolean, eager=True)
        for name in key_columns:
            differs |= before[name].ne_missing(after[name])
        moved &= differs
    if before is None and deleted.any():
        before = after.clear(count)  # a deletion that says nothing of what it deletes
    if before is None or not (deleted.any() or moved.any()):
        return after, None, pl.zeros(count, pl.UInt8, eager=True)
    index = pl.int_range(count, eager=True)
    main = pl.DataFrame({"event": index, "deleted": deleted}).select(
        "event",
        side=pl.when("deleted").then(pl.col("event") + count).otherwise("event"),
        role=pl.when("deleted").then(GONE).otherwise(LIVE),
    )
    old = (
        index.filter(moved).to_frame("event").select("event", side=pl.col("event") + count, role=pl.lit(OLD))
    )
    both = pl.concat([old, main], how="vertical_relaxed").sort("event", maintain_order=True)
    return pl.concat([after, before])[both["side"]], both["event"], both["role"].cast(pl.UInt8)


def _columns(found: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The contract's columns; one that the record's schema does not have yet is missing throughout."""
    columns = []
    for name, avro in contract.columns.items():
        dtype = COLUMN_TYPES[avro]
        if name not in found.columns:
            columns.append(pl.Series(name, [None], dtype).new_from_index(0, len(found)))
        elif found.schema[name] in (dtype, pl.Null):
            columns.append(found[name].cast(dtype))
        else:
            raise ContractError(
                f"{contract.id}: column {name} comes as {found.schema[name]}, the contract says {avro}",
                next_step="correct the contract's columns, or the schema that the producer registered",
            )
    return pl.DataFrame(columns)


def _with_status(
    source: pl.DataFrame, roles: pl.Series, all_live: bool, status: Status, problems: dict[str, pl.Series]
) -> tuple[pl.Series, bool]:
    """Roles after the soft status. It is not asked of deletions, nor of a record as it was before a move."""
    value = source[status.column]
    live = value.is_in(pl.Series(status.live).cast(value.dtype).implode()).fill_null(value=False)
    if live.all():
        return roles, all_live
    asked = (roles == LIVE) & ~live
    gone = asked & value.is_in(pl.Series(status.gone, dtype=pl.String).cast(value.dtype).implode())
    unknown = asked & ~gone.fill_null(value=False)
    if unknown.any():
        problems[status.column] = _problem(unknown, "status_unknown")
    roles = pl.select(pl.when(gone).then(pl.lit(GONE, pl.UInt8)).otherwise(roles)).to_series()
    return roles, all_live and not gone.any()


def _problem(where: pl.Series, rule: str) -> pl.Series:
    return pl.select(pl.when(where).then(pl.lit(rule))).to_series()
