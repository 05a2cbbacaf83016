"""A target's rules made ready to run, all of them together.

An expression has a fixed cost whatever the number of rows, and most batches are small. So rules are not run
one by one: those that wait for nothing are one query, those that wait for them the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.cleaning import Cleaned, spread
from schemas.contracts import Target
from schemas.formats import NationalFormat
from schemas.rules import Columns, Given, Inputs, Of, Rule, Step, Unless

_NOTHING = pl.Series([None], dtype=pl.String)


@dataclass(slots=True)
class Obtained:
    """What the rules of one target found for a frame of records."""

    values: dict[str, pl.Series] = field(default_factory=dict)  #: by national field
    #: By field in the order of positions; only those with a problem somewhere.
    problems: dict[str, pl.Series] = field(default_factory=dict)
    warnings: list[tuple[str, pl.Series]] = field(
        default_factory=list
    )  #: source column and codes, some not null


@dataclass(frozen=True, slots=True)
class _Full:
    """The full way of rules that have a usual one and do the same to different columns."""

    columns: Columns  #: of the first of them
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wave:
    """Rules that wait for no other rule of this wave."""

    quick: Mapping[str, Columns]  #: the usual way of those that have one, the full way of the others
    full: tuple[_Full, ...]


class Plan:
    """The rules of one target, compiled once. Pure; may be used by several threads."""

    def __init__(self, target: Target, national: NationalFormat, given: Given) -> None:
        self._rules = target.rules
        self._required = {one.name for one in national.fields if one.required}
        self.key_columns = _columns_of(national.key, target.rules)  #: source columns that make up the key
        self._waves: list[_Wave] = []
        facts: dict[Of, pl.Expr] = {}
        for wave in _in_waves(target.rules):
            every = {name: rule.columns(_inputs(name, rule, facts), given) for name, rule in wave.items()}
            usual = {name: columns.usual for name, columns in every.items() if columns.usual is not None}
            quick = {name: Columns(value=value) for name, value in usual.items()}
            self._waves.append(_Wave(every | quick, _alike(every, {name: wave[name] for name in usual})))
            for name, columns in every.items():
                facts |= {Of(name): pl.col(name)}
                facts |= {Of(name, fact): expression for fact, expression in columns.facts.items()}
        self._warnings = [
            (check.from_, warning)
            for at, check in enumerate(target.checks)
            for warning in check.warnings(_inputs(f"check.{at}", check, facts), given)
        ]

    def run(self, texts: Cleaned, source: pl.DataFrame) -> Obtained:
        """Apply every rule and check. ``source``: the contract's columns; ``texts``: those of text,
        cleaned.
        """
        frame = pl.DataFrame([column.alias(f"column.{name}") for name, column in texts.columns.items()])
        for wave in self._waves:
            frame = _evaluated(frame, wave.quick)
            for full in wave.full:
                frame = self._done_in_full(frame, full)
        obtained = Obtained({name: frame[name] for name in self._rules})
        for name, rule in self._rules.items():
            problem = self._problem(name, rule, frame, texts, source)
            if problem is not None:
                obtained.problems[name] = problem
        if self._warnings:
            found = frame.select(warning.alias(str(at)) for at, (_, warning) in enumerate(self._warnings))
            for (column, _), codes in zip(self._warnings, found, strict=True):
                if codes.null_count() < len(codes):
                    obtained.warnings.append((column, codes))
        return obtained

    def _done_in_full(self, frame: pl.DataFrame, full: _Full) -> pl.DataFrame:
        """The frame with the values that the usual way left open. All columns are done together."""
        texts = {name: frame[f"column.{self._rules[name].from_}"] for name in full.fields}
        open_rows = {
            name: frame[name].is_null() & text.is_not_null()
            for name, text in texts.items()
            if frame[name].null_count() > text.null_count()
        }
        if not open_rows:
            return frame
        first = full.fields[0]
        stacked = pl.concat([texts[name].filter(rows) for name, rows in open_rows.items()], rechunk=True)
        found = _evaluated(stacked.alias(texts[first].name).to_frame(), {first: full.columns})
        at, replaced = 0, []
        for name, rows in open_rows.items():
            part = found.slice(at, count := int(rows.sum()))
            at += count
            replaced.append(spread(frame[name], rows, part[first]))
            problem = part[f"{first}.problem"] if f"{first}.problem" in part.columns else _NOTHING
            if problem.null_count() < len(problem):
                nothing = _NOTHING.new_from_index(0, len(frame)).alias(f"{name}.problem")
                replaced.append(spread(nothing, rows, problem))
        return frame.with_columns(replaced)

    def _problem(
        self, name: str, rule: Rule, frame: pl.DataFrame, texts: Cleaned, source: pl.DataFrame
    ) -> pl.Series | None:
        """A field's problem, with what is asked of every field: that it is there and can be stored."""
        problem: pl.Series | None = None
        if f"{name}.problem" in frame.columns:
            problem = frame[f"{name}.problem"]
            if problem.null_count() == len(problem):
                problem = None
        unstorable = texts.unstorable.get(rule.from_)
        if unstorable is not None:
            problem = _first(unstorable, "text_unstorable", problem)
        value = frame[name]
        if not value.null_count() or not (rule.required or name in self._required):
            return problem
        missing = value.is_null()
        if problem is not None:
            missing &= problem.is_null()
        if isinstance(rule.required, Unless):
            missing &= ~source[rule.required.unless].fill_null(value=False)
        return _first(missing, "required_missing", problem) if missing.any() else problem


def _inputs(name: str, step: Step, facts: Mapping[Of, pl.Expr]) -> Inputs:
    others = {local: facts[other] for local, other in step.others().items()}
    return Inputs(name, pl.col(f"column.{step.from_}"), others)


def _alike(every: Mapping[str, Columns], rules: Mapping[str, Rule]) -> tuple[_Full, ...]:
    """Rules put together by what they do."""
    alike: dict[str, list[str]] = {}
    for name, rule in rules.items():
        alike.setdefault(rule.signature(), []).append(name)
    return tuple(_Full(every[names[0]], tuple(names)) for names in alike.values())


def _evaluated(frame: pl.DataFrame, every: Mapping[str, Columns]) -> pl.DataFrame:
    """The frame with a column for the value of each field, and ``<field>.problem`` where a rule tells
    problems.
    """
    for at in range(max(len(columns.prepare) for columns in every.values())):
        frame = frame.with_columns(
            expression.alias(f"{name}.{step}")
            for name, columns in every.items()
            if at < len(columns.prepare)
            for step, expression in columns.prepare[at].items()
        )
    results = [columns.value.alias(name) for name, columns in every.items()]
    results += [
        columns.problem.alias(f"{name}.problem")
        for name, columns in every.items()
        if columns.problem is not None
    ]
    return frame.with_columns(results)


def _first(where: pl.Series, rule: str, problem: pl.Series | None) -> pl.Series:
    rest = pl.lit(None, pl.String) if problem is None else pl.lit(problem)
    return pl.select(pl.when(where).then(pl.lit(rule)).otherwise(rest)).to_series()


def _in_waves(rules: Mapping[str, Rule]) -> Iterator[Mapping[str, Rule]]:
    """Rules in waves; each waits only for rules of the waves before it."""
    waiting = dict(rules)
    while waiting:
        free = {
            name: rule
            for name, rule in waiting.items()
            if not any(other.field in waiting for other in rule.others().values())
        }
        yield free
        for name in free:
            del waiting[name]


def _columns_of(names: Sequence[str], rules: Mapping[str, Rule]) -> frozenset[str]:
    """The source columns that national fields are obtained from, directly or through other fields."""
    found: set[str] = set()
    for rule in (rules[name] for name in names if name in rules):
        found.add(rule.from_)
        if isinstance(rule.required, Unless):
            found.add(rule.required.unless)
        found |= _columns_of([other.field for other in rule.others().values()], rules)
    return frozenset(found)
