"""``lienthong contracts …``: for those who keep a contract library."""

import typer

from schemas.library import load_library
from schemas.settings import LibrarySettings, load_settings

contracts = typer.Typer(no_args_is_help=True, help="Keep contracts, national formats and schema ids.")


@contracts.command()
def register() -> None:
    """Give every contract and national format without a current schema id its next one.

    Ids are written to the last folder of LIENTHONG_CONTRACTS, or to the shipped library, and never reused.
    """
    library = load_library(load_settings(LibrarySettings).contract_folders)
    wanted = [(one.subject, one.wire_schema) for one in library.formats.values()]
    wanted += [(one.subject, one.envelope_schema) for one in library.contracts.values()]
    for subject, schema in wanted:
        typer.echo(f"{library.registry.register(subject, schema)}\t{subject}")
