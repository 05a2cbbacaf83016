"""What a translation promises besides the values of fields."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import ContractError
from schemas.library import SHIPPED, Library, load_library
from schemas.mapping import Translated, Translator
from tests.envelopes import GOOD, event, frame
from tests.shipped import shipped

TARGET = "hotich.khaisinh.v1"
CONTRACT = "hotich_qnam/khaisinh"


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped()


@pytest.fixture(scope="module")
def translator(library: Library) -> Translator:
    return Translator(library.contracts[CONTRACT], library)


def translated(translator: Translator, library: Library, *events: Mapping[str, Any]) -> Translated:
    return translator.translate(frame(list(events), library.contracts[CONTRACT]))


def test_the_result_is_ready_for_the_wire(translator: Translator, library: Library) -> None:
    one = translated(translator, library, event(GOOD, seq=77))
    national = one.national[TARGET]
    fields = library.registry.current("national.hotich.khaisinh.v1-value").schema["fields"]
    assert national.columns == [*(field["name"] for field in fields), "__row"]
    types = {"string": pl.String, "long": pl.Int64, "boolean": pl.Boolean}
    for field in fields:
        assert national.schema[field["name"]] == types[field["type"][1]]
    assert national.schema["__row"] == pl.UInt32
    row = national.to_dicts()[0]
    assert row["lt_key"] == "20656|01/2016|45/2016|04.05.2016"
    assert (row["lt_op"], row["lt_answers"], row["lt_seq"], row["lt_source_key"]) == ("u", True, 77, "1001")
    assert (row["lt_system"], row["lt_dataset"]) == ("hotich_qnam", "khaisinh")
    assert (row["lt_contract"], row["lt_warnings"]) == ("hotich_qnam/khaisinh@2", None)


def test_what_the_contract_does_not_map_stays_missing(translator: Translator, library: Library) -> None:
    row = translated(translator, library, event(GOOD)).national[TARGET].to_dicts()[0]
    mapped = set(library.contracts[CONTRACT].targets[0].rules)
    fields = {field.name for field in library.formats[TARGET].fields}
    assert {name for name in fields if row[name] is not None} == mapped


def test_every_row_is_answered_once(translator: Translator, library: Library) -> None:
    moved = event(GOOD, {**GOOD, "so_dk": "46"}, op="u")
    refused = event({**GOOD, "ngay_dk": "x"}, {**GOOD, "so_dk": "46"}, op="u")
    one = translated(translator, library, event(GOOD), moved, refused, event(None, GOOD, op="d"))
    answers = one.national[TARGET].filter("lt_answers")["__row"].to_list() + one.rejects["__row"].to_list()
    assert sorted(answers) == [0, 1, 2, 3]
    assert one.national[TARGET].select("__row", "lt_op", "lt_answers").rows() == [
        (0, "u", True), (1, "d", False), (1, "u", True), (3, "d", True),
    ]  # fmt: skip


def test_a_delete_carries_no_more_than_the_key(translator: Translator, library: Library) -> None:
    gone = event({**GOOD, "trang_thai": 9})
    for one in (event(None, GOOD, op="d"), gone):
        row = translated(translator, library, one).national[TARGET].to_dicts()[0]
        fields = {field.name for field in library.formats[TARGET].fields}
        assert {name for name in fields if row[name] is not None} == {
            "noiDangKy",
            "quyenSo",
            "so",
            "ngayDangKy",
        }
        assert row["lt_warnings"] is None


def test_warnings_are_in_the_row_and_in_long_form(translator: Translator, library: Library) -> None:
    one = translated(translator, library, event(GOOD), event({**GOOD, "so_dinh_danh": "001190000001"}))
    told = "so_dinh_danh:personal_id_prefix,so_dinh_danh:personal_id_birth"
    assert one.national[TARGET]["lt_warnings"].to_list() == [None, told]
    assert one.warnings.rows() == [
        (1, "so_dinh_danh", "personal_id_prefix"),
        (1, "so_dinh_danh", "personal_id_birth"),
    ]


def test_a_refused_row_warns_of_nothing(translator: Translator, library: Library) -> None:
    one = translated(translator, library, event({**GOOD, "so_dinh_danh": "1", "ho_ten": None}))
    assert one.rejects.rows() == [(0, 1, "1001", "nksHoTen", "required_missing", "hotich_qnam", "khaisinh")]
    assert one.warnings.is_empty()


def test_keys_that_would_run_together_are_escaped(translator: Translator, library: Library) -> None:
    pairs = [("1|2", "3"), ("1", "2|3"), ("1%7C2", "3"), ("1", "2")]
    events = [event({**GOOD, "quyen_so": book, "so_dk": number}) for book, number in pairs]
    keys = translated(translator, library, *events).national[TARGET]["lt_key"].to_list()
    assert [key.split("|", 1)[1].rsplit("|", 1)[0] for key in keys] == [
        "1%7C2|3",
        "1|2%7C3",
        "1%257C2|3",
        "1|2",
    ]
    assert len(set(keys)) == 4


def test_a_column_that_an_older_schema_does_not_have_is_missing(
    translator: Translator, library: Library
) -> None:
    events = frame([event(GOOD)], library.contracts[CONTRACT])
    after = events["after"].struct.unnest().drop("trang_so", "so_dinh_danh").to_struct("after")
    row = translator.translate(events.with_columns(after)).national[TARGET].to_dicts()[0]
    assert (row["trangSo"], row["so"]) == (None, "45/2016")


def test_a_column_of_another_type_is_told(translator: Translator, library: Library) -> None:
    events = frame([event(GOOD)], library.contracts[CONTRACT])
    after = events["after"].struct.unnest().with_columns(trang_thai=pl.lit("1")).to_struct("after")
    with pytest.raises(ContractError, match="column trang_thai comes as String, the contract says long"):
        translator.translate(events.with_columns(after))


def test_more_rows_than_were_made_ready(translator: Translator, library: Library) -> None:
    events = [event({**GOOD, "id": at}, seq=at) for at in range(5000)]
    national = translated(translator, library, *events).national[TARGET]
    assert len(national) == 5000
    assert national["lt_system"].unique().to_list() == ["hotich_qnam"]
    assert national["lt_source_key"].to_list() == [str(at) for at in range(5000)]


def test_rows_keep_their_numbers_whatever_these_are(translator: Translator, library: Library) -> None:
    """A batch has holes where bytes could not be read."""
    moved = event(GOOD, {**GOOD, "so_dk": "46"}, op="u")
    refused = event({**GOOD, "ngay_dk": "x"}, {**GOOD, "so_dk": "46"}, op="u")
    events = frame([event(GOOD), refused, moved, event(None, GOOD, op="d")], library.contracts[CONTRACT])
    numbered = events.with_columns(pl.Series("__row", [3, 7, 8, 4_000_000_000], pl.UInt32))
    one = translator.translate(numbered)
    assert one.national[TARGET]["__row"].to_list() == [3, 8, 8, 4_000_000_000]
    assert one.rejects["__row"].to_list() == [7]


def test_rules_that_wait_for_each_other_are_refused(library: Library) -> None:
    contract = library.contracts[CONTRACT]
    target = contract.targets[0]
    place = target.rules["noiDangKy"].model_copy(update={"at": "noiDangKy"})
    wrong = replace(contract, targets=(replace(target, rules={**target.rules, "noiDangKy": place}),))
    with pytest.raises(ContractError, match="wait for each other: noiDangKy"):
        Translator(wrong, library)


def test_the_same_batch_gives_the_same_result_in_every_thread(
    translator: Translator, library: Library
) -> None:
    changes = [{"dan_toc": "CƠ TU"}, {"ngay_sinh": "5/2016"}, {"ho_ten": "A B"}, {"cha_dan_toc": "?"}, {}]
    events = frame([event({**GOOD, **change}) for change in changes * 20], library.contracts[CONTRACT])
    first = translator.translate(events)
    found: list[Translated] = []

    def work() -> None:
        found.extend(translator.translate(events) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for one in found:
        assert one.national[TARGET].equals(first.national[TARGET])
        assert one.rejects.equals(first.rejects)


@pytest.fixture
def two_targets(tmp_path: Path) -> Library:
    """A province that feeds a second format, which asks for the page too, from the same records."""
    national = (SHIPPED / "formats" / "hotich" / "khaisinh" / "v1.avsc").read_text(encoding="utf-8")
    at = national.index('"name": "trangSo"')
    national = national[:at] + national[at:].replace('"required": false', '"required": true', 1)
    contract = (SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml").read_text(encoding="utf-8")
    stricter = "\n  hotich.giaykhaisinh.v1:\n    like: hotich.khaisinh.v1\n"
    for path, text in (
        ("formats/hotich/giaykhaisinh/v1.avsc", national),
        ("contracts/other/births.yaml", contract + stricter),
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return load_library([tmp_path])


def test_a_target_like_another_has_its_rules_and_checks(two_targets: Library) -> None:
    first, *_, second = two_targets.contracts["other/births"].targets
    assert second.format == "hotich.giaykhaisinh.v1"
    assert second.rules == first.rules
    assert second.checks == first.checks


def test_an_event_goes_to_all_targets_or_to_none(two_targets: Library) -> None:
    contract = two_targets.contracts["other/births"]
    events = [event(GOOD), event({**GOOD, "trang_so": None}), event({**GOOD, "so_dinh_danh": "1"})]
    one = Translator(contract, two_targets).translate(frame(events, contract))
    assert {name: rows["__row"].to_list() for name, rows in one.national.items()} == {
        "hotich.khaisinh.v1": [0, 2],
        "hotich.khaisinh.v2": [0, 2],
        "hotich.giaykhaisinh.v1": [0, 2],
    }
    assert one.rejects.select("__row", "field", "rule").rows() == [(1, "trangSo", "required_missing")]
    assert one.warnings.rows() == [(2, "so_dinh_danh", "personal_id_form")]
