"""``lienthong contracts impact``: whom a new layout would orphan, and what would become of a sample."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from consumers.opening import open_store
from schemas.errors import ContractError, SettingsError
from schemas.gates.sample import Stored, fates
from tests.gates import FORMAT, OTHER, line_of, rule_of, run, write
from tests.shipped import shipped
from tests.store_lab import Lab, upsert

Fields = dict[str, dict[str, Any]]
ID = "hotich_qnam/khaisinh"


def new_version(folder: Path, change: Callable[[Fields], None] = lambda _: None, version: int = 2) -> Path:
    """The birth register's layout as another version, its fields changed by name."""
    file = json.loads(FORMAT)
    fields: Fields = {field["name"]: field for field in file["fields"]}
    change(fields)
    numbered = [field | {"position": at} for at, field in enumerate(fields.values(), start=1)]
    file |= {"namespace": f"hotich.khaisinh.v{version}", "fields": numbered}
    return write(folder, "new.avsc", json.dumps(file))


def impact(folder: Path, path: Path, *words: str, status: int) -> dict[str, Any]:
    """What is told of the shipped contract."""
    result = run(folder, "impact", str(path), "--json", *words)
    assert result.exit_code == status, result.output
    told = json.loads(result.stdout)
    (one,) = (one for one in told["systems"] if f"{one['system']}/{one['dataset']}" == ID)
    return {**one, "sample": told["sample"]}


def rules(told: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Rule and weight of each finding by the field that its text begins with."""
    found = told["findings"]
    return {one["text"].split()[0].strip(":"): (one["rule"], one["severity"]) for one in found}


def test_the_same_layout_as_a_new_version_breaks_nothing(tmp_path: Path) -> None:
    told = impact(tmp_path, new_version(tmp_path), status=0)
    assert (told["feeds"], told["findings"], told["sample"]) == ("hotich.khaisinh.v1", [], [])


def test_what_is_missing_and_which_column_may_hold_it(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        common = fields["so"] | {"label": "x", "evidence": "I"}
        fields["soDinhDanh"] = common | {"name": "soDinhDanh", "label": "Số định danh cá nhân"}
        fields["maHoSo"] = common | {"name": "maHoSo", "evidence": "U"}
        fields["ghiChuThem"] = common | {"name": "ghiChuThem", "required": False}

    told = impact(tmp_path, new_version(tmp_path, change), status=1)
    by_field = {one["text"].split()[0]: one for one in told["findings"]}
    assert len(by_field) == len(told["findings"]) == 3
    assert by_field["soDinhDanh"]["severity"] == "error"
    assert by_field["soDinhDanh"]["next_step"].endswith("sounding like it: so_dinh_danh")
    assert by_field["maHoSo"]["text"] == "maHoSo [U] (x) is required, and no rule obtains it"
    assert by_field["maHoSo"]["next_step"].startswith("ask Sở Tư pháp tỉnh Quảng Nam to record it")
    assert by_field["ghiChuThem"]["severity"] == "note"


def test_what_changes_its_meaning(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        fields["nksQueQuan"]["required"] = True
        fields["meNgaySinh"]["date_form"] = "yyyy-MM-dd"
        fields["nksDanToc"]["code_list"] = "hotich.gioiTinh"
        fields["nksNoiSinh"]["code_list"] = "khong.co"
        fields["chaHoTen"]["label"] = "Họ tên người nhận"
        fields["trangSo"]["sensitivity"] = "personal"
        fields["so"]["basis"] = "NĐ mới"
        del fields["chucVuNguoiKy"]

    told = impact(tmp_path, new_version(tmp_path, change), status=1)
    found = rules(told)
    assert found["nksQueQuan"] == ("became_required", "warning")
    assert found["meNgaySinh"] == ("date_form", "warning")
    assert [one["rule"] for one in told["findings"] if one["text"].startswith("meNgaySinh")] == ["date_form"]
    assert found["nksNoiSinh"] == ("code_list", "error")
    assert found["chaHoTen"] == ("meaning", "warning")
    assert found["trangSo"] == ("sensitivity", "warning")
    assert found["so"] == ("basis", "note")
    assert found["chucVuNguoiKy"] == ("no_room", "warning")
    of_codes = [one for one in told["findings"] if one["text"].startswith("nksDanToc")]
    assert [one["rule"] for one in of_codes] == ["rule_unfit", "code_list"]
    assert "56 codes of the old one are gone" in of_codes[1]["text"]


@pytest.mark.parametrize(
    "rule",
    [
        "{rule: constant, value: x}",
        '{rule: match, from: noi_sinh, cases: [{form: "a", value: x}], otherwise: y}',
    ],
)
def test_a_code_list_that_is_not_there_yet_is_asked_for_whatever_the_rule(tmp_path: Path, rule: str) -> None:
    text = OTHER.replace(rule_of("nksNoiSinh"), rule)
    write(tmp_path, "contracts/a/b.yaml", text)

    def change(fields: Fields) -> None:
        fields["nksNoiSinh"]["code_list"] = "khong.co"

    result = run(tmp_path, "impact", str(new_version(tmp_path, change)), "--json")
    for one in json.loads(result.stdout)["systems"]:
        (found,) = one["findings"]
        assert (found["rule"], found["severity"]) == ("code_list", "error")
        assert found["next_step"] == "add codes/khong.co.csv to the library"


ITEM = {"name": "noi", "label": "Nơi", "required": True}


def test_a_field_that_becomes_a_list_of_items_cannot_be_fed_as_a_text(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        fields["nksNoiSinh"]["items"] = [ITEM]

    told = impact(tmp_path, new_version(tmp_path, change), status=1)
    assert [(one["rule"], one["severity"]) for one in told["findings"]] == [
        ("rule_unfit", "error"),
        ("items", "warning"),
    ]
    assert told["findings"][0]["next_step"] == "use rule list"


def test_items_that_change_are_told(tmp_path: Path) -> None:
    def with_items(*items: dict[str, Any]) -> Callable[[Fields], None]:
        return lambda fields: fields["nksNoiSinh"].update(items=items)

    day = {"name": "ngay", "label": "Ngày", "required": False, "date_form": "dd.MM.yyyy"}
    first = new_version(tmp_path, with_items(ITEM, day), version=8)
    write(tmp_path, "formats/hotich/khaisinh/v8.avsc", first.read_text())
    rule = "{noi: {rule: copy, from: n}, ngay: {rule: date, from: d, precision: day}}"
    text = OTHER.replace(
        rule_of("nksNoiSinh"),
        f"{{rule: list, from: noi_sinh, fields: {rule}}}",
    )
    write(tmp_path, "contracts/a/b.yaml", text.replace("hotich.khaisinh.v1", "hotich.khaisinh.v8"))

    def found(*items: dict[str, Any]) -> dict[str, str]:
        path = new_version(tmp_path, with_items(*items), version=9)
        told = json.loads(run(tmp_path, "impact", str(path), "--json").stdout)["systems"]
        (one,) = (one for one in told if one["system"] == "a")
        return {finding["rule"]: finding["text"] for finding in one["findings"]}

    assert found(ITEM, day) == {}
    dated = found(ITEM, day | {"date_form": "yyyyMMdd"})
    assert list(dated) == ["items"], "the rule date follows the format"
    assert dated["items"].endswith("told otherwise: changed: ngay")
    other = found(ITEM, day | {"name": "ngayKhac", "required": True})
    assert other["rule_unfit"].endswith("items have no ngay")
    assert other["items"].endswith("new: ngayKhac; gone: ngay")
    assert found(ITEM | {"code_list": "khong.co"}, day)["code_list"].endswith(
        "codes of noi are of khong.co, which is not known"
    )


def test_a_field_that_only_got_another_name_is_told_so(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        fields["hoTen"] = fields.pop("nksHoTen") | {"name": "hoTen"}

    told = impact(tmp_path, new_version(tmp_path, change), status=1)
    (missing,) = (one for one in told["findings"] if one["severity"] == "error")
    assert "it has the label of nksHoTen, which is gone: use that rule" in missing["next_step"]


def test_another_key_is_told(tmp_path: Path) -> None:
    path = new_version(tmp_path)
    path.write_text(path.read_text().replace('"quyenSo", "so", "ngayDangKy"]', '"so", "ngayDangKy"]'))
    assert [one["rule"] for one in impact(tmp_path, path, status=0)["findings"]] == ["key"]


def test_findings_name_the_line_of_the_rule_and_people_read_them(tmp_path: Path) -> None:
    write(tmp_path, "contracts/a/b.yaml", OTHER)

    def change(fields: Fields) -> None:
        del fields["trangSo"]

    result = run(tmp_path, "impact", str(new_version(tmp_path, change)))
    assert result.exit_code == 0
    assert "a/b (Sở Tư pháp tỉnh Quảng Nam) feeds hotich.khaisinh.v1" in result.stdout
    place = f"b.yaml:{line_of(OTHER, '      trangSo:')}"
    assert f"{place}: warning: trangSo: hotich.khaisinh.v2 has no room for it" in result.stdout
    assert "0 of 2 datasets that feed hotich.khaisinh cannot feed hotich.khaisinh.v2" in result.stderr


RECORD = {
    "so": "1", "quyenSo": "01/2016", "trangSo": "2", "ngayDangKy": "04.05.2016", "loaiDangKy": "1",
    "noiDangKy": "20656", "nksHoTen": "Người Thử", "nksGioiTinh": "1", "nksNgaySinh": "04.2016",
    "nksDanToc": "01", "nksQuocTich": "VN", "nksQueQuan": None, "nksNoiSinh": "Thử",
}  # fmt: skip


def sampled(fields: Fields) -> None:
    fields["nksQueQuan"]["required"] = True
    fields["ngayDangKy"]["date_form"] = "yyyyMMdd"
    fields["nksNgaySinh"]["date_form"] = "yyyyMMdd|yyyyMM"
    fields["loaiDangKy"]["code_list"] = "hotich.gioiTinh"
    del fields["nksNoiSinh"]


def test_a_sample_tells_who_would_be_refused_and_who_altered_and_no_value(tmp_path: Path) -> None:
    lines = [
        {"nksQueQuan": "Thử"},
        {"nksQueQuan": "Thử", "nksNgaySinh": "2016"},
        {"nksNgaySinh": "hôm qua", "loaiDangKy": "4"},
    ]
    about = {"system": "hotich_qnam", "dataset": "khaisinh", "deleted": False}
    every = [about | {"fields": RECORD | line} for line in lines]
    every += [about | {"deleted": True, "fields": {}}, {"fields": RECORD}]
    path = write(
        tmp_path, "sample.jsonl", "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in every)
    )
    new = new_version(tmp_path, sampled)
    told, _ = impact(tmp_path, new, "--sample", str(path), status=1)["sample"]
    assert (told["records"], told["refused"], told["altered"]) == (3, 2, 1)
    reasons = {(one["field"], one["reason"]): one["places"] for one in told["reasons"]}
    assert reasons == {
        ("nksQueQuan", "required_missing"): [3],
        ("ngayDangKy", "date_form"): [1, 2, 3],
        ("nksNgaySinh", "date_form"): [1],
        ("nksNgaySinh", "date_precision"): [2],
        ("nksNgaySinh", "date_unreadable"): [3],
        ("loaiDangKy", "code_meaning"): [1, 2],
        ("loaiDangKy", "code_unknown"): [3],
        ("nksNoiSinh", "no_room"): [1, 2, 3],
    }
    shown = run(tmp_path, "impact", str(new), "--sample", str(path)).stdout
    assert "  of 3 records: 2 refused, 1 altered\n" in shown
    assert "    nksQueQuan: required_missing: 1 (records 3)\n" in shown
    assert "records that tell no system\n  of 1 records: 1 refused" in shown
    assert "hôm qua" not in shown


def test_a_date_between_two_forms_of_the_new_layout_is_refused_as_the_rule_does(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        fields["nksNgaySinh"]["date_form"] = "dd.MM.yyyy|yyyy"

    records = [RECORD | {"nksNgaySinh": day} for day in ("05.2016", "2016", "04.05.2016")]
    path = write(tmp_path, "sample.jsonl", "".join(f"{json.dumps(one)}\n" for one in records))
    (told,) = impact(tmp_path, new_version(tmp_path, change), "--sample", str(path), status=1)["sample"]
    assert (told["refused"], told["altered"]) == (1, 0)
    assert [(one["reason"], one["places"]) for one in told["reasons"]] == [("date_precision", [1])]


def test_a_day_that_is_in_no_calendar_is_refused_as_the_rule_does(tmp_path: Path) -> None:
    def change(fields: Fields) -> None:
        fields["nksNgaySinh"]["date_form"] = "yyyyMMdd|yyyyMM|yyyy"

    records = [RECORD | {"nksNgaySinh": day} for day in ("31.02.2016", "29.02.2016", "13.2016", "0000")]
    path = write(tmp_path, "sample.jsonl", "".join(f"{json.dumps(one)}\n" for one in records))
    (told,) = impact(tmp_path, new_version(tmp_path, change), "--sample", str(path), status=1)["sample"]
    assert (told["refused"], told["altered"]) == (3, 1)
    reasons = {one["reason"]: one["places"] for one in told["reasons"]}
    assert reasons == {"date_impossible": [1, 3, 4], "date_form": [2]}


@pytest.mark.parametrize(
    ("value", "form", "reason"),
    [
        ("02.01.2016", "yyyyMMdd", "date_form"),  # as rule date gives it where the layout has no form
        ("02.01.2016", "dd.MM.yyyy|yyyy", None),
        ("01.2016", "yyyyMMdd", "date_precision"),
        ("20160102070500", "yyyy-MM-ddTHH:mm:ss", "date_form"),  # as rule moment does
        ("20160102250000", "yyyy-MM-ddTHH:mm:ss", "date_unreadable"),
        ("02.01.2016", "yyyy-MM-ddTHH:mm:ss", "date_precision"),
        ("khoảng 2016", "yyyyMMdd", "date_unreadable"),
    ],
)
def test_a_date_of_a_layout_without_a_form_is_read_as_the_rules_give_it(
    value: str, form: str, reason: str | None
) -> None:
    old = shipped().formats["hotich.khaisinh.v1"]
    asked = [replace(one, date_form=form if one.name == "trangSo" else one.date_form) for one in old.fields]
    record = Stored(system="a", dataset="b", place=1, fields=RECORD | {"trangSo": value, "nksQueQuan": "a"})
    (fate,) = fates([record], old, replace(old, fields=tuple(asked)), shipped().codes).values()
    assert [one for _, one in fate.reasons] == ([reason] if reason else [])


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{"so": "1"}\nx\n', 2, "not JSON"),
        (f'{{"so": {5_000 * "9"}}}\n', 1, "a number of too many digits"),
        ("[]\n", 1, "not a JSON object"), ('{"fields": 1}\n', 1, "no JSON"),
        ('{"type": "record"}\n', 1, "no field of hotich.khaisinh.v1 is in it"),
    ],
)  # fmt: skip
def test_a_sample_that_cannot_be_read(text: str, line: int, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, "sample.jsonl", text)
    error = run(tmp_path, "impact", str(new_version(tmp_path)), "--sample", str(path)).exception
    assert isinstance(error, ContractError)
    assert error.message.startswith(f"{path}:{line}: ")
    assert said in error.message
    assert "one JSON object a line" in error.next_step


@pytest.fixture
def filled_store(tmp_path: Path) -> str:
    """A store with two births, one of them without a home place."""
    url = f"sqlite:///{tmp_path}/national.db"
    national = shipped().formats["hotich.khaisinh.v1"]
    store = open_store(url)
    store.migrate([national])
    lab = Lab(store=store, url=url, shift_claims=lambda _: None, national=national, deployment="lienthong")
    lab.apply(
        upsert(1, "K1", person="p1", **RECORD), upsert(2, "K2", person="p2", **RECORD | {"nksQueQuan": "Thử"})
    )
    lab.close()
    return url


def test_records_of_a_store_are_tried(filled_store: str, tmp_path: Path) -> None:
    path = new_version(tmp_path, sampled)
    told = json.loads(ask(path, "--store", "100", "--json", url=filled_store).stdout)["sample"]
    assert [(one["system"], one["records"], one["refused"]) for one in told] == [("hotich_thu", 2, 1)]
    shown = ask(path, "--store", "100", url=filled_store).stdout
    assert "hotich_thu/sothu\n  of 2 records: 1 refused, 1 altered" in shown
    assert "nksQueQuan: required_missing: 1" in shown
    assert "of 1 records" in ask(path, "--store", "1", url=filled_store).stdout


def ask(path: Path, *words: str, url: str) -> Result:
    return run(path.parent, "impact", str(path), *words, LIENTHONG_STORE=url)


def test_one_kind_of_sample_at_a_time(tmp_path: Path) -> None:
    words = ("impact", str(new_version(tmp_path)), "--sample", "x", "--store", "1")
    assert isinstance(run(tmp_path, *words).exception, SettingsError)


def test_a_format_that_nobody_feeds_orphans_nobody(tmp_path: Path) -> None:
    path = new_version(tmp_path)
    path.write_text(path.read_text().replace("hotich.khaisinh.v2", "hotich.moi.v1"))
    result = run(tmp_path, "impact", str(path))
    assert result.exit_code == 0
    assert "no contract feeds hotich.moi" in result.stderr


def test_a_file_that_does_not_tell_its_format(tmp_path: Path) -> None:
    path = new_version(tmp_path)
    path.write_text(path.read_text().replace("hotich.khaisinh.v2", "hotich"))
    error = run(tmp_path, "impact", str(path)).exception
    assert isinstance(error, ContractError)
    assert "<domain>.<entity>.v<N>" in error.next_step
