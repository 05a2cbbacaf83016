"""The agency's database: the table a vendor built around 2015, and the clerks who write into it."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

import psycopg
from psycopg import sql

from deploy.demo.changes import Change
from deploy.demo.render import LegacyRow

TABLE: Final = "ht_khaisinh"

#: Column -> (SQL type, what the vendor's manual calls it).
COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "id": ("bigint PRIMARY KEY", "Mã bản ghi"),
    "so_dk": ("text", "Số đăng ký"),
    "quyen_so": ("text", "Quyển số"),
    "trang_so": ("text", "Trang số"),
    "ngay_dk": ("text", "Ngày đăng ký"),
    "loai_dk": ("text", "Loại đăng ký"),
    "ma_xa_dk": ("text", "Mã xã nơi đăng ký"),
    "nguoi_ky": ("text", "Người ký"),
    "ho_ten": ("text", "Họ tên trẻ"),
    "gioi_tinh": ("text", "Giới tính"),
    "ngay_sinh": ("text", "Ngày sinh"),
    "noi_sinh": ("text", "Nơi sinh"),
    "que_quan": ("text", "Quê quán"),
    "dan_toc": ("text", "Dân tộc"),
    "quoc_tich": ("text", "Quốc tịch"),
    "so_dinh_danh": ("text", "Số định danh"),
    "me_ho_ten": ("text", "Họ tên mẹ"),
    "me_ngay_sinh": ("text", "Ngày sinh mẹ"),
    "me_dan_toc": ("text", "Dân tộc mẹ"),
    "me_giay_to": ("text", "Giấy tờ mẹ"),
    "cha_ho_ten": ("text", "Họ tên cha"),
    "cha_ngay_sinh": ("text", "Ngày sinh cha"),
    "cha_dan_toc": ("text", "Dân tộc cha"),
    "trang_thai": ("integer", "Trạng thái (0 nháp, 1 hiệu lực, 9 đã hủy)"),
    "du_lieu_cu": ("boolean", "Dữ liệu cũ"),
}


def create_table(address: str) -> None:
    """Make the vendor's table in an empty database. ``address`` is a libpq URL."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    with psycopg.connect(address) as connection:
        connection.execute(sql.SQL(f"CREATE TABLE {TABLE} ({columns})"))


def load(address: str, rows: Iterable[LegacyRow]) -> None:
    """Fill the table, as the years did."""
    with (
        psycopg.connect(address) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {TABLE} ({', '.join(COLUMNS)}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row([row[name] for name in COLUMNS])


class Clerks:
    """Writes changes, each group in one transaction. Call only while the database is up."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = psycopg.connect(address)

    def write(self, group: Sequence[Change]) -> None:
        """One transaction. It is committed when this returns."""
        with self._connection.transaction():
            for change in group:
                self._write_one(change)

    def reconnect(self) -> None:
        """After a restart of the database."""
        self._connection.close()
        self._connection = _connect_patiently(self._address)

    def close(self) -> None:
        self._connection.close()

    def _write_one(self, change: Change) -> None:
        if change.row is None:
            found = self._connection.execute(f"DELETE FROM {TABLE} WHERE id = %s", (change.id,))
        elif change.op == "insert":
            names, marks = ", ".join(change.row), ", ".join(["%s"] * len(change.row))
            found = self._connection.execute(
                f"INSERT INTO {TABLE} ({names}) VALUES ({marks})".encode(), list(change.row.values())
            )
        else:
            pairs = ", ".join(f"{name} = %s" for name in change.row)
            values = [*change.row.values(), change.id]
            found = self._connection.execute(f"UPDATE {TABLE} SET {pairs} WHERE id = %s".encode(), values)
        assert found.rowcount == 1, f"{change.kind} of id {change.id} met {found.rowcount} rows"


def _connect_patiently(address: str, timeout_seconds: float = 30) -> psycopg.Connection:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return psycopg.connect(address)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
