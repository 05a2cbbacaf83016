"""``lienthong contracts draft`` on databases of all kinds of oddness."""

import json
from pathlib import Path

import pytest

from producers.introspection import read_table
from schemas.errors import LienthongError, SettingsError
from tests.gates import findings, run, write
from tests.layouts import entries
from tests.layouts.tuned import ENGLISH
from tests.offline.drafts import fill, made


def refused(address: str, table: str) -> LienthongError:
    with pytest.raises(LienthongError) as caught:
        read_table(address, table)
    assert caught.value.next_step
    return caught.value


def test_the_page_goes_to_standard_output_and_the_talk_elsewhere(tmp_path: Path) -> None:
    address = fill(tmp_path, ENGLISH, entries.births(60, 2))
    result = run(tmp_path, "draft", address, "--table", ENGLISH.table, "--lang", "en")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("# DRAFT of a contract for table birth_registration: 60 rows")
    assert "      nksHoTen: {rule: name, from: child_full_name}  # 97 %: name 100 %" in result.stdout
    assert "may both hold the same records? If they never do, say beside: [hotich_qnam/khaisinh]" in " ".join(
        result.stdout.replace("#", " ").split()
    )
    assert "to be written to contracts/sample/birth_registration.yaml" in result.stderr


def test_the_draft_as_json(tmp_path: Path) -> None:
    address = fill(tmp_path, ENGLISH, entries.births(60, 2))
    result = run(tmp_path, "draft", address, "--table", ENGLISH.table, "--json")
    told = json.loads(result.stdout)
    (target,) = told["targets"]
    assert (told["contract"], told["key"]) == ("sample/birth_registration", ["registration_id"])
    assert (told["updated"], told["columns"]["page_no"]) == ("updated_at", "long")
    assert target["fields"]["meHoTen"]["rule"] == {"rule": "name", "from": "mother_full_name"}
    assert 0.9 < target["fields"]["meHoTen"]["sure"] <= 1
    assert target["fields"]["meHoTen"]["why"]
    assert list(told["files"]) == ["contracts/sample/birth_registration.yaml"]


def test_files_are_written_into_a_library_and_never_over_others(tmp_path: Path) -> None:
    address = made(tmp_path, "CREATE TABLE kho (ma TEXT PRIMARY KEY, so_luong INTEGER)")
    words = ("draft", address, "--table", "kho", "--name", "nongnghiep_qnam/kho", "--into", str(tmp_path))
    assert run(tmp_path, *words).exit_code == 0
    assert (tmp_path / "contracts/nongnghiep_qnam/kho.yaml").exists()
    assert (tmp_path / "formats/nongnghiepqnam/kho/v1.avsc").exists()
    assert findings(tmp_path) == []
    again = run(tmp_path, *words)
    assert str(again.exception) == "there is a contract nongnghiep_qnam/kho already"


@pytest.mark.parametrize("folder", ["file", "x" * 300])  # a file, and a name that may not even be asked for
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, folder: str) -> None:
    address = made(tmp_path, "CREATE TABLE kho (ma TEXT PRIMARY KEY)")
    write(tmp_path, "file", "")
    result = run(tmp_path, "draft", address, "--table", "kho", "--into", str(tmp_path / folder))
    assert isinstance(result.exception, LienthongError)
    assert "kho.yaml cannot be written: " in result.exception.message
    assert result.exception.next_step == "name another folder with --into"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("not an address with s3cret", "this is no SQLAlchemy address of a database"),
        ("postgresql://u:s3cret@host:54x2/x", "this is no SQLAlchemy address of a database"),
        ("nosuch://u:s3cret@host/x", "SQLAlchemy has no dialect nosuch"),
        ("mssql+pyodbc://u:s3cret@host/x", "the driver of mssql+pyodbc is not installed"),
        ("oracle+oracledb://u:s3cret@host/x", "the driver of oracle+oracledb is not installed"),
        ("postgresql+psycopg://u:s3cret@127.0.0.1:1/x", "the database cannot be read: "),
        ("sqlite:////nowhere/s3cret/../x.db", "the database cannot be read: unable to open database file"),
    ],
)
def test_an_address_that_does_not_work_is_told_without_its_password(address: str, message: str) -> None:
    error = refused(address, "t")
    assert error.message.startswith(message)
    assert "s3cret" not in error.message + error.next_step
    assert isinstance(error, SettingsError) == (not message.startswith("the database"))


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    refused(f"sqlite:///{tmp_path / 'none.db'}", "t")
    assert not (tmp_path / "none.db").exists()


def test_a_table_that_is_not_there_is_told_with_the_ones_that_are(tmp_path: Path) -> None:
    error = refused(made(tmp_path, "CREATE TABLE khai_sinh (id INTEGER PRIMARY KEY)"), "khaisinh")
    assert (error.message, error.next_step[-9:]) == (
        "no table or view khaisinh that this user may see",
        "khai_sinh",
    )


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    assert refused(f"sqlite:///{tmp_path / 'x.db'}", "t").message.endswith("file is not a database")


def test_an_empty_table_is_drafted_by_its_names(tmp_path: Path) -> None:
    address = fill(tmp_path, ENGLISH, [])
    result = run(
        tmp_path, "draft", address, "--table", ENGLISH.table, "--format", "hotich.khaisinh.v1", "--json"
    )
    told = json.loads(result.stdout)
    assert told["sampled"] == 0
    assert told["targets"][0]["lacking"] == []
    assert told["targets"][0]["fields"]["nksHoTen"]["sure"] < 0.9


def test_a_wide_table_is_drafted(tmp_path: Path) -> None:
    columns = ", ".join(f"cot_{at} TEXT" for at in range(300))
    address = made(tmp_path, f"CREATE TABLE rong (id INTEGER PRIMARY KEY, {columns})")
    told = json.loads(run(tmp_path, "draft", address, "--table", "rong", "--json").stdout)
    assert len(told["targets"][0]["fields"]) == 301


def test_odd_names_are_quoted_and_what_cannot_be_sent_is_asked_about(tmp_path: Path) -> None:
    odd = 'Bảng "của" tôi; --'
    quoted = odd.replace('"', '""')
    address = made(
        tmp_path,
        f'CREATE TABLE "{quoted}" ("select" TEXT PRIMARY KEY, "Họ tên" TEXT, '
        """"no" TEXT, "a'b""c" TEXT, null_ TEXT)""",
        f"""INSERT INTO "{quoted}" VALUES ('k1', 'Nguyễn Văn Mẫu', 'x', 'y', 'z')""",
    )
    words = ("--table", odd, "--name", "a/b", "--into", str(tmp_path), "--json", "--lang", "en")
    result = run(tmp_path, "draft", address, *words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert list(told["columns"]) == ["select", "no", "null_"]
    assert sum("cannot be sent" in question for question in told["questions"]) == 2
    assert "Nguyễn" not in result.output
    assert findings(tmp_path) == []


def test_binary_columns_are_left_out_and_what_a_column_holds_counts_more_than_its_type(
    tmp_path: Path,
) -> None:
    address = made(
        tmp_path,
        "CREATE TABLE t (ma INTEGER, anh BLOB, so INTEGER, gia REAL, dung BOOLEAN, ngay DATE, txt TEXT)",
        "INSERT INTO t VALUES (1, x'00ff', 'mười', 1.5, 1, 'hôm qua', CAST(x'ff' AS TEXT))",
        "INSERT INTO t VALUES (2, x'01', 3, 2, 0, 'nay', 'a')",
    )
    table = read_table(address, "t")
    expected = ["long", None, "string", "double", "boolean", "string", "string"]
    assert [column.avro for column in table.columns] == expected
    assert table.by_name["dung"].values == ("true", "false")
    assert table.by_name["anh"].values == ()
    assert table.keys == ()
    told = json.loads(run(tmp_path, "draft", address, "--table", "t", "--json", "--lang", "en").stdout)
    assert told["left_out"] == ["anh"]
    assert any("no primary key" in question for question in told["questions"])


@pytest.mark.parametrize(
    ("columns", "rows", "decimals"),
    [
        ("id INTEGER PRIMARY KEY, x REAL, ten TEXT", ["(1, 12.5, 'a')", "(2, 3, 'b')"], {"x": 1}),
        ("id INTEGER PRIMARY KEY, x REAL, ten TEXT", ["(1, NULL, 'a')"], {"x": 6}),
        ("id INTEGER PRIMARY KEY, x REAL, ten TEXT", [], {"x": 6}),
        ("x REAL, y REAL, ten TEXT, PRIMARY KEY (x, y)", ["(1.25, 2, 'a')"], {"x": 2, "y": 0}),
        ("id INTEGER PRIMARY KEY, trang_thai REAL, x TEXT", ["(1, 1, 2)", "(2, 0, 3)"], {"trangThai": 0}),
        ("id INTEGER PRIMARY KEY, gioi_tinh REAL, ngay REAL", ["(1, 1, 2016)"], {"gioiTinh": 0, "ngay": 0}),
        ("id INTEGER PRIMARY KEY, x REAL, ten TEXT", ["(1, 1e-30, 'a')", "(2, 1e300, 'b')"], {"x": 18}),
    ],
)  # fmt: skip
def test_numbers_with_fractions_are_read_by_the_only_rule_that_can(
    tmp_path: Path, columns: str, rows: list[str], decimals: dict[str, int]
) -> None:
    address = made(tmp_path, f"CREATE TABLE t ({columns})", *(f"INSERT INTO t VALUES {one}" for one in rows))
    result = run(
        tmp_path, "draft", address, "--table", "t", "--name", "a/b", "--into", str(tmp_path), "--json"
    )
    (target,) = json.loads(result.stdout)["targets"]
    for name, places in decimals.items():
        rule = {key: value for key, value in target["fields"][name]["rule"].items() if key != "from"}
        assert rule == {"rule": "number", "decimals": places, "thousands": "", "decimal_mark": "."}
    assert findings(tmp_path) == []


def test_a_number_with_a_fraction_is_asked_about_where_a_format_wants_a_code_or_a_date(
    tmp_path: Path,
) -> None:
    address = made(
        tmp_path,
        "CREATE TABLE t (so REAL PRIMARY KEY, nks_gioi_tinh REAL, nks_ngay_sinh REAL)",
        "INSERT INTO t VALUES (1.5, 1, 2016)",
    )
    words = ("--table", "t", "--format", "hotich.khaisinh.v1", "--json", "--lang", "en")
    told = json.loads(run(tmp_path, "draft", address, *words).stdout)
    assert told["targets"][0]["fields"] == {}
    asked = {one.partition(":")[0] for one in told["questions"] if "a number with a fraction" in one}
    assert asked == {"so", "nksGioiTinh", "nksNgaySinh"}


def test_what_only_looks_like_a_number_is_a_text(tmp_path: Path) -> None:
    address = made(
        tmp_path,
        "CREATE TABLE t (x REAL, y REAL, z REAL)",
        "INSERT INTO t VALUES ('1.2.3', .5, 'Inf')",
        "INSERT INTO t VALUES (4, 5, '-inf')",
    )
    assert [column.avro for column in read_table(address, "t").columns] == ["string", "double", "double"]


def test_a_view_and_a_unique_index_are_looked_at_too(tmp_path: Path) -> None:
    address = made(
        tmp_path,
        "CREATE TABLE t (a TEXT, b TEXT, c TEXT)",
        "CREATE UNIQUE INDEX u ON t (a, b)",
        "CREATE VIEW v AS SELECT a, b FROM t",
    )
    assert read_table(address, "t").keys == (("a", "b"),)
    assert [column.name for column in read_table(address, "v").columns] == ["a", "b"]


def test_both_ends_of_a_big_table_are_sampled_and_wide_rows_end_the_sample(tmp_path: Path) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
    address = made(
        tmp_path,
        "CREATE TABLE t (i INTEGER PRIMARY KEY, x TEXT)",
        f"INSERT INTO t {many} SELECT i, 'x' FROM n",
        "CREATE TABLE w (i INTEGER PRIMARY KEY, x TEXT)",
        f"INSERT INTO w {many} SELECT i, printf('%.*c', 500000, 'x') FROM n WHERE i < 100",
    )
    table = read_table(address, "t")
    numbers = [int(value or 0) for value in table.by_name["i"].values]
    assert (table.sampled, min(numbers), max(numbers)) == (2000, 1, 5000)
    for language, rows in {"vi": "đã xem 2.000 dòng", "en": "2,000 rows"}.items():
        assert rows in run(tmp_path, "draft", address, "--table", "t", "--lang", language).stdout
    wide = read_table(address, "w")
    assert 60 < wide.sampled < 70
    assert {len(value or "") for value in wide.by_name["x"].values} == {500}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "hotich.khaisinh.v9"), "no national format hotich.khaisinh.v9"),
        (("--name", "Ho Tich"), "--name: not system/dataset in small letters, digits and _"),
        (("--name", "hotich_qnam/khaisinh"), "there is a contract hotich_qnam/khaisinh already"),
    ],
)
def test_wrong_words_are_told(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    address = made(tmp_path, "CREATE TABLE t (i INTEGER PRIMARY KEY)")
    result = run(tmp_path, "draft", address, "--table", "t", *words)
    assert str(result.exception) == message
    assert result.stdout == ""
