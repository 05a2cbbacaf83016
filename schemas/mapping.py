"""Translation of a batch of change events into national changes, whole columns at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.cleaning import Cleaner
from schemas.contracts import Contract
from schemas.events import LIVE, OLD, EventReader, Records
from schemas.library import Library
from schemas.national import NO_WARNINGS, JoinedKey, National
from schemas.plan import Obtained
from schemas.rules import Given

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
        self._texts = tuple(dict.fromkeys(step.from_ for step in steps))
        keys = frozenset[str]().union(*(target.plan.key_columns for target in self._targets))
        self._reader = EventReader(contract, keys)
        self._source_key = JoinedKey(contract.key, contract.columns)

    def translate(self, frame: pl.DataFrame) -> Translated:
        """Translate decoded envelopes: the columns of the contract's envelope schema, and ``__row``.

        Raises ``ContractError`` if a column has another type than the contract says.
        """
        records = self._reader.records(frame)
        texts = self._cleaner.clean({name: records.source[name] for name in self._texts})
        source_keys = self._source_key.of(records.source)
        obtained = [target.plan.run(texts, records.source) for target in self._targets]
        problems = [
            _first_problem(one, records, target.format.key)
            for one, target in zip(obtained, self._targets, strict=True)
        ]
        rejects = _rejects(problems, records, source_keys)
        national: dict[str, pl.DataFrame] = {}
        warnings = [NO_WARNINGS]
        for one, target, problem in zip(obtained, self._targets, problems, strict=True):
            # A problem that is in no reject is that of a record as it was: it needs no delete.
            keep = None if problem is None else problem.is_null()
            if not rejects.is_empty():
                accepted = ~records.rows.is_in(rejects["__row"].implode())
                keep = accepted if keep is None else keep & accepted
            changes, warned = target.changes(one, records, source_keys, keep)
            national[target.format.full_id] = changes
            warnings += warned
        told = pl.concat(warnings).unique(maintain_order=True) if len(warnings) > 1 else NO_WARNINGS
        return Translated(national, rejects, told)


def _first_problem(obtained: Obtained, records: Records, key: Sequence[str]) -> pl.Series | None:
    """``field:rule`` of the first problem of each record; None if there is none at all.

    What is wrong with the event comes first, then fields by position. Of a deletion only key fields count.
    """
    found = [(name, True, problem) for name, problem in records.problems.items()]
    found += [(name, name in key, problem) for name, problem in obtained.problems.items()]
    if not found:
        return None
    frame = pl.DataFrame({"role": records.roles} | {str(at): one for at, (_, _, one) in enumerate(found)})
    told = []
    for at, (name, of_key, _) in enumerate(found):
        problem = pl.lit(f"{name}:") + pl.col(str(at))
        told.append(problem if of_key or records.all_live else pl.when(pl.col("role") == LIVE).then(problem))
    first = frame.select(pl.coalesce(told)).to_series()
    return first if first.null_count() < len(first) else None


def _rejects(problems: Sequence[pl.Series | None], records: Records, source_keys: pl.Series) -> pl.DataFrame:
    """One row for each event that cannot be translated into every target. OLD records reject nothing."""
    some = [problem for problem in problems if problem is not None]
    if not some:
        return NO_REJECTS
    first = pl.select(pl.coalesce(some)).to_series()
    bad = first.is_not_null() & (records.roles != OLD)
    if not bad.any():
        return NO_REJECTS
    parts = pl.col("first").str.split_exact(":", 1)
    return (
        pl.DataFrame(
            {"__row": records.rows, "lt_seq": records.seq, "lt_source_key": source_keys, "first": first}
        )
        .filter(bad)
        .select(
            "__row",
            "lt_seq",
            "lt_source_key",
            parts.struct.field("field_0").alias("field"),
            parts.struct.field("field_1").alias("rule"),
        )
    )
