"""The command ``lienthong``: the one place where all rooms meet.

A command's modules are loaded when it is asked for: what an agency's relay never uses costs it nothing, and
``--help`` loads none of them.
"""

import gc
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from functools import cache
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from traceback import extract_tb
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from schemas.errors import LienthongError, SettingsError
from schemas.logs import hush_false_alarms

#: A group of commands, or the function of a single one.
Found = typer.Typer | Callable[..., Any]


def _contracts() -> Found:
    from consumers.impact_command import impact
    from consumers.shadow_command import shadow
    from producers.draft_commands import contracts

    contracts.command()(impact)  # it may read a store, which the schemas never do
    contracts.command()(shadow)  # it may read a topic
    return contracts


def _receipts() -> Found:
    from consumers.commands import receipts
    from producers.receipts_commands import follow

    receipts.command()(follow)
    return receipts


def _reconcile() -> Found:
    from consumers.reconcile_commands import reconcile_commands
    from producers.settings import SourceSettings
    from producers.side import open_side
    from schemas.settings import load_settings

    return reconcile_commands(open_side, lambda: load_settings(SourceSettings).source)


def _trace() -> Found:
    from consumers.trace_command import trace_command
    from producers.trail import captured

    return trace_command(captured)  # it may read an agency's outbox


def _doctor() -> Found:
    from producers.settings import RelaySettings
    from streams.doctor import doctor_command

    return doctor_command(RelaySettings)  # a misspelt setting may be one of capture's


def _monitor() -> Found:
    from consumers.monitor_commands import monitor_app
    from streams.agency_outbox import AgencyOutbox

    return monitor_app(AgencyOutbox)


def _status() -> Found:
    from consumers.status_commands import status_command
    from streams.agency_outbox import AgencyOutbox

    return status_command(AgencyOutbox)


#: Where a command is, or what puts it together of several rooms.
_FOUND: Mapping[str, str | Callable[[], Found]] = {
    "contracts": _contracts,
    "codes": "schemas.codes_commands:codes",
    "capture": "producers.commands:capture",
    "road": "streams.commands:road",
    "store": "consumers.numbers_commands:store",
    "receipts": _receipts,
    "rejects": "consumers.rejects_commands:rejects",
    "reconcile": _reconcile,
    "registry": "consumers.registry_commands:registry",
    "backfill": "producers.backfill_command:backfill",
    "audit": "consumers.audit_commands:audit",
    "trace": _trace,
    "consume": "consumers.consume_command:consume",
    "report": "consumers.report_commands:report",
    "doctor": _doctor,
    "monitor": _monitor,
    "status": _status,
}

#: What ``--help`` tells, in its order: the first line of each command's own help (a test compares them).
_LINES: Mapping[str, str] = {
    "contracts": "Keep contracts, national formats and schema ids.",
    "codes": "Look codes up in the code lists, as of a day.",
    "capture": "Capture the changes of an agency's own database.",
    "road": "Translate change events and sync them to the national store.",
    "store": "The national-format store: its tables and its ledger.",
    "receipts": "What became of a system's changes.",
    "rejects": "Refused changes as work: look, correct, try again, drop.",
    "reconcile": "Prove that a source and the national store are equal.",
    "registry": "Let others decode the topics: schemas in a Confluent-compatible registry.",
    "backfill": "Put records as they are now into the outbox, as a snapshot does, while live changes go on.",
    "audit": "The signed chain of all applied changes.",
    "trace": "Follow one record: outbox, topics, contract, rejects, national row, receipts, audit chain.",
    "consume": (
        "Print national records as JSON lines; older and repeated versions are kept back if remembered."
    ),
    "report": (
        "Write one page of every database: owner, format, coverage, freshness, drift, index, trend, "
        "next step."
    ),
    "doctor": (
        "Check settings, contracts, registry, broker, topics, store, workers, audit chain, clock, packages."
    ),
    "monitor": "Watch the road: lag, states and their causes.",
    "status": "Tell how each dataset stands, the most urgent first: its state, the cause, the next step.",
}


@cache
def _command(name: str) -> Any:
    """A command or a group, as Typer runs it."""
    where = _FOUND[name]
    gc.disable()  # what modules are made of is no garbage, and to search through it took a seventh of a start
    try:
        found = resolve_name(where) if isinstance(where, str) else where()
        gc.freeze()
    finally:
        gc.enable()
    alone = typer.Typer()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    return get_group(alone).commands[name]


class _Commands(Mapping[str, Any]):
    """All commands by name, each made when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _command(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_FOUND)

    def __len__(self) -> int:
        return len(_FOUND)


class _Lienthong(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment] # it is only read

    def format_help(self, ctx: Any, formatter: Any) -> None:
        told = copy(self)  # with what stands for the commands, so that none is loaded
        told.commands = {name: TyperCommand(name, help=line) for name, line in _LINES.items()}
        super(_Lienthong, told).format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _require_utf8(args)
        return super().parse_args(ctx, args)


def _require_utf8(words: list[str]) -> None:
    """Raise ``SettingsError`` for the first argument that no database and no output could take.

    Its text names place and option and never the value, which may be a person's.
    """
    for at, word in enumerate(words):
        # Of other bytes the interpreter makes lone surrogates.
        if word.isascii() or not re.search("[\ud800-\udfff]", word):
            continue
        before = words[at - 1] if at else ""
        option = re.match("--[a-z][a-z-]*(?==)", word) or re.fullmatch("--[a-z][a-z-]*", before)
        place = f"argument {at + 1}{f' (at {option[0]})' if option else ''}"
        raise SettingsError(
            f"{place} is not UTF-8",
            next_step="write it in UTF-8, or rename the file; for a key's other bytes write \ufffd",
        )


app = typer.Typer(
    cls=_Lienthong,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Liên thông keeps provincial databases in step with national-format stores.",
)


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
