"""``lienthong contracts draft``: from a table to a proposed contract."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from producers.introspection import database_name, read_table
from schemas.commands import AsJson, contracts
from schemas.drafting.drafts import Draft, draft_of
from schemas.drafting.own_format import format_text, plain_id
from schemas.drafting.pages import as_json, contract_text
from schemas.errors import LienthongError
from schemas.library import Library, load_library
from schemas.printing import Tongue, print_json
from schemas.reasons import Language
from schemas.settings import LibrarySettings, load_settings

__all__ = ["contracts"]

_ID = re.compile("([a-z][a-z0-9_]*)/([a-z][a-z0-9_]*)")


@contracts.command()
def draft(
    address: Annotated[
        str,
        typer.Argument(metavar="URL", help="SQLAlchemy address: postgresql+psycopg://user@host/database."),
    ],
    table: Annotated[str, typer.Option(help="The table or view; schema.name if it is in another schema.")],
    full_id: Annotated[
        str | None,
        typer.Option(
            "--format", help="The national format to feed. Default: those that fit.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="system/dataset. Default: after database and table.", show_default=False),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Write the files into this library folder and print none.", show_default=False),
    ] = None,
    lang: Tongue = None,
    as_json_object: AsJson = False,
) -> None:
    """Propose a contract for a table of any database, from what it says of itself and a sample of its rows.

    Reads up to 2,000 rows and writes nothing to the database. Names source schema, key, status, rules and
    code lists, how sure each is and why, and leaves what a person must answer as comments. Where no national
    format fits, it proposes one of the province's own. No value of a person is printed.
    """
    settings = load_settings(LibrarySettings)
    library = load_library(settings.contract_folders)
    system, dataset = _named(name, address, table)
    if f"{system}/{dataset}" in library.contracts:
        text, next_step = f"there is a contract {system}/{dataset} already", "give the draft another --name"
        raise LienthongError(text, next_step=next_step)
    drafted = draft_of(read_table(address, table), library, name=(system, dataset), wanted=full_id)
    language = lang or settings.language
    files = _files(drafted, library, language)
    if into is not None:
        _write(into, files)
    if as_json_object:
        print_json(as_json(drafted, language) | {"files": files})
    elif into is None:
        typer.echo("\n".join(files.values()), nl=False)
    for place in files:
        typer.echo(f"{'wrote' if into else 'to be written to'} {(into or Path()) / place}", err=True)
    lacking = sum(len(one.lacking) for one in drafted.targets)
    typer.echo(
        f"{len(drafted.questions)} open questions, {lacking} required fields without a rule; "
        "answer them, then: lienthong contracts check",
        err=True,
    )


def _named(name: str | None, address: str, table: str) -> tuple[str, str]:
    if name is None:
        return plain_id(database_name(address), "_"), plain_id(table.rpartition(".")[2], "_")
    if found := _ID.fullmatch(name):
        return found[1], found[2]
    text = "--name: not system/dataset in small letters, digits and _"
    raise LienthongError(text, next_step="for example --name hotich_qnam/khaisinh")


def _files(drafted: Draft, library: Library, language: Language) -> Mapping[str, str]:
    """The files of a library by their places in it."""
    files = {f"contracts/{drafted.id}.yaml": contract_text(drafted, language)}
    if own := drafted.proposal:
        if own.full_id in library.formats:
            text, next_step = (
                f"there is a format {own.full_id} already",
                f"draft for it: --format {own.full_id}",
            )
            raise LienthongError(text, next_step=next_step)
        files[f"formats/{own.domain}/{own.entity}/v{own.version}.avsc"] = format_text(own)
    return files


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Never over a file: a person may have worked on it."""
    for place in files:
        with _writing(folder / place) as path:
            there = path.exists()  # who may not look into the folder is told so
        if there:
            raise LienthongError(f"{path} is there already", next_step="move it, or give another --name")
    for place, text in files.items():
        with _writing(folder / place) as path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        yield path
    except OSError as error:
        raise LienthongError(
            f"{path} cannot be written: {error.strerror}", next_step="name another folder with --into"
        ) from None
