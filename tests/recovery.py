"""Reads the old birth register back out of the national one: row by row, column by column.

Shares no code with ``schemas``. Each column of the agency's table has two ways to one datum: from what the
clerk wrote, and from the national row with what is kept beside it. Spelling does not count, meaning does:
``Giẻ-triêng`` and code 27 are one ethnic group, ``5/3/2016`` and ``05.03.2016`` one day.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests import oracle

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Datum:
    """One column of the old table."""

    written: Callable[[str, Row], object]  #: from a clerk's text that says something, cleaned; and the row
    told: Callable[[Row, Row], object]  #: from the national row, names in small letters; and what is beside


def _field(name: str) -> Callable[[Row, Row], object]:
    return lambda national, _: national[name.lower()]


def _as_it_is(field: str) -> Datum:
    return Datum(lambda text, _: text, _field(field))


def _name(field: str) -> Datum:
    """Capitals are spelling."""
    tell = _field(field)
    return Datum(lambda text, _: text.casefold(), lambda national, beside: _small(tell(national, beside)))


def _small(text: object) -> object:
    return text.casefold() if isinstance(text, str) else text


def _day(field: str) -> Datum:
    """Whatever stands between day, month and year; what is not known of them stays so."""
    tell = _field(field)
    return Datum(lambda text, _: _numbers(text), lambda national, beside: _numbers(tell(national, beside)))


def _numbers(text: object) -> object:
    return [int(part) for part in re.findall("[0-9]+", text)] if isinstance(text, str) else text


def _code(field: str) -> Datum:
    """What the text means in the field's list."""
    return Datum(oracle.OBTAINED[field][1], _field(field))


def _signer(national: Row, _: Row) -> object:
    parts = [national["nguoiky"], national["chucvunguoiky"]]
    return " - ".join(part for part in parts if part) or None


def _number(national: Row, beside: Row) -> object:
    """The newer layout has a field for it; for the older one it is kept as it was written."""
    kept = beside.get("so_dinh_danh")
    return national["nkssodinhdanh"] if "nkssodinhdanh" in national else oracle.clean(kept)


DATA: Mapping[str, Datum] = {
    "so_dk": _as_it_is("so"),
    "quyen_so": _as_it_is("quyenSo"),
    "trang_so": _as_it_is("trangSo"),
    "ngay_dk": _day("ngayDangKy"),
    "loai_dk": _code("loaiDangKy"),
    "ma_xa_dk": _as_it_is("noiDangKy"),
    "nguoi_ky": Datum(lambda text, _: text, _signer),
    "ho_ten": _name("nksHoTen"),
    "gioi_tinh": _code("nksGioiTinh"),
    "ngay_sinh": _day("nksNgaySinh"),
    "noi_sinh": _as_it_is("nksNoiSinh"),
    "que_quan": _as_it_is("nksQueQuan"),
    "dan_toc": _code("nksDanToc"),
    "quoc_tich": _code("nksQuocTich"),
    "so_dinh_danh": Datum(lambda text, _: text, _number),
    "me_ho_ten": _name("meHoTen"),
    "me_ngay_sinh": _day("meNgaySinh"),
    "me_dan_toc": _code("meDanToc"),
    "me_giay_to": _as_it_is("meSoGiayToTuyThan"),
    "cha_ho_ten": _name("chaHoTen"),
    "cha_ngay_sinh": _day("chaNgaySinh"),
    "cha_dan_toc": _code("chaDanToc"),
}
#: Columns that are no text: from the national row, and what is beside.
PLAIN: Mapping[str, Callable[[Row, Row], object]] = {
    "id": lambda national, _: int(national["lt_source_key"]),
    "trang_thai": lambda national, _: 1 if national["lt_deleted_at"] is None else None,
    "du_lieu_cu": lambda _, beside: beside.get("du_lieu_cu"),
}


def lost(old: Row, national: Row, beside: Row) -> Sequence[str]:
    """The columns of an old row that the national row and what is kept beside it do not tell."""
    assert old.keys() == DATA.keys() | PLAIN.keys()
    missing = [name for name, tell in PLAIN.items() if tell(national, beside) != old[name]]
    for name, datum in DATA.items():
        text = oracle.clean(old[name])
        if datum.told(national, beside) != (None if text is None else datum.written(text, old)):
            missing.append(name)
    return missing
