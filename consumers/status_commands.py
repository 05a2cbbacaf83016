"""``lienthong status``: how the province's databases stand."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from consumers.orphan_table import as_json, table
from consumers.outlook import look
from consumers.settings import OrphanSettings
from schemas.library import load_library
from schemas.printing import print_json, print_table
from schemas.reasons import Language
from schemas.settings import load_settings


def status(
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Tell how near each system is to becoming an orphan.")
    ],
    lang: Annotated[
        Language | None, typer.Option("--lang", help="Default: LIENTHONG_LANGUAGE.", show_default=False)
    ] = None,
    json_wanted: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Tell how each system stands, those in danger first.

    With --orphans: the orphan index, 0 to 100. 0: the database cannot become an orphan unnoticed. Beside it
    the points of its four risks: coverage of the newest national format, freshness, matched rows, age of the
    last proof. Today's index is kept in the store. Exit status 1 if the store could not be asked; ">=" is
    what is known then.
    """
    assert orphans  # asked for by name: there is no other way to call it
    settings = load_settings(OrphanSettings)
    outlook = look(settings, load_library(settings.contract_folders), datetime.now(UTC))
    if json_wanted:
        print_json(as_json(outlook))
    else:
        heads, lines = table(outlook, lang or settings.language)
        print_table("", heads, lines)
    if outlook.problem is not None:
        typer.echo(f"not known: {outlook.problem}", err=True)
        typer.echo("next step: lienthong doctor", err=True)
        raise typer.Exit(1)
