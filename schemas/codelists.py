"""Code lists: what a code means, and since when. ``schemas.codefiles`` reads them.

A list with dates may give one code several meanings, one after the other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property

import polars as pl

#: Stands for "several codes go by this name" in ``Names.tokens``; no code looks like it.
AMBIGUOUS = "?"

#: What does not matter when names are compared: spaces and hyphens.
_FOLDED_AWAY = "[ \u2010\u2011-]"


def fold(name: str) -> str:
    """A name without case, spaces and hyphens, for comparison only."""
    return re.sub(_FOLDED_AWAY, "", name).lower()


def folded(name: pl.Expr) -> pl.Expr:
    """``fold`` in columns."""
    return name.str.replace_all(_FOLDED_AWAY, "").str.to_lowercase()


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


@dataclass(frozen=True, slots=True)
class Versions:
    """A dated list ready for binary search: one row for each meaning, by code and then by first day.

    The key of a meaning is ``rank of its code << DAY_BITS | first day``, days counted from ``FIRST_DAY``.
    """

    codes: pl.Series  #: String, each once, sorted; a code's place is its rank
    ranks: pl.Series  #: Int64, one for each meaning
    keys: pl.Series  #: Int64, sorted
    until: pl.Series  #: Date, the first day out; null is open
    parents: pl.Series  #: String


DAY_BITS = 23
FIRST_DAY = -1_000_000  #: days before 1970-01-01: earlier than the year 1


@dataclass(frozen=True)
class CodeList:
    """One list."""

    name: str
    head: Mapping[str, str]  #: title, source, evidence, and any other key of ``codefiles.HEAD_KEYS``
    entries: pl.DataFrame  #: the columns of ``codefiles.COLUMNS``: String, but valid_from and valid_to Date

    @cached_property
    def dated(self) -> bool:
        """Whether its codes have dates: then a code without a date may be ambiguous."""
        return self.entries["valid_from"].count() + self.entries["valid_to"].count() > 0

    @cached_property
    def codes(self) -> frozenset[str]:
        """Every code that has, or had, a meaning."""
        return frozenset(self.entries["code"])

    def resolve(self, code_or_name: str, at: date | None = None) -> Answer:
        """What a code or a name, written in any case, with spaces or hyphens, meant on a day."""
        rows = self.entries.filter(pl.col("code") == code_or_name)
        if rows.is_empty():
            rows = self._named(fold(code_or_name))
        found = tuple(_entries(rows))
        if not found:
            return Unknown()
        then = tuple(entry for entry in found if at is None or _valid(entry, at))
        if not then:
            return NotThen(found)
        return Exact(then[0]) if len(then) == 1 else Ambiguous(then)

    def names(
        self, *, codes: bool = False, names: bool = True, aliases: Mapping[str, str] | None = None
    ) -> Names:
        """How texts become codes: an official name wins over an alias, an alias over other names.

        ``A (B)`` is the group A if B is one of its other names. With ``codes``, codes count as names; without
        ``names``, nothing else does. ``aliases`` (text -> code) come on top of the list's own.
        """
        ranked = self._ranked() if names else []
        own = [(code, code) for code in self.entries["code"]] if codes else []
        own += list((aliases or {}).items())
        tokens: dict[str, str] = {}
        for rank in (own, *ranked):
            fresh: dict[str, str] = {}
            for text, code in rank:
                known = fresh.setdefault(fold(text), code)
                if known != code:
                    fresh[fold(text)] = AMBIGUOUS
            tokens = fresh | tokens
        written = {
            form: code
            for rank in (own, *ranked[:2])
            for text, code in rank
            if tokens[fold(text)] == code
            for form in (text, text.lower(), text.upper(), text.replace("-", " ").title())
            if fold(form) == fold(text)
        }
        parts = (written, written.values(), tokens, tokens.values())
        return Names(*(pl.Series(list(part), dtype=pl.String) for part in parts))

    def versions(self) -> Versions:
        """The list ready for ``code_at``."""
        rows = self.entries.sort("code", "valid_from", nulls_last=False)
        codes = rows["code"].unique().sort()
        ranks = codes.search_sorted(rows["code"]).cast(pl.Int64)
        days = rows["valid_from"].to_physical().cast(pl.Int64).fill_null(FIRST_DAY) - FIRST_DAY
        return Versions(codes, ranks, ranks * 2**DAY_BITS + days, rows["valid_to"], rows["parent"])

    def _named(self, key: str) -> pl.DataFrame:
        for rank in self._ranked():
            codes = {code for text, code in rank if fold(text) == key}
            if codes:
                return self.entries.filter(pl.col("code").is_in(codes))
        return self.entries.clear()

    def _ranked(self) -> list[list[tuple[str, str]]]:
        """Names and their codes: official, aliases, other names, and last ``name (other name)``."""
        official, aliases, others, combined = [], [], [], []
        for row in self.entries.iter_rows(named=True):
            code, other_names = row["code"], _several(row["other_names"])
            own_names = [row["name"], *_several(row["aliases"])]
            official.append((row["name"], code))
            aliases += [(text, code) for text in own_names[1:]]
            others += [(text, code) for text in other_names]
            combined += [(f"{own} ({other})", code) for own in own_names for other in other_names]
        return [official, aliases, others, combined]


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


def _several(text: str | None) -> list[str]:
    return [part for part in (text or "").split(";") if part]


def _entries(rows: pl.DataFrame) -> Sequence[Entry]:
    kept = rows.select(one.name for one in fields(Entry))
    return [Entry(**row) for row in kept.iter_rows(named=True)]


def _valid(entry: Entry, at: date) -> bool:
    return (entry.valid_from is None or entry.valid_from <= at) and (
        entry.valid_to is None or at < entry.valid_to
    )
