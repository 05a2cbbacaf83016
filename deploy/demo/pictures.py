"""What the demo shows: a legacy row, the same row in the national layout, rejects, checks."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.demo.agency import COLUMNS
from deploy.demo.oracle import Check
from deploy.demo.render import NBSP, Cell, LegacyRow

#: Which legacy column each national field is obtained from, for the picture.
ORIGINS: Final = {
    "so": "so_dk",
    "quyenSo": "quyen_so",
    "trangSo": "trang_so",
    "ngayDangKy": "ngay_dk",
    "loaiDangKy": "loai_dk",
    "noiDangKy": "ma_xa_dk",
    "nguoiKy": "nguoi_ky",
    "chucVuNguoiKy": "nguoi_ky",
    "nksHoTen": "ho_ten",
    "nksGioiTinh": "gioi_tinh",
    "nksNgaySinh": "ngay_sinh",
    "nksNoiSinh": "noi_sinh",
    "nksQueQuan": "que_quan",
    "nksDanToc": "dan_toc",
    "nksQuocTich": "quoc_tich",
    "meHoTen": "me_ho_ten",
    "meNgaySinh": "me_ngay_sinh",
    "meDanToc": "me_dan_toc",
    "meLoaiGiayToTuyThan": "me_giay_to",
    "meSoGiayToTuyThan": "me_giay_to",
    "chaHoTen": "cha_ho_ten",
    "chaNgaySinh": "cha_ngay_sinh",
    "chaDanToc": "cha_dan_toc",
}
#: … and each field that only the 70-column layout has.
ADDED: Final = {"nksSoDinhDanh": "so_dinh_danh", "nksQuocTichStr": "quoc_tich"}


def visible(cell: Cell) -> Text:
    """A cell with its invisible faults made visible."""
    if cell is None:
        return Text("NULL", style="dim italic")
    if not isinstance(cell, str):
        return Text(str(cell))
    shown = unicodedata.normalize("NFC", cell).replace(NBSP, "⍽").replace("\t", "⇥")
    if shown != shown.strip() or "  " in shown:
        shown = shown.replace(" ", "·")
    text = Text(shown or '""', style="" if shown else "dim italic")
    if unicodedata.normalize("NFC", cell) != cell:
        text.append("  (NFD)", style="yellow")
    return text


def show_legacy(console: Console, row: LegacyRow) -> None:
    """The row as the vendor's table has it. ⍽ is a no-break space, · a space too many."""
    table = _table("column of ht_khaisinh", "meaning", "what stands in it")
    for name, (_, label) in COLUMNS.items():
        table.add_row(name, Text(label, style="dim"), visible(row[name]))
    console.print(table)


def show_both(
    console: Console,
    row: LegacyRow,
    national: Mapping[str, Any],
    labels: Mapping[str, str],
    origins: Mapping[str, str] = ORIGINS,
) -> None:
    """The national row, as far as it has values, beside the cells it was made from."""
    table = _table("legacy column", "legacy value", "national field", "label", "national value")
    for name, origin in origins.items():
        value = national[name.lower()]
        if value is not None:
            label = labels.get(name.lower(), "").partition(" (")[0]  # without the code list's name
            shown = (visible(row[origin]), name, Text(label, style="dim"), Text(str(value), style="green"))
            table.add_row(origin, *shown)
    console.print(table)
    if national["lt_warnings"] and origins is ORIGINS:
        console.print(f"  with a warning, not a reject: [yellow]{national['lt_warnings']}[/]")


def show_rejects(console: Console, rejects: Iterable[tuple[str, str, int, str, str, str]]) -> None:
    """(field, rule, how many, source key of one, the record it came as, reason): one line each."""
    table = _table("field", "rule", "changes", "e.g. id", "kept record", "reason")
    for field, rule, count, key, place, reason in rejects:
        short = place.replace(".hotich_qnam.khaisinh/", " ").replace(".hotich.khaisinh.v1/", " ")
        sentence = reason.removeprefix(f"{field}: ").partition(". ")[0]
        table.add_row(field, rule, str(count), key, Text(short, style="dim"), sentence)
    console.print(table)


def show_metrics(console: Console, scraped: Sequence[tuple[str, str, Sequence[str]]]) -> None:
    """(program, address, a few lines)."""
    for name, address, lines in scraped:
        console.print(f"  {name}: [link={address}]{address}[/]")
        for line in lines:
            console.print(Text(f"      {line}", style="dim"), overflow="fold")


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    table = _table("", "check", "detail")
    for check in checks:
        mark = Text("passed", style="green") if check.passed else Text("FAILED", style="bold red")
        table.add_row(mark, check.name, check.detail)
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(header_style="dim", show_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
