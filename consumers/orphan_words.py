"""The orphan index in words, Vietnamese and English: what is known of a database, and what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consumers.orphans import Index, Part
from consumers.outlook import Outlook
from consumers.sql_store import MIGRATE
from schemas.printing import number
from schemas.reasons import Language

Level = Literal["safe", "watch", "risk", "danger", "unknown"]
#: The index from which on a level begins, the worst first.
LEVELS: Sequence[tuple[int, Level]] = ((75, "danger"), (50, "risk"), (25, "watch"), (0, "safe"))

WORDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "safe": "vững",
        "watch": "cần chú ý",
        "risk": "nguy cơ",
        "danger": "nguy cấp",
        "unknown": "chưa biết",
        "coverage": "đáp ứng định dạng",
        "freshness": "cập nhật",
        "matched": "khớp dữ liệu",
        "proof": "đối soát",
        "fields": "{mapped}/{fields} trường, {required_mapped}/{required} bắt buộc",
        "newest": "đang dùng bản mới nhất",
        "older": "đang dùng {fed}, đã có {newest}",
        "applied": "thay đổi gần nhất {age} trước",
        "never applied": "chưa có thay đổi nào tới kho",
        "now": "vừa xong",
        "minutes": "{n} phút",
        "hours": "{n} giờ",
        "days": "{n} ngày",
        "equal": "{rows} dòng khớp hoàn toàn",
        "differing": "{differing} trên {rows} dòng khác nhau",
        "proved": "đối soát {age} trước",
        "never proved": "chưa từng đối soát",
        "rejected": "{n} thay đổi bị từ chối chờ sửa",
        "parked": "{n} thay đổi chờ phía sau",
        "missing": "{n} số thứ tự chưa từng đến",
        "unseen": "chưa biết: không hỏi được kho",
        "do lacking": "Bổ sung quy tắc cho trường bắt buộc: {names}",
        "do version": "Chuyển hợp đồng sang {newest}, chạy thử trước",
        "do fields": "Tìm nguồn cho {n} trường còn trống",
        "do capture": "Bật thu thập và gửi lần đầu tại đơn vị giữ dữ liệu",
        "do silence": "Hỏi đơn vị vì sao {age} không có thay đổi",
        "do repair": "Sửa {n} dòng khác nhau",
        "do prove first": "Đối soát lần đầu",
        "do prove": "Đối soát lại",
        "do rejects": "Sửa {n} thay đổi bị từ chối",
        "do missing": "Gửi lại {n} số thứ tự chưa từng đến",
        "do store": "Nối lại kho dữ liệu rồi lập lại báo cáo",
        "do migrate": "Tạo các bảng còn thiếu của kho dữ liệu rồi lập lại báo cáo",
        "do nothing": "Giữ nguyên nhịp đối soát",
    },
    "en": {
        "safe": "safe",
        "watch": "to watch",
        "risk": "at risk",
        "danger": "in danger",
        "unknown": "not known",
        "coverage": "coverage",
        "freshness": "freshness",
        "matched": "matched rows",
        "proof": "proof",
        "fields": "{mapped}/{fields} fields, {required_mapped}/{required} required",
        "newest": "newest version in use",
        "older": "feeds {fed}, {newest} is there",
        "applied": "last change {age} ago",
        "never applied": "no change ever reached the store",
        "now": "moments",
        "minutes": "{n} min",
        "hours": "{n} h",
        "days": "{n} days",
        "equal": "{rows} rows, all equal",
        "differing": "{differing} of {rows} rows differ",
        "proved": "proved {age} ago",
        "never proved": "never proved",
        "rejected": "{n} refused changes to be mended",
        "parked": "{n} changes wait behind them",
        "missing": "{n} numbers never arrived",
        "unseen": "not known: the store could not be asked",
        "do lacking": "Add rules for the required fields: {names}",
        "do version": "Bring the contract to {newest}; try it first",
        "do fields": "Find a source for the {n} fields left empty",
        "do capture": "Turn on capture and send the first snapshot at the owner's",
        "do silence": "Ask the owner why nothing changed for {age}",
        "do repair": "Repair the {n} rows that differ",
        "do prove first": "Prove it for the first time",
        "do prove": "Prove it again",
        "do rejects": "Mend {n} refused changes",
        "do missing": "Send the {n} numbers again that never arrived",
        "do store": "Reach the store again, then make this report anew",
        "do migrate": "Make the tables that the store lacks, then make this report anew",
        "do nothing": "Go on proving as now",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something a person can do to lower an index."""

    what: str  #: a sentence without its full stop
    command: str  #: as it is typed; empty if no command helps


def level_of(value: int | None) -> Level:
    """The level of an index; ``unknown`` of one that is not known."""
    if value is None:
        return "unknown"
    return next(level for least, level in LEVELS if value >= least)


def age(since: datetime, now: datetime, language: Language) -> str:
    """``3 ngày``; never less than nothing, whatever the clocks say."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    for unit, least, size in (("days", 48 * 60, 24 * 60), ("hours", 120, 60), ("minutes", 1, 1)):
        if minutes >= least:
            return WORDS[language][unit].format(n=number(minutes // size, language))
    return WORDS[language]["now"]


def coverage_text(index: Index, language: Language) -> str:
    """How much of the newest version is obtained."""
    newest = index.coverage.newest
    return WORDS[language]["fields"].format(
        mapped=newest.mapped,
        fields=newest.fields,
        required_mapped=newest.required_mapped,
        required=newest.required,
    )


def freshness_texts(index: Index, now: datetime, language: Language) -> list[str]:
    """Which version is fed, and when the last change arrived."""
    words, coverage = WORDS[language], index.coverage
    version = (
        words["newest"]
        if coverage.fresh
        else words["older"].format(fed=coverage.fed.format, newest=coverage.newest.format)
    )
    if index.seen is None:
        return [version, words["unseen"]]
    at = index.seen.applied_at
    return [
        version,
        words["never applied"] if at is None else words["applied"].format(age=age(at, now, language)),
    ]


def drift_texts(index: Index, now: datetime, language: Language) -> list[str]:
    """What the last proof found, and what is known to be missing since."""
    words, seen = WORDS[language], index.seen
    if seen is None:
        return [words["unseen"]]
    told = [words["never proved"]]
    if seen.proof is not None:
        counts = {
            "rows": number(seen.proof.rows, language),
            "differing": number(seen.proof.differing, language),
        }
        told = [
            words["differing" if seen.proof.differing else "equal"].format(**counts),
            words["proved"].format(age=age(seen.proof.at, now, language)),
        ]
    for name in ("rejected", "parked", "missing"):
        how_many: int = getattr(seen, name)
        if how_many:
            told.append(words[name].format(n=number(how_many, language)))
    return told


def steps(index: Index, outlook: Outlook, language: Language) -> list[Step]:
    """What to do next, what lowers the index most first; fields that nobody requires last. Never empty."""
    coverage, seen = index.coverage, index.seen
    contract = f"{coverage.system}/{coverage.dataset}"
    optional = not coverage.newest.lacking and coverage.newest.mapped < coverage.newest.fields
    heavy = [part for part in index.worst if part != "coverage" or not optional]
    words, found = WORDS[language], [_step(part, index, outlook.at, language) for part in heavy]
    if seen is not None and seen.rejected:
        what = words["do rejects"].format(n=number(seen.rejected, language))
        found.append(Step(what=what, command=f"lienthong rejects list {coverage.system}"))
    if seen is not None and seen.missing:
        what = words["do missing"].format(n=number(seen.missing, language))
        found.append(Step(what=what, command=f"lienthong receipts show {coverage.system}"))
    if optional:
        found.append(_step("coverage", index, outlook.at, language))
    if told := list(dict.fromkeys(one for one in found if one is not None)):
        return told
    if seen is None:
        return [store_step(outlook, language)]
    return [Step(what=words["do nothing"], command=f"lienthong reconcile run {contract}")]


def store_step(outlook: Outlook, language: Language) -> Step:
    """What makes a store tell again that could not be asked."""
    if outlook.unmigrated:
        return Step(what=WORDS[language]["do migrate"], command=MIGRATE)
    return Step(what=WORDS[language]["do store"], command="lienthong doctor")


def _step(part: Part, index: Index, now: datetime, language: Language) -> Step | None:
    """What lowers one part; None where another part's step does it too."""
    words, coverage, seen = WORDS[language], index.coverage, index.seen
    contract = f"{coverage.system}/{coverage.dataset}"
    newest = coverage.newest
    if part == "coverage":
        if newest.lacking:
            what = words["do lacking"].format(names=", ".join(newest.lacking))
            return Step(what=what, command="lienthong contracts coverage --markdown")
        what = words["do fields"].format(n=newest.fields - newest.mapped)
        return Step(what=what, command="lienthong contracts coverage --markdown")
    if part == "freshness" and not coverage.fresh:
        what = words["do version"].format(newest=newest.format)
        return Step(what=what, command=f"lienthong contracts shadow {contract} NEW.yaml")
    assert seen is not None  # without it, no other part has points
    if part == "freshness":
        if seen.applied_at is None:
            return Step(what=words["do capture"], command=f"lienthong capture install {contract}")
        what = words["do silence"].format(age=age(seen.applied_at, now, language))
        return Step(what=what, command="lienthong capture status")
    prove = f"lienthong reconcile run {contract}"
    if seen.proof is None:
        # Of two parts that ask for the same, the heavier one tells it. Before anything came, there is nothing
        # to prove.
        return None if seen.applied_at is None else Step(what=words["do prove first"], command=prove)
    if part == "matched":
        what = words["do repair"].format(n=number(seen.proof.differing, language))
        return Step(what=what, command=f"lienthong reconcile repair {contract}")
    return Step(what=words["do prove"], command=prove)
