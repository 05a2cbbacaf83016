"""Code lists answer exactly, or say why they cannot."""

import unicodedata
from datetime import date

import pytest

from schemas.codelists import Ambiguous, CodeLists, Exact, NotThen, Unknown
from schemas.codenames import fold
from tests.shipped import shipped


@pytest.fixture(scope="module")
def codes() -> CodeLists:
    return shipped().codes


def test_a_code_without_a_date_is_ambiguous_if_its_meaning_changed(codes: CodeLists) -> None:
    answer = codes.resolve("dvhc.tinh", "15")
    assert isinstance(answer, Ambiguous)
    assert [entry.name for entry in answer.candidates] == ["Tỉnh Yên Bái", "Tỉnh Lào Cai"]
    assert isinstance(codes.resolve("dvhc.tinh", "04"), Exact)


def test_a_code_with_a_date_means_what_it_meant_then(codes: CodeLists) -> None:
    before = codes.resolve("dvhc.tinh", "15", date(2025, 6, 30))
    after = codes.resolve("dvhc.tinh", "15", date(2025, 7, 1))
    assert isinstance(before, Exact)
    assert isinstance(after, Exact)
    assert (before.entry.name, after.entry.name) == ("Tỉnh Yên Bái", "Tỉnh Lào Cai")
    assert before.entry.valid_to == date(2025, 7, 1) == after.entry.valid_from


def test_a_dissolved_unit_is_known_but_not_then(codes: CodeLists) -> None:
    answer = codes.resolve("dvhc.tinh", "49", date(2025, 7, 1))
    assert isinstance(answer, NotThen)
    assert [entry.name for entry in answer.candidates] == ["Tỉnh Quảng Nam"]
    assert isinstance(codes.resolve("dvhc.tinh", "03", date(2025, 7, 1)), Unknown)


def test_all_province_codes_that_changed_their_meaning_on_one_day_are_there(codes: CodeLists) -> None:
    changed = {
        code
        for code in codes["dvhc.tinh"].codes
        if isinstance(old := codes.resolve("dvhc.tinh", code, date(2025, 6, 30)), Exact)
        and isinstance(new := codes.resolve("dvhc.tinh", code, date(2025, 7, 1)), Exact)
        and old.entry.name != new.entry.name
    }
    assert changed == {"15", "24", "44", "52", "80", "82", "91"}  # domain facts, section 2, trap 1


def test_a_code_that_is_kept_may_move_to_another_district_and_province(codes: CodeLists) -> None:
    """Domain facts, section 2, trap 3: the communes of Nông Sơn, 519."""

    def of(year: int, month: int) -> tuple[str | None, str | None]:
        answer = codes.resolve("dvhc.xa", "20656", date(year, month, 1))
        assert isinstance(answer, Exact)
        return answer.entry.district, answer.entry.parent

    assert [of(2024, 5), of(2025, 2), of(2025, 8)] == [("519", "49"), ("509", "49"), (None, "48")]


def test_a_code_of_nothing_or_of_the_rest_is_marked(codes: CodeLists) -> None:
    marked = {
        (one.name, row["code"]): row["sentinel"]
        for one in codes.values()
        for row in one.entries.iter_rows(named=True)
        if row["sentinel"]
    }
    assert marked["hotich.loaiGiayToTuyThan", "0"] == "nothing"
    assert marked["hotich.loaiGiayToTuyThan", "8"] == "other"
    assert marked["dancu.nhomMau", "05"] == "other"
    assert marked["dantoc", "99"] == "nothing"
    vague = {"Khác", "Không có thông tin", "Chưa có thông tin", "Để trống", "Không xác định", "Không rõ"}
    for one in codes.values():
        for row in one.entries.filter(one.entries["name"].is_in(vague)).iter_rows(named=True):
            assert (one.name, row["code"]) in marked


def test_names_are_answers_too(codes: CodeLists) -> None:
    assert codes.resolve("dantoc", "CƠ TU") == codes.resolve("dantoc", "26")
    answer = codes.resolve("dantoc", "Ca-tang")
    assert isinstance(answer, Ambiguous)
    assert [entry.code for entry in answer.candidates] == ["26", "27"]
    dated = codes.resolve("dvhc.tinh", "tỉnh quảng nam", date(2020, 1, 1))
    assert isinstance(dated, Exact)
    assert dated.entry.code == "49"


@pytest.mark.parametrize("name", ["Quảng Nam", "Tỉnh Thừa Thiên Huế", "tp Đà Nẵng", "Tỉnh  Đắk Lắk"])
def test_blanks_and_the_form_of_its_marks_change_no_name(codes: CodeLists, name: str) -> None:
    day = date(2020, 1, 1)
    answer = codes.resolve("dvhc.tinh", name, day)
    assert isinstance(answer, Exact)
    spaced = name.replace(" ", "\u00a0")
    for text in (unicodedata.normalize("NFD", name), spaced, name.replace(" ", "  "), f"\t{spaced} "):
        assert codes.resolve("dvhc.tinh", text, day) == answer


def test_blanks_round_a_code_do_not_count(codes: CodeLists) -> None:
    assert codes.resolve("dvhc.tinh", "\u00a049 ", date(2020, 1, 1)) == codes.resolve(
        "dvhc.tinh", "49", date(2020, 1, 1)
    )


def test_a_list_that_is_not_there_is_a_mistake(codes: CodeLists) -> None:
    with pytest.raises(KeyError):
        codes.resolve("dvhc.thon", "519")


def test_no_official_name_of_a_plain_list_stands_for_two_codes(codes: CodeLists) -> None:
    for one in codes.values():
        if not one.dated:
            names = [fold(name) for name in one.entries["name"]]
            assert len(names) == len(set(names)), one.name


def test_the_lists_are_whole(codes: CodeLists) -> None:
    communes = codes["dvhc.xa"].entries
    assert communes["code"].n_unique() == 10_621  # 10,599 of 2022 and those made since
    now = communes.filter(communes["valid_to"].is_null())
    assert len(now) == 3_321  # QĐ 19/2025/QĐ-TTg
    districts = codes["dvhc.huyen"].entries
    assert districts["code"].n_unique() == 707
    assert districts["valid_to"].null_count() == 0  # none is left
    assert len(codes["dinhdanh.tinh"].entries) == 63
    assert len(codes["dantoc"].entries) == 56
