"""``lienthong contracts check``: every bad file told with line and next step, and never a traceback."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.gates.checking import check_library
from schemas.gates.protection import check_values
from schemas.library import SHIPPED
from schemas.registry import FileRegistry
from schemas.rules import Of, text
from streams import cli
from tests.gates import CONTRACT, EXAMPLES, FORMAT, OTHER, findings, line_of, rule_of, run, shipping, write
from tests.shipped import shipped

HEAD = "# title: a\n# source: b\n# evidence: c\n"
ONE, LIST, AVSC = "contracts/a/b.yaml", "codes/x.csv", "formats/a/b/v1.avsc"
LONG = HEAD + "code,name\n" + "".join(f"{n},a{n}\n" for n in range(100_000))
BOMB = "a: &a [lol, lol]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
PUBLIC_HEAD = '{\n "type": "record", "name": "B", "namespace": "a.b.v1", "title": "t", "doc": "evidence",\n'


def a_format(*fields: dict[str, Any], key: str = "so") -> str:
    """A format file with these fields, three lines before the first."""
    common = {
        "type": ["null", "string"], "default": None, "label": "x", "required": False,
        "sensitivity": "public", "basis": "b", "evidence": "I",
    }  # fmt: skip
    lines = [json.dumps(common | field | {"position": at + 1}) for at, field in enumerate(fields)]
    return PUBLIC_HEAD + f' "key": ["{key}"],\n "fields": [\n  ' + ",\n  ".join(lines) + "]}\n"


def changed(before: str, after: str) -> tuple[str, int]:
    """The contract with one change, and the line of it."""
    return OTHER.replace(before, after, 1), line_of(OTHER, before)


TYPO = changed("precision: day", "precison: day")
UNKNOWN_RULE = changed("rule: code_at", "rule: splitt")
TWICE = changed("trangSo: {", "so: {")
#: What it is, the file, what the file holds, then line, text and next step of the finding.
BAD = [
    ("typo", ONE, *TYPO, "unknown key", "did you mean precision?"),
    ("unknown rule", ONE, *UNKNOWN_RULE, "unknown rule splitt", "did you mean split?"),
    ("duplicate field", ONE, *TWICE, "key so is given twice", "keep one"),
    ("YAML bomb", ONE, BOMB, 2, "alias *a: aliases are not read", "write the value out"),
    ("deep file", ONE, "a: " + "[" * 100_000, 1, "nested more than 50 deep", "correct the file"),
    ("no YAML", ONE, "a: [\n", 2, "did not find expected", "correct the file"),
    (
        "not Avro",
        AVSC,
        FORMAT.replace('"record"', '"table"', 1),
        2,
        "type: table is none of",
        "known here: record",
    ),
    ("not JSON", AVSC, FORMAT[:300], 6, "", "correct the file"),
    ("periods", LIST, HEAD + "code,name,valid_to\n1,a,2020-01-01\n1,b,\n", 6, "already", "end one"),
    ("BOM", ONE, "\ufeff" + OTHER, 1, "byte order mark", "without BOM"),
    ("CR LF", ONE, OTHER.replace("\n", "\r\n"), 1, "ends with CR LF", "LF line ends"),
    ("ring", LIST, HEAD + "# parent: x\ncode,name,parent\n1,a,2\n2,b,1\n", 6, "1 -> 2 -> 1", "let"),
    ("100,000 rows", LIST, LONG + "7,\n", 100_005, "name is empty", "fill it in"),
    ("100,000 rows, one twice", LIST, LONG + "7,b\n", 100_005, "already has a meaning", "end one"),
]


@pytest.mark.parametrize(
    ("name", "said", "line", "text", "next_step"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD]
)
def test_bad_input(name: str, said: str, line: int, text: str, next_step: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, said)
    (one,) = findings(tmp_path)
    assert one["path"] == str(path)
    assert one["line"] == line
    assert text in one["text"]
    assert next_step in one["next_step"]
    assert one["severity"] == "error"


def test_a_long_list_is_read(tmp_path: Path) -> None:
    write(tmp_path, LIST, LONG)
    assert findings(tmp_path) == []


def test_rules_that_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        text.Copy, "others", lambda self: {"other": Of("quyenSo" if self.from_ == "so_dk" else "so")}
    )
    path = write(tmp_path, ONE, OTHER)
    (one,) = (one for one in findings(tmp_path) if one["path"] == str(path))
    assert one["text"] == "these fields wait for each other: so -> quyenSo -> so"
    assert one["line"] == line_of(OTHER, "      so:")


def test_one_bad_file_hides_no_other_and_what_follows_from_it_is_a_note(tmp_path: Path) -> None:
    write(tmp_path, "formats/a/b/v1.avsc", "{")
    write(tmp_path, "codes/x.csv", "code\n")
    write(tmp_path, "codes/y.csv", HEAD + "# parent: x\ncode,name,parent\n1,a,1\n")
    write(tmp_path, "contracts/a/b.yaml", CONTRACT.replace("hotich.khaisinh.v1", "a.b.v1"))
    write(tmp_path, "contracts/a/c.yaml", CONTRACT.replace("version: 2", "version: one"))
    write(tmp_path, "contracts/a/d.yaml", OTHER)
    found = {Path(one["path"]).name: one for one in findings(tmp_path)}
    assert {name: one["severity"] for name, one in found.items()} == {
        "v1.avsc": "error", "x.csv": "error", "y.csv": "note", "b.yaml": "note", "c.yaml": "error",
    }  # fmt: skip
    assert found["b.yaml"]["text"] == "not looked at: a.b.v1 could not be read"
    assert "v1.avsc first" in found["b.yaml"]["next_step"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (one,) = findings(tmp_path / "nowhere")
    assert (one["text"], "LIENTHONG_CONTRACTS" in one["next_step"]) == ("no such folder", True)


def test_people_read_place_text_and_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ONE, OTHER.replace("list: dantoc", "list: dan_toc", 1))
    result = run(tmp_path, "check")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first == f"{ONE}:{line_of(OTHER, 'list: dantoc')}: no code list dan_toc"
    assert second.startswith("    next step: did you mean dantoc? known here: ")
    assert "errors: 1" in result.stderr


def test_examples_are_run(tmp_path: Path) -> None:
    write(tmp_path, ONE, OTHER)
    write(tmp_path, "contracts/a/b.examples.yaml", EXAMPLES.replace('loaiDangKy: "1"', 'loaiDangKy: "4"'))
    found = findings(tmp_path)
    assert {one["rule"] for one in found} == {"example"}
    assert found[0]["text"].endswith("gives: loaiDangKy: expected '4', found '1'")
    assert found[0]["line"] > line_of(EXAMPLES, "examples:")


def test_a_contract_without_examples_or_an_id_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, ONE, OTHER)
    result = run(tmp_path, "check")
    assert result.exit_code == 0
    assert "b.yaml:1: warning: no examples: b.examples.yaml is missing" in result.stdout
    assert "b.yaml:1: warning: the schema of province.a.b-value has no id" in result.stdout


def test_an_examples_file_that_is_wrong(tmp_path: Path) -> None:
    write(tmp_path, ONE, OTHER)
    write(
        tmp_path,
        "contracts/a/b.examples.yaml",
        EXAMPLES.replace('  so_dk: "45/2016"', '  sodk: "45/2016"', 1),
    )
    (one,) = findings(tmp_path)
    assert (one["text"], one["line"]) == ("unknown name sodk", line_of(EXAMPLES, "  so_dk:"))


def test_a_schema_that_cannot_read_an_earlier_version(tmp_path: Path) -> None:
    path = write(tmp_path, ONE, OTHER)
    assert run(tmp_path, "register").exit_code == 0
    changed = OTHER.replace("  nguoi_ky: string\n", "  nguoi_ky: long\n").replace("      nguoiKy:", "      #")
    changed = changed.replace("      chucVuNguoiKy:", "      #")
    path.write_text(changed, encoding="utf-8")
    (one,) = findings(tmp_path)
    assert one["rule"] == "compatibility"
    assert one["line"] == line_of(OTHER, "  nguoi_ky:")
    assert one["text"].startswith("nguoi_ky: null or string cannot be read as null or long (schema id 10000")
    assert findings(tmp_path, "--compatibility", "NONE") == []


def test_every_earlier_version_counts_and_not_the_last_only(tmp_path: Path) -> None:
    path = write(tmp_path, ONE, OTHER)
    for columns in ("", "  moi: string\n"):
        path.write_text(OTHER.replace("  so_dk: string\n", f"  so_dk: string\n{columns}"), encoding="utf-8")
        assert run(tmp_path, "register").exit_code == 0
    path.write_text(OTHER, encoding="utf-8")
    assert run(tmp_path, "register").exit_code == 0
    path.write_text(OTHER.replace("  so_dk: string\n", "  so_dk: string\n  moi: long\n"), encoding="utf-8")
    (one,) = findings(tmp_path)
    assert "schema id 10001 of province.a.b-value" in one["text"]
    assert findings(tmp_path, "--compatibility", "BACKWARD") == []


def test_a_subject_of_the_road_itself_is_checked_too(tmp_path: Path) -> None:
    registry = FileRegistry([SHIPPED, tmp_path])
    fields = [{"name": "seqs", "type": ["null", "long"], "default": None}]
    registry.register(
        "lienthong.receipt-value",
        {"type": "record", "name": "Receipt", "namespace": "lienthong", "fields": fields},
    )
    (one,) = findings(tmp_path)
    assert one["path"] == str(tmp_path / "registry" / "10000.avsc")
    assert one["text"].startswith("seqs: null or string cannot be read as null or long (schema id 1 of")


def test_a_registry_that_cannot_be_read_is_one_finding(tmp_path: Path) -> None:
    write(tmp_path, ONE, OTHER)
    write(tmp_path, "registry/ids.csv", "id,subject,sha256\n3,a-value,x\n")
    (one,) = findings(tmp_path)
    assert (one["line"], "outside this folder's ids" in one["text"]) == (2, True)


def test_two_datasets_may_not_give_the_same_national_keys(tmp_path: Path) -> None:
    write(tmp_path, ONE, CONTRACT)
    (one,) = findings(tmp_path)
    assert one["rule"] == "national_key"
    assert one["line"] == line_of(CONTRACT, "  hotich.khaisinh.v1:")
    assert "hotich_qnam/khaisinh may give the same national keys" in one["text"]
    assert "beside: [hotich_qnam/khaisinh]" in one["next_step"]


def test_a_person_may_say_that_they_do_not_but_not_of_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, ONE, OTHER)
    assert findings(tmp_path) == []
    path.write_text(OTHER.replace("[hotich_qnam/khaisinh]", "[hotich_qnam/khaisinh, hotich_qnam/khaisin]"))
    (one,) = findings(tmp_path)
    assert one["text"] == "hotich_qnam/khaisin does not feed hotich.khaisinh.v1"
    assert "did you mean hotich_qnam/khaisinh?" in one["next_step"]


def test_a_personal_key_is_not_protected(tmp_path: Path) -> None:
    write(tmp_path, AVSC, a_format({"name": "so", "sensitivity": "personal"}))
    (one,) = findings(tmp_path)
    assert (one["rule"], one["line"]) == ("sensitivity", 3)
    assert one["text"] == "key field so [I] is personal; keys are not protected"


def test_what_is_sensitive_in_one_format_is_so_in_each(tmp_path: Path) -> None:
    write(tmp_path, AVSC, a_format({"name": "so"}, {"name": "dt", "code_list": "dantoc"}))
    (one,) = findings(tmp_path)
    assert (one["rule"], one["line"]) == ("sensitivity", 6)
    assert "field dt [I] is public, but codes of dantoc are sensitive in " in one["text"]


def test_a_key_that_tells_a_person_and_a_name_made_public_are_warnings(tmp_path: Path) -> None:
    write(tmp_path, AVSC, a_format({"name": "so"}, {"name": "ten"}))
    target = "  a.b.v1: {fields: {so: {rule: copy, from: so_dk}, ten: {rule: name, from: ho_ten}}}\n"
    write(tmp_path, ONE, OTHER.replace("key: [id]", "key: [ho_ten]") + target)
    told = run(tmp_path, "check").stdout
    assert "warning: key column ho_ten becomes nksHoTen, which is personal; keys are not protected" in told
    assert "column ho_ten is personal as nksHoTen of hotich.khaisinh.v1, and public as ten [I]" in told


def of_values(folder: Path) -> list[dict[str, Any]]:
    """What is found of values that nothing looks at."""
    return [one for one in json.loads(run(folder, "check", "--json").stdout) if one["rule"] == "value"]


CODED = rule_of("nksGioiTinh")


@pytest.mark.parametrize(
    ("rule", "warned"),
    [
        ("{rule: copy, from: gioi_tinh}", True),
        (
            "{rule: when, cases: [{if: {column: gioi_tinh, is: [X]}, then: {rule: copy, from: ho_ten}}]}",
            True,
        ),
        ("{rule: copy, from: gioi_tinh, note: the software writes codes of this list}", False),
        ("{rule: when, cases: [{if: {column: ho_ten, missing: true}, then: CODED}]}", False),
        ('{rule: match, from: gioi_tinh, cases: [{form: "N.*", value: "1"}], otherwise: "2"}', False),
    ],
)
def test_a_text_that_nothing_looks_up_in_a_field_of_codes_is_a_warning(
    rule: str, warned: bool, tmp_path: Path
) -> None:
    assert CODED in OTHER
    text = OTHER.replace(CODED, rule.replace("CODED", CODED))
    write(tmp_path, ONE, text)
    told = of_values(tmp_path)
    assert [(one["severity"], one["line"]) for one in told] == (
        [("warning", line_of(text, "      nksGioiTinh:"))] if warned else []
    )
    for one in told:
        assert one["text"] == "rule copy gives nksGioiTinh a text that nothing looks up in hotich.gioiTinh"
        assert "by: [code]" in one["next_step"]
        assert "a note" in one["next_step"]


def test_a_text_that_nothing_reads_as_a_date_in_a_field_of_dates_is_a_warning(tmp_path: Path) -> None:
    written = "{rule: date, from: me_ngay_sinh, precision: kept,"
    assert written in OTHER
    text = OTHER.replace(written, "{rule: copy, from: me_ngay_sinh,")
    write(tmp_path, ONE, text)
    (one,) = of_values(tmp_path)
    assert (one["severity"], one["line"]) == ("warning", line_of(text, "      meNgaySinh:"))
    assert "rule copy gives meNgaySinh a text that nothing reads as a date" in one["text"]
    assert "use rule date or moment" in one["next_step"]


def test_nothing_that_is_written_into_a_file_ends_the_check(tmp_path: Path) -> None:
    """Contracts, formats, examples and lists with lines swapped, cut, doubled and replaced by rubbish."""
    chance = random.Random(4)
    shutil.copytree(SHIPPED / "codes", tmp_path / "codes", ignore=shutil.ignore_patterns("d*", "successors"))
    for path in (tmp_path / "codes").iterdir():
        path.rename(path.with_stem(f"{path.stem}.x"))
    originals = {ONE: OTHER, "contracts/a/b.examples.yaml": EXAMPLES, AVSC: FORMAT}
    successors = "# title: a\n# source: b\n# evidence: c\ncode,successor,on\n1,2,2025-07-01\n1,3,2025-07-01\n"
    originals["codes/successors/hotich.gioiTinh.x.csv"] = successors
    originals |= {f"codes/{p.name}": p.read_text(encoding="utf-8") for p in (tmp_path / "codes").iterdir()}
    rubbish = [
        "",
        "- 1",
        "x: {",
        "? [",
        "\t",
        '"',
        "~",
        "null:",
        "1,2,3,4,5,6,7,8",
        "# parent: x",
        "fields: 3",
    ]
    for _ in range(20):
        for name, whole in originals.items():
            lines = whole.splitlines()
            for _ in range(chance.randint(0, 2)):
                at = chance.randrange(len(lines))
                line, other = lines[at], chance.choice(lines)
                lines[at] = chance.choice(
                    [other, line[: len(line) // 2], line + line, chance.choice(rubbish)]
                )
            write(tmp_path, name, "\n".join(lines) + "\n")
        with shipping():
            checked = check_library([tmp_path])
        for one in checked.findings:
            assert Path(one.path).is_absolute()
            assert one.line >= 1
            assert one.next_step
            assert "tell the developers" not in one.next_step, one
            assert "cannot be run" not in one.text, one


def test_a_folder_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    (one,) = findings(tmp_path / "khong")
    assert (one["path"], one["text"]) == (str(tmp_path / "khong"), "no such folder")
    (one,) = findings(Path("/khong"))
    assert one["next_step"] == "correct LIENTHONG_CONTRACTS, or make the folder"


def test_what_nobody_foresaw_ends_without_traceback_and_without_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("Người Bí Mật")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr("sys.argv", ["lienthong", "contracts", "check"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 70
    told = capsys.readouterr().err
    assert told.startswith("error: nobody foresaw this: ValueError at test_check_command.py:")
    assert "Bí Mật" not in told
    monkeypatch.setattr("sys.argv", ["lienthong", "--debug", "contracts", "check"])
    with pytest.raises(ValueError, match="Bí Mật"):
        cli.main()


def test_no_shipped_contract_leaves_codes_or_dates_to_chance() -> None:
    assert list(check_values(shipped(), [])) == []
