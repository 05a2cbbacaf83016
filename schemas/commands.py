"""``lienthong contracts …``: for those who keep a contract library."""

from dataclasses import asdict
from typing import Annotated

import typer

from schemas.examples import read_shown
from schemas.gates import coverage as covering
from schemas.gates import findings
from schemas.gates.checking import check_library
from schemas.gates.compatibility import Level
from schemas.gates.findings import Finding, of_error
from schemas.gates.page import markdown, page_of
from schemas.library import examples_of, find_contract, load_library, read_library
from schemas.printing import Tongue, print_json, print_page, print_table
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
    wanted += [(one.subject, one.envelope_schema) for one in library.outbound]
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


@contracts.command()
def coverage(
    as_page: Annotated[
        bool, typer.Option("--markdown", help="A page with the names behind the numbers.")
    ] = False,
    lang: Tongue = None,
    as_json: AsJson = False,
) -> None:
    """Tell how far each dataset fills the national formats it feeds.

    For each: fields and required fields that a rule obtains, what the newest version of the format would
    require besides, how many mapped fields are not sure, and source columns that the format has no room for.
    What cannot be read is told on standard error and left out; exit status 1 then.
    """
    settings = load_settings(LibrarySettings)
    language = lang or settings.language
    broken: list[Finding] = []
    library = read_library(settings.contract_folders, lambda error: broken.append(of_error(error, "file")))
    rows = covering.coverages(library)
    if as_json:
        print_json(covering.as_json(rows))
    elif as_page:
        typer.echo(covering.markdown(rows, library, language), nl=False)
    else:
        print_table("", covering.heads(language), [covering.cells(row, language) for row in rows])
    for line in findings.told(broken):
        typer.echo(line, err=True)
    if broken:
        raise typer.Exit(1)


@contracts.command()
def show(
    contract: Annotated[
        str, typer.Argument(metavar="SYSTEM/DATASET", help="Which one: hotich_qnam/khaisinh.")
    ],
    lang: Tongue = None,
    as_json: AsJson = False,
) -> None:
    """Show a contract on one page: what goes where, by which rule and law, with an example before and after.

    The example is the row that the contract's file of examples begins with; it is made up.
    """
    settings = load_settings(LibrarySettings)
    language = lang or settings.language
    library = load_library(settings.contract_folders)
    one = find_contract(library, contract)
    path = examples_of(one, settings.contract_folders)
    shown = page_of(one, library, read_shown(path) if path.exists() else None, language)
    if as_json:
        print_json(asdict(shown))
    else:
        print_page(markdown(shown, language))
