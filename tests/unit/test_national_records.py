"""From decoded wire columns to the records that a ministry's integration team gets."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from consumers.records import NationalRecord, Unreadable, read_records

WIRE: dict[str, Any] = {
    "lt_key": "20194|01/2016|45|05.01.2016",
    "lt_op": "u",
    "lt_system": "hotich_qnam",
    "lt_dataset": "khaisinh",
    "lt_source_key": "77",
    "lt_seq": 812,
    "lt_committed_ms": 1_767_225_600_123,
    "lt_answers": True,
    "lt_contract": "hotich_qnam/khaisinh@1",
    "lt_warnings": None,
    "so": "45",
    "nksHoTen": "Zơrâm Thử Nghiệm",
    "__row": 0,
}
TYPES = {
    name: {"lt_seq": pl.Int64, "lt_committed_ms": pl.Int64, "lt_answers": pl.Boolean, "__row": pl.UInt32}.get(
        name, pl.String
    )
    for name in WIRE
}


def read(*rows: dict[str, Any], names: tuple[str, ...] = ("so", "nksHoTen")) -> list[Any]:
    frame = pl.DataFrame([WIRE | {"__row": at} | row for at, row in enumerate(rows)], schema=TYPES)
    return list(read_records(frame, names, [(2, 100 + at) for at in range(len(rows))]))


def test_a_record_is_typed_and_names_where_it_came_from() -> None:
    (found,) = read({})
    assert isinstance(found, NationalRecord)
    assert (found.key, found.deleted, found.seq) == (WIRE["lt_key"], False, 812)
    assert (found.system, found.dataset, found.source_key) == ("hotich_qnam", "khaisinh", "77")
    assert found.committed_at == datetime(2026, 1, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert dict(found.fields) == {"so": "45", "nksHoTen": "Zơrâm Thử Nghiệm"}
    assert (found.partition, found.offset) == (2, 100)


def test_a_record_cannot_be_changed_and_does_not_print_personal_values() -> None:
    (found,) = read({})
    with pytest.raises(AttributeError):
        found.deleted = True
    with pytest.raises(TypeError):
        found.fields["so"] = "46"
    assert "Thử Nghiệm" not in repr(found)
    assert "01/2016" not in repr(found)
    assert "seq=812" in repr(found)


def test_a_field_that_an_older_schema_lacks_is_missing() -> None:
    (found,) = read({}, names=("so", "nksHoTen", "trangSo"))
    assert found.fields["trangSo"] is None


def test_a_delete_and_its_warnings() -> None:
    (found,) = read({"lt_op": "d", "lt_warnings": "so_dinh_danh:personal_id_form,so:odd:rule"})
    assert found.deleted
    assert found.warnings == (("so_dinh_danh", "personal_id_form"), ("so", "odd:rule"))
    assert found.warnings[0].rule == "personal_id_form"


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        ({"lt_key": None}, "lt_key is missing"),
        ({"lt_seq": None}, "lt_seq is missing"),
        ({"lt_committed_ms": None}, "lt_committed_ms is missing"),
        ({"lt_op": "x"}, "lt_op is neither u nor d"),
        ({"lt_committed_ms": 10**18}, "lt_committed_ms is no date"),
    ],
)
def test_a_damaged_envelope_is_told_and_its_neighbours_are_read(damage: dict[str, Any], detail: str) -> None:
    found = read({}, damage, {})
    assert found[1] == Unreadable(1, detail)
    assert [one.offset for one in (found[0], found[2])] == [100, 102]
