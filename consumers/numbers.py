"""Running numbers of a register in the national store: what is missing in a book, what is out of order.

A gap is a fact of the register and no fault of the road, so it is reported and never refused. Only numbers
and the names of books are told: no personal value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from consumers.ranges import Ranges, distinct, encode
from consumers.store import NationalStore
from schemas.errors import SettingsError
from schemas.formats import NationalFormat, Running

#: What a day's form is to Polars.
_DAY_PARTS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_NUMBER = r"^[0-9]{1,18}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One book, and its numbers as the store has them."""

    name: tuple[str, ...]  #: the values of ``Running.within``; "" where one is missing
    known: bool  #: whether the store has the book's own record; without it, it begins at its lowest entry
    entries: int  #: in force
    cancelled: int  #: tombstones; their numbers are given and no gap
    highest: int  #: the highest number of an entry in force, 0 if there is none
    missing: Ranges  #: between the book's first and newest number, and there is no entry of it
    disorder: Ranges  #: dated before the number that stands before it
    repeated: Ranges  #: in force more than once, written in different ways (17 and 017)
    unreadable: int  #: entries in force whose number is none

    @property
    def sound(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.missing or self.disorder or self.repeated or self.unreadable)


def books(store: NationalStore, formats: Mapping[str, NationalFormat], full_id: str) -> list[Book]:
    """Every book of a format, by name. Raises ``SettingsError`` if no format with such numbers is so named.

    Raises ``TryAgain`` and ``StoreError`` as the store does. Memory: some 100 bytes for each record.
    """
    known = {name: one for name, one in formats.items() if one.running}
    if full_id not in known:
        raise SettingsError(
            f"no format with running numbers is named {full_id}",
            next_step="name one of: " + ", ".join(sorted(known)),
        )
    national = known[full_id]
    running = national.running
    assert running is not None
    entries = store.columns(national, [*running.within, running.number, running.day])
    due: dict[tuple[str, ...], tuple[int | None, int | None]] = {}
    if running.books:
        of_books = formats[running.books.format]
        names = [*running.within, running.books.first, running.books.last]
        rows = store.columns(of_books, names).filter(~pl.col("lt_deleted")).select(names)
        due = {_name(row[:-2]): (_number(row[-2]), _number(row[-1])) for row in rows.iter_rows()}
    return list(_books(_numbered(entries, national, running), running, due))


def _numbered(entries: pl.DataFrame, national: NationalFormat, running: Running) -> pl.DataFrame:
    """The entries with ``n``, the number, and ``at``, the day or moment; sorted by book and number."""
    forms = next(field.date_form for field in national.fields if field.name == running.day) or ""
    form = forms.partition("|")[0]
    for part, directive in _DAY_PARTS.items():
        form = form.replace(part, directive)
    number, day = pl.col(running.number), pl.col(running.day)
    return entries.select(
        *(pl.col(name).fill_null("") for name in running.within),
        pl.when(number.str.contains(_NUMBER)).then(number).cast(pl.Int64).alias("n"),
        day.str.to_datetime(form, strict=False).alias("at"),
        "lt_deleted",
    ).sort(*running.within, "n", "at")


def _books(
    entries: pl.DataFrame, running: Running, due: Mapping[tuple[str, ...], tuple[int | None, int | None]]
) -> Iterator[Book]:
    parts = entries.partition_by(*running.within, as_dict=True, include_key=False)
    of_books = {_name(name): part for name, part in parts.items()}
    nothing = entries.clear().drop(running.within)
    for name in sorted({*of_books, *due}):
        yield _book(name, of_books.get(name, nothing), due.get(name))


def _book(name: tuple[str, ...], entries: pl.DataFrame, due: tuple[int | None, int | None] | None) -> Book:
    live = entries.filter(~pl.col("lt_deleted"))
    numbered = live.drop_nulls("n")
    numbers = numbered["n"]
    there = _ranges(numbers)
    first, last = due or (None, None)
    # A cancelled number fills its place but does not make the book longer: it may have been a slip.
    begin = min([*([first] if first is not None else []), *(span[0] for span in there.spans[:1])], default=1)
    end = max([*([last] if last is not None else []), there.highest])
    gone = _ranges(entries.filter(pl.col("lt_deleted"))["n"].drop_nulls())
    behind = numbered.filter(pl.col("at") < pl.col("at").shift(1))
    return Book(
        name=name,
        known=due is not None,
        entries=len(live),
        cancelled=len(entries) - len(live),
        highest=there.highest,
        missing=(Ranges.of([(begin, end)]) if end >= begin else Ranges()) - there - gone,
        disorder=_ranges(behind["n"]),
        repeated=_ranges(numbers.filter(numbers.is_duplicated())),
        unreadable=len(live) - len(numbered),
    )


def _ranges(numbers: pl.Series) -> Ranges:
    return Ranges.parse([encode(distinct(numbers))])


def _name(values: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(str(value or "") for value in values)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and text.isascii() else None
