"""National formats: one Avro record schema per major version, ``formats/<domain>/<entity>/v<N>.avsc``.

Each field carries, as Avro properties, its position, label, whether it is required, code list, date form,
sensitivity and legal basis with an evidence mark (V read in its source, I inferred, U unverified). All values
are text; those of a field with ``items`` are JSON arrays of objects, whose keys are told like fields.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from schemas.date_forms import date_forms
from schemas.documents import Document, Place, Strict, read_document

Sensitivity = Literal["public", "personal", "sensitive"]
Evidence = Literal["V", "I", "U"]
#: Who made a layout: a ministry, or the province, until a ministry gives one.
Origin = Literal["ministry", "proposal"]

#: From the least to the most sensitive.
SENSITIVITIES: tuple[Sensitivity, ...] = ("public", "personal", "sensitive")

#: What stands before a format's own fields in each national change: name and Avro type. ``mapping`` says what
#: each means.
WIRE_FIELDS: tuple[tuple[str, str], ...] = (
    ("lt_key", "string"),
    ("lt_op", "string"),
    ("lt_system", "string"),
    ("lt_dataset", "string"),
    ("lt_source_key", "string"),
    ("lt_seq", "long"),
    ("lt_committed_ms", "long"),
    ("lt_answers", "boolean"),
    ("lt_contract", "string"),
    ("lt_warnings", "string"),
    ("lt_overflow", "string"),
)

_PATH = re.compile(r"([a-z][a-z0-9]*)/([a-z][a-z0-9]*)/v([1-9][0-9]*)\.avsc")
_NAMESPACE = re.compile(r"([a-z][a-z0-9]*)[.]([a-z][a-z0-9]*)[.]v([1-9][0-9]*)")
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatField:
    """One field of a national format."""

    name: str
    position: int  #: from 1, in the order the ministry gives
    label: str  #: in Vietnamese
    required: bool
    code_list: str | None  #: its values are codes of this list
    date_form: str | None  #: forms its values may have, most precise first, joined with ``|``
    sensitivity: Sensitivity
    basis: str  #: the legal text it comes from
    evidence: Evidence
    #: Regular expressions; a value whose whole text is of none of these forms is doubted, never refused.
    forms: tuple[str, ...] = ()
    #: What each item of its values holds, in order; empty: its values are plain texts.
    items: tuple["FormatField", ...] = ()
    avro_type: Literal["string"] = "string"


def told_in(fields: Sequence[FormatField], place: Place = ("fields",)) -> Iterator[tuple[Place, FormatField]]:
    """Fields and the keys of their items, each with its place in the format's file."""
    for at, one in enumerate(fields):
        yield (*place, at), one
        yield from told_in(one.items, (*place, at, "items"))


def is_expression(text: str) -> bool:
    """Whether a text is a regular expression, here and in columns."""
    try:
        re.compile(text)
        pl.select(pl.lit("").str.contains(text))
    except (re.error, pl.exceptions.PolarsError):
        return False
    return True


class Books(Strict):
    """The format whose records are the books: its key is ``Running.within``."""

    format: str  #: its full id
    first: str  #: its field with the first number of a book
    last: str  #: its field with the newest number given


class Running(Strict):
    """Numbers that count up by one within a book: gaps and order mean something."""

    number: str  #: the field with the number
    within: tuple[str, ...] = Field(min_length=1)  #: the fields that name a book
    day: str  #: the field with the day of an entry
    books: Books | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalFormat:
    """One major version of a national layout."""

    domain: str
    entity: str
    version: int
    title: str  #: in Vietnamese
    key: tuple[str, ...]  #: the fields that name one record nation-wide, in the order they are joined
    fields: tuple[FormatField, ...]  #: in the order of their positions
    running: Running | None = None
    origin: Origin = "ministry"

    @property
    def id(self) -> str:
        """Without the version: ``hotich.khaisinh``."""
        return f"{self.domain}.{self.entity}"

    @property
    def full_id(self) -> str:
        """With the major version: ``hotich.khaisinh.v1``."""
        return f"{self.id}.v{self.version}"

    @property
    def topic(self) -> str:
        """The Kafka topic of its changes."""
        return f"national.{self.full_id}"

    @property
    def subject(self) -> str:
        """The registry's name of its wire schema."""
        return f"{self.topic}-value"

    @property
    def table(self) -> str:
        """The table of its records in a national store."""
        return self.full_id.replace(".", "_")

    @property
    def wire_schema(self) -> dict[str, Any]:
        """Avro schema of a national change: ``WIRE_FIELDS``, then the fields in order; each may be null."""
        typed = [*WIRE_FIELDS, *((field.name, field.avro_type) for field in self.fields)]
        fields = [{"name": name, "type": ["null", avro], "default": None} for name, avro in typed]
        return {"type": "record", "name": "Change", "namespace": self.topic, "fields": fields}


class _Told(Strict):
    """What a field and an item's key have in common."""

    name: str = Field(pattern=_NAME)
    label: str = Field(min_length=1)
    required: bool
    code_list: str | None = None
    date_form: str | None = None
    forms: tuple[str, ...] = ()
    items: tuple["_Item", ...] = ()


class _Item(_Told):
    """A key of the items; what is not told here is as the field says."""

    sensitivity: Sensitivity | None = None
    basis: str | None = Field(default=None, min_length=1)
    evidence: Evidence | None = None


class _Field(_Told):
    type: tuple[Literal["null"], Literal["string"]]
    default: None
    position: int
    sensitivity: Sensitivity
    basis: str = Field(min_length=1)
    evidence: Evidence


class _File(Strict):
    type: Literal["record"]
    name: str
    namespace: str
    title: str = Field(min_length=1)
    doc: str = Field(min_length=1)
    origin: Origin = "ministry"
    key: tuple[str, ...] = Field(min_length=1)
    running: Running | None = None
    fields: tuple[_Field, ...] = Field(min_length=1)


def load_format(path: Path, folder: Path) -> NationalFormat:
    """Read one format of the ``formats`` folder. Raises ``ContractError`` with file and line."""
    document = read_document(path)
    named = _PATH.fullmatch(path.relative_to(folder).as_posix())
    if named is None:
        raise document.error(
            (), "not in a place for formats", "name it <domain>/<entity>/v<N>.avsc in small letters"
        )
    return _format(document, *named.groups())


def load_new_format(path: Path) -> NationalFormat:
    """Read a format that is not in a library yet; its namespace tells which. Raises ``ContractError``."""
    document = read_document(path)
    named = _NAMESPACE.fullmatch(str(document.data.get("namespace")))
    if named is None:
        raise document.error(
            ("namespace",), "the namespace does not tell the format", "write it <domain>.<entity>.v<N>"
        )
    return _format(document, *named.groups())


def _format(document: Document, domain: str, entity: str, version: str) -> NationalFormat:
    file = document.take(_File)
    _check(file, document)
    return NationalFormat(
        domain=domain,
        entity=entity,
        version=int(version),
        title=file.title,
        key=file.key,
        fields=tuple(_made(field, field.position) for field in file.fields),
        running=file.running,
        origin=file.origin,
    )


def _made(one: _Told, position: int, above: FormatField | None = None) -> FormatField:
    told = one.model_dump(exclude={"type", "default", "position", "items"})
    for name in ("sensitivity", "basis", "evidence"):
        told[name] = told[name] or getattr(above, name)
    made = FormatField(position=position, **told)
    return replace(made, items=tuple(_made(item, at, made) for at, item in enumerate(one.items, start=1)))


def _check(file: _File, document: Document) -> None:
    seen: set[str] = set()
    for at, field in enumerate(file.fields):
        if field.position != at + 1:
            raise document.error(
                ("fields", at, "position"), f"field {field.name} has position {field.position}",
                f"fields stand in order: this one is number {at + 1}",
            )  # fmt: skip
        # Stores name their columns in small letters, so two names must differ in more than case.
        if field.name.lower() in seen or field.name.startswith("lt_"):
            raise document.error(
                ("fields", at, "name"), f"field name {field.name} is taken",
                "name each field once, also in small letters, and none lt_…",
            )  # fmt: skip
        seen.add(field.name.lower())
        _check_told(field, ("fields", at), document)
        _check_items(field, field.sensitivity, ("fields", at), document)
    _check_names(file, document)


def _check_told(one: _Told, place: Place, document: Document) -> None:
    for nth, form in enumerate(one.forms):
        if not is_expression(form):
            raise document.error((*place, "forms", nth), f"no regular expression: {form}", "correct it")
    try:
        date_forms(one.date_form or "yyyy")
    except ValueError as error:
        raise document.error(
            (*place, "date_form"), f"field {one.name}: {error}", "write it like dd.MM.yyyy|MM.yyyy|yyyy"
        ) from None


def _check_items(one: _Told, sensitivity: Sensitivity, place: Place, document: Document) -> None:
    """A value with items is one text, so it is as sensitive as the most sensitive of them."""
    if one.items and (one.code_list or one.date_form or one.forms):
        raise document.error(
            (*place, "items"), f"{one.name} is a list and a text", "tell list and form of the items"
        )
    names: set[str] = set()
    for at, item in enumerate(one.items):
        where = (*place, "items", at)
        if item.name in names:
            raise document.error((*where, "name"), f"key {item.name} is given twice", "keep one of the two")
        names.add(item.name)
        own = item.sensitivity or sensitivity
        if SENSITIVITIES.index(own) > SENSITIVITIES.index(sensitivity):
            raise document.error(
                (*where, "sensitivity"),
                f"{item.name} is {own}, but its field {sensitivity}",
                f"mark the field {own}",
            )
        _check_told(item, where, document)
        _check_items(item, own, where, document)


def _check_names(file: _File, document: Document) -> None:
    """What key and running numbers name must be fields."""
    fields = {field.name: field for field in file.fields}
    named: list[tuple[Place, str]] = [(("key", at), name) for at, name in enumerate(file.key)]
    if file.running:
        named += [(("running", part), getattr(file.running, part)) for part in ("number", "day")]
        named += [(("running", "within", at), name) for at, name in enumerate(file.running.within)]
    for place, name in named:
        if name not in fields:
            raise document.error(place, f"{place[0]} names no field: {name}", "name fields of this format")
    for at, name in enumerate(file.key):
        if fields[name].items:
            raise document.error(("key", at), f"{name} is a list of items", "name fields of one text")
        if name in file.key[:at]:
            raise document.error(("key", at), f"field {name} is in the key twice", "name it once")
    if file.running and "dd" not in (fields[file.running.day].date_form or ""):
        raise document.error(
            ("running", "day"), f"{file.running.day} has no form of a day", "give it a date_form"
        )
