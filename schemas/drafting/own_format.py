"""A format of the province's own, made from a table that no national format fits."""

import json
import re
from collections.abc import Iterator, Mapping

from schemas.codelists import CodeLists
from schemas.drafting.matching import Column, Evidence, Sample
from schemas.drafting.words import lexicon, meanings, plain, split
from schemas.formats import FormatField, NationalFormat, Sensitivity

_EVERY_DATE = "dd.MM.yyyy|MM.yyyy|yyyy"
_EVERY_MOMENT = "yyyyMMddHHmmss|yyyyMMddHHmm|yyyyMMdd"
#: Enough to say what the values of a column are.
_MOSTLY = 0.8
#: Kinds of values that name a person.
_PERSONS = ("name", "id9", "id12", "phone", "email")


def own_format(
    sample: Sample, codes: CodeLists, domain: str, entity: str
) -> tuple[NationalFormat, Mapping[str, tuple[Column, Evidence]]]:
    """A format with a field for each column that can be sent, and the column of each field."""
    keys = [key for key in sample.table.keys if sample.by_name.keys() >= set(key)]
    key = keys[0] if keys else (sample.columns[0].name,)
    fields: list[FormatField] = []
    found: dict[str, tuple[Column, Evidence]] = {}
    taken: set[str] = set()
    for column in sample.columns:
        name = _unused(_camel(column.name), taken)
        taken.add(name.lower())
        field = FormatField(
            name=name,
            position=len(fields) + 1,
            label=column.sampled.comment or " ".join(split(column.name)).capitalize() or column.name,
            required=not column.sampled.nullable and column.shape.filled == column.shape.rows > 0,
            code_list=(code_list := _code_list(sample, column, codes)),
            date_form=_date_form(column),
            sensitivity=_sensitivity(column, code_list, is_key=column.name in key),
            basis=f"đề xuất của tỉnh, lập từ bảng {sample.table.name}",
            evidence="I",
        )
        fields.append(field)
        found[name] = (column, Evidence(name=1.0, values=None, kind="", sure=1.0))
    of_column = {column.name: name for name, (column, _) in found.items()}
    national = NationalFormat(
        domain=domain,
        entity=entity,
        version=1,
        title=sample.table.comment or f"Bảng {sample.table.name}",
        key=tuple(of_column[name] for name in key),
        fields=tuple(fields),
        origin="proposal",
    )
    return national, found


def format_text(national: NationalFormat) -> str:
    """The format as a file of the library."""
    head = {
        "type": "record",
        "name": national.entity.capitalize(),
        "namespace": national.full_id,
        "title": national.title,
        "origin": national.origin,
        "doc": "A proposal of the province, made by `lienthong contracts draft` from one table: no ministry"
        " gave this layout. Names, code lists, date forms and sensitivity are guessed from the table [I].",
        "key": list(national.key),
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}," for name, value in head.items()]
    fields = ",\n".join(f"  {json.dumps(_field(one), ensure_ascii=False)}" for one in national.fields)
    return "{\n" + "\n".join(lines) + '\n "fields": [\n' + fields + "\n ]\n}\n"


def plain_id(text: str, kept: str = "") -> str:
    """A text as a part of a name in the library: small letters, digits and what is ``kept``."""
    return re.sub(f"[^a-z0-9{kept}]", "", plain(text).lower()).lstrip("0123456789_") or "bang"


def _field(field: FormatField) -> dict[str, object]:
    told = {
        "name": field.name,
        "type": ["null", "string"],
        "default": None,
        "position": field.position,
        "label": field.label,
        "required": field.required,
        "code_list": field.code_list,
        "date_form": field.date_form,
        "sensitivity": field.sensitivity,
        "basis": field.basis,
        "evidence": field.evidence,
    }
    return {name: value for name, value in told.items() if value is not None or name == "default"}


def _camel(name: str) -> str:
    words = re.findall("[A-Za-z]+|[0-9]+", plain(name))
    if len(words) == 1 and not words[0].isupper():
        return str(words[0][0].lower() + words[0][1:])
    first, *rest = [word.lower() for word in words] or ["cot"]
    camel = first + "".join(word.capitalize() for word in rest)
    return camel if camel[0].isalpha() and not camel.startswith("lt_") else f"cot{camel}"


def _unused(name: str, taken: set[str]) -> str:
    return next(one for one in _numbered(name) if one.lower() not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    at = 2
    while True:
        yield f"{name}{at}"
        at += 1


def _code_list(sample: Sample, column: Column, codes: CodeLists) -> str | None:
    """The list that the column is named after and that knows its values."""
    if column.sampled.avro == "double":
        return None
    for name in sorted(codes):
        words = meanings(split(name.rpartition(".")[2]), lexicon())
        named = any(column.means(*one.words) for one in words)
        if named and not codes[name].dated and sample.known(column, name).share > _MOSTLY:
            return name
    return None


def _date_form(column: Column) -> str | None:
    shape = column.shape
    if column.sampled.avro == "double" or _dates(column) < _MOSTLY or shape.dates.get("yyyy", 0) > _MOSTLY:
        return None
    # A time of day that is told of few records is told of them.
    if shape.moments > (0 if shape.whole_days >= 0.995 else 1 - _MOSTLY):
        return _EVERY_MOMENT
    return "dd.MM.yyyy" if shape.whole_days >= 0.995 else _EVERY_DATE


def _dates(column: Column) -> float:
    """The share of dates; 1.2005 is the first book of a year and no month, if the name does not say a day."""
    months = 0.0 if column.means("ngay") else column.shape.dates.get("M/yyyy", 0.0)
    return column.shape.date - months


def _sensitivity(column: Column, code_list: str | None, *, is_key: bool) -> Sensitivity:
    """What is not clear is personal; but a key that looks like no one's number is a number of records."""
    if column.means("dan", "toc") or column.means("ton", "giao"):
        return "sensitive"
    told = column.sampled.avro != "string" or (_dates(column) > _MOSTLY and not column.means("sinh"))
    told |= is_key and all(column.shape.of(kind) < 1 - _MOSTLY for kind in _PERSONS)
    return "public" if told or (code_list and not column.means("gioi", "tinh")) else "personal"
