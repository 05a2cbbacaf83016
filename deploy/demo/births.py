"""Fictional births: the truth first, then the messy legacy row that a vendor's system of 2015 would hold.

``outcome`` says from the truth alone what must become of a row; nothing here reads or restates the contract's
rules on text. Everything follows from the seed.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from deploy.demo import words
from deploy.demo.communes import Commune, communes
from deploy.demo.faults import FAULT_SHARE, Fault, plant
from deploy.demo.national import KEY, POSITION, Gone, Live, Outcome, Rejected, key_of
from deploy.demo.render import LegacyRow, missing, render_date, scribble

IN_FORCE, DRAFT, CANCELLED = 1, 0, 9

FIRST_DAY, LAST_DAY = date(1996, 1, 5), date(2025, 11, 20)
ONLINE_SINCE = date(2007, 1, 1)  #: what is older was typed in from paper: ``du_lieu_cu``
PERSONAL_ID_SINCE = date(2016, 1, 1)


@dataclass(frozen=True, slots=True)
class Day:
    """A date as precise as somebody knew it."""

    year: int
    month: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """The national spelling: dd.MM.yyyy, MM.yyyy or yyyy."""
        known = [f"{part:02d}" for part in (self.day, self.month) if part is not None]
        return ".".join([*known, f"{self.year:04d}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    name: str
    born: Day | None
    ethnic: str | None  #: two-digit code
    paper: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """One entry of a birth register as it really is, and where its legacy row is broken on purpose."""

    id: int
    commune: Commune  #: the version valid when the birth was registered
    registered: date
    number: str
    book: str | None
    page: str | None
    kind: str  #: code of hotich.ks.loaiDangKy
    signer: str | None
    title: str | None
    name: str
    gender: str  #: code of hotich.gioiTinh
    born: Day
    birth_place: str | None
    home: str | None
    ethnic: str
    nationality: str
    personal_id: str | None
    mother: Parent | None
    father: Parent | None
    status: int = IN_FORCE
    old: bool = False
    faults: tuple[Fault, ...] = field(default=())


def people_of(commune: Commune) -> str:
    """The ethnic group that is the majority where this commune lies."""
    code = int(commune.code)
    if 20437 <= code <= 20497 or 20695 <= code <= 20704:
        return "26"
    if 20707 <= code <= 20752:
        return "27"
    return "14" if 20899 <= code <= 20959 else "01"


def person_name(rng: random.Random, ethnic: str, gender: str) -> str:
    """A plausible name; one in eighty has capitals that no rule could restore."""
    if rng.random() < 0.0125:
        return rng.choice(words.UNEVEN)
    pick = rng.choice
    if ethnic == "26":
        return f"{pick(words.COTU_FAMILIES)} {pick(words.COTU_GIVEN)}"
    if ethnic == "14":
        return f"{pick(words.XODANG_FAMILIES)} {pick(words.XODANG_GIVEN)}"
    if ethnic == "27":
        return f"{pick(words.GIETRIENG_FAMILIES)} {pick(words.GIETRIENG_GIVEN)}"
    if gender == "1":
        return f"{pick(words.KINH_FAMILIES)} {pick(words.MALE_MIDDLES)} {pick(words.MALE_GIVEN)}"
    return f"{pick(words.KINH_FAMILIES)} {pick(words.FEMALE_MIDDLES)} {pick(words.FEMALE_GIVEN)}"


def _blurred(rng: random.Random, day: date, *, year_only: float, month_only: float) -> Day:
    chance = rng.random()
    if chance < year_only:
        return Day(day.year)
    return Day(day.year, day.month) if chance < year_only + month_only else Day(day.year, day.month, day.day)


def _parent(rng: random.Random, ethnic: str, gender: str, child: date) -> Parent:
    born = child - timedelta(days=rng.randrange(18 * 366, 42 * 365))
    paper = None
    if rng.random() < 0.8:
        paper = rng.choice(
            (f"049{rng.randrange(10**9):09d}", f"{rng.randrange(10**9):09d}", f"B{rng.randrange(10**7):07d}")
        )
    return Parent(
        name=person_name(rng, ethnic, gender),
        born=_blurred(rng, born, year_only=0.35, month_only=0.05) if rng.random() < 0.93 else None,
        ethnic=ethnic if rng.random() < 0.95 else None,
        paper=paper,
    )


def personal_id(rng: random.Random, birth: Birth) -> str:
    """A number as issued: usually right, sometimes of another province, another year or another form."""
    digits = (
        f"0{birth.commune.province}{_century(birth)}{birth.born.year % 100:02d}{rng.randrange(10**6):06d}"
    )
    chance = rng.random()
    if chance < 0.02:
        return f"0{rng.choice(('01', '51', '79'))}{digits[3:]}"
    if chance < 0.03:
        return f"{digits[:4]}{(birth.born.year + 1) % 100:02d}{digits[6:]}"
    if chance < 0.04:
        return rng.choice((digits[:9], digits[:11], f"{digits[:3]} {digits[3:]}", f"QN{digits[2:]}"))
    return digits


def _century(birth: Birth) -> int:
    return 2 * (birth.born.year // 100 - 19) + (birth.gender == "2")


def warnings_of(birth: Birth) -> frozenset[str]:
    """What must be remarked about the personal id; it never rejects."""
    number = birth.personal_id
    if number is None:
        return frozenset()
    if len(number) != 12 or not number.isdecimal():
        return frozenset({"so_dinh_danh:personal_id_form"})
    found = set()
    if number[:3] != f"0{birth.commune.province}":
        found.add("so_dinh_danh:personal_id_prefix")
    if birth.gender in "12" and number[3:6] != f"{_century(birth)}{birth.born.year % 100:02d}":
        found.add("so_dinh_danh:personal_id_birth")
    return frozenset(found)


def new_birth(rng: random.Random, number: int, id_: int) -> Birth:
    """One birth without planted faults. ``number`` runs: it is unique among all births of one seed."""
    commune, registered = _place_and_day(rng)
    gender = rng.choices(("1", "2", "3"), (515, 482, 3))[0]
    ethnic = people_of(commune)
    if rng.random() < 0.12:
        ethnic = rng.choice(tuple(words.ETHNIC_SPELLINGS))
    late = rng.random() < 0.15
    born = registered - timedelta(days=rng.randrange(400, 9000) if late else rng.randrange(1, 60))
    old = registered < ONLINE_SINCE
    place = f"{commune.name}, {'tỉnh Quảng Nam' if commune.province == '49' else 'thành phố Đà Nẵng'}"
    signer = person_name(rng, "01", rng.choice("12")) if rng.random() < 0.97 else None
    birth = Birth(
        id=id_,
        commune=commune,
        registered=registered,
        number=_entry_number(rng, number, registered.year),
        book=None if old and rng.random() < 0.3 else f"{rng.randrange(1, 4):02d}/{registered.year}",
        page=str(rng.randrange(1, 200)) if rng.random() < 0.7 else None,
        kind=("4" if rng.random() < 0.8 else "2") if late else "1",
        signer=signer,
        title=rng.choice(words.TITLES) if signer and rng.random() < 0.9 else None,
        name=person_name(rng, ethnic, gender),
        gender=gender,
        born=_blurred(rng, born, year_only=0.2 if late else 0.0, month_only=0.04 if late else 0.005),
        birth_place=rng.choice(words.BIRTH_PLACES).format(commune=place) if rng.random() < 0.95 else None,
        home=place if rng.random() < 0.95 else None,
        ethnic=ethnic,
        nationality="LA" if rng.random() < 0.004 else "VN",
        personal_id=None,
        mother=_parent(rng, ethnic, "2", born) if rng.random() < 0.98 else None,
        father=_parent(rng, ethnic, "1", born) if rng.random() < 0.9 else None,
        status=rng.choices((IN_FORCE, DRAFT, CANCELLED), (96, 2, 2))[0],
        old=old,
    )
    if registered >= PERSONAL_ID_SINCE and rng.random() < 0.9:
        birth = replace(birth, personal_id=personal_id(rng, birth))
    return birth


def _place_and_day(rng: random.Random) -> tuple[Commune, date]:
    span = (LAST_DAY - FIRST_DAY).days
    while True:
        # the square root favours recent years; one in eight falls into the months of rearrangement
        registered = FIRST_DAY + timedelta(days=int(span * rng.random() ** 0.5))
        if rng.random() < 0.125:
            registered = date(2024, 12, 1) + timedelta(days=rng.randrange(355))
        commune = rng.choice(communes())
        if commune.valid_at(registered):
            return commune, registered


def _entry_number(rng: random.Random, number: int, year: int) -> str:
    chance = rng.random()
    if chance < 0.001:  # characters that the key must escape
        return f"{number}{rng.choice(('|A', '%'))}"
    return f"{number}/{year}" if chance < 0.3 else str(number)


def new_births(count: int, seed: int, *, first_id: int = 1001) -> Iterator[Birth]:
    """``count`` births with a share of ``FAULT_SHARE`` broken on purpose; natural keys are unique."""
    rng = random.Random(f"births {seed} {first_id}")
    for place in range(count):
        birth = new_birth(rng, place + 1, first_id + place)
        yield replace(birth, faults=plant(rng, birth)) if rng.random() < FAULT_SHARE else birth


def national_fields(birth: Birth) -> dict[str, str]:
    """The national row of a birth, in all layouts: every field that is not missing."""
    mother, father = birth.mother, birth.father
    paper = mother.paper if mother else None
    paper_kind = None if paper is None else {12: "4", 9: "1"}.get(len(paper), "8")
    fields = {
        "so": birth.number,
        "quyenSo": birth.book,
        "trangSo": birth.page,
        "ngayDangKy": f"{birth.registered:%d.%m.%Y}",
        "loaiDangKy": birth.kind,
        "noiDangKy": birth.commune.code,
        "nguoiKy": birth.signer,
        "chucVuNguoiKy": birth.title,
        "nksHoTen": birth.name,
        "nksGioiTinh": birth.gender,
        "nksNgaySinh": str(birth.born),
        "nksNoiSinh": birth.birth_place,
        "nksQueQuan": birth.home,
        "nksDanToc": birth.ethnic,
        "nksQuocTich": birth.nationality,
        "nksQuocTichStr": words.NATIONALITY_SPELLINGS[birth.nationality][0],
        "nksSoDinhDanh": birth.personal_id,
        "meHoTen": mother.name if mother else None,
        "meNgaySinh": str(mother.born) if mother and mother.born else None,
        "meDanToc": mother.ethnic if mother else None,
        "meLoaiGiayToTuyThan": paper_kind,
        "meSoGiayToTuyThan": paper,
        "chaHoTen": father.name if father else None,
        "chaNgaySinh": str(father.born) if father and father.born else None,
        "chaDanToc": father.ethnic if father else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def outcome(birth: Birth) -> Outcome:
    """What must become of the row of this birth when it is inserted or updated."""
    faults = sorted(
        birth.faults, key=lambda fault: POSITION.get(fault.field, 0)
    )  # trang_thai comes before all
    if birth.status != IN_FORCE:
        faults = [fault for fault in faults if fault.field in ("trang_thai", *KEY)]
    if faults:
        return Rejected(faults[0].field, faults[0].rule)
    fields = national_fields(birth)
    if birth.status != IN_FORCE:
        return Gone(key_of(fields))
    return Live(key_of(fields), fields, warnings_of(birth))


def outcome_of_removal(birth: Birth) -> Outcome:
    """What must become of a hard delete of this row: only its key is looked at."""
    faults = sorted(
        (fault for fault in birth.faults if fault.field in KEY), key=lambda fault: POSITION[fault.field]
    )
    return Rejected(faults[0].field, faults[0].rule) if faults else Gone(key_of(national_fields(birth)))


def render(birth: Birth, rng: random.Random) -> LegacyRow:
    """The legacy row: the truth as clerks and imports wrote it, then the planted faults."""
    mother, father = birth.mother, birth.father
    signature = birth.signer
    if signature is not None and birth.title is not None:
        signature = f"{signature} - {birth.title}"
    row: LegacyRow = {
        "id": birth.id,
        "so_dk": scribble(rng, birth.number),
        "quyen_so": scribble(rng, birth.book),
        "trang_so": scribble(rng, birth.page),
        "ngay_dk": render_date(rng, birth.registered.day, birth.registered.month, birth.registered.year),
        "loai_dk": scribble(rng, rng.choice(words.KIND_SPELLINGS[birth.kind])),
        "ma_xa_dk": scribble(rng, birth.commune.code),
        "nguoi_ky": scribble(rng, signature),
        "ho_ten": scribble(rng, _capitals(rng, birth.name)),
        "gioi_tinh": scribble(rng, rng.choice(words.GENDER_SPELLINGS[birth.gender])),
        "ngay_sinh": _day(rng, birth.born),
        "noi_sinh": scribble(rng, birth.birth_place),
        "que_quan": scribble(rng, birth.home),
        "dan_toc": _ethnic(rng, birth.ethnic),
        "quoc_tich": scribble(rng, rng.choice(words.NATIONALITY_SPELLINGS[birth.nationality])),
        "so_dinh_danh": scribble(rng, birth.personal_id),
        "me_ho_ten": scribble(rng, _capitals(rng, mother.name)) if mother else missing(rng),
        "me_ngay_sinh": _day(rng, mother.born if mother else None),
        "me_dan_toc": _ethnic(rng, mother.ethnic if mother else None),
        "me_giay_to": scribble(rng, mother.paper if mother else None),
        "cha_ho_ten": scribble(rng, _capitals(rng, father.name)) if father else missing(rng),
        "cha_ngay_sinh": _day(rng, father.born if father else None),
        "cha_dan_toc": _ethnic(rng, father.ethnic if father else None),
        "trang_thai": birth.status,
        "du_lieu_cu": birth.old,
    }
    for fault in birth.faults:
        row[fault.column] = fault.written
    return row


def _capitals(rng: random.Random, name: str) -> str:
    chance = rng.random()
    if chance > 0.22 or name in words.UNEVEN:
        return name
    return name.upper() if chance < 0.18 else name.lower()


def _day(rng: random.Random, day: Day | None) -> str | None:
    return missing(rng) if day is None else render_date(rng, day.day, day.month, day.year)


def _ethnic(rng: random.Random, code: str | None) -> str | None:
    return missing(rng) if code is None else scribble(rng, rng.choice(words.ETHNIC_SPELLINGS[code]))
