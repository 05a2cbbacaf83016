"""Code lists: what a code means, since when, and what became of it. ``schemas.codefiles`` reads them.

A list with dates may give one code several meanings, one after the other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl

from schemas import codetimes
from schemas.cleaning import cleaned
from schemas.codenames import Spelling, folded, spelling
from schemas.codetimes import Timeline

#: Stands for "several codes go by this name" in ``Names.tokens``; no code looks like it.
AMBIGUOUS = "?"

NO_SUCCESSORS = pl.DataFrame(schema={"code": pl.String, "successor": pl.String, "on": pl.Date})

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One meaning of one code."""

    code: str
    name: str
    parent: str | None = None  #: a code of the list's parent list
    district: str | None = None  #: of a commune before 2025-07-01: a code of the district list
    valid_from: date | None = None  #: None: since before the list knows
    valid_to: date | None = None  #: the first day it is no longer valid; None: it still is
    sentinel: str | None = None  #: ``nothing``: nothing is known; ``other``: none of the others; no default
    evidence: str | None = None  #: V, I or U, where it is not that of the whole list


@dataclass(frozen=True, slots=True)
class Exact:
    entry: Entry


@dataclass(frozen=True, slots=True)
class Ambiguous:
    candidates: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class NotThen:
    """The list knows it, but not at that date."""

    candidates: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Untold:
    """The list knows the entry, but does not tell what became of it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Unknown:
    pass


Answer = Exact | Ambiguous | NotThen | Unknown


@dataclass(frozen=True, slots=True)
class Names:
    """How names become codes, ready for ``replace_strict``: parallel columns of String."""

    usual: pl.Series  #: official names and aliases as they are mostly written
    usual_codes: pl.Series
    folded: pl.Series  #: every name known, folded
    tokens: pl.Series  #: its code, or ``AMBIGUOUS``


@dataclass(frozen=True)
class CodeList:
    """One list. What is only needed now and then is worked out when it is asked for, once."""

    name: str
    head: Mapping[str, str]  #: title, source, evidence, and any other key of ``codefiles.HEAD_KEYS``
    entries: pl.DataFrame  #: the columns of ``codefiles.COLUMNS``: String, but valid_from and valid_to Date
    successors: pl.DataFrame = field(default_factory=lambda: NO_SUCCESSORS)  #: code -> successor, on a day
    #: The lists its columns name codes of, the lower ones first.
    above: tuple[tuple[str, "CodeList"], ...] = ()

    @cached_property
    def dated(self) -> bool:
        """Whether its codes have dates: then a code without a date may be ambiguous."""
        return self.entries["valid_from"].count() + self.entries["valid_to"].count() > 0

    @cached_property
    def codes(self) -> frozenset[str]:
        """Every code that has, or had, a meaning."""
        return frozenset(self.entries["code"])

    @property
    def below(self) -> str | None:
        """A pattern whose one group is the code of this list within the code of a unit below it."""
        return f"^(?:{self.head['below']})$" if "below" in self.head else None

    @cached_property
    def spelling(self) -> Spelling:
        """How its names are compared."""
        return spelling(self.head.get("types", ""), *(one.head.get("types", "") for _, one in self.above))

    @cached_property
    def spells(self) -> pl.DataFrame:
        """Its meanings in time, see ``codetimes.spells``."""
        return codetimes.spells(self.entries, self.successors)

    @cached_property
    def timeline(self) -> Timeline:
        """Codes, exactly as they are, in time."""
        return codetimes.code_timeline(self.spells)

    @cached_property
    def texts(self) -> pl.DataFrame:
        """Every text that means a code, see ``codetimes.keyed``."""
        above = [(column, one.spells) for column, one in self.above] if self.spelling.types else []
        return codetimes.keyed(self.spells, self.spelling, above)

    @cached_property
    def text_timeline(self) -> Timeline:
        """Codes and names, by their keys, in time."""
        return codetimes.timeline(self.texts)

    @cached_property
    def name_timeline(self) -> Timeline:
        """Names alone, by their keys, in time."""
        return codetimes.timeline(self.texts.filter(pl.col("rank") != codetimes.CODE))

    def resolve(self, code_or_name: str, at: date | None = None) -> Answer:
        """What a code or a name, in any spelling that ``codenames`` knows, meant on a day, or ever."""
        texts = self.texts.filter(pl.col("key") == self._key(code_or_name))
        if (texts["rank"] == codetimes.CODE).any():
            texts = texts.filter(pl.col("rank") == codetimes.CODE)
        then = texts
        if at is not None:
            then = texts.filter(pl.col("begin") <= _day(at), pl.col("end") > _day(at))
        then = then.filter(pl.col("rank") == pl.col("rank").min())
        if texts.is_empty():
            return Unknown()
        if then.is_empty():
            return NotThen(self._entries(texts))
        found = self._entries(then)
        return Exact(found[0]) if len(found) == 1 else Ambiguous(found)

    def on(self, code_or_name: str, at: date, on: date) -> Answer | Untold:
        """What became, by the day ``on``, of the unit that a code or a name meant on the day ``at``.

        Ambiguous if it was divided. If ``on`` is not after ``at``, the unit as it was at ``at``.
        """
        then = self.resolve(code_or_name, at)
        if not isinstance(then, Exact) or on <= at:
            return then
        spell = self.spells.with_row_index("at").filter(
            pl.col("code") == then.entry.code, pl.col("begin") <= _day(at), pl.col("end") > _day(at)
        )
        codes = self._became(on)[spell["at"][0]]
        if codes is None:
            return Untold(then.entry)
        now = self.spells.with_row_index("at").filter(
            pl.col("code").is_in(codes), pl.col("begin") <= _day(on), pl.col("end") > _day(on)
        )
        found = self._entries(now)
        return Exact(found[0]) if len(found) == 1 else Ambiguous(found)

    def codes_on(self, on: date) -> pl.Series:
        """For each of the ``spells`` the one code its unit has on the day ``on``: ``AMBIGUOUS`` if it was
        divided, null if the list does not tell.
        """
        tokens = [
            None if codes is None else AMBIGUOUS if len(codes) > 1 else next(iter(codes))
            for codes in self._became(on)
        ]
        return pl.Series(tokens, dtype=pl.String)

    def names(
        self, *, codes: bool = False, names: bool = True, aliases: Mapping[str, str] | None = None
    ) -> Names:
        """How texts become codes: an official name wins over an alias, an alias over other names.

        ``A (B)`` is the group A if B is one of its other names. With ``codes``, codes count as names; without
        ``names``, nothing else does. ``aliases`` (text -> code) come on top of the list's own. Worked out
        once, for many rules of a library ask the same.
        """
        asked = (codes, names, tuple((aliases or {}).items()))
        if asked not in self._names_by:
            self._names_by[asked] = self._names(*asked)
        return self._names_by[asked]

    def _names(self, codes: bool, names: bool, aliases: Sequence[tuple[str, str]]) -> Names:
        known = self._known_texts
        kept = (pl.col("rank") == codetimes.CODE) & codes | (pl.col("rank") != codetimes.CODE) & names
        own = pl.DataFrame(aliases, schema={"text": pl.String, "code": pl.String}, orient="row")
        own = own.with_columns(rank=pl.lit(codetimes.CODE), key=folded(pl.col("text")))
        texts = pl.concat([known.filter(kept), own.select(known.columns)])
        best = texts.filter(pl.col("rank") == pl.col("rank").min().over("key"))
        token = pl.when(pl.col("code").n_unique() == 1).then(pl.col("code").first())
        tokens = best.group_by("key").agg(token=token.otherwise(pl.lit(AMBIGUOUS)))
        usual = _as_mostly_written(texts.filter(pl.col("rank") <= codetimes.ALIAS)).join(tokens, on="key")
        usual = usual.filter(pl.col("code") == pl.col("token")).unique("text")
        return Names(usual["text"], usual["code"], tokens["key"], tokens["token"])

    @cached_property
    def _names_by(self) -> dict[tuple[Any, ...], Names]:
        return {}

    @cached_property
    def _known_texts(self) -> pl.DataFrame:
        """``code``, ``text``, ``rank`` and ``key`` of every text that means a code, whenever."""
        texts = codetimes.known_texts(self.entries).with_columns(key=folded(pl.col("text")))
        return texts.select("code", "text", "rank", "key")

    def _key(self, text: str) -> str:
        text = cleaned(text)  # as rules find it
        found = re.fullmatch(self.below, text) if self.below else None
        return self.spelling.key(found[1] if found else text)

    def _entries(self, rows: pl.DataFrame) -> tuple[Entry, ...]:
        """The entries of these rows of ``spells``, each once."""
        kept = self.spells[rows["at"].unique().sort()].select(one.name for one in fields(Entry))
        return tuple(dict.fromkeys(Entry(**row) for row in kept.iter_rows(named=True)))

    def _became(self, on: date) -> Sequence[frozenset[str] | None]:
        if on not in self._became_by:
            successors: dict[tuple[str, int], list[str]] = {}
            for code, successor, when in self.successors.rows():
                successors.setdefault((code, _day(when)), []).append(successor)
            self._became_by[on] = codetimes.became(self.spells, successors, self.spelling, _day(on))
        return self._became_by[on]

    @cached_property
    def _became_by(self) -> dict[date, Sequence[frozenset[str] | None]]:
        return {}


class CodeLists(Mapping[str, CodeList]):
    """The code lists of a library, by name."""

    def __init__(self, lists: Iterable[CodeList]) -> None:
        self._lists = {one.name: one for one in lists}

    def __getitem__(self, name: str) -> CodeList:
        return self._lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def resolve(self, name: str, code_or_name: str, at: date | None = None) -> Answer:
        """``CodeList.resolve`` of the list ``name``. Raises ``KeyError`` if there is no such list."""
        return self[name].resolve(code_or_name, at)


def _as_mostly_written(texts: pl.DataFrame) -> pl.DataFrame:
    """The texts in the forms they mostly have, with the key that these forms must have too."""
    text = pl.col("text")
    title = text.str.replace_all("-", " ", literal=True).str.to_titlecase()
    forms = [text, text.str.to_lowercase(), text.str.to_uppercase(), title]
    every = pl.concat([texts.select("code", "key", text=form) for form in forms])
    return every.filter(folded(pl.col("text")) == pl.col("key"))


def _day(day: date) -> int:
    return (day - _EPOCH).days
