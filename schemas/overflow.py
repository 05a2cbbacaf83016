"""Overflow: what a source has and a national format has no place for, kept beside the record.

A source column that no rule of a target obtains a field from, and that is no key, goes whole into one text of
its records, ``lt_overflow``: canonical JSON (as RFC 8785 escapes it), an object without spaces, keys sorted,
each value as the source has it and not cleaned, what is null left out. A set of lines is the text that it is
on the wire, whole as soon as one of its columns has no place. Null: nothing is there.

Not kept: what a contract leaves out by a person's word (``left_out``), and anything of an inbound target,
whose receiver is someone else's system and must not get more than its layout asks for.
"""

import json
from collections.abc import Mapping, Sequence

import polars as pl

from schemas.cleaning import places, slices, spread
from schemas.contracts import AvroType, Contract, Target
from schemas.rules import Rule
from schemas.rules.lists import lists_in, read_whole
from schemas.rules.text import Split

_SPECIAL = r'["\\\x00-\x1f]'
_ESCAPES = {letter: json.dumps(letter)[1:-1] for letter in (*map(chr, range(32)), '"', "\\")}


def without_room(contract: Contract, target: Target) -> Sequence[str]:
    """The columns of a contract that are no key and that no rule of a target obtains a field from.

    In the contract's order; a set that has one line counts by the columns of that line. Of any other column
    of JSON nobody knows all keys, so that a list made of it is no place for it. What only chooses records or
    warns (status, ``only``, ``unless``, checks) obtains nothing; but where one value alone lets a
    record in, that it is there tells the value.
    """
    used = set(contract.key)
    if contract.status and len(contract.status.live) == 1:
        used.add(contract.status.column)
    if target.only and len(target.only.is_) == 1:
        used.add(target.only.column)
    items: dict[str, set[str]] = {}
    for rule in target.rules.values():
        used |= read_whole(rule)
        for _, one in lists_in(rule):
            items.setdefault(one.from_, set()).update(*map(read_whole, one.fields.values()))
    for name, lines in contract.lines.items():
        in_items = lines.columns.keys() if name in used else items.get(name, set())
        if lines.one:
            used |= {name, *(f"{name}.{column}" for column in in_items)}
        elif in_items >= lines.columns.keys():
            used.add(name)
    return [column for column in contract.readable if column not in used]


def kept_columns(contract: Contract, target: Target) -> Sequence[str]:
    """Of the columns without room, those that are kept beside the target's records."""
    if contract.source is not None:
        return []
    return [column for column in without_room(contract, target) if column not in contract.left_out]


def left_columns(contract: Contract, target: Target) -> Sequence[str]:
    """Of the columns without room, those that the contract leaves out by name."""
    return [column for column in without_room(contract, target) if column in contract.left_out]


def lossy_columns(contract: Contract, target: Target) -> Sequence[str]:
    """The columns that a target's rules read, but none so that its values always tell the column again.

    A column without room is none of them: what becomes of it is told by its name.
    """
    readers: dict[str, list[Rule]] = {}
    for rule in target.rules.values():
        for column in rule.sources():
            readers.setdefault(column, []).append(rule)
    there = readers.keys() - {*contract.key, *without_room(contract, target)}
    return [column for column in contract.readable if column in there and not _told_again(readers[column])]


def _told_again(readers: Sequence[Rule]) -> bool:
    """Whether the values of these rules tell what their one column said; parts do so together."""
    parts = {(rule.separator, rule.part) for rule in readers if isinstance(rule, Split)}
    whole = any({(one, "first"), (one, "rest")} <= parts for one, _ in parts)
    return whole or any(not rule.lossy for rule in readers)


class Overflow:
    """The text of the columns that are kept, compiled. ``columns``: at least one."""

    def __init__(self, columns: Mapping[str, AvroType]) -> None:
        names = sorted(columns)
        self._columns = names
        self._texts = [name for name in names if columns[name] == "string"]
        members = [_member(name, columns[name]) for name in names]
        joined = pl.concat_str(members, separator=",", ignore_nulls=True)
        there = pl.any_horizontal(pl.col(names).is_not_null())
        whole = pl.when(there).then(pl.concat_str(pl.lit("{"), joined, pl.lit("}")))
        self._whole = whole.alias("lt_overflow")

    def of(self, source: pl.DataFrame) -> pl.Series:
        """``lt_overflow`` of records, String. ``source``: what rules may read of them."""
        frame = source.select(self._columns)
        if self._texts and len(frame):
            # One long column instead of many: nearly no text needs an escape, and one pass tells which.
            long = pl.concat([frame[name].alias("x") for name in self._texts], rechunk=True)
            special = places(long.str.contains(_SPECIAL))
            if len(special):
                escaped = long[special].to_frame().select(pl.col("x").str.replace_many(_ESCAPES)).to_series()
                texts = slices(spread(long, special, escaped), len(self._texts))
                frame = frame.with_columns(map(pl.Series.alias, texts, self._texts))
        return frame.select(self._whole).to_series()


def _member(name: str, avro: AvroType) -> pl.Expr:
    """``"name":value`` of each record, or null; texts are escaped already."""
    value = pl.col(name)
    head = f"{json.dumps(name, ensure_ascii=False)}:"
    if avro == "string":
        return pl.concat_str(pl.lit(f'{head}"'), value, pl.lit('"'))
    text = value.cast(pl.String)  # also of a Boolean: true, false
    if avro == "double":  # JSON has no number for these
        text = pl.when(value.is_finite()).then(text).otherwise(pl.concat_str(pl.lit('"'), text, pl.lit('"')))
    return pl.concat_str(pl.lit(head), text)
