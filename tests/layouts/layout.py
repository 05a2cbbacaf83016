"""Sample databases in vendors' styles: a page of text tells table and columns, and which national field each
column truly holds.

A line: column, SQL type, national field (``-``: none; ``a+b``: both), how it is written, comment if any.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from deploy.demo.births import Day
from deploy.demo.render import Cell, scribble
from deploy.demo.words import ETHNIC_SPELLINGS, GENDER_SPELLINGS, KIND_SPELLINGS, NATIONALITY_SPELLINGS
from tests.layouts.entries import Entry

Value = str | Day | int | None

_GONE = (None, None, None, "", "Không có thông tin")
_TEXT = re.compile(r"(var)?char\(\d+\)")
_PAPERS = {"1": "Giấy CMND", "2": "Hộ chiếu", "4": "Thẻ căn cước công dân"}
_MARRIED = {"1": ("Đăng ký lần đầu",), "2": ("Đăng ký lại",)}


@dataclass(frozen=True, kw_only=True)
class Held:
    """One column of a sample table."""

    name: str
    declared: str  #: an SQL type that SQLite, PostgreSQL and MariaDB know
    fields: tuple[str, ...]  #: the national fields it truly holds
    written: str  #: a key of ``WAYS``; ``way:source`` writes something the nation has no field for
    comment: str | None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One vendor's table."""

    table: str
    columns: tuple[Held, ...]

    @property
    def truth(self) -> Mapping[str, str]:
        """National field -> the column that holds it."""
        return {field: held.name for held in self.columns for field in held.fields}

    def ddl(self, quote: str = '"', *, comments: bool = False) -> str:
        """CREATE TABLE; the first column is the key. ``comments`` as MariaDB writes them."""
        told = [f" COMMENT '{held.comment}'" if comments and held.comment else "" for held in self.columns]
        columns = ", ".join(
            # Words for "nothing" are longer than what should stand there.
            f"{quote}{held.name}{quote} {re.sub(_TEXT, 'varchar(255)', held.declared)}{comment}"
            for held, comment in zip(self.columns, told, strict=True)
        )
        first = self.columns[0].name
        return f"CREATE TABLE {quote}{self.table}{quote} ({columns}, PRIMARY KEY ({quote}{first}{quote}))"

    def rows(self, entries: Iterable[Entry], seed: int) -> list[list[Cell]]:
        """A row for each entry, in the order of the columns."""
        rng = random.Random(f"{self.table} {seed}")
        return [[self._cell(held, entry, rng) for held in self.columns] for entry in entries]

    def _cell(self, held: Held, entry: Entry, rng: random.Random) -> Cell:
        way, _, source = held.written.partition(":")
        values = [entry.get(name) for name in (held.fields or (source,))]
        if values[0] is None or way == "empty":
            textual = held.declared.startswith(("varchar", "text", "char")) and way != "code"
            return rng.choice(_GONE) if textual else None
        if len(values) > 1:
            return " - ".join(str(value) for value in values if value is not None)
        return WAYS[way](values[0], rng)


def layout(table: str, page: str) -> Layout:
    """Read a page."""
    columns = []
    for line in page.strip().splitlines():
        before, _, comment = line.partition(" -- ")
        name, declared, fields, written = re.split(r"\s{2,}", before.strip())
        columns.append(
            Held(
                name=name,
                declared=declared,
                fields=() if fields == "-" else tuple(fields.split("+")),
                written=written,
                comment=comment.strip() or None,
            )
        )
    return Layout(table=table, columns=tuple(columns))


def _day(form: str) -> Callable[[Value, random.Random], Cell]:
    """A way to write dates; what is not known is left out, as ``MM/yyyy`` or ``yyyy``."""
    separator = next((letter for letter in form if not letter.isalpha()), "")

    def write(value: Value, rng: random.Random) -> Cell:
        assert isinstance(value, Day)
        parts = {"d": f"{value.day or 0:02d}", "M": f"{value.month or 0:02d}", "y": f"{value.year:04d}"}
        order = [part[0] for part in (form.split(separator) if separator else ("y", "M", "d"))]
        known = [part for part in order if parts[part] != "00"]
        return separator.join(parts[part] for part in known)

    return write


def _iso(value: Value, rng: random.Random) -> Cell:
    """A column of type date: only whole days fit."""
    assert isinstance(value, Day)
    return f"{value.year:04d}-{value.month:02d}-{value.day:02d}" if value.day and value.month else None


def _named(names: Mapping[str, tuple[str, ...]]) -> Callable[[Value, random.Random], Cell]:
    return lambda value, rng: scribble(rng, rng.choice(names[str(value)]))


#: How a cell is written.
WAYS: Mapping[str, Callable[[Value, random.Random], Cell]] = {
    "text": lambda value, rng: scribble(rng, str(value)),
    "caps": lambda value, rng: str(value).upper(),
    "code": lambda value, rng: str(value),
    "number": lambda value, rng: int(re.sub(r"\D.*", "", str(value)) or 0),
    "same": lambda value, rng: value if isinstance(value, int) else str(value),
    "bool": lambda value, rng: bool(value),
    "male": lambda value, rng: {"1": 1, "2": 0}.get(str(value)),
    "d/M/y": _day("dd/MM/yyyy"),
    "d-M-y": _day("dd-MM-yyyy"),
    "d.M.y": _day("dd.MM.yyyy"),
    "ymd": _day("yyyyMMdd"),
    "iso": _iso,
    "year": lambda value, rng: value.year if isinstance(value, Day) else None,
    "ethnic": _named(ETHNIC_SPELLINGS),
    "gender": _named(GENDER_SPELLINGS),
    "kind": _named(KIND_SPELLINGS),
    "married": _named(_MARRIED),
    "country": _named(NATIONALITY_SPELLINGS),
    "paper": lambda value, rng: _PAPERS[str(value)],
    "empty": lambda value, rng: None,
}
