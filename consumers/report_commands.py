"""``lienthong report``: the province's databases on one page, for the screen and for A4."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from consumers.orphan_table import tell_unkept
from consumers.outlook import look
from consumers.report_page import page
from consumers.settings import OrphanSettings
from schemas.errors import SettingsError
from schemas.library import load_library
from schemas.printing import Tongue
from schemas.settings import load_settings


def report(
    to: Annotated[Path, typer.Argument(metavar="FILE", help="The HTML file to write.")],
    lang: Tongue = None,
) -> None:
    """Write one page of every database: owner, format, coverage, freshness, drift, index, trend, next step.

    The file holds all it needs, runs no script, prints on A4 and carries no personal value; a switch on it
    changes between Vietnamese and English. Today's index is kept in the store, so that the next report has a
    trend. If the store is away, the page says what is not known.
    """
    settings = load_settings(OrphanSettings)
    outlook = look(settings, load_library(settings.contract_folders), datetime.now(UTC))
    text = page(outlook, deployment=settings.deployment, language=lang or settings.language)
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{to}: {error.strerror or type(error).__name__}", next_step="name a file that can be written"
        ) from None
    typer.echo(f"{to}: {len(outlook.systems)} databases", err=True)
    if outlook.problem is not None:
        typer.echo(f"not known: freshness, drift, trend ({outlook.problem})", err=True)
        typer.echo(f"next step: {outlook.next_step}, then make the report anew", err=True)
    tell_unkept(outlook)
