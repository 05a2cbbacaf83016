"""Each kind of rule alone: its values, its problems, and that its faster way says what its full way says."""

import unicodedata
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cleaning import Cleaner
from schemas.codelists import CodeLists
from tests.rule_bench import MISSING, Found, fact, obtained, obtained_of, usual, warned
from tests.shipped import shipped

GENDER: dict[str, Any] = {"list": "hotich.gioiTinh", "by": ["name", "code"]}
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cn", "Co"))


@pytest.fixture(scope="module")
def codes() -> CodeLists:
    return shipped().codes


def test_text_is_cleaned_in_one_form() -> None:
    written = {
        "  Quế   Trung ": "Quế Trung",
        "Quế\u00a0Trung": "Quế Trung",
        "Quế\tTrung\r\n": "Quế Trung",
        "Quế\u3000\u2003Trung": "Quế Trung",
        unicodedata.normalize("NFD", "Quế Trung"): "Quế Trung",
        "NULL": None,
        " Không  có thông tin": None,
        unicodedata.normalize("NFD", "KHÔNG RÕ"): None,
        "-": None,
        "": None,
        "không rõ ràng": "không rõ ràng",
        "--": "--",
        "Kho\u0302ng ro\u0303\u0303": "Không rõ\u0303",  # one mark more: not the word
    }
    cleaned = Cleaner(MISSING).clean({"a": pl.Series(list(written)), "b": pl.Series(["x"] * len(written))})
    assert cleaned.columns["a"].to_list() == list(written.values())
    assert cleaned.columns["b"].to_list() == ["x"] * len(written)
    assert cleaned.unstorable == {}


def test_a_nul_is_found_in_its_row_and_column() -> None:
    cleaned = Cleaner(MISSING).clean({"a": pl.Series(["x", "y"]), "b": pl.Series(["z", " \x00"])})
    assert {name: rows.to_list() for name, rows in cleaned.unstorable.items()} == {"b": [False, True]}


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("27/10/2008", "27.10.2008", None),
        ("7/1/2008", "07.01.2008", None),
        ("7.1.2008", "07.01.2008", None),
        ("7-10-2008", "07.10.2008", None),
        ("10/2008", "10.2008", None),
        ("1.2019", "01.2019", None),
        ("2008", "2008", None),
        ("29/02/2000", "29.02.2000", None),  # divisible by 400
        ("29/02/1900", None, "date_impossible"),  # by 100 only
        ("29/02/2023", None, "date_impossible"),
        ("31/04/2008", None, "date_impossible"),
        ("00/04/2008", None, "date_impossible"),
        ("01/13/2008", None, "date_impossible"),
        ("13/2008", None, "date_impossible"),
        ("01/01/0000", None, "date_impossible"),
        ("0000", None, "date_impossible"),
        ("27/10/08", None, "date_unreadable"),  # which century?
        ("27/10.2008", None, "date_unreadable"),
        ("27 10 2008", None, "date_unreadable"),
        ("2008-10-27", "27.10.2008", None),
        ("2008-10-27T23:59:59.5", "27.10.2008", None),
        ("2008-10-27 24:00", None, "date_unreadable"),
        ("2008-13-27", None, "date_impossible"),
        ("2008-10", "10.2008", None),
        ("20081027", "27.10.2008", None),
        ("27102008", None, "date_impossible"),  # year 2710, month 20: the year comes first
        ("200810", None, "date_unreadable"),  # or the 20th of August 1910?
        ("27/10/20081", None, "date_unreadable"),
        ("+7/10/2008", None, "date_unreadable"),
        ("٢٧/١٠/٢٠٠٨", None, "date_unreadable"),  # other digits
        ("ngày 27", None, "date_unreadable"),
        (None, None, None),
    ],
)
def test_dates_keep_their_precision(
    text: str | None, value: str | None, problem: str | None, codes: CodeLists
) -> None:
    assert obtained("date", [text], codes, precision="kept") == [(value, problem)]


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("27/10/2008", "27.10.2008", None),
        ("10/2008", None, "date_precision"),
        ("2008", None, "date_precision"),
        ("13/2008", None, "date_impossible"),  # not a date at all, so no question of precision
        ("10/08", None, "date_unreadable"),
    ],
)
def test_a_day_may_be_needed(text: str, value: str | None, problem: str | None, codes: CodeLists) -> None:
    assert obtained("date", [text], codes, precision="day") == [(value, problem)]


def test_a_date_tells_its_day(codes: CodeLists) -> None:
    days = fact("date", "date", ["1/2/2016", "2/2016", "x", None, "01/01/0001"], codes, {}, precision="kept")
    assert days == [date(2016, 2, 1), None, None, None, date(1, 1, 1)]


@pytest.mark.parametrize(
    ("form", "texts", "values"),
    [
        ("yyyyMMdd|yyyyMM|yyyy", ["1/2/2016", "2/2016", "2016"], ["20160201", "201602", "2016"]),
        ("yyyy-MM-dd|yyyy-MM|yyyy", ["1/2/2016", "2/2016", "2016"], ["2016-02-01", "2016-02", "2016"]),
        (
            "yyyyMMdd|yyyy",
            ["2/2016"],
            ["date_precision"],
        ),  # no form for a month: the year alone would lose it
        ("yyyy", ["1/2/2016"], ["2016"]),  # the field asks for no more
    ],
)
def test_a_date_takes_the_form_of_its_field(
    form: str, texts: list[str], values: list[str], codes: CodeLists
) -> None:
    found = obtained("date", texts, codes, precision="kept", form=form)
    assert [one.value or one.problem for one in found] == values


def test_a_date_of_any_form_tells_its_day_and_year(codes: CodeLists) -> None:
    texts = ["1/2/2016", "2/2016", None]
    for form in ("yyyyMMdd|yyyyMM|yyyy", "dd/MM/yyyy|MM/yyyy|yyyy", "yyyy-MM-dd|yyyy-MM", "ddMMyyyy|MMyyyy"):
        rule = {"precision": "kept", "form": form}
        assert fact("date", "date", texts, codes, {}, **rule) == [date(2016, 2, 1), None, None]
        assert fact("date", "year", texts, codes, {}, **rule) == ["2016", "2016", None]
    moment = fact("moment", "date", ["1/2/2016 9:05"], codes, {}, form="HH:mm dd/MM/yyyy")
    assert moment == [date(2016, 2, 1)]


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("27/10/2008 09:05:30", "20081027090530", None),
        ("7.1.2008 9:05:30", "20080107090530", None),
        ("2008-10-27T09:05:30.999", "20081027090530", None),
        ("20081027090530", "20081027090530", None),
        ("27/10/2008 09:05", None, "moment_precision"),
        ("27/10/2008", None, "moment_precision"),
        ("29/02/2023 09:05:30", None, "date_impossible"),
        ("27/10/2008 09:60:30", None, "date_unreadable"),
        ("27/10/2008 9:05:30 PM", None, "date_unreadable"),
        (None, None, None),
    ],
)
def test_moments(text: str | None, value: str | None, problem: str | None, codes: CodeLists) -> None:
    assert obtained("moment", [text], codes) == [(value, problem)]


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("1.500.000", "1500000", None),
        ("1500000", "1500000", None),
        ("0012,50", "12.5", None),
        ("-0,00", "0", None),
        ("12,345", None, "number_too_precise"),
        ("15.00", None, "number_unreadable"),  # fifteen hundred, or fifteen?
        ("0.125", None, "number_unreadable"),  # an eighth, not a hundred and twenty-five
        ("-00.500", None, "number_unreadable"),
        ("0012", "12", None),
        ("1.500 đồng", None, "number_unreadable"),
        ("1e6", None, "number_unreadable"),
        (None, None, None),
    ],
)
def test_numbers(text: str | None, value: str | None, problem: str | None, codes: CodeLists) -> None:
    assert obtained("number", [text], codes, decimals=2) == [(value, problem)]


def test_an_address_says_no_part_twice(codes: CodeLists) -> None:
    parts = {
        "house": ["Số 1, ", "Số 1, xã Ba", "Thôn Ba", None, ","],
        "commune": ["Xã Ba", "Xã Ba", "Ba", "Xã Ba", None],
        "district": ["H. Đông Giang", None, "", "xã Ba", ""],
    }
    found = obtained_of({"rule": "address", "from": list(parts)}, parts, codes)
    assert [one.value for one in found] == [
        "Số 1, Xã Ba, H. Đông Giang", "Số 1, xã Ba", "Thôn Ba, Ba", "Xã Ba", None,
    ]  # fmt: skip


def test_joined_is_what_is_there(codes: CodeLists) -> None:
    found = obtained_of(
        {"rule": "join", "from": ["a", "b"]},
        {"a": ["x", None, "x", None], "b": ["y", "y", None, None]},
        codes,
    )
    assert [one.value for one in found] == ["x y", "y", "x", None]


def test_personal_numbers_have_twelve_digits_or_by_word_nine(codes: CodeLists) -> None:
    texts = ["049316000001", "200000003", "04931600000", "C0000004", None]
    found = [one.value or one.problem for one in obtained("personal_id", texts, codes)]
    assert found == ["049316000001", "personal_id_form", "personal_id_form", "personal_id_form", None]
    assert obtained("personal_id", ["200000003"], codes, old=True) == [("200000003", None)]


@pytest.mark.parametrize(
    ("text", "first", "rest"),
    [
        ("Trần Mẫu - Phó Chủ tịch", "Trần Mẫu", "Phó Chủ tịch"),
        ("Trần Mẫu", "Trần Mẫu", None),
        ("Trần Mẫu - Phó - ký thay", "Trần Mẫu", "Phó - ký thay"),
        ("Trần-Mẫu", "Trần-Mẫu", None),
        ("Trần Mẫu -", "Trần Mẫu", None),  # cleaning took the last blank of the separator
        ("- Chủ tịch", None, "Chủ tịch"),
        ("-Chủ tịch", "-Chủ tịch", None),
        ("null - Chủ tịch", None, "Chủ tịch"),
        ("Trần Mẫu - không rõ", "Trần Mẫu", None),
        (None, None, None),
    ],
)
def test_a_text_is_split_at_the_first_separator(
    text: str | None, first: str | None, rest: str | None, codes: CodeLists
) -> None:
    assert obtained("split", [text], codes, separator=" - ", part="first") == [(first, None)]
    assert obtained("split", [text], codes, separator=" - ", part="rest") == [(rest, None)]


def test_a_text_may_be_split_at_its_first_blank(codes: CodeLists) -> None:
    assert obtained("split", ["Trần Văn Mẫu"], codes, separator=" ", part="first") == [("Trần", None)]
    assert obtained("split", ["Trần Văn Mẫu"], codes, separator=" ", part="rest") == [("Văn Mẫu", None)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NGUYỄN THỊ HẠNH", "Nguyễn Thị Hạnh"),
        ("nguyễn thị hạnh", "Nguyễn Thị Hạnh"),
        ("Nguyễn thị Hạnh", "Nguyễn thị Hạnh"),  # as its clerk wrote it
        ("HỒ THỊ-MẪU", "Hồ Thị-Mẫu"),
        ("H'MÔNG O'MẪU", "H'mông O'mẫu"),  # an apostrophe ends no word
        ("Y BLÔ", "Y Blô"),
        ("LÊ THỊ HOA (ÚT)", "Lê Thị Hoa (Út)"),  # what stands before its first letter is part of a word
        ("\u200bLÊ 'HOA'", "\u200bLê 'Hoa'"),
        ("A", "A"),
        ("123", "123"),
        (None, None),
    ],
)
def test_names_in_one_case_are_spelled(text: str | None, value: str | None, codes: CodeLists) -> None:
    assert obtained("name", [text], codes) == [(value, None)]


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("Cơ-tu", "26", None),
        ("Cơ Tu", "26", None),
        ("CƠTU", "26", None),
        ("Ca-tu", "26", None),  # another name, of this group only
        ("Kơ Tu", "26", None),  # an alias
        ("Giẻ-Triêng", "27", None),
        ("Thổ", "24", None),  # also another name of 02 and 05: the official name wins
        ("Lào", "37", None),
        ("Ba Na (A-la Công)", "13", None),
        ("Giẻ Triêng (Ve)", "27", None),
        ("Cơ Tu (Ca-tang)", "26", None),  # Ca-tang alone is ambiguous; beside its group it is not
        ("Cơ Tu (Ve)", None, "code_unknown"),  # Ve are not Cơ Tu
        ("Ca-tang", None, "code_ambiguous"),  # 26 and 27
        ("Xá Lá Vàng", None, "code_ambiguous"),  # 24, 44 and 45
        ("26", None, "code_unknown"),  # by name only
        ("Sao Hỏa", None, "code_unknown"),
        ("?", None, "code_unknown"),  # not to be taken for the mark of an ambiguous name
        (None, None, None),
    ],
)
def test_ethnic_groups_by_their_many_names(
    text: str | None, value: str | None, problem: str | None, codes: CodeLists
) -> None:
    assert obtained("code", [text], codes, list="dantoc") == [(value, problem)]


def test_codes_and_aliases_count_if_the_contract_says_so(codes: CodeLists) -> None:
    texts = ["Nữ", "nữ", "2", "Gái", "0"]
    assert [one.value for one in obtained("code", texts, codes, **GENDER)] == ["2", "2", "2", None, None]
    assert obtained("code", ["2"], codes, list="hotich.gioiTinh") == [(None, "code_unknown")]
    assert obtained("code", ["Gái"], codes, aliases={"gái": "2"}, **GENDER) == [("2", None)]


@pytest.mark.parametrize(
    ("text", "day", "value", "problem", "province"),
    [
        ("20656", date(2016, 5, 4), "20656", None, "49"),
        ("20656", date(2025, 6, 30), "20656", None, "49"),
        ("20656", date(2025, 7, 1), "20656", None, "48"),  # the same digits, another commune and province
        ("20296", date(2025, 6, 30), "20296", None, "48"),
        ("20296", date(2025, 7, 1), None, "code_not_valid_then", None),  # dissolved
        ("20333", date(2025, 6, 30), None, "code_not_valid_then", None),  # Hoàng Sa got a code that day
        ("20333", date(2025, 7, 1), "20333", None, "48"),
        ("20333", date(1, 1, 1), None, "code_not_valid_then", None),
        ("00001", date(9999, 12, 31), None, "code_not_valid_then", None),
        ("00000", date(2016, 5, 4), None, "code_unknown", None),  # before the first code
        ("99999", date(2016, 5, 4), None, "code_unknown", None),  # after the last
        ("2065", date(2016, 5, 4), None, "code_unknown", None),
        ("20656", None, None, "code_ambiguous", None),
        ("99999", None, None, "code_unknown", None),
        (None, date(2016, 5, 4), None, None, None),
    ],
)
def test_a_commune_is_what_it_was_on_the_day(
    text: str | None,
    day: date | None,
    value: str | None,
    problem: str | None,
    province: str | None,
    codes: CodeLists,
) -> None:
    others = {"at": pl.Series([day], dtype=pl.Date)}
    rule: dict[str, Any] = {"list": "dvhc.xa", "at": "ngayDangKy"}
    assert obtained("code_at", [text], codes, others, **rule) == [(value, problem)]
    assert fact("code_at", "parent", [text], codes, others, **rule) == [province]


def test_many_codes_with_dates_equal_the_single_answer(codes: CodeLists) -> None:
    entries = codes["dvhc.xa"].entries.sample(400, seed=5)["code"].to_list()
    day = date(2025, 3, 1)
    found = obtained(
        "code_at", entries, codes, {"at": pl.Series([day] * 400)}, list="dvhc.xa", at="ngayDangKy"
    )
    single = [type(codes.resolve("dvhc.xa", code, day)).__name__ for code in entries]
    told = {None: "Exact", "code_not_valid_then": "NotThen"}
    assert [told[one.problem] for one in found] == single
    assert set(single) == {"Exact", "NotThen"}


def test_a_value_told_by_the_form(codes: CodeLists) -> None:
    cases = [{"form": "[0-9]{12}", "value": "4"}, {"form": "[0-9]{9}|N.*", "value": "1"}]
    texts = ["049190000002", "049190000", "N1", "0491900000020", "x", None]
    found = obtained("match", texts, codes, cases=cases, otherwise="8")
    assert [one.value for one in found] == ["4", "1", "1", "8", "8", None]


@pytest.mark.parametrize(
    ("number", "province", "gender", "year", "warnings"),
    [
        ("049316000001", "49", "2", "2016", set()),
        ("049216000001", "49", "1", "2016", set()),
        ("049090000001", "49", "1", "1990", set()),
        ("049899000001", "49", "1", "2399", set()),
        ("049316000001", "48", "2", "2016", {"personal_id_prefix"}),
        ("049316000001", None, "2", "2016", set()),  # the province is not known
        ("049216000001", "49", "2", "2016", {"personal_id_birth"}),  # a boy's digit
        ("049315000001", "49", "2", "2016", {"personal_id_birth"}),
        ("049116000001", "49", "2", "2016", {"personal_id_birth"}),  # the 1900s
        ("049016000001", "49", "3", "2016", set()),  # gender not determined: nothing to compare with
        ("049016000001", "49", None, "2016", set()),
        ("049316000001", "49", "2", None, set()),
        ("001216000001", "49", "2", "2016", {"personal_id_prefix", "personal_id_birth"}),
        ("04931600000", "49", "2", "2016", {"personal_id_form"}),
        ("04931600000x", "49", "2", "2016", {"personal_id_form"}),
    ],
)
def test_personal_numbers_only_warn(
    number: str,
    province: str | None,
    gender: str | None,
    year: str | None,
    warnings: set[str],
    codes: CodeLists,
) -> None:
    given = {"province": province, "gender": gender, "born": year}
    others = {name: pl.Series([value], dtype=pl.String) for name, value in given.items()}
    rule = {"place": "a", "prefixes": "dinhdanh.tinh", "gender": "b", "born": "c"}
    assert warned("personal_id", [number], codes, others, **rule) == [warnings]


def test_a_code_of_no_known_form_only_warns(codes: CodeLists) -> None:
    texts = ["1.001193", "1.001193.H56", "1.001193 ", "x1.001193", "1.00119|", "1.001193\n2"]
    found = warned("form", texts, codes, {}, forms=["[0-9][.][0-9]{6}", "[0-9][.][0-9]{6}[.]H[0-9]{2}"])
    assert [bool(one) for one in found] == [False, False, True, True, True, True]
    assert found[2] == {"form_unknown"}


KNOWN = st.sampled_from(["Cơ-tu", "cơ tu", "Ba na", "Nam", "NỮ", "1", "2/2016", "28/02/2016", "29/02/2016"])
DATE_LIKE = st.text("0123456789/.-", max_size=11)


@settings(max_examples=100)
@given(texts=st.lists(st.one_of(KNOWN, DATE_LIKE, st.text(LETTERS, max_size=8)), min_size=1))
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("date", {"precision": "kept"}),
        ("date", {"precision": "day"}),
        ("name", {}),
        ("code", {"list": "dantoc"}),
        ("code", GENDER),
        ("code", {"list": "quoctich"}),
    ],
)
def test_the_usual_way_agrees_with_the_full_way(
    kind: str, rule: dict[str, Any], texts: list[str], codes: CodeLists
) -> None:
    full = obtained(kind, texts, codes, **rule)
    for quick, found in zip(usual(kind, texts, codes, **rule), full, strict=True):
        assert quick is None or found == Found(quick, None)
