"""``lienthong store numbers``: gaps and disorder of a register's running numbers."""

import json
from typing import Annotated

import typer

from consumers.accounts import shortened
from consumers.commands import opened_store, store
from consumers.numbers import Book, books
from consumers.ranges import Ranges
from consumers.settings import StoreSettings
from schemas.library import load_library
from schemas.printing import Tongue, print_table
from schemas.settings import load_settings

__all__ = ["store"]

_COLUMNS = {
    "vi": ("sổ", "còn hiệu lực", "đã hủy", "cao nhất", "còn thiếu", "sai thứ tự", "trùng", "không đọc được"),
    "en": ("book", "in force", "cancelled", "highest", "missing", "out of order", "repeated", "unreadable"),
}  # fmt: skip


@store.command()
def numbers(
    full_id: Annotated[
        str, typer.Argument(metavar="FORMAT", help="A format with running numbers: chungthuc.hoso.v1.")
    ],
    language: Tongue = None,
    as_json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object for each book, also for those without a finding.")
    ] = False,
) -> None:
    """Look for gaps and disorder in running numbers, book by book, and print the books that have some.

    Missing: no entry has the number, in force or cancelled. Out of order: dated before the number that stands
    before it. Exit status 1 if anything was found. An entry that was refused on the road is missing, too.
    """
    settings = load_settings(StoreSettings)
    library = load_library(settings.contract_folders)
    with opened_store(settings) as opened:
        found = books(opened, library.formats, full_id)
    unsound = [book for book in found if not book.sound]
    if as_json_lines:
        for book in found:
            typer.echo(json.dumps(_as_json(book), ensure_ascii=False))
    elif unsound:
        print_table("", _COLUMNS[language or settings.language], [_cells(book) for book in unsound])
    typer.echo(f"{len(found)} books of {full_id}, {len(unsound)} with findings", err=True)
    if unsound:
        typer.echo("next step: compare with the paper book, and with lienthong receipts show", err=True)
        raise typer.Exit(1)


def _as_json(book: Book) -> dict[str, object]:
    told: dict[str, object] = {"book": list(book.name), "known": book.known}
    for name in ("entries", "cancelled", "highest", "missing", "disorder", "repeated", "unreadable"):
        value = getattr(book, name)
        told[name] = str(value) if isinstance(value, Ranges) else value
    return told


def _cells(book: Book) -> tuple[str, ...]:
    lists = (shortened(one) for one in (book.missing, book.disorder, book.repeated))
    counts = (book.entries, book.cancelled, book.highest)
    return (" ".join(book.name), *map(str, counts), *lists, str(book.unreadable or ""))
