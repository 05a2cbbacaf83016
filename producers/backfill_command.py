"""``lienthong backfill``: send records again, chosen by table, key, time or condition."""

from contextlib import closing
from datetime import datetime
from functools import partial
from threading import Event
from typing import Annotated, Any

import typer

from producers.clock import SystemClock
from producers.commands import captured, progress
from producers.opening import open_rows, open_site
from producers.outbox import Capture
from producers.rows import Choice, Rows
from producers.settings import SourceSettings
from producers.snapshot import part_by_part, write_on
from schemas.errors import SettingsError
from schemas.settings import load_settings

_PAGE = 2_000


def backfill(
    dataset: Annotated[str, typer.Argument(metavar="SYSTEM/DATASET", help="What is captured here.")],
    key: Annotated[
        list[str] | None, typer.Option("--key", help="The record with this key; may be given several times.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="Records of which this is true, in the database's own SQL."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Records changed since, 2026-11-26T08:00+07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Records changed before.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every record of the table.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the records.")] = False,
) -> None:
    """Put records as they are now into the outbox, as a snapshot does, while live changes go on.

    A record is read under a lock that its next change waits for, so a live change wins. --since and --until
    go by the outbox, which keeps changes for LIENTHONG_KEEP_DAYS. May be ended and run again at any time: to
    send a record twice changes nothing.
    """
    choice = Choice(where=where, times=_times(since, until))
    chosen = [bool(key), where is not None, bool(choice.times), everything]
    if not any(chosen) or ((key or everything) and sum(chosen) > 1):
        raise SettingsError(
            "which records?", next_step="give --key, or --where with --since and --until, or --all"
        )
    settings = load_settings(SourceSettings)
    with closing(open_site(settings.source)) as site:
        capture = captured(site, dataset)
    with closing(open_rows(settings.source)) as rows:
        if dry_run:
            found = len(rows.look(capture, key).frame.rows) if key else _count(rows, capture, choice)
        else:
            found = _send(rows, capture, key or [], choice)
    became = "would be sent" if dry_run else "are in the outbox"
    typer.echo(f"{dataset}: {found:,} records {became}", err=True)
    if key and found < len(set(key)):
        typer.echo(f"{len(set(key)) - found:,} keys name no record of {capture.table}", err=True)
        raise typer.Exit(1)


def _send(rows: Rows, capture: Capture, keys: list[str], choice: Choice) -> int:
    place: list[Any] = []

    def paged(size: int) -> int | None:
        page = rows.chosen(capture, choice, place, size)
        if not page:
            return None
        sent = rows.send(capture, [one.key for one in page])
        place[:] = page[-1].place
        return sent

    with progress(f"{capture.dataset}: backfill") as bar:
        task = bar.add_task("rows", total=None)
        return write_on(
            part_by_part(sorted(set(keys)), partial(rows.send, capture)) if keys else paged,
            rows.waiting,
            progress=lambda written: bar.update(task, completed=written),
            tell=lambda text: bar.console.print(text, markup=False, highlight=False),
            clock=SystemClock(),
            stop=Event(),
        )


def _count(rows: Rows, capture: Capture, choice: Choice) -> int:
    found, place = 0, list[Any]()
    while page := rows.chosen(capture, choice, place, _PAGE):
        found += len(page)
        place[:] = page[-1].place
    return found


def _times(since: str | None, until: str | None) -> tuple[tuple[str, int], ...]:
    given = ((">=", "--since", since), ("<", "--until", until))
    times = tuple((sign, _ms(option, text)) for sign, option, text in given if text is not None)
    if len(times) == 2 and times[0][1] >= times[1][1]:
        raise SettingsError(
            "--until is not later than --since: no change can lie between them",
            next_step="give the earlier time to --since",
        )
    return times


def _ms(option: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsError(f"{option}: not a time with its zone", next_step="write 2026-11-26T08:00+07:00")
    return round(moment.timestamp() * 1000)
