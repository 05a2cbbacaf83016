"""``lienthong status``: how the province's databases stand."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from consumers import orphan_table
from consumers.causes import Verdict
from consumers.monitor_commands import watching
from consumers.observation import Dataset, Observation, Target
from consumers.observing import with_another_library
from consumers.outboxes import OpenOutbox
from consumers.outlook import look
from consumers.settings import MonitorSettings, OrphanSettings
from consumers.states import STATES, Severity
from consumers.watcher import Watched, Watcher
from schemas.date_forms import VIETNAM
from schemas.library import fingerprint_of, fingerprints, load_library
from schemas.printing import Tongue, print_json, print_table
from schemas.reasons import Language
from schemas.settings import load_settings

_STYLES: dict[Severity, str] = {"ok": "green", "warning": "yellow", "critical": "bold red"}
_EXIT: dict[Severity, int] = {"ok": 0, "warning": 1, "critical": 2}
#: Between the two looks of one ``status``: what stands still and what moves is seen.
BETWEEN_SECONDS = 3.0
WATCH_SECONDS = 5.0


def status_command(open_outbox: OpenOutbox) -> Callable[..., None]:
    """The command; ``open_outbox`` comes from the room that knows outboxes."""

    def status(
        orphans: Annotated[
            bool, typer.Option("--orphans", help="Tell how near each system is to becoming an orphan.")
        ] = False,
        watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")] = False,
        lang: Tongue = None,
        json_wanted: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
    ) -> None:
        """Tell how each dataset stands, the most urgent first: its state, the cause, the next step.

        Workers that took in another contract library than the one here are named. Exit status: 0 all is
        well, 1 somebody should look (or a broker, the store or an outbox does not answer), 2 somebody
        should look now.

        With --orphans: the orphan index, 0 to 100. 0: the database cannot become an orphan unnoticed. Beside
        it the points of its four risks: coverage of the newest national format, freshness, matched rows, age
        of the last proof. Today's index is kept in the store. Exit status 1 if the store could not be asked;
        ">=" is what is known then.
        """
        if orphans:
            _show_orphans(lang, json_wanted=json_wanted)
            return
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        settings = load_settings(MonitorSettings)
        language = lang or settings.language
        library = load_library(settings.contract_folders)
        here = fingerprint_of(fingerprints(library, settings.contract_folders))
        with watching(settings, library, open_outbox) as watcher:
            watcher.look()
            time.sleep(BETWEEN_SECONDS)
            if watch:
                _keep_showing(watcher, here, language)
                return
            watched = watcher.look()
        others = with_another_library(watched.seen.libraries, here)
        if json_wanted:
            print_json(as_document(watched, others, language))
        else:
            _print(watched, others, language)
        states = [_EXIT[one.severity] for one in watched.verdicts.values()]
        away = any(not one.up for one in watched.seen.targets)
        raise typer.Exit(max([*states, 1 if others or away else 0]))

    return status


def _show_orphans(lang: Language | None, *, json_wanted: bool) -> None:
    settings = load_settings(OrphanSettings)
    outlook = look(settings, load_library(settings.contract_folders), datetime.now(UTC))
    if json_wanted:
        print_json(orphan_table.as_json(outlook))
    else:
        heads, lines = orphan_table.table(outlook, lang or settings.language)
        print_table("", heads, lines)
    orphan_table.tell_unkept(outlook)
    if outlook.problem is not None:
        typer.echo(f"not known: {outlook.problem}", err=True)
        typer.echo(f"next step: {outlook.next_step}", err=True)
        raise typer.Exit(1)


# --- printing ------------------------------------------------------------------------------------------

_COLUMNS: dict[Language, Sequence[str]] = {
    "vi": (
        "tập dữ liệu",
        "trạng thái",
        "đang chờ",
        "giây",
        "hộp gửi",
        "từ chối",
        "nguyên nhân",
        "việc cần làm",
    ),
    "en": ("dataset", "state", "waiting", "seconds", "outbox", "rejects", "cause", "next step"),
}
#: At the head of a page, with the time behind it.
_LOOKED: dict[Language, str] = {"vi": "xem lúc", "en": "looked at"}
_OTHERS: dict[Language, str] = {
    "vi": "{workers} dùng thư viện hợp đồng khác với thư viện ở đây; việc cần làm: khởi động lại lần lượt"
    " từng tiến trình",
    "en": "{workers} took in another contract library than the one here; next step: restart the workers,"
    " one after the other",
}


def _urgent_first(watched: Watched) -> list[tuple[Dataset, Verdict]]:
    pairs = [(one, watched.verdicts[one.id]) for one in watched.seen.datasets]
    return sorted(pairs, key=lambda pair: -_EXIT[pair[1].severity])


def _cells(dataset: Dataset, verdict: Verdict, language: Language) -> list[str]:
    lag, seconds = waiting(dataset)
    box, rejects = dataset.outbox, dataset.open_rejects
    return [
        dataset.id,
        STATES[verdict.state].words(language).name,
        _told(lag),
        _told(round(seconds) if seconds is not None else None),
        _told(box.waiting if box is not None else None),
        _told(sum(rejects.values()) if rejects is not None else None),
        verdict.cause(language),
        verdict.next_step(language),
    ]


def _told(value: int | None) -> str:
    return "?" if value is None else str(value)


def waiting(dataset: Dataset) -> tuple[int | None, float | None]:
    """Unread records of all hops, and the age of the oldest; None: not known."""
    lags = [hop.lag for hop in dataset.hops]
    ages = [hop.lag_seconds for hop in dataset.hops]
    lag = None if None in lags else sum(one or 0 for one in lags)
    return lag, None if None in ages else max((one or 0.0 for one in ages), default=0.0)


def _print(watched: Watched, others: Sequence[str], language: Language) -> None:
    if Console().is_terminal:
        Console().print(_page(watched, others, language))
        return
    rows = [_cells(*pair, language) for pair in _urgent_first(watched)]
    print_table("", _COLUMNS[language], rows)
    for one in watched.seen.targets:
        if not one.up:
            typer.echo(_away(one), err=True)
    if others:
        typer.echo(_told_others(others, language), err=True)


def _page(watched: Watched, others: Sequence[str], language: Language) -> Group:
    table = Table(show_edge=False)
    for name in _COLUMNS[language]:
        table.add_column(name, overflow="fold")
    for dataset, verdict in _urgent_first(watched):
        cells = [Text(cell) for cell in _cells(dataset, verdict, language)]
        cells[1].stylize(_STYLES[verdict.severity])
        table.add_row(*cells)
    at = watched.seen.at.astimezone(VIETNAM).strftime("%d.%m.%Y %H:%M:%S")
    head = Text(f"{_LOOKED[language]} {at}  {_targets(watched.seen)}")
    return Group(head, *([Text(_told_others(others, language), "yellow")] if others else []), table)


def _targets(seen: Observation) -> str:
    return "  ".join(f"✓ {one.kind} {one.name}" if one.up else _away(one) for one in seen.targets)


def _away(target: Target) -> str:
    return f"✗ {target.kind} {target.name} ({target.why})"


def _told_others(others: Sequence[str], language: Language) -> str:
    return _OTHERS[language].format(workers=", ".join(others))


def _keep_showing(watcher: Watcher, here: str, language: Language) -> None:
    try:
        with Live(console=Console(), screen=True, auto_refresh=False) as live:
            while True:
                watched = watcher.look()
                others = with_another_library(watched.seen.libraries, here)
                live.update(_page(watched, others, language), refresh=True)
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def as_document(watched: Watched, others: Sequence[str], language: Language) -> dict[str, Any]:
    """What ``--json`` prints. ``others``: workers that follow another contract library than the one here."""
    return {
        "at": watched.seen.at.isoformat(timespec="seconds"),
        "targets": [
            {"kind": one.kind, "name": one.name, "up": one.up, "why": one.why} for one in watched.seen.targets
        ],
        "workers_with_another_library": list(others),
        "datasets": [_as_json(*pair, language) for pair in _urgent_first(watched)],
    }


def _as_json(dataset: Dataset, verdict: Verdict, language: Language) -> dict[str, Any]:
    lag, seconds = waiting(dataset)
    return {
        "dataset": dataset.id,
        "owner": dataset.owner,
        "state": verdict.state,
        "severity": verdict.severity,
        "cause": verdict.cause(language),
        "next_step": verdict.next_step(language),
        "waiting": lag,
        "waiting_seconds": seconds,
        "outbox_waiting": dataset.outbox.waiting if dataset.outbox is not None else None,
        "open_rejects": dataset.open_rejects,
    }
