"""Schema ids live in files, are given once, and stand for one schema for good."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import avro.schema
import pytest

from schemas.errors import ContractError
from schemas.registry import (
    RECEIPT_SUBJECT,
    REJECT_SUBJECT,
    FileRegistry,
    UnknownSchema,
    fingerprint,
)

SHIPPED = Path(__file__).parents[2] / "schemas"


def record(*fields: tuple[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields]}


FIRST = record(("so", ["null", "string"]))
SECOND = record(("so", ["null", "string"]), ("quyen", ["null", "string"]))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """A shipped library and a province's folder, both still empty."""
    return [tmp_path / "shipped", tmp_path / "province"]


def lines_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "registry/ids.csv").read_text())))


def test_the_shipped_library_has_the_records_of_the_road_under_ids_1_and_2() -> None:
    registry = FileRegistry([SHIPPED])
    assert (registry.schema(1).subject, registry.schema(2).subject) == (RECEIPT_SUBJECT, REJECT_SUBJECT)
    names = [field["name"] for field in registry.current(RECEIPT_SUBJECT).schema["fields"]]
    assert " ".join(names) == (
        "system dataset format outcome seqs first_seq last_seq how_many rule field reason_vi reason_en at_ms"
    )
    types = {field["name"]: field["type"] for field in registry.current(REJECT_SUBJECT).schema["fields"]}
    assert types["key"] == types["original"] == ["null", "bytes"]
    assert " ".join(types) == (
        "system dataset seq source_key topic partition offset rule field reason_vi reason_en detail key"
        " original at_ms"
    )


def test_ids_count_up_in_the_range_of_the_folder(folders: list[Path]) -> None:
    shipped, province = FileRegistry(folders[:1]), folders
    assert [shipped.register("a-value", FIRST), shipped.register("b-value", FIRST)] == [1, 2]
    registry = FileRegistry(province)
    assert [registry.register("c-value", FIRST), registry.register("c-value", SECOND)] == [10_000, 10_001]
    again = FileRegistry(province)
    assert again.current("c-value").schema == SECOND == registry.current("c-value").schema
    assert again.schema(10_000).sha256 == fingerprint(FIRST)
    assert [line["id"] for line in lines_of(folders[1])] == ["10000", "10001"]


def test_a_schema_that_is_the_newest_already_keeps_its_id(folders: list[Path]) -> None:
    registry = FileRegistry(folders[:1])
    assert registry.register("a-value", FIRST) == 1
    told_more = json.loads(json.dumps(FIRST)) | {"doc": "the same bytes on the wire"}
    assert FileRegistry(folders[:1]).register("a-value", told_more) == 1
    assert len(lines_of(folders[0])) == 1


def test_an_id_is_not_given_again_after_its_file_was_taken_away(folders: list[Path]) -> None:
    registry = FileRegistry(folders[:1])
    registry.register("a-value", FIRST)
    registry.register("a-value", SECOND)
    (folders[0] / "registry/2.avsc").unlink()
    again = FileRegistry(folders[:1])
    with pytest.raises(UnknownSchema, match=r"ids\.csv:3: schema id 2 of a-value has no file"):
        again.schema(2)
    with pytest.raises(UnknownSchema):
        again.current("a-value")
    assert again.register("a-value", SECOND) == 3
    assert again.current("a-value").id == 3


def test_what_a_caller_does_to_its_schema_later_changes_nothing(folders: list[Path]) -> None:
    registry = FileRegistry(folders[:1])
    schema = json.loads(json.dumps(FIRST))
    registry.register("a-value", schema)
    schema["fields"].clear()
    assert registry.schema(1).schema == FIRST


def test_unknown_ids_and_subjects_are_told_with_a_next_step(folders: list[Path]) -> None:
    registry = FileRegistry(folders)
    with pytest.raises(UnknownSchema, match="no schema has the id 77") as by_id:
        registry.schema(77)
    with pytest.raises(UnknownSchema, match="no schema is registered for x-value") as by_subject:
        registry.current("x-value")
    assert by_id.value.next_step
    assert "contracts register" in by_subject.value.next_step


SHA = fingerprint(FIRST)


@pytest.mark.parametrize(
    ("ids", "avsc", "message"),
    [
        ("id;subject;sha256\n", None, "ids.csv:1: the first line is not id,subject,sha256"),
        ("", None, "ids.csv:1: the first line is not"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n1,b-value,{SHA}\n", FIRST, "ids.csv:3: id 1 was given before"),
        (
            f"id,subject,sha256\n10000,a-value,{SHA}\n",
            None,
            "ids.csv:2: id 10000 is outside this folder's ids",
        ),
        (f"id,subject,sha256\n0,a-value,{SHA}\n", None, "ids.csv:2: id 0 is outside"),
        (f"id,subject,sha256\none,a-value,{SHA}\n", None, "ids.csv:2: a line is id,subject,sha256"),
        ("id,subject,sha256\n1,a-value\n", None, "ids.csv:2: a line is id,subject,sha256"),
        ("id,subject,sha256\n1,a-value,ABC\n", None, "ids.csv:2: the subject or the SHA-256"),
        (f"id,subject,sha256\n1,a value,{SHA}\n", None, "ids.csv:2: the subject or the SHA-256"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n", SECOND, "1.avsc:1: the schema is"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n", "{\n oops", "1.avsc:2: not JSON"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n", 100_000 * "[", "1.avsc:1: nested too deep"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n", 5_000 * "9", "1.avsc:1: nested too deep, or a number too"),
        (f"id,subject,sha256\n1,a-value,{SHA}\n", [], "1.avsc:1: not an Avro record schema"),
        ("id,subject,sha256\n", FIRST, "1.avsc:1: no line of ids.csv gives this file an id"),
        (None, FIRST, "1.avsc:1: no line of ids.csv gives this file an id"),
    ],
)
def test_a_folder_that_breaks_a_rule_is_not_loaded(
    folders: list[Path], ids: str | None, avsc: object, message: str
) -> None:
    registry = folders[0] / "registry"
    registry.mkdir(parents=True)
    if ids is not None:
        (registry / "ids.csv").write_text(ids)
    if avsc is not None:
        (registry / "1.avsc").write_text(avsc if isinstance(avsc, str) else json.dumps(avsc))
    with pytest.raises(ContractError) as error:
        FileRegistry(folders[:1])
    assert message in error.value.message
    assert error.value.message.startswith(str(registry))


@pytest.mark.parametrize("name", ["ids.csv", "1.avsc"])
def test_a_folder_in_place_of_a_file_is_told(folders: list[Path], name: str) -> None:
    FileRegistry(folders[:1]).register("a-value", FIRST)
    path = folders[0] / "registry" / name
    path.unlink()
    path.mkdir()
    told: list[ContractError] = []
    FileRegistry(folders[:1], told.append)
    assert [one.message for one in told] == [f"{path}:1: Is a directory"]
    assert "rights" in told[0].next_step


def test_a_folder_that_cannot_be_written_gets_no_id(folders: list[Path]) -> None:
    registry = FileRegistry(folders)
    folders[1].write_text("no folder")
    with pytest.raises(ContractError, match=rf"{folders[1]}/registry:1: Not a directory") as error:
        registry.register("a-value", FIRST)
    assert "write there" in error.value.next_step
    assert registry.versions("a-value") == []


def test_two_province_folders_that_give_one_id_are_told_apart(folders: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    FileRegistry(folders).register("a-value", FIRST)
    FileRegistry([folders[0], other]).register("b-value", FIRST)
    with pytest.raises(ContractError, match="id 10000 was given before") as error:
        FileRegistry([*folders, other])
    assert str(other) in error.value.message
    assert str(folders[1]) in error.value.message


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (record(("a", {"type": "map", "values": "string"})), "a: type 'map'"),
        (record(("a", {"type": "array", "items": "string"})), "a: type 'array'"),
        (record(("a", {"type": "enum", "name": "E", "symbols": ["x"]})), "a: type 'enum'"),
        (record(("a", {"type": "int", "logicalType": "date"})), "a: logical types"),
        (record(("a", ["null", "string", "long"])), "a: a union must be"),
        (record(("a", ["string"])), "a: a union must be"),
        (record(("a", "null")), "a: type 'null'"),
        (record(("a", ["null", "R"])), "a: type 'R'"),  # a record within itself
        (record(("a", "string"), ("a", "string")), "the schema: two fields have one name"),
        (record(("__row", "string")), "__row: a name has"),
        (record(("họ tên", "string")), "họ tên: a name has"),
        (record(("a", record(("b", record(("c", "strin"), name="T")), name="S"))), "a.b.c: type 'strin'"),
        (record(), "the schema: a record must have fields"),
        ({"type": "record", "fields": [{"name": "a", "type": "long"}]}, "not an Avro schema"),
        (record(("a", record(("b", "long")))), "not an Avro schema"),  # two records named R
    ],
)
def test_a_schema_that_does_not_travel_in_columns_gets_no_id(
    folders: list[Path], schema: dict[str, Any], message: str
) -> None:
    registry = FileRegistry(folders[:1])
    with pytest.raises(ContractError) as error:
        registry.register("a-value", schema)
    assert message in error.value.message
    assert error.value.message.startswith("a-value: ")
    assert not (folders[0] / "registry").exists()


def test_a_subject_must_be_plain(folders: list[Path]) -> None:
    with pytest.raises(ContractError, match="use letters"):
        FileRegistry(folders[:1]).register("a,b", FIRST)


@pytest.mark.parametrize(
    "schema",
    [
        FIRST,
        FIRST | {"namespace": "province.hotich_qnam.khaisinh", "doc": "văn bản", "aliases": ["Cu"]},
        record(("a", ["null", record(("b", "long"), name="Value")]), ("c", ["null", "Value"]))
        | {"namespace": "x.y"},
        record(("a", {"type": "string"}), name="x.y.R"),
        record(("a", record(("b", ["double", "null"]), name="other.space.S"))) | {"namespace": "x"},
        json.loads((SHIPPED / "registry/1.avsc").read_text()),
        json.loads((SHIPPED / "registry/2.avsc").read_text()),
    ],
)
def test_the_fingerprint_is_the_one_that_apache_avro_computes(schema: dict[str, Any]) -> None:
    before = json.dumps(schema)
    assert fingerprint(schema) == avro.schema.parse(before).fingerprint("sha256").hex()
    assert json.dumps(schema) == before


def test_a_property_that_canonical_form_strips_leaves_the_fingerprint_alone() -> None:
    # Avro's rules: strip what parsing does not need, and write a primitive type as its bare name. (Apache's
    # Python library leaves {"type": "string"} here; so this case is held against the rules, and not against
    # it.)
    told_more = record(("so", ["null", {"type": "string", "avro.java.string": "String"}]))
    assert fingerprint(told_more) == fingerprint(FIRST)
