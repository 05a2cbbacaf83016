"""How good drafts are, measured on layouts that nothing was tuned on; and that they are contracts."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from producers.introspection import read_table
from schemas.drafting.drafts import Draft, draft_of
from schemas.drafting.own_format import format_text
from schemas.drafting.pages import contract_text, quoted
from tests.layouts import entries
from tests.layouts.entries import Entry
from tests.layouts.held_out import COMMENTED, HELD_OUT, MARRIAGES, TERSE
from tests.layouts.layout import Layout, layout
from tests.layouts.tuned import ABBREVIATED, ENGLISH, NUMBERED, TUNED
from tests.unit.drafts import PROMISED, drafted, library, made, right
from tests.unit.gates import findings, write

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
