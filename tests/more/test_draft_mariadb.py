"""Drafts from a real MariaDB."""

from urllib.parse import quote_plus

import pytest

from producers.introspection import read_table
from schemas.drafting.drafts import draft_of
from schemas.errors import LienthongError
from tests.layouts import entries
from tests.layouts.held_out import COMMENTED, GLUED
from tests.layouts.layout import Layout
from tests.more.mariadb import PASSWORD, MariadbNode
from tests.offline.drafts import PROMISED, library, right


@pytest.mark.timeout(600)
@pytest.mark.parametrize("layout", [GLUED, COMMENTED], ids=["glued", "commented"])
def test_most_fields_are_right(mariadb: MariadbNode, layout: Layout) -> None:
    database = f"so_{layout.table.lower()}"
    mariadb.fill(database, layout, entries.births(300, 11))
    table = read_table(mariadb.url(database), layout.table)
    assert table.sampled == 300
    assert [column.comment for column in table.columns] == [held.comment for held in layout.columns]
    assert right(draft_of(table, library(), name=("thu", "bang")), layout, "hotich.khaisinh.v1") >= PROMISED


def test_types_and_odd_names(mariadb: MariadbNode) -> None:
    mariadb.run("CREATE DATABASE kieu")
    mariadb.run(
        "CREATE TABLE `bảng ``lạ``` (ma INT PRIMARY KEY, dung TINYINT(1), co BIT(1), ngay DATETIME,"
        " gia DECIMAL(12, 2), loai ENUM('a', 'b'), anh LONGBLOB, ghi JSON, nam YEAR, gio TIME, `Họ tên` TEXT"
        ")",
        "INSERT INTO `bảng ``lạ``` VALUES (1, 1, b'1', '2020-05-04 08:30:00', 2.50, 'a', 'x', '{}', 2020,"
        " '08:30', 'ă'),"
        " (2, 0, b'0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        database="kieu",
    )
    table = read_table(mariadb.url("kieu"), "bảng `lạ`")
    held = {column.name: column.avro for column in table.columns}
    assert {name for name, avro in held.items() if avro == "long"} >= {"ma", "dung"}
    assert (held["co"], held["gia"], held["anh"]) == ("boolean", "string", None)
    assert set(table.by_name["co"].values) == {"true", "false"}
    assert set(table.by_name["ngay"].values) == {"2020-05-04T08:30:00", None}


def test_what_is_not_allowed_is_told_without_the_password(mariadb: MariadbNode) -> None:
    mariadb.run("CREATE DATABASE kin", f"CREATE USER la@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    mariadb.run("CREATE TABLE t (ma INT PRIMARY KEY)", database="kin")
    wrong = "sai-" + PASSWORD
    for url in (mariadb.url("kin", user="la"), mariadb.url("kin", password=wrong)):
        with pytest.raises(LienthongError) as caught:
            read_table(url, "t")
        assert "Access denied" in caught.value.message
        for secret in (PASSWORD, quote_plus(PASSWORD)):
            assert secret not in caught.value.message + caught.value.next_step
