"""Runs one rule alone over a few texts, the full way; and the usual way where it has one."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from schemas.cleaning import Cleaner
from schemas.codelists import CodeLists
from schemas.rules import CHECKS, RULES, Columns, Given, Inputs

MISSING = ["null", "không có thông tin", "-", "không rõ"]


class Found(NamedTuple):
    value: str | None
    problem: str | None


def obtained(
    kind: str,
    texts: Sequence[str | None],
    codes: CodeLists,
    others: Mapping[str, pl.Series] | None = None,
    **given: Any,
) -> list[Found]:
    """What a rule finds for each text, which is taken to be clean already."""
    frame, columns = _run(kind, texts, codes, others or {}, given)
    return _results(frame, columns)


def obtained_of(
    rule: Mapping[str, Any],
    texts: Mapping[str, Sequence[str | None]],
    codes: CodeLists,
    others: Mapping[str, pl.Series] | None = None,
) -> list[Found]:
    """What a rule, as a contract says it, finds for rows of cleaned texts."""
    made = RULES[rule["rule"]].model_validate(rule)
    made.check(None, codes)
    frame = pl.DataFrame(
        [
            *(pl.Series(f"column.{name}", column, pl.String) for name, column in texts.items()),
            *(column.alias(name) for name, column in (others or {}).items()),
        ]
    )
    sources = tuple(pl.col(f"column.{name}") for name in made.sources())
    columns = made.columns(Inputs("f", sources, {name: pl.col(name) for name in others or {}}), _given(codes))
    return _results(_prepared(frame, columns), columns)


def usual(kind: str, texts: Sequence[str | None], codes: CodeLists, **given: Any) -> list[str | None]:
    """What a rule's faster way finds; null where it leaves the text to the full way."""
    frame, columns = _run(kind, texts, codes, {}, given)
    assert columns.usual
    return frame.select(pl.coalesce(columns.usual).alias("value")).to_series().to_list()


def fact(
    kind: str,
    name: str,
    texts: Sequence[str | None],
    codes: CodeLists,
    others: Mapping[str, pl.Series],
    **given: Any,
) -> list[Any]:
    """A fact that a rule finds out."""
    frame, columns = _run(kind, texts, codes, others, given)
    return frame.with_columns(columns.value.alias("f")).select(columns.facts[name]).to_series().to_list()


def warned(
    kind: str, texts: Sequence[str], codes: CodeLists, others: Mapping[str, pl.Series], **given: Any
) -> list[set[str]]:
    """The warnings of a check for each text."""
    check = CHECKS[kind].model_validate({"rule": kind, "from": "x", **given})
    frame, take = _frame(texts, others)
    found = frame.select(one.alias(str(at)) for at, one in enumerate(check.warnings(take, _given(codes))))
    return [{code for code in row if code} for row in found.iter_rows()]


def _run(
    kind: str,
    texts: Sequence[str | None],
    codes: CodeLists,
    others: Mapping[str, pl.Series],
    given: Mapping[str, Any],
) -> tuple[pl.DataFrame, Columns]:
    rule = RULES[kind].model_validate({"rule": kind, "from": "x", **given})
    frame, take = _frame(texts, others)
    columns = rule.columns(take, _given(codes))
    return _prepared(frame, columns), columns


def _prepared(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    for step in columns.prepare:
        frame = frame.with_columns(expression.alias(f"f.{name}") for name, expression in step.items())
    return frame


def _results(frame: pl.DataFrame, columns: Columns) -> list[Found]:
    problem = pl.lit(None) if columns.problem is None else columns.problem
    found = frame.with_columns(columns.value.alias("value"), problem.alias("p")).select("value", "p")
    return [Found(*row) for row in found.cast(pl.String).iter_rows()]


def _frame(texts: Sequence[str | None], others: Mapping[str, pl.Series]) -> tuple[pl.DataFrame, Inputs]:
    columns = [pl.Series("x", texts, pl.String), *(column.alias(name) for name, column in others.items())]
    return pl.DataFrame(columns), Inputs("f", (pl.col("x"),), {name: pl.col(name) for name in others})


def _given(codes: CodeLists) -> Given:
    return Given(codes, Cleaner(MISSING))
