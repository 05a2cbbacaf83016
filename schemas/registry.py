"""The file registry: which Avro schema an id on the wire stands for.

``<library folder>/registry/ids.csv`` has one line for each id ever given (``id,subject,sha256``), and
``<id>.avsc`` beside it holds the schema. The shipped library owns the ids 1 to 9999; a province's folder owns
those from 10000. An id is never given twice: its line stays, even if its file is taken away.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fastavro
import fastavro.schema

from schemas.avro_layout import layout_of
from schemas.errors import ContractError, LienthongError, Report, raise_it

#: Subjects of the records that the road itself writes about changes.
RECEIPT_SUBJECT = "lienthong.receipt-value"
REJECT_SUBJECT = "lienthong.reject-value"

_COLUMNS = ["id", "subject", "sha256"]
_SHIPPED_IDS = range(1, 10_000)
_PROVINCE_IDS = range(10_000, 2**31)  # the wire's id is a signed 32-bit number in other clients
_SUBJECT = re.compile(r"[A-Za-z0-9._-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class UnknownSchema(LienthongError):
    """No schema is registered under this id or subject."""


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema under its id; never changes once given."""

    id: int
    subject: str
    schema: dict[str, Any]
    sha256: str  #: ``fingerprint`` of the schema


def fingerprint(schema: Mapping[str, Any]) -> str:
    """SHA-256 of the schema's Avro parsing canonical form, in hex: equal if the bytes on the wire are."""
    canonical = fastavro.schema.to_parsing_canonical_form(dict(schema))
    return hashlib.sha256(canonical.encode()).hexdigest()


class SchemaIds(Protocol):
    """Which schema an id on the wire stands for: an id has one schema for good."""

    @property
    def subjects(self) -> Sequence[str]:
        """Every subject that has a schema, sorted."""

    def versions(self, subject: str) -> Sequence[RegisteredSchema]:
        """Every schema of a subject, the oldest first; none if the subject is not known."""

    def schema(self, schema_id: int) -> RegisteredSchema:
        """The schema of an id. Raises ``UnknownSchema``."""


class FileRegistry:
    """The schemas of the given library folders. Reads everything at once; may be used by several threads.

    The first folder is the shipped library, the others are a province's. Raises ``ContractError`` with file
    and line if a file cannot be read, if an id is given twice or out of its folder's range, if a schema is
    not what its fingerprint says, or if it holds types that do not travel in columns; with ``report``, tells
    that and does without the rest of the folder.
    """

    def __init__(self, folders: Sequence[Path], report: Report = raise_it) -> None:
        if not folders:
            raise ValueError("a registry needs the shipped library's folder at least")
        self._folders = [folder / "registry" for folder in folders]
        self._lines: dict[int, tuple[str, str]] = {}  # id -> subject, where its line is
        self._schemas: dict[int, RegisteredSchema] = {}
        for folder in self._folders:
            try:
                self._load(folder)
            except ContractError as error:
                report(error)
            except OSError as error:
                report(_at_file(error, folder, "check the file and its rights"))

    @property
    def subjects(self) -> Sequence[str]:
        """Every subject that has a schema, sorted."""
        return sorted({one.subject for one in self._schemas.values()})

    def versions(self, subject: str) -> Sequence[RegisteredSchema]:
        """Every schema of a subject whose file is there, the oldest first."""
        mine = (one for one in self._schemas.values() if one.subject == subject)
        return sorted(mine, key=lambda one: one.id)

    def schema(self, schema_id: int) -> RegisteredSchema:
        """The schema of an id. Raises ``UnknownSchema``."""
        found = self._schemas.get(schema_id)
        if found is not None:
            return found
        if schema_id in self._lines:
            subject, place = self._lines[schema_id]
            raise UnknownSchema(
                f"{place}: schema id {schema_id} of {subject} has no file {schema_id}.avsc",
                next_step="put the file back from the library's history",
            )
        raise UnknownSchema(
            f"no schema has the id {schema_id}",
            next_step="take in the library that its producer uses, or name its folder in LIENTHONG_CONTRACTS",
        )

    def current(self, subject: str) -> RegisteredSchema:
        """The newest schema of a subject: the one with the highest id. Raises ``UnknownSchema``."""
        ids = [schema_id for schema_id, (name, _) in self._lines.items() if name == subject]
        if ids:
            return self.schema(max(ids))
        raise UnknownSchema(
            f"no schema is registered for {subject}", next_step="run: lienthong contracts register"
        )

    def register(self, subject: str, schema: Mapping[str, Any]) -> int:
        """Write a schema into the last folder under a new id, or find its id if it is the subject's newest.

        Raises ``ContractError`` if the schema does not travel in columns, the folder's ids are used up or the
        folder cannot be written. Not for two processes at once on one folder: the next load would find the id
        given twice.
        """
        if not _SUBJECT.fullmatch(subject):
            raise ContractError(f"subject {subject!r}: use letters, digits, dot, dash and underscore only")
        sha256 = _checked(schema, subject)
        ids = [schema_id for schema_id, (name, _) in self._lines.items() if name == subject]
        if ids and (newest := self._schemas.get(max(ids))) is not None and newest.sha256 == sha256:
            return newest.id
        folder = self._folders[-1]
        given = _ids_of(folder == self._folders[0])
        schema_id = max((known for known in self._lines if known in given), default=given.start - 1) + 1
        if schema_id not in given:
            raise ContractError(
                f"{folder / 'ids.csv'}:1: all ids from {given.start} to {given.stop - 1} are used up"
            )
        as_written: dict[str, Any] = json.loads(
            json.dumps(schema)
        )  # our own, whatever becomes of the caller's
        try:
            self._write(folder, RegisteredSchema(schema_id, subject, as_written, sha256))
        except OSError as error:
            next_step = "let the account that registers write there, and register again"
            raise _at_file(error, folder, next_step) from None
        return schema_id

    def _write(self, folder: Path, registered: RegisteredSchema) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        ids = folder / "ids.csv"
        # The line comes first: should we be stopped here, an id is lost and none is given twice.
        text = ids.read_text(encoding="utf-8") if ids.exists() else ",".join(_COLUMNS) + "\n"
        if not text.endswith("\n"):
            text += "\n"
        text += f"{registered.id},{registered.subject},{registered.sha256}\n"
        written = ids.with_suffix(".new")
        written.write_text(text, encoding="utf-8")
        written.replace(ids)
        avsc = json.dumps(registered.schema, ensure_ascii=False, indent=1) + "\n"
        (folder / f"{registered.id}.avsc").write_text(avsc, encoding="utf-8")
        self._lines[registered.id] = (registered.subject, f"{ids}:{text.count(chr(10))}")
        self._schemas[registered.id] = registered

    def _load(self, folder: Path) -> None:
        ids = folder / "ids.csv"
        listed = set()
        if ids.exists():
            first, *lines = ids.read_bytes().decode("utf-8", "replace").splitlines() or [""]
            if first.split(",") != _COLUMNS:
                raise ContractError(
                    f"{ids}:1: the first line is not {','.join(_COLUMNS)}",
                    next_step="put the file back from the library's history",
                )
            for number, line in enumerate(lines, start=2):
                listed.add(f"{self._load_line(folder, line.split(','), f'{ids}:{number}')}.avsc")
        for avsc in sorted(folder.glob("*.avsc")):
            if avsc.name not in listed:
                raise ContractError(
                    f"{avsc}:1: no line of ids.csv gives this file an id",
                    next_step="schemas come in by: lienthong contracts register",
                )

    def _load_line(self, folder: Path, line: list[str], place: str) -> int:
        """Take in one line and its file; gives its id."""
        given = _ids_of(folder == self._folders[0])
        if len(line) != len(_COLUMNS) or not re.fullmatch(r"[0-9]{1,10}", line[0]):
            raise ContractError(f"{place}: a line is {','.join(_COLUMNS)}, the id a number")
        schema_id, subject, sha256 = int(line[0]), line[1], line[2]
        if schema_id not in given:
            raise ContractError(
                f"{place}: id {schema_id} is outside this folder's ids, {given.start} to {given.stop - 1}",
                next_step="ids are given by: lienthong contracts register",
            )
        if schema_id in self._lines:
            raise ContractError(
                f"{place}: id {schema_id} was given before, at {self._lines[schema_id][1]}",
                next_step="take away the newer line and its file, and register that schema again",
            )
        if not _SUBJECT.fullmatch(subject) or not _SHA256.fullmatch(sha256):
            raise ContractError(
                f"{place}: the subject or the SHA-256 (64 lower-case hex digits) is not well formed"
            )
        self._lines[schema_id] = (subject, place)
        avsc = folder / f"{schema_id}.avsc"
        if avsc.exists():
            schema = _read(avsc, sha256, place)
            self._schemas[schema_id] = RegisteredSchema(schema_id, subject, schema, sha256)
        return schema_id


def _at_file(error: OSError, folder: Path, next_step: str) -> ContractError:
    return ContractError(f"{error.filename or folder}:1: {error.strerror}", next_step=next_step)


def _ids_of(shipped: bool) -> range:
    return _SHIPPED_IDS if shipped else _PROVINCE_IDS


def _read(avsc: Path, sha256: str, place: str) -> dict[str, Any]:
    """The schema of a file, checked. Raises ``ContractError``."""
    try:
        schema = json.loads(avsc.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ContractError(f"{avsc}:{error.lineno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise ContractError(f"{avsc}:1: not UTF-8 text") from None
    except (ValueError, RecursionError):
        raise ContractError(
            f"{avsc}:1: nested too deep, or a number too long", next_step="put the file back from the history"
        ) from None
    if not isinstance(schema, dict):
        raise ContractError(f"{avsc}:1: not an Avro record schema")
    found = _checked(schema, f"{avsc}:1")
    if found != sha256:
        raise ContractError(
            f"{avsc}:1: the schema is {found}, but {place} says {sha256}",
            next_step="a registered schema never changes: put it back, and register the new one",
        )
    return schema


def _checked(schema: Mapping[str, Any], place: str) -> str:
    """The fingerprint of a schema that is sound and travels in columns. Raises ``ContractError``."""
    try:
        layout_of(schema)
        fastavro.parse_schema(dict(schema))
        return fingerprint(schema)
    except ContractError as error:
        raise ContractError(f"{place}: {error.message}", next_step=error.next_step) from None
    except Exception as error:  # fastavro has no one base for what it finds wrong with a schema
        raise ContractError(f"{place}: not an Avro schema: {error}") from None
