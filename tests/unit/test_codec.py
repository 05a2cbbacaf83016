"""Batches of Kafka values to columns and back: the rules, one by one."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pytest

from schemas import avro_walk, codec
from schemas.codec import FAULT_RULES, MAX_RECORD_BYTES, decode, encode, encode_row
from schemas.registry import FileRegistry, RegisteredSchema

SUBJECT = "province.hotich_qnam.khaisinh-value"


def record(name: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields.items()]}


FLAT = record(
    "Flat",
    so=["null", "string"],
    seq=["null", "long"],
    live=["null", "boolean"],
    weight=["null", "double"],
    raw=["null", "bytes"],
)
VALUE = record("Value", id=["null", "long"], ho_ten=["null", "string"])
ENVELOPE = record(
    "Envelope",
    before=["null", VALUE],
    after=["null", "Value"],
    source=record("Source", name="string", seq="long", live="boolean", lag=["int", "null"]),
    op="string",
) | {"namespace": "province.hotich_qnam.khaisinh"}


@pytest.fixture
def registry(tmp_path: Path) -> FileRegistry:
    return FileRegistry([tmp_path])


@pytest.fixture(params=["one by one", "all at once"])
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of checking bytes, whatever the size of the batch."""
    monkeypatch.setattr(avro_walk, "_FEW_RECORDS", 10**9 if request.param == "one by one" else 0)


def registered(registry: FileRegistry, schema: dict[str, Any], subject: str = SUBJECT) -> RegisteredSchema:
    return registry.schema(registry.register(subject, schema))


def flat(so: str | None = "45/2016", seq: int | None = 812) -> dict[str, Any]:
    return {"so": so, "seq": seq, "live": True, "weight": 0.5, "raw": b"\xff\x00"}


def rules(values: list[bytes | None], registry: FileRegistry) -> list[tuple[int, str]]:
    return [(fault.row, fault.rule) for fault in decode(values, registry=registry, subject=SUBJECT).faults]


def test_an_envelope_keeps_its_shape_and_a_named_type_may_come_twice(registry: FileRegistry) -> None:
    schema = registered(registry, ENVELOPE)
    rows: list[dict[str, Any]] = [
        {
            "before": before,
            "after": after,
            "source": {"name": "hotich_qnam", "seq": 2**62, "live": False, "lag": lag},
            "op": "u",
        }
        for before, after, lag in [
            (None, {"id": 1, "ho_ten": "Zơrâm Thử"}, None),
            ({"id": None, "ho_ten": None}, None, -(2**31)),
            ({"id": -(2**63), "ho_ten": ""}, {"id": 2**63 - 1, "ho_ten": "ô" * 5000}, 2**31 - 1),
        ]
    ]
    decoded = decode([encode_row(row, schema) for row in rows], registry=registry, subject=SUBJECT)
    assert decoded.faults == []
    [(found, frame)] = decoded.groups
    assert found is schema
    assert frame.columns == ["before", "after", "source", "op", "__row"]
    assert frame.schema["__row"] == pl.UInt32
    assert frame.drop("__row").to_dicts() == rows
    assert frame["before"].is_null().to_list() == [True, False, False]


def test_an_empty_batch_is_nothing(registry: FileRegistry) -> None:
    assert decode([], registry=registry, subject=SUBJECT) == codec.Decoded([], [])
    assert (
        encode(
            pl.DataFrame(schema={"so": pl.String}), registered(registry, record("A", so=["null", "string"]))
        )
        == []
    )


def test_records_of_two_schemas_of_a_subject_come_in_two_frames(registry: FileRegistry) -> None:
    old = registered(registry, record("A", so=["null", "string"]))
    new = registered(registry, record("A", so=["null", "string"], quyen=["null", "string"]))
    values = [
        encode_row({"so": "1"}, old),
        encode_row({"so": "2", "quyen": "01"}, new),
        encode_row({"so": "3"}, old),
    ]
    decoded = decode(values, registry=registry, subject=SUBJECT)
    assert [(group.id, frame.rows()) for group, frame in decoded.groups] == [
        (1, [("1", 0), ("3", 2)]),
        (2, [("2", "01", 1)]),
    ]


def test_each_value_without_a_readable_header_has_its_rule(registry: FileRegistry) -> None:
    good = encode_row(flat(), registered(registry, FLAT))
    foreign = encode_row({"a": 1}, registered(registry, record("B", a="long"), "other-value"))
    values = [
        None,
        b"",
        b'{"so": "45"}',
        b"\x00\x00\x00",
        b"\x00\x00\x00\x00\x63" + good[5:],
        foreign,
        good + bytes(MAX_RECORD_BYTES),
        good,
    ]
    decoded = decode(values, registry=registry, subject=SUBJECT)
    assert [(fault.row, fault.rule, fault.detail) for fault in decoded.faults] == [
        (0, "value_empty", "no value"),
        (1, "value_empty", "0 bytes"),
        (2, "header_missing", "the first byte is 0x7b, not 0x00"),
        (3, "header_missing", "3 bytes, shorter than the 5 bytes of the header"),
        (4, "schema_unknown", "schema id 99"),
        (5, "schema_foreign", "schema id 2 is of other-value"),
        (6, "record_too_large", f"{len(good) + MAX_RECORD_BYTES} bytes, the limit is 1048576"),
    ]
    [(_, frame)] = decoded.groups
    assert frame["__row"].to_list() == [7]


def test_a_record_may_be_as_large_as_the_limit(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    # The text's length then takes three bytes, not one.
    room = MAX_RECORD_BYTES - len(encode_row(flat(so=""), schema)) - 2
    values: list[bytes | None] = [encode_row(flat(so="x" * (room + more)), schema) for more in (0, 1)]
    assert [len(value or b"") for value in values] == [MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1]
    assert rules(values, registry) == [(1, "record_too_large")]


def test_a_fingerprint_that_is_not_the_registrys_is_a_fault_and_none_is_not(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    value = encode_row(flat(), schema)
    sha256 = schema.sha256.encode()
    told = [sha256, None, sha256.upper(), b"0" * 64, b"", b"\xff\xfe"]
    decoded = decode([value] * len(told), registry=registry, subject=SUBJECT, fingerprints=told)
    assert [(fault.row, fault.rule) for fault in decoded.faults] == [
        (3, "fingerprint_mismatch"),
        (4, "fingerprint_mismatch"),
        (5, "fingerprint_mismatch"),
    ]
    with pytest.raises(ValueError, match="1 values, but 0 fingerprints"):
        decode([value], registry=registry, subject=SUBJECT, fingerprints=[])


WIDE = record(
    "Wide",
    text=["null", "string"],
    long=["null", "long"],
    yes=["null", "boolean"],
    whole="int",
    inner=["null", record("Inner", last=["string", "null"])],
)
GOOD = b"\x02\x04hi" + b"\x02\x80\x01" + b"\x02\x01" + b"\x00" + b"\x02\x00\x02z"


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (GOOD, None),
        (b"\x00\x00\x00\x01\x00", None),
        (b"\x00\x00\x00\x01\x02\x02", None),
        (b"\x02\x02\x00" + GOOD[4:], None),  # a NUL is legal text; the mapping has a rule for it
        (b"\x02\x80\x01" + b"x" * 64 + GOOD[4:], None),
        (b"\x02\x80\x80\x01" + b"x" * 8192 + GOOD[4:], None),
        (GOOD + b"\x00", "bytes_trailing"),
        (GOOD + GOOD, "bytes_trailing"),
        (b"", "bytes_truncated"),
        (GOOD[:-1], "bytes_truncated"),
        (GOOD[:1], "bytes_truncated"),
        (GOOD[:3], "bytes_truncated"),
        (GOOD[:6], "bytes_truncated"),  # within a number
        (b"\x02\xfe\xff\x7fhi" + GOOD[4:], "bytes_truncated"),  # a text of a million bytes
        (b"\x02" + b"\xfe" * 9 + b"\x01" + GOOD[4:], "bytes_truncated"),  # of 2 ** 62 bytes
        (b"\x02\x04\xc3\x28" + GOOD[4:], "utf8_invalid"),
        (b"\x02\x06\xed\xa0\x80" + GOOD[4:], "utf8_invalid"),  # half a surrogate pair
        (b"\x02\x02\xc3" + GOOD[4:], "utf8_invalid"),
        (b"\x04\x04hi" + GOOD[4:], "record_unreadable"),  # a third branch
        (b"\x06\x04hi" + GOOD[4:], "record_unreadable"),
        (b"\x01\x04hi" + GOOD[4:], "record_unreadable"),  # branch -1, which fastavro takes for the last
        (b"\x03" + GOOD[4:], "record_unreadable"),  # branch -2, which fastavro takes for the first
        (b"\x82\x00\x04hi" + GOOD[4:], "record_unreadable"),  # branch 1 in two bytes
        (b"\x02\x84\x00hi" + GOOD[4:], "record_unreadable"),  # length 2 in two bytes
        (b"\x02\x84\x80\x80\x00hi" + GOOD[4:], "record_unreadable"),  # in four
        (GOOD[:4] + b"\x02\x80\x81\x00" + GOOD[7:], "record_unreadable"),  # a number in 3 bytes, not 2
        (GOOD[:4] + b"\x02" + b"\xff" * 9 + b"\x03" + GOOD[7:], "record_unreadable"),  # more than 64 bits
        (GOOD[:4] + b"\x02" + b"\xff" * 10 + b"\x01" + GOOD[7:], "record_unreadable"),
        (GOOD[:8] + b"\x02" + GOOD[9:], "record_unreadable"),  # neither true nor false
        (GOOD[:9] + b"\x80\x80\x80\x80\x10" + GOOD[10:], "record_unreadable"),  # an int of 33 bits
        (GOOD[:9] + b"\xff\xff\xff\xff\x0f" + GOOD[10:], None),  # the least int
    ],
)
def test_a_record_is_read_in_the_one_way_it_can_be_or_not_at_all(
    registry: FileRegistry, body: bytes, rule: str | None
) -> None:
    schema = registered(registry, WIDE)
    header = b"\x00" + schema.id.to_bytes(4, "big")
    # Wherever it stands, its neighbours are read.
    values: list[bytes | None] = [header + one for one in (GOOD, body, GOOD, body)]
    decoded = decode(values, registry=registry, subject=SUBJECT)
    assert [(fault.row, fault.rule) for fault in decoded.faults] == ([(1, rule), (3, rule)] if rule else [])
    [(_, frame)] = decoded.groups
    good = fastavro.schemaless_reader(io.BytesIO(GOOD), fastavro.parse_schema(WIDE), None)
    assert frame.filter(pl.col("__row").is_in([0, 2])).drop("__row").to_dicts() == [good, good]
    if rule is None:
        same = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(WIDE), None)
        assert frame.drop("__row").to_dicts() == [good, same, good, same]


def cut(value: bytes) -> bytes:
    return value[:-1]


def grow(value: bytes) -> bytes:
    return value + b"\x00"


def spoil(value: bytes) -> bytes:
    return value.replace(b"TEXT", b"TE\xffT")


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("damage", [cut, grow, spoil])
@pytest.mark.parametrize("bad", [{0}, {299}, {17, 18, 150}, set(range(0, 300, 3)), set(range(300))])
def test_the_good_records_of_a_batch_are_read_whatever_the_others_are(
    registry: FileRegistry, damage: Callable[[bytes], bytes], bad: set[int]
) -> None:
    schema = registered(registry, FLAT)
    values = [encode_row(flat(so=f"TEXT {row}", seq=row), schema) for row in range(300)]
    sent: list[bytes | None] = [damage(value) if row in bad else value for row, value in enumerate(values)]
    decoded = decode(sent, registry=registry, subject=SUBJECT)
    assert [fault.row for fault in decoded.faults] == sorted(bad)
    assert len({fault.rule for fault in decoded.faults}) == 1
    read = [(row["__row"], row["so"]) for _, frame in decoded.groups for row in frame.to_dicts()]
    assert read == [(row, f"TEXT {row}") for row in range(300) if row not in bad]


def test_one_missing_byte_made_good_by_the_next_records_surplus_is_two_faults(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    values = [encode_row(flat(so=so), schema) for so in ("một", "hai", "ba")]
    # End to end these bytes are the same as before; only the borders have moved.
    shifted = [values[0], values[1][:-2], values[2][:5] + values[1][-2:] + values[2][5:], values[0]]
    assert [row for row, _ in rules([*shifted], registry)] == [1, 2]


def test_faults_come_in_the_order_of_their_rows(registry: FileRegistry) -> None:
    value = encode_row(flat(), registered(registry, FLAT))
    values = [value + b"x", None, value[:-1], value, b"\x01"]
    assert rules([*values], registry) == [
        (0, "bytes_trailing"),
        (1, "value_empty"),
        (2, "bytes_truncated"),
        (4, "header_missing"),
    ]


def test_no_fault_quotes_the_record(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    value = encode_row(flat(so="Nguyen Thi Thu"), schema)
    values: list[bytes | None] = [
        value[:-1],
        value + b"Nguyen",
        value.replace(b"Thi", b"\xff\xfe\xfd"),
        value[5:],
        b"\x00Nguyen Thi Thu",
        value.replace(b"\x02\x1cNguyen", b"\x06\x1cNguyen"),
    ]
    decoded = decode(values, registry=registry, subject=SUBJECT, fingerprints=[b"Nguyen Thi Thu"] * 6)
    more = decode(values, registry=registry, subject=SUBJECT)
    faults = decoded.faults + more.faults
    assert len(more.faults) == 6
    assert not [fault for fault in faults if "Nguyen" in fault.detail or "Thu" in fault.detail]
    assert {fault.rule for fault in faults} <= set(FAULT_RULES)


@pytest.mark.usefixtures("walk")
def test_a_row_that_polars_alone_refuses_is_a_fault_and_ends_the_search(
    registry: FileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = registered(registry, FLAT)
    values: list[bytes | None] = [encode_row(flat(seq=row), schema) for row in range(40)]
    refused = (values[23] or b"")[5:]
    read = codec._read_block
    monkeypatch.setattr(codec, "_read_block", lambda block: None if refused in block else read(block))
    assert rules(values, registry) == [(23, "record_unreadable")]


def test_encode_writes_what_fastavro_reads(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    texts = [None, "", "x" * 63, "x" * 64, "ă" * 4096, "x" * 8191, "x" * 8192, "x" * 70_000, "a\x00b"]
    numbers = [None, 0, -1, 63, 64, -64, -65, 2**63 - 1, -(2**63)]
    frame = pl.DataFrame(
        {
            "so": texts,
            "seq": numbers,
            "live": [True, False, None] * 3,
            "weight": [0.0, -0.5, None, 1e300, float("inf"), -1e-300, 3.25, 1.0, 2.0],
            "raw": [None, b"", bytes(range(256))] * 3,
        },
        schema_overrides={"seq": pl.Int64},
    )
    # Polars writes each chunk as a block of its own.
    frame = pl.concat([frame, frame.reverse()], rechunk=False)
    values = encode(frame, schema)
    parsed = fastavro.parse_schema(FLAT)
    assert [value[:5] for value in values] == [b"\x00\x00\x00\x00\x01"] * 18
    read = [fastavro.schemaless_reader(io.BytesIO(value[5:]), parsed, None) for value in values]
    assert read == frame.to_dicts()
    assert values == [encode_row(row, schema) for row in frame.to_dicts()]
    [(_, back)] = decode([*values], registry=registry, subject=SUBJECT).groups
    assert back.drop("__row").equals(frame)


def test_a_column_without_any_value_may_have_no_type(registry: FileRegistry) -> None:
    schema = registered(registry, record("A", so=["null", "string"], seq=["null", "long"]))
    frame = pl.DataFrame({"so": [None, None], "seq": [1, None]})
    assert frame.schema["so"] == pl.Null
    assert encode(frame, schema) == [
        encode_row({"so": None, "seq": 1}, schema),
        encode_row({"so": None, "seq": None}, schema),
    ]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"seq": [1], "so": ["x"]}), "not the schema's fields in order"),
        (pl.DataFrame({"so": ["x"]}), "not the schema's fields in order"),
        (pl.DataFrame({"so": ["x"], "seq": [1], "__row": [0]}), "not the schema's fields in order"),
        (pl.DataFrame({"so": ["x"], "seq": ["1"]}), "another type"),
        (pl.DataFrame({"so": ["x"], "seq": [1.0]}), "another type"),
    ],
)
def test_a_frame_that_is_not_the_schemas_is_refused(
    registry: FileRegistry, frame: pl.DataFrame, message: str
) -> None:
    schema = registered(registry, record("A", so=["null", "string"], seq=["null", "long"]))
    with pytest.raises(TypeError, match=message):
        encode(frame, schema)


def test_a_schema_with_a_field_that_is_never_null_is_not_written_as_columns(registry: FileRegistry) -> None:
    for schema in (record("A", so="string"), record("A", so=["string", "null"]), ENVELOPE):
        with pytest.raises(TypeError, match="only flat schemas"):
            encode(pl.DataFrame({"so": ["x"]}), registered(registry, schema))


def test_text_that_holds_the_mark_of_the_cuts_stops_the_batch_and_is_not_cut(
    registry: FileRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = b"0123456789abcdef"
    monkeypatch.setattr("schemas.codec.os.urandom", lambda _: mark)  # as if it could be guessed
    schema = registered(registry, record("A", so=["null", "string"]))
    with pytest.raises(RuntimeError, match="1 rows were written as 3 records"):
        encode(pl.DataFrame({"so": ["\x02\x20" + mark.decode()]}), schema)


def test_encode_row_refuses_a_row_that_does_not_fit_and_does_not_quote_it(registry: FileRegistry) -> None:
    schema = registered(registry, FLAT)
    for wrong in ({"so": "Thu"}, flat() | {"so": 45}, flat() | {"seq": 2**63}, flat() | {"them": "Thu"}):
        with pytest.raises(TypeError) as error:
            encode_row(wrong, schema)
        assert "Thu" not in str(error.value)
        assert error.value.__cause__ is None


def test_a_doubles_bits_pass_through(registry: FileRegistry) -> None:
    schema = registered(registry, record("A", x=["null", "double"]))
    [(_, frame)] = decode(
        [b"\x00\x00\x00\x00\x01\x02" + struct.pack("<d", -0.0)], registry=registry, subject=SUBJECT
    ).groups
    assert struct.pack("<d", frame["x"].item()) == struct.pack("<d", -0.0)
    assert encode(frame.drop("__row"), schema)[0][6:] == struct.pack("<d", -0.0)
