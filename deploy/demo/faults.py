"""Faults planted on purpose, each with the reject it must cause: the field and the rule."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deploy.demo import words
from deploy.demo.communes import codes_not_valid_at
from deploy.demo.render import Cell, missing

if TYPE_CHECKING:
    from deploy.demo.births import Birth

FAULT_SHARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class Fault:
    """A cell that is wrong: what is written in which column, and the reject that must follow."""

    column: str
    written: Cell
    field: str
    rule: str


Planter = Callable[[random.Random, "Birth"], Fault]


def _impossible(rng: random.Random, year: int) -> str:
    return rng.choice(
        (f"31/02/{year}", f"30.02.{year}", f"31/04/{year}", f"05/13/{year}", f"00/05/{year}", "29/02/2015")
    )


def _unreadable(rng: random.Random, year: int) -> str:
    return rng.choice(
        (f"05/03/{year % 100:02d}", f"{year}/03/05", "ngày 5 tháng 3", "05/03/", f"5 tháng 3 {year}")
    )


def _dates(column: str, field: str) -> tuple[Planter, ...]:
    return (
        lambda rng, birth: Fault(column, _impossible(rng, birth.registered.year), field, "date_impossible"),
        lambda rng, birth: Fault(column, _unreadable(rng, birth.registered.year), field, "date_unreadable"),
    )


def _partial_registration(rng: random.Random, birth: Birth) -> Fault:
    day = birth.registered
    return Fault(
        "ngay_dk", rng.choice((f"{day.year}", f"{day.month:02d}/{day.year}")), "ngayDangKy", "date_precision"
    )


def _commune_of_another_time(rng: random.Random, birth: Birth) -> Fault:
    code = rng.choice(codes_not_valid_at(birth.registered))
    return Fault("ma_xa_dk", code, "noiDangKy", "code_not_valid_then")


def _one_of(column: str, written: tuple[str, ...], field: str, rule: str) -> Planter:
    return lambda rng, birth: Fault(column, rng.choice(written), field, rule)


def _nothing(column: str, field: str) -> Planter:
    return lambda rng, birth: Fault(column, missing(rng), field, "required_missing")


def _status(rng: random.Random, birth: Birth) -> Fault:
    return Fault("trang_thai", rng.choice((None, 2, 5, -1)), "trang_thai", "status_unknown")


PLANTERS: Final[tuple[Planter, ...]] = (
    *_dates("ngay_dk", "ngayDangKy"),
    *_dates("ngay_sinh", "nksNgaySinh"),
    *_dates("me_ngay_sinh", "meNgaySinh"),
    *_dates("cha_ngay_sinh", "chaNgaySinh"),
    _partial_registration,
    _commune_of_another_time,
    _one_of("ma_xa_dk", ("99999", "2065", "XA01", "00000"), "noiDangKy", "code_unknown"),
    _nothing("ma_xa_dk", "noiDangKy"),
    _one_of("dan_toc", words.ETHNIC_AMBIGUOUS, "nksDanToc", "code_ambiguous"),
    _one_of("dan_toc", words.ETHNIC_UNKNOWN, "nksDanToc", "code_unknown"),
    _one_of("me_dan_toc", words.ETHNIC_AMBIGUOUS, "meDanToc", "code_ambiguous"),
    _one_of("cha_dan_toc", words.ETHNIC_UNKNOWN, "chaDanToc", "code_unknown"),
    _nothing("dan_toc", "nksDanToc"),
    _one_of("gioi_tinh", ("X", "0", "Trai"), "nksGioiTinh", "code_unknown"),
    _nothing("gioi_tinh", "nksGioiTinh"),
    _nothing("ho_ten", "nksHoTen"),
    _nothing("ngay_sinh", "nksNgaySinh"),
    _one_of("quoc_tich", ("Người nước ngoài", "Quốc tịch khác"), "nksQuocTich", "code_unknown"),
    _nothing("quoc_tich", "nksQuocTich"),
    _one_of("loai_dk", ("Đăng ký bổ sung", "7"), "loaiDangKy", "code_unknown"),
    _nothing("loai_dk", "loaiDangKy"),
    _status,
)


def _missing_book(rng: random.Random, birth: Birth) -> Fault:
    return Fault("quyen_so", missing(rng), "quyenSo", "required_missing")


def plant(rng: random.Random, birth: Birth) -> tuple[Fault, ...]:
    """One fault, sometimes two in different columns: then the first by format position must be told."""
    # only new data must name its book: with old data the same empty cell is no fault
    planters = PLANTERS if birth.old else (*PLANTERS, _missing_book)
    first = rng.choice(planters)(rng, birth)
    if rng.random() < 0.85:
        return (first,)
    second = rng.choice(planters)(rng, birth)
    return (first,) if second.column == first.column else (first, second)
