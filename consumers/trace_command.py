"""``lienthong trace``: every hop of one record."""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.audit_key import AuditKey, load_keys
from consumers.opening import open_store
from consumers.settings import StoreSettings
from consumers.topic_search import TopicSearch
from consumers.tracing import HOPS, Captured, Sources, Trace, trace
from schemas.errors import LienthongError, SettingsError
from schemas.library import Library, contracts_of, load_library
from schemas.printing import Tongue, print_json, print_table
from schemas.settings import LibrarySettings, load_settings

OutboxReader = Callable[[str, str, str, int], Sequence[Captured]]
"""From LIENTHONG_SOURCE, a contract's id, a key and a limit to what the outbox has."""

CHANGES = 20  #: of a record, told from its outbox
LAST = 200_000

_WORDS = {
    "vi": {
        "columns": ("chặng", "số", "lúc", "việc", "chi tiết", "nơi"),
        "hops": {
            "outbox": "hộp gửi",
            "province": "topic tỉnh",
            "translate": "chuyển đổi",
            "national": "topic quốc gia",
            "store": "kho quốc gia",
            "receipt": "biên nhận",
            "audit": "nhật ký kiểm toán",
        },
        "what": {
            "captured": "đã ghi nhận",
            "acknowledged": "đã gửi lên Kafka",
            "not_published": "chưa gửi",
            "published": "đã công bố",
            "not_read": "chưa đọc tới",
            "translated": "đã chuyển đổi",
            "rejected": "bị từ chối",
            "mended": "đã xử lý",
            "parked": "đang chờ",
            "in_force": "còn hiệu lực",
            "deleted": "đã xóa",
            "applied": "đã áp dụng",
            "stale": "đã có bản mới hơn",
            "passed": "không thuộc phạm vi",
            "sealed": "đã niêm phong",
            "not_sealed": "chưa niêm phong",
        },
        "away": "không xem được",
        "notes": {
            "not_set_up": "chưa khai báo ở đây",
            "no_topic": "không có topic",
            "no_national_key": "chưa biết khóa quốc gia",
        },
        "partly": r"chỉ xem từ offset \1 trở đi",
        "never": "chưa nơi nào thấy bản ghi này",
        "unsure": "những nơi đã xem chưa thấy bản ghi này",
    },
    "en": {
        "columns": ("hop", "number", "at", "what", "detail", "where"),
        "hops": {
            "outbox": "outbox",
            "province": "province topic",
            "translate": "translate",
            "national": "national topic",
            "store": "national store",
            "receipt": "receipt",
            "audit": "audit chain",
        },
        "what": {
            "captured": "captured",
            "acknowledged": "sent to Kafka",
            "not_published": "not sent yet",
            "published": "published",
            "not_read": "not read yet",
            "translated": "translated",
            "rejected": "rejected",
            "mended": "dealt with",
            "parked": "waits",
            "in_force": "in force",
            "deleted": "deleted",
            "applied": "applied",
            "stale": "superseded",
            "passed": "not of its concern",
            "sealed": "sealed",
            "not_sealed": "not sealed yet",
        },
        "away": "could not be looked at",
        "notes": {
            "not_set_up": "not set up here",
            "no_topic": "no such topic",
            "no_national_key": "its national key is not known yet",
        },
        "partly": r"looked through only from offset \1 on",
        "never": "nobody has ever seen this record",
        "unsure": "none of the places looked through has this record",
    },
}  # fmt: skip


class _TraceSettings(LibrarySettings):
    """All parts are optional: what is not set is not looked at."""

    deployment: str = "lienthong"
    store: str = ""
    broker: str = ""
    source: str = ""
    audit_key: Path = StoreSettings.model_fields["audit_key"].default


def trace_command(outbox: OutboxReader) -> Callable[..., None]:
    """The command, for a composition root that can read an agency's outbox."""

    def command(
        system: Annotated[str, typer.Argument(help="The provincial system, e.g. hotich_qnam.")],
        key: Annotated[str, typer.Argument(help="The record's key; parts of one key are joined with |.")],
        dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
        last: Annotated[
            int, typer.Option(min=1, help="How many records at the end of a partition are looked through.")
        ] = LAST,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each dataset.")] = False,
        lang: Tongue = None,
    ) -> None:
        """Follow one record: outbox, topics, contract, rejects, national row, receipts, audit chain.

        Looks wherever LIENTHONG_SOURCE, LIENTHONG_BROKER and LIENTHONG_STORE lead; a part that is away costs
        its own hop only. Tells numbers, places and times, no value of the record. Exit status 1: never seen.
        """
        settings = load_settings(_TraceSettings)
        if not (settings.source or settings.broker or settings.store):
            raise SettingsError(
                "nowhere to look: none of LIENTHONG_SOURCE, LIENTHONG_BROKER, LIENTHONG_STORE is set",
                next_step="export at least one of them; deploy/env.example tells",
            )
        language = lang or settings.language
        library = load_library(settings.contract_folders)
        contracts = contracts_of(library, system, dataset)
        with ExitStack() as stack:
            sources = _sources(settings, library, outbox, last, stack)
            found = [trace(sources, one, key) for one in contracts]
        if as_json:
            print_json([_as_json(one) for one in found])
        else:
            _tell([one for one in found if one.known] or found[:1], language)
        if not any(one.known for one in found):
            sure = all(one.thorough for one in found)
            _say(str(_WORDS[language]["never" if sure else "unsure"]))
            raise typer.Exit(1)

    return command


def _sources(
    settings: _TraceSettings, library: Library, outbox: OutboxReader, last: int, stack: ExitStack
) -> Sources:
    store = stack.enter_context(closing(open_store(settings.store))) if settings.store else None
    return Sources(
        library=library,
        deployment=settings.deployment,
        outbox=(lambda of, key: outbox(settings.source, of, key, CHANGES)) if settings.source else None,
        search=(lambda: TopicSearch(settings.broker, last=last, say=_say)) if settings.broker else None,
        store=store,
        keys=_keys(settings),
    )


def _keys(settings: _TraceSettings) -> list[AuditKey]:
    """The audit keys, if this machine has them: an operator's may not."""
    try:
        return load_keys(settings.audit_key.expanduser())
    except LienthongError:
        return []


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _as_json(one: Trace) -> dict[str, Any]:
    steps = [{**asdict(step), "at": step.at.isoformat() if step.at else None} for step in one.steps]
    return {"dataset": one.dataset, "steps": steps, "away": one.away, "notes": one.notes}


def _tell(found: Sequence[Trace], language: str) -> None:
    words: Any = _WORDS[language]
    for one in found:
        rows = [
            (
                words["hops"][step.hop],
                "-" if step.seq is None else str(step.seq),
                step.at.isoformat(timespec="milliseconds") if step.at else "-",
                words["what"].get(step.what, step.what),
                step.detail,
                step.where,
            )
            for step in one.steps
        ]
        if rows:
            print_table(one.dataset, words["columns"], rows)
        for hop in HOPS:
            if hop in one.away:
                _say(f"{words['hops'][hop]}: {words['away']}: {one.away[hop]}")
            elif hop in one.notes:
                note = re.sub("from offset ([0-9]+) on", words["partly"], one.notes[hop])
                _say(f"{words['hops'][hop]}: {words['notes'].get(note, note)}")
