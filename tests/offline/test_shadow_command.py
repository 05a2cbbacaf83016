"""``lienthong contracts shadow``: what a proposed contract would have made of past changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ContractError, SettingsError
from tests.gates import CONTRACT, EXAMPLES, FORMAT, line_of, rule_of, run, write

ID = "hotich_qnam/khaisinh"
SPELLING = ("nksHoTen: {rule: name", "nksHoTen: {rule: copy")
ROW = {
    "id": 1, "so_dk": "45/2016", "quyen_so": "01/2016", "trang_so": "23", "ngay_dk": "04/05/2016",
    "loai_dk": "Đúng hạn", "ma_xa_dk": "20656", "nguoi_ky": "Trần Văn Mẫu - Phó Chủ tịch",
    "ho_ten": "NGƯỜI BÍ MẬT", "gioi_tinh": "Nữ", "ngay_sinh": "27/04/2016", "noi_sinh": "Thử",
    "dan_toc": "Kinh", "quoc_tich": "Việt Nam", "trang_thai": 1, "du_lieu_cu": False,
}  # fmt: skip


def proposal(folder: Path, *changes: tuple[str, str], version: int = 3) -> Path:
    text = CONTRACT.replace("\nversion: 2\n", f"\nversion: {version}\n")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return write(folder, "proposed.yaml", text)


def past(folder: Path, *rows: dict[str, Any]) -> Path:
    """A file of events: each row inserted, with what differs from the good one."""
    lines = [json.dumps({"op": "c", "before": None, "after": ROW | row}, ensure_ascii=False) for row in rows]
    return write(folder, "events.jsonl", "".join(f"{line}\n" for line in lines))


def shadow(folder: Path, path: Path, *words: str, status: int) -> dict[str, Any]:
    result = run(folder, "shadow", ID, str(path), "--json", *words)
    assert result.exit_code == status, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def kinds(told: dict[str, Any]) -> dict[tuple[str, str], tuple[int, list[str], str]]:
    return {
        (one["field"], one["kind"]): (one["changes"], one["places"], one["reason"])
        for one in told["differences"]
    }


def test_the_same_contract_loses_nothing(tmp_path: Path) -> None:
    told = shadow(tmp_path, proposal(tmp_path), "--examples", "--strict", status=0)
    assert told["changes"] == told["same"] == EXAMPLES.count("\n  - name: ")
    assert (told["differences"], told["stopped"], told["added"], told["loses"]) == ([], [], [], False)


def test_fields_that_come_out_otherwise(tmp_path: Path) -> None:
    path = proposal(
        tmp_path,
        SPELLING,
        (f"      trangSo: {rule_of('trangSo')}\n", ""),
        ("nksNoiSinh: {rule: copy, from: noi_sinh,", "nksNoiSinh: {rule: copy, from: que_quan,"),
        ("nksQueQuan: {rule: copy, from: que_quan,", "nksQueQuan: {rule: copy, from: noi_sinh,"),
    )
    events = past(tmp_path, {}, {"ho_ten": "Người Thường", "trang_so": None}, {"que_quan": "Nơi Khác"})
    told = shadow(tmp_path, path, "--events", str(events), status=1)
    assert (told["changes"], told["same"], told["present"], told["proposed"]) == (3, 0, 2, 3)
    assert kinds(told) == {
        ("trangSo", "emptied"): (2, ["line 1", "line 3"], "copy -> no rule"),
        ("nksNoiSinh", "emptied"): (2, ["line 1", "line 2"], "copy, told otherwise"),
        ("nksNoiSinh", "changed"): (1, ["line 3"], "copy, told otherwise"),
        ("nksQueQuan", "filled"): (2, ["line 1", "line 2"], "copy, told otherwise"),
        ("nksQueQuan", "changed"): (1, ["line 3"], "copy, told otherwise"),
        ("nksHoTen", "respelt"): (2, ["line 1", "line 3"], "name -> copy"),
        ("", "beside"): (2, ["line 1", "line 3"], ""),  # trang_so is kept there now
    }


def test_what_the_proposal_leaves_out_is_lost_whatever_the_changes_hold(tmp_path: Path) -> None:
    events = past(tmp_path, {})
    secret = "\nleft_out: {so_dinh_danh: bí mật}\n\ntargets:\n"
    path = proposal(tmp_path, ("\ntargets:\n", secret))
    told = shadow(tmp_path, path, "--events", str(events), status=1)
    assert (told["left_out"], told["differences"]) == ({"hotich.khaisinh.v1": ["so_dinh_danh"]}, [])
    page = run(tmp_path, "shadow", ID, str(path), "--events", str(events)).stdout
    assert "LOSS so_dinh_danh: left out by the proposal" in page
    kept = proposal(tmp_path, (f"      trangSo: {rule_of('trangSo')}\n", ""))
    assert shadow(tmp_path, kept, "--events", str(events), status=1)["left_out"] == {}, "a field's, and kept"


def test_a_column_that_the_proposal_drops_is_lost_whatever_the_changes_hold(tmp_path: Path) -> None:
    path = proposal(tmp_path, ("  du_lieu_cu: boolean\n", ""), ("unless: du_lieu_cu", "unless: du_lieu_moi"))
    path.write_text(path.read_text().replace("columns:\n", "columns:\n  du_lieu_moi: boolean\n", 1))
    events = past(tmp_path, {"du_lieu_cu": None})
    told = shadow(tmp_path, path, "--events", str(events), status=1)
    assert (told["dropped"], told["differences"]) == ({"hotich.khaisinh.v1": ["du_lieu_cu"]}, [])
    page = run(tmp_path, "shadow", ID, str(path), "--events", str(events)).stdout
    assert "hotich.khaisinh.v1: LOSS du_lieu_cu: the proposal neither reads nor keeps it" in page
    found = kinds(shadow(tmp_path, path, "--events", str(past(tmp_path, {})), status=1))
    assert found == {("", "beside"): (1, ["line 1"], "")}


def test_another_source_key_is_told(tmp_path: Path) -> None:
    path = proposal(tmp_path, ("\nkey: [id]", "\nkey: [id, so_dk]"))
    told = shadow(tmp_path, path, "--events", str(past(tmp_path, {})), status=1)
    assert kinds(told) == {("", "source_key"): (1, ["line 1"], "")}
    assert told["loses"]


def test_only_losses_end_it_unless_it_is_asked_for_more(tmp_path: Path) -> None:
    path = proposal(tmp_path, SPELLING)
    words = ("--events", str(past(tmp_path, {})))
    assert not shadow(tmp_path, path, *words, status=0)["loses"]
    assert not shadow(tmp_path, path, *words, "--strict", status=1)["loses"]


def test_changes_that_only_one_refuses(tmp_path: Path) -> None:
    path = proposal(
        tmp_path,
        ('aliases: {"Đúng hạn": "1", "Quá hạn": "4"}', 'aliases: {"Quá hạn": "4", "Thường": "1"}'),
        ("from: ngay_sinh\n        precision: kept", "from: ngay_sinh\n        precision: day"),
    )
    events = past(
        tmp_path, {}, {"loai_dk": "Thường"}, {"loai_dk": "Khác hẳn", "ngay_sinh": "2016"},
        {"loai_dk": "Quá hạn"}, {"loai_dk": "Quá hạn", "ngay_sinh": "2016"}, {"so_dk": None},
    )  # fmt: skip
    told = shadow(tmp_path, path, "--events", str(events), status=1)
    assert kinds(told) == {
        ("loaiDangKy", "refused"): (1, ["line 1"], "code_unknown"),
        ("loaiDangKy", "accepted"): (1, ["line 2"], "code_unknown"),
        ("nksNgaySinh", "refused"): (1, ["line 5"], "date_precision"),
    }
    assert (told["same"], told["refused"]) == (3, 2)


def test_records_that_one_deletes_and_keys_that_move(tmp_path: Path) -> None:
    path = proposal(tmp_path, ("live: [1] ", "live: [9]"), ("gone: [0, 9]", "gone: [0, 1]"))
    events = past(tmp_path, {}, {"trang_thai": 9}, {"trang_thai": 0})
    told = shadow(tmp_path, path, "--events", str(events), status=1)
    assert kinds(told) == {
        ("", "deleted"): (1, ["line 1"], ""),
        ("", "restored"): (1, ["line 2"], ""),
    }
    path = proposal(tmp_path, ("copy, from: so_dk", "copy, from: trang_so"))
    row = ROW | {"trang_so": "24"}
    moved = json.dumps({"op": "u", "before": ROW, "after": row}, ensure_ascii=False)
    events = write(tmp_path, "events.jsonl", f"{moved}\n")
    found = kinds(shadow(tmp_path, path, "--events", str(events), status=1))
    assert {kind for _, kind in found} == {"key", "left", "changed", "beside"}


def test_doubts_are_compared_too(tmp_path: Path) -> None:
    begin = CONTRACT.index("    checks:\n")
    path = proposal(tmp_path, (CONTRACT[begin:], ""))
    events = past(tmp_path, {"so_dinh_danh": "12"}, {})
    told = shadow(tmp_path, path, "--events", str(events), status=0)
    assert kinds(told) == {("so_dinh_danh", "not_warned"): (1, ["line 1"], "personal_id_form")}
    # Of a change that one refuses there is nothing to doubt.
    path = proposal(
        tmp_path, ("list: hotich.gioiTinh, by: [name, code]", "list: hotich.gioiTinh, by: [code]")
    )
    found = kinds(shadow(tmp_path, path, "--events", str(events), status=1))
    assert set(found) == {("nksGioiTinh", "refused")}


def test_formats_that_only_one_feeds_and_columns_that_only_one_has(tmp_path: Path) -> None:
    write(
        tmp_path,
        "formats/hotich/khaisinh/v9.avsc",
        FORMAT.replace("hotich.khaisinh.v1", "hotich.khaisinh.v9"),
    )
    words = ("--events", str(past(tmp_path, {"moi": "có"})))
    more = ("targets:\n", "targets:\n  hotich.khaisinh.v9:\n    like: hotich.khaisinh.v1\n")
    column = ("  du_lieu_cu: boolean\n", "  du_lieu_cu: boolean\n  moi: string\n")
    used = ("copy, from: noi_sinh", "copy, from: moi")
    told = shadow(tmp_path, proposal(tmp_path, more, column, used), *words, status=0)
    assert (told["added"], told["stopped"]) == (["hotich.khaisinh.v9"], [])
    assert kinds(told) == {
        ("nksNoiSinh", "changed"): (1, ["line 1"], "copy, told otherwise"),
        ("", "beside"): (1, ["line 1"], ""),  # noi_sinh is kept there now
    }
    instead = ("  hotich.khaisinh.v1:\n", "  hotich.khaisinh.v9:\n")
    told = shadow(tmp_path, proposal(tmp_path, instead), *words, status=1)
    assert (told["added"], told["stopped"], told["loses"]) == (
        ["hotich.khaisinh.v9"], ["hotich.khaisinh.v1"], True,
    )  # fmt: skip


def test_people_read_it_and_see_no_value(tmp_path: Path) -> None:
    path = proposal(
        tmp_path,
        SPELLING,
        (f"trangSo: {rule_of('trangSo')}", ""),
    )
    events = past(tmp_path, *[{}] * 7)
    result = run(tmp_path, "shadow", ID, str(path), "--events", str(events))
    assert result.exit_code == 1
    assert "  LOSS trangSo: has no value any more (copy -> no rule): 7 (at line 1, line 2" in result.stdout
    assert "line 5, …)\n  nksHoTen: is spelt otherwise (name -> copy): 7" in result.stdout
    assert "0 of 7 changes come out the same" in result.stderr
    assert "BÍ MẬT" not in result.output.upper()


def test_what_both_refuse_is_no_proof_and_is_told(tmp_path: Path) -> None:
    """Changes of another dataset, say: they come out the same, for nothing is made of them."""
    other = json.dumps({"op": "c", "before": None, "after": {"id": 7, "so_chung_thuc": "1"}})
    events = write(tmp_path, "events.jsonl", f"{other}\n{past(tmp_path, {}).read_text()}{other}\n")
    words = (str(proposal(tmp_path)), "--events", str(events))
    told = shadow(tmp_path, Path(words[0]), *words[1:], status=0)
    assert (told["changes"], told["same"], told["refused"]) == (3, 3, 2)
    said = run(tmp_path, "shadow", ID, *words).stderr
    assert "3 of 3 changes come out the same, 2 of them refused by both\n" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"op": "c", "after": {"foo": "bí mật"}}', "no column of the dataset is in it"),
        ('{"op": "c", "after": {"ho_ten": "bí mật \\ud800"}}', "an escape (\\u…) stands for half"),
        ('{"after": {}}', "not a change event"),
        ('{"op": "c", "after": 1}', "not a change event"),
        ('{"op": "c", "after": {"id": "bí mật"}}', "column id is not of type long"),
    ],
)
def test_events_that_cannot_be_read(line: str, said: str, tmp_path: Path) -> None:
    events = past(tmp_path, {})
    events.write_text(f"{events.read_text()}\n{line}\n")
    error = run(tmp_path, "shadow", ID, str(proposal(tmp_path)), "--events", str(events)).exception
    assert isinstance(error, ContractError)
    assert error.message.startswith(f"{events}:3: {said}")
    assert "bí mật" not in error.message
    assert "lienthong consume" not in error.next_step, "that prints national records, and no events"


def test_a_proposal_that_does_not_hold_is_told_with_its_line(tmp_path: Path) -> None:
    path = proposal(tmp_path, ("rule: name, from: ho_ten", "rule: nam, from: ho_ten"))
    error = run(tmp_path, "shadow", ID, str(path), "--examples").exception
    assert isinstance(error, ContractError)
    assert error.message == f"{path}:{line_of(path.read_text(), 'nksHoTen:')}: unknown rule nam"
    assert error.next_step.startswith("did you mean name?")


def test_what_to_compare_is_asked_for_once(tmp_path: Path) -> None:
    path, empty = str(proposal(tmp_path)), str(write(tmp_path, "none.jsonl", "\n"))
    both = run(tmp_path, "shadow", ID, path, "--examples", "--events", empty).exception
    assert isinstance(both, SettingsError)
    for words in (("--examples",), ("--events", empty)):
        beside = run(tmp_path, "shadow", ID, path, *words, "--last", "2").exception
        assert isinstance(beside, SettingsError)
        assert beside.message == f"--last and {words[0]} are both given"
        assert beside.next_step == f"give one of them: with {words[0]} all changes are compared"
    unknown = run(tmp_path, "shadow", "hotich_qnam/khaisin", path, "--examples").exception
    assert isinstance(unknown, SettingsError)
    assert unknown.next_step.startswith("did you mean hotich_qnam/khaisinh?")
    nothing = run(tmp_path, "shadow", ID, path, "--events", empty).exception
    assert isinstance(nothing, ContractError)
    assert nothing.message == f"{empty}:1: no event is in the file"
    unset = run(tmp_path, "shadow", ID, path).exception
    assert isinstance(unset, SettingsError)
    assert "LIENTHONG_BROKER is not set" in unset.message
