"""The demo's births: the same from the same seed, messy and broken in known shares, one under each key."""

import random
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from deploy.demo import words
from deploy.demo.births import Birth, Day, Parent, new_births, outcome, outcome_of_removal, render
from deploy.demo.changes import Register, kinds
from deploy.demo.communes import Commune, codes_not_valid_at, communes
from deploy.demo.faults import FAULT_SHARE, Fault
from deploy.demo.national import FIELDS, KEY, LAYOUTS, Gone, Live, Rejected, key_of
from deploy.demo.render import LegacyRow, tones_apart

COUNT = 4000


@pytest.fixture(scope="module")
def births() -> list[Birth]:
    return list(new_births(COUNT, seed=7))


@pytest.fixture(scope="module")
def rows(births: list[Birth]) -> list[LegacyRow]:
    rng = random.Random(7)
    return [render(birth, rng) for birth in births]


def clean(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).replace("\u00a0", " ").split())


def test_the_same_seed_gives_the_same_births_rows_and_changes() -> None:
    first, second, other = Register(300, 7), Register(300, 7), Register(300, 8)
    assert first.snapshot() == second.snapshot() != other.snapshot()
    assert first.transactions(100) == second.transactions(100)


def test_a_longer_run_begins_like_a_shorter_one(births: list[Birth]) -> None:
    assert list(new_births(100, seed=7)) == births[:100]


def test_no_two_births_share_an_id_or_a_national_key(births: list[Birth]) -> None:
    keys = [found.key for found in map(outcome, births) if not isinstance(found, Rejected)]
    assert len({birth.id for birth in births}) == COUNT
    assert len(set(keys)) == len(keys)


def test_about_three_in_a_hundred_are_broken_and_every_kind_of_fault_is_met(births: list[Birth]) -> None:
    broken = [birth for birth in births if birth.faults]
    assert FAULT_SHARE * COUNT * 0.6 < len(broken) < FAULT_SHARE * COUNT * 1.4
    rules = {fault.rule for birth in broken for fault in birth.faults}
    assert rules == {
        "date_impossible",
        "date_unreadable",
        "date_precision",
        "code_unknown",
        "code_ambiguous",
        "code_not_valid_then",
        "required_missing",
        "status_unknown",
    }
    assert any(len(birth.faults) == 2 for birth in broken)


def test_most_are_in_force_some_are_drafts_or_cancelled(births: list[Birth]) -> None:
    became = Counter(type(outcome(birth)) for birth in births)
    assert became[Live] > 0.9 * COUNT
    assert 0.02 * COUNT < became[Gone] < 0.07 * COUNT
    assert became[Rejected] > 0.015 * COUNT


def test_rows_are_as_messy_as_promised(births: list[Birth], rows: list[LegacyRow]) -> None:
    cells = [str(cell) for row in rows for cell in row.values() if cell is not None]
    assert any(cell != unicodedata.normalize("NFC", cell) for cell in cells)
    assert any("\u00a0" in cell for cell in cells)
    assert any("  " in cell for cell in cells)
    assert any("\t" in cell for cell in cells)
    assert {"Null", "không rõ", "", "-"} <= set(cells)
    assert sum(str(row["ho_ten"]).isupper() for row in rows) > 0.1 * COUNT
    parents = [str(row["me_ngay_sinh"]).strip() for row in rows]
    assert sum(bool(re.fullmatch(r"\d{4}", text)) for text in parents) > 0.2 * COUNT
    assert sum(bool(re.fullmatch(r"\d{1,2}[/.-]\d{4}", text)) for text in parents) > 0.01 * COUNT
    dates = " ".join(str(row["ngay_dk"]) for row in rows)
    assert all(separator in dates for separator in "/.-")
    spellings = {clean(str(row["dan_toc"])) for row in rows}
    assert {"Cơ Tu", "Ca-tu", "Kơ Tu", "Xơ Đăng", "Giẻ-Triêng", "Kinh"} <= spellings
    assert any(birth.book is None and birth.old for birth in births)
    assert any(birth.commune.code == "20656" for birth in births)


def test_mess_hides_the_truth_only_from_the_eye(births: list[Birth], rows: list[LegacyRow]) -> None:
    """Where nothing is planted, a careful reader finds the truth again."""
    for birth, row in zip(births, rows, strict=True):
        if birth.faults:
            continue
        assert clean(str(row["so_dk"])) == birth.number
        assert clean(str(row["ho_ten"])).casefold() == birth.name.casefold()
        assert clean(str(row["ma_xa_dk"])) == birth.commune.code
        parts = [int(part) for part in re.split("[/.-]", clean(str(row["ngay_dk"])))]
        assert date(parts[2], parts[1], parts[0]) == birth.registered


def test_every_commune_was_valid_when_the_birth_was_registered(births: list[Birth]) -> None:
    assert all(birth.commune.valid_at(birth.registered) for birth in births)
    assert len({birth.commune.code for birth in births}) > 50
    # 20437 was dissolved on 2025-07-01; 20333 has existed since that day
    assert "20437" in codes_not_valid_at(date(2025, 8, 1))
    assert "20333" in codes_not_valid_at(date(2018, 8, 1))


def test_the_commune_table_is_modest_and_names_both_provinces() -> None:
    codes = {commune.code for commune in communes()}
    assert 30 <= len(codes) <= 60
    assert {commune.province for commune in communes()} == {"48", "49"}


@pytest.mark.parametrize(
    "name",
    [
        *words.KINH_FAMILIES,
        *words.COTU_FAMILIES,
        *words.COTU_GIVEN,
        *words.XODANG_GIVEN,
        *words.GIETRIENG_FAMILIES,
        *words.GIETRIENG_GIVEN,
        *words.MALE_MIDDLES,
        *words.FEMALE_MIDDLES,
        *words.MALE_GIVEN,
        *words.FEMALE_GIVEN,
    ],
)
def test_names_survive_capitals(name: str) -> None:
    capitals = re.split("([ -])", name.upper())
    assert "".join(part[:1] + part[1:].lower() for part in capitals) == name


def test_tones_apart_are_text_that_only_nfc_puts_right() -> None:
    apart = tones_apart("Việt Bưởi")
    assert apart not in ("Việt Bưởi", unicodedata.normalize("NFD", "Việt Bưởi"))
    assert unicodedata.normalize("NFC", apart) == "Việt Bưởi"


def test_the_first_fault_by_status_then_position_is_the_one_to_expect(births: list[Birth]) -> None:
    birth = next(birth for birth in births if isinstance(outcome(birth), Live))
    gender = Fault("gioi_tinh", None, "nksGioiTinh", "required_missing")
    commune = Fault("ma_xa_dk", "99999", "noiDangKy", "code_unknown")
    status = Fault("trang_thai", 5, "trang_thai", "status_unknown")
    assert outcome(replace(birth, faults=(gender, commune))) == Rejected("noiDangKy", "code_unknown")
    assert outcome(replace(birth, faults=(gender, status))) == Rejected("trang_thai", "status_unknown")
    assert isinstance(outcome(replace(birth, faults=(gender,), status=9)), Gone)
    assert outcome(replace(birth, faults=(commune,), status=9)) == Rejected("noiDangKy", "code_unknown")
    assert isinstance(outcome_of_removal(replace(birth, faults=(gender, status))), Gone)
    assert outcome_of_removal(replace(birth, faults=(commune,))) == Rejected("noiDangKy", "code_unknown")


def test_a_known_birth_gives_the_known_national_row(births: list[Birth]) -> None:
    """Against a row written down by hand: the oracle itself must be right."""
    birth = replace(
        births[0],
        commune=Commune("20656", "Thị trấn Trung Phước", "49", date(2023, 4, 10), date(2025, 1, 1)),
        registered=date(2024, 3, 5),
        number="45|A",
        book=None,
        page=None,
        kind="4",
        signer="Võ Thử Ký",
        title=None,
        name="Alăng K'Nhớ",
        gender="2",
        born=Day(2016, 7),
        birth_place=None,
        home="Xã Quế Trung",
        ethnic="26",
        nationality="VN",
        personal_id="048217000001",
        mother=Parent(name="Bríu Pia", born=Day(1990), ethnic=None, paper="123456789"),
        father=None,
        status=1,
        faults=(),
    )
    assert outcome(birth) == Live(
        key="20656||45%7CA|05.03.2024",
        fields={
            "so": "45|A",
            "ngayDangKy": "05.03.2024",
            "loaiDangKy": "4",
            "noiDangKy": "20656",
            "nguoiKy": "Võ Thử Ký",
            "nksHoTen": "Alăng K'Nhớ",
            "nksGioiTinh": "2",
            "nksNgaySinh": "07.2016",
            "nksQueQuan": "Xã Quế Trung",
            "nksDanToc": "26",
            "nksQuocTich": "VN",
            "nksQuocTichStr": "Việt Nam",
            "nksSoDinhDanh": "048217000001",
            "meHoTen": "Bríu Pia",
            "meNgaySinh": "1990",
            "meLoaiGiayToTuyThan": "1",
            "meSoGiayToTuyThan": "123456789",
        },
        # 048 is not Quảng Nam's 049; girls born in 2016 carry 3 and 16, not 2 and 17
        warnings=frozenset({"so_dinh_danh:personal_id_prefix", "so_dinh_danh:personal_id_birth"}),
    )


def test_the_national_layout_has_sixty_fields_and_its_key_among_them() -> None:
    assert [len(layout.fields) for layout in LAYOUTS] == [60, 70]
    assert all(len(set(layout.fields)) == len(layout.fields) for layout in LAYOUTS)
    assert [name for name in LAYOUTS[1].fields if name in FIELDS] == list(FIELDS)
    assert set(KEY) <= set(FIELDS)
    assert key_of({"so": "1%|"}) == "||1%25%7C|"


def test_live_changes_are_of_every_kind_and_never_share_a_living_key() -> None:
    register = Register(1000, 7)
    changes = [change for group in register.transactions(400) for change in group]
    changes += register.entered_anew(10)
    changes += register.typed_twice(5)
    assert set(kinds(changes)) == {
        "correction", "cancelled", "put in force", "deleted", "moved key",
        "repaired", "spoiled", "new", "entered anew", "typed twice",
    }  # fmt: skip
    living = [found.key for found in map(outcome, register.births.values()) if isinstance(found, Live)]
    assert len(set(living)) == len(living)
    moved = [change for change in changes if change.left is not None]
    assert moved
    for change in moved:
        assert isinstance(change.outcome, Live)
        assert change.left != change.outcome.key
    assert all(
        isinstance(change.outcome, Rejected)
        for change in changes
        if change.kind in ("spoiled", "typed twice")
    )
