"""``lienthong contracts show``: one page on which a clerk reads what becomes of a dataset's records."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from schemas.codelists import CodeLists, Exact
from schemas.contracts import Contract, Target
from schemas.examples import Shown
from schemas.formats import FormatField, Origin
from schemas.gates.coverage import Beyond, beyond
from schemas.gates.coverage import in_words as beyond_in_words
from schemas.gates.protection import marked
from schemas.gates.tables import markdown_row
from schemas.gates.words import in_words
from schemas.library import Library
from schemas.reasons import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One national field and how it is obtained."""

    field: str
    label: str
    evidence: str  #: V, I or U: how well the field itself is known
    required: bool
    sensitivity: str
    columns: Sequence[str]
    rule: str  #: its kind
    how: str  #: in words
    basis: str  #: of the rule or, if it tells none, of the field
    note: str | None
    before: Mapping[str, str | None]  #: the columns in the example's row
    after: str | None  #: the field in what the row gives


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the dataset gives to one national format."""

    format: str
    title: str
    origin: Origin  #: who made the layout
    lines: Sequence[Line]
    checks: Sequence[str]  #: what is only looked at
    without: Sequence[str]  #: fields that no rule obtains, with labels and marks
    beyond: Beyond  #: source columns that no field tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A contract for people."""

    id: str
    title: str
    version: int
    owner: str
    table: str
    key: Sequence[str]
    live: Sequence[str]  #: values of the status column of records in force
    gone: Sequence[str]  #: values of those that count as deleted
    status: str | None  #: the status column
    missing: Sequence[str]
    parts: Sequence[Part]


def page_of(contract: Contract, library: Library, shown: Shown | None, language: Language) -> Page:
    """The page of a contract. ``shown``: its example, if it has one."""
    status = contract.status
    return Page(
        id=contract.id,
        title=contract.title,
        version=contract.version,
        owner=contract.owner,
        table=contract.table,
        key=contract.key,
        live=status.live if status else (),
        gone=status.gone if status else (),
        status=status.column if status else None,
        missing=contract.missing,
        parts=[_part(contract, target, library, shown, language) for target in contract.targets],
    )


def _part(
    contract: Contract, target: Target, library: Library, shown: Shown | None, language: Language
) -> Part:
    national = library.formats[target.format]
    row = shown.row if shown else {}
    gives = shown.gives.get(national.full_id, {}) if shown else {}
    lines = []
    for field in national.fields:
        rule = target.rules.get(field.name)
        if rule is None:
            continue
        day = _day(gives.get(getattr(rule, "at", "")))
        lines.append(
            Line(
                field=field.name,
                label=field.label,
                evidence=field.evidence,
                required=field.required,
                sensitivity=field.sensitivity,
                columns=rule.sources(),
                rule=rule.rule,
                how=in_words(rule, field.date_form, language),
                basis=rule.basis or field.basis,
                note=rule.note,
                before={column: row.get(column) for column in rule.sources()},
                after=_told(gives.get(field.name), field, library.codes, day),
            )
        )
    checks = [f"{', '.join(one.sources())}: {one.basis or one.rule}" for one in target.checks]
    without = [f"{marked(one)} ({one.label})" for one in national.fields if one.name not in target.rules]
    return Part(
        format=national.full_id,
        title=national.title,
        origin=national.origin,
        lines=lines,
        checks=checks,
        without=without,
        beyond=beyond(contract, target),
    )


def _told(value: str | None, field: FormatField, codes: CodeLists, day: date | None) -> str | None:
    """A value; if it is a code with one name, then with that."""
    known = codes.get(field.code_list or "")
    answer = known.resolve(value, day) if known and value else None
    return f"{value} ({answer.entry.name})" if isinstance(answer, Exact) else value


def _day(value: str | None) -> date | None:
    try:
        return datetime.strptime(value or "", "%d.%m.%Y").replace(tzinfo=UTC).date()
    except ValueError:
        return None


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "head": "Hợp đồng {id}, phiên bản {version}. Đơn vị giữ dữ liệu: {owner}.",
        "source": "Bảng nguồn: {table}; khóa của bản ghi: {key}.",
        "status": "Trạng thái ở cột {status}: còn hiệu lực {live}; coi như đã xóa {gone}; khác thì từ chối.",
        "missing": "Các chữ được hiểu là không có thông tin: {missing}. Thiếu thì để trống, không tự điền.",
        "columns": "Trường quốc gia|Lấy từ cột|Cách làm|Ví dụ trước|Ví dụ sau|Căn cứ",
        "required": "bắt buộc",
        "personal": "cá nhân",
        "sensitive": "nhạy cảm",
        "checks": "Chỉ kiểm tra và cảnh báo, không từ chối",
        "without": "Trường quốc gia chưa có dữ liệu, để trống",
        "proposal": "Định dạng này là đề xuất của tỉnh, chưa có văn bản của bộ.",
        "none": "không có",
        "marks": "[V]: đã đọc trong nguồn được nêu; [I]: suy ra; [U]: chưa kiểm chứng. Không có dấu là [V].",
    },
    "en": {
        "head": "Contract {id}, version {version}. Owner of the data: {owner}.",
        "source": "Source table: {table}; key of a record: {key}.",
        "status": "Status in column {status}: in force {live}; counts as deleted {gone}; others are refused.",
        "missing": "Words for nothing known: {missing}. What is missing stays empty and is never made up.",
        "columns": "National field|From column|How|Example before|Example after|Basis",
        "required": "required",
        "personal": "personal",
        "sensitive": "sensitive",
        "checks": "Only looked at; warns and never refuses",
        "without": "National fields without data, left empty",
        "proposal": "This layout is the province's own proposal; no ministry has published one.",
        "none": "none",
        "marks": "[V]: read in the source that is named; [I]: inferred; [U]: unverified. No mark is [V].",
    },
}  # fmt: skip


def markdown(page: Page, language: Language) -> str:
    """The page as text with Markdown tables."""
    words = _WORDS[language]
    lines = [f"# {page.title}", "", words["head"].format(id=page.id, version=page.version, owner=page.owner)]
    lines.append(words["source"].format(table=page.table, key=", ".join(page.key)))
    if page.status:
        gone = ", ".join(page.gone) or words["none"]
        lines.append(words["status"].format(status=page.status, live=", ".join(page.live), gone=gone))
    if page.missing:
        lines.append(words["missing"].format(missing=", ".join(f"“{word}”" for word in page.missing)))
    for part in page.parts:
        lines += ["", f"## → {part.title} ({part.format})", ""]
        if part.origin == "proposal":
            lines += [words["proposal"], ""]
        lines += [*_table(part, words), ""]
        for word, names in (("checks", part.checks), ("without", part.without)):
            lines.append(f"- {words[word]} ({len(names)}): {'; '.join(names) or words['none']}")
        for head, names in beyond_in_words(part.beyond, language):
            lines.append(f"- {head} ({len(names)}): {'; '.join(names)}")
    lines += ["", words["marks"]]
    return "\n".join(lines) + "\n"


def _table(part: Part, words: Mapping[str, str]) -> Iterator[str]:
    heads = words["columns"].split("|")
    yield markdown_row(heads)
    yield markdown_row(["---"] * len(heads))
    for line in part.lines:
        mark = "" if line.evidence == "V" else f" [{line.evidence}]"
        about = [words[line.sensitivity]] if line.sensitivity in words else []
        about = ([words["required"]] if line.required else []) + about
        yield markdown_row(
            [
                f"{line.label} ({line.field}){mark}{' *' + ', '.join(about) + '*' if about else ''}",
                ", ".join(line.columns) or "–",
                f"{line.how}{'. ' + line.note if line.note else ''}",
                " + ".join(value or "–" for value in line.before.values()) or "–",
                line.after or "–",
                line.basis,
            ]
        )
