"""``lienthong audit``: the key, a look at the whole chain, one record's history for a stranger."""

import os
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from consumers.audit_export import exported, history
from consumers.audit_key import (
    Anchor,
    anchor_file,
    load_keys,
    load_public,
    load_publics,
    make_key,
    noted_anchor,
    public_file,
    renew_key,
)
from consumers.commands import opened_store
from consumers.repairs import RepairStore
from consumers.row_proof import RowProof, prove_rows
from consumers.settings import StoreSettings
from consumers.verifying import Flaw, Verdict, verify
from schemas.errors import LienthongError, SettingsError
from schemas.library import contracts_of, load_library
from schemas.printing import print_json
from schemas.reasons import Language
from schemas.settings import load_settings

audit = typer.Typer(no_args_is_help=True, help="The signed chain of all applied changes.")

_WORDS = {
    "vi": {
        "altered": "bị sửa",
        "removed": "bị xóa",
        "added": "bị thêm",
        "forged": "niêm phong giả",
        "chain": "chuỗi bị đứt",
        "truncated": "bị cắt phần cuối",
        "deed": "việc của người bị sửa",
        "row": "dòng dữ liệu bị sửa",
        "rows": "{rows} dòng dữ liệu còn hiệu lực đã đối chiếu; {older} dòng có từ trước khi có nhật ký",
        "seal": "niêm phong",
        "sound": "nguyên vẹn: {lines} dòng, {seals} niêm phong; khóa {keys}",
        "broken": "{flaws} chỗ không còn như khi niêm phong ({lines} dòng, {seals} niêm phong)",
        "unsealed": "{lines} dòng chưa niêm phong, cũ nhất {seconds:.0f} giây",
        "anchor": "giữ ở nơi khác để lần sau đối chiếu: --anchor {anchor}",
        "no_anchor": "không có niêm phong nào được ghi nhớ để đối chiếu, nên phần cuối bị cắt sẽ không lộ ra;"
        " việc cần làm: đưa --anchor, hoặc viết LIENTHONG_STORE như ở tiến trình ghi kho này",
    },
    "en": {
        "altered": "altered",
        "removed": "removed",
        "added": "added",
        "forged": "forged",
        "chain": "broken chain",
        "truncated": "cut off",
        "deed": "deeds altered",
        "row": "row altered",
        "rows": "{rows} rows in force were compared; {older} are older than the chain",
        "seal": "seal",
        "sound": "sound: {lines} lines, {seals} seals; key {keys}",
        "broken": "{flaws} places are not as they were sealed ({lines} lines, {seals} seals)",
        "unsealed": "{lines} lines are not sealed yet, the oldest for {seconds:.0f} s",
        "anchor": "to be kept elsewhere, for the next time: --anchor {anchor}",
        "no_anchor": "no anchor was compared: a cut-off end would go unseen; next step: give --anchor, or"
        " write LIENTHONG_STORE as the worker of this store has it",
    },
}
_NEXT = {
    "vi": "giữ nguyên kho và các bản sao lưu; so với bản sao lưu trước đó, hỏi ai có quyền ghi vào kho",
    "en": "keep store and backups as they are; compare with an earlier backup; ask who may write there",
}
TALK_SECONDS = 2.0

KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Default: LIENTHONG_AUDIT_KEY.", show_default=False)
]


class Unjudged(LienthongError):
    """The chain could not be looked at; it may be sound or not."""

    exit_code = 2


@audit.command()
def keygen(
    key: KeyFile = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Let a new key take over; the one before stays beside it.")
    ] = False,
) -> None:
    """Make the key that seals the audit chain, mode 0600, and its public half beside it.

    A worker makes one by itself if there is none; several machines need the same one, made here and copied.
    With --renew workers seal with the new key after their restart; the chain goes on, and what the key
    before wrote is still verified and exported with it. Who has stolen a key can sign as long as it is
    trusted: keep an anchor elsewhere (audit verify prints it).
    """
    file = key or load_settings(StoreSettings).audit_key_file
    made, kept = renew_key(file) if renew else (make_key(file), None)
    typer.echo(f"{file}\t{made.id}")
    typer.echo(
        f"copy {file} to every machine with a worker of this store, {public_file(file)} to who verifies",
        err=True,
    )
    if kept is not None:
        typer.echo(
            f"the key before is {kept}: copy it too, for --rows, export and trace; who verifies keeps"
            f" {public_file(kept)}; now restart the workers",
            err=True,
        )


@audit.command("verify")
def verify_(
    public: Annotated[
        list[Path] | None,
        typer.Option(
            "--public-key", help="Trusted keys; default: <LIENTHONG_AUDIT_KEY>.pub and earlier ones."
        ),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", help="A seal remembered elsewhere, as printed; finds a cut-off end."),
    ] = None,
    rows: Annotated[
        bool,
        typer.Option("--rows", help="Compare the national rows with their lines too; needs the key."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look at every line and seal: altered, removed, put into another order, forged, cut off?

    The last seal that this machine's worker made is an anchor by itself (a file beside the key, for each
    way in which LIENTHONG_STORE is written). Without any anchor a cut-off end goes unseen, and that is told.
    Exit status 0: sound, 1: not, 2: could not be judged.
    """
    try:
        settings = load_settings(StoreSettings)
        file = settings.audit_key_file
        trusted = [load_public(one) for one in public] if public else load_publics(file)
        keys = {one.id: one for one in trusted}
        anchors = [Anchor.parse(text) for text in anchor or ()]
        with opened_store(settings) as opened:
            noted = anchor_file(file, settings.store)
            # Who brings the public key may be another user, to whom the key's folder is closed.
            if not public or os.access(noted, os.R_OK):
                anchors += filter(None, [noted_anchor(noted)])
            talk = _Talk()
            verdict = verify(opened, keys, anchors, talk.of)
            proof = _rows(opened, settings, talk) if rows else None
    except LienthongError as error:
        raise Unjudged(error.message, next_step=error.next_step) from error
    if not anchors:
        typer.echo(_WORDS[settings.language]["no_anchor"], err=True)
    if proof is not None:
        verdict.flaws += proof.flaws
    if as_json:
        last = str(verdict.last) if verdict.last else None
        told = {"rows": proof.rows, "older_rows": proof.older} if proof else {}
        flaws = [
            {"seal": one.seal, "what": one.what, "text": one.text.en, "text_vi": one.text.vi}
            for one in verdict.flaws
        ]
        print_json({**asdict(verdict), "flaws": flaws, "last": last, "sound": not flaws, **told})
    else:
        _tell(verdict, settings.language)
        if proof is not None:
            typer.echo(_WORDS[settings.language]["rows"].format(rows=proof.rows, older=proof.older), err=True)
    if verdict.flaws:
        raise typer.Exit(1)


def _rows(opened: RepairStore, settings: StoreSettings, talk: "_Talk") -> RowProof:
    formats = sorted(load_library(settings.contract_folders).formats.values(), key=lambda one: one.full_id)
    return prove_rows(opened, formats, load_keys(settings.audit_key_file), talk)


class _Talk:
    """Says every two seconds how far it is."""

    def __init__(self) -> None:
        self._next = monotonic() + TALK_SECONDS

    def __call__(self, text: str) -> None:
        if monotonic() >= self._next:
            typer.echo(text, err=True)
            self._next = monotonic() + TALK_SECONDS

    def of(self, verdict: Verdict) -> None:
        """After each seal."""
        self(f"seal {verdict.seals}, {verdict.lines} lines …")


def _tell(verdict: Verdict, language: Language) -> None:
    words = _WORDS[language]
    for flaw in verdict.flaws:
        typer.echo(_line(flaw, language))
    count = {"lines": verdict.lines, "seals": verdict.seals}
    if verdict.flaws:
        typer.echo(words["broken"].format(flaws=len(verdict.flaws), **count), err=True)
        typer.echo(f"next step: {_NEXT[language]}", err=True)
    else:
        typer.echo(words["sound"].format(keys=", ".join(verdict.keys) or "-", **count))
    waits = verdict.unsealed
    if waits is not None and waits.lines:
        typer.echo(words["unsealed"].format(lines=waits.lines, seconds=waits.oldest_seconds), err=True)
    if verdict.last is not None:
        typer.echo(words["anchor"].format(anchor=verdict.last), err=True)


def _line(flaw: Flaw, language: Language) -> str:
    words = _WORDS[language]
    where = "-" if flaw.seal is None else f"{words['seal']} {flaw.seal}"
    return f"{words[flaw.what]}\t{where}\t{flaw.text.vi if language == 'vi' else flaw.text.en}"


@audit.command()
def export(
    system: Annotated[str, typer.Argument(help="The provincial system, e.g. hotich_qnam.")],
    record: Annotated[str, typer.Argument(metavar="KEY", help="The record's key as its source has it.")],
    dataset: Annotated[str | None, typer.Option(help="Only needed if several have such a record.")] = None,
    into: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
    key: KeyFile = None,
) -> None:
    """One record's history as a file that anybody can check: deploy/verify_audit.py and the public key.

    The file names the record. Of other records it tells keyed hashes only. Exit status 1: no such record.
    """
    settings = load_settings(StoreSettings)
    secrets = load_keys(key or settings.audit_key_file)
    library = load_library(settings.contract_folders)
    datasets = [dataset] if dataset else [one.dataset for one in contracts_of(library, system)]
    with opened_store(settings) as opened:
        found = history(opened, secrets, system, datasets, record)
        entries = [one for one in found if one.seal is not None]
        wanted = sorted({one.seal for one in entries if one.seal is not None})
        seals = {one.number: one for one in opened.seals(wanted)}
    of = sorted({one.block.dataset for one in entries})
    if not entries:
        wait = "its lines are not sealed yet: wait a second" if found else "see: lienthong trace"
        raise LienthongError(f"the audit chain has no sealed line of this record of {system}", next_step=wait)
    if len(of) > 1:
        raise SettingsError(
            f"several datasets have such a record: {', '.join(of)}", next_step="give --dataset"
        )
    text = exported(entries, seals, secrets, system, record)
    if into is None:
        typer.echo(text, nl=False)
    else:
        try:
            into.write_text(text, encoding="utf-8")  # the signature is of these bytes, whatever the locale is
        except OSError as error:
            raise SettingsError(
                f"{into}: {error.strerror or type(error).__name__}",
                next_step="name a file that can be written",
            ) from None
        typer.echo(f"{len(entries)} changes written to {into}", err=True)
