"""How far each provincial dataset fills the national formats it feeds, and what it holds beyond them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schemas.contracts import Contract, Target
from schemas.formats import FormatField, NationalFormat, Origin
from schemas.gates.protection import marked
from schemas.gates.tables import markdown_row
from schemas.library import Library
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
class Coverage:
    """One dataset and one format that it feeds."""

    system: str
    dataset: str
    owner: str
    fed: Filled  #: the version that is fed
    newest: Filled  #: the newest version known, filled by the same rules; the fed one, if that is the newest
    losses: Sequence[str]  #: source columns that no format the dataset feeds has room for

    @property
    def fresh(self) -> bool:
        """Whether the version that is fed is the newest one known."""
        return self.fed.format == self.newest.format


def coverages(library: Library) -> list[Coverage]:
    """One for each target of each contract, by system, dataset and format."""
    newest: dict[str, NationalFormat] = {}
    for national in sorted(library.formats.values(), key=lambda one: one.version):
        newest[national.id] = national
    return [
        Coverage(
            system=contract.system,
            dataset=contract.dataset,
            owner=contract.owner,
            fed=filled(target, library.formats[target.format]),
            newest=filled(target, newest[library.formats[target.format].id]),
            losses=lost_columns(contract),
        )
        for contract in sorted(library.contracts.values(), key=lambda one: one.id)
        for target in contract.targets
    ]


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


def lost_columns(contract: Contract) -> Sequence[str]:
    """Source columns that are neither key nor status and that no rule of any target reads.

    A column that is only checked goes nowhere, so it is lost as well. A set of lines is one column, or the
    columns of its one line.
    """
    read = {*contract.key, contract.status.column if contract.status else ""}
    for target in contract.targets:
        read.add(target.only.column if target.only else "")
        for rule in target.rules.values():
            read.update(rule.sources())
            read.add(getattr(rule.required, "unless", ""))
    read |= {
        f"{name}.{column}" for name, one in contract.lines.items() if name in read for column in one.columns
    }
    split = {name for name, one in contract.lines.items() if one.one}
    return [column for column in contract.readable if column not in read | split]


def _names(fields: Iterable[FormatField]) -> Sequence[str]:
    return [marked(field) for field in fields]


def as_json(rows: Iterable[Coverage]) -> list[dict[str, Any]]:
    """The rows as JSON objects, field by field."""
    return [asdict(row) | {"fresh": row.fresh} for row in rows]


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "title": "Mức độ đáp ứng định dạng quốc gia",
        "columns": "hệ thống|dữ liệu|định dạng|bản mới nhất|trường|bắt buộc|chưa chắc|cột không có chỗ",
        "fresh": "đang dùng",
        "lacking": "bản mới đòi thêm {names}",
        "owner": "Đơn vị giữ dữ liệu",
        "unmapped": "Trường quốc gia chưa có dữ liệu",
        "losses": "Cột của nguồn mà định dạng quốc gia không có chỗ",
        "proposal": "{format} (đề xuất của tỉnh)",
        "none": "không có",
        "marks": "[I]: suy ra, [U]: chưa kiểm chứng; không có dấu: đã đọc trong nguồn nêu ở tệp định dạng.",
    },
    "en": {
        "title": "Coverage of the national formats",
        "columns": "system|dataset|format|newest version|fields|required|unsure|columns without room",
        "fresh": "in use",
        "lacking": "also requires {names}",
        "owner": "Owner",
        "unmapped": "National fields without data",
        "losses": "Source columns that the national format has no room for",
        "proposal": "{format} (the province's own proposal)",
        "none": "none",
        "marks": "[I]: inferred, [U]: unverified; no mark: read in the source that the format's file names.",
    },
}  # fmt: skip


def heads(language: Language) -> Sequence[str]:
    """The heads of the table's columns."""
    return _WORDS[language]["columns"].split("|")


def cells(row: Coverage, language: Language) -> Sequence[str]:
    """One line of the table."""
    words, fed = _WORDS[language], row.fed
    version = words["fresh"] if row.fresh else row.newest.format
    if row.newest.lacking:
        version = f"{version}: {words['lacking'].format(names=', '.join(row.newest.lacking))}"
    return (
        row.system,
        row.dataset,
        _format(fed, words),
        version,
        f"{fed.mapped}/{fed.fields}",
        f"{fed.required_mapped}/{fed.required}",
        str(fed.unsure),
        str(len(row.losses)),
    )


def _format(fed: Filled, words: Mapping[str, str]) -> str:
    """The format's name; a layout that no ministry made says so."""
    return words["proposal"].format(format=fed.format) if fed.origin == "proposal" else fed.format


def markdown(rows: Sequence[Coverage], language: Language) -> str:
    """A page with the table and, for each row, the names behind the numbers."""
    words = _WORDS[language]
    lines = [
        f"# {words['title']}",
        "",
        markdown_row(heads(language)),
        markdown_row(["---"] * len(heads(language))),
    ]
    lines += [markdown_row(cells(row, language)) for row in rows]
    lines += ["", words["marks"]]
    for row in rows:
        lines += [
            "",
            f"## {row.system}/{row.dataset} → {_format(row.fed, words)}",
            "",
            f"{words['owner']}: {row.owner}",
            "",
        ]
        for word, names in (("unmapped", row.fed.unmapped), ("losses", row.losses)):
            lines.append(f"- {words[word]} ({len(names)}): {', '.join(names) or words['none']}")
    return "\n".join(lines) + "\n"
