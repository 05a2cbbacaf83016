"""What a comparison is made of, without a database: typed rows, differences, deletes told backwards."""

from typing import Any

import polars as pl
import pytest

from producers.outbox import Capture
from producers.rows import Frame, typed
from schemas.differences import Difference, Made, Refusal, compare, compared
from schemas.inverse import images_of
from schemas.mapping import Translator
from schemas.national import parts_of
from schemas.sides import Unfit
from schemas.sums import Sum, lots, unequal, wrapped
from tests.short_road import FORMAT, made_library
from tests.store_lab import BOOK, national_format

CAPTURE = Capture(
    dataset="thu/so",
    table="so",
    key=("id",),
    columns={"id": "long", "ten": "string", "diem": "double", "con": "boolean"},
)


def frame(*rows: tuple[str | None, ...], **broken: str) -> Frame:
    schema = dict.fromkeys(("key", *CAPTURE.columns), pl.String())
    return Frame(pl.DataFrame([(row[0], *row) for row in rows], schema=schema, orient="row"), broken)


def test_texts_of_a_database_become_what_the_road_would_deliver() -> None:
    rows, unfit = typed(
        CAPTURE, frame(("1", "", "0.1", "true"), ("5.0", None, "NaN", "0"), ("7", "Đỗ", "-Infinity", None))
    )
    assert unfit == {}
    assert rows["id"].to_list() == [1, 5, 7]
    assert rows["ten"].to_list() == ["", None, "Đỗ"]
    assert (rows["diem"][0], str(rows["diem"][1]), rows["diem"][2]) == (0.1, "nan", float("-inf"))
    assert rows["con"].to_list() == [True, False, None]


def test_rows_that_cannot_be_sent_are_told_with_their_column() -> None:
    one = frame(
        ("x1", "a", "1", "true"), ("2", "a", "hai", "true"), ("3", "a", "1", "7"), ("4", "\ufffd", "1", None)
    )
    rows, unfit = typed(CAPTURE, Frame(one.rows, {"4": "ten"}))
    assert unfit == {
        "x1": Unfit("id", "type_mismatch"),
        "2": Unfit("diem", "type_mismatch"),
        "3": Unfit("con", "type_mismatch"),
        "4": Unfit("ten", "utf8_invalid"),
    }
    assert len(rows) == 4


def test_a_key_is_told_in_its_parts() -> None:
    assert parts_of("a%7Cb|50%25|") == ["a|b", "50%", ""]


def test_sums_wrap_round_as_64_bits_do() -> None:
    assert [wrapped(n) for n in (2**63 - 1, 2**63, -(2**63) - 1, 2**64)] == [
        2**63 - 1,
        -(2**63),
        2**63 - 1,
        0,
    ]
    assert unequal({"a": Sum(1, 2), "b": Sum(1, 1)}, {"a": Sum(1, 2), "b": Sum(2, 1), "c": Sum(1, 1)}) == {
        "b",
        "c",
    }
    assert list(lots(["a", "b", "c"], {"a": 9, "b": 2, "c": 1}, 3)) == [["a"], ["b", "c"]]


# --- differences -------------------------------------------------------------------------------------


def national(*rows: tuple[Any, ...], stored: bool) -> pl.DataFrame:
    fields = {name: pl.String() for name in compared(BOOK)[1:]}
    names = {"lt_source_key": pl.String(), "lt_key": pl.String()}
    more = {"lt_seq": pl.Int64()} if stored else {}
    made = pl.DataFrame(rows, schema={**names, **more, **fields}, orient="row")
    made = made.with_columns(lt_overflow=pl.lit(None, pl.String))
    return made if stored else made.with_row_index("__row")


def differences(
    expected: list[tuple[Any, ...]], stored: list[tuple[Any, ...]], **refused: Refusal
) -> list[tuple[str, str, tuple[str, ...], str | None]]:
    made = Made({BOOK.full_id: national(*expected, stored=False)}, refused)
    keys = [row[0] for row in expected] + list(refused)
    found = compare(BOOK, made, keys, national(*stored, stored=True))
    return sorted((one.kind, one.source_key, one.fields, one.stored_key) for one in found)


def test_a_missing_value_is_not_an_empty_one() -> None:
    found = differences([("p1", "K1", "K1", None, "a")], [("p1", "K1", 3, "K1", "", "a")])
    assert found == [("different", "p1", ("hoTen",), "K1")]
    assert differences([("p1", "K1", "K1", None, "a")], [("p1", "K1", 3, "K1", None, "a")]) == []


@pytest.mark.parametrize("name", ["held", "made"])
def test_a_field_may_have_any_name_that_a_format_allows(name: str) -> None:
    book = national_format("so", name, "ghiChu")
    made = Made(
        {book.full_id: national(("p1", "K1", "K1", "a", None), stored=False).rename({"hoTen": name})}, {}
    )
    stored = national(("p1", "K1", 3, "K1", "a", None), stored=True).rename({"hoTen": name})
    assert compare(book, made, ["p1"], stored) == []
    (one,) = compare(book, made, ["p1"], stored.with_columns(pl.lit("b").alias(name)))
    assert (one.kind, one.fields) == ("different", (name,))


def test_a_record_that_stands_elsewhere_and_one_that_also_stands_elsewhere() -> None:
    expected = [("p1", "K1", "K1", None, None), ("p2", "K2", "K2", None, None)]
    stored = [
        ("p1", "K9", 1, "K9", None, None),
        ("p2", "K2", 1, "K2", None, None),
        ("p2", "K8", 1, "K8", None, None),
    ]
    assert differences(expected, stored) == [("different", "p1", ("so",), "K9"), ("extra", "p2", (), "K8")]


def test_a_refused_record_is_missing_or_different_but_not_extra() -> None:
    stored = [("p1", "K1", 1, "K1", None, None)]
    refusal = Refusal("hoTen", "code_unknown")
    assert differences([], stored, p1=refusal, p2=refusal) == [
        ("different", "p1", ("hoTen",), "K1"),
        ("missing", "p2", ("hoTen",), None),
    ]


# --- backwards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("so", "last", "image"),
    [
        ("S9", {}, {"id": 999, "so": "S9"}),
        # What the outbox knows goes before what is guessed, if it gives the same key.
        ("S9", {"999": '{"id": 999, "so": "S9", "con": true}'}, {"id": 999, "so": "S9", "con": True}),
        ("S9", {"999": '{"id": 999, "so": "S8"}'}, {"id": 999, "so": "S9"}),
        # The contract makes no such key of anything: spaces at the end go.
        ("S9 ", {}, None),
        (None, {}, None),
    ],
)  # fmt: skip
def test_a_delete_is_told_only_if_the_contract_confirms_its_key(
    so: str | None, last: dict[str, str], image: dict[str, Any] | None
) -> None:
    _, library = made_library()
    contract = library.contracts["thu_qnam/nguoi"]
    gone = Difference(
        kind="extra", format=FORMAT, source_key="999", there=False, stored_key=so or "", stored={"so": so}
    )
    found = images_of(contract, Translator(contract, library), {"999": [gone]}, last)
    assert found == ({} if image is None else {"999": dict.fromkeys(contract.columns) | image})


def test_a_record_whose_key_fits_no_column_is_left_out_and_the_others_are_told() -> None:
    _, library = made_library()
    contract = library.contracts["thu_qnam/nguoi"]
    gone = {
        key: [
            Difference(
                kind="extra", format=FORMAT, source_key=key, there=False, stored_key="S1", stored={"so": "S1"}
            )
        ]
        for key in ("1x", "01", "7")
    }
    assert list(images_of(contract, Translator(contract, library), gone, {})) == ["7"]
