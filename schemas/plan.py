"""A target's rules made ready to run, all of them together.

An expression has a fixed cost whatever the number of rows, and most batches are small. So rules are not run
one by one: those that wait for nothing are one query, those that wait for them the next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.cleaning import Cleaned, places, spread
from schemas.contracts import Target, columns_of
from schemas.formats import NationalFormat
from schemas.one_text import OneText, of_few
from schemas.rules import Columns, Given, Of, Rule, Unless
from schemas.rules.running import evaluated, in_waves, inputs, told_by

#: Up to so many records, looking up what was said of equal texts before beats working it out.
FEW = 200
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
class _Wave:
    """Rules that wait for no other rule of this wave."""

    quick: Mapping[str, Columns]  #: the usual way of those that have one, the full way of the others
    usual: tuple[OneText, ...]  #: those that have a usual way
    remembered: tuple[OneText, ...]  #: those worth remembering: these, and others of some steps
    rest: Mapping[str, Columns]  #: the full way of those that are not


class Plan:
    """The rules of one target, compiled once. Pure; may be used by several threads."""

    def __init__(self, target: Target, national: NationalFormat, given: Given) -> None:
        self._rules = target.rules
        self._required = {one.name for one in national.fields if one.required}
        self._waves: list[_Wave] = []
        facts: dict[Of, pl.Expr] = {}
        for wave in in_waves(target.rules):
            every = {name: rule.columns(inputs(name, rule, facts), given) for name, rule in wave.items()}
            self._waves.append(_wave(wave, every))
            facts |= told_by(every)
        self.key_columns = columns_of(national.key, target.rules)  #: source columns that make up the key
        self._checks: dict[str, str] = {}  # column of a warning -> source column it is about
        self._warnings: dict[str, pl.Expr] = {}
        for at, check in enumerate(target.checks):
            for nth, warning in enumerate(check.warnings(inputs(f"check.{at}", check, facts), given)):
                column = f"warning.{at}.{nth}"
                self._checks[column], self._warnings[column] = check.from_, warning.alias(column)

    def run(self, texts: Cleaned, source: pl.DataFrame) -> Obtained:
        """Apply every rule and check. ``source``: all columns of the contract; ``texts``: texts, cleaned."""
        frame = pl.DataFrame([column.alias(f"column.{name}") for name, column in texts.columns.items()])
        for wave in self._waves:
            frame = self._remembered(frame, wave) if len(frame) <= FEW else self._worked_out(frame, wave)
        if self._warnings:
            frame = frame.with_columns_seq(self._warnings.values())
        warnings = [(self._checks[at], frame[at]) for at in self._warnings]
        return Obtained(
            {name: frame[name] for name in self._rules},
            self._problems(frame, texts, source),
            [(column, codes) for column, codes in warnings if codes.null_count() < len(codes)],
        )

    def _remembered(self, frame: pl.DataFrame, wave: _Wave) -> pl.DataFrame:
        frame = evaluated(frame, wave.rest)
        found = []
        texts = [[frame[self._column_of(name)].to_list() for name in rule.fields] for rule in wave.remembered]
        for rule, columns in zip(wave.remembered, of_few(wave.remembered, texts), strict=True):
            for name, answers in zip(rule.fields, columns, strict=True):
                found.append(pl.Series(name, [value for value, _ in answers], pl.String))
                problems = [problem for _, problem in answers]
                if any(problems):
                    found.append(pl.Series(f"{name}.problem", problems, pl.String))
        return frame.hstack(found)

    def _worked_out(self, frame: pl.DataFrame, wave: _Wave) -> pl.DataFrame:
        frame = evaluated(frame, wave.quick)
        left = [name for usual in wave.usual for name in usual.fields if self._left_open(frame, name)]
        return self._done_in_full(frame, wave, left) if left else frame

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
        for usual in wave.usual:
            rows = {name: places(open_rows[name]) for name in usual.fields if name in left}
            if not rows:
                continue
            texts = pl.concat([frame[self._column_of(name)][at] for name, at in rows.items()], rechunk=True)
            found, start = usual.of_column(texts), 0
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


def _wave(rules: Mapping[str, Rule], every: Mapping[str, Columns]) -> _Wave:
    usual = {name: columns.usual for name, columns in every.items() if columns.usual}
    remembered = {name for name, columns in every.items() if _hangs_on_one_text(rules[name], columns)}
    return _Wave(
        quick={**every, **{name: Columns(value=ways[0]) for name, ways in usual.items()}},
        usual=_alike(every, {name: rules[name] for name in usual}),
        remembered=_alike(every, {name: rules[name] for name in rules if name in remembered}),
        rest={name: columns for name, columns in every.items() if name not in remembered},
    )


def _hangs_on_one_text(rule: Rule, columns: Columns) -> bool:
    """Whether a rule's answer can be remembered, and is more work than a look-up."""
    alone = len(rule.sources()) == 1 and not rule.others()
    return bool(columns.usual) or (alone and bool(columns.prepare) and not columns.facts)


def _alike(every: Mapping[str, Columns], rules: Mapping[str, Rule]) -> tuple[OneText, ...]:
    """Rules put together by what they do."""
    alike: dict[str, list[str]] = {}
    for name, rule in rules.items():
        alike.setdefault(rule.signature(), []).append(name)
    return tuple(
        OneText(every[names[0]], f"column.{rules[names[0]].sources()[0]}", names) for names in alike.values()
    )
