"""The national birth register as the oracle knows it: its two layouts, its key, what may become of a record.

Names and order: book KS, layout "sohoa" of the civil-status layouts (CV 1437/BTP-CNTT of 25/04/2019), and the
import template of the shared software 158; written out here so that nothing of ``schemas/`` is read.
"""

from dataclasses import dataclass
from typing import Final

_LAYOUT: Final = """
so quyenSo trangSo ngayDangKy loaiDangKy noiDangKy nguoiKy chucVuNguoiKy nguoiThucHien ghiChu
nksHoTen nksGioiTinh nksNgaySinh nksNgaySinhBangChu nksNoiSinh nksNoiSinhDVHC nksQueQuan nksDanToc
nksQuocTich nksQuocTichKhac nksLoaiKhaiSinh nksMatTich nksMatTichNgayGhiChuTuyenBo
nksMatTichCanCuTuyenBo nksMatTichNgayGhiChuHuyTuyenBo nksMatTichCanCuHuyTuyenBo
nksHanCheNangLucHanhVi nksHanCheNangLucHanhViNgayGhiChuTuyenBo nksHanCheNangLucHanhViCanCuTuyenBo
nksHanCheNangLucHanhViNgayGhiChuHuyTuyenBo nksHanCheNangLucHanhViNgayCanCuHuyTuyenBo meHoTen
meNgaySinh meDanToc meQuocTich meQuocTichKhac meLoaiCuTru meNoiCuTru meLoaiGiayToTuyThan
meSoGiayToTuyThan chaHoTen chaNgaySinh chaDanToc chaQuocTich chaQuocTichKhac chaLoaiCuTru
chaNoiCuTru chaLoaiGiayToTuyThan chaSoGiayToTuyThan nycHoTen nycQuanHe nycLoaiGiayToTuyThan
nycGiayToKhac nycSoGiayToTuyThan nycNgayCapGiayToTuyThan nycNoiCapGiayToTuyThan soDangKyNuocNgoai
ngayDangKyNuocNgoai cqNuocNgoaiDaDangKy qgNuocNgoaiDaDangKy
"""
FIELDS: Final = tuple(_LAYOUT.split())
#: What the template has besides: field -> the one that stands after it.
_ADDED: Final = {
    "STT": "so",
    "nksSoDinhDanh": "nksHoTen",
    "nksQuocTichStr": "nksQuocTichKhac",
    "nksQuocTichKhacStr": "nksLoaiKhaiSinh",
    "meSoDinhDanhCaNhan": "meHoTen",
    "meQuocTichStr": "meQuocTichKhac",
    "meQuocTichKhacStr": "meLoaiCuTru",
    "chaSoDinhDanhCaNhan": "chaHoTen",
    "chaQuocTichStr": "chaQuocTichKhac",
    "chaQuocTichKhacStr": "chaLoaiCuTru",
}
KEY: Final = ("noiDangKy", "quyenSo", "so", "ngayDangKy")
POSITION: Final = {name: place for place, name in enumerate(FIELDS, start=1)}


@dataclass(frozen=True, slots=True)
class Layout:
    """One national layout of the register; both are fed from the same records."""

    format: str
    fields: tuple[str, ...]
    beside: tuple[str, ...]  #: the agency's columns that none of them tells

    @property
    def table(self) -> str:
        return self.format.replace(".", "_")

    @property
    def topic(self) -> str:
        return f"national.{self.format}"


def _template() -> tuple[str, ...]:
    before = {after: name for name, after in _ADDED.items()}
    return tuple(name for field in FIELDS for name in (before.get(field), field) if name)


REGISTER: Final = Layout("hotich.khaisinh.v1", FIELDS, ("so_dinh_danh", "du_lieu_cu"))
TEMPLATE: Final = Layout("hotich.khaisinh.v2", _template(), ("du_lieu_cu",))
LAYOUTS: Final = (REGISTER, TEMPLATE)


@dataclass(frozen=True, slots=True)
class Live:
    """The record stands in the register."""

    key: str
    fields: dict[str, str]  #: only the fields that are not missing; a layout takes those that it has
    warnings: frozenset[str]  #: "field:rule"


@dataclass(frozen=True, slots=True)
class Gone:
    """The record is no longer, or not yet, in force: a dated tombstone under its key."""

    key: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The change cannot be translated; the store keeps what it had."""

    field: str
    rule: str


Outcome = Live | Gone | Rejected


def key_of(fields: dict[str, str]) -> str:
    """The national key: key fields joined with ``|``, a missing one empty, ``%`` and ``|`` inside escaped."""
    return "|".join(fields.get(name, "").replace("%", "%25").replace("|", "%7C") for name in KEY)
