"""``lienthong rejects``: what was refused, as work. Who asks for what, and why, is kept in the audit log."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer

from consumers.commands import opened_store, reason_for, who
from consumers.corrections import columns, content, corrected, masked
from consumers.preparing import NOBODY
from consumers.receipts import RejectRow
from consumers.rejects_words import ACTIONS, COLUMNS, LABELS, SAID
from consumers.repairs import Asked, Cause, RepairStore, Which
from consumers.settings import StoreSettings
from schemas.errors import LienthongError, SettingsError
from schemas.library import Library, contracts_of, load_library
from schemas.printing import Tongue, print_json, print_table
from schemas.reasons import Language, reason
from schemas.settings import load_settings

rejects = typer.Typer(no_args_is_help=True, help="Refused changes as work: look, correct, try again, drop.")

MANY = 1_000  #: rejects read at once, and counted before a drop

System = Annotated[str, typer.Argument(help="The provincial system, e.g. hotich_qnam.")]
Dataset = Annotated[str | None, typer.Option(help="Only this dataset.")]
Rule = Annotated[str | None, typer.Option(help="Only what this rule refused, e.g. code_unknown.")]
Field = Annotated[str | None, typer.Option(help="Only what was refused for this field.")]
_LARGEST = 2**63 - 1  # of a database's numbers
Id = Annotated[int, typer.Argument(metavar="ID", min=1, max=_LARGEST)]
Ids = Annotated[
    list[int] | None,
    typer.Argument(min=1, max=_LARGEST, help="Ids of rejects, as `rejects list --each` tells."),
]
OfSystem = Annotated[str | None, typer.Option("--system", help="All open rejects of this system.")]
By = Annotated[str, typer.Option("--by", help="Who does it; default: the user of the machine.")]
Why = Annotated[str, typer.Option("--why", help="Kept in the audit log with your name.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


# --- looking -----------------------------------------------------------------------------------------


@rejects.command("list")
def list_(
    system: System,
    dataset: Dataset = None,
    rule: Rule = None,
    field: Field = None,
    each: Annotated[bool, typer.Option("--each", help="Every reject with its id, not only causes.")] = False,
    language: Tongue = None,
    as_json: AsJson = False,
) -> None:
    """Open rejects by cause, the most frequent first, with how many changes wait behind them."""
    settings = load_settings(StoreSettings)
    tongue = language or settings.language
    which = Which(system=system, dataset=dataset, rule=rule, field=field)
    with opened_store(settings) as opened:
        if each:
            rows = _every(opened, which)
            if not rows:
                _must_be_known(settings, system, dataset)
            _tell_each(rows, tongue, as_json)
            return
        for one in opened.breakers(settings.deployment):
            if one.system == system:
                source = f"{one.system}/{one.dataset}"
                typer.echo(SAID[tongue]["paused"].format(source=source, detail=one.detail), err=True)
        causes = [one for one in opened.causes(system, dataset) if rule in (None, one.rule)]
    if not causes:
        _must_be_known(settings, system, dataset)
    _tell_causes([one for one in causes if field in (None, one.field)], tongue, as_json)


def _every(opened: RepairStore, which: Which) -> list[tuple[RejectRow, int]]:
    """Each open reject, and how many changes wait behind it."""
    found: list[tuple[RejectRow, int]] = []
    while True:
        # Page by page: a database has a largest statement, and no transaction is to take minutes.
        rows = opened.open_rejects(which, limit=MANY, after=found[-1][0].id if found else 0)
        behind = opened.waiting([row.id for row in rows])
        found += [(row, behind.get(row.id, 0)) for row in rows]
        if len(rows) < MANY:
            return found


def _must_be_known(settings: StoreSettings, system: str | None, dataset: str | None) -> None:
    """A misspelt name is no sign that all is well: ``SettingsError`` if no contract has it."""
    if system not in (None, NOBODY):
        contracts_of(load_library(settings.contract_folders), system, dataset)


def _tell_causes(causes: list[Cause], tongue: Language, as_json: bool) -> None:
    if as_json:
        told = [{**asdict(one), "reason": reason(one.rule, one.field, tongue)} for one in causes]
        print_json([{**one, "oldest": one["oldest"].isoformat()} for one in told])
        return
    rows = [
        (
            one.dataset,
            _cause(one.field, one.rule),
            *map(str, (one.how_many, one.parked, one.asked)),
            one.oldest.isoformat(timespec="seconds"),
            str(one.example),
            reason(one.rule, one.field, tongue),
        )
        for one in causes
    ]
    if rows:
        print_table("", COLUMNS[tongue]["causes"], rows)
    else:
        typer.echo(SAID[tongue]["nothing"], err=True)


def _tell_each(rows: list[tuple[RejectRow, int]], tongue: Language, as_json: bool) -> None:
    if as_json:
        for row, behind in rows:
            typer.echo(json.dumps(_as_json(row, behind), ensure_ascii=False))
        return
    cells = [
        (
            str(row.id),
            row.reject.dataset,
            str(row.reject.seq or "-"),
            _cause(row.reject.field, row.reject.rule),
            str(behind),
            ACTIONS[tongue][row.asked] if row.asked else "-",
            row.at.isoformat(timespec="seconds"),
        )
        for row, behind in rows
    ]
    if cells:
        print_table("", COLUMNS[tongue]["each"], cells)
    else:
        typer.echo(SAID[tongue]["nothing"], err=True)


def _cause(field: str, rule: str) -> str:
    return f"{field}: {rule}" if field else rule


def _as_json(row: RejectRow, behind: int) -> dict[str, Any]:
    """All but the record's key and content."""
    names = (
        "system",
        "dataset",
        "seq",
        "topic",
        "partition",
        "offset",
        "rule",
        "field",
        "detail",
        "contract",
    )
    told = {name: getattr(row.reject, name) for name in names}
    more: dict[str, Any] = {
        "corrected": row.corrected,
        "asked": row.asked,
        "became": row.became,
        "waiting_behind": behind,
    }
    return {"id": row.id, "at": row.at.isoformat(), **told, **more}


@rejects.command()
def show(
    number: Id,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the values themselves; noted in the audit log.")
    ] = False,
    why: Why = "",
    by: By = "",
    language: Tongue = None,
    as_json: AsJson = False,
) -> None:
    """One reject: place, reason, what waits behind it, what was done, and the shape of its values.

    Values are masked: 31/02/2016 is shown as 99/99/9999. --reveal shows them and needs --why.
    """
    settings = load_settings(StoreSettings)
    library = load_library(settings.contract_folders)
    if reveal:
        why = reason_for("--reveal", why)
    with opened_store(settings) as opened:
        row = _found(opened, number)
        if reveal:
            opened.revealed(number, who=who(by), why=why)
        behind, deeds = opened.behind(number), opened.deeds(number)
    told = _as_json(row, len(behind)) | {
        "reason": reason(row.reject.rule, row.reject.field, language or settings.language),
        "numbers_behind": [one.seq for one in behind],
        "source_key": row.reject.source_key if reveal else masked(row.reject.source_key),
        "deeds": [{**asdict(one), "at": one.at.isoformat()} for one in deeds],
        "columns": _columns(row, library, reveal),
    }
    if as_json:
        print_json(told)
        return
    _tell_one(told, language or settings.language)


def _columns(row: RejectRow, library: Library, reveal: bool) -> dict[str, list[str | None]] | None:
    found = content(row.reject, library)
    if found is None:
        return None
    shown = _plain if reveal else masked
    return {name: [shown(value) for value in pair] for name, pair in columns(found).items()}


def _plain(value: object) -> str | None:
    return None if value is None else str(value)


def _tell_one(told: dict[str, Any], tongue: Language) -> None:
    place = f"{told['topic']}-{told['partition']}@{told['offset']}"
    typer.echo(f"{told['id']}\t{told['system']}/{told['dataset']}\t{told['seq'] or '-'}\t{place}")
    typer.echo(f"{_cause(told['field'], told['rule'])}\t{told['reason']}")
    for name in ("detail", "contract", "asked", "became"):
        if told[name]:
            value = ACTIONS[tongue][told[name]] if name == "asked" else told[name]
            typer.echo(f"{LABELS[tongue][name]}\t{value}")
    typer.echo(f"{LABELS[tongue]['behind']}\t{told['waiting_behind']}\t{told['numbers_behind']}")
    for deed in told["deeds"]:
        typer.echo("\t".join(str(deed[name]) for name in ("at", "who", "action", "why", "detail")))
    if told["columns"] is None:
        typer.echo(SAID[tongue]["unreadable"])
        return
    rows = [
        (name, *(value if value is not None else "-" for value in pair))
        for name, pair in told["columns"].items()
    ]
    print_table("", COLUMNS[tongue]["values"], rows)


def _found(opened: RepairStore, number: int) -> RejectRow:
    row = opened.reject(number)
    if row is None:
        raise _unknown([number])
    return row


def _unknown(ids: list[int]) -> LienthongError:
    told = ", ".join(map(str, ids))
    return LienthongError(f"there is no reject {told}", next_step="see: lienthong rejects list SYSTEM --each")


# --- asking ------------------------------------------------------------------------------------------


@rejects.command()
def fix(
    number: Id,
    why: Annotated[str, typer.Option("--why", help="Kept with the correction and your name.")],
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="A source column put right.")
    ] = None,
    missing: Annotated[
        list[str] | None, typer.Option("--unset", metavar="COLUMN", help="A source column that has no value.")
    ] = None,
    by: By = "",
) -> None:
    """Correct values of a rejected change by hand; it is tried again, and then what waits behind it.

    The record as it came is kept beside the correction. The source is not changed: correct it there as well,
    or the next change of the record brings the old value back. A national change that an inbound contract
    refused is corrected for that contract alone.
    """
    why = reason_for("rejects fix", why)
    pairs = [one.partition("=") for one in values or ()]
    if (not pairs and not missing) or not all(name and mark for name, mark, _ in pairs):
        raise SettingsError("nothing to correct", next_step="write --set column=value or --unset column")
    told = {name: value for name, _, value in pairs}
    _require_once([*(name for name, _, _ in pairs), *(missing or ())])
    settings = load_settings(StoreSettings)
    library = load_library(settings.contract_folders)
    with opened_store(settings) as opened:
        value = corrected(_found(opened, number).reject, library, told, missing or ())
        names = ", ".join((*told, *(missing or ())))
        done = opened.correct(number, value, who=who(by), why=why, detail=names)
    if not done:
        raise LienthongError(
            f"reject {number} is not open", next_step=f"see: lienthong rejects show {number}"
        )
    typer.echo(SAID[settings.language]["corrected"].format(number=number, names=names), err=True)


def _require_once(names: list[str]) -> None:
    """Raise ``SettingsError`` if a column is told twice: nobody knows which value is meant."""
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise SettingsError(
            f"column {twice[0]} is given more than once",
            next_step="give each column one --set or one --unset",
        )


@rejects.command()
def retry(
    ids: Ids = None,
    system: OfSystem = None,
    dataset: Dataset = None,
    rule: Rule = None,
    field: Field = None,
    supersede: Annotated[
        bool,
        typer.Option("--supersede", help="Let the newest waiting change overtake: it alone is tried."),
    ] = False,
    why: Why = "",
    by: By = "",
) -> None:
    """Try rejects again, each with what waits behind it, in the order of its record.

    After a contract or a code list was mended this comes by itself when the workers start with it.
    """
    if why:
        why = reason_for("rejects retry", why)
    _ask("supersede" if supersede else "retry", _which(ids, system, dataset, rule, field), by, why)


@rejects.command()
def drop(
    why: Annotated[str, typer.Option("--why", help="Kept in the audit log with your name.")],
    ids: Ids = None,
    system: OfSystem = None,
    dataset: Dataset = None,
    rule: Rule = None,
    field: Field = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this the command only tells.")] = False,
    by: By = "",
) -> None:
    """Refuse changes for good, and let go what waits behind them. Their bytes are kept."""
    why = reason_for("rejects drop", why)
    which = _which(ids, system, dataset, rule, field)
    if not yes:
        settings = load_settings(StoreSettings)
        with opened_store(settings) as opened:
            _require_known(opened, which)
            count = len(opened.open_rejects(which, limit=MANY))
        if not count:
            _must_be_known(settings, which.system, which.dataset)
        told = f"≥ {MANY}" if count == MANY else str(count)
        typer.echo(SAID[settings.language]["would_drop"].format(count=told), err=True)
        return
    _ask("drop", which, by, why)


def _which(
    ids: list[int] | None, system: str | None, dataset: str | None, rule: str | None, field: str | None
) -> Which:
    if not ids and system is None:
        raise SettingsError(
            "which rejects?", next_step="give ids, or --system with --dataset, --rule or --field as you need"
        )
    return Which(system=system, dataset=dataset, rule=rule, field=field, ids=tuple(ids or ()))


def _require_known(opened: RepairStore, which: Which) -> None:
    """Raise ``LienthongError`` if an id is mistyped: nothing is asked of the others then."""
    if unknown := [number for number in dict.fromkeys(which.ids) if opened.reject(number) is None]:
        raise _unknown(unknown)


def _ask(asked: Asked, which: Which, by: str, why: str) -> None:
    settings = load_settings(StoreSettings)
    with opened_store(settings) as opened:
        _require_known(opened, which)
        count = opened.ask(which, asked, who=who(by), why=why)
    if not count:
        _must_be_known(settings, which.system, which.dataset)
    action = ACTIONS[settings.language][asked]
    typer.echo(SAID[settings.language]["asked"].format(count=count, action=action), err=True)
    if not count:
        raise typer.Exit(1)
