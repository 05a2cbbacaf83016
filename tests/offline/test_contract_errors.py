"""A wrong library file is refused as a whole, with file, line, rule and next step."""

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schemas.codelists import Exact, NotThen
from schemas.contracts import Promise
from schemas.errors import ContractError
from schemas.library import SHIPPED, load_library
from tests.gates import rule_of

CONTRACT = (SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml").read_text(encoding="utf-8")
#: Nine lines like the second would stand for a thousand million words.
BOMB = "a: &a [lol, lol]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
AVSC, LIST = "formats/a/b/v1.avsc", "codes/x.csv"
HEAD = "# title: a\n# source: b\n# evidence: c\n"
FORMAT = (SHIPPED / "formats" / "hotich" / "khaisinh" / "v1.avsc").read_text(encoding="utf-8")
ENTRIES = (SHIPPED / "formats" / "chungthuc" / "hoso" / "v1.avsc").read_text(encoding="utf-8")


def refused(folder: Path, name: str, text: str) -> ContractError:
    """The error of a province's folder with this one file."""
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())  # as it is: no line end is put right
    with pytest.raises(ContractError) as caught:
        load_library([folder])
    return caught.value


def told(error: ContractError, path: Path, line: int, text: str, next_step: str) -> bool:
    assert error.message.startswith(f"{path}:{line}: "), error.message
    assert text in error.message
    assert next_step in error.next_step
    return True


@pytest.mark.parametrize(
    ("before", "after", "text", "next_step"),
    [
        ("precision: day", "precison: day", "unknown key", "did you mean precision?"),
        ("        precision: day\n", "", "ngayDangKy.precision is missing", "add precision"),
        ("precision: day", "precision: hour", "precision: hour is none of", "known here: day, kept"),
        ("rule: code_at", "rule: splitt", "unknown rule splitt", "did you mean split?"),
        ("        rule: code_at\n", "", "key rule is missing", "known here: address, code, code_at,"),
        ("      - rule: personal_id", "      - rule: copy", "unknown rule copy", "personal_id"),
        ("  so_dk: string", "  id: string", "key id is given twice", "keep one"),
        ("      trangSo: {", "      so: {", "key so is given twice", "keep one"),
        ("list: dvhc.xa", "list: dvhc.xaa", "no code list dvhc.xaa", "did you mean dvhc.xa?"),
        ("list: dvhc.xa", "list: dvhc.tinh", "the field's code list is dvhc.xa", "use that list"),
        ("list: dantoc", "list: hotich.gioiTinh", "the field's code list is dantoc", "use that"),
        ('"Quá hạn": "4"', '"Quá  hạn": "4"', "no cleaned text is", "write 'Quá hạn', in"),
        ('"Quá hạn": "4"', '"": "4"', "alias '' is no name", "take it out"),
        ('"Quá hạn": "4"', '"-": "4"', "alias '-' is no name", "take it out"),
        ('"Quá hạn": "4"', '"Quá hạn": "44"', "hotich.ks.loaiDangKy has no code 44", "use a code it has"),
        ("at: ngayDangKy", "at: nksNgaySinhh", "no rule obtains nksNgaySinhh", "mapped field"),
        ("at: ngayDangKy", "at: so", "so does not tell its date", "finds a date"),
        ("from: ngay_dk", "from: ngay_dky", "no column ngay_dky", "did you mean ngay_dk?"),
        ("      trangSo: {", "      trangSoo: {", "has no field trangSoo", "did you mean trangSo?"),
        ("  hotich.khaisinh.v1:", "  hotich.khaisinh.v9:", "no national format", "mean hotich.khaisinh.v2?"),
        ("key: [id]", "key: [ma]", "no column ma", "known here: id, so_dk"),
        ("key: [id]", "key: [id, so_dk, id]", "column id is in the key twice", "once"),
        ("  so_dk: string", "  Số ĐK: string", "a column cannot be named 'Số ĐK'", "a-z, 0-9"),
        ("  so_dk: string", "  so-dk: string", "a column cannot be named 'so-dk'", "a-z, 0-9"),
        ("  so_dk: string", "  before.so: string", "a column cannot be named 'before.so'", "a-z, 0-9"),
        ("  so_dk: string", '  "": string', "a column cannot be named ''", "a-z, 0-9"),
        ("  so_dk: string", "  __row: string", "a column cannot be named '__row'", "a-z, 0-9"),
        ("  live: [1] ", "  live: [x] ", "not all are of type long", "correct"),
        ("  column: trang_thai", "  column: tinh_trang", "no column tinh_trang", "known here"),
        ("unless: du_lieu_cu", "unless: so_dk", "column so_dk is string", "of type boolean"),
        ("unless: du_lieu_cu", "unlass: du_lieu_cu", "unknown key", "unless"),
        ("part: first", "part: second", "part: second is none of", "first, rest"),
        ('value: "1"}', 'value: "77"}', "77 is no code of the field's list", "codes of the list"),
        ('form: "[0-9]{9}"', 'form: "[0-9"', "no regular expression", "correct"),
        ("prefixes: dinhdanh.tinh", "prefixes: dinhdanh", "no code list dinhdanh", "mean dinhdanh.tinh?"),
        ("place: noiDangKy", "place: so", "so does not tell its parent", "finds a parent"),
        ("version: 2", "version: one", "version: a whole number belongs here", "correct"),
        ("owner: Sở", "ownr: Sở", "unknown key ownr", "did you mean owner?"),
        ("  id: long", "  id: int", "columns.id: int is none of", "string, long, double"),
        ("table: ht_khaisinh", "table: [ht_khaisinh", "expected", "correct the file"),
        ("table: ht_khaisinh", "table: [ht_khaisinh]", "table: one text belongs here", "correct the file"),
        ("key: [id]", "key: id", "key: a list belongs here, as [a, b]", "correct the file"),
        ("key: [id]", "key: []", "key: something must stand here", "correct the file"),
        ("version: 2", "version: 0", "version: it must be 1 or more", "correct the file"),
        ("version: 2", "version: 2\npromise: {share: 1}", "promise.share: it must be less than 1", "correct"),
        ("        rule: code_at", "        rule: [code_at]", "unknown rule ['code_at']", "known here:"),
        (rule_of("trangSo"), "copy", "keys with values", "correct"),
    ],
)  # fmt: skip
def test_a_wrong_contract_names_line_rule_and_next_step(
    before: str, after: str, text: str, next_step: str, tmp_path: Path
) -> None:
    assert CONTRACT.count(before) >= 1
    path = "contracts/other/births.yaml"
    error = refused(tmp_path, path, CONTRACT.replace(before, after, 1))
    line = int(error.message.removeprefix(f"{tmp_path / path}:").split(":")[0])
    assert told(error, tmp_path / path, line, text, next_step)
    # The line is the one that was changed, or belongs to the same rule or part.
    changed = CONTRACT[: CONTRACT.index(before)].count("\n") + 1
    assert -8 <= line - changed <= 2 or line == 1


@pytest.mark.parametrize(
    ("before", "after", "text", "next_step"),
    [
        ("chungthuc.so.v1", "chungthuc.so.v9", "no format chungthuc.so.v9 with the key DonVi", "same"),
        ('"books": {', '"within": ["MaSo"], "books": {', "with the key MaSo", "same key"),
        ("SoBatDau", "SoDau", "chungthuc.so.v1 has no field SoDau", "did you mean SoBatDau?"),
    ],
)  # fmt: skip
def test_entries_name_the_format_of_their_books(
    before: str, after: str, text: str, next_step: str, tmp_path: Path
) -> None:
    assert before in ENTRIES
    written = ENTRIES.replace('"within": ["DonVi", "MaSo"], ', "") if "within" in after else ENTRIES
    error = refused(tmp_path, AVSC, written.replace(before, after, 1))
    assert text in error.message
    assert next_step in error.next_step


def test_the_line_is_exact(tmp_path: Path) -> None:
    error = refused(tmp_path, "contracts/a/b.yaml", CONTRACT.replace("list: dantoc", "list: dan_toc", 1))
    line = CONTRACT[: CONTRACT.index("list: dantoc")].count("\n") + 1
    assert error.message == f"{tmp_path}/contracts/a/b.yaml:{line}: no code list dan_toc"


def test_a_rule_reads_no_fraction_as_text(tmp_path: Path) -> None:
    text = CONTRACT.replace("  trang_so: string", "  trang_so: double")
    error = refused(tmp_path, "contracts/a/b.yaml", text)
    line = CONTRACT[: CONTRACT.index("      trangSo: {")].count("\n") + 1
    assert told(error, tmp_path / "contracts/a/b.yaml", line, "column trang_so is double", "string or long")


def test_a_required_field_must_be_mapped(tmp_path: Path) -> None:
    without = "".join(line for line in CONTRACT.splitlines(keepends=True) if "nksHoTen:" not in line)
    error = refused(tmp_path, "contracts/a/b.yaml", without)
    line = CONTRACT[: CONTRACT.index("    fields:")].count("\n") + 1
    assert told(error, tmp_path / "contracts/a/b.yaml", line, "requires nksHoTen", "add a rule for nksHoTen")


def test_no_exception_from_what_the_format_requires(tmp_path: Path) -> None:
    rule = "      nksHoTen: {rule: name, from: ho_ten, "
    text = CONTRACT.replace(rule, rule + "required: {unless: du_lieu_cu}, ")
    error = refused(tmp_path, "contracts/a/b.yaml", text)
    line = CONTRACT[: CONTRACT.index(rule)].count("\n") + 1
    assert told(error, tmp_path / "contracts/a/b.yaml", line, "requires nksHoTen of every", "exception")


def test_a_target_is_like_another_of_the_same_contract(tmp_path: Path) -> None:
    name = "contracts/a/b.yaml"
    for like, step in (
        ("hotich.khaisinh.v9", "mean hotich.khaisinh.v1?"),
        ("hotich.kethon.v1", "known here"),
    ):
        error = refused(tmp_path, name, f"{CONTRACT}\n  hotich.kethon.v1:\n    like: {like}\n")
        line = CONTRACT.count("\n") + 3
        assert told(error, tmp_path / name, line, f"{like} is no target with rules of its own", step)
        shutil.rmtree(tmp_path / "contracts")


def test_what_a_target_like_another_lacks_is_told_there(tmp_path: Path) -> None:
    name = "contracts/a/b.yaml"
    error = refused(tmp_path, name, f"{CONTRACT}\n  hotich.kethon.v1:\n    like: hotich.khaisinh.v1\n")
    # The kind of registration is told by the list of births: its rule is at fault for this book.
    line = CONTRACT[: CONTRACT.index("list: hotich.ks.loaiDangKy")].count("\n") + 1
    assert told(
        error, tmp_path / name, line, "the field's code list is hotich.kh.loaiDangKy", "use that list"
    )


def test_words_for_nothing_are_in_small_letters(tmp_path: Path) -> None:
    error = refused(tmp_path, "contracts/a/b.yaml", CONTRACT.replace('["null"', '["Null"'))
    assert "small letters" in error.message


@pytest.mark.parametrize(
    ("name", "text", "line", "expected", "next_step"),
    [
        ("contracts/births.yaml", CONTRACT, 1, "not in a place for contracts", "<system>/<dataset>.yaml"),
        ("contracts/hotich_qnam/khaisinh.yaml", CONTRACT, 1, "is already in", "another name"),
        ("contracts/a/b.yaml", "- a\n", 1, "does not begin with a key", "correct"),
        ("contracts/a/b.yaml", "", 1, "the file is empty", "correct"),
        ("contracts/a/b.yaml", "a: 1\n? [x]\n: 2\n", 2, "a key must be a word", "correct"),
        ("contracts/a/b.yaml", "a: \t1\n\tb: 2\n", 2, "", "correct"),
        ("formats/v1.avsc", FORMAT, 1, "not in a place for formats", "<domain>/<entity>/v<N>.avsc"),
        (AVSC, FORMAT.replace('"position": 3', '"position": 4'), 11, "has position 4", "number 3"),
        (AVSC, FORMAT.replace('"trangSo"', '"SO"'), 11, "name SO is taken", "once"),
        (AVSC, FORMAT.replace('"trangSo"', '"lt_op"'), 11, "lt_op is taken", "once"),
        (AVSC, FORMAT.replace('["noiDangKy"', '["noiDK"'), 7, "no field: noiDK", "fields of"),
        (AVSC, FORMAT.replace('["noiDangKy", "', '["so", "noiDangKy", "'), 7, "so is in the key twice", ""),
        (AVSC, FORMAT.replace('"evidence": "V"', '"evidence": "X"', 1), 9, "X is none of", "V, I, U"),
        (AVSC, ENTRIES.replace('"number": "So"', '"number": "Soo"'), 8, "names no field: Soo", "fields"),
        (AVSC, ENTRIES.replace('["DonVi", "MaSo"], ', '["MaDV"], '), 8, "names no field: MaDV", ""),
        (AVSC, ENTRIES.replace('"day": "NgayChungThuc"', '"day": "So"'), 8, "So has no form of a day", ""),
        (AVSC, ENTRIES.replace('"[0-9]{3}([.]', '"[0-9]{3}(([.]', 1), 13, "no regular expression", "correct"),
        (AVSC, ENTRIES.replace('"[0-9]{3}([.]', '"(?=[0-9]([.]', 1), 13, "no regular expression", "correct"),
        (AVSC, ENTRIES.replace('"books": {', '"book": {'), 8, "unknown key", "did you mean books?"),
        (AVSC, FORMAT.replace('"dd.MM.yyyy"', '"dd.MM.yy"', 1), 12, "dd.MM.yy is no form", "write it like"),
        (AVSC, FORMAT[:300], 6, "", "correct the file"),
        (LIST, "code,name\n1,a\n", 1, "does not tell the list's title", "# title"),
        (LIST, "# titel: a b\ncode\n", 1, "the head has no key titel", "did you mean title?"),
        (LIST, "# just words\ncode\n", 1, "a head line is", "keys: title"),
        (LIST, HEAD + "code,nam\n1,a\n", 4, "unknown column nam", "known"),
        (LIST, HEAD + "code\n1\n", 4, "column name is missing", "add"),
        (LIST, HEAD + "code,name\n1,a\n2,\n", 6, "name is empty", "fill"),
        (LIST, HEAD + "code,name\n1,a\n2,b\n2,c\n1,d\n", 7, "already has", "end one"),
        (LIST, HEAD + "code,name\n1 ,a\n", 5, "the code is not clean", "NFC"),
        (LIST, HEAD + "code,name\n1,a\u00a0b\n", 5, "the name is not clean", "no other white"),
        (LIST, HEAD + "code,name,aliases\n1,a,\n2,b,c;\n", 6, "its aliases are not all", "one ;"),
        (LIST, HEAD + "code,name,aliases\n1,a,c;;d\n", 5, "its aliases are not all", "one ;"),
        (LIST, HEAD + "code,name,aliases\n1,a,c;- -\n", 5, "its aliases are not all", "one ;"),
        (LIST, HEAD + "code,name\n1,a\n2,-\n", 6, "the name is not clean", "no other white"),
        (LIST, HEAD + "code,name,other_names\n1,a,c\n2,a,e\u0301\n", 6, "other_names are not all", "NFC"),
        (LIST, HEAD + "# below: ^(?!9)([0-9])[0-9]\ncode,name\n1,a\n", 1, "below is no regular", "own code"),
        (LIST, HEAD + "# below: (?i)([a-z])[0-9]\ncode,name\n1,a\n", 1, "below is no regular", "own code"),
        (LIST, HEAD + "code,name\n1,a,b\n", 5, "not a CSV table: the row has 3 fields", "one row, one line"),
        (LIST, HEAD + 'code,name\n1,"a\nb"\n\n2,a,b\n', 8, "the row has 3 fields, the header 2", "quotes"),
        (LIST, HEAD + "code,name\n" + "1,a\n" * 5_000 + "2,b,\n", 5_005, "the row has 3 fields", "quotes"),
        (LIST, HEAD + 'code,name\n1,"a\n', 4, "not a CSV table", "one row"),
        (LIST, HEAD + 'code,name\n1,"a\nb"\n\n2,\n', 7, "code is empty", "fill"),
        (LIST, HEAD + 'code,name,read_in\n1,a,"b ""c""\n\nd"\n2,,x\n', 8, "name is empty", "fill"),
        (
            LIST,
            HEAD + 'code,name,read_in,valid_from\n1,a,"b\nc",\n2,b,x,2020-13-01\n',
            7, "is no date", "YYYY",
        ),
        (
            LIST,
            HEAD + '# parent: dvhc.tinh\ncode,name,read_in,parent\n1,a,"b\nc",\n2,b,,99\n',
            8, "parent 99 is no code of dvhc.tinh", "add it",
        ),
        (LIST, HEAD + "code,name,sentinel\n1,a,none\n", 5, "sentinel is none of", "nothing, other"),
        (LIST, HEAD + "code,name,evidence\n1,a,?\n", 5, "evidence is none of", "V, I, U"),
        (
            LIST, HEAD + "code,name,valid_from,valid_to\n1,a,2020-01-01,2020-01-01\n",
            5, "ends before it begins", "dates",
        ),
        (
            LIST,
            HEAD + "code,name,valid_from,valid_to\n1,b,2020-01-02,\n2,c,,\n1,a,,2020-01-01\n",
            5, "means nothing for a time", "# gaps",
        ),
        (LIST, "\ufeff" + HEAD + "code,name\n1,a\n", 1, "byte order mark", "without BOM"),
        (LIST, HEAD + "code,name\n1,a\r\n", 5, "ends with CR LF", "LF"),
        ("contracts/a/b.yaml", "\ufeff" + CONTRACT, 1, "byte order mark", "without BOM"),
        ("contracts/a/b.yaml", "title: a\r\n", 1, "ends with CR LF", "LF"),
        ("contracts/a/b.yaml", BOMB, 2, "alias *a: aliases are not read", "write the value out"),
        (LIST, HEAD + "code,name\n1, a\n", 5, "not clean", "NFC"),
        (
            LIST,
            HEAD + "code,name,valid_from,valid_to\n1,a,,2020-01-02\n1,b,2020-01-01,\n",
            6, "already has a meaning", "before the other begins",
        ),
        (
            LIST,
            HEAD + "code,name,valid_from\n1,a,2020-13-01\n", 5, "is no date", "YYYY",
        ),
        (
            LIST,
            HEAD + "# parent: dvhc.tinh\ncode,name,parent\n1,a,99\n",
            6, "parent 99 is no code of dvhc.tinh", "add it",
        ),
        (
            LIST,
            HEAD + "# parent: x\ncode,name,parent\n1,a,\n2,b,3\n3,c,2\n",
            7, "each other's parents: 2 -> 3 -> 2", "let one have no parent",
        ),
        ("contracts/a/b.yaml", "a:\n b: " + 400 * "[", 2, "nested more than 50 deep", "correct the file"),
        ("contracts/a/b.yaml", "a: 1\nb: \x01", 2, "unacceptable character", "correct the file"),
        (
            LIST, HEAD + "# parent: y\ncode,name\n1,a\n",
            1, "no code list y", "add the parent list",
        ),
        (
            LIST, HEAD + "code,name,parent\n1,a,01\n",
            1, "does not name the parent list", "# parent",
        ),
        ("codes/dantoc.csv", HEAD + "code,name\n1,a\n", 1, "is already in", "name"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_line_and_next_step(
    name: str, text: str, line: int, expected: str, next_step: str, tmp_path: Path
) -> None:
    error = refused(tmp_path, name, text)
    assert told(error, tmp_path / name, line, expected, next_step)


def test_an_unknown_code_list_of_a_format(tmp_path: Path) -> None:
    error = refused(tmp_path, AVSC, FORMAT.replace('"dantoc"', '"dan"', 1))
    assert "a.b.v1: field nksDanToc: no code list dan" in error.message
    assert "codes/dan.csv" in error.next_step


def test_lists_that_are_each_others_parents(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    for name, parent in (("x", "y"), ("y", "x")):
        text = f"{HEAD}# parent: {parent}\ncode,name,parent\n1,a,1\n"
        (tmp_path / "codes" / f"{name}.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=r"x\.csv:1: these lists are each other's parents: x -> y -> x"):
        load_library([tmp_path])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no such folder") as caught:
        load_library([tmp_path / "nowhere"])
    assert "LIENTHONG_CONTRACTS" in caught.value.next_step


def test_a_folder_that_cannot_be_looked_into(tmp_path: Path) -> None:
    folder = tmp_path / (300 * "x")  # as one without rights, which root would have all the same
    with pytest.raises(ContractError, match=r"x:1: File name too long") as caught:
        load_library([folder])
    assert "rights" in caught.value.next_step


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("contracts/a/b.yml", ".yml", ".yaml"),
        ("contracts/a/b.YAML", ".YAML", ".yaml"),
        ("contracts/a/b.yaml.txt", ".yaml.txt", ".yaml"),
        ("contracts/a/b.examples.yml", ".yml", ".yaml"),
        ("formats/a/b/v1.AVSC", ".AVSC", ".avsc"),
        ("codes/successors/x.csv.txt", ".csv.txt", ".csv"),
    ],
)
def test_a_file_that_ends_nearly_as_it_should_is_told(
    name: str, wrong: str, right: str, tmp_path: Path
) -> None:
    error = refused(tmp_path, name, "")
    assert error.message == f"{tmp_path / name}:1: the name ends with {wrong}, so nobody reads the file"
    assert error.next_step == f"let it end with {right}, or take it away"


def test_what_else_lies_in_a_library_is_nobodys_business(tmp_path: Path) -> None:
    for name in ("README.md", "a/.b.yml.swp", ".git/x.yml", "a/b.yaml.bak", "a/b.yaml~", "a/ghi chú"):
        path = tmp_path / "contracts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not ours")
    load_library([tmp_path])


def test_a_file_in_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "contracts").write_text("no folder")
    with pytest.raises(ContractError, match="contracts:1: Not a directory"):
        load_library([tmp_path])


def test_types_of_units_are_words_and_no_patterns(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    rows = "1,Xã (cũ Ba,2000-01-01\n2,Bản Hai,2000-01-01\n"
    path.write_text(f"{HEAD}# types: Xã (cũ=X+ | Bản=[B\ncode,name,valid_from\n{rows}")
    codes = load_library([tmp_path]).codes
    for text, code in (("X+ Ba", "1"), ("[B Hai", "2"), ("xã (cũ ba", "1")):
        answer = codes.resolve("x", text, date(2020, 1, 1))
        assert isinstance(answer, Exact)
        assert answer.entry.code == code


def test_types_may_hold_what_replacements_would_read(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    rows = "1,Xã $1 Ba,2000-01-01\n2,Bản\\q Hai,2000-01-01\n"
    path.write_text(f"{HEAD}# types: Xã $1=XA | Bản\\q=BQ\ncode,name,valid_from\n{rows}")
    one = load_library([tmp_path]).codes["x"]
    for text, code in (("XA Ba", "1"), ("BQ Hai", "2")):
        answer = one.resolve(text, date(2020, 1, 1))
        assert isinstance(answer, Exact)
        assert answer.entry.code == code
        assert pl.select(one.spelling.keys(pl.lit(text))).item() == one.spelling.key(text)


def test_several_names_may_stand_apart_and_an_empty_cell_in_quotes(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    path.write_text(
        HEAD + 'code,name,other_names,aliases\n"1","Việt Nam","","VN ; Viet Nam"\n"2","Lào","",""\n'
    )
    codes = load_library([tmp_path]).codes
    for text in ("VN", "viet nam"):
        answer = codes.resolve("x", text)
        assert isinstance(answer, Exact)
        assert answer.entry.code == "1"


def test_a_gap_that_the_head_tells_of_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    rows = "code,name,valid_from,valid_to\n1,b,2020-01-02,\n1,a,,2020-01-01\n"
    path.write_text(f"{HEAD}# gaps: 1\n{rows}")
    answer = load_library([tmp_path]).codes.resolve("x", "1", date(2020, 1, 1))
    assert isinstance(answer, NotThen)


def test_a_list_of_100_000_rows_loads_and_its_last_line_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "codes" / "x.csv"
    path.parent.mkdir()
    rows = "".join(f"{at:06},Đơn vị {at}\n" for at in range(100_000))
    path.write_text(f"{HEAD}code,name\n{rows}")
    assert isinstance(load_library([tmp_path]).codes.resolve("x", "đơn vị 99999"), Exact)
    path.write_text(f"{HEAD}code,name\n{rows}000000,Đơn vị 0\n")
    with pytest.raises(ContractError, match=":100005: the code already has a meaning then"):
        load_library([tmp_path])


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "contracts" / "a" / "b.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes("title: Sổ".encode("utf-16"))
    with pytest.raises(ContractError, match="not UTF-8"):
        load_library([tmp_path])


def test_a_province_may_add_a_contract_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "contracts" / "other" / "births.yaml"
    path.parent.mkdir(parents=True)
    shutil.copy(SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml", path)
    path.write_text(f"promise: {{seconds: 5, share: 0.9}}\n{path.read_text()}")
    library = load_library([tmp_path])
    assert library.contracts["hotich_qnam/khaisinh"].promise == Promise(seconds=60, share=0.99)
    assert library.contracts["other/births"].promise == Promise(seconds=5, share=0.9)
    assert set(library.contracts) >= {"hotich_qnam/khaisinh", "other/births"}
    assert library.contracts["other/births"].topic == "province.other.births"
