"""``lienthong capture …``: put triggers on an agency's table, take its first snapshot, relay its changes."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from producers.clock import SystemClock
from producers.install import check, choose
from producers.opening import open_site
from producers.outbox import Capture, Site
from producers.settings import RelaySettings, SourceSettings
from producers.snapshot import take_snapshot
from schemas.errors import LienthongError
from schemas.library import load_library
from schemas.settings import load_settings

capture = typer.Typer(no_args_is_help=True, help="Capture the changes of an agency's own database.")

Dataset = Annotated[
    str | None,
    typer.Argument(
        metavar="[SYSTEM/DATASET]", help="The contract; may be left out if only one fits this database."
    ),
]


@capture.command()
def install(
    dataset: Dataset = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL that is still needed, and change nothing.")
    ] = False,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="Take the first snapshot as well.")] = False,
) -> None:
    """Create outbox and triggers for the table of a contract. What is in place is left as it is.

    Connect as the owner of the table. For a moment the table takes no changes.
    """
    settings = load_settings(SourceSettings)
    library = load_library(settings.contract_folders)
    with closing(open_site(settings.source)) as site:
        contract = choose(library, site, dataset)
        of_lines = {which: site.inspect(one.table) for which, one in contract.lines.items()}
        for note in check(contract, site.inspect(contract.table), of_lines):
            _say(f"{contract.id}: {note}")
        wanted = Capture.of(contract)
        statements = site.needed(wanted)
        if dry_run:
            for statement in statements:
                typer.echo(f"{statement};\n")
            _say(f"{contract.id}: {len(statements)} statements needed, none run")
            return
        lacking = site.lacking(wanted)
        site.run(statements)
        if statements:
            _say(f"{contract.id}: every change of {contract.table} is captured from now on")
            if not snapshot:
                _say(f"what it holds already, or changed meanwhile: lienthong capture snapshot {contract.id}")
        else:
            _say(f"{contract.id}: is captured already")
        if lacking:
            _say(
                f"{contract.id}: {lacking} changes that wait were written under other columns; what they"
                " do not carry is sent as missing. Take a snapshot to send what the table holds now"
            )
        if snapshot:
            _take_snapshot(site, wanted)


@capture.command()
def uninstall(
    dataset: Annotated[str, typer.Argument(metavar="SYSTEM/DATASET")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, and change nothing.")] = False,
) -> None:
    """Take the triggers of a dataset away. Its outbox rows, and its counter, stay."""
    settings = load_settings(SourceSettings)
    with closing(open_site(settings.source)) as site:
        statements = site.removal(captured(site, dataset))
        if dry_run:
            for statement in statements:
                typer.echo(f"{statement};\n")
            return
        site.run(statements)
    _say(f"{dataset}: changes are no longer captured")


@capture.command()
def snapshot(dataset: Dataset = None) -> None:
    """Put every row of the table as it is now into the outbox. An interrupted snapshot goes on."""
    settings = load_settings(SourceSettings)
    with closing(open_site(settings.source)) as site:
        if dataset is not None:
            _take_snapshot(site, captured(site, dataset))
            return
        datasets = [state.capture for state in site.states() if state.captured]
        if not datasets:
            raise LienthongError(
                "nothing is captured in this database", next_step="run: lienthong capture install"
            )
        for one in datasets:
            _take_snapshot(site, one)


@capture.command()
def run(
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="One JSON object a line, for a log collector.")
    ] = False,
) -> None:
    """Publish captured changes until SIGTERM. A second relay of the same database waits for the first.

    A dataset that lacks something is told, and keeps no other from being relayed.

    Exit status: 0 ended by a signal, 1 or 2 nothing can be relayed as it is, 75 no progress for long.
    """
    from producers.running import run_relay  # Kafka's client takes a moment that --help need not wait for
    from schemas.logs import configure_logs

    settings = load_settings(RelaySettings)
    configure_logs(json_lines=json_logs)
    run_relay(settings)


@capture.command()
def status() -> None:
    """One line for each captured dataset: what waits, how old it is, the next number, the snapshot."""
    settings = load_settings(SourceSettings)
    with closing(open_site(settings.source)) as site:
        states = site.states()
        standing = [state.capture for state in states if state.captured and state.in_place]
        outdated = [one.dataset for one in standing if site.outdated(one)]
    typer.echo("dataset\twaiting\toldest_seconds\tnext_seq\ttriggers\tsnapshot\tsnapshot_rows")
    for state in states:
        triggers = "uninstalled" if not state.captured else "in place" if state.in_place else "MISSING"
        triggers = "outdated" if state.capture.dataset in outdated else triggers
        fields = (
            state.capture.dataset,
            state.waiting,
            round(state.oldest_seconds, 1),
            state.next_seq,
            triggers,
            state.snapshot,
            state.snapshot_rows,
        )
        typer.echo("\t".join(map(str, fields)))
    if outdated:
        _say(f"another version made these triggers, or a unique index came since: {', '.join(outdated)}")
        _say("next step: run lienthong capture install <system>/<dataset>; clerks may go on working")
    if broken := [state.capture.dataset for state in states if state.captured and not state.in_place]:
        raise LienthongError(
            f"changes are being missed: {', '.join(broken)}",
            next_step="run: lienthong capture install --snapshot <system>/<dataset>",
        )


def captured(site: Site, dataset: str) -> Capture:
    """What its triggers capture; ``LienthongError`` if there are none."""
    here = {one.capture.dataset: one.capture for one in site.states() if one.captured}
    if dataset in here:
        return here[dataset]
    known = f"; captured here: {', '.join(sorted(here))}" if here else ""
    raise LienthongError(
        f"{dataset} is not captured in this database",
        next_step=f"run: lienthong capture install {dataset}{known}",
    )


def _take_snapshot(site: Site, wanted: Capture) -> None:
    with progress(f"{wanted.dataset}: snapshot") as bar:
        task = bar.add_task("rows", total=None)
        rows = take_snapshot(
            site,
            wanted,
            progress=lambda written: bar.update(task, completed=written),
            tell=lambda text: bar.console.print(text, markup=False, highlight=False),
            clock=SystemClock(),
            stop=Event(),
        )
    _say(f"{wanted.dataset}: snapshot of {rows:,} rows is in the outbox")


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """Rows that were written so far, on a terminal."""
    columns = (SpinnerColumn(), TextColumn(what), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield bar


def _say(text: str) -> None:
    typer.echo(text, err=True)
