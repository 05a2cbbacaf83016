"""How far each provincial dataset fills the national formats it feeds, and what becomes of all it holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schemas.contracts import Contract, Target
from schemas.formats import FormatField, NationalFormat, Origin
from schemas.gates.protection import marked
from schemas.gates.tables import markdown_row
from schemas.library import Library
from schemas.overflow import kept_columns, left_columns, lossy_columns, without_room
from schemas.reasons import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """How much of one version of a national format a target obtains."""

    format: str  #: full id
    origin: Origin
    fields: int
    mapped: int  #: fields that a rule obtains
    required: int
    required_mapped: int
    unsure: int  #: mapped fields that were not read in their source: marked I or U
    lacking: Sequence[str]  #: required fields without a rule, with their marks
    unmapped: Sequence[str]  #: all fields without a rule, with their marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """The loss report of one target: source columns that it does not tell field by field."""

    kept: Sequence[str]  #: beside the records, in ``lt_overflow``
    left_out: Mapping[str, str]  #: column -> why it is not kept, by the contract's word
    not_asked: Sequence[str]  #: inbound: the receiver gets no more than its own layout has
    lossy: Sequence[str]  #: read, but only by rules whose values do not always tell the column again


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One dataset and one format that it feeds."""

    system: str
    dataset: str
    owner: str
    fed: Filled  #: the version that is fed
    newest: Filled  #: the newest version known, filled by its own target or, if there is none, by these rules
    fresh: bool  #: whether the dataset feeds the newest version known, by this target or by another one
    #: What becomes of source columns that go whole into no field of this format.
    beyond: Beyond


def coverages(library: Library) -> list[Coverage]:
    """One for each target of each contract, by system, dataset and format."""
    newest: dict[str, NationalFormat] = {}
    for national in sorted(library.formats.values(), key=lambda one: one.version):
        newest[national.id] = national
    return [
        _coverage(contract, target, newest[library.formats[target.format].id], library)
        for contract in sorted(library.contracts.values(), key=lambda one: one.id)
        for target in contract.targets
    ]


def _coverage(contract: Contract, target: Target, newest: NationalFormat, library: Library) -> Coverage:
    own = next((one for one in contract.targets if one.format == newest.full_id), None)
    fed = library.formats[target.format]
    return Coverage(
        system=contract.system,
        dataset=contract.dataset,
        owner=contract.owner,
        fed=filled(target, fed),
        newest=filled(own or target, newest),
        fresh=own is not None,
        beyond=beyond(contract, target),
    )


def filled(target: Target, national: NationalFormat) -> Filled:
    """How much of a format the rules of a target obtain, field by field of the same name."""
    mapped = [field for field in national.fields if field.name in target.rules]
    required = [field for field in national.fields if field.required]
    without = [field for field in national.fields if field.name not in target.rules]
    return Filled(
        format=national.full_id,
        origin=national.origin,
        fields=len(national.fields),
        mapped=len(mapped),
        required=len(required),
        required_mapped=sum(field.required for field in mapped),
        unsure=sum(field.evidence != "V" for field in mapped),
        lacking=_names(field for field in without if field.required),
        unmapped=_names(without),
    )


def beyond(contract: Contract, target: Target) -> Beyond:
    """What becomes of the source columns that a target does not tell field by field."""
    return Beyond(
        kept=kept_columns(contract, target),
        left_out={column: contract.left_out[column] for column in left_columns(contract, target)},
        not_asked=without_room(contract, target) if contract.source else [],
        lossy=lossy_columns(contract, target),
    )


def _names(fields: Iterable[FormatField]) -> Sequence[str]:
    return [marked(field) for field in fields]


def as_json(rows: Iterable[Coverage]) -> list[dict[str, Any]]:
    """The rows as JSON objects, field by field."""
    return [asdict(row) for row in rows]


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "title": "Mức độ đáp ứng định dạng quốc gia",
        "columns": (
            "hệ thống|dữ liệu|định dạng|bản mới nhất|trường|bắt buộc|chưa chắc|cột giữ kèm|bỏ lại|mất bớt"
        ),
        "fresh": "đang dùng",
        "also": "cũng đang dùng",
        "lacking": "bản mới đòi thêm {names}",
        "summary": "{rows} dòng, {systems} hệ thống; {fresh} dùng bản mới nhất, {full} đủ trường bắt buộc.",
        "owner": "Đơn vị giữ dữ liệu",
        "unmapped": "Trường quốc gia chưa có dữ liệu",
        "proposal": "{format} (đề xuất của tỉnh)",
        "marks": "[I]: suy ra, [U]: chưa kiểm chứng; không có dấu: đã đọc trong nguồn nêu ở tệp định dạng.",
    },
    "en": {
        "title": "Coverage of the national formats",
        "columns": (
            "system|dataset|format|newest version|fields|required|unsure|columns kept|left out|read with loss"
        ),
        "fresh": "in use",
        "also": "in use, too",
        "lacking": "also requires {names}",
        "summary": "{rows} rows, {systems} systems: newest version {fresh}, all required fields {full}.",
        "owner": "Owner",
        "unmapped": "National fields without data",
        "proposal": "{format} (the province's own proposal)",
        "marks": "[I]: inferred, [U]: unverified; no mark: read in the source that the format's file names.",
    },
}  # fmt: skip


def heads(language: Language) -> Sequence[str]:
    """The heads of the table's columns."""
    return _WORDS[language]["columns"].split("|")


def cells(row: Coverage, language: Language) -> Sequence[str]:
    """One line of the table."""
    words, fed, newest = _WORDS[language], row.fed, row.newest
    version = words["fresh"] if fed.format == newest.format else newest.format
    if row.fresh and fed.format != newest.format:
        version = f"{version}: {words['also']}"
    elif newest.lacking:
        version = f"{version}: {words['lacking'].format(names=', '.join(newest.lacking))}"
    return (
        row.system,
        row.dataset,
        _format(fed, words),
        version,
        f"{fed.mapped}/{fed.fields}",
        f"{fed.required_mapped}/{fed.required}",
        str(fed.unsure),
        str(len(row.beyond.kept)),
        str(len(row.beyond.left_out) + len(row.beyond.not_asked)),
        str(len(row.beyond.lossy)),
    )


def _format(fed: Filled, words: Mapping[str, str]) -> str:
    """The format's name; a layout that no ministry made says so."""
    return words["proposal"].format(format=fed.format) if fed.origin == "proposal" else fed.format


_BEYOND: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "kept": "Cột của nguồn mà định dạng không có chỗ, giữ kèm bản ghi (lt_overflow)",
        "left_out": "Cột của nguồn mà định dạng không có chỗ, và hợp đồng không giữ",
        "not_asked": "Cột mà bên nhận không cần, nên không được nhận",
        "lossy": "Cột của nguồn đã dùng, nhưng không phải lúc nào cũng suy ngược được từ bản ghi",
    },
    "en": {
        "kept": "Source columns that the format has no room for, kept beside the record (lt_overflow)",
        "left_out": "Source columns that the format has no room for, and the contract does not keep",
        "not_asked": "Columns that the receiver does not need, and so does not get",
        "lossy": "Source columns that are read, but that the record does not always tell again",
    },
}


def in_words(one: Beyond, language: Language) -> Sequence[tuple[str, Sequence[str]]]:
    """What becomes of columns, and the columns it becomes of, with reasons; only what there is."""
    left_out = [f"{column} ({reason})" for column, reason in one.left_out.items()]
    told = {"kept": one.kept, "left_out": left_out, "not_asked": one.not_asked, "lossy": one.lossy}
    return [(_BEYOND[language][word], columns) for word, columns in told.items() if columns]


def markdown(rows: Sequence[Coverage], library: Library, language: Language) -> str:
    """A page with the table and, for each row, the names behind the numbers."""
    words = _WORDS[language]
    summary = words["summary"].format(
        rows=len(rows),
        systems=len({row.system for row in rows}),
        fresh=sum(row.fresh for row in rows),
        full=sum(row.fed.required_mapped == row.fed.required for row in rows),
    )
    table = [heads(language), ["---"] * len(heads(language)), *(cells(row, language) for row in rows)]
    lines = [f"# {words['title']}", "", summary, "", *map(markdown_row, table), "", words["marks"]]
    for row in rows:
        labels = {marked(field): field.label for field in library.formats[row.fed.format].fields}
        unmapped = [f"{labels[name]} ({name})" for name in row.fed.unmapped]
        lines += ["", f"## {row.system}/{row.dataset} → {_format(row.fed, words)}", ""]
        lines.append(f"- {words['owner']}: {row.owner}")
        told = [(words["unmapped"], unmapped), *in_words(row.beyond, language)]
        lines += [f"- {word} ({len(names)}): {'; '.join(names)}" for word, names in told if names]
    return "\n".join(lines) + "\n"
