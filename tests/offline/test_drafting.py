"""How good drafts are, measured on layouts that nothing was tuned on; and that they are contracts."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from producers.introspection import read_table
from schemas.date_forms import date_forms
from schemas.drafting.drafts import Draft, draft_of
from schemas.drafting.own_format import format_text
from schemas.drafting.pages import contract_text, quoted
from schemas.drafting.shapes import shape
from tests.gates import findings, write
from tests.layouts import entries
from tests.layouts.entries import Entry
from tests.layouts.held_out import COMMENTED, HELD_OUT, MARRIAGES, TERSE
from tests.layouts.layout import Layout, layout
from tests.layouts.tuned import ABBREVIATED, ENGLISH, NUMBERED, TUNED
from tests.offline.drafts import PROMISED, drafted, library, made, right
from tests.rule_bench import obtained

BIRTHS, MARRIED = "hotich.khaisinh.v1", "hotich.kethon.v1"


@pytest.mark.parametrize(
    ("layout", "full_id", "made"),
    [
        *((layout, BIRTHS, entries.births) for layout in HELD_OUT.values()),
        (MARRIAGES, MARRIED, entries.marriages),
    ],
    ids=[*HELD_OUT, "marriages"],
)
def test_most_fields_of_a_layout_never_seen_before_are_right(
    tmp_path: Path, layout: Layout, full_id: str, made: Callable[[int, int], Iterable[Entry]]
) -> None:
    assert right(drafted(tmp_path, layout, made(300, 11)), layout, full_id) >= PROMISED


def test_names_that_say_nothing_leave_the_values_to_tell(tmp_path: Path) -> None:
    draft = drafted(tmp_path, COMMENTED, entries.births(300, 11), comments=False)
    assert right(draft, COMMENTED, BIRTHS) >= PROMISED


@pytest.mark.parametrize("layout", TUNED.values(), ids=TUNED)
def test_nearly_every_field_of_a_layout_that_was_tuned_on_is_right(tmp_path: Path, layout: Layout) -> None:
    draft = drafted(tmp_path, layout, entries.births(300, 11))
    assert right(draft, layout, BIRTHS) >= 0.95


def checked(folder: Path, draft: Draft) -> list[str]:
    """The errors of a draft as it stands, but for what its questions on key spaces ask."""
    write(folder, f"contracts/{draft.id}.yaml", contract_text(draft, "vi"))
    if own := draft.proposal:
        write(folder, f"formats/{own.domain}/{own.entity}/v1.avsc", format_text(own))
    return [one["text"] for one in findings(folder) if one["rule"] != "national_key"]


@pytest.mark.parametrize("layout", [ENGLISH, ABBREVIATED, NUMBERED], ids=TUNED)
def test_a_draft_that_lacks_nothing_passes_the_check(tmp_path: Path, layout: Layout) -> None:
    draft = drafted(tmp_path, layout, entries.births(300, 11))
    assert not draft.targets[0].lacking
    assert checked(tmp_path, draft) == []


@pytest.mark.parametrize("gone", ["child_gender", "commune_code"])
def test_a_draft_fails_the_check_only_where_it_asks(tmp_path: Path, gone: str) -> None:
    held = tuple(one for one in ENGLISH.columns if one.name != gone)
    layout = Layout(table=ENGLISH.table, columns=held)
    draft = drafted(tmp_path, layout, entries.births(300, 11))
    (lacking,) = [one.name for one in draft.targets[0].lacking]
    assert checked(tmp_path, draft) == [f"the national format requires {lacking}, and no rule obtains it"]
    (asked,) = [one.text("en") for one in draft.questions if one.key == "ask_required"]
    assert lacking in asked


AUCTION = layout(
    "dau_gia_tai_san",
    """
    id  bigint  -  same:id
    ten_tai_san  varchar(200)  -  same:file -- Tên tài sản
    gia_khoi_diem  varchar(30)  -  same:year
    ngay_mo_phien  varchar(10)  ngayDangKy  d/M/y -- Ngày mở phiên
    dan_toc  varchar(40)  meDanToc  ethnic
    Order  varchar(40)  -  same:user
    """,
)


def test_a_table_that_no_format_fits_gets_a_proposal_of_the_provinces_own(tmp_path: Path) -> None:
    draft = drafted(tmp_path, AUCTION, entries.births(100, 3))
    assert draft.proposal is not None
    assert draft.proposal.origin == "proposal"
    assert draft.proposal.full_id == "thu.bang.v1"
    fields = {one.name: one for one in draft.proposal.fields}
    assert (fields["ngayMoPhien"].date_form, fields["ngayMoPhien"].label) == ("dd.MM.yyyy", "Ngày mở phiên")
    assert (fields["danToc"].code_list, fields["danToc"].sensitivity) == ("dantoc", "sensitive")
    assert {one.evidence for one in fields.values()} == {"I"}
    assert checked(tmp_path, draft) == []


def test_moments_numbers_and_personal_numbers_get_their_own_rules(tmp_path: Path) -> None:
    columns = ("ma TEXT PRIMARY KEY", "mo_luc", "gia", "dien_tich", "mo_ho", "so_dinh_danh", "so_may")
    rows = [
        (
            f"P{at}",
            f"0{at}/05/2020 08:30",
            f"1.2{at}0.000",
            f"1,2{at}0.5",
            "1.500",
            f"00119000000{at}",
            "090.123.456",
        )
        for at in range(1, 9)
    ]
    inserts = [f"INSERT INTO phien VALUES {row}" for row in rows]
    address = made(tmp_path, f"CREATE TABLE phien ({', '.join(columns)})", *inserts)
    draft = draft_of(read_table(address, "phien"), library(), name=("thu", "bang"))
    rules = {name: one.rule for name, one in draft.targets[0].proposals.items()}
    assert rules["moLuc"]["rule"] == "moment"
    assert (rules["gia"]["rule"], rules["gia"]["thousands"], rules["gia"]["decimals"]) == ("number", ".", 0)
    assert (rules["dienTich"]["decimal_mark"], rules["dienTich"]["decimals"]) == (".", 1)
    assert rules["moHo"]["rule"] == "copy"  # 1500, or 1.5?
    assert rules["soDinhDanh"]["rule"] == "personal_id"
    assert rules["soMay"]["rule"] == "copy"
    assert checked(tmp_path, draft) == []


DATES = [
    "1/5/2016", "01.05.2016", "1-5-2016", "01/05-2016", "31/12/1999", "32/12/1999", "12/25/1999", "1/5/16",
    "2016-01-05", "2016-1-5", "2016/01/05", "20160105", "20161305",
    "2016-05", "2016-5", "5/2016", "13/2016", "2016",
    "2016-01-10T03:04:05", "2016-01-10 03:04:05.123", "2016-01-10 03:04", "2016-01-10 3:04",
    "2016-01-10T24:04",
    "2016-01-10T03:04:05Z", "2016-01-10T03:04:05+07:00", "2016-01-10 03:04:05+07",
    "5/6/1990 10:00", "5/6/1990 9:00", "05.06.1990 10:00:30", "5-6-1990T10:00", "5/6/1990 25:00",
    "20160110030405", "20160110250405", "hôm qua", "1.5", "12",
]  # fmt: skip


@pytest.mark.parametrize("text", DATES)
@pytest.mark.parametrize("rule", ["date", "moment"])
@pytest.mark.parametrize(
    "form",
    ["dd.MM.yyyy", "dd.MM.yyyy|MM.yyyy|yyyy", "dd.MM.yyyy|yyyy", "yyyyMMddHHmmss|yyyyMMdd"],
)
def test_a_date_is_what_the_rule_takes_for_one(text: str, rule: str, form: str) -> None:
    if rule == "date" and "HH" in form:
        return
    more: dict[str, Any] = {"precision": "kept" if "|" in form else "day"} if rule == "date" else {}
    (found,) = obtained(rule, [text], library().codes, form=form, **more)
    taken = shape([text]).read(rule, [one.level for one in date_forms(form)])
    assert bool(taken) == (found.value is not None), found


def dated(folder: Path, *days: str) -> Draft:
    """A draft for births of a table with these days of birth."""
    rows = [f"INSERT INTO so VALUES ({at}, '{day}')" for at, day in enumerate(days)]
    address = made(folder, "CREATE TABLE so (ma INTEGER PRIMARY KEY, ngay_sinh TEXT)", *rows)
    return draft_of(read_table(address, "so"), library(), name=("thu", "bang"), wanted=BIRTHS)


@pytest.mark.parametrize("day", ["2016-1-5", "2016-01-10T03:04:05Z", "2016-01-10 03:04:05+07"])
def test_dates_that_no_rule_reads_are_proposed_with_doubt_and_asked_about(tmp_path: Path, day: str) -> None:
    draft = dated(tmp_path, *[day] * 40)
    proposal = draft.targets[0].proposals["nksNgaySinh"]
    assert proposal.doubtful
    asked = [one.text("en") for one in draft.questions if one.key == "ask_dates"]
    assert asked[0].startswith("nksNgaySinh: rule date refuses 100 % of the values of ngay_sinh.")


@pytest.mark.parametrize(("years", "asked"), [(0, []), (4, ["rule moment refuses 9 %"])])
def test_some_dates_with_a_time_of_day_are_read_and_the_rest_is_asked_about(
    tmp_path: Path, years: int, asked: list[str]
) -> None:
    draft = dated(tmp_path, *["5/6/1990"] * 33, *["5/6/1990 10:00"] * 7, *["1990"] * years)
    assert draft.targets[0].proposals["nksNgaySinh"].rule["rule"] == "moment"
    questions = [one.text("en") for one in draft.questions if one.key == "ask_dates"]
    assert [one[13:36] for one in questions] == asked


def test_numbers_of_books_are_no_months(tmp_path: Path) -> None:
    texts = [(f"{at % 9 + 1}.{2005 + at % 15}", f"0{at % 9 + 1}/2016") for at in range(40)]
    rows = [f"INSERT INTO phien VALUES ({at}, '{book}', '{day}')" for at, (book, day) in enumerate(texts)]
    address = made(tmp_path, "CREATE TABLE phien (ma INTEGER PRIMARY KEY, quyen TEXT, ngay_mo TEXT)", *rows)
    draft = draft_of(read_table(address, "phien"), library(), name=("thu", "bang"))
    assert draft.proposal is not None
    forms = {one.name: one.date_form for one in draft.proposal.fields}
    assert forms == {"ma": None, "quyen": None, "ngayMo": "dd.MM.yyyy|MM.yyyy|yyyy"}
    assert draft.targets[0].proposals["quyen"].rule == {"rule": "copy", "from": "quyen"}
    assert checked(tmp_path, draft) == []


@pytest.mark.parametrize("layout", [COMMENTED, TERSE, NUMBERED, ENGLISH])
def test_a_draft_holds_no_value_of_a_person(tmp_path: Path, layout: Layout) -> None:
    told = [
        held for held in layout.columns if held.written.partition(":")[0] in ("text", "caps", "d/M/y", "ymd")
    ]
    page = contract_text(drafted(tmp_path, layout, entries.births(200, 5)), "en").lower()
    rows = layout.rows(entries.births(200, 5), seed=1)
    for held in told:
        place = layout.columns.index(held)
        for row in rows:
            value = " ".join(str(row[place] or "").lower().split())
            if len(value) > 5 and value != "không có thông tin":
                assert value not in page, held.name


@pytest.mark.timeout(20)
def test_long_names_and_texts_are_quoted_at_once() -> None:
    assert quoted("so_dang_ky_khai_sinh_cap_xa-2015") == '"so_dang_ky_khai_sinh_cap_xa-2015"'
    assert quoted("Họ tên, chữ đệm của người được khai sinh").startswith('"')
    for text in ("a", "ngay_sinh", "Bang (cu) x.y", "a(b)"):
        assert quoted(text) == text
    for text in ("", "9", "a ", " a", "a  b", "null", "a-b", "(a)"):
        assert quoted(text) == f'"{text}"'


def test_what_a_draft_says_is_in_the_language_that_is_asked_for(tmp_path: Path) -> None:
    draft = drafted(tmp_path, ENGLISH, entries.births(20, 5))
    pages = [contract_text(draft, "vi"), contract_text(draft, "en")]
    assert "BẢN NHÁP" in pages[0]
    assert "DRAFT of a contract" in pages[1]
    without = [re.sub("#.*", "", page).split() for page in pages]
    assert without[0] == without[1]
