"""``lienthong store`` and ``lienthong receipts``.

Data goes to standard output: tables on a terminal, tab-separated lines in a pipe, JSON where asked for.
"""

import getpass
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from consumers.accounts import Account, Unnumbered, accounts, as_json, outcomes, shortened
from consumers.opening import open_store
from consumers.proofs import ProofStore
from consumers.settings import StoreSettings
from consumers.store import inbound_name
from schemas import reasons
from schemas.errors import LienthongError, SettingsError
from schemas.library import load_library
from schemas.printing import Tongue, print_table
from schemas.settings import load_settings

store = typer.Typer(no_args_is_help=True, help="The national-format store: its tables and its ledger.")
receipts = typer.Typer(no_args_is_help=True, help="What became of a system's changes.")


# --- store -------------------------------------------------------------------------------------------


@contextmanager
def opened_store(settings: StoreSettings) -> Iterator[ProofStore]:
    """The store of the settings, closed afterwards."""
    with closing(open_store(settings.store, effect_log=settings.effect_log)) as opened:
        yield opened


def who(by: str) -> str:
    """The person who does something that is noted: ``by``, or else the user of the machine.

    Raises ``SettingsError`` if no letter is in the name.
    """
    try:
        person = by or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user often has no name
        person = ""
    if not any(map(str.isalpha, person)):
        what = "--by names nobody" if by else "who are you? This user has no name here"
        raise SettingsError(what, next_step="give --by NAME")
    return person


def reason_for(deed: str, why: str) -> str:
    """The person's reason for ``deed``, a command or an option. ``SettingsError`` if no word is in it."""
    if not any(map(str.isalnum, why)):
        raise SettingsError(
            f"{deed} needs --why with a reason in words",
            next_step="add: --why …, which is kept with your name",
        )
    return why


@store.command()
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL and run nothing.")] = False,
) -> None:
    """Create or extend the tables of every national format. Columns are only ever added."""
    settings = load_settings(StoreSettings)
    library = load_library(settings.contract_folders)
    formats = list(library.formats.values())
    with opened_store(settings) as opened:
        if dry_run:
            needed = opened.plan(formats)
            for statement in needed:
                typer.echo(f"{statement.rstrip().rstrip(';')};")
            typer.echo(f"{len(needed)} statements needed; nothing was run", err=True)
            return
        done = opened.migrate(formats)
    typer.echo(f"{len(done)} statements run; {len(formats)} national formats have their tables", err=True)


@store.command()
def status(
    as_json_lines: Annotated[
        bool, typer.Option("--json", help="One JSON object for each partition.")
    ] = False,
) -> None:
    """How far each partition is in the store, and which worker has it."""
    settings = load_settings(StoreSettings)
    library = load_library(settings.contract_folders)
    with opened_store(settings) as opened:
        needed = opened.plan(list(library.formats.values()))
        names = [settings.deployment]
        names += [
            inbound_name(settings.deployment, one.id) for one in library.contracts.values() if one.source
        ]
        rows = [] if needed else [row for name in names for row in opened.ledger(name)]
    if needed:
        raise LienthongError(
            f"the store is not migrated: {len(needed)} statements are still needed",
            next_step="run: lienthong store migrate (--dry-run shows them)",
        )
    cells: list[tuple[str, ...]] = []
    for row in rows:
        moved = row.updated_at.isoformat(timespec="seconds") if row.updated_at is not None else None
        if as_json_lines:
            line = {
                "topic": row.position.topic,
                "partition": row.position.partition,
                "next_offset": row.next_offset,
                "owner": row.owner,
                "updated_at": moved,
            }
            typer.echo(json.dumps(line))
            continue
        offset = "-" if row.next_offset is None else str(row.next_offset)
        cells.append((row.position.topic, str(row.position.partition), offset, row.owner, moved or "-"))
    if cells:
        print_table("", ("topic", "partition", "next offset", "worker", "last step"), cells)
    typer.echo(f"{len(rows)} partitions in the ledger of deployment {settings.deployment}", err=True)


# --- receipts ----------------------------------------------------------------------------------------

_WORDS = {
    "vi": {
        "columns": ("kết quả", "số thay đổi", "các số thứ tự", "lý do"),
        "applied": "đã áp dụng",
        "stale": "đã có bản mới hơn",
        "passed": "không thuộc phạm vi",
        "rejected": "bị từ chối",
        "parked": "chờ bản trước được sửa",
        "waiting": "đang chờ",
        "missing": "chưa từng đến",
        "gap": "{system}/{dataset}: {seqs} chưa từng đến",
        "title": "{system}/{dataset} → {format}: {highest} thay đổi đã biết",
        "unnumbered": "{system}/{dataset}: {how_many} bản ghi không đọc được số thứ tự. {reason}",
    },
    "en": {
        "columns": ("outcome", "changes", "sequence numbers", "reason"),
        "applied": "applied",
        "stale": "superseded",
        "passed": "not of its concern",
        "rejected": "rejected",
        "parked": "parked",
        "waiting": "waiting",
        "missing": "never arrived",
        "gap": "{system}/{dataset}: {seqs} never arrived",
        "title": "{system}/{dataset} → {format}: {highest} changes known",
        "unnumbered": "{system}/{dataset}: {how_many} records without a readable number. {reason}",
    },
}


@receipts.command()
def show(
    system: Annotated[str, typer.Argument(help="The provincial system, e.g. hotich_qnam.")],
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    language: Tongue = None,
    as_json_object: Annotated[
        bool, typer.Option("--json", help="One JSON object, with all numbers written out as ranges.")
    ] = False,
) -> None:
    """Tell what became of every change: applied, superseded, rejected, parked, waiting, or missing.

    Or that the change does not concern the format: its contract keeps such records out of it.
    Numbers count up from 1 in each dataset; each up to the highest one that has an answer is in exactly
    one outcome for each national format. Changes above it have not reached the store yet. A parked change
    waits until an earlier, rejected one of the same record is mended; a missing one never arrived.
    """
    settings = load_settings(StoreSettings)
    tongue = language or settings.language
    with opened_store(settings) as opened:
        found, lost = accounts(opened, system, dataset)
    if not found and not lost:
        raise LienthongError(
            f"the store has no receipt for {system}{'/' + dataset if dataset else ''}",
            next_step="check the name, and whether a worker runs: lienthong store status",
        )
    if as_json_object:
        told = {
            "accounts": [as_json(account, tongue) for account in found],
            "unnumbered": [asdict(one) for one in lost],
        }
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for account in found:
        _show_account(account, tongue)
    # The same for every format that a dataset feeds.
    for of, seqs in {one.dataset: one.missing for one in found if one.missing}.items():
        typer.echo(str(_WORDS[tongue]["gap"]).format(system=system, dataset=of, seqs=shortened(seqs)))
    for one in lost:
        _tell_unnumbered(system, one, tongue)


def _show_account(account: Account, language: reasons.Language) -> None:
    words = _WORDS[language]
    title = str(words["title"]).format(
        system=account.system, dataset=account.dataset, format=account.format, highest=account.highest
    )
    rows = [(str(words[name]), str(len(seqs)), shortened(seqs), "") for name, seqs in outcomes(account)]
    # Right behind "rejected", the fourth.
    rows[4:4] = [
        (
            f"  {one.field}: {one.rule}" if one.field else f"  {one.rule}",
            str(len(one.seqs)),
            shortened(one.seqs),
            reasons.reason(one.rule, one.field, language),
        )
        for one in account.refused
    ]
    print_table(title, tuple(words["columns"]), rows)


def _tell_unnumbered(system: str, one: Unnumbered, language: reasons.Language) -> None:
    text = str(_WORDS[language]["unnumbered"])
    why = reasons.reason(one.rule, "", language)
    typer.echo(text.format(system=system, dataset=one.dataset, how_many=one.how_many, reason=why))
