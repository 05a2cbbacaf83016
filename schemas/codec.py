"""Kafka values to columns and back: a whole batch at a time.

A value is a zero byte, the schema's id (4 bytes, big endian) and one record in Avro's binary form. ``decode``
puts the records of a batch end to end into one Avro block, which Polars reads as columns; ``encode`` has
Polars write one block and cuts it into records. One bad record never costs the others: it becomes a ``Fault``
and they are read.

No text made here holds a part of a record: only numbers, ids and lengths.
"""

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fastavro
import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from schemas.avro_layout import COLUMN_TYPES, SYNC, Layout, layout_of
from schemas.avro_walk import sound
from schemas.registry import RegisteredSchema, SchemaIds, UnknownSchema

#: Longest Kafka value that is read. Longer ones are told, not decoded.
MAX_RECORD_BYTES = 1_048_576
_HEADER_BYTES = 5
#: Pieces of a refused block no larger than this are searched record by record (40 µs each) instead of halved
#: again.
_SMALL_PIECE = 16
_END = "__end"


@dataclass(frozen=True, slots=True)
class Fault:
    """One value that cannot be read."""

    row: int  #: its place among the values given to ``decode``
    rule: str  #: one of ``FAULT_RULES``
    detail: str  #: numbers and ids that help to find the cause; never a part of the record


#: Every rule a ``Fault`` can name.
FAULT_RULES = (
    "value_empty",
    "record_too_large",
    "header_missing",
    "schema_unknown",
    "schema_foreign",
    "fingerprint_mismatch",
    "bytes_truncated",
    "bytes_trailing",
    "utf8_invalid",
    "record_unreadable",
)


def unknown(schema_id: int) -> str:
    """The detail of a fault ``schema_unknown``."""
    return f"schema id {schema_id}"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The records of a batch, grouped by the schema they were written with, and the values that are none.

    Each frame has the schema's columns in order and ``__row`` (UInt32, ascending): the record's place among
    the values. Every value is in exactly one frame or has exactly one fault.
    """

    groups: list[tuple[RegisteredSchema, pl.DataFrame]]
    faults: list[Fault]  #: in the order of their rows


@dataclass(slots=True)
class _Group:
    """The records of one batch that were written with one schema."""

    registered: RegisteredSchema
    layout: Layout
    fingerprint: bytes
    rows: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


def decode(
    values: Sequence[bytes | None],
    *,
    registry: SchemaIds,
    subject: str,
    fingerprints: Sequence[bytes | None] | None = None,
) -> Decoded:
    """Read Kafka values written with any schema of ``subject``.

    ``fingerprints`` are the values' ``schema-sha256`` headers, as long as ``values``; None where a record has
    none (other producers send none), and then only the id says which schema it is.
    """
    if fingerprints is not None and len(fingerprints) != len(values):
        raise ValueError(f"{len(values)} values, but {len(fingerprints)} fingerprints")
    faults: list[Fault] = []
    opened: dict[bytes, _Group | tuple[str, str]] = {}
    for row, value in enumerate(values):
        if not value:
            faults.append(Fault(row, "value_empty", "no value" if value is None else "0 bytes"))
            continue
        if len(value) > MAX_RECORD_BYTES:
            faults.append(
                Fault(row, "record_too_large", f"{len(value)} bytes, the limit is {MAX_RECORD_BYTES}")
            )
            continue
        header = value[:_HEADER_BYTES]
        group = opened.get(header)
        if group is None:
            group = opened[header] = _open(header, registry, subject)
        if not isinstance(group, _Group):
            faults.append(Fault(row, *group))
            continue
        told = fingerprints[row] if fingerprints is not None else None
        if told is not None and told != group.fingerprint and told.lower() != group.fingerprint:
            detail = f"schema id {group.registered.id} is {group.registered.sha256} in our registry"
            faults.append(Fault(row, "fingerprint_mismatch", detail))
            continue
        group.rows.append(row)
        group.bodies.append(value[_HEADER_BYTES:])
    groups = [
        (group.registered, frame)
        for group in opened.values()
        if isinstance(group, _Group) and (frame := _read_group(group, faults)) is not None
    ]
    faults.sort(key=lambda fault: fault.row)
    return Decoded(groups, faults)


def encode(frame: pl.DataFrame, registered: RegisteredSchema) -> list[bytes]:
    """The rows of ``frame`` as Kafka values of the given schema, header included.

    The frame's columns must be the schema's fields, in order and of their types (a column without any value
    may have Polars' type Null); the schema's fields must all be ``["null", T]``. Anything else is a
    ``TypeError``: the caller's mistake, not the data's. Kafka or ``decode`` may still refuse a value for its
    length.
    """
    layout = _layout(registered)
    types = {one.name: COLUMN_TYPES.get(one.kind) for one in layout.fields}
    if any(one.null_branch != 0 or one.fields for one in layout.fields):
        raise TypeError(
            f"{registered.subject}: only flat schemas of fields that may be null are written as columns"
        )
    if frame.schema != types:
        frame = _with_types(frame, types, registered.subject)
    if not frame.height:
        return []
    # Each record is made to end in a field of random bytes, new for each call, so that one search finds all
    # the cuts.
    mark = os.urandom(16)
    buffer = io.BytesIO()
    # Polars writes one block for each chunk.
    marks = pl.Series(_END, [mark]).new_from_index(0, frame.height)
    frame.hstack([marks]).rechunk().write_avro(buffer)
    data = buffer.getvalue()
    header = b"\x00" + registered.id.to_bytes(4, "big")
    bodies = data[_first_record(data) :].split(b"\x02\x20" + mark)  # 02: not null; 20: 16 bytes
    if len(bodies) != frame.height + 1 or len(bodies.pop()) != len(SYNC):
        raise RuntimeError(f"{registered.subject}: {frame.height} rows were written as {len(bodies)} records")
    return [header + body for body in bodies]


def encode_row(row: Mapping[str, Any], registered: RegisteredSchema) -> bytes:
    """One record as a Kafka value, header included: any schema, and some 40 µs where ``encode`` takes 4.

    Raises ``TypeError`` if the row does not fit the schema; its text names no value.
    """
    buffer = io.BytesIO()
    buffer.write(b"\x00" + registered.id.to_bytes(4, "big"))
    try:
        fastavro.schemaless_writer(buffer, _parsed(registered), dict(row), strict=True)
    except Exception:  # its text quotes the row
        raise TypeError(f"{registered.subject}: a row does not fit schema id {registered.id}") from None
    return buffer.getvalue()


def _open(header: bytes, registry: SchemaIds, subject: str) -> _Group | tuple[str, str]:
    """The group that values with this header belong to, or rule and detail of why there is none."""
    if len(header) < _HEADER_BYTES:
        return "header_missing", f"{len(header)} bytes, shorter than the {_HEADER_BYTES} bytes of the header"
    if header[0] != 0:
        return "header_missing", f"the first byte is 0x{header[0]:02x}, not 0x00"
    schema_id = int.from_bytes(header[1:], "big")
    try:
        registered = registry.schema(schema_id)
    except UnknownSchema:
        return "schema_unknown", unknown(schema_id)
    if registered.subject != subject:
        return "schema_foreign", f"schema id {schema_id} is of {registered.subject}"
    return _Group(registered, _layout(registered), registered.sha256.encode())


def _read_group(group: _Group, faults: list[Fault]) -> pl.DataFrame | None:
    """The group's good records as one frame, None if there are none. Appends a fault for each other one."""
    if not group.rows:
        return None
    block, start = group.layout.block(group.bodies)
    good = sound(group.layout.fields, group.bodies, block, start)
    if good.all():
        pieces = _read_pieces(group, range(len(group.rows)), faults, block)
    else:
        faults.extend(_fault(group, at) for at in np.flatnonzero(~good).tolist())
        pieces = _read_pieces(group, np.flatnonzero(good).tolist(), faults)
    if not pieces:
        return None
    frame = pl.concat([frame for _, frame in pieces])
    rows = np.array([group.rows[at] for piece, _ in pieces for at in piece], np.uint32)
    return frame.hstack([pl.Series("__row", rows)])


#: Places of records in their group, and these records as columns.
_Pieces = list[tuple[Sequence[int], pl.DataFrame]]


def _read_pieces(
    group: _Group, piece: Sequence[int], faults: list[Fault], block: bytes | None = None
) -> _Pieces:
    """Read the records at these places of the group: as one block, or what is good of it in smaller ones."""
    if not piece:
        return []
    if block is None:
        block, _ = group.layout.block([group.bodies[at] for at in piece])
    frame = _read_block(block)
    return [(piece, frame)] if frame is not None else _halved(group, piece, faults)


def _halved(group: _Group, piece: Sequence[int], faults: list[Fault]) -> _Pieces:
    """What is good of a piece that Polars refused as a whole."""
    if len(piece) <= _SMALL_PIECE:
        bad = {at for at in piece if _verdict(group, at) is not None}
        if not bad and len(piece) == 1:  # Polars alone refuses it: then it is not read
            bad = set(piece)
        if bad:
            faults.extend(_fault(group, at) for at in sorted(bad))
            return _read_pieces(group, [at for at in piece if at not in bad], faults)
    middle = len(piece) // 2
    return _read_pieces(group, piece[:middle], faults) + _read_pieces(group, piece[middle:], faults)


def _read_block(block: bytes) -> pl.DataFrame | None:
    """The block's records as columns, or None if Polars refuses it."""
    try:
        return pl.read_avro(io.BytesIO(block))
    except (PolarsError, OSError, PanicException):
        return None


def _fault(group: _Group, at: int) -> Fault:
    rule = _verdict(group, at) or "record_unreadable"
    size = len(group.bodies[at]) + _HEADER_BYTES
    return Fault(group.rows[at], rule, f"{size} bytes, schema id {group.registered.id}")


def _verdict(group: _Group, at: int) -> str | None:
    """What fastavro finds wrong with one record; None if it reads it to its last byte."""
    body = io.BytesIO(group.bodies[at])
    try:
        fastavro.schemaless_reader(body, _parsed(group.registered), None)
    except EOFError:
        return "bytes_truncated"
    except UnicodeDecodeError:
        return "utf8_invalid"
    except Exception as error:
        # A number that is cut off is an IndexError, and so is a union branch that does not exist.
        cut_off = isinstance(error, IndexError) and body.tell() == len(group.bodies[at])
        return "bytes_truncated" if cut_off else "record_unreadable"
    return "bytes_trailing" if body.tell() < len(group.bodies[at]) else None


def _with_types(frame: pl.DataFrame, types: Mapping[str, pl.DataType | None], subject: str) -> pl.DataFrame:
    """The frame with its Null columns given the schema's types."""
    if frame.columns != list(types):
        raise TypeError(
            f"{subject}: the frame's columns are not the schema's fields in order: {frame.columns}"
        )
    wrong = [name for name, dtype in frame.schema.items() if dtype not in (types[name], pl.Null)]
    if wrong:
        raise TypeError(f"{subject}: columns of another type than the schema's: {wrong}")
    return frame.cast({name: dtype for name, dtype in types.items() if dtype is not None})


def _first_record(data: bytes) -> int:
    """Where the first record begins in a container of one block."""
    at = data.index(data[-len(SYNC) :]) + len(SYNC)
    for _ in range(2):  # the number of records and their size in bytes
        while data[at] >= 0x80:
            at += 1
        at += 1
    return at


# Schemas never change under a fingerprint, so what is worked out from one is kept for good. Two threads that
# meet here do the same work twice and keep the same result.
_layouts: dict[str, Layout] = {}
_parsed_schemas: dict[str, Any] = {}


def _layout(registered: RegisteredSchema) -> Layout:
    layout = _layouts.get(registered.sha256)
    if layout is None:
        layout = _layouts[registered.sha256] = layout_of(registered.schema)
    return layout


def _parsed(registered: RegisteredSchema) -> Any:
    parsed = _parsed_schemas.get(registered.sha256)
    if parsed is None:
        parsed = _parsed_schemas[registered.sha256] = fastavro.parse_schema(registered.schema)
    return parsed
