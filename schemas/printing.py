"""How commands print: data to standard output, as tables for people and as lines or JSON for programs."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from schemas.reasons import Language

#: The option of every command that speaks both languages.
Tongue = Annotated[
    Language | None,
    typer.Option("--lang", "--language", help="Default: LIENTHONG_LANGUAGE.", show_default=False),
]


def number(value: int, language: Language) -> str:
    """A whole number as each language groups its digits: ``12.345``, and ``12,345`` in English."""
    text = f"{value:,}"
    return text.replace(",", ".") if language == "vi" else text


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people on a terminal; the title and tab-separated lines for whatever reads a pipe."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        for line in ([title] if title else []) + ["\t".join(cells) for cells in (columns, *rows)]:
            typer.echo(line)
        return
    table = Table(title=title or None, title_justify="left", show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for cells in rows:
        table.add_row(*cells)
    console.print(table)


def print_page(page: str) -> None:
    """A page in Markdown: laid out on a terminal, as it is into a pipe or a file."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(Markdown(page))
    else:
        typer.echo(page, nl=False)


def print_json(value: Any) -> None:
    """A value as JSON, letters as they are."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
