"""Fictional entries of civil-status books by the names of the national fields: what sample databases are
filled with. Births come from the demo's generator; marriages and deaths are made of the people in them.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta

from deploy.demo.births import Birth, Day, Parent, national_fields, new_births, person_name

#: A national field, or a vendor's own thing (in small letters with ``_``) -> what is true of it.
Entry = Mapping[str, str | Day | int | None]

_RELATIONS = ("Cha", "Mẹ", "Ông nội", "Bà ngoại", "Bác ruột")
_ISSUERS = ("Công an tỉnh Quảng Nam", "Cục Cảnh sát QLHC về TTXH", "Công an thành phố Đà Nẵng")
_CAUSES = ("Bệnh già", "Tai nạn giao thông", "Suy tim", "Ung thư phổi", "Đột quỵ")
_UNITS = ("Tám", "Mười", "Mười hai", "Hai mươi mốt", "Hai mươi lăm")


def births(count: int, seed: int) -> Iterator[Entry]:
    """``count`` entries of a birth register, without planted faults."""
    rng = random.Random(f"entries {seed}")
    for birth in new_births(count, seed):
        fields: dict[str, str | Day | int | None] = dict(national_fields(birth))
        fields |= _days(birth) | _vendor(birth, rng)
        fields["nguoiThucHien"] = person_name(rng, "01", "2")
        fields["ghiChu"] = "Có thay đổi, cải chính" if rng.random() < 0.1 else None
        fields["nksNgaySinhBangChu"] = f"Ngày {rng.choice(_UNITS).lower()}, tháng năm, năm hai nghìn"
        fields["nksNoiSinhDVHC"] = birth.commune.code
        fields["nksLoaiKhaiSinh"] = "1" if birth.mother and birth.father else "3" if birth.mother else "2"
        for role, parent in (("me", birth.mother), ("cha", birth.father)):
            fields |= _parent(role, parent, birth, rng)
        fields |= _applicant(birth, rng)
        yield fields


def marriages(count: int, seed: int) -> Iterator[Entry]:
    """``count`` entries of a marriage register: the parents of the demo's births."""
    rng = random.Random(f"marriages {seed}")
    for birth in new_births(count * 2, seed):
        if count == 0 or birth.mother is None or birth.father is None:
            continue
        count -= 1
        fields: dict[str, str | Day | int | None] = dict(_entry(birth))
        fields |= _vendor(birth, rng)
        fields["loaiDangKy"] = "1" if rng.random() < 0.9 else "2"
        for role, person in (("chong", birth.father), ("vo", birth.mother)):
            fields |= _parent(role, person, birth, rng)
            fields[f"{role}NgayCapGiayToTuyThan"] = _issued(birth, rng)
            fields[f"{role}NoiCapGiayToTuyThan"] = rng.choice(_ISSUERS)
        yield fields


def deaths(count: int, seed: int) -> Iterator[Entry]:
    """``count`` entries of a death register."""
    rng = random.Random(f"deaths {seed}")
    for birth in new_births(count, seed):
        died = birth.registered - timedelta(days=rng.randrange(1, 20))
        person = Parent(
            name=birth.name,
            born=Day(birth.registered.year - rng.randrange(20, 95)),
            ethnic=birth.ethnic,
            paper=f"{rng.randrange(10**9):09d}",
        )
        fields: dict[str, str | Day | int | None] = dict(_entry(birth))
        fields |= _vendor(birth, rng) | _parent("nkt", person, birth, rng)
        fields["nktGioiTinh"] = birth.gender
        fields["nktNgayChet"] = Day(died.year, died.month, died.day)
        fields["nktGioPhutChet"] = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
        fields["nktNoiChet"] = f"Tại nhà, {birth.commune.name}"
        fields["nktNguyenNhanChet"] = rng.choice(_CAUSES)
        fields["gbtSo"] = f"{rng.randrange(1, 300)}/GBT"
        fields["gbtNgay"] = Day(died.year, died.month, died.day)
        fields["gbtCoQuanCap"] = f"UBND {birth.commune.name}"
        fields["loaiDangKy"] = "1"
        yield fields | _applicant(birth, rng)


def _entry(birth: Birth) -> Entry:
    kept = ("so", "quyenSo", "trangSo", "noiDangKy", "nguoiKy", "chucVuNguoiKy")
    fields = national_fields(replace(birth, faults=()))
    return {name: fields.get(name) for name in kept} | _days(birth)


def _days(birth: Birth) -> dict[str, str | Day | int | None]:
    registered = birth.registered
    return {"ngayDangKy": Day(registered.year, registered.month, registered.day), "nksNgaySinh": birth.born}


def _vendor(birth: Birth, rng: random.Random) -> dict[str, str | Day | int | None]:
    written = birth.registered + timedelta(days=rng.randrange(3))
    changed = written + timedelta(days=rng.randrange(900)) if rng.random() < 0.3 else written
    return {
        "id": birth.id,
        "guid": f"{rng.getrandbits(128):032x}",
        "personal_id": birth.personal_id,
        "status": birth.status,
        "old": int(birth.old),
        "user": rng.choice(("tuphap01", "tuphap02", "hotich_xa")),
        "phone": f"09{rng.randrange(10**8):08d}",
        "file": f"/scan/{birth.registered.year}/{birth.id}.pdf",
        "created": f"{written} {rng.randrange(7, 17):02d}:{rng.randrange(60):02d}:00",
        "updated": f"{changed} {rng.randrange(7, 17):02d}:{rng.randrange(60):02d}:00",
        "year": birth.registered.year,
    }


def _parent(
    role: str, person: Parent | None, birth: Birth, rng: random.Random
) -> dict[str, str | Day | int | None]:
    if person is None:
        return {}
    paper = person.paper
    return {
        f"{role}HoTen": person.name,
        f"{role}NgaySinh": person.born,
        f"{role}DanToc": person.ethnic,
        f"{role}QuocTich": "VN" if rng.random() < 0.99 else "LA",
        f"{role}LoaiCuTru": "1" if rng.random() < 0.9 else "2",
        f"{role}NoiCuTru": f"Thôn {rng.randrange(1, 9)}, {birth.commune.name}, Quảng Nam",
        f"{role}LoaiGiayToTuyThan": None if paper is None else {12: "4", 9: "1"}.get(len(paper), "2"),
        f"{role}SoGiayToTuyThan": paper,
    }


def _applicant(birth: Birth, rng: random.Random) -> dict[str, str | Day | int | None]:
    return {
        "nycHoTen": person_name(rng, birth.ethnic, rng.choice("12")),
        "nycQuanHe": rng.choice(_RELATIONS),
        "nycLoaiGiayToTuyThan": "4",
        "nycSoGiayToTuyThan": f"049{rng.randrange(10**9):09d}",
        "nycNgayCapGiayToTuyThan": _issued(birth, rng),
        "nycNoiCapGiayToTuyThan": rng.choice(_ISSUERS),
    }


def _issued(birth: Birth, rng: random.Random) -> Day:
    day = max(date(1995, 1, 1), birth.registered - timedelta(days=rng.randrange(100, 4000)))
    return Day(day.year, day.month, day.day)
