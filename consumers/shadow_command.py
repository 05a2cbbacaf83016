"""``lienthong contracts shadow``: what a proposed contract would have made of past changes."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from consumers.settings import BrokerSettings
from consumers.topic_reader import TopicReader
from schemas.codec import decode
from schemas.contract_files import load_proposal
from schemas.contracts import AvroType, Contract
from schemas.errors import LienthongError, SettingsError, TryAgain
from schemas.examples import example_events
from schemas.gates.history import AT_ONCE, read_events
from schemas.gates.shadow import Shadow, SideBySide, as_json
from schemas.library import Library, examples_of, find_contract, load_library
from schemas.printing import print_json
from schemas.settings import LibrarySettings, load_settings

#: So long the broker may stay silent before the end of the topic.
_SILENCE_SECONDS = 30.0


def shadow(
    contract: Annotated[str, typer.Argument(metavar="SYSTEM/DATASET", help="Whose changes.")],
    proposal: Annotated[Path, typer.Argument(metavar="PROPOSAL", help="The proposed contract, as a file.")],
    events: Annotated[
        Path | None, typer.Option(help="Changes from a file, one event a line, in Debezium's JSON.")
    ] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="The examples beside the present contract as changes.")
    ] = False,
    last: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only the last N changes of each partition; 0: all.")
    ] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit status 1 for any difference, and not for losses only.")
    ] = False,
    as_json_object: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output.")
    ] = False,
) -> None:
    """Translate past changes with the present and with a proposed contract, and tell what differs.

    The changes are those of the dataset's topic, unless --events or --examples gives others. Nothing is
    published and no value is shown: for each field, what differs, for how many changes, why, and where.
    Exit status 1 if something is lost: changes refused, records or values no longer given, keys that move.
    A format that the proposal feeds must be in the library.
    """
    _require_one_source(examples, events, last)
    folders = load_settings(LibrarySettings).contract_folders
    library = load_library(folders)
    present = find_contract(library, contract)
    proposed = load_proposal(proposal, present, library.formats, library.codes)
    both = SideBySide(present, proposed, library)
    columns = {**present.on_wire, **proposed.on_wire}
    if examples or events is not None:
        lots = read_events(events, columns) if events is not None else _examples(present, columns, folders)
        for frame, places in lots:
            both.take(frame, places)
    else:
        _read_topic(present, library, both, last)
    result = both.result()
    if not result.changes:
        raise LienthongError(
            f"no change of {contract} could be compared",
            next_step="give changes with --events or --examples" if not result.unreadable else _REGISTRY,
        )
    if as_json_object:
        print_json(as_json(result))
    else:
        _print(result, proposal)
    if result.loses or (strict and (result.differences or result.added)):
        raise typer.Exit(1)


def _require_one_source(examples: bool, events: Path | None, last: int) -> None:
    """Raise ``SettingsError`` if options name changes of more than one place."""
    if examples and events is not None:
        raise SettingsError("--examples and --events are both given", next_step="give one of them")
    if last and (examples or events is not None):
        other = "--examples" if examples else "--events"
        raise SettingsError(
            f"--last and {other} are both given",
            next_step=f"give one of them: with {other} all changes are compared",
        )


_REGISTRY = "read with the contract library that the changes were published with"


def _examples(
    contract: Contract, columns: dict[str, AvroType], folders: tuple[Path, ...]
) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    path = examples_of(contract, folders)
    if not path.exists():
        raise LienthongError(f"{contract.id} has no examples", next_step=f"write {path.name} beside it")
    frame, lines = example_events(path, columns)
    yield frame, [f"line {line}" for line in lines]


def _read_topic(contract: Contract, library: Library, both: SideBySide, last: int) -> None:
    """All changes that are in the topic now; nothing is committed and no group is joined."""
    settings = load_settings(BrokerSettings)
    reader = TopicReader(
        contract.topic,
        brokers=settings.broker,
        group=None,
        from_start=False,
        longest_work_seconds=300.0,
        options={},
    )
    with closing(reader):
        if last:
            reader.skip_to_last(last)
        while not reader.at_end():
            fetched = reader.fetch(AT_ONCE, _SILENCE_SECONDS)
            if not fetched and not reader.at_end():
                raise TryAgain(
                    f"the broker gave nothing of {contract.topic} for {_SILENCE_SECONDS:.0f} seconds",
                    next_step="see whether the broker is well, then run this again",
                )
            records = [record for part in fetched for record in part.records]
            decoded = decode(
                [record.value for record in records],
                registry=library.registry,
                subject=contract.subject,
                fingerprints=[dict(record.headers).get("schema-sha256") for record in records],
            )
            places = [f"partition {one.partition} offset {one.offset}" for one in records]
            for fault in decoded.faults:
                both.unreadable(fault.rule)
            for _, frame in decoded.groups:
                both.take(frame, places)


def _print(shadow: Shadow, proposal: Path) -> None:
    typer.echo(f"{shadow.contract}: version {shadow.present}, and as proposed {shadow.proposed} ({proposal})")
    for full_id in shadow.stopped:
        typer.echo(f"{full_id}: the proposal does not feed it any more")
    for full_id in shadow.added:
        typer.echo(f"{full_id}: only the proposal feeds it")
    for full_id, columns in shadow.left_out.items():
        typer.echo(
            f"{full_id}: LOSS {', '.join(columns)}: left out by the proposal, in no field and not kept"
        )
    for full_id, columns in shadow.dropped.items():
        typer.echo(f"{full_id}: LOSS {', '.join(columns)}: the proposal neither reads nor keeps it")
    heading = None
    for one in shadow.differences:
        if heading != one.format:
            heading = one.format
            typer.echo(heading or "the changes as a whole")
        mark = "LOSS " if one.loss else ""
        more = ", …" if one.changes > len(one.places) else ""
        why = f" ({one.reason})" if one.reason else ""
        name = f"{one.field}: " if one.field else ""
        found = f"{one.changes} (at {', '.join(one.places)}{more})"
        typer.echo(f"  {mark}{name}{_KINDS[one.kind]}{why}: {found}")
    unreadable = "".join(f"; {count} not read ({rule})" for rule, count in shadow.unreadable.items())
    refused = f", {shadow.refused} of them refused by both" if shadow.refused else ""
    typer.echo(f"{shadow.same} of {shadow.changes} changes come out the same{refused}{unreadable}", err=True)


_KINDS = {
    "refused": "refused by the proposal only",
    "accepted": "refused by the present contract only",
    "refused_otherwise": "refused by both, for another reason",
    "not_given": "gives no record any more",
    "given": "gives a record now",
    "deleted": "deletes the record, which is in force now",
    "restored": "leaves the record in force, which is deleted now",
    "key": "goes to another national key",
    "left": "leaves other national keys",
    "source_key": "is known by another key of its source",
    "emptied": "has no value any more",
    "filled": "gets a value",
    "respelt": "is spelt otherwise",
    "changed": "gets another value",
    "beside": "has other columns kept beside it (lt_overflow)",
    "warned": "is doubted by the proposal only",
    "not_warned": "is doubted by the present contract only",
}
