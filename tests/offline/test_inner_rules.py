"""Rules that hold rules, from the file of a contract to the national change."""

import json
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.errors import ContractError
from schemas.library import load_library
from schemas.mapping import Translated, Translator
from schemas.rules.lists import items_of
from tests.envelopes import event, frame

ITEMS: list[dict[str, Any]] = [
    {"name": "ma", "label": "Mã xã", "required": True, "code_list": "dvhc.xa", "evidence": "I"},
    {"name": "soTien", "label": "Số tiền", "required": False},
    {"name": "ngay", "label": "Ngày", "required": False, "date_form": "yyyyMMdd"},
    {"name": "con", "label": "Các phần", "required": False,
     "items": [{"name": "ten", "label": "Tên", "required": True}]},
]  # fmt: skip

CONTRACT = """\
title: Made up for a test
owner: Nobody
version: 1
table: t
key: [id]
columns: {id: string, ngay: string, loai: string, ten: string, ten_cu: string, phat: string,
  moi: boolean, so: long}
missing: [không rõ]
targets:
  thu.phat.v1:
    fields:
      So: {rule: copy, from: id}
      Ngay: {rule: date, from: ngay, precision: day}
      Ten:
        rule: when
        required: true
        cases:
          - if: {column: loai, is: [cũ, rất cũ]}
            then: {rule: name, from: ten_cu}
          - if: {column: loai, missing: true}
            then: {rule: constant, value: Không tên}
        otherwise: {rule: name, from: ten}
      Phat:
        rule: list
        from: phat
        fields:
          con: {rule: list, from: con, fields: {ten: {rule: copy, from: t}}}
          soTien: {rule: number, from: tien}
          ma: {rule: code_at, from: xa, list: dvhc.xa, at: Ngay}
          ngay: {rule: date, from: ngay, precision: day}
"""
NFD = unicodedata.normalize("NFD", "rất cũ")
ROW = {"id": "1", "ngay": "4/5/2016", "loai": "mới", "ten": "NGUYỄN THỬ", "ten_cu": "LÊ CŨ", "phat": None}


def field(position: int, name: str, **more: Any) -> dict[str, Any]:
    told = {"required": False, "sensitivity": "personal", "basis": "made up", "evidence": "V"}
    place = {"name": name, "type": ["null", "string"], "default": None, "position": position, "label": name}
    return {**place, **told, **more}


def folder(path: Path, contract: str = CONTRACT, items: list[dict[str, Any]] = ITEMS) -> Path:
    fields = [
        field(1, "So", required=True, sensitivity="public"),
        field(2, "Ngay", date_form="dd.MM.yyyy"),
        field(3, "Ten"),
        field(4, "Phat", items=items),
    ]
    told = {"type": "record", "name": "Phat", "namespace": "thu", "title": "Thử", "doc": "made up"}
    for name, text in (
        ("formats/thu/phat/v1.avsc", json.dumps({**told, "key": ["So"], "fields": fields}, indent=1)),
        ("contracts/thu/phat.yaml", contract),
    ):
        (path / name).parent.mkdir(parents=True)
        (path / name).write_text(text, encoding="utf-8")
    return path


Translate = Callable[..., Translated]


@pytest.fixture(scope="module")
def translate(tmp_path_factory: pytest.TempPathFactory) -> Translate:
    """Translates rows, each told by its differences from ``ROW``."""
    library = load_library([folder(tmp_path_factory.mktemp("library"))])
    contract = library.contracts["thu/phat"]
    translator = Translator(contract, library)

    def of_rows(*rows: dict[str, str | None]) -> Translated:
        return translator.translate(frame([event({**ROW, **row}) for row in rows], contract))

    return of_rows


def values(one: Translated, name: str) -> list[str | None]:
    return one.national["thu.phat.v1"][name].to_list()


def test_the_first_case_that_holds_decides(translate: Translate) -> None:
    rows: list[dict[str, str | None]] = [
        {"loai": "mới"},
        {"loai": " rất  cũ "},
        {"loai": "Cũ"},
        {"loai": "Không rõ"},
    ]
    assert values(translate(*rows), "Ten") == ["Nguyễn Thử", "Lê Cũ", "Nguyễn Thử", "Không tên"]


def test_a_case_without_a_value_leaves_the_field_missing(translate: Translate) -> None:
    one = translate({"loai": "cũ", "ten_cu": None}, {"loai": "cũ"})
    assert one.rejects.select("__row", "field", "rule").rows() == [(0, "Ten", "required_missing")]
    assert values(one, "Ten") == ["Lê Cũ"]


def array(*items: dict[str, Any]) -> dict[str, str | None]:
    return {"phat": json.dumps(items, ensure_ascii=False, indent=2)}


def test_a_list_is_canonical_json(translate: Translate) -> None:
    items: list[dict[str, Any]] = [
        {"xa": "20656", "tien": 1500000, "ngay": "1/2/2016", "con": [{"t": "a"}, {"t": 'b "\\'}], "u": 1},
        {"con": [], "tien": None, "ngay": "không rõ", "xa": " 20656"},
    ]
    found = values(translate(array(*items), array()), "Phat")
    first = '{"ma":"20656","soTien":"1500000","ngay":"20160201","con":[{"ten":"a"},{"ten":"b \\"\\\\"}]}'
    assert found == [f'[{first},{{"ma":"20656"}}]', None]


@pytest.mark.parametrize(
    ("phat", "place", "rule"),
    [
        (array({"xa": "20656"}, {"xa": "20656", "tien": "x"}, {}), "Phat[2].soTien", "number_unreadable"),
        (array({"xa": "20656"}, {"tien": "x"}), "Phat[2].ma", "required_missing"),
        (array({"xa": "99999"}), "Phat[1].ma", "code_unknown"),
        (array({"xa": "20656", "con": [{"t": "a"}, {"t": ""}]}), "Phat[1].con[2].ten", "required_missing"),
        (array({"xa": "20656", "con": {"t": "a"}}), "Phat[1].con", "list_unreadable"),
        (array({"xa": "20656", "con": [{"t": "a\x00"}]}), "Phat[1].con[1].ten", "text_unstorable"),
        ({"phat": '{"xa": "20656"}'}, "Phat", "list_unreadable"),
        ({"phat": '[{"xa": "\\ud800"}]'}, "Phat", "list_unreadable"),
        ({"phat": '[{"xa": NaN}]'}, "Phat", "list_unreadable"),
        ({"phat": "[" * 90_000}, "Phat", "list_unreadable"),
        ({**array({"xa": "20656"}), "ngay": None}, "Phat[1].ma", "code_ambiguous"),
    ],
)  # fmt: skip
def test_a_wrong_item_is_told_by_its_number(
    phat: dict[str, str | None], place: str, rule: str, translate: Translate
) -> None:
    one = translate({"phat": None}, phat, array({"xa": "20656"}))
    assert one.rejects.select("__row", "field", "rule").rows() == [(1, place, rule)]
    assert values(one, "Phat") == [None, '[{"ma":"20656"}]']


def test_many_rows_are_translated_as_few_are(translate: Translate) -> None:
    rows = [
        array({"xa": "20656", "tien": str(at)}) | {"loai": ["mới", "cũ", None][at % 3]} for at in range(300)
    ]
    many = translate(*rows).national["thu.phat.v1"]
    few = [translate(*rows[at : at + 100]).national["thu.phat.v1"] for at in (0, 100, 200)]
    assert many.drop("__row", "lt_seq").equals(pl.concat(few).drop("__row", "lt_seq"))


@pytest.mark.parametrize(
    ("before", "after", "text", "next_step"),
    [
        ("then: {rule: name, from: ten_cu}", "then: {rule: nam, from: ten_cu}",
         "unknown rule nam", "mean name?"),
        ("then: {rule: name, from: ten_cu}", "then: {from: ten_cu}", "no rule", "write it like"),
        ("then: {rule: name, from: ten_cu}", "then: {rule: name, from: cu}", "no column cu", "known here"),
        ("then: {rule: name, from: ten_cu}", "then: {rule: name, form: ten}",
         "unknown key", "did you mean from"),
        ("then: {rule: name, from: ten_cu}", "then: {rule: name, from: ten, required: true}",
         "to the field", ""),
        ("is: [cũ, rất cũ]", "is: [cũ, rất  cũ]", "no cleaned text is", "single spaces"),
        ("is: [cũ, rất cũ]", f"is: [cũ, {NFD}]", "no cleaned text is", "in Unicode NFC"),
        ("is: [cũ, rất cũ]", "is: [cũ, Không rõ]", "says that nothing is known", "take it out"),
        ("missing: [không rõ]", "missing: [không  rõ]", "no cleaned text is", "'không rõ'"),
        ("missing: [không rõ]", f"missing: [{NFD}]", "no cleaned text is", "in Unicode NFC"),
        ("loai, is: [cũ, rất cũ]", 'moi, is: ["True"]', "of type boolean is 'True'", "true or false"),
        ("loai, is: [cũ, rất cũ]", 'so, is: ["01"]', "no value of type long is '01'", "as it stands there"),
        ("soTien: {rule: number, from: tien}",
         f"soTien: {{rule: when, cases: [{{if: {{column: a, is: [{NFD}]}},"
         " then: {rule: number, from: tien}}]}", "no cleaned text is", "in Unicode NFC"),
        ("loai, missing: true", "loai", "asks one thing", "write is, or missing: true"),
        ("missing: true", "missing: true, is: [a]", "asks one thing", "write is, or missing: true"),
        ("column: loai, is", "column: loi, is", "no column loi", "did you mean loai?"),
        ("      Phat:\n        rule: list\n", "      Phat:\n        rule: liszt\n",
         "unknown rule liszt", "list?"),
        ("soTien: {", "soTiền: {", "items have no soTiền", "did you mean soTien?"),
        ("          ma: {", "          ngay2: {", "items have no ngay2", "did you mean ngay?"),
        ("at: Ngay}", "at: So}", "So does not tell its date", "finds a date"),
        ("at: Ngay}", "at: soTien}", "soTien does not tell its date", "finds a date"),
        ("from: xa, list: dvhc.xa", "from: xa, list: dvhc.tinh", "code list is dvhc.xa", "use that list"),
        ("rule: list, from: con, fields: {ten: {rule: copy, from: t}}", "rule: copy, from: con",
         "lists of items", "use rule list"),
        ("{rule: copy, from: id}", "{rule: list, from: id, fields: {a: {rule: copy, from: b}}}",
         "So is no list of items", "in its format"),
        ("fields: {ten: {rule: copy, from: t}}",
         "fields: {ten: {rule: copy, from: t, required: {unless: u}}}",
         "an item has no exception", "write true"),
        ("          ma: {rule: code_at, from: xa, list: dvhc.xa, at: Ngay}\n", "",
         "items require ma", "add a rule"),
        ("at: Ngay}\n          ngay: {rule: date, from: ngay, precision: day}",
         "at: ma}\n          ngay: {rule: date, from: ngay, precision: day}", "ma does not tell",
         "finds a date"),
    ],
)  # fmt: skip
def test_what_is_wrong_within_is_told_at_its_line(
    before: str, after: str, text: str, next_step: str, tmp_path: Path
) -> None:
    assert CONTRACT.count(before) == 1
    place = folder(tmp_path, CONTRACT.replace(before, after))
    with pytest.raises(ContractError) as caught:
        load_library([place])
    error = caught.value
    assert error.message.startswith(f"{place / 'contracts/thu/phat.yaml'}:"), error.message
    assert text in error.message
    assert next_step in error.next_step
    line = int(error.message.removeprefix(f"{place / 'contracts/thu/phat.yaml'}:").split(":")[0])
    changed = CONTRACT[: CONTRACT.index(before)].count("\n") + 1
    assert -6 <= line - changed <= 2


@pytest.mark.parametrize(
    ("wrong", "text", "next_step"),
    [
        ({"code_list": "dvhc.xaa"}, "no code list dvhc.xaa", "codes/dvhc.xaa.csv"),
        ({"sensitivity": "sensitive"}, "ma is sensitive, but its field personal", "mark the field sensitive"),
        ({"date_form": "yy"}, "field ma: ", "write it like"),
        ({"forms": ["[0-9"]}, "no regular expression", "correct"),
        ({"name": "soTien"}, "key soTien is given twice", "keep one"),
        (
            {"items": [{"name": "a", "label": "a", "required": False}]},
            "ma is a list and a text",
            "of the items",
        ),
        ({"nam": "a"}, "unknown key", "did you mean name?"),
    ],
)
def test_wrong_items_of_a_format(wrong: dict[str, Any], text: str, next_step: str, tmp_path: Path) -> None:
    place = folder(tmp_path, items=[{**ITEMS[0], **wrong}, *ITEMS[1:]])
    with pytest.raises(ContractError) as caught:
        load_library([place])
    assert caught.value.message.startswith(f"{place / 'formats/thu/phat/v1.avsc'}:")
    assert text in caught.value.message
    assert next_step in caught.value.next_step


def test_a_list_of_lines_names_columns_of_the_lines(tmp_path: Path) -> None:
    known = "{xa: string, tien: long, ngay: string}"
    lines = f"lines: {{phat: {{table: p, on: {{t_id: id}}, columns: {known}}}}}\n"
    contract = CONTRACT.replace(", phat: string,", ",").replace("missing: [", f"{lines}missing: [")
    with pytest.raises(ContractError) as caught:
        load_library([folder(tmp_path / "a", contract)])
    assert "the source has no column con" in caught.value.message
    contract = contract.replace(known, known.replace("xa:", "con: string, xa:"))
    library = load_library([folder(tmp_path / "b", contract)])
    assert library.contracts["thu/phat"].targets[0].rules["Phat"].lists


@pytest.mark.parametrize(
    ("rule", "column"),
    [
        ("{rule: number, from: tien}", "tien"),  # 12.125 would be 12125
        ("{rule: copy, from: tien}", "tien"),
        (
            "{rule: when, cases: [{if: {column: xa, missing: true}, then: {rule: number, from: tien}}]}",
            "tien",
        ),
        ('{rule: when, cases: [{if: {column: tien, is: ["5"]}, then: {rule: copy, from: xa}}]}', "tien"),
        ("{rule: list, from: so, fields: {ten: {rule: copy, from: t}}}", "so"),
        ('{rule: number, from: tien, thousands: "", decimal_mark: "."}', None),
        (
            '{rule: when, cases: [{if: {column: so, is: ["1"]}, '
            'then: {rule: number, from: tien, thousands: "", decimal_mark: "."}}]}',
            None,
        ),
    ],
)
def test_a_rule_over_lines_reads_only_columns_of_its_types(
    rule: str, column: str | None, tmp_path: Path
) -> None:
    known = "{con: string, xa: string, tien: double, ngay: string, so: long}"
    lines = f"lines: {{phat: {{table: p, on: {{t_id: id}}, columns: {known}}}}}\n"
    contract = CONTRACT.replace(", phat: string,", ",").replace("missing: [", f"{lines}missing: [")
    contract = contract.replace("{rule: number, from: tien}", "{rule: copy, from: xa}")
    name, written = "soTien", "soTien: {rule: copy, from: xa}"
    if column == "so":
        name, written = "con", "con: {rule: list, from: con, fields: {ten: {rule: copy, from: t}}}"
    assert written in contract
    place = folder(tmp_path, contract.replace(written, f"{name}: {rule}"))
    if column is None:
        assert "thu/phat" in load_library([place]).contracts
        return
    with pytest.raises(ContractError) as caught:
        load_library([place])
    line = contract[: contract.index(written)].count("\n") + 1
    assert caught.value.message.startswith(f"{place / 'contracts/thu/phat.yaml'}:{line}: column {column} is ")
    assert "name a column of type" in caught.value.next_step


@pytest.mark.parametrize(
    "written",
    [
        '{"k": 1.50, "n": [-0, 1E400, "2"]}',
        "[1, 12345678901234567890]",
        '{"à": null, "b": [true, {}]}',
        "1.50",
    ],
)
def test_numbers_within_an_items_values_stay_as_they_are_written(written: str) -> None:
    assert items_of(f'[{{"z": {written}}}]') == [{"z": written}]


def test_one_text_of_many_levels_is_told_and_raises_nothing() -> None:
    """To write a value may go some levels deeper than to read it; the other rows are not to be lost."""
    limit = sys.getrecursionlimit()
    for depth in range(limit // 2, limit + 50):
        found = items_of(f'[{{"z": {"[" * depth}{"]" * depth}}}]')
        assert found is None or len(found) == 1
