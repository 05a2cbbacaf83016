"""Translation of a batch of change events into national changes, whole columns at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.cleaning import Cleaned, Cleaner, spread
from schemas.concern import Concern
from schemas.contracts import Contract
from schemas.events import GONE, LEFT, LIVE, EventReader, Records
from schemas.inbound import InboundReader
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
        "lt_system": pl.String,
        "lt_dataset": pl.String,
    }
)

#: A problem may have its place within the field's value before it: ``[2].name:code``.
_PLACED = (
    pl.concat_str("field", pl.col("rule").str.extract(r"^(\[.*):").fill_null("")).alias("field"),
    pl.col("rule").str.extract("([^:]*)$"),
)


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of a batch. Every ``__row`` of it is in ``rejects`` or, at least once, in each target;
    unless the contract passes it over, or it does not concern the target.
    """

    #: By target's full id: the wire's columns and ``__row``, in the order of the events. Two changes of one
    #: event stand together, the delete first.
    national: Mapping[str, pl.DataFrame]
    rejects: pl.DataFrame  #: the columns of ``NO_REJECTS``: the first problem of each event that has one
    warnings: pl.DataFrame  #: __row UInt32, field, rule String
    #: By full id of a target with ``only``: __row UInt32, lt_seq Int64 of events that do not concern it.
    passed: Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class _View:
    """What one target sees of the records, and what it makes of them."""

    records: Records
    obtained: Obtained
    source_keys: pl.Series
    problems: pl.DataFrame  #: as ``_first_problems`` tells them
    at: pl.Series | None  #: places among all records; None: it sees all


class Translator:
    """A contract compiled. Pure; may be used again and by several threads."""

    def __init__(self, contract: Contract, library: Library) -> None:
        self._contract = contract
        self._cleaner = Cleaner(contract.missing)
        given = Given(library.codes, self._cleaner)
        self._targets = [
            (
                National(contract, target, library.formats[target.format], given),
                Concern(contract, target.only) if target.only else None,
            )
            for target in contract.targets
        ]
        steps = [step for target in contract.targets for step in (*target.rules.values(), *target.checks)]
        self._texts = tuple(dict.fromkeys(name for step in steps for name in step.sources()))
        keys = frozenset[str]().union(*(target.plan.key_columns for target, _ in self._targets))
        self._reader = InboundReader(contract) if contract.source else EventReader(contract, keys)
        self._source_key = JoinedKey(contract.key, contract.columns)

    def translate(self, frame: pl.DataFrame) -> Translated:
        """Translate decoded changes: the columns of the schema of the contract's subject, and ``__row``.

        Raises ``ContractError`` if a column has another type than the contract says.
        """
        records = self._reader.records(frame)
        texts = self._cleaner.clean({name: _text(records.source[name]) for name in self._texts})
        origin = records.origin
        source_keys = self._source_key.of(records.source) if origin is None else origin["lt_source_key"]
        views = [_view(target, concern, records, texts, source_keys) for target, concern in self._targets]
        rejects = self._rejects(views, records, source_keys)
        national: dict[str, pl.DataFrame] = {}
        warnings: list[pl.DataFrame] = []
        passed: dict[str, pl.DataFrame] = {}
        for (target, _), view in zip(self._targets, views, strict=True):
            sound = view.problems.is_empty() and rejects.is_empty()
            keep = None if sound else _kept(view.problems, rejects, view.records)
            changes, warned = target.changes(view.obtained, view.records, view.source_keys, keep)
            national[target.format.full_id] = changes
            warnings.append(warned)
            if view.at is not None:
                passed[target.format.full_id] = _passed(records, view.records, changes)
        several = [one for one in warnings if not one.is_empty()]
        told = pl.concat(several) if several else NO_WARNINGS
        if len(several) > 1:
            told = told.unique(maintain_order=True)
        return Translated(national, rejects, told, passed)

    def _rejects(self, views: Sequence[_View], records: Records, source_keys: pl.Series) -> pl.DataFrame:
        """One row for each event that cannot be translated into every target that it concerns."""
        of_events = _first_problems(records.problems, records, tuple(records.problems))
        every = [_refusals(of_events, records, None)]
        every += [_refusals(view.problems, view.records, view.at) for view in views]
        every = [one for one in every if not one.is_empty()]
        if not every:
            return NO_REJECTS
        told = every[0]
        if len(every) > 1:
            told = pl.concat(every).unique("at", keep="first", maintain_order=True).sort("at")
        at = told["at"]
        rows = [records.rows[at], records.seq[at].alias("lt_seq"), source_keys[at].alias("lt_source_key")]
        if records.origin is None:
            ours = (("lt_system", self._contract.system), ("lt_dataset", self._contract.dataset))
            whose = [pl.Series(name, [text]).new_from_index(0, len(at)) for name, text in ours]
        else:
            whose = records.origin.select("lt_system", "lt_dataset")[at].get_columns()
        return pl.DataFrame([*rows, told["field"], told["rule"], *whose])


def _view(
    target: National, concern: Concern | None, records: Records, texts: Cleaned, source_keys: pl.Series
) -> _View:
    at = None
    if concern is not None:
        records, at = concern.of(records)
        texts = Cleaned(
            {name: column[at] for name, column in texts.columns.items()},
            {name: mask[at] for name, mask in texts.unstorable.items()},
        )
        source_keys = source_keys[at]
    obtained = target.plan.run(texts, records.source)
    problems = _first_problems(obtained.problems, records, target.format.key)
    return _View(records, obtained, source_keys, problems, at)


def _text(column: pl.Series) -> pl.Series:
    return column if column.dtype == pl.String else column.cast(pl.String)


def _first_problems(
    problems: Mapping[str, pl.Series], records: Records, of_deletes: Sequence[str]
) -> pl.DataFrame:
    """The first problem of each record that has one: ``at``, its place, ``field`` and ``rule``.

    Of a deletion only the fields ``of_deletes`` count.
    """
    if not problems:
        return _NO_PROBLEMS
    rules = [one.alias(str(n)) for n, one in enumerate(problems.values())]
    frame = pl.DataFrame([*rules, records.roles.alias("role")]).with_row_index("at")
    fields, counted = [], []
    for n, name in enumerate(problems):
        rule = pl.col(str(n))
        if not records.all_live and name not in of_deletes:
            rule = pl.when(pl.col("role") == LIVE).then(rule)
        fields.append(pl.when(rule.is_not_null()).then(pl.lit(name)))
        counted.append(rule)
    told = frame.select("at", pl.coalesce(fields).alias("field"), pl.coalesce(counted).alias("rule"))
    told = told.filter(told["rule"].is_not_null())
    return told.with_columns(_PLACED) if told["rule"].str.starts_with("[").any() else told


def _refusals(problems: pl.DataFrame, records: Records, at: pl.Series | None) -> pl.DataFrame:
    """The problems that refuse an event, with their places among all records."""
    if problems.is_empty():
        return problems
    if not records.all_live:
        problems = problems.filter(records.roles[problems["at"]] <= GONE)
    return problems if at is None else problems.with_columns(at[problems["at"]].alias("at"))


def _kept(problems: pl.DataFrame, rejects: pl.DataFrame, records: Records) -> pl.Series:
    """The records of events that are not rejected, without those that could not be keyed either.

    What a target must delete whatever became of the event elsewhere, is deleted: no later event tells it.
    """
    sound = pl.Series([True]).new_from_index(0, len(records.rows))
    sound = spread(sound, problems["at"], pl.Series([False]).new_from_index(0, len(problems)))
    return sound & (~records.rows.is_in(rejects["__row"].implode()) | (records.roles >= LEFT))


def _passed(records: Records, mine: Records, changes: pl.DataFrame) -> pl.DataFrame:
    """The events that a target neither takes, nor answers, nor could refuse."""
    concerned = [changes["__row"].filter(changes["lt_answers"]), mine.rows.filter(mine.roles <= GONE)]
    rows = pl.DataFrame([records.rows, records.seq.alias("lt_seq")])
    return rows.filter(~records.rows.is_in(pl.concat(concerned).implode())).unique(maintain_order=True)
