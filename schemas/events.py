"""Change events as records to translate: which side of each event counts, and as what.

One event gives one record: ``after``, or ``before`` of a deletion. An event that may have moved a record to
another national key gives two: first the record as it was, to be deleted there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.cleaning import places
from schemas.contracts import COLUMN_TYPES, AvroType, Contract, LineSet, Status, typed
from schemas.errors import ContractError
from schemas.rules.lists import items_of

#: What becomes of a record. LIVE: upserted; GONE: deleted, by the event or by its status; OLD: deleted
#: where it was, if it has moved. For one target (``schemas.concern``) or inbound (``schemas.inbound``) also
#: LEFT: deleted, because it concerns the target no longer; AWAY: deleted if it is there, without an answer;
#: PASSED: nothing. Only LIVE and GONE can be refused.
LIVE, GONE, OLD, LEFT, AWAY, PASSED = range(6)

_MAIN = pl.Series([LIVE], dtype=pl.UInt8)
_PROBLEM = "*"  # no column is named so
#: Columns beside those of a contract, whose names never begin with a dot; TOLD and DELETED: see ``Records``.
TOLD, DELETED = ".told", ".deleted"
_OP, _STATUS, _BEFORE = ".op", ".status", ".before."
_NOT_MOVED = pl.lit(value=False).alias("moved")
_SEQ_DIGITS = 18  # more fit no column


def seq_of_header(told: bytes | None) -> int | None:
    """The sequence number that a record's header ``seq`` tells, readable even when its value is not."""
    return int(told) if told is not None and told.isdigit() and len(told) <= _SEQ_DIGITS else None


@dataclass(frozen=True, slots=True)
class Records:
    """Records in the order of their events; an OLD one stands right before the other of its event."""

    source: pl.DataFrame  #: what rules may read: ``Contract.readable``
    rows: pl.Series  #: UInt32: the event's ``__row``
    seq: pl.Series
    committed_ms: pl.Series
    roles: pl.Series  #: UInt8
    #: What is wrong with the events themselves: op, status column, set of lines -> rule.
    problems: Mapping[str, pl.Series]
    all_live: bool  #: every role is LIVE
    #: If a target concerns only some records: DELETED by the event; TOLD: it tells the version
    #: before, or that there was none; and of that version the columns that are asked.
    before: pl.DataFrame | None = None
    origin: pl.DataFrame | None = None  #: inbound: lt_system, lt_dataset, lt_source_key of each


class EventReader:
    """Reads the events of one contract. ``key_columns``: those that national keys come from."""

    def __init__(self, contract: Contract, key_columns: Collection[str]) -> None:
        self._contract = contract
        self._flags = [
            pl.col(_OP).is_in(["c", "u", "r", "d"]).fill_null(value=False).alias("known"),
            (pl.col(_OP) == "d").fill_null(value=False).alias("deleted"),
        ]
        if contract.status is not None:
            self._flags += _status_flags(contract, contract.status)
        changed = [pl.col(name).ne_missing(pl.col(_BEFORE + name)) for name in sorted(key_columns)]
        self._key_columns = sorted(key_columns)
        self._moved = (pl.col(_OP) != "d") & pl.col(TOLD) & pl.any_horizontal(changed)
        self._asked = sorted({target.only.column for target in contract.targets if target.only})

    def records(self, events: pl.DataFrame) -> Records:
        """The records of decoded envelopes with ``__row``.

        Raises ``ContractError`` if a column has another type than the contract says.
        """
        after = _columns(events["after"].struct.unnest(), self._contract)
        before = None
        if events["before"].null_count() < len(events):
            before = _columns(events["before"].struct.unnest(), self._contract)
        flags = self._flags_of(events, before, after)
        was = self._was(events, before) if self._asked else None
        origin = events["source"].struct.unnest()
        columns = [events["__row"], origin["seq"], origin["ts_ms"]]
        if flags["deleted"].any() or flags["moved"].any():
            if before is None:  # deletions that say nothing of what they delete
                before = after.clear(len(events))
            sides = _both_sides(flags.select("deleted", "moved").with_row_index("event"))
            source, event, roles = pl.concat([after, before])[sides["side"]], sides["event"], sides["role"]
            flags, all_live = flags[event], False
            was = was[event] if was is not None else None
            rows, seq, committed_ms = (column[event] for column in columns)
        else:
            source, roles, all_live = after, _MAIN.new_from_index(0, len(events)), True
            rows, seq, committed_ms = columns
        problems: dict[str, pl.Series] = {}
        if not flags["known"].all():
            problems["op"] = _problem(~flags["known"], "op_unknown")
        for name in (name for name, one in self._contract.lines.items() if one.one):
            problem = source.drop_in_place(f"{name}.{_PROBLEM}")
            refused = (roles == LIVE) & problem.is_not_null()
            if refused.any():
                problems[name] = _first(problems.get(name), problem.set(~refused, None))
        status = self._contract.status
        if status is not None and not flags["live"].all():
            # The status is not asked of deletions, nor of a record as it was before a move.
            gone = (roles == LIVE) & flags["gone"]
            unknown = (roles == LIVE) & ~flags["live"] & ~flags["gone"]
            if unknown.any():
                problem = _problem(unknown, "status_unknown")
                problems[status.column] = _first(problems.get(status.column), problem)
            roles = pl.select(pl.when(gone).then(pl.lit(GONE, pl.UInt8)).otherwise(roles)).to_series()
            all_live = all_live and not gone.any()
        return Records(source, rows, seq, committed_ms, roles, problems, all_live, was)

    def _was(self, events: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
        """``Records.before`` of each event. A version of which only the key is told is not told."""
        if before is None:
            before = _columns(pl.DataFrame(), self._contract).clear(len(events))
        more = [name for name in self._contract.on_wire if name not in self._contract.key]
        whole = pl.any_horizontal(pl.col(more).is_not_null()) if more else pl.lit(value=True)
        told = before.select(whole.alias(TOLD)).to_series() | (events["op"] == "c").fill_null(value=False)
        deleted = (events["op"] == "d").fill_null(value=False).alias(DELETED)
        return pl.DataFrame([told, deleted, *(before[name] for name in self._asked)])

    def _flags_of(
        self, events: pl.DataFrame, before: pl.DataFrame | None, after: pl.DataFrame
    ) -> pl.DataFrame:
        """One row for each event: known, deleted, moved (perhaps), and live and gone by its status."""
        columns, flags = [events["op"].alias(_OP)], [*self._flags, _NOT_MOVED]
        if self._contract.status is not None:
            columns.append(after[self._contract.status.column].alias(_STATUS))
        if before is not None:
            columns.append(events["before"].is_not_null().alias(TOLD))
            columns += [after[name] for name in self._key_columns]
            columns += [before[name].alias(_BEFORE + name) for name in self._key_columns]
            flags[-1] = self._moved.alias("moved")
        return pl.DataFrame(columns).select(flags)


def _status_flags(contract: Contract, status: Status) -> list[pl.Expr]:
    avro = contract.readable[status.column]
    return [
        pl.col(_STATUS)
        .is_in(typed(pl.Series(values, dtype=pl.String), avro).implode())
        .fill_null(value=False)
        .alias(name)
        for name, values in (("live", status.live), ("gone", status.gone))
    ]


def _both_sides(sides: pl.DataFrame) -> pl.DataFrame:
    """event, side (its place in all ``after``, then all ``before``) and role of each record, in order."""
    of_before = pl.col("event") + len(sides)
    main = sides.select(
        "event",
        pl.when("deleted").then(of_before).otherwise("event").alias("side"),
        pl.when("deleted").then(GONE).otherwise(LIVE).cast(pl.UInt8).alias("role"),
    )
    old = sides.filter("moved").select("event", of_before.alias("side"), pl.lit(OLD, pl.UInt8).alias("role"))
    return pl.concat([old, main]).sort("event", maintain_order=True)


def _columns(found: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """What rules may read; a column that the record's schema does not have yet is missing throughout."""
    there = {column.name: column for column in found.get_columns()}
    columns = []
    for name, avro in contract.on_wire.items():
        dtype = COLUMN_TYPES[avro]
        column = there.get(name)
        if column is None or column.dtype == pl.Null:
            column = pl.Series(name, [None], dtype).new_from_index(0, len(found))
        elif column.dtype == pl.Int64 and avro == "double":
            column = column.cast(dtype)  # written before the column became a double, as Avro lets it
        elif column.dtype != dtype:
            raise ContractError(
                f"{contract.id}: column {name} comes as {column.dtype}, the contract says {avro}",
                next_step="correct the contract's columns, or the schema that the producer registered",
            )
        columns.append(column)
    for name, one in contract.lines.items():
        if one.one:
            columns += _only_line(next(each for each in columns if each.name == name), one)
    return pl.DataFrame(columns)


def _only_line(texts: pl.Series, one: LineSet) -> list[pl.Series]:
    """The columns of the one line of each record, and what is wrong with its set: never a value guessed."""
    read = [[] if text is None else items_of(text) for text in texts.to_list()]
    problems = [
        "list_unreadable" if lines is None else "lines_several" if len(lines) > 1 else None for lines in read
    ]
    first = [lines[0] if lines else {} for lines in read]
    columns = []
    for column, avro in one.columns.items():
        said = pl.Series(f"{texts.name}.{column}", [line.get(column) for line in first], pl.String)
        value = typed(said, avro, strict=False)
        if value.null_count() > said.null_count():
            for at in places(value.is_null() & said.is_not_null()):
                problems[at] = "list_unreadable"
        columns.append(value)
    return [*columns, pl.Series(f"{texts.name}.{_PROBLEM}", problems, pl.String)]


def _problem(where: pl.Series, rule: str) -> pl.Series:
    return pl.select(pl.when(where).then(pl.lit(rule))).to_series()


def _first(earlier: pl.Series | None, problem: pl.Series) -> pl.Series:
    """Two problems under one name: a column may be called ``op`` too."""
    return problem if earlier is None else pl.select(pl.coalesce(earlier, problem)).to_series()


def event_frame(
    before: Sequence[Mapping[str, str | None] | None],
    after: Sequence[Mapping[str, str | None] | None],
    ops: Sequence[str],
    columns: Mapping[str, AvroType],
) -> pl.DataFrame:
    """Decoded envelopes made of texts, as ``Translator.translate`` takes them; ``__row`` is an event's place.

    Raises ``polars.exceptions.PolarsError`` if a text is none of its column's type.
    """

    def side(rows: Sequence[Mapping[str, str | None] | None]) -> pl.Series:
        typed = [
            _typed(name, [None if row is None else row.get(name) for row in rows], avro)
            for name, avro in columns.items()
        ]
        there = pl.Series([row is not None for row in rows], dtype=pl.Boolean)
        return pl.DataFrame(typed).select(pl.when(there).then(pl.struct(pl.all()))).to_series()

    return _envelopes(side(before), side(after), pl.Series(ops, dtype=pl.String))


def snapshot_frame(records: pl.DataFrame) -> pl.DataFrame:
    """Decoded envelopes of a snapshot of records (``Contract.on_wire``, typed); ``__row`` is their place."""
    count, after = len(records), records.to_struct()
    before = pl.Series([None], dtype=after.dtype).new_from_index(0, count)
    return _envelopes(before, after, pl.Series(["r"]).new_from_index(0, count))


def _envelopes(before: pl.Series, after: pl.Series, ops: pl.Series) -> pl.DataFrame:
    count = len(ops)
    source = {"seq": pl.Series(range(1, count + 1), dtype=pl.Int64), "ts_ms": pl.repeat(0, count, eager=True)}
    return pl.DataFrame(
        [
            before.alias("before"),
            after.alias("after"),
            pl.DataFrame(source).to_struct("source"),
            ops.alias("op"),
            pl.Series("__row", range(count), pl.UInt32),
        ]
    )


def misfit(
    before: Sequence[Mapping[str, str | None] | None],
    after: Sequence[Mapping[str, str | None] | None],
    columns: Mapping[str, AvroType],
) -> tuple[int, str]:
    """The first event that ``event_frame`` refuses, and the column that its text does not fit."""
    for at, sides in enumerate(zip(before, after, strict=True)):
        for name, avro in columns.items():
            try:
                _typed(name, [None if side is None else side.get(name) for side in sides], avro)
            except pl.exceptions.PolarsError:
                return at, name
    raise ValueError("every event fits its columns")


def _typed(name: str, texts: Sequence[str | None], avro: AvroType) -> pl.Series:
    return typed(pl.Series(name, texts, pl.String), avro)
