"""The library's schemas in a registry that speaks Confluent's API, so that others can read the topics.

The road itself needs no such registry: its ids and schemas are files, and a worker starts while a registry is
away. What it writes begins with a zero byte and the id of its schema, as Confluent's own clients do, so any
of them reads it from a registry that holds the same schemas under the same ids. ``push`` brings them there.
Ids are never translated: one schema has one id wherever it lies, for good.

Most such registries take an id only in IMPORT mode, which is set for the subject alone and taken back.
Apicurio Registry accepts that mode and then gives ids of its own (seen with 3.3.3), but keeps the ids of its
own import format, which is used where the address is Apicurio's. After either way everything is read back.
"""

import hashlib
import http.client
import io
import json
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from schemas.errors import LienthongError, SettingsError, TryAgain
from schemas.registry import RegisteredSchema, SchemaIds, UnknownSchema, fingerprint

TIMEOUT_SECONDS = 30.0
_CONFLUENT_OF_APICURIO = "/apis/ccompat/"
_JSON = "application/vnd.schemaregistry.v1+json"

State = Literal["there", "missing", "other"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One schema of the library, and how a registry has it."""

    schema: RegisteredSchema
    state: State  #: ``other``: the registry has another schema, or another subject, under this id


class ConfluentRegistry:
    """A registry by the root of its Confluent API, e.g. ``http://registry:8081``.

    Every call asks the registry anew. Raises ``TryAgain`` if it does not answer, ``LienthongError`` if it
    refuses, ``SettingsError`` if the address is none.
    """

    def __init__(self, url: str) -> None:
        if not _is_address(url):
            raise SettingsError(
                "the registry's address is not one", next_step="write http://host:port, without a password"
            )
        self._url = url.rstrip("/")

    @property
    def subjects(self) -> Sequence[str]:
        """Every subject that has a schema, sorted."""
        try:
            with _documented():
                return sorted(self._ask("GET", "/subjects"))
        except UnknownSchema:
            raise _no_registry() from None

    def versions(self, subject: str) -> Sequence[RegisteredSchema]:
        """Every schema of a subject, the oldest first; none if it does not know the subject."""
        path = f"/subjects/{urllib.parse.quote(subject, safe='')}/versions"
        try:
            numbers = self._ask("GET", path)
        except UnknownSchema:
            return []
        with _documented():
            told = [self._ask("GET", f"{path}/{number}") for number in numbers]
            return [_registered(one["id"], subject, one["schema"]) for one in told]

    def schema(self, schema_id: int) -> RegisteredSchema:
        """The schema of an id. Raises ``UnknownSchema``."""
        with _documented():
            text = self._ask("GET", f"/schemas/ids/{schema_id}")["schema"]
            subjects = [one["subject"] for one in self._ask("GET", f"/schemas/ids/{schema_id}/versions")]
            return _registered(schema_id, min(subjects, default=""), text)

    def take_in(self, missing: Sequence[RegisteredSchema]) -> None:
        """Register schemas under the ids they have, which must be free; the oldest of a subject first."""
        if self._apicurio is not None:
            headers = {"X-Registry-Preserve-GlobalId": "true", "X-Registry-Preserve-ContentId": "true"}
            url = f"{self._apicurio}/admin/import?requireEmptyRegistry=false"
            _send("POST", url, self._archive(missing), {"Content-Type": "application/zip", **headers})
            return
        for one in missing:
            self._import(one)

    @cached_property
    def _apicurio(self) -> str | None:
        """The root of its own API, if it is an Apicurio Registry."""
        root, ccompat, _ = self._url.partition(_CONFLUENT_OF_APICURIO)
        return f"{root}/apis/registry/v3" if ccompat else None

    def _import(self, one: RegisteredSchema) -> None:
        subject = urllib.parse.quote(one.subject, safe="")
        self._ask("PUT", f"/mode/{subject}?force=true", {"mode": "IMPORT"})
        try:
            wanted = {"schema": json.dumps(one.schema), "schemaType": "AVRO", "id": one.id}
            with _documented():
                given = self._ask("POST", f"/subjects/{subject}/versions", wanted)["id"]
        finally:
            self._ask("DELETE", f"/mode/{subject}")
        if given != one.id:
            raise _own_ids(one, given)

    def _archive(self, missing: Sequence[RegisteredSchema]) -> bytes:
        """What Apicurio imports. The next version of a subject stands behind those that are there."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            manifest = {"systemName": "lienthong", "systemVersion": "3.0.0", "exportVersion": "3.0"}
            archive.writestr("lienthong.Manifest.json", json.dumps(manifest))
            for subject in dict.fromkeys(one.subject for one in missing):
                before = len(self.versions(subject))
                mine = [one for one in missing if one.subject == subject]
                for name, text in _entries(subject, before, mine):
                    archive.writestr(name, text)
        return buffer.getvalue()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        try:
            return json.loads(_send(method, self._url + path, data, {"Content-Type": _JSON, "Accept": _JSON}))
        except ValueError:
            raise _no_registry() from None


def compare(ours: SchemaIds, theirs: SchemaIds) -> list[Compared]:
    """How ``theirs`` has each schema of ``ours``, by id."""
    found: list[Compared] = []
    known = set(theirs.subjects)
    for subject in ours.subjects:
        there = {one.id: one for one in theirs.versions(subject)} if subject in known else {}
        for one in ours.versions(subject):
            other = there.get(one.id) or _under(one.id, theirs)
            if other is None:
                state: State = "missing"
            else:
                same = (other.subject, other.sha256) == (one.subject, one.sha256)
                state = "there" if same else "other"
            found.append(Compared(one, state))
    return sorted(found, key=lambda each: each.schema.id)


def push(ours: SchemaIds, theirs: ConfluentRegistry) -> list[Compared]:
    """Bring what ``theirs`` lacks there, under the same ids. Returns how it was before; safe to repeat.

    Raises ``LienthongError``, and then nothing was sent, if an id stands for another schema there; and if the
    registry did not keep an id.
    """
    before = compare(ours, theirs)
    if taken := [each.schema for each in before if each.state == "other"]:
        ids = ", ".join(str(one.id) for one in taken[:5])
        raise LienthongError(
            f"{len(taken)} ids stand for other schemas in that registry: {ids}",
            next_step="use a registry of the road's own; an id that was given is never given again",
        )
    if missing := [each.schema for each in before if each.state == "missing"]:
        theirs.take_in(missing)
        for each in compare(ours, theirs):
            if each.state != "there":
                raise _own_ids(each.schema, None)
    return before


def _under(schema_id: int, registry: SchemaIds) -> RegisteredSchema | None:
    try:
        return registry.schema(schema_id)
    except UnknownSchema:
        return None


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port  # read now: it raises if it is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


@contextmanager
def _documented() -> Iterator[None]:
    """An answer that is JSON of another shape comes from something else."""
    try:
        yield
    except (KeyError, TypeError):
        raise _no_registry() from None


def _no_registry() -> LienthongError:
    return LienthongError(
        "what answers at this address does not speak Confluent's API",
        next_step="give the root under which /subjects is found, e.g. http://host:8080/apis/ccompat/v7",
    )


def _own_ids(one: RegisteredSchema, given: int | None) -> LienthongError:
    instead = "" if given is None else f", it gave {given} instead"
    return LienthongError(
        f"the registry did not keep id {one.id} of {one.subject}{instead}",
        next_step="use a registry with an IMPORT mode, or Apicurio by its own address (…/apis/ccompat/v7)",
    )


def _registered(schema_id: int, subject: str, text: str) -> RegisteredSchema:
    try:
        schema = json.loads(text)
        if not isinstance(schema, dict):  # a named or primitive type alone: none of ours
            schema = {"type": schema}
        return RegisteredSchema(schema_id, subject, schema, fingerprint(schema))
    except Exception:  # Protobuf or JSON Schema: none of ours either; fastavro has no one base for its errors
        return RegisteredSchema(schema_id, subject, {}, "")


def _entries(subject: str, before: int, schemas: Sequence[RegisteredSchema]) -> Iterator[tuple[str, str]]:
    """Files of Apicurio's import format for new versions of one subject, of which some are there."""
    place = f"groups/default/artifacts/{subject}"
    made = {"owner": "", "createdOn": 0, "modifiedBy": "", "modifiedOn": 0, "groupId": None}
    if not before:
        artifact = {"artifactId": subject, "artifactType": "AVRO", **made}
        yield f"{place}/MetaData.Artifact.json", json.dumps(artifact)
    for number, one in enumerate(schemas, before + 1):
        text = json.dumps(one.schema, ensure_ascii=False)
        digest = hashlib.sha256(text.encode()).hexdigest()
        content = {"contentId": one.id, "contentHash": digest, "canonicalHash": one.sha256}
        yield f"content/{digest}.Content.json", json.dumps({**content, "contentType": "application/json"})
        yield f"content/{digest}.Content.data", text
        version = {"globalId": one.id, "contentId": one.id, "artifactId": subject, "state": "ENABLED"}
        version |= {"version": str(number), "versionOrder": number, **made}
        yield f"{place}/versions/{number}.ArtifactVersion.json", json.dumps(version)


def _send(method: str, url: str, data: bytes | None, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - http or https, see __init__
    where = urllib.parse.urlsplit(url)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        told = error.read()
        if error.code == 404:
            raise UnknownSchema(f"the registry has no {where.path}") from None
        raise LienthongError(
            f"the registry refused {method} {where.path}: {error.code} {_message(told)}".rstrip(),
            next_step=f"see the registry's log; it must let us {'read' if method == 'GET' else 'write'}",
        ) from None
    except (OSError, http.client.IncompleteRead) as error:  # URLError and time-outs
        cause = getattr(error, "reason", error)  # which a URLError hides
        why = getattr(cause, "strerror", None) or type(cause).__name__
        raise TryAgain(
            f"the registry at {where.netloc} does not answer: {why}",
            next_step="check --url, and that the registry runs",
        ) from None
    except (http.client.HTTPException, ValueError):  # no HTTP, or a path that none can ask for
        raise _no_registry() from None


def _message(told: bytes) -> str:
    try:
        answer = json.loads(told)
    except ValueError:
        return ""
    return str(answer.get("message") or answer.get("detail") or "") if isinstance(answer, dict) else ""
