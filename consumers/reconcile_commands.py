"""``lienthong reconcile``: are a source and the national store equal, and if not, where; and mend it."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from consumers.commands import opened_store, reason_for, who
from consumers.corrections import masked
from consumers.proofs import Proof, ProofStore
from consumers.reconcile import Comparison, Sent
from consumers.reconcile_words import ALL_OF_THEM, COLUMNS, GROUPED, KINDS, SAID
from consumers.settings import StoreSettings
from schemas.differences import Difference, Kind
from schemas.errors import LienthongError, SettingsError
from schemas.library import find_contract, fingerprints, load_library
from schemas.printing import Tongue, number, print_json, print_table
from schemas.reasons import Language, reason
from schemas.settings import load_settings
from schemas.sides import OpenSide

#: Differences of a kind told one by one; all are counted.
MANY = 1_000
EXAMPLES = 3
#: What is no drift: people are told how much of it there is, and why.
_SETTLED: tuple[Kind, ...] = ("refused", "in_flight")

_COUNTS = ("missing", "extra", "different", "rows", "translated", "refused", "in_flight")
_Cause = tuple[Kind, str, tuple[str, ...], str]  # kind, format, fields, rule

Dataset = Annotated[str, typer.Argument(metavar="SYSTEM/DATASET", help="Whose contract.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


class CannotCompare(LienthongError):
    """The two sides could not be compared; nothing is said about them."""

    exit_code = 2


def reconcile_commands(open_side: OpenSide, source: Callable[[], str]) -> typer.Typer:
    """The commands, for whoever knows how to open a source and where it is."""
    commands = typer.Typer(no_args_is_help=True, help="Prove that a source and the national store are equal.")

    @commands.command()
    def run(
        dataset: Dataset,
        full: Annotated[
            bool, typer.Option("--full", help="Translate every record, whatever was kept of earlier runs.")
        ] = False,
        reveal: Annotated[
            bool, typer.Option("--reveal", help="Show the records' own keys; noted in the audit log.")
        ] = False,
        by: Annotated[str, typer.Option("--by", help="Who reveals; default: the user of the machine.")] = "",
        why: Annotated[str, typer.Option("--why", help="Why keys are revealed; kept with your name.")] = "",
        language: Tongue = None,
        as_json: AsJson = False,
    ) -> None:
        """Compare the source, translated by its contract, with the national store; change nothing.

        A record may be missing in the store, extra, or different by field. A change on its way is no drift,
        nor is a record that was rejected or waits behind a reject: both are only counted, by cause.
        --json tells the first 1,000 of each kind one by one, and of how many more (left_out) it only knows
        the count. Exit status 0 equal, 1 drift, 2 not compared.
        """
        settings = load_settings(StoreSettings)
        if reveal:
            why = reason_for("--reveal", why)
        with _comparing(settings, dataset, open_side, source()) as (comparison, opened):
            if reveal:
                opened.revealed_keys(dataset, who=who(by), why=why)
            told = _Found()
            for found in comparison.differences(full=full):
                told.add(found)
            proof = comparison.prove()
        tongue = language or settings.language
        if as_json:
            since = {"in_flight_since": _moment(comparison.in_flight_since_ms)}
            each = [_told(one, reveal) for one in told.each]
            print_json({**_as_json(proof), **since, "differences": each, "left_out": told.left_out})
        else:
            _print(told, proof, tongue, reveal)
            _say(proof, tongue, _moment(comparison.in_flight_since_ms))
        if proof.drift:
            raise typer.Exit(1)

    @commands.command()
    def repair(
        dataset: Dataset,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Tell what would be sent, and send nothing.")
        ] = False,
        yes: Annotated[
            bool, typer.Option("--yes", help="Also what takes records out of force in the store.")
        ] = False,
        language: Tongue = None,
        as_json: AsJson = False,
    ) -> None:
        """Send what differs by the ordinary road: snapshot events of those records, through the outbox.

        Nothing is written to the store. Each record is sent as it is at that moment, so a live change wins.
        Deletes need --yes. Afterwards, when the road is calm: lienthong reconcile run. Exit status 0 all
        that differs is sent, 1 something is not, 2 not compared.
        """
        settings = load_settings(StoreSettings)
        told = _Found()
        every: list[Sent] = []
        with _comparing(settings, dataset, open_side, source()) as (comparison, _):
            for found in comparison.differences():
                told.add(found)
                every.append(comparison.repair(found, deletes=yes, send=not dry_run))
            proof = comparison.prove()
        sent = Sent(
            records=sum(one.records for one in every),
            deletes=sum(one.deletes for one in every),
            kept_back=sum(one.kept_back for one in every),
            untold=sum(one.untold for one in every),
        )
        if as_json:
            print_json({**_as_json(proof), "dry_run": dry_run, "sent": asdict(sent)})
        else:
            tongue = language or settings.language
            if dry_run:
                _print(told, proof, tongue, False)
            _say(proof, tongue)
            _say_sent(dataset, sent, tongue, dry_run=dry_run)
        if sent.kept_back or sent.untold or (dry_run and proof.drift):
            raise typer.Exit(1)

    return commands


@contextmanager
def _comparing(
    settings: StoreSettings, dataset: str, open_side: OpenSide, source: str
) -> Iterator[tuple[Comparison, ProofStore]]:
    """A comparison of the dataset, and the store. Whatever hinders it ends with exit status 2."""
    try:
        library = load_library(settings.contract_folders)
        contract = find_contract(library, dataset)
        if contract.source:
            raise SettingsError(
                f"{dataset} is inbound: it has no table of its own",
                next_step="name the dataset that it reads",
            )
        fingerprint = fingerprints(library, settings.contract_folders)[dataset]
        with opened_store(settings) as opened, closing(open_side(source, contract, _wait)) as side:
            opened.check([library.formats[target.format] for target in contract.targets])
            yield Comparison(side, opened, library, fingerprint), opened
    except LienthongError as error:
        raise CannotCompare(error.message, next_step=error.next_step) from error


def _wait(text: str) -> None:
    typer.echo(text, err=True)


@dataclass(slots=True)
class _Found:
    """Differences as they are told: the first of each kind one by one, and all of them by cause."""

    each: list[Difference] = field(default_factory=list)
    by_cause: Counter[_Cause] = field(default_factory=Counter)
    _by_kind: Counter[Kind] = field(default_factory=Counter)

    def add(self, found: Sequence[Difference]) -> None:
        for one in found:
            self.by_cause[_cause(one)] += 1
            self._by_kind[one.kind] += 1
            if self._by_kind[one.kind] <= MANY:
                self.each.append(one)

    @property
    def left_out(self) -> dict[Kind, int]:
        """How many of each kind are not told one by one."""
        return {kind: count - MANY for kind, count in self._by_kind.items() if count > MANY}


def _cause(one: Difference) -> _Cause:
    return one.kind, one.format, one.fields, one.rule


def _print(told: _Found, proof: Proof, tongue: Language, reveal: bool) -> None:
    rows = [
        (
            KINDS[tongue][one.kind],
            one.format,
            _named(one, reveal),
            str(one.seq or "-"),
            ", ".join(one.fields),
            reason(one.rule, "", tongue) if one.rule else "",
        )
        for one in told.each
        if one.kind not in _SETTLED
    ]
    if rows:
        print_table("", COLUMNS[tongue], rows)
    if more := sum(count for kind, count in told.left_out.items() if kind not in _SETTLED):
        words = {"more": number(more, tongue), "count": number(MANY, tongue)}
        typer.echo(SAID[tongue]["left out"].format(**words), err=True)
    causes = [
        (
            KINDS[tongue][kind],
            full_id,
            str(count),
            ", ".join(_examples(told, (kind, full_id, fields, rule), reveal)),
            ", ".join(fields),
            reason(rule, "", tongue) if rule else "",
        )
        for (kind, full_id, fields, rule), count in told.by_cause.most_common()
        if kind in _SETTLED
    ]
    if causes:
        print_table("", GROUPED[tongue], causes)
        words = {"system": proof.system, "dataset": proof.dataset, "count": number(MANY, tongue)}
        typer.echo(ALL_OF_THEM[tongue].format(**words), err=True)


def _examples(told: _Found, cause: _Cause, reveal: bool) -> list[str]:
    """A few records of a cause, those first whose number the store has; the others by key."""
    found = [one for one in told.each if _cause(one) == cause]
    found.sort(key=lambda one: one.seq is None)
    return [str(one.seq) if one.seq and not reveal else _named(one, reveal) for one in found[:EXAMPLES]]


def _named(one: Difference, reveal: bool) -> str:
    return str(one.source_key if reveal else masked(one.source_key))


def _moment(ms: int) -> str | None:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds") if ms else None


def _say(proof: Proof, tongue: Language, in_flight_since: str | None = None) -> None:
    words = SAID[tongue]
    numbers = {name: number(getattr(proof, name), tongue) for name in _COUNTS}
    typer.echo(
        words["proof"].format(
            name=f"{proof.system}/{proof.dataset}",
            found=words["drift" if proof.drift else "equal"].format(**numbers),
            since=words["since"].format(moment=in_flight_since) if in_flight_since else "",
            seconds=f"{proof.took_ms / 1000:.1f}".replace(".", "," if tongue == "vi" else "."),
            **numbers,
        ),
        err=True,
    )


def _say_sent(dataset: str, sent: Sent, tongue: Language, *, dry_run: bool) -> None:
    words = SAID[tongue]
    numbers = {name: number(count, tongue) for name, count in asdict(sent).items()}
    typer.echo(f"{dataset}: {words['would' if dry_run else 'sent'].format(**numbers)}", err=True)
    for name in ("kept_back", "untold"):
        if getattr(sent, name):
            typer.echo(words[name].format(**numbers), err=True)


def _as_json(proof: Proof) -> dict[str, Any]:
    return {"equal": not proof.drift, **asdict(proof), "at": proof.at.isoformat()}


def _told(one: Difference, reveal: bool) -> dict[str, Any]:
    told = {
        "kind": one.kind,
        "format": one.format,
        "record": masked(one.source_key),
        "number": one.seq,
        "fields": list(one.fields),
        "rule": one.rule,
    }
    return told | ({"key": one.source_key} if reveal else {})
