"""A target's rules made ready to run, all of them together.

An expression has a fixed cost whatever the number of rows, and most batches are small. So rules are not run
one by one: those that wait for nothing are one query, those that wait for them the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.cleaning import Cleaned, places, spread
from schemas.contracts import Target
from schemas.errors import ContractError
from schemas.formats import NationalFormat
from schemas.rules import Columns, Given, Inputs, Of, Rule, Step, Unless

#: From so many texts on, looking for equal ones pays.
_MANY = 100
_NOTHING = pl.Series([None], dtype=pl.String)
_NO_PROBLEM = pl.lit(None, pl.String)


@dataclass(slots=True)
class Obtained:
    """What the rules of one target found for a frame of records."""

    values: dict[str, pl.Series] = field(default_factory=dict)  #: by national field
    #: By field in the order of positions; only those with a problem somewhere.
    problems: dict[str, pl.Series] = field(default_factory=dict)
    #: Source column and codes; only those with a code somewhere.
    warnings: list[tuple[str, pl.Series]] = field(default_factory=list)


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
        self._waves: list[_Wave] = []
        facts: dict[Of, pl.Expr] = {}
        for wave in _in_waves(target.rules):
            every = {name: rule.columns(_inputs(name, rule, facts), given) for name, rule in wave.items()}
            usual = {name: columns.usual for name, columns in every.items() if columns.usual}
            quick = {name: Columns(value=ways[0]) for name, ways in usual.items()}
            self._waves.append(_Wave(every | quick, _alike(every, {name: wave[name] for name in usual})))
            for name, columns in every.items():
                facts |= {Of(name): pl.col(name)}
                facts |= {Of(name, fact): expression for fact, expression in columns.facts.items()}
        self.key_columns = _columns_of(national.key, target.rules)  #: source columns that make up the key
        self._checks: dict[str, str] = {}  # column of a warning -> source column it is about
        self._warnings: dict[str, pl.Expr] = {}
        for at, check in enumerate(target.checks):
            for nth, warning in enumerate(check.warnings(_inputs(f"check.{at}", check, facts), given)):
                column = f"warning.{at}.{nth}"
                self._checks[column], self._warnings[column] = check.from_, warning.alias(column)

    def run(self, texts: Cleaned, source: pl.DataFrame) -> Obtained:
        """Apply every rule and check. ``source``: all columns of the contract; ``texts``: texts, cleaned."""
        frame = pl.DataFrame([column.alias(f"column.{name}") for name, column in texts.columns.items()])
        for wave in self._waves:
            frame = _evaluated(frame, wave.quick)
            left = [name for full in wave.full for name in full.fields if self._left_open(frame, name)]
            if left:
                frame = self._done_in_full(frame, wave, left)
        if self._warnings:
            frame = frame.with_columns_seq(self._warnings.values())
        warnings = [(self._checks[at], frame[at]) for at in self._warnings]
        return Obtained(
            {name: frame[name] for name in self._rules},
            self._problems(frame, texts, source),
            [(column, codes) for column, codes in warnings if codes.null_count() < len(codes)],
        )

    def _left_open(self, frame: pl.DataFrame, name: str) -> bool:
        """Whether the usual way of a field's rule found no value for some text that is there."""
        return frame[name].null_count() > frame[self._column_of(name)].null_count()

    def _column_of(self, name: str) -> str:
        (source,) = self._rules[name].sources()  # as all rules that have a usual way
        return f"column.{source}"

    def _done_in_full(self, frame: pl.DataFrame, wave: _Wave, left: Sequence[str]) -> pl.DataFrame:
        """The frame with the values that the usual way left open in the fields ``left``.

        All columns that go through the same rule are laid end to end and done together.
        """
        open_rows = frame.select(
            pl.col(name).is_null() & pl.col(self._column_of(name)).is_not_null() for name in left
        )
        replaced = []
        for full in wave.full:
            rows = {name: places(open_rows[name]) for name in full.fields if name in left}
            if not rows:
                continue
            texts = pl.concat([frame[self._column_of(name)][at] for name, at in rows.items()], rechunk=True)
            found, start = _answers(full, texts.alias(self._column_of(full.fields[0]))), 0
            for name, at in rows.items():
                part = found.slice(start, len(at))
                start += len(at)
                replaced.append(spread(frame[name], at, part["value"]))
                if part["problem"].null_count() < len(part):
                    nothing = _NOTHING.new_from_index(0, len(frame)).alias(f"{name}.problem")
                    replaced.append(spread(nothing, at, part["problem"]))
        columns = {one.name: one for one in (*frame.get_columns(), *replaced)}
        return pl.DataFrame(list(columns.values()))

    def _problems(self, frame: pl.DataFrame, texts: Cleaned, source: pl.DataFrame) -> dict[str, pl.Series]:
        """Problems by field, with what is asked of every field: that it is there and can be stored."""
        found: dict[str, pl.Series] = {}
        expressions: dict[str, pl.Expr] = {}
        for name, rule in self._rules.items():
            problem = _some(frame, f"{name}.problem")
            if problem is not None:
                found[name] = problem
            required = rule.required or name in self._required
            missing = bool(required and frame[name].null_count())
            if missing or not texts.unstorable.keys().isdisjoint(rule.sources()):
                told = _NO_PROBLEM if problem is None else pl.col(f"{name}.problem")
                expressions[name] = _asked(name, rule, told, missing, texts, source)
        if expressions:
            found |= frame.select(one.alias(name) for name, one in expressions.items()).to_dict()
        in_order = {name: found[name] for name in self._rules if name in found}
        return {name: problem for name, problem in in_order.items() if problem.null_count() < len(problem)}


def _asked(
    name: str, rule: Rule, told: pl.Expr, missing: bool, texts: Cleaned, source: pl.DataFrame
) -> pl.Expr:
    if missing:
        absent = pl.col(name).is_null() & told.is_null()
        if isinstance(rule.required, Unless):
            absent &= ~pl.lit(source[rule.required.unless]).fill_null(value=False)
        told = pl.when(absent).then(pl.lit("required_missing")).otherwise(told)
    for column in texts.unstorable.keys() & rule.sources():
        unstorable = pl.lit(texts.unstorable[column])
        told = pl.when(unstorable).then(pl.lit("text_unstorable")).otherwise(told)
    return told


def _some(frame: pl.DataFrame, name: str) -> pl.Series | None:
    """A column that is there and holds something."""
    if name not in frame.columns or frame[name].null_count() == len(frame):
        return None
    return frame[name]


def _inputs(name: str, step: Step, facts: Mapping[Of, pl.Expr]) -> Inputs:
    others = {local: facts[other] for local, other in step.others().items()}
    return Inputs(name, tuple(pl.col(f"column.{source}") for source in step.sources()), others)


def _alike(every: Mapping[str, Columns], rules: Mapping[str, Rule]) -> tuple[_Full, ...]:
    """Rules put together by what they do."""
    alike: dict[str, list[str]] = {}
    for name, rule in rules.items():
        alike.setdefault(rule.signature(), []).append(name)
    return tuple(_Full(every[names[0]], tuple(names)) for names in alike.values())


def _answers(full: _Full, texts: pl.Series) -> pl.DataFrame:
    """``value`` and ``problem`` of texts that the first usual way left open; each text is worked out once."""
    distinct = texts.unique() if len(texts) >= _MANY else texts
    if 2 * len(distinct) > len(texts):
        return _worked_out(full, texts, full.columns.usual[1:])
    found = _worked_out(full, distinct, full.columns.usual[1:]).with_columns(distinct)
    return texts.to_frame().join(found, on=texts.name, how="left", maintain_order="left")


def _worked_out(full: _Full, texts: pl.Series, ways: Sequence[pl.Expr]) -> pl.DataFrame:
    frame, field = texts.to_frame(), full.fields[0]
    if not ways:
        told = _NO_PROBLEM if full.columns.problem is None else pl.col(f"{field}.problem")
        found = _evaluated(frame, {field: full.columns})
        return found.select(pl.col(field).alias("value"), told.alias("problem"))
    value = frame.select(ways[0].alias("value")).to_series()
    problem = _NOTHING.new_from_index(0, len(texts)).alias("problem")
    rest = places(value.is_null())
    if not len(rest):
        return pl.DataFrame([value, problem])
    found = _worked_out(full, texts[rest], ways[1:])
    return pl.DataFrame([spread(value, rest, found["value"]), spread(problem, rest, found["problem"])])


def _evaluated(frame: pl.DataFrame, every: Mapping[str, Columns]) -> pl.DataFrame:
    """The frame with a column for each field's value, and ``<field>.problem`` where a rule tells problems."""
    for at in range(max(len(columns.prepare) for columns in every.values())):
        frame = frame.with_columns_seq(
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
    return frame.with_columns_seq(results)


def _in_waves(rules: Mapping[str, Rule]) -> Iterator[Mapping[str, Rule]]:
    """Rules in waves; each waits only for rules of the waves before it."""
    waiting = dict(rules)
    while waiting:
        free = {
            name: rule
            for name, rule in waiting.items()
            if not any(other.field in waiting for other in rule.others().values())
        }
        if not free:
            raise ContractError(
                f"these fields wait for each other: {', '.join(waiting)}",
                next_step="let one not need the others",
            )
        yield free
        for name in free:
            del waiting[name]


def _columns_of(names: Sequence[str], rules: Mapping[str, Rule]) -> frozenset[str]:
    """The source columns that national fields are obtained from, directly or through other fields."""
    found: set[str] = set()
    for rule in (rules[name] for name in names if name in rules):
        found |= set(rule.sources())
        if isinstance(rule.required, Unless):
            found.add(rule.required.unless)
        found |= _columns_of([other.field for other in rule.others().values()], rules)
    return frozenset(found)
