"""``lienthong contracts …``: for those who keep a contract library."""

import json
from typing import Annotated, Any

import typer

from schemas.gates import findings
from schemas.gates.checking import check_library
from schemas.gates.compatibility import Level
from schemas.library import load_library
from schemas.settings import LibrarySettings, load_settings

contracts = typer.Typer(no_args_is_help=True, help="Keep contracts, national formats and schema ids.")

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, for programs.")]


@contracts.command()
def register(as_json: AsJson = False) -> None:
    """Give every contract and national format without a current schema id its next one.

    Ids are written to the last folder of LIENTHONG_CONTRACTS, or to the shipped library, and never reused.
    """
    library = load_library(load_settings(LibrarySettings).contract_folders)
    wanted = [(one.subject, one.wire_schema) for one in library.formats.values()]
    wanted += [(one.subject, one.envelope_schema) for one in library.contracts.values()]
    given = {subject: library.registry.register(subject, schema) for subject, schema in wanted}
    if as_json:
        print_json(given)
    else:
        for subject, schema_id in given.items():
            typer.echo(f"{schema_id}\t{subject}")


@contracts.command()
def check(
    compatibility: Annotated[
        Level, typer.Option(help="What schemas must be to earlier versions of their subject.")
    ] = "BACKWARD_TRANSITIVE",
    as_json: AsJson = False,
) -> None:
    """Check every contract, national format, code list and registered schema; each file on its own.

    Tells, with file, line and next step: what cannot be read or does not hold, schemas that cannot read what
    earlier versions wrote, examples that do not come true, personal values where nothing protects them, and
    datasets that may give the same national keys. Exit status 1 if there is an error, 0 if there is none.
    """
    checked = check_library(load_settings(LibrarySettings).contract_folders, compatibility)
    if as_json:
        print_json(findings.as_json(checked.findings))
    else:
        for line in findings.told(checked.findings):
            typer.echo(line)
    library, counts = checked.library, findings.counted(checked.findings)
    typer.echo(
        f"{counts}; looked at {len(library.contracts)} contracts, {len(library.formats)} national formats "
        f"and {len(library.codes)} code lists, besides what could not be read",
        err=True,
    )
    if findings.failed(checked.findings):
        raise typer.Exit(1)


def print_json(value: Any) -> None:
    """A value as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
