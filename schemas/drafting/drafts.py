"""The draft of a table's contract: which formats fit, and all that the contract says besides its rules."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from schemas.contracts import AvroType
from schemas.drafting.matching import Column, Layout, Match, Sample, lexicon_of, match
from schemas.drafting.own_format import own_format, plain_id
from schemas.drafting.phrases import Phrase, say
from schemas.drafting.proposing import TargetDraft, look_sql, percent, propose
from schemas.drafting.shapes import Shape
from schemas.drafting.speechless import match_speechless
from schemas.drafting.tables import SampledTable
from schemas.errors import LienthongError
from schemas.formats import NationalFormat
from schemas.library import Library

#: A format that fits less is not proposed by itself.
FITS = 0.45
#: What may stand in a contract: no value of a person can look like this.
_TELLABLE = re.compile(r"-?\d{1,2}|true|false|[YyNn]|active|inactive|deleted", re.IGNORECASE)
_MOST_STATUSES = 8


@dataclass(frozen=True, kw_only=True)
class StatusDraft:
    """A soft status, guessed."""

    column: str
    live: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything a drafted contract says, in no language yet."""

    system: str
    dataset: str
    table: SampledTable
    columns: Mapping[str, AvroType]  #: that are sent
    left_out: tuple[str, ...]  #: binary columns
    shapes: Mapping[str, Shape]  #: of those columns
    key: tuple[str, ...]
    status: StatusDraft | None
    updated: str | None  #: the column that tells when a row was last changed
    missing: tuple[str, ...]
    targets: tuple[TargetDraft, ...]
    proposal: NationalFormat | None  #: a format of the province's own, if no other fits
    unused: tuple[str, ...]  #: columns that no rule reads
    others: tuple[tuple[str, float], ...]  #: formats that fit less
    questions: tuple[Phrase, ...]

    @property
    def id(self) -> str:
        return f"{self.system}/{self.dataset}"


def draft_of(
    table: SampledTable,
    library: Library,
    *,
    name: tuple[str, str],
    wanted: str | None = None,
) -> Draft:
    """Draft the contract ``name`` (system, dataset) of a table, for the format ``wanted`` or those that fit.

    Raises ``LienthongError`` if there is no such format, or the table has no column that can be sent.
    """
    formats, codes = library.formats, library.codes
    if wanted is not None and wanted not in formats:
        raise LienthongError(
            f"no national format {wanted}", next_step=f"known here: {', '.join(sorted(formats))}"
        )
    known = lexicon_of(formats.values())
    sample = Sample(table, codes, known)
    if not sample.columns:
        raise LienthongError(
            f"table {table.name} has no column that can be sent", next_step="name another table"
        )
    matches = sorted(
        (_matched(sample, Layout(one, known)) for one in formats.values()), key=lambda one: -one.fit
    )
    chosen = _chosen(matches, wanted)
    proposal = None
    if not chosen:
        proposal, found = own_format(sample, codes, plain_id(name[0]), plain_id(name[1]))
        chosen = [Match(Layout(proposal, known), sample, found)]
    targets = tuple(propose(one, codes) for one in chosen)
    asked = [say("ask_owner"), *_rivals(targets, library)]
    return _drafted(table, sample, targets, name, proposal, matches, asked)


def _rivals(targets: Sequence[TargetDraft], library: Library) -> Iterator[Phrase]:
    """Datasets that may give the same national keys: a person must say that they never do."""
    for target in targets:
        full_id = target.national.full_id
        feeding = [
            one.id for one in library.contracts.values() if full_id in (each.format for each in one.targets)
        ]
        if feeding:
            yield say("ask_beside", format=full_id, contracts=", ".join(feeding))


def _matched(sample: Sample, layout: Layout) -> Match:
    named = match(sample, layout)
    return match(sample, layout, {**named.found, **match_speechless(named)})


def _chosen(matches: Sequence[Match], wanted: str | None) -> list[Match]:
    """The wanted format, or the best one with other versions of it; none if none fits."""
    if wanted is not None:
        return [one for one in matches if one.national.full_id == wanted]
    if not matches or matches[0].fit < FITS:
        return []
    best = [one for one in matches if one.national.id == matches[0].national.id and one.fit >= FITS]
    return sorted(best, key=lambda one: one.national.version)


def _drafted(
    table: SampledTable,
    sample: Sample,
    targets: tuple[TargetDraft, ...],
    name: tuple[str, str],
    proposal: NationalFormat | None,
    matches: Sequence[Match],
    asked_first: Sequence[Phrase],
) -> Draft:
    read = set(chain.from_iterable(_read_by(target) for target in targets))
    status, asked = _status(sample, read if proposal is None else set())
    keys = [key for key in table.keys if set(key) <= sample.by_name.keys()]
    questions = [*asked_first]
    if not keys:
        questions.append(say("ask_key"))
    questions += [say("ask_avro", column=one.name) for one in table.columns if not one.sendable]
    questions += [*chain.from_iterable(target.questions for target in targets), *asked]
    if proposal is not None:
        questions.append(say("ask_sensitivity", format=proposal.full_id))
    told = {target.national.full_id for target in targets}
    used = {*read, *(keys[0] if keys else ()), *([status.column] if status else ())}
    return Draft(
        system=name[0],
        dataset=name[1],
        table=table,
        columns={one.name: one.sampled.avro for one in sample.columns if one.sampled.avro},
        shapes={one.name: one.shape for one in sample.columns},
        left_out=tuple(one.name for one in table.columns if one.avro is None),
        key=keys[0] if keys else (sample.columns[0].name,),
        status=status,
        updated=_updated(sample),
        missing=tuple(sorted(frozenset().union(*(one.shape.nothing for one in sample.columns)))),
        targets=targets,
        proposal=proposal,
        unused=tuple(one.name for one in sample.columns if one.name not in used),
        others=tuple((one.national.full_id, one.fit) for one in matches if one.national.full_id not in told),
        questions=tuple(questions),
    )


def _read_by(target: TargetDraft) -> list[str]:
    return [one.column for one in target.proposals.values()] + [str(one["from"]) for one in target.checks]


def _status(sample: Sample, read: set[str]) -> tuple[StatusDraft | None, list[Phrase]]:
    """The soft status, if a column is named like one and its values may be told."""
    for words, live_by in ((("trang", "thai"), None), (("da", "xoa"), False), (("hieu", "luc"), True)):
        for column in sample.columns:
            if not column.means(*words) or column.name in read or not column.shape.filled:
                continue
            if column.shape.distinct > _MOST_STATUSES or any(one.roles for one in column.meanings):
                continue
            question = say("ask_status", column=column.name, sql=look_sql(sample.table.name, column.name))
            counts = Counter(value.strip() for value in column.sampled.values if value and value.strip())
            values = [value for value, _ in counts.most_common()]
            told = column.sampled.avro != "double" and all(_TELLABLE.fullmatch(value) for value in values)
            if not told:
                return None, [question]
            live = values[:1] if live_by is None else [one for one in values if _truth(one) == live_by]
            if not live:
                return None, [question]
            gone = tuple(one for one in values if one not in live)
            return StatusDraft(column=column.name, live=tuple(live), gone=gone), [question]
    return None, []


def _truth(value: str) -> bool:
    return value.lower() in ("1", "true", "y", "active")


def _updated(sample: Sample) -> str | None:
    """The column of a row's last change: named so, with times or dates in it."""
    fitting = [one for one in sample.columns if one.means("ngay", "sua") and _is_time(one)]
    return fitting[0].name if fitting else None


def _is_time(column: Column) -> bool:
    return column.shape.date + column.shape.unread > 0.9 or (
        column.sampled.avro == "long" and not column.shape.filled
    )


def fits(draft: Draft) -> str:
    """Formats that fit less, for a line."""
    return ", ".join(f"{name} {percent(fit)} %" for name, fit in draft.others[:3] if fit > 0.1)
