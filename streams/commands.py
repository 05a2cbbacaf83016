"""``lienthong road …``: run a worker, create topics, accept a loss."""

from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from consumers.commands import reason_for, who
from consumers.opening import open_store
from consumers.store import Position, inbound_name
from schemas.brokers import addresses
from schemas.documents import suggestion
from schemas.errors import SettingsError
from schemas.library import load_library
from schemas.logs import configure_logs
from schemas.settings import load_settings
from streams.settings import RoadSettings
from streams.topics import create_topics, plan_topics


class Hop(StrEnum):
    """The two agents of a worker."""

    TRANSLATE = "translate"
    SYNC = "sync"


road = typer.Typer(no_args_is_help=True, help="Translate change events and sync them to the national store.")


@road.command()
def run(
    only: Annotated[Hop | None, typer.Option(help="Run one of the two hops; default: both.")] = None,
    name: Annotated[
        str, typer.Option(help="Shown in logs and in the ledger; default: the host's name.")
    ] = "",
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="One JSON object a line, for a log collector.")
    ] = False,
) -> None:
    """Run one worker until SIGTERM. Several may run side by side; a supervisor should restart them.

    Exit status: 0 ended by a signal, 2 settings, 70 a person must look, 75 try again (no progress, or a
    service away).
    """
    from streams.worker import (
        default_name,
        run_worker,
    )  # Faust's import takes a second that --help need not wait

    configure_logs(json_lines=json_logs)
    settings = load_settings(RoadSettings)
    addresses(settings.broker)  # else a text that is none would end the process as a fault of ours
    hops = [only] if only else list(Hop)
    run_worker(settings, load_library(settings.contract_folders), name=name or default_name(), hops=hops)


@road.command()
def topics(
    replication: Annotated[
        # Kafka's protocol has no larger number.
        int, typer.Option(help="Copies of each topic; 3 in production.", min=1, max=32_767)
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is needed.")] = False,
) -> None:
    """Create the topics that the contract library needs."""
    settings = load_settings(RoadSettings)
    plans = plan_topics(load_library(settings.contract_folders))
    if dry_run:
        for plan in plans:
            typer.echo(f"{plan.name}\t{plan.partitions} partitions\t{dict(plan.settings)}")
        return
    created = create_topics(settings.broker, plans, replication=replication)
    for name in created:
        typer.echo(f"created {name}")
    typer.echo(f"{len(plans)} topics needed, {len(created)} created", err=True)


@road.command()
def resume(
    source: Annotated[str, typer.Argument(metavar="SYSTEM/DATASET", help="As the worker's log names it.")],
) -> None:
    """Let a source flow again that was paused for a flood of rejects. Mend the cause first.

    By itself it flows again when the cause is gone: every LIENTHONG_FLOOD_PAUSE_SECONDS a few changes are
    tried. Exit status 1 if it is not paused.
    """
    settings = load_settings(RoadSettings)
    library = load_library(settings.contract_folders)
    contract = library.contracts.get(source)
    if contract is None:
        raise SettingsError(f"no contract {source}", next_step=suggestion(source, sorted(library.contracts)))
    formats = [target.format for target in contract.targets]
    with closing(open_store(settings.store)) as store:
        name = inbound_name(settings.deployment, source) if contract.source else settings.deployment
        where = (name, contract.system, contract.dataset)
        closed = store.close_breaker(*where, formats=formats)
    typer.echo(f"{source} {'flows again within some seconds' if closed else 'is not paused'}", err=True)
    if not closed:
        raise typer.Exit(1)


@road.command("accept-loss")
def accept_loss(
    topic: Annotated[str, typer.Argument(help="As the worker's log names it.")],
    partition: Annotated[int, typer.Argument(min=0)],
    inbound: Annotated[
        str | None,
        typer.Option(metavar="SYSTEM/DATASET", help="The inbound contract whose reader the log names."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="The topic was deleted and made anew: read it from its begin.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this the command only tells.")] = False,
    why: Annotated[str, typer.Option("--why", help="Kept in the audit log with your name.")] = "",
    by: Annotated[str, typer.Option("--by", help="Who does it; default: the user of the machine.")] = "",
) -> None:
    """Go on behind records that retention deleted before they were read.

    Bring the records back first (a new snapshot), or their changes stay unknown to the national store. With
    --anew a topic that was made anew is read from its begin, also once it has grown past the ledger. Who
    lets the partition go on, and from which offset to which, is noted in the audit log; --yes needs --why.
    """
    from streams.loss import Deed, accept

    settings = load_settings(RoadSettings)
    deed = Deed(who=who(by), why=reason_for("--yes", why)) if yes else None
    with closing(open_store(settings.store)) as store:
        here = Position(topic=topic, partition=partition)
        told = accept(store, settings, here, inbound=inbound, anew=anew, deed=deed)
    typer.echo(told)
