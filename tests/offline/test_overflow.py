"""What a source has and a format has no place for goes whole into one text beside the record."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import decode, encode
from schemas.contracts import COLUMN_TYPES, AvroType
from schemas.errors import ContractError
from schemas.gates.coverage import beyond
from schemas.library import Library, load_library
from schemas.mapping import Translated, Translator
from schemas.overflow import Overflow, kept_columns, lossy_columns, without_room
from tests.envelopes import GOOD, event, frame
from tests.provinces import CONTRACT, write_contract, write_format
from tests.shipped import shipped

FORMAT = "thu.hoso.v1"
LINES: dict[str, Any] = {
    "phi": {"table": "p", "on": {"hoso_id": "id"}, "columns": {"tien": "long", "kho\u00e1": "string"}},
    "nop": {"table": "n", "on": {"hoso_id": "id"}, "columns": {"noi": "string", "so": "long"}, "one": True},
}
COPIED = {"rule": "copy", "from": "ma"}

NAMES = ["a", "B", "ghi chú", 'say "so"', "x.y", "é", "\U0001f9ea", "10", "9"]
VALUES: dict[AvroType, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(
        ["", " ", '"', "\\", '\\"', "\x00", "\x1f\x7f", "\n\r\t\b\f", "null", "{}", "Nguyễn", "Ê"]
    ),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(),
    "boolean": st.booleans(),
}


def of_one_row(row: dict[str, Any]) -> str | None:
    """The oracle: one record in plain Python."""
    there = {name: value for name, value in row.items() if value is not None}
    text = json.dumps(there, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text if there else None


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, AvroType], list[dict[str, Any]]]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    columns = {name: draw(st.sampled_from(sorted(VALUES))) for name in names}
    row = st.fixed_dictionaries({name: st.none() | VALUES[avro] for name, avro in columns.items()})
    return columns, draw(st.lists(row, max_size=12))


@settings(max_examples=300)
@given(table=tables())
def test_columns_say_what_the_oracle_says(table: tuple[dict[str, AvroType], list[dict[str, Any]]]) -> None:
    columns, rows = table
    source = pl.DataFrame(rows, schema={name: COLUMN_TYPES[avro] for name, avro in columns.items()})
    found = Overflow(columns).of(source.with_columns(pl.lit("x").alias("another")))
    assert (found.name, len(found)) == ("lt_overflow", len(rows))
    numbers = {name for name, avro in columns.items() if avro == "double"}
    for text, row in zip(found, rows, strict=True):
        if any(row[name] is not None for name in numbers):
            # A number has several spellings; and what is no number in JSON is told as a text.
            told = json.loads(text)
            assert list(told) == sorted(name for name, value in row.items() if value is not None)
            for name, value in told.items():
                alike = float(value) if name in numbers else value
                assert alike == row[name] or (math.isnan(alike) and math.isnan(row[name]))
        else:
            assert text == of_one_row(row)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_format(tmp_path, FORMAT, "ma", "ten", "noi", "phi")
    return tmp_path


def library_of(folder: Path, fields: dict[str, Any], **more: object) -> Library:
    target = {"fields": {"ma": COPIED, **fields}} | more.pop("target", {})  # type: ignore[operator]
    write_contract(folder, "thu/hoso", {**CONTRACT, "targets": {FORMAT: target}, **more})
    return load_library([folder])


def kept(folder: Path, fields: dict[str, Any], **more: object) -> list[str]:
    contract = library_of(folder, fields, **more).contracts["thu/hoso"]
    return list(kept_columns(contract, contract.targets[0]))


def test_what_no_field_is_obtained_from_is_kept(folder: Path) -> None:
    assert kept(folder, {}) == ["loai", "ten"]
    assert kept(folder, {"ten": {"rule": "join", "from": ["ten", "loai"]}}) == []
    checks = [{"rule": "form", "from": "ten", "forms": ["a"]}]
    assert kept(folder, {}, target={"checks": checks}) == ["loai", "ten"], "to look at it tells nobody"


def test_what_chooses_records_is_told_by_their_being_there_if_one_value_does(folder: Path) -> None:
    status = {"column": "loai", "live": ["1"], "gone": ["0"]}
    assert kept(folder, {}, status=status) == ["ten"]
    assert kept(folder, {}, status=status | {"live": ["1", "2"]}) == ["loai", "ten"]
    assert kept(folder, {}, target={"only": {"column": "loai", "is": ["1"]}}) == ["ten"]
    assert kept(folder, {}, target={"only": {"column": "loai", "is": ["1", "2"]}}) == ["loai", "ten"]


def test_a_set_of_lines_is_kept_whole_unless_every_column_has_a_place(folder: Path) -> None:
    items = [{"name": name, "label": name, "required": False} for name in ("tien", "khoa")]
    path = folder / "formats/thu/hoso/v1.avsc"
    national = json.loads(path.read_text(encoding="utf-8"))
    national["fields"][3]["items"] = items
    path.write_text(json.dumps(national), encoding="utf-8")
    first, second = {"rule": "copy", "from": "tien"}, {"rule": "copy", "from": "kho\u00e1"}
    some = {"phi": {"rule": "list", "from": "phi", "fields": {"tien": first}}}
    every = {"phi": {"rule": "list", "from": "phi", "fields": {"tien": first, "khoa": second}}}
    assert kept(folder, {}, lines=LINES) == ["loai", "ten", "phi", "nop.noi", "nop.so"]
    assert kept(folder, some, lines=LINES) == ["loai", "ten", "phi", "nop.noi", "nop.so"]
    assert kept(folder, every, lines=LINES) == ["loai", "ten", "nop.noi", "nop.so"]
    noi = {"noi": {"rule": "copy", "from": "nop.noi"}}
    assert kept(folder, noi, lines=LINES) == ["loai", "ten", "phi", "nop.so"]
    assert kept(folder, {"noi": {"rule": "copy", "from": "nop"}}, lines=LINES) == ["loai", "ten", "phi"]


def with_items(folder: Path, **items: list[dict[str, Any]]) -> None:
    """Give the field ``phi`` these items, and items of items."""
    path = folder / "formats/thu/hoso/v1.avsc"
    national = json.loads(path.read_text(encoding="utf-8"))
    told = [
        {"name": name, "label": name, "required": False, **({"items": within} if within else {})}
        for name, within in items.items()
    ]
    next(one for one in national["fields"] if one["name"] == "phi")["items"] = told
    path.write_text(json.dumps(national), encoding="utf-8")


def test_a_list_of_a_column_of_json_is_no_place_for_it(folder: Path) -> None:
    """Nobody knows which keys the source's objects have besides those that are read."""
    with_items(folder, tien=[])
    of_ten = {"rule": "list", "from": "ten", "fields": {"tien": {"rule": "copy", "from": "x"}}}
    assert kept(folder, {"phi": of_ten}) == ["loai", "ten"]
    assert kept(folder, {"phi": of_ten, "noi": {"rule": "copy", "from": "ten"}}) == ["loai"]
    case = {"if": {"column": "ten", "is": ["[]"]}, "then": of_ten}
    assert kept(folder, {"phi": {"rule": "when", "cases": [case]}}) == ["loai", "ten"]
    library = library_of(folder, {"phi": of_ten})
    (text,) = translated(library, event(row(ten='[{"x":"5","y":"6"}]'))).national[FORMAT]["lt_overflow"]
    assert json.loads(text) == {"ten": '[{"x":"5","y":"6"}]'}


def test_lines_that_a_rule_chooses_or_reads_deeper_count_by_what_is_read(folder: Path) -> None:
    with_items(folder, tien=[], khoa=[{"name": "k", "label": "k", "required": False}])
    first = {"rule": "copy", "from": "tien"}
    some = {"rule": "list", "from": "phi", "fields": {"tien": first}}
    case = {"if": {"column": "loai", "is": ["1"]}, "then": some}
    assert kept(folder, {"phi": {"rule": "when", "cases": [case]}}, lines=LINES)[-3:] == [
        "phi", "nop.noi", "nop.so",
    ]  # fmt: skip
    deeper = {"rule": "list", "from": "kho\u00e1", "fields": {"k": {"rule": "copy", "from": "k"}}}
    every = some | {"fields": {"tien": first, "khoa": deeper}}
    assert "phi" in kept(folder, {"phi": every}, lines=LINES), "keys of the inner objects may be left"


def test_a_column_of_lines_that_is_not_there_is_told_wherever_the_list_stands(folder: Path) -> None:
    with_items(folder, tien=[])
    typo = {"rule": "list", "from": "phi", "fields": {"tien": {"rule": "copy", "from": "tein"}}}
    case = {"if": {"column": "loai", "is": ["1"]}, "then": typo}
    with pytest.raises(ContractError, match="the source has no column tein"):
        library_of(folder, {"phi": {"rule": "when", "cases": [case]}}, lines=LINES)


def translated(library: Library, *events: dict[str, Any]) -> Translated:
    contract = library.contracts["thu/hoso"]
    return Translator(contract, library).translate(frame(list(events), contract))


def row(**more: object) -> dict[str, Any]:
    return {"id": 1, "ma": "A", "loai": None, "ten": None, **more}


def test_only_records_in_force_carry_it_and_as_it_is_written(folder: Path) -> None:
    library = library_of(folder, {}, missing=["không rõ"])
    one = translated(
        library,
        event(row(ten="  không rõ\x00", loai="")),
        event(row(ma="C", ten="x"), row(ma="B", ten="y"), op="u"),
        event(None, row(ten="z"), op="d"),
        event(row(ma="D")),
    ).national[FORMAT]
    assert one.select("lt_op", "lt_key", "lt_overflow").rows() == [
        ("u", "A", '{"loai":"","ten":"  không rõ\\u0000"}'),
        ("d", "B", None),
        ("u", "C", '{"ten":"x"}'),
        ("d", "A", None),
        ("u", "D", None),
    ]


def test_lines_are_kept_as_they_are_on_the_wire(folder: Path) -> None:
    library = library_of(folder, {}, lines=LINES)
    lines = row(phi='[{"tien":5}]', nop='[{"noi":"Hội An","so":7}]')
    (text,) = translated(library, event(lines)).national[FORMAT]["lt_overflow"]
    assert json.loads(text) == {"nop.noi": "Hội An", "nop.so": 7, "phi": '[{"tien":5}]'}


def test_a_contract_leaves_out_what_a_person_says_and_why(folder: Path) -> None:
    library = library_of(folder, {}, left_out={"ten": "bí mật nhà nước"})
    (text,) = translated(library, event(row(ten="x", loai="y"))).national[FORMAT]["lt_overflow"]
    assert text == '{"loai":"y"}'
    contract = library.contracts["thu/hoso"]
    assert dict(beyond(contract, contract.targets[0]).left_out) == {"ten": "bí mật nhà nước"}


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        ({"tenn": "x"}, "the source has no column tenn"),
        ({"ten": ""}, "left_out.ten"),
        ({"ma": "x"}, "ma is a key, or rules of every target read it"),
        ({"id": "x"}, "id is a key, or rules of every target read it"),
    ],
)
def test_what_cannot_be_left_out_is_told_with_its_line(folder: Path, left_out: object, text: str) -> None:
    with pytest.raises(ContractError, match=text) as caught:
        library_of(folder, {}, left_out=left_out)
    assert "hoso.yaml:" in caught.value.message
    assert caught.value.next_step


def test_an_inbound_target_never_carries_it() -> None:
    """The receiver is someone else's system: it gets the fields of its own layout and not a word more."""
    library = shipped()
    for contract in library.inbound:
        for target in contract.targets:
            assert without_room(contract, target), "else this says nothing"
            assert list(kept_columns(contract, target)) == []
        source = {name: ["1"] for name in contract.columns}
        sender = {"lt_op": ["u"], "lt_system": ["khac"], "lt_dataset": ["khac"], "lt_source_key": ["1"]}
        more = {"lt_seq": [1], "lt_committed_ms": [0], "lt_answers": [True], "lt_overflow": ['{"mật":"x"}']}
        changes = pl.DataFrame({**source, **sender, **more, "__row": pl.Series([0], dtype=pl.UInt32)})
        for national in Translator(contract, library).translate(changes).national.values():
            assert national["lt_overflow"].null_count() == len(national)


def test_births_keep_the_number_only_where_the_layout_has_no_field_for_it() -> None:
    library = shipped()
    contract = library.contracts["hotich_qnam/khaisinh"]
    one = Translator(contract, library).translate(frame([event(GOOD)], contract))
    assert [national["lt_overflow"].to_list() for national in one.national.values()] == [
        ['{"du_lieu_cu":false,"so_dinh_danh":"049316000001"}'],
        ['{"du_lieu_cu":false}'],
    ]


def test_what_only_lossy_rules_read_is_told(folder: Path) -> None:
    def lossy(fields: dict[str, Any]) -> list[str]:
        contract = library_of(folder, fields).contracts["thu/hoso"]
        return list(lossy_columns(contract, contract.targets[0]))

    match = {"rule": "match", "from": "ten", "cases": [{"form": "a", "value": "1"}], "otherwise": "2"}
    first = {"rule": "split", "from": "ten", "separator": "-", "part": "first"}
    assert lossy({"ten": match}) == ["ten"]
    assert lossy({"ten": match, "noi": {"rule": "copy", "from": "ten"}}) == []
    assert lossy({"ten": first}) == ["ten"]
    assert lossy({"ten": first, "noi": first | {"part": "rest"}}) == []
    assert lossy({"ten": first, "noi": first | {"part": "rest", "separator": "/"}}) == ["ten"]
    assert lossy({"ten": {"rule": "join", "from": ["ten", "loai"]}}) == ["loai", "ten"]
    assert lossy({"ten": {"rule": "join", "from": ["ten"]}}) == []
    assert lossy({"ten": {"rule": "date", "from": "ten", "precision": "kept"}}) == ["ten"], "a time of day"
    assert lossy({"ten": {"rule": "moment", "from": "ten"}}) == ["ten"], "parts of a second"
    with_items(folder, tien=[])
    of_ten = {"rule": "list", "from": "ten", "fields": {"tien": match | {"from": "x"}}}
    assert lossy({"phi": of_ten}) == [], "kept whole"


def test_records_of_before_can_be_read_beside_those_that_carry_it() -> None:
    """The format's schema has grown by the field: old records on the topic are read as having none."""
    library = shipped()
    contract = library.contracts["hotich_qnam/khaisinh"]
    national = library.formats["hotich.khaisinh.v1"]
    now = Translator(contract, library).translate(frame([event(GOOD)], contract)).national[national.full_id]
    old, new = library.registry.versions(national.subject)[0], library.registry.current(national.subject)
    assert [field["name"] for field in new.schema["fields"] if field not in old.schema["fields"]] == [
        "lt_overflow"
    ]
    values = encode(now.drop("__row", "lt_overflow"), old) + encode(now.drop("__row"), new)
    read = decode(values, registry=library.registry, subject=national.subject)
    assert not read.faults
    before, after = (group for _, group in read.groups)
    assert before.drop("__row").equals(now.drop("__row", "lt_overflow"))
    assert after.drop("__row").equals(now.drop("__row"))
