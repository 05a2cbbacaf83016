"""The Avro schemas whose records travel in columns, and the container that Polars reads such records from."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from schemas.errors import ContractError

#: The Avro types that travel in columns, and what they are in a frame.
COLUMN_TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "bytes": pl.Binary(),
    "long": pl.Int64(),
    "int": pl.Int32(),
    "double": pl.Float64(),
    "float": pl.Float32(),
    "boolean": pl.Boolean(),
}

#: Any 16 bytes will do: the reader goes by the block's size, not by searching for the mark.
SYNC = b"lienthong-block-"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record, and how its bytes lie."""

    name: str
    kind: str  #: a key of ``COLUMN_TYPES``, or "record"
    null_branch: int | None  #: position of "null" in the union (0 or 1); None: the field is never null
    fields: tuple["Field", ...] = ()  #: of a record


@dataclass(frozen=True, slots=True)
class Layout:
    """A schema's fields, and what Polars must be told to read its records."""

    fields: tuple[Field, ...]
    container: bytes  #: what stands before the one block of a batch: magic, schema and sync mark

    def block(self, bodies: Sequence[bytes]) -> tuple[bytes, int]:
        """An Avro object container with ``bodies`` as its only block, and where the first body starts."""
        head = b"".join((self.container, _varint(len(bodies)), _varint(sum(map(len, bodies)))))
        return b"".join((head, *bodies, SYNC)), len(head)


def is_name(name: str) -> bool:
    """Whether a column can have this name on the wire. Two underscores begin the names of our own columns."""
    return _NAME.fullmatch(name) is not None and not name.startswith("__")


def layout_of(schema: object) -> Layout:
    """The layout of an Avro record schema.

    Raises ``ContractError`` (without a file) if the schema holds a type that does not travel in columns: a
    map, an array, an enum, a fixed, a logical type, a union other than one type and null, a record within
    itself.
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "record":
        raise _refused("the schema", "it must be a record")
    fields = _fields_of(schema, "", {}, "")
    numbered = iter(range(1_000_000))
    # Polars knows no reference to an earlier type, so every record is written out under a name of its own.
    text = json.dumps(_written_out(fields, numbered)).encode()
    meta = b"".join((_varint(1), _sized(b"avro.schema"), _sized(text), b"\x00"))
    return Layout(fields, b"Obj\x01" + meta + SYNC)


def _fields_of(
    schema: Mapping[str, Any], namespace: str, named: dict[str, tuple[Field, ...] | None], path: str
) -> tuple[Field, ...]:
    name = str(schema.get("name", ""))
    namespace = name.rpartition(".")[0] or str(schema.get("namespace", namespace))
    full_name = name if "." in name or not namespace else f"{namespace}.{name}"
    named[full_name] = None  # begun: a reference from inside would never end
    fields = schema.get("fields")
    if not isinstance(fields, list) or not fields:
        raise _refused(path or "the schema", "a record must have fields")
    result = tuple(_field_of(one, namespace, named, path) for one in fields)
    if len({one.name for one in result}) < len(result):
        raise _refused(path or "the schema", "two fields have one name")
    named[full_name] = result
    return result


def _field_of(
    field: Mapping[str, Any], namespace: str, named: dict[str, tuple[Field, ...] | None], path: str
) -> Field:
    name = str(field.get("name", ""))
    path = f"{path}.{name}" if path else name
    if not is_name(name):
        raise _refused(path, "a name has letters a-z, digits and underscores, and not two underscores first")
    avro: Any = field.get("type")
    null_branch = None
    if isinstance(avro, list):
        if len(avro) != 2 or avro.count("null") != 1:
            raise _refused(path, "a union must be null and one other type")
        null_branch = avro.index("null")
        avro = avro[1 - null_branch]
    if isinstance(avro, Mapping):
        if "logicalType" in avro:
            raise _refused(path, "logical types do not travel in columns")
        if avro.get("type") == "record":
            return Field(name, "record", null_branch, _fields_of(avro, namespace, named, path))
        avro = avro.get("type")
    if isinstance(avro, str) and avro in COLUMN_TYPES:
        return Field(name, avro, null_branch)
    for full_name in (f"{namespace}.{avro}", avro) if isinstance(avro, str) else ():
        known = named.get(full_name)
        if known is not None:
            return Field(name, "record", null_branch, known)
    raise _refused(
        path, f"type {avro if isinstance(avro, str) else type(avro).__name__!r} does not travel in columns"
    )


def _refused(path: str, why: str) -> ContractError:
    return ContractError(
        f"{path}: {why}",
        next_step=f"use {', '.join(COLUMN_TYPES)}, a record of these, or a union of null and one of these",
    )


def _written_out(fields: Sequence[Field], numbered: Iterator[int]) -> dict[str, Any]:
    """The Avro schema of ``fields`` with a fresh name for each record."""
    result: dict[str, Any] = {"type": "record", "name": f"r{next(numbered)}", "fields": []}
    for field in fields:
        avro: Any = _written_out(field.fields, numbered) if field.fields else field.kind
        if field.null_branch is not None:
            avro = ["null", avro] if field.null_branch == 0 else [avro, "null"]
        result["fields"].append({"name": field.name, "type": avro})
    return result


def _sized(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Avro's form of a number that is not negative."""
    value <<= 1
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
