"""What a code or a name meant on a day, and what became of it, in whole columns and one by one."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codelists import Answer, Exact, NotThen, Unknown, Untold
from schemas.codenames import fold, folded, spelling
from schemas.errors import ContractError
from schemas.library import load_library
from tests.rule_bench import Found, fact, obtained
from tests.shipped import shipped

CODES = shipped().codes
TWO_LEVELS = date(2025, 7, 1)
HEAD = "# title: a\n# source: b\n# evidence: c\n"
LISTS = ("dvhc.tinh", "dvhc.huyen", "dvhc.xa", "donvi.cap1")
DAYS = st.sampled_from([date(1, 1, 1), date(2025, 6, 30), TWO_LEVELS, date(9999, 12, 31)]) | st.dates(
    date(2022, 1, 1), date(2026, 12, 31)
)
ANSWERS = {
    "code_unknown": "Unknown",
    "code_ambiguous": "Ambiguous",
    "code_not_valid_then": "NotThen",
    "code_successor_unknown": "Untold",
}


def on_days(name: str, texts: Sequence[str], days: Sequence[date | None], **more: Any) -> list[Found]:
    """What rule ``code_at``, or another one, finds in columns, by code or name."""
    rule = {"by": ["code", "name"], **more}
    kind = rule.pop("kind", "code_at")
    return obtained(kind, texts, CODES, {"at": pl.Series(days, dtype=pl.Date)}, list=name, at="ngay", **rule)


def told(answer: Answer | Untold) -> str:
    """The code, or what there is instead."""
    return answer.entry.code if isinstance(answer, Exact) else type(answer).__name__


def told_in_columns(found: Found) -> str:
    return found.value or ANSWERS[found.problem or ""]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, str]:
    """A list, and a text that may stand for one of its entries."""
    name = draw(st.sampled_from(LISTS))
    rows = CODES[name].entries
    row = rows.row(draw(st.integers(0, len(rows) - 1)), named=True)
    parts = [row["name"]]
    for column, one in CODES[name].above:
        if row[column] and draw(st.booleans()):
            names = one.entries.filter(pl.col("code") == row[column])["name"].to_list()
            parts.append(draw(st.sampled_from(names)))
    parts = [draw(st.sampled_from([part, part.upper(), part.split(" ", 1)[-1]])) for part in parts]
    text = ", ".join(parts)
    for full, short in draw(st.sampled_from([(), (("Thành phố", "TP."), ("Xã", "X."), ("Phường", "P. "))])):
        text = text.replace(full, short)
    below = [f"000.01.02.{row['code']}", f"{row['code']}.17"] if name == "donvi.cap1" else []
    return name, draw(st.sampled_from([text, text[:-1], row["code"], *below]))


@given(cases(), DAYS)
def test_columns_and_the_single_answer_are_one(case: tuple[str, str], day: date) -> None:
    name, text = case
    found = on_days(name, [text], [day])[0]
    if found.value is not None and found.value != text:
        assert told(CODES.resolve(name, text, day)) == found.value
    else:  # a code is kept as it is written
        answer = CODES.resolve(name, text, day)
        assert (type(answer).__name__, found.value) in {
            ("Exact", text),
            (ANSWERS.get(found.problem or ""), None),
        }


@given(cases(), DAYS, DAYS)
def test_what_became_of_it_is_one_in_columns_too(case: tuple[str, str], day: date, on: date) -> None:
    name, text = case
    found = on_days(name, [text], [day], kind="code_now", on=on)[0]
    assert told_in_columns(found) == told(CODES[name].on(text, day, on))


@given(st.sampled_from(sorted(name for name, one in CODES.items() if not one.dated)), st.data())
def test_a_list_without_dates_answers_alike_too(name: str, data: st.DataObject) -> None:
    names = (
        CODES[name]
        .entries.select("code", "name", "aliases", "other_names")
        .row(data.draw(st.integers(0, len(CODES[name].entries) - 1)))
    )
    text = data.draw(st.sampled_from([part for texts in names if texts for part in texts.split(";")]))
    text = data.draw(st.sampled_from([text, text.upper(), text.replace(" ", "-"), text[1:] or "x"]))
    found = obtained("code", [text], CODES, list=name, by=["code", "name"])[0]
    assert told_in_columns(found) == told(CODES.resolve(name, text))


#: Texts of characters that this Python's tables know: Polars' are newer and lower younger letters
#: (Garay, Unicode 16), which no name of any list has.
KNOWN_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cn"]))


@given(KNOWN_TEXTS, st.sampled_from([CODES[name].spelling for name in LISTS]))
def test_keys_are_one_in_columns(text: str, spelt: Any) -> None:
    frame = pl.DataFrame({"text": [text]})
    assert frame.select(spelt.keys(pl.col("text"))).item() == spelt.key(text)
    assert frame.select(folded(pl.col("text"))).item() == fold(text)


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("Xã Hòa Liên", date(2024, 5, 1), "20296"),
        ("xã Hoà Liên", date(2024, 5, 1), "20296"),  # the tone mark as it was written before
        ("X. Hòa Liên, H. Hòa Vang, TP Đà Nẵng", date(2024, 5, 1), "20296"),
        ("Hòa Liên, Hòa Vang", date(2024, 5, 1), "20296"),
        ("Xã Hòa Liên, huyện Hòa Vang, tỉnh Quảng Nam", date(2024, 5, 1), "code_unknown"),
        ("Xã Hòa Liên", date(2026, 1, 1), "code_not_valid_then"),
        ("Phường Hải Châu", date(2025, 3, 1), "code_ambiguous"),  # Thanh Hóa has one too
        ("Phường Hải Châu, Đà Nẵng", date(2024, 5, 1), "code_not_valid_then"),
        ("Phường Hải Châu, Đà Nẵng", date(2025, 3, 1), "20236"),
        ("Phường Hải Châu, Đà Nẵng", date(2025, 8, 1), "20242"),  # the same name, another code
        ("P. Hải Châu, Q. Hải Châu, Đà Nẵng", date(2025, 8, 1), "code_not_valid_then"),  # no districts then
        ("Hải Châu", date(2025, 8, 1), "code_ambiguous"),  # and a Xã Hải Châu in Nghệ An
        ("Phường 1, Quận 3, TP. Hồ Chí Minh", date(2023, 5, 1), "27160"),  # Phường 01 in the list
        ("20242", date(2025, 8, 1), "20242"),
        ("Xã", date(2025, 8, 1), "code_unknown"),
        ("Xã Hòa Liên", None, "code_ambiguous"),
        ("Sao Hỏa", None, "code_unknown"),
    ],
)
def test_a_commune_by_its_name_on_the_day(text: str, day: date | None, expected: str) -> None:
    found = on_days("dvhc.xa", [text], [day])[0]
    assert (found.value or found.problem) == expected


def test_names_alone_are_no_codes_and_codes_alone_no_names() -> None:
    day = date(2024, 5, 1)
    assert on_days("dvhc.xa", ["20296"], [day], by=["name"])[0].problem == "code_unknown"
    assert on_days("dvhc.xa", ["Xã Hòa Liên"], [day], by=["code"])[0].problem == "code_unknown"


def test_a_commune_by_name_tells_what_it_belonged_to() -> None:
    rule: dict[str, Any] = {"list": "dvhc.xa", "at": "ngay", "by": ["name"]}
    for day, district, province in [(date(2024, 5, 1), "519", "49"), (date(2025, 2, 1), "509", "49")]:
        others = {"at": pl.Series([day])}
        text = ["Xã Quế Lộc, Quảng Nam"]
        assert fact("code_at", "district", text, CODES, others, **rule) == [district]
        assert fact("code_at", "parent", text, CODES, others, **rule) == [province]


@pytest.mark.parametrize(
    ("name", "text", "day", "on", "expected"),
    [
        ("dvhc.xa", "20224", date(2024, 5, 1), TWO_LEVELS, "20305"),
        ("dvhc.xa", "20224", date(2024, 5, 1), date(2025, 6, 30), "20224"),
        ("dvhc.xa", "20296", date(2024, 5, 1), TWO_LEVELS, "code_ambiguous"),  # divided
        ("dvhc.xa", "20194", date(2024, 5, 1), TWO_LEVELS, "20194"),
        ("dvhc.xa", "20194", date(2025, 8, 1), TWO_LEVELS, "20194"),  # an event after the day keeps its code
        ("dvhc.xa", "00004", date(2024, 5, 1), TWO_LEVELS, "code_successor_unknown"),  # Hà Nội: not supplied
        ("dvhc.xa", "20203", date(2024, 5, 1), TWO_LEVELS, "code_successor_unknown"),  # gone on 2025-01-01
        ("dvhc.xa", "20656", date(2024, 5, 1), date(2025, 2, 1), "20656"),  # another district, the same unit
        ("dvhc.xa", "20296", date(2025, 8, 1), TWO_LEVELS, "code_not_valid_then"),
        ("dvhc.xa", "99999", date(2024, 5, 1), TWO_LEVELS, "code_unknown"),
        ("dvhc.tinh", "49", date(2020, 1, 1), TWO_LEVELS, "48"),
        ("dvhc.tinh", "Tỉnh Thừa Thiên Huế", date(2020, 1, 1), date(2026, 1, 1), "46"),
        ("dvhc.tinh", "15", date(2020, 1, 1), TWO_LEVELS, "15"),  # Yên Bái, then Lào Cai
        ("dvhc.tinh", "10", date(2020, 1, 1), TWO_LEVELS, "15"),
        ("dvhc.tinh", "75", date(2025, 8, 1), date(2026, 6, 1), "75"),  # Tỉnh, then Thành phố Đồng Nai
        ("dvhc.huyen", "497", date(2024, 5, 1), TWO_LEVELS, "code_successor_unknown"),  # none is left
        ("donvi.cap1", "H47", date(2024, 5, 1), date(2026, 1, 1), "code_successor_unknown"),
        ("donvi.cap1", "H49", date(2024, 5, 1), date(2026, 1, 1), "H49"),
    ],
)  # fmt: skip
def test_the_code_a_unit_has_later(name: str, text: str, day: date, on: date, expected: str) -> None:
    found = on_days(name, [text], [day], kind="code_now", on=on)[0]
    assert (found.value or found.problem) == expected


def test_every_commune_of_the_two_provinces_is_told_and_no_other() -> None:
    one, before = CODES["dvhc.xa"], date(2025, 6, 30)
    rows = one.entries.filter(pl.col("valid_to") == TWO_LEVELS)
    now = on_days("dvhc.xa", rows["code"].to_list(), [before] * len(rows), kind="code_now", on=TWO_LEVELS)
    found = rows.select("code", "parent").with_columns(
        problem=pl.Series([one.problem for one in now], dtype=pl.String)
    )
    of_two = found.filter(pl.col("parent").is_in(["48", "49"]))
    assert of_two.filter(pl.col("problem").is_not_null())["code"].to_list() == ["20296"]
    assert len(of_two) == 280
    elsewhere = found.filter(~pl.col("parent").is_in(["48", "49"]))
    assert set(elsewhere["problem"]) == {"code_successor_unknown"}


def test_all_63_provinces_became_34() -> None:
    codes = sorted(CODES["dvhc.tinh"].codes)
    now = on_days("dvhc.tinh", codes, [date(2024, 1, 1)] * 63, kind="code_now", on=TWO_LEVELS)
    assert len({one.value for one in now}) == 34
    assert all(one.value for one in now)


@pytest.mark.parametrize(
    ("text", "day", "expected"),
    [
        ("H56", date(2026, 1, 1), "H56"),
        ("000.00.00.H56", date(2026, 1, 1), "000.00.00.H56"),
        ("000.17.22.H56", date(2026, 1, 1), "000.17.22.H56"),  # the top at the end
        ("H57.132", date(2026, 1, 1), "H57.132"),  # the top first
        ("000.00.19.H47", date(2025, 6, 30), "000.00.19.H47"),
        ("000.00.19.H47", date(2025, 7, 1), "code_not_valid_then"),  # closed by the merger rule
        ("000.00.00.H99", date(2026, 1, 1), "code_unknown"),
        ("00.00.H56", date(2026, 1, 1), "code_unknown"),
        ("UBND tỉnh Thừa Thiên Huế", date(2026, 1, 1), "H57"),
        ("UBND thành phố Đà Nẵng", date(2026, 1, 1), "code_unknown"),  # marked U: its name is only a hint
        ("H17", date(2026, 1, 1), "H17"),
    ],
)
def test_agency_codes_in_both_forms(text: str, day: date, expected: str) -> None:
    found = on_days("donvi.cap1", [text], [day])[0]
    assert (found.value or found.problem) == expected


def test_a_name_of_several_units_is_exact_where_their_times_differ() -> None:
    text = "Phường Hải Châu, Đà Nẵng"
    assert told(CODES.resolve("dvhc.xa", text)) == "Ambiguous"
    assert told(CODES.resolve("dvhc.xa", text, date(2025, 3, 1))) == "20236"
    assert isinstance(CODES.resolve("dvhc.xa", text, date(2024, 5, 1)), NotThen)
    assert isinstance(CODES.resolve("dvhc.xa", "Xã Không Có"), Unknown)


def test_a_list_whose_names_are_all_hints_knows_no_name(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    path.write_text(f"{HEAD}code,name,valid_from,evidence\n1,a,2020-01-01,U\n")
    codes, at = load_library([tmp_path]).codes, {"at": pl.Series([TWO_LEVELS] * 3)}
    given = {"list": "x", "at": "ngay", "by": ["name"]}
    found = obtained("code_at", ["a", "1", None], codes, at, **given)
    found += obtained("code_now", ["a", "1", None], codes, at, on=TWO_LEVELS, **given)
    unknown = (None, "code_unknown")
    assert [(one.value, one.problem) for one in found] == [unknown, unknown, (None, None)] * 2


def test_types_are_read_from_the_head() -> None:
    spelt = spelling("Thành phố=TP TP. | Xã=X.", "Tỉnh=T.")
    assert spelt.key("TP Huế") == spelt.key("thành phố Huế") == "thànhphốhuế"
    assert spelt.key("X. Bà Nà, T. Quảng Nam") == spelt.key("Xã Bà Nà,Quảng Nam")
    assert spelt.key("Xã 01") == spelt.key("xã 1") != spelt.key("xã 10")
    assert spelt.key("TPHuế") == "tphuế"  # no dot and no space: it may be a name
    assert spelling("").key("A, B") == "a,b"


SUCCESSORS = "code,successor,on\n"
CHANGED = "code,name,valid_from,valid_to\n1,a,,2020-01-01\n1,b,2020-01-01,\n2,c,,2020-01-01\n3,d,,\n"


def library_with(folder: Path, successors: str, name: str = "x") -> None:
    (folder / "codes" / "successors").mkdir(parents=True)
    (folder / "codes" / "x.csv").write_text(HEAD + CHANGED)
    (folder / "codes" / "successors" / f"{name}.csv").write_text(HEAD + SUCCESSORS + successors)


def test_a_unit_whose_code_goes_on_may_be_divided_too(tmp_path: Path) -> None:
    library_with(tmp_path, "2,3,2020-01-01\n1,1,2020-01-01\n3,3,2021-01-01\n3,1,2021-01-01\n")
    one = load_library([tmp_path]).codes["x"]
    before = date(2019, 1, 1)
    assert told(one.on("1", before, date(2022, 1, 1))) == "1"
    assert told(one.on("2", before, date(2020, 6, 1))) == "3"
    assert told(one.on("2", before, date(2022, 1, 1))) == "Ambiguous"
    assert told(one.on("3", before, date(2020, 6, 1))) == "3"
    assert told(one.on("3", before, date(2022, 1, 1))) == "Ambiguous"
    assert told(one.on("3", date(2021, 1, 1), date(2022, 1, 1))) == "3"


@pytest.mark.parametrize(
    ("successors", "line", "text", "next_step"),
    [
        ("2,3,2020-01-01\n9,3,2020-01-01\n", 6, "no such code on the day before", "code or day"),
        ("2,3,2020-01-02\n", 5, "no such code on the day before", "code or day"),
        ("1,2,2020-01-01\n", 5, "no such successor on that day", "code or day"),
        ("1,3,2020-01-01\n2,3,2020-01-01\n2,3,2020-01-01\n", 6, "told twice", "take one away"),
        ("2,3,1.1.2020\n", 5, "on is no date", "YYYY"),
        ("2,,2020-01-01\n", 5, "successor is empty", "fill"),
    ],
)
def test_wrong_successors_name_file_and_line(
    successors: str, line: int, text: str, next_step: str, tmp_path: Path
) -> None:
    library_with(tmp_path, successors)
    with pytest.raises(ContractError, match=f"successors/x.csv:{line}: .*{text}") as caught:
        load_library([tmp_path])
    assert next_step in caught.value.next_step


def test_successors_of_no_list_and_of_a_code_told_before_are_refused(tmp_path: Path) -> None:
    library_with(tmp_path / "a", "2,3,2020-01-01\n", "y")
    with pytest.raises(ContractError, match="no code list y"):
        load_library([tmp_path / "a"])
    (tmp_path / "b" / "codes" / "successors").mkdir(parents=True)
    path = tmp_path / "b" / "codes" / "successors" / "dvhc.xa.csv"
    path.write_text(HEAD + SUCCESSORS + "00004,00008,2025-07-01\n20296,20194,2025-07-01\n")
    with pytest.raises(ContractError, match=r"dvhc\.xa\.csv:6: another file tells"):
        load_library([tmp_path / "b"])
    path.write_text(HEAD + SUCCESSORS + "00004,00008,2025-07-01\n")
    one = load_library([tmp_path / "b"]).codes["dvhc.xa"]
    assert told(one.on("00004", date(2024, 5, 1), TWO_LEVELS)) == "00008"


def test_a_pattern_of_codes_below_has_one_group(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "x.csv").write_text(f"{HEAD}# below: [0-9]+\ncode,name\n1,a\n")
    with pytest.raises(ContractError, match=r"x\.csv:1: below is no regular expression with one group"):
        load_library([tmp_path])
