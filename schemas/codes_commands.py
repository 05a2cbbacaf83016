"""``lienthong codes …``: what a code meant, and when."""

import json
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

import typer

from schemas.codelists import Ambiguous, Answer, CodeList, CodeLists, Entry, Exact, NotThen
from schemas.documents import suggestion
from schemas.errors import SettingsError
from schemas.library import load_library
from schemas.settings import LibrarySettings, load_settings

codes = typer.Typer(no_args_is_help=True, help="Look codes up in the code lists, as of a day.")


@codes.callback()
def group() -> None:
    """A group even while it has one command."""


@codes.command()
def show(
    name: Annotated[str, typer.Argument(metavar="LIST", help="A code list, or the end of its name: xa.")],
    code_or_name: Annotated[
        str, typer.Argument(help="A code, or a name in any case, with or without spaces and hyphens.")
    ],
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it is asked for; else any day.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Tell what a code or a name means: exactly one thing, several (ambiguous), or nothing.

    Exit status 0 if the answer is exact, 1 if it is not.
    """
    one = _list(load_library(load_settings(LibrarySettings).contract_folders).codes, name)
    day = at.date() if at else None
    answer = one.resolve(code_or_name, day)
    kind, entries = _told(answer)
    if as_json:
        found: dict[str, Any] = {"list": one.name, "asked": code_or_name, "at": day, "answer": kind}
        found |= {"entries": [asdict(entry) for entry in entries]}
        typer.echo(json.dumps(found, ensure_ascii=False, default=date.isoformat))
    else:
        typer.echo(f"{one.name}: {code_or_name}{f' on {day}' if day else ''}: {kind}")
        for entry in entries:
            typer.echo(f"  {_line(entry)}")
        typer.echo(f"evidence: {one.head['evidence']}", err=True)
    if not isinstance(answer, Exact):
        raise typer.Exit(1)


def _list(every: CodeLists, name: str) -> CodeList:
    """The list of this name, or the only one whose name ends with it. Raises ``SettingsError``."""
    ends = [one for one in every if one == name or one.endswith(f".{name}")]
    found = [name] if name in every else ends
    if len(found) != 1:
        text = f"{name} may be any of {', '.join(sorted(found))}" if found else f"no code list {name}"
        raise SettingsError(text, next_step=suggestion(name, sorted(every)))
    return every[found[0]]


def _told(answer: Answer) -> tuple[str, tuple[Entry, ...]]:
    if isinstance(answer, Exact):
        return "exact", (answer.entry,)
    if isinstance(answer, Ambiguous):
        return "ambiguous", answer.candidates
    if isinstance(answer, NotThen):
        return "not valid then", answer.candidates
    return "unknown", ()


def _line(entry: Entry) -> str:
    fields: dict[str, Any] = {"parent": entry.parent, "from": entry.valid_from, "until": entry.valid_to}
    told = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    return f"{entry.code}  {entry.name}{f'  ({told})' if told else ''}"
