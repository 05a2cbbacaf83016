"""``lienthong receipts follow``: the publisher's side of receipts."""

from contextlib import closing
from typing import Annotated

import typer

from producers.opening import open_answers, open_site
from producers.settings import RelaySettings
from schemas.errors import LienthongError
from schemas.library import load_library
from schemas.logs import configure_logs
from schemas.settings import load_settings
from schemas.stopping import stop_on_signal


def follow(
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop where the receipts end now, instead of waiting.")
    ] = False,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="One JSON object a line, for a log collector.")
    ] = False,
) -> None:
    """Bring what became of the changes into the agency's own database, until SIGTERM.

    For each change captured there: applied, superseded, rejected (and why) or parked, in the view
    lienthong_outbox_answered beside the outbox. May be stopped at any time; it goes on where it stopped.
    A dataset captured later is followed at once, but the first one of another system only after a new start.
    """
    from producers.following import Follower  # Kafka's client takes a moment that --help need not wait for

    configure_logs(json_lines=json_logs)
    settings = load_settings(RelaySettings)
    library = load_library(settings.contract_folders)
    with closing(open_site(settings.source)) as site:
        datasets = [state.capture.dataset for state in site.states()]
    if not datasets:
        raise LienthongError(
            "nothing is captured in this database", next_step="run: lienthong capture install"
        )
    stop = stop_on_signal()
    with closing(open_answers(settings.source)) as book:
        follower = Follower(book, datasets, settings, library.registry)
        follower.run(stop, until_end=until_end)
    typer.echo(f"{follower.told} answers taken in", err=True)
