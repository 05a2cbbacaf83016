"""The command ``lienthong``: the one place where all rooms meet."""

import sys
from importlib.metadata import version
from pathlib import Path
from traceback import extract_tb
from typing import Annotated

import typer

from consumers.audit_commands import audit
from consumers.commands import consume, receipts
from consumers.impact_command import impact
from consumers.monitor_commands import monitor_app
from consumers.numbers_commands import store
from consumers.outboxes import OutboxLook, OutboxState
from consumers.reconcile_commands import reconcile_commands
from consumers.registry_commands import registry
from consumers.rejects_commands import rejects
from consumers.report_commands import report
from consumers.shadow_command import shadow
from consumers.status_commands import status_command
from consumers.trace_command import trace_command
from producers.backfill_command import backfill
from producers.commands import capture
from producers.draft_commands import contracts
from producers.receipts_commands import follow
from producers.settings import SourceSettings
from producers.side import open_side
from producers.trail import captured
from producers.watching import Watch
from schemas.codes_commands import codes
from schemas.errors import LienthongError
from schemas.logs import hush_false_alarms
from schemas.settings import load_settings
from streams.commands import road
from streams.doctor import doctor


class _Outbox:
    """An agency's outbox as the monitor wants it."""

    def __init__(self, url: str) -> None:
        self._watch = Watch(url)
        self.close = self._watch.close

    def look(self) -> OutboxLook:
        seen = self._watch.look()
        states = [
            OutboxState(
                dataset=one.capture.dataset,
                waiting=one.waiting,
                oldest_seconds=one.oldest_seconds,
                in_place=one.in_place,
            )
            for one in seen.states
        ]
        return OutboxLook(states=states, now_ms=seen.now_ms)


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Liên thông keeps provincial databases in step with national-format stores.",
)
contracts.command()(impact)  # it may read a store, which the schemas never do
contracts.command()(shadow)  # it may read a topic
app.add_typer(contracts, name="contracts")
app.add_typer(codes, name="codes")
app.add_typer(capture, name="capture")
app.add_typer(road, name="road")
app.add_typer(store, name="store")
receipts.command()(follow)
app.add_typer(receipts, name="receipts")
app.add_typer(rejects, name="rejects")
app.add_typer(reconcile_commands(open_side, lambda: load_settings(SourceSettings).source), name="reconcile")
app.add_typer(registry, name="registry")
app.command()(backfill)
app.add_typer(audit, name="audit")
app.command("trace")(trace_command(captured))  # it may read an agency's outbox
app.command()(consume)
app.command()(report)
app.command()(doctor)
app.add_typer(monitor_app(_Outbox), name="monitor")
app.command()(status_command(_Outbox))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("lienthong"))
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Run the command line; an error a person can act on is two lines and an exit status."""
    hush_false_alarms()
    try:
        app()
    except LienthongError as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {error.message}", file=sys.stderr)
        if error.next_step:
            print(f"next step: {error.next_step}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        # Without its message, which may hold a personal value.
        frames = reversed(extract_tb(error.__traceback__)[-4:])
        places = ", from ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames)
        print(f"error: nobody foresaw this: {type(error).__name__} at {places}", file=sys.stderr)
        print("next step: tell the developers; lienthong --debug … shows more", file=sys.stderr)
        sys.exit(70)  # EX_SOFTWARE of sysexits


if __name__ == "__main__":
    main()
