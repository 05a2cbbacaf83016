"""The birth register's translation once more, row at a time, in plain Python: a dict in, dicts out.

Written from the specification of the rules and not from the mapping: it shares no code with ``schemas``,
only the code lists' files. What the columns say must be what this says.
"""

import csv
import json
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

CODES = Path(__file__).parents[1] / "schemas" / "codes"

#: Everything Unicode calls white space.
WHITE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
NOTHING_KNOWN = {"", "null", "không có thông tin", "-", "không rõ"}

KEY = ("noiDangKy", "quyenSo", "so", "ngayDangKy")
#: Fields the contract obtains, by position in the register.
FIELDS = (
    "so", "quyenSo", "trangSo", "ngayDangKy", "loaiDangKy", "noiDangKy", "nguoiKy", "chucVuNguoiKy",
    "nksHoTen", "nksGioiTinh", "nksNgaySinh", "nksNoiSinh", "nksQueQuan", "nksDanToc",
    "nksQuocTich", "meHoTen", "meNgaySinh", "meDanToc", "meLoaiGiayToTuyThan", "meSoGiayToTuyThan",
    "chaHoTen", "chaNgaySinh", "chaDanToc",
)  # fmt: skip
#: Those that only the 70-column layout has. An event goes to both layouts or to none.
BESIDES = ("nksSoDinhDanh", "nksQuocTichStr")

Row = dict[str, Any]


class Problem(Exception):
    """A broken rule."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass
class Outcome:
    """What must become of one event."""

    #: With the fields of both layouts, without empty values.
    changes: list[dict[str, Any]] = field(default_factory=list)
    reject: tuple[str, str] | None = None
    warnings: list[tuple[str, str]] = field(default_factory=list)


def translate(event: Row) -> Outcome:
    """The outcome of a decoded envelope."""
    op, before, after = event["op"], event["before"], event["after"]
    if op not in ("c", "u", "r", "d"):
        return Outcome(reject=("op", "op_unknown"))
    if op == "d":
        return _answered(event, before or {}, "d")
    now: Row = after or {}
    status = now.get("trang_thai")
    if status not in (0, 1, 9):
        return Outcome(reject=("trang_thai", "status_unknown"))
    outcome = _answered(event, now, "u" if status == 1 else "d")
    if outcome.reject or before is None:
        return outcome
    try:
        old = {name: _field(name, before) for name in KEY}
    except Problem:
        return outcome
    if _national_key(old) != outcome.changes[0]["lt_key"]:
        outcome.changes.insert(0, _change(event, before, old, "d", answers=False, warnings=[]))
    return outcome


def _answered(event: Row, row: Row, op: str) -> Outcome:
    values: dict[str, str | None] = {}
    for name in (*FIELDS, *BESIDES):
        if op == "u" or name in KEY:
            try:
                values[name] = _field(name, row)
            except Problem as problem:
                return Outcome(reject=(name, problem.rule))
    warnings = [("so_dinh_danh", rule) for rule in _number_warnings(row, values)] if op == "u" else []
    return Outcome([_change(event, row, values, op, answers=True, warnings=warnings)], None, warnings)


def _change(
    event: Row,
    row: Row,
    values: dict[str, str | None],
    op: str,
    *,
    answers: bool,
    warnings: list[tuple[str, str]],
) -> dict[str, Any]:
    key = row.get("id")
    change = {
        "lt_key": _national_key(values),
        "lt_op": op,
        "lt_system": "hotich_qnam",
        "lt_dataset": "khaisinh",
        "lt_source_key": "" if key is None else str(key),
        "lt_seq": event["source"]["seq"],
        "lt_committed_ms": event["source"]["ts_ms"],
        "lt_answers": answers,
        "lt_contract": "hotich_qnam/khaisinh@2",
        "lt_warnings": ",".join(f"{column}:{rule}" for column, rule in warnings) or None,
        "lt_overflow": beside(row, "du_lieu_cu") if op == "u" else None,
        **values,
    }
    return {name: value for name, value in change.items() if value is not None}


def beside(row: Row, *columns: str) -> str | None:
    """What a layout has no field for: the 70-column one for these columns."""
    there = {name: row[name] for name in columns if row.get(name) is not None}
    return json.dumps(there, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if there else None


def _national_key(values: dict[str, str | None]) -> str:
    parts = (values[name] or "" for name in KEY)
    return "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)


# ------------------------------------------------------------------ fields


def _field(name: str, row: Row) -> str | None:
    """One national field. Raises ``Problem``."""
    column, obtain, required = OBTAINED[name]
    written = row.get(column)
    if written is not None and "\x00" in written:
        raise Problem("text_unstorable")
    text = clean(written)
    value = None if text is None else obtain(text, row)
    if value is None and (row.get("du_lieu_cu") is not True if name == "quyenSo" else required):
        raise Problem("required_missing")
    return value


def clean(text: str | None) -> str | None:
    if text is None:
        return None
    text = unicodedata.normalize("NFC", text)
    for white in WHITE:
        text = text.replace(white, " ")
    text = " ".join(part for part in text.split(" ") if part)
    return None if text.lower() in NOTHING_KNOWN else text


def _same(text: str, row: Row) -> str | None:
    return text


def _signer(text: str, row: Row) -> str | None:
    return clean(f" {text} ".partition(" - ")[0])


def _title_of_signer(text: str, row: Row) -> str | None:
    return clean(f" {text} ".partition(" - ")[2])


def spelled(text: str, row: Row) -> str | None:
    kinds = {unicodedata.category(letter) for letter in text}
    if "Lu" in kinds and "Ll" in kinds:
        return text
    spelled, first = "", True
    for letter in text.lower():
        spelled += letter.upper() if first else letter
        first = letter in " -" or (first and not unicodedata.category(letter).startswith("L"))
    return spelled


def digits(text: str) -> bool:
    return bool(text) and all(letter in "0123456789" for letter in text)


def time_parts(text: str) -> list[int] | None:
    """[hour, minute] or [hour, minute, second], whole; None if the text is no time of day."""
    *pieces, last = text.split(":")
    last, dot, fraction = last.partition(".")
    if dot and not (len(pieces) == 2 and digits(fraction) and len(fraction) <= 9):
        return None
    pieces.append(last)
    if len(pieces) not in (2, 3) or not all(len(piece) == 2 and digits(piece) for piece in pieces):
        return None
    numbers = [int(piece) for piece in pieces]
    return numbers if numbers[0] < 24 and max(numbers) < 60 else None


def _year_first(text: str) -> list[int] | None:
    """yyyyMMdd, yyyy-MM and yyyy-MM-dd with or without a time, as ``date_parts``; None: nothing of these."""
    if len(text) == 8 and digits(text):
        return [int(text[6:]), int(text[4:6]), int(text[:4])]
    if len(text) > 10 and text[10] in "T " and time_parts(text[11:]):
        text = text[:10]
    elif len(text) not in (7, 10):
        return None
    pieces = text.split("-")
    fits = [len(piece) for piece in pieces] in ([4, 2, 2], [4, 2]) and all(map(digits, pieces))
    return [int(piece) for piece in reversed(pieces)] if fits else None


def date_parts(text: str) -> list[int]:
    """[day, month, year], [month, year] or [year]. Raises ``Problem``."""
    if (found := _year_first(text)) is not None:
        return found
    marks = {letter for letter in text if letter not in "0123456789"}
    if len(marks) > 1 or not marks <= {"/", ".", "-"}:
        raise Problem("date_unreadable")
    pieces = text.split(marks.pop()) if marks else [text]
    *small, year = pieces
    if len(pieces) > 3 or len(year) != 4 or any(len(piece) not in (1, 2) for piece in small):
        raise Problem("date_unreadable")
    return [int(piece) for piece in pieces]


def _date(text: str, row: Row) -> str | None:
    parts = date_parts(text)
    day, month = [1] * (3 - len(parts)) + parts[:-1]
    try:
        date(parts[-1], month, day)
    except ValueError:
        raise Problem("date_impossible") from None
    return ".".join([f"{part:02d}" for part in parts[:-1]] + [f"{parts[-1]:04d}"])


def _full_day(text: str, row: Row) -> str | None:
    value = _date(text, row)
    if value is not None and len(value) != 10:
        raise Problem("date_precision")
    return value


# ------------------------------------------------------------------ codes


def _read(name: str) -> list[dict[str, str]]:
    lines = (CODES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


#: The tone mark on the first vowel or on the second: one word.
TONES = [pair.split() for pair in (
    "oà òa", "oá óa", "oả ỏa", "oã õa", "oạ ọa", "oè òe", "oé óe", "oẻ ỏe", "oẽ õe", "oẹ ọe",
    "uỳ ùy", "uý úy", "uỷ ủy", "uỹ ũy", "uỵ ụy",
)]  # fmt: skip


def _bare(name: str) -> str:
    for mark in " -\u2010\u2011":
        name = name.replace(mark, "")
    name = name.lower()
    for second, first in TONES:
        name = name.replace(second, first)
    return name


COMMUNES = _read("dvhc.xa")
GROUPS = _read("dantoc")
LABELS: dict[str, dict[str, str]] = {}
for _list in ("hotich.gioiTinh", "hotich.ks.loaiDangKy"):
    LABELS[_list] = {_bare(row["name"]): row["code"] for row in _read(_list)}
    LABELS[_list] |= {row["code"]: row["code"] for row in _read(_list)}
LABELS["hotich.ks.loaiDangKy"] |= {_bare("Đúng hạn"): "1", _bare("Quá hạn"): "4"}
COUNTRIES = {
    _bare(name): row["code"]
    for row in _read("quoctich")
    for name in reversed([row["name"], *filter(None, row["other_names"].split(";"))])
}


def _gender(text: str, row: Row) -> str | None:
    return _known(LABELS["hotich.gioiTinh"].get(_bare(text)))


def _kind(text: str, row: Row) -> str | None:
    return _known(LABELS["hotich.ks.loaiDangKy"].get(_bare(text)))


def _country(text: str, row: Row) -> str | None:
    return _known(COUNTRIES.get(_bare(text)))


def _known(code: str | None) -> str:
    if code is None:
        raise Problem("code_unknown")
    return code


def _group(text: str, row: Row) -> str | None:
    wanted = _bare(text)
    for column in ("name", "aliases", "other_names"):
        codes = {
            group["code"]
            for group in GROUPS
            if wanted in [_bare(name) for name in group[column].split(";") if name]
        }
        if len(codes) > 1:
            raise Problem("code_ambiguous")
        if codes:
            return codes.pop()
    for group in GROUPS:
        bases = [group["name"], *filter(None, group["aliases"].split(";"))]
        inner = filter(None, group["other_names"].split(";"))
        if wanted in {f"{_bare(base)}({_bare(name)})" for name in inner for base in bases}:
            return group["code"]
    raise Problem("code_unknown")


VERSIONS: dict[str, list[dict[str, str]]] = {}
for _version in COMMUNES:
    VERSIONS.setdefault(_version["code"], []).append(_version)


def _commune_at(code: str, day: str) -> dict[str, str] | None:
    iso = "-".join(reversed(day.split(".")))
    for version in VERSIONS.get(code, []):
        begun = not version["valid_from"] or version["valid_from"] <= iso
        if begun and (not version["valid_to"] or iso < version["valid_to"]):
            return version
    return None


def _commune(text: str, row: Row) -> str | None:
    if text not in VERSIONS:
        raise Problem("code_unknown")
    day = _field("ngayDangKy", row)  # its own problem was told before, by position
    assert day is not None
    if _commune_at(text, day) is None:
        raise Problem("code_not_valid_then")
    return text


def _paper(text: str, row: Row) -> str | None:
    digits = all(letter in "0123456789" for letter in text)
    return {12: "4", 9: "1"}.get(len(text), "8") if digits else "8"


def _number_warnings(row: Row, values: dict[str, str | None]) -> list[str]:
    number = clean(row.get("so_dinh_danh"))
    if number is None:
        return []
    if len(number) != 12 or any(letter not in "0123456789" for letter in number):
        return ["personal_id_form"]
    place, day = values["noiDangKy"], values["ngayDangKy"]
    gender, born = values["nksGioiTinh"], values["nksNgaySinh"]
    assert place is not None  # a live record that was translated has them all
    assert day is not None
    assert born is not None
    commune = _commune_at(place, day)
    assert commune is not None
    found = []
    if number[:3] != "0" + commune["parent"]:
        found.append("personal_id_prefix")
    if gender in ("1", "2"):
        year = int(born[-4:])
        digit = 2 * (year // 100 - 19) + (1 if gender == "2" else 0)
        if number[3] != str(digit) or number[4:6] != born[-2:]:
            found.append("personal_id_birth")
    return found


#: National field -> source column, how, required (quyenSo has its own condition).
OBTAINED: dict[str, tuple[str, Any, bool]] = {
    "so": ("so_dk", _same, True),
    "quyenSo": ("quyen_so", _same, True),
    "trangSo": ("trang_so", _same, False),
    "ngayDangKy": ("ngay_dk", _full_day, True),
    "loaiDangKy": ("loai_dk", _kind, True),
    "noiDangKy": ("ma_xa_dk", _commune, True),
    "nguoiKy": ("nguoi_ky", _signer, False),
    "chucVuNguoiKy": ("nguoi_ky", _title_of_signer, False),
    "nksHoTen": ("ho_ten", spelled, True),
    "nksGioiTinh": ("gioi_tinh", _gender, True),
    "nksNgaySinh": ("ngay_sinh", _date, True),
    "nksNoiSinh": ("noi_sinh", _same, False),
    "nksQueQuan": ("que_quan", _same, False),
    "nksDanToc": ("dan_toc", _group, True),
    "nksQuocTich": ("quoc_tich", _country, True),
    "meHoTen": ("me_ho_ten", spelled, False),
    "meNgaySinh": ("me_ngay_sinh", _date, False),
    "meDanToc": ("me_dan_toc", _group, False),
    "meLoaiGiayToTuyThan": ("me_giay_to", _paper, False),
    "meSoGiayToTuyThan": ("me_giay_to", _same, False),
    "chaHoTen": ("cha_ho_ten", spelled, False),
    "chaNgaySinh": ("cha_ngay_sinh", _date, False),
    "chaDanToc": ("cha_dan_toc", _group, False),
    "nksSoDinhDanh": ("so_dinh_danh", _same, False),
    "nksQuocTichStr": ("quoc_tich", _same, False),
}
