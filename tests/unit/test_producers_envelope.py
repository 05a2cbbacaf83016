"""From an outbox row to the wire: what a reader finds, and what cannot be said under a contract."""

import io
import json
from typing import Any

import fastavro
import pytest

from producers.envelope import CannotEncode, Encoder
from producers.outbox import Change
from schemas.contracts import AvroType, Contract, LineSet
from schemas.errors import LienthongError
from schemas.registry import RegisteredSchema, fingerprint
from tests.capture_lab import a_contract

COLUMNS: dict[str, AvroType] = {"id": "long", "ten": "string", "diem": "double", "con_lai": "boolean"}
CONTRACT = a_contract(columns=COLUMNS)


def registered(contract: Contract = CONTRACT) -> RegisteredSchema:
    schema = contract.envelope_schema
    return RegisteredSchema(70_000, contract.subject, schema, fingerprint(schema))


def encoder() -> Encoder:
    return Encoder(CONTRACT, registered(), connector="sqlite", database="so_ho")


def change(**more: Any) -> Change:
    image = {"id": 1, "ten": "Ứng", "diem": 2.5, "con_lai": True}
    row: dict[str, Any] = {
        "id": 5, "dataset": CONTRACT.id, "op": "c", "key": "1", "before": None,
        "after": json.dumps(image | more.pop("image", {})), "changed_ms": 1_700_000_000_123, "seq": 812,
    }  # fmt: skip
    return Change(**{**row, **more})


def decoded(value: bytes) -> Any:
    assert value[:5] == b"\x00" + (70_000).to_bytes(4, "big")
    body = io.BytesIO(value[5:])
    envelope = fastavro.schemaless_reader(body, registered().schema, None)
    assert body.read() == b"", "nothing follows"
    return envelope


def test_a_set_of_lines_is_one_text_always_written_in_the_same_way() -> None:
    dong = LineSet(
        table="d", on={"ho_id": "id"}, columns={"loai": "string", "tien": "long", "he_so": "double"}
    )
    contract = a_contract(columns={"id": "long"}, lines={"dong": dong})
    lined = Encoder(contract, registered(contract), connector="sqlite", database="so_ho")
    lines = [{"he_so": "0.10000000000000001", "tien": 5.0, "loai": "Ứng"}, dict.fromkeys(dong.columns)]
    body = io.BytesIO(lined.encode(change(after=json.dumps({"id": 1, "dong": lines})), now_ms=0).value[5:])
    envelope: Any = fastavro.schemaless_reader(body, registered(contract).schema, None)
    assert envelope["after"]["dong"] == '[{"loai":"Ứng","tien":5,"he_so":0.1},{}]'
    for wrong in (
        "x",
        [{"loai": 1, "tien": None, "he_so": None}],
        [{"he_so": "NaN", "loai": None, "tien": 1}],
    ):
        with pytest.raises(CannotEncode, match="dong: type_mismatch"):
            lined.encode(change(after=json.dumps({"id": 1, "dong": wrong})), now_ms=0)
    with pytest.raises(CannotEncode, match="dong: column_missing"):
        lined.encode(change(after=json.dumps({"id": 1})), now_ms=0)


def test_a_reader_finds_what_the_outbox_said() -> None:
    sent = encoder().encode(change(), now_ms=1_700_000_000_200)
    envelope = decoded(sent.value)
    assert envelope["before"] is None
    assert envelope["after"] == {"id": 1, "ten": "Ứng", "diem": 2.5, "con_lai": True}
    assert (envelope["op"], envelope["ts_ms"]) == ("c", 1_700_000_000_200)
    source = envelope["source"]
    assert source.pop("version")
    assert source == {
        "connector": "sqlite", "name": "thu", "ts_ms": 1_700_000_000_123, "snapshot": "false",
        "db": "so_ho", "table": "so_ho", "dataset": "soho", "seq": 812,
    }  # fmt: skip
    assert (sent.topic, sent.key, sent.timestamp_ms) == ("province.thu.soho", b"1", 1_700_000_000_123)
    assert sent.headers == [("schema-sha256", registered().sha256.encode()), ("seq", b"812")]


def test_a_delete_carries_what_was_and_a_snapshot_says_so() -> None:
    deleted = decoded(
        encoder().encode(change(op="d", before=change().after, after=None), now_ms=2_000_000_000_000).value
    )
    assert (deleted["after"], deleted["before"]["ten"], deleted["op"]) == (None, "Ứng", "d")
    snapshot = decoded(encoder().encode(change(op="r"), now_ms=2_000_000_000_000).value)
    assert (snapshot["op"], snapshot["source"]["snapshot"]) == ("r", "true")


def test_a_clock_ahead_of_ours_does_not_reach_the_records_time() -> None:
    sent = encoder().encode(change(changed_ms=5_000), now_ms=4_000)
    assert sent.timestamp_ms == 4_000, "a broker refuses times in the future"
    assert decoded(sent.value)["source"]["ts_ms"] == 5_000


@pytest.mark.parametrize(
    ("column", "found", "expected"),
    [
        ("ten", "", ""),
        ("ten", "a\x00b", "a\x00b"),
        ("ten", None, None),
        ("id", 2**63 - 1, 2**63 - 1),
        ("id", -(2**63), -(2**63)),
        ("id", 5.0, 5),  # SQLite: a real in an integer column
        ("diem", 3, 3.0),
        ("diem", "0.1000000000000000055", 0.1),  # SQLite: 17 digits as text
        ("diem", "-Infinity", float("-inf")),
        ("con_lai", 1, True),
        ("con_lai", 0, False),
        ("con_lai", False, False),
        ("con_lai", None, None),
    ],
)
def test_values_that_a_type_holds(column: str, found: object, expected: object) -> None:
    value = decoded(encoder().encode(change(image={column: found}), now_ms=1).value)["after"][column]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("id", 2**63), ("id", 1.5), ("id", "12"), ("id", True), ("id", float("inf")), ("id", [1]),
        ("ten", 5), ("ten", True), ("ten", {"a": 1}),
        ("diem", "chữ"), ("diem", True), ("diem", [1.0]), ("diem", 10**400),
        ("con_lai", 2), ("con_lai", "1"), ("con_lai", "true"), ("con_lai", []),
    ],
)  # fmt: skip
def test_values_that_a_type_does_not_hold(column: str, found: object) -> None:
    with pytest.raises(CannotEncode) as caught:
        encoder().encode(change(image={column: found}), now_ms=1)
    assert (caught.value.column, caught.value.rule) == (column, "type_mismatch")


def test_a_column_that_is_not_there_is_not_taken_for_missing() -> None:
    with pytest.raises(CannotEncode) as caught:
        encoder().encode(change(after='{"id": 1, "ten": "x", "con_lai": null}'), now_ms=1)
    assert (caught.value.column, caught.value.rule) == ("diem", "column_missing")


def test_text_that_is_not_unicode_is_told_by_its_column_only() -> None:
    with pytest.raises(CannotEncode) as caught:
        encoder().encode(change(image={"ten": "bí mật \udcc3"}), now_ms=1)
    assert (caught.value.column, caught.value.rule) == ("ten", "utf8_invalid")
    assert "bí mật" not in repr(caught.value)
    with pytest.raises(CannotEncode) as caught:
        encoder().encode(change(key="\udcc3"), now_ms=1)
    assert caught.value.column == "the key"


@pytest.mark.parametrize("image", ['{"id": 1', '{"x": %s}' % ("9" * 5000), '{"x": %s}' % ("[" * 9000)])
def test_an_image_that_cannot_be_read_is_told(image: str) -> None:
    """A whole row, kept while a column is gone, may hold any numeric or jsonb."""
    with pytest.raises(CannotEncode) as caught:
        encoder().encode(change(after=image), now_ms=1)
    assert caught.value.rule == "image_unreadable"


def test_columns_besides_the_contracts_are_left_out() -> None:
    one = encoder()
    one.encode(change(), now_ms=1)
    assert one.left_out == set()
    sent = one.encode(change(image={"bi_mat": "x"}), now_ms=1)
    assert "bi_mat" not in decoded(sent.value)["after"]
    assert one.left_out == {"bi_mat"}, "the relay asks whether the contract has it by now"


def test_columns_of_lines_besides_the_contracts_are_noted_too() -> None:
    dong = LineSet(table="d", on={"ho_id": "id"}, columns={"loai": "string"})
    contract = a_contract(columns={"id": "long"}, lines={"dong": dong})
    lined = Encoder(contract, registered(contract), connector="sqlite", database="so_ho")
    lined.encode(change(after=json.dumps({"id": 1, "dong": [{"loai": "x"}, {}]})), now_ms=0)
    assert lined.left_out == set()
    lined.encode(change(after=json.dumps({"id": 1, "dong": [{"loai": "x", "moi": None}]})), now_ms=0)
    assert lined.left_out == {"dong.moi"}


def test_a_schema_that_is_not_the_contracts_is_refused() -> None:
    other = a_contract(columns={**COLUMNS, "moi": "string"})
    with pytest.raises(LienthongError, match="columns") as caught:
        Encoder(other, registered(), connector="sqlite", database="x")
    assert "contracts register" in caught.value.next_step


def test_every_rule_has_a_reason_and_a_next_step() -> None:
    from producers.parking import REASONS

    assert set(REASONS) >= {"column_missing", "type_mismatch", "utf8_invalid", "image_unreadable"}
    assert all(text and step for text, step in REASONS.values())
