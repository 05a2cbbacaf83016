"""Rules put together: which wait for which, and their columns worked out in a frame."""

from collections.abc import Iterator, Mapping

import polars as pl

from schemas.errors import ContractError
from schemas.rules.base import Columns, Inputs, Of, Rule, Step


def in_waves(rules: Mapping[str, Rule]) -> Iterator[Mapping[str, Rule]]:
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


def inputs(name: str, step: Step, facts: Mapping[Of, pl.Expr]) -> Inputs:
    """The inputs of a step in a frame with ``column.<source column>`` for each that it reads."""
    others = {local: facts[other] for local, other in step.others().items()}
    return Inputs(name, tuple(pl.col(f"column.{source}") for source in step.sources()), others)


def told_by(every: Mapping[str, Columns]) -> Mapping[Of, pl.Expr]:
    """What these rules tell others."""
    values = {Of(name): pl.col(name) for name in every}
    return values | {
        Of(name, fact): told for name, columns in every.items() for fact, told in columns.facts.items()
    }


def evaluated(frame: pl.DataFrame, every: Mapping[str, Columns]) -> pl.DataFrame:
    """The frame with a column for each field's value, and ``<field>.problem`` where a rule tells problems."""
    for at in range(max((len(columns.prepare) for columns in every.values()), default=0)):
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
    return frame.with_columns_seq(results) if results else frame
