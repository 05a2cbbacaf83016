"""Which column holds which national field, and how sure that is.

The evidence: the column's name and comment against the field's name and label; the form of the sampled values
against what the field expects; how many of them the field's code list knows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log

from schemas.codelists import CodeLists
from schemas.drafting.shapes import Known, Listed, Shape, counted, shape
from schemas.drafting.tables import SampledColumn, SampledTable
from schemas.drafting.words import Lexicon, Meaning, lexicon, meanings, split, without_common_part
from schemas.formats import FormatField, NationalFormat

#: Less sure than this is not proposed.
PROPOSED = 0.45
#: Fewer filled rows tell nothing about the form of the values.
ENOUGH = 5
#: What is like a date but unread speaks for a date so far that the column is proposed, and doubted.
_UNREAD = 0.45
#: A field with these words expects values of this kind; the first that fits.
_EXPECTED: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(words.split()), kind)
    for words, kind in (
        ("bang chu", "words"),
        ("quan he", "relation"),
        ("chuc vu", "title"),
        ("chuc danh", "title"),
        ("gio phut", "time"),
        ("quoc tich khac", ""),
        ("ho ten", "name"),
        ("nguoi ky", "name"),
        ("nguoi thuc hien", "name"),
        ("so giay to", "paper"),
        ("so dinh danh", "id12"),
        ("noi cap", "office"),
        ("co quan cap", "office"),
        ("que quan", "place"),
        ("noi cu tru", "place"),
        ("noi sinh", "place"),
        ("noi chet", "place"),
        ("dia chi", "place"),
        ("quyen so", "book"),
        ("trang so", "small"),
        ("dien thoai", "phone"),
        ("email", "email"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a column may hold a field; each from 0 to 1, None if it tells nothing."""

    name: float | None
    values: float | None
    kind: str  #: what the values were looked at for: a kind of ``Shape.shares``, ``list``, or empty
    sure: float  #: all together

    @property
    def proposed(self) -> bool:
        """Whether it is enough for a proposal."""
        return self.sure >= PROPOSED


@dataclass(frozen=True)
class Column:
    """A sampled column, with all that is known of it."""

    sampled: SampledColumn
    position: int
    meanings: tuple[Meaning, ...]  #: of its name and of its comment; empty: its name says nothing
    shape: Shape

    @property
    def name(self) -> str:
        return self.sampled.name

    @cached_property
    def texts(self) -> Mapping[str, int]:
        """Its values as code lists look at them, and how often each was met. Never shown."""
        return counted(self.sampled.values)

    def means(self, *words: str) -> bool:
        """Whether a meaning of its name has all these words."""
        return any(set(words) <= meaning.words for meaning in self.meanings)


@dataclass(frozen=True)
class Wanted:
    """A national field, with what it expects."""

    field: FormatField
    meanings: tuple[Meaning, ...]
    kind: str  #: of values; ``list`` for a code list, empty if anything may stand there

    @property
    def roles(self) -> frozenset[str]:
        return self.meanings[0].roles

    def has(self, words: frozenset[str]) -> bool:
        """Whether its name has all these words."""
        return words <= self.meanings[0].words


def lexicon_of(formats: Iterable[NationalFormat]) -> Lexicon:
    """The shipped lexicon with the words that the fields of these formats are named with."""
    return lexicon().extended(" ".join(split(one.name)) for each in formats for one in each.fields)


class Sample:
    """A table made ready to be held against formats."""

    def __init__(self, table: SampledTable, codes: CodeLists, known: Lexicon) -> None:
        self.table = table
        self._codes = codes
        self._listed: dict[str, Listed] = {}
        self._knows: dict[tuple[str, str], Known] = {}
        names = without_common_part([split(column.name) for column in table.columns])
        self.columns = tuple(
            Column(column, at, _read(parts, column.comment, known), shape(column.values))
            for at, (column, parts) in enumerate(zip(table.columns, names, strict=True))
            if column.avro is not None and column.sendable
        )
        self.by_name: Mapping[str, Column] = {column.name: column for column in self.columns}

    def known(self, column: Column, code_list: str) -> Known:
        """How much of a column a code list knows."""
        if code_list not in self._listed:
            self._listed[code_list] = Listed(self._codes[code_list])
        key = (column.name, code_list)
        if key not in self._knows:
            self._knows[key] = self._listed[code_list].knows(column.texts)
        return self._knows[key]


def _read(parts: Sequence[str], comment: str | None, known: Lexicon) -> tuple[Meaning, ...]:
    found = meanings(parts, known)
    informative = [one for one in found if one.roles or _spoken(one.words, known)]
    told: list[Meaning] = []
    if comment:
        # "Giới tính: 1 nam, 0 nữ": what stands behind a colon or in brackets explains.
        head = comment.replace(":", "(").split("(")[0]
        told = [one for text in (head, comment) for one in meanings(split(text), known)]
    return tuple(dict.fromkeys([*told, *informative]))


def _spoken(words: Iterable[str], known: Lexicon) -> bool:
    vocabulary = {word for meaning in known.meanings.values() for phrase in meaning for word in phrase}
    return any(word in vocabulary for word in words)


class Layout:
    """A format made ready to be held against tables."""

    def __init__(self, national: NationalFormat, known: Lexicon) -> None:
        self.national = national
        self.wanted = tuple(_wanted(one, known) for one in national.fields)
        counts = Counter(word for one in self.wanted for word in one.meanings[0].words)
        self._weights = {word: 1 + log(len(self.wanted) / count) for word, count in counts.items()}

    @cached_property
    def subjects(self) -> frozenset[str]:
        """The role of whom the records are about, if it is one: columns that name nobody are about them."""
        required = {role for one in self.wanted if one.field.required for role in one.roles}
        return frozenset(required) if len(required) == 1 else frozenset()

    def name_evidence(self, column: Column, wanted: Wanted) -> float | None:
        """How well names agree, from 0 to 1; None if the column's says nothing."""
        if not column.meanings:
            return None
        spread = 0.95 if len(column.meanings) > 1 else 1.0
        return max(
            self._alike(mine, theirs) * (1.0 if at == 0 else spread)
            for at, mine in enumerate(column.meanings)
            for theirs in wanted.meanings
        )

    def _alike(self, mine: Meaning, theirs: Meaning) -> float:
        words = self._weight(mine.words & theirs.words) * 2
        total = self._weight(mine.words) + self._weight(theirs.words)
        if not total:
            return 1.0 if mine.roles == theirs.roles else 0.0
        return words / total * self._same_person(mine.roles, theirs.roles)

    def _same_person(self, mine: frozenset[str], theirs: frozenset[str]) -> float:
        if mine == theirs:
            return 1.0
        if not mine:
            return 0.95 if theirs <= self.subjects else 0.35
        if not theirs:
            return 0.75 if mine <= self.subjects else 0.2
        return 0.8 if mine & theirs else 0.0

    def _weight(self, words: Iterable[str]) -> float:
        return sum(self._weights.get(word, 1.0) for word in words)


def _wanted(field: FormatField, known: Lexicon) -> Wanted:
    label = field.label.split("(")[0]
    found = dict.fromkeys(
        [
            *meanings(split(field.name), known),
            *meanings(split(label), known),
            *meanings(split(field.label), known),
        ]
    )
    first = next(iter(found), Meaning(frozenset(), frozenset({field.name.lower()})))
    roles = first.roles
    # A label speaks of others too ("quan hệ với người được khai sinh"): the name's role holds.
    kept = (first, *(Meaning(roles, one.words) for one in found))
    kind = next((kind for words, kind in _EXPECTED if words <= first.words), "")
    if first.words == {"so"}:
        kind = "entry"
    if field.date_form:
        kind = "date"
    if field.code_list:
        kind = "list"
    return Wanted(field, tuple(dict.fromkeys(kept)), kind)


def value_evidence(sample: Sample, column: Column, wanted: Wanted) -> float | None:
    """How well the values agree with what the field expects; None if they tell nothing."""
    if column.shape.filled < ENOUGH or not wanted.kind:
        return None
    if wanted.kind == "list":
        assert wanted.field.code_list
        known = sample.known(column, wanted.field.code_list)
        return min(1.0, known.share)
    if wanted.kind == "date":
        whole = wanted.field.date_form and "|" not in wanted.field.date_form
        read = column.shape.whole_days if whole else column.shape.date
        return min(1.0, read + _UNREAD * column.shape.unread)
    if wanted.kind == "id12":
        return column.shape.of("id12")
    if wanted.kind == "book":
        return max(column.shape.of("book"), 0.6 * column.shape.of("small"), 0.6 * column.shape.of("entry"))
    return min(1.0, column.shape.of(wanted.kind))


def combined(name: float | None, values: float | None) -> float:
    """All evidence in one figure. Values that do not fit weigh against the best of names."""
    if name is None:
        return 0.0
    return name * 0.85 if values is None else name * (0.34 + 0.63 * values)


@dataclass(frozen=True)
class Match:
    """A table held against one format."""

    layout: Layout
    sample: Sample
    found: Mapping[str, tuple[Column, Evidence]]  #: by national field, in the format's order
    others: Mapping[str, Sequence[tuple[Column, Evidence]]] = field(default_factory=dict)  #: next best

    @property
    def national(self) -> NationalFormat:
        return self.layout.national

    @property
    def fit(self) -> float:
        """How well the format fits: half for what it requires, half for what the table holds."""
        required = [one.name for one in self.national.fields if one.required]
        sure = {name: evidence.sure for name, (_, evidence) in self.found.items()}
        needs = sum(sure.get(name, 0.0) for name in required) / max(len(required), 1)
        holds = sum(sure.values()) / max(len(self.sample.columns), 1)
        return (needs + min(1.0, holds)) / 2 if sure else 0.0


def match(sample: Sample, layout: Layout, also: Mapping[str, tuple[Column, Evidence]] | None = None) -> Match:
    """The surest pairs of column and field, each of both at most once. ``also`` is settled beforehand."""
    pairs = []
    for wanted in layout.wanted:
        for column in sample.columns:
            name = layout.name_evidence(column, wanted)
            if not name:
                continue
            values = value_evidence(sample, column, wanted)
            pairs.append(
                (
                    wanted,
                    column,
                    Evidence(name=name, values=values, kind=wanted.kind, sure=combined(name, values)),
                )
            )
    pairs.sort(key=lambda one: (-one[2].sure, one[0].field.position, one[1].position))
    found = dict(also or {})
    taken = {column.name for column, _ in found.values()}
    others: dict[str, list[tuple[Column, Evidence]]] = {}
    for wanted, column, evidence in pairs:
        if not evidence.proposed:
            break
        if wanted.field.name in found and found[wanted.field.name][0] is column:
            continue
        if wanted.field.name in found or column.name in taken:
            others.setdefault(wanted.field.name, []).append((column, evidence))
            continue
        found[wanted.field.name] = (column, evidence)
        taken.add(column.name)
    order = [one.field.name for one in layout.wanted]
    return Match(layout, sample, {name: found[name] for name in order if name in found}, others)
