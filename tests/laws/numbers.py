"""Laws of a national store: running numbers of a register, book by book."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from consumers.numbers import Book, books
from schemas.formats import Books, NationalFormat, Running
from tests.store_lab import Change, Lab, delete, national_format, upsert


def _numbered() -> NationalFormat:
    made = national_format("khoa", "donVi", "maSo", "so", "ngay", entity="muc")
    fields = tuple(
        replace(one, date_form="dd.MM.yyyy|yyyy") if one.name == "ngay" else one for one in made.fields
    )
    of_books = Books(format=SHELF.full_id, first="dau", last="cuoi")
    running = Running(number="so", within=("donVi", "maSo"), day="ngay", books=of_books)
    return replace(made, fields=fields, running=running)


SHELF = replace(national_format("donVi", "maSo", "dau", "cuoi", entity="so"), key=("donVi", "maSo"))
ENTRIES = _numbered()
FORMATS = {one.full_id: one for one in (SHELF, ENTRIES)}


def entry(seq: int, number: str | None, day: str | None = "05.03.2024", book: str = "A") -> Change:
    """An entry whose key and source key are its sequence number."""
    values = {"donVi": "U1", "maSo": book, "so": number, "ngay": day}
    return upsert(seq, f"K{seq}", person=f"p{seq}", **values)


class NumberLaws:
    @pytest.fixture
    def told(self, lab: Lab) -> Callable[..., list[Book]]:
        """What is told of these entries, and of books as (name, first, newest number)."""
        lab.store.migrate([SHELF, ENTRIES])

        def tell(*entries: Change, shelf: tuple[tuple[str, str | None, str | None], ...] = ()) -> list[Book]:
            lab.national = ENTRIES
            if entries:
                lab.apply(*entries)
            lab.national = SHELF
            for at, (name, first, last) in enumerate(shelf, 1):
                lab.apply(upsert(at, f"U1|{name}", person=name, donVi="U1", maSo=name, dau=first, cuoi=last))
            return books(lab.store, FORMATS, ENTRIES.full_id)

        return tell

    def test_a_book_without_gaps_in_the_order_of_days_is_sound(self, told: Callable[..., list[Book]]) -> None:
        (book,) = told(entry(1, "2", "06.03.2024"), entry(2, "1"), entry(3, "3", "07.03.2024"))
        assert book.sound
        assert (book.name, book.known, book.entries, book.highest) == (("U1", "A"), False, 3, 3)

    def test_gaps_are_told_book_by_book(self, told: Callable[..., list[Book]]) -> None:
        numbers = [entry(seq, str(n)) for seq, n in enumerate((1, 2, 5, 9, 10), 1)]
        first, second = told(*numbers, entry(6, "1", book="B"), entry(7, "3", book="B"))
        assert (str(first.missing), str(second.missing)) == ("3-4,6-8", "2")

    def test_the_record_of_the_book_tells_where_it_begins_and_ends(
        self, told: Callable[..., list[Book]]
    ) -> None:
        book, empty = told(entry(1, "3"), entry(2, "4"), shelf=(("A", "1", "6"), ("B", "1", None)))
        assert (book.known, str(book.missing)) == (True, "1-2,5-6")
        assert (empty.known, empty.entries, empty.sound) == (True, 0, True)

    def test_a_cancelled_number_is_no_gap_and_makes_no_book_longer(
        self, told: Callable[..., list[Book]]
    ) -> None:
        entries = [entry(seq, str(n)) for seq, n in enumerate((1, 2, 3, 99), 1)]
        gone = [delete(5, "K2", person="p2"), delete(6, "K4", person="p4")]
        (book,) = told(*entries, *gone)
        assert (book.sound, book.entries, book.cancelled, book.highest) == (True, 2, 2, 3)

    def test_a_day_before_that_of_the_number_before_is_disorder(
        self, told: Callable[..., list[Book]]
    ) -> None:
        days = ("01.03.2024", "31.12.2029", "02.03.2024", "2024", "01.04.2024", "02.03.2024")
        (book,) = told(*(entry(n, str(n), day) for n, day in enumerate(days, 1)))
        assert str(book.disorder) == "3,6"  # one wrong day does not put all behind it in the wrong

    def test_doubles_and_what_is_no_number_are_told(self, told: Callable[..., list[Book]]) -> None:
        (book,) = told(entry(1, "1"), entry(2, "01"), entry(3, "2/2024"), entry(4, None), entry(5, "2"))
        assert (str(book.repeated), book.unreadable, str(book.missing)) == ("1", 2, "")

    def test_a_slip_of_a_huge_number_costs_nothing(self, told: Callable[..., list[Book]]) -> None:
        (book,) = told(entry(1, "1"), entry(2, "900000000000000000"))
        assert len(book.missing) == 899_999_999_999_999_998

    def test_an_empty_store_has_no_books(self, told: Callable[..., list[Book]]) -> None:
        assert told() == []
