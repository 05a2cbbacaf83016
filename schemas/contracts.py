"""Contracts: ``contracts/<system>/<dataset>.yaml`` says who owns a provincial dataset, what its records
look like, and how each field of one or several national formats is obtained from them.

Rules are data. What a contract does not map stays missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import polars as pl
from pydantic import Field

from schemas.documents import Strict
from schemas.rules import Check, Rule, Unless

AvroType = Literal["string", "long", "double", "boolean"]

#: What a source column is in a Polars frame.
COLUMN_TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
}

_BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}  # Polars casts no text to a boolean

#: Where a change came from: field and Avro type of the envelope's ``source``.
SOURCE_FIELDS: tuple[tuple[str, str], ...] = (
    ("version", "string"),
    ("connector", "string"),
    ("name", "string"),  # the system
    ("ts_ms", "long"),  # time of the change at the source, ms since 1970
    ("snapshot", "string"),  # "true" or "false"
    ("db", "string"),
    ("table", "string"),
    ("dataset", "string"),
    ("seq", "long"),  # counts the dataset's changes, without gaps
)


class Status(Strict):
    """The source's soft status: which records are in force."""

    column: str
    live: tuple[str, ...] = Field(min_length=1)  #: values of records in force
    gone: tuple[str, ...] = ()  #: values of records that count as deleted; any other value is a problem
    basis: str | None = None


class Only(Strict):
    """Which records a target concerns. Nobody says anything to it of the others."""

    column: str
    is_: tuple[str, ...] = Field(alias="is", min_length=1)  #: values of those it concerns


class Promise(Strict):
    """How soon a change is in the national store, as agreed with the agency."""

    seconds: float = Field(default=60, gt=0)  #: from the change at the source to the store's commit …
    share: float = Field(default=0.99, gt=0, lt=1)  #: … for this share of all changes


class LineSet(Strict):
    """Rows of another table that belong to a record: captured with it, one text on the wire."""

    table: str = Field(min_length=1)  #: the source's own name for it
    on: Mapping[str, str] = Field(min_length=1)  #: column of the lines -> column of the record that it equals
    order: tuple[str, ...] = ()  #: columns of the lines that put them in order, captured or not
    columns: Mapping[str, AvroType] = Field(min_length=1)  #: what is captured of a line, in order
    one: bool = False  #: a record has one line at most, whose columns are read as ``<name>.<column>``


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One national format that a dataset feeds."""

    format: str  #: its full id
    rules: Mapping[str, Rule]  #: by national field
    checks: tuple[Check, ...]
    #: Datasets that feed the format too and, by a person's word, never hold the same records.
    beside: tuple[str, ...] = ()
    only: Only | None = None  #: the records it concerns; None: all


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What one provincial dataset promises; or, inbound, how a national format comes back to a province."""

    system: str
    dataset: str
    version: int  #: of the contract itself, counted up with each change of its rules
    owner: str  #: the agency that answers for the data
    title: str
    table: str  #: the source's own name for it
    key: tuple[str, ...]  #: source columns that name a record
    columns: Mapping[str, AvroType]  #: every source column, in order
    status: Status | None
    missing: tuple[str, ...]  #: texts that say "nothing is known", in small letters; case does not count
    targets: tuple[Target, ...]
    lines: Mapping[str, LineSet] = field(default_factory=dict)  #: sets of rows of other tables, by name
    #: Columns that are not kept where a format has no place for them, and why: see ``overflow``.
    left_out: Mapping[str, str] = field(default_factory=dict)
    source: str | None = None  #: inbound: full id of the national format that it reads; its columns, its key
    not_from: tuple[str, ...] = ()  #: inbound: systems whose changes it passes over, besides its own
    promise: Promise = field(default_factory=Promise)

    @property
    def id(self) -> str:
        """``hotich_qnam/khaisinh``."""
        return f"{self.system}/{self.dataset}"

    @property
    def topic(self) -> str:
        """The Kafka topic of the changes that it reads."""
        return f"national.{self.source}" if self.source else f"province.{self.system}.{self.dataset}"

    def target(self, full_id: str) -> Target:
        """What it obtains for a national format that it feeds."""
        return next(one for one in self.targets if one.format == full_id)

    @property
    def subject(self) -> str:
        """The registry's name of their schema."""
        return f"{self.topic}-value"

    @cached_property
    def on_wire(self) -> Mapping[str, AvroType]:
        """What an image of a record holds: its columns, then each set of lines as one text."""
        return _on_wire(self.columns, self.lines)

    @cached_property
    def readable(self) -> Mapping[str, AvroType]:
        """What rules may read: all that is on the wire, and the columns of sets that have one line."""
        return readable(self.columns, self.lines)

    @cached_property
    def envelope_schema(self) -> dict[str, Any]:
        """Avro schema of a change event, in Debezium's shape: before, after, source, op, ts_ms. Not inbound.

        A set of lines is one string: a JSON array of objects in the set's order, keys in the order of its
        columns, what is missing left out. Null: nothing is told of them.
        """
        columns = [{"name": n, "type": ["null", t], "default": None} for n, t in self.on_wire.items()]
        value = {"type": "record", "name": "Value", "fields": columns}
        source = {
            "type": "record",
            "name": "Source",
            "fields": [{"name": name, "type": avro} for name, avro in SOURCE_FIELDS],
        }
        fields = [
            {"name": "before", "type": ["null", value], "default": None},
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "source", "type": source},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": "long"},
        ]
        return {"type": "record", "name": "Envelope", "namespace": self.topic, "fields": fields}


def _on_wire(columns: Mapping[str, AvroType], lines: Mapping[str, LineSet]) -> Mapping[str, AvroType]:
    return {**columns, **dict.fromkeys(lines, "string")}


def readable(columns: Mapping[str, AvroType], lines: Mapping[str, LineSet]) -> Mapping[str, AvroType]:
    """See ``Contract.readable``."""
    only = {
        f"{name}.{column}": avro
        for name, one in lines.items()
        if one.one
        for column, avro in one.columns.items()
    }
    return {**_on_wire(columns, lines), **only}


def typed(texts: pl.Series, avro: AvroType, *, strict: bool = True) -> pl.Series:
    """Texts as values of a column; a boolean is ``true`` or ``false`` and nothing else.

    Raises ``polars.exceptions.PolarsError`` if a text is no such value; if not ``strict``, it gives null.
    """
    if avro != "boolean":
        return texts.cast(COLUMN_TYPES[avro], strict=strict)
    if strict:
        return texts.replace_strict(_BOOLEANS, return_dtype=pl.Boolean)
    return texts.replace_strict(_BOOLEANS, default=None, return_dtype=pl.Boolean)


def columns_of(names: Sequence[str], rules: Mapping[str, Rule]) -> frozenset[str]:
    """The source columns that national fields are obtained from, directly or through other fields."""
    found: set[str] = set()
    for rule in (rules[name] for name in names if name in rules):
        found |= set(rule.sources())
        if isinstance(rule.required, Unless):
            found.add(rule.required.unless)
        found |= columns_of([other.field for other in rule.others().values()], rules)
    return frozenset(found)
