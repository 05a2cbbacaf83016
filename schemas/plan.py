"""A target's rules made ready to run: ordered, and rules that do the same to different columns put together.

An expression has a fixed cost whatever the number of rows, and most batches are small. So columns that go
through the same rule are laid end to end, go through it once, and are cut apart again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.cleaning import Cleaned, slices, spread
from schemas.contracts import Target
from schemas.formats import NationalFormat
from schemas.rules import Columns, Given, Of, Rule, Unless
from schemas.rules.base import X

#: From this many rows on, looking for the rows that a rule's ``usual`` cannot do pays.
_MANY_ROWS = 64

Series = pl.Series
_NO_TEXT = pl.lit(None, pl.String)


@dataclass(slots=True)
class Obtained:
    """What the rules of one target found for a frame of records."""

    values: dict[str, Series] = field(default_factory=dict)  #: by national field
    facts: dict[Of, Series] = field(default_factory=dict)
    #: By field in the order of positions; only those with a problem somewhere.
    problems: dict[str, Series] = field(default_factory=dict)
    warnings: list[tuple[str, Series]] = field(
        default_factory=list
    )  #: source column and codes, some not null

    def of(self, wanted: Of) -> Series:
        return self.facts[wanted] if wanted.fact else self.values[wanted.field]


@dataclass(frozen=True, slots=True)
class _Group:
    """Rules of one signature: what they give, and whose they are."""

    columns: Columns
    rules: Mapping[str, Rule]
    facts: tuple[str, ...]  #: those that somebody asks for


class Plan:
    """The rules of one target, compiled once. Pure; may be used by several threads."""

    def __init__(self, target: Target, national: NationalFormat, given: Given) -> None:
        self._required = {one.name for one in national.fields if one.required}
        self._order = tuple(target.rules)
        self._checks = [(check, check.warnings(given)) for check in target.checks]
        asked = {
            other for step in (*target.rules.values(), *target.checks) for other in step.others().values()
        }
        self._groups = [
            _Group(next(iter(rules.values())).columns(given), rules, facts)
            for rules, facts in _grouped(target.rules, asked)
        ]
        self.key_columns = _columns_of(national.key, target.rules)  #: source columns that make up the key

    def run(self, texts: Cleaned, source: pl.DataFrame) -> Obtained:
        """Apply every rule and check. ``source``: the contract's columns; ``texts``: those of text,
        cleaned.
        """
        obtained = Obtained()
        for group in self._groups:
            self._run_group(group, texts, source, obtained)
        obtained.problems = {
            name: obtained.problems[name] for name in self._order if name in obtained.problems
        }
        for check, expressions in self._checks:
            others = {name: obtained.of(other) for name, other in check.others().items()}
            frame = pl.DataFrame({"x": texts.columns[check.from_], **others})
            for warning in frame.select(one.alias(str(at)) for at, one in enumerate(expressions)):
                if warning.null_count() < len(warning):
                    obtained.warnings.append((check.from_, warning))
        return obtained

    def _run_group(self, group: _Group, texts: Cleaned, source: pl.DataFrame, obtained: Obtained) -> None:
        stacked = {"x": _stacked(texts.columns[rule.from_] for rule in group.rules.values())}
        for name in next(iter(group.rules.values())).others():
            stacked[name] = _stacked(obtained.of(rule.others()[name]) for rule in group.rules.values())
        found = _evaluate(group, pl.DataFrame(stacked))
        parts = {name: slices(long, len(group.rules)) for name, long in found.items()}
        for at, (name, rule) in enumerate(group.rules.items()):
            value = parts["value"][at]
            problem = parts["problem"][at] if "problem" in parts else None
            if problem is not None and problem.null_count() == len(problem):
                problem = None
            problem = self._checked(name, rule, value, problem, texts, source)
            obtained.values[name] = value
            if problem is not None:
                obtained.problems[name] = problem
            for fact in group.facts:
                obtained.facts[Of(name, fact)] = parts[fact][at]

    def _checked(
        self,
        name: str,
        rule: Rule,
        value: Series,
        problem: Series | None,
        texts: Cleaned,
        source: pl.DataFrame,
    ) -> Series | None:
        """The problem of a field after what is asked of every field: that it is there and can be stored."""
        unstorable = texts.unstorable.get(rule.from_)
        if unstorable is not None:
            problem = _first(unstorable, "text_unstorable", problem)
        if not value.null_count() or not (rule.required or name in self._required):
            return problem
        missing = value.is_null()
        if problem is not None:
            missing &= problem.is_null()
        if isinstance(rule.required, Unless):
            missing &= ~source[rule.required.unless].fill_null(value=False)
        return _first(missing, "required_missing", problem) if missing.any() else problem


def _first(where: Series, rule: str, problem: Series | None) -> Series:
    rest = _NO_TEXT if problem is None else pl.lit(problem)
    return pl.select(pl.when(where).then(pl.lit(rule)).otherwise(rest).alias("problem")).to_series()


def _evaluate(group: _Group, frame: pl.DataFrame) -> dict[str, Series]:
    """value, problem (absent if there is none) and the group's facts, each as long as the frame."""
    columns = group.columns
    if columns.value is X:
        return {"value": frame["x"]}
    if columns.usual is None or len(frame) < _MANY_ROWS:
        return _in_full(columns, group.facts, frame)
    value = frame.select(columns.usual.alias("value")).to_series()
    found = {"value": value}
    hard = value.is_null() & frame["x"].is_not_null()
    if hard.any():
        rest = _in_full(columns, (), frame.filter(hard))
        found["value"] = spread(value, hard, rest["value"])
        if "problem" in rest:
            nothing = Series("problem", [None], pl.String).new_from_index(0, len(frame))
            found["problem"] = spread(nothing, hard, rest["problem"])
    if group.facts:
        facts = (
            found["value"].to_frame("value").select(columns.facts[name].alias(name) for name in group.facts)
        )
        found |= facts.to_dict()
    return found


def _in_full(columns: Columns, facts: Sequence[str], frame: pl.DataFrame) -> dict[str, Series]:
    results = [columns.value.alias("value")]
    if columns.problem is not None:
        results.append(columns.problem.alias("problem"))
    for step in columns.prepare:
        frame = frame.with_columns(**step)
    if not facts:
        return frame.select(results).to_dict()
    frame = frame.with_columns(results)
    named = [name for name in ("value", "problem") if name in frame.columns]
    return frame.select(*named, *(columns.facts[name].alias(name) for name in facts)).to_dict()


def _stacked(parts: Iterator[Series]) -> Series:
    several = list(parts)
    return several[0] if len(several) == 1 else pl.concat(several, rechunk=True)


def _grouped(
    rules: Mapping[str, Rule], asked: set[Of]
) -> Iterator[tuple[Mapping[str, Rule], tuple[str, ...]]]:
    """Rules by signature and facts asked of them; each group after all groups that it waits for."""
    waiting = dict(rules)
    while waiting:
        free = {
            name: rule
            for name, rule in waiting.items()
            if not any(other.field in waiting for other in rule.others().values())
        }
        groups: dict[tuple[str, tuple[str, ...]], dict[str, Rule]] = {}
        for name, rule in free.items():
            facts = tuple(sorted(other.fact for other in asked if other.field == name and other.fact))
            groups.setdefault((rule.signature(), facts), {})[name] = rule
            del waiting[name]
        for (_, facts), members in groups.items():
            yield members, facts


def _columns_of(names: Sequence[str], rules: Mapping[str, Rule]) -> frozenset[str]:
    """The source columns that national fields are obtained from, directly or through other fields."""
    found: set[str] = set()
    for rule in (rules[name] for name in names if name in rules):
        found.add(rule.from_)
        if isinstance(rule.required, Unless):
            found.add(rule.required.unless)
        found |= _columns_of([other.field for other in rule.others().values()], rules)
    return frozenset(found)
