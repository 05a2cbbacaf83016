"""The codec against two other readers of Avro, fastavro and Apache's, on generated schemas, rows and damage.

The law: a record is read exactly as fastavro reads it, or it is a fault; and it is a fault exactly if
fastavro cannot read it to its last byte, or does not take the result for the schema's, or would write it in
other bytes.
"""

import io
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import fastavro
import polars as pl
import pytest
from fastavro.validation import validate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from schemas import avro_walk
from schemas.codec import decode, encode, encode_row
from schemas.registry import FileRegistry, RegisteredSchema

SUBJECT = "laws-value"

#: The values of each type that columns carry; the borders of Avro's lengths come often.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=12) | st.sampled_from(["x" * 63, "x" * 64, "ă" * 40, "\x00", ""]),
    "bytes": st.binary(max_size=12) | st.sampled_from([b"\x00" * 64]),
    "long": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 63, 64, -64, -65, 8191, 8192, 2**62]),
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.floats(),
    "float": st.floats(width=32),
    "boolean": st.booleans(),
}


@st.composite
def types(draw: st.DrawFn, depth: int, names: list[str]) -> tuple[Any, st.SearchStrategy[Any]]:
    """An Avro type and its values."""
    if depth and draw(st.integers(0, 3)) == 0:
        avro, values = draw(records(depth - 1, names))
    else:
        avro = draw(st.sampled_from(sorted(VALUES)))
        values = VALUES[avro]
    null = draw(st.sampled_from(["never", "first", "first", "last"]))
    if null == "never":
        return avro, values
    return (["null", avro] if null == "first" else [avro, "null"]), st.none() | values


@st.composite
def records(draw: st.DrawFn, depth: int, names: list[str]) -> tuple[Any, st.SearchStrategy[Any]]:
    names.append(f"R{len(names)}")
    name = names[-1]
    fields = [(f"f{at}", *draw(types(depth, names))) for at in range(draw(st.integers(1, 5)))]
    schema = {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t, _ in fields]}
    return schema, st.fixed_dictionaries({n: values for n, _, values in fields})


@st.composite
def batches(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    schema, rows = draw(records(2, []))
    return schema, draw(st.lists(rows, min_size=1, max_size=8))


@st.composite
def damaged(draw: st.DrawFn, bodies: list[bytes]) -> list[bytes]:
    """Some of ``bodies`` with bytes changed, lost, added or taken from a neighbour."""
    result = list(bodies)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(result) - 1))
        body = result[at]
        place = draw(st.integers(0, max(0, min(len(body), 60) - 1)))
        how = draw(st.sampled_from(["change", "flip", "lose", "add", "cut", "stretch", "shift"]))
        if how == "change":
            body = body[:place] + draw(st.binary(min_size=1, max_size=3)) + body[place + 1 :]
        elif how == "flip" and body:
            body = body[:place] + bytes([body[place] ^ 1 << draw(st.integers(0, 7))]) + body[place + 1 :]
        elif how == "lose":
            body = body[:place] + body[place + 1 :]
        elif how == "add":
            body = body[:place] + draw(st.binary(min_size=1, max_size=3)) + body[place:]
        elif how == "cut":
            body = body[: draw(st.integers(0, len(body)))]
        elif how == "stretch" and body:  # the same number in one byte more
            body = body[:place] + bytes([body[place] | 0x80, 0]) + body[place + 1 :]
        elif how == "shift" and at + 1 < len(result):  # the border with the next record moves
            result[at + 1] = body[place:] + result[at + 1]
            body = body[:place]
        result[at] = body
    return result


def register(schema: dict[str, Any]) -> tuple[FileRegistry, RegisteredSchema]:
    with tempfile.TemporaryDirectory() as folder:
        registry = FileRegistry([Path(folder)])
        return registry, registry.schema(registry.register(SUBJECT, schema))


def same(left: object, right: object) -> bool:
    """Equality that tells 1 from True and 0.0 from -0.0, and takes every NaN for one."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float) and isinstance(right, float):
        return repr(left) == repr(right)
    return type(left) is type(right) and left == right


def has_nan(row: object) -> bool:
    if isinstance(row, dict):
        return any(has_nan(value) for value in row.values())
    return isinstance(row, float) and math.isnan(row)


def obeys_the_law(found: object, body: bytes, parsed: Any) -> bool:
    """Whether ``found`` (None: a fault) is what must come of ``body``."""
    stream, again = io.BytesIO(body), io.BytesIO()
    try:
        row = fastavro.schemaless_reader(stream, parsed, None)
        fastavro.schemaless_writer(again, parsed, row)
    except Exception:
        return found is None
    if stream.tell() != len(body) or not validate(row, parsed, raise_errors=False):  # an int may be too large
        return found is None
    written_so = again.getvalue() == body
    if found is None:
        return not written_so
    # A NaN's bits may change on their way through a Python float.
    return same(found, row) and (written_so or has_nan(row))


def read_rows(values: list[bytes], registry: FileRegistry) -> dict[int, Any]:
    """Row by row what ``decode`` gives, None for a fault. Each value must have one answer."""
    decoded = decode(values, registry=registry, subject=SUBJECT)
    found: dict[int, Any] = {fault.row: None for fault in decoded.faults}
    assert len(found) == len(decoded.faults)
    for _, frame in decoded.groups:
        for row in frame.iter_rows(named=True):
            place = row.pop("__row")
            assert place not in found
            found[place] = row
    assert sorted(found) == list(range(len(values)))
    return found


@pytest.fixture(params=["one by one", "all at once"], autouse=True)
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of checking bytes, whatever the size of the batch."""
    monkeypatch.setattr(avro_walk, "_FEW_RECORDS", 10**9 if request.param == "one by one" else 0)


LAW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@settings(LAW, max_examples=75)
@given(batches())
def test_what_fastavro_and_apache_avro_write_is_read_as_they_read_it(
    batch: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    schema, rows = batch
    registry, registered = register(schema)
    values = [encode_row(row, registered) for row in rows]
    apache = avro.schema.parse(json.dumps(schema))
    writer, reader = avro.io.DatumWriter(apache), avro.io.DatumReader(apache)
    found = read_rows(values, registry)
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        by_apache = io.BytesIO()
        writer.write(row, avro.io.BinaryEncoder(by_apache))
        assert by_apache.getvalue() == value[5:]
        assert same(found[place], reader.read(avro.io.BinaryDecoder(io.BytesIO(value[5:]))))
        assert same(found[place], row)


@settings(LAW, max_examples=200)
@given(batches(), st.data())
def test_damaged_records_are_read_as_fastavro_reads_them_or_are_faults(
    batch: tuple[dict[str, Any], list[dict[str, Any]]], data: st.DataObject
) -> None:
    schema, rows = batch
    registry, registered = register(schema)
    bodies = data.draw(damaged([encode_row(row, registered)[5:] for row in rows]))
    found = read_rows([b"\x00\x00\x00\x00\x01" + body for body in bodies], registry)
    parsed = fastavro.parse_schema(schema)
    for place, body in enumerate(bodies):
        assert obeys_the_law(found[place], body, parsed)


@settings(LAW, max_examples=75)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_bytes_that_were_never_avro_are_read_as_fastavro_reads_them_or_are_faults(
    bodies: list[bytes],
) -> None:
    fields = [("a", ["null", "string"]), ("b", ["null", "long"]), ("c", "boolean"), ("d", ["int", "null"])]
    schema = {"type": "record", "name": "R", "fields": [{"name": n, "type": t} for n, t in fields]}
    registry, _ = register(schema)
    found = read_rows([b"\x00\x00\x00\x00\x01" + body for body in bodies], registry)
    parsed = fastavro.parse_schema(schema)
    for place, body in enumerate(bodies):
        assert obeys_the_law(found[place], body, parsed)


@settings(LAW, max_examples=75)
@given(st.data())
def test_rows_written_as_columns_are_the_bytes_that_apache_avro_writes(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["string", "long", "boolean", "double", "bytes"]), min_size=1))
    fields = [{"name": f"f{at}", "type": ["null", kind]} for at, kind in enumerate(kinds)]
    schema = {"type": "record", "name": "R", "fields": fields}
    row = st.fixed_dictionaries({f"f{at}": st.none() | VALUES[kind] for at, kind in enumerate(kinds)})
    rows = data.draw(st.lists(row, min_size=1, max_size=8))
    registry, registered = register(schema)
    types = {
        "string": pl.String,
        "long": pl.Int64,
        "boolean": pl.Boolean,
        "double": pl.Float64,
        "bytes": pl.Binary,
    }
    frame = pl.DataFrame(rows, schema={f"f{at}": types[kind] for at, kind in enumerate(kinds)})
    assume(not any(has_nan(one) for one in rows))  # its bits are the platform's
    apache = avro.schema.parse(json.dumps(schema))
    expected = []
    for one in rows:
        stream = io.BytesIO()
        avro.io.DatumWriter(apache).write(one, avro.io.BinaryEncoder(stream))
        expected.append(b"\x00\x00\x00\x00\x01" + stream.getvalue())
    values = encode(frame, registered)
    assert values == expected
    assert all(
        same(found, one) for found, one in zip(read_rows(values, registry).values(), rows, strict=True)
    )
