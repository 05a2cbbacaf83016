"""Translation of a batch of change events into national changes, whole columns at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.cleaning import Cleaner, spread
from schemas.contracts import Contract
from schemas.events import LIVE, OLD, EventReader, Records
from schemas.library import Library
from schemas.national import NO_WARNINGS, JoinedKey, National
from schemas.plan import Obtained
from schemas.rules import Given

_NO_PROBLEMS = pl.DataFrame(schema={"at": pl.UInt32, "field": pl.String, "rule": pl.String})

NO_REJECTS = pl.DataFrame(
    schema={
        "__row": pl.UInt32,
        "lt_seq": pl.Int64,
        "lt_source_key": pl.String,
        "field": pl.String,
        "rule": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of a batch. Every ``__row`` of it is in ``rejects`` or, at least once, in each target."""

    #: By target's full id: the wire's columns and ``__row``, in the order of the events. Two changes of one
    #: event stand together, the delete first.
    national: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame  #: __row UInt32, lt_seq Int64, lt_source_key, field, rule String: the first problem
    warnings: pl.DataFrame  #: __row UInt32, field, rule String


class Translator:
    """A contract compiled. Pure; may be used again and by several threads."""

    def __init__(self, contract: Contract, library: Library) -> None:
        self._cleaner = Cleaner(contract.missing)
        given = Given(library.codes, self._cleaner.missing)
        self._targets = [
            National(contract, target, library.formats[target.format], given) for target in contract.targets
        ]
        steps = [step for target in contract.targets for step in (*target.rules.values(), *target.checks)]
        self._texts = tuple(dict.fromkeys(name for step in steps for name in step.sources()))
        keys = frozenset[str]().union(*(target.plan.key_columns for target in self._targets))
        self._reader = EventReader(contract, keys)
        self._source_key = JoinedKey(contract.key, contract.columns)

    def translate(self, frame: pl.DataFrame) -> Translated:
        """Translate decoded envelopes: the columns of the contract's envelope schema, and ``__row``.

        Raises ``ContractError`` if a column has another type than the contract says.
        """
        records = self._reader.records(frame)
        texts = self._cleaner.clean({name: _text(records.source[name]) for name in self._texts})
        source_keys = self._source_key.of(records.source)
        obtained = [target.plan.run(texts, records.source) for target in self._targets]
        problems = [
            _first_problems(one, records, target.format.key)
            for one, target in zip(obtained, self._targets, strict=True)
        ]
        rejects = _rejects(problems, records, source_keys)
        national: dict[str, pl.DataFrame] = {}
        warnings: list[pl.DataFrame] = []
        for one, target, problem in zip(obtained, self._targets, problems, strict=True):
            keep = None if problem.is_empty() and rejects.is_empty() else _kept(problem, rejects, records)
            changes, warned = target.changes(one, records, source_keys, keep)
            national[target.format.full_id] = changes
            warnings.append(warned)
        several = [one for one in warnings if not one.is_empty()]
        told = pl.concat(several) if several else NO_WARNINGS
        if len(several) > 1:
            told = told.unique(maintain_order=True)
        return Translated(national, rejects, told)


def _text(column: pl.Series) -> pl.Series:
    return column if column.dtype == pl.String else column.cast(pl.String)


def _first_problems(obtained: Obtained, records: Records, key: Sequence[str]) -> pl.DataFrame:
    """The first problem of each record that has one: ``at``, its place, ``field`` and ``rule``.

    What is wrong with the event comes first, then fields by position. Of a deletion only key fields count.
    """
    found = [*records.problems.items(), *obtained.problems.items()]
    if not found:
        return _NO_PROBLEMS
    rules = [one.alias(str(n)) for n, (_, one) in enumerate(found)]
    frame = pl.DataFrame([*rules, records.roles.alias("role")]).with_row_index("at")
    fields, counted = [], []
    for n, (name, _) in enumerate(found):
        rule = pl.col(str(n))
        if not records.all_live and name not in records.problems and name not in key:
            rule = pl.when(pl.col("role") == LIVE).then(rule)
        fields.append(pl.when(rule.is_not_null()).then(pl.lit(name)))
        counted.append(rule)
    told = frame.select("at", pl.coalesce(fields).alias("field"), pl.coalesce(counted).alias("rule"))
    return told.filter(told["rule"].is_not_null())


def _rejects(problems: Sequence[pl.DataFrame], records: Records, source_keys: pl.Series) -> pl.DataFrame:
    """One row for each event that cannot be translated into every target. OLD records reject nothing."""
    if all(problem.is_empty() for problem in problems):
        return NO_REJECTS
    told = problems[0]
    if len(problems) > 1:
        told = pl.concat(problems).unique("at", keep="first", maintain_order=True).sort("at")
    if not records.all_live:
        told = told.filter(records.roles[told["at"]] != OLD)
    if told.is_empty():
        return NO_REJECTS
    rows = pl.DataFrame([records.rows, records.seq.alias("lt_seq"), source_keys.alias("lt_source_key")])
    return rows[told["at"]].hstack([told["field"], told["rule"]])


def _kept(problems: pl.DataFrame, rejects: pl.DataFrame, records: Records) -> pl.Series:
    """The records of events that are not rejected, without those OLD ones that could not be keyed either."""
    sound = pl.Series([True]).new_from_index(0, len(records.rows))
    sound = spread(sound, problems["at"], pl.Series([False]).new_from_index(0, len(problems)))
    return sound & ~records.rows.is_in(rejects["__row"].implode())
