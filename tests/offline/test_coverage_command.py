"""``lienthong contracts coverage``: what is mapped, what is lost, and whether the format is the newest."""

import json
from pathlib import Path
from typing import Any

from tests.gates import CONTRACT, FORMAT, OTHER, run, write


def rows(folder: Path, *words: str) -> dict[str, dict[str, Any]]:
    result = run(folder, "coverage", "--json", *words)
    assert result.exit_code == 0, result.output
    return {f"{one['system']}/{one['dataset']}": one for one in json.loads(result.stdout)}


def newer() -> str:
    """The birth register's layout with a required field more, a field less, and one that is not sure."""
    file = json.loads(FORMAT)
    first, *fields = file["fields"]
    fields = [field for field in fields if field["name"] != "trangSo"]
    more = first | {"name": "maHoSo", "label": "Mã hồ sơ", "evidence": "U"}
    every = [first, *fields, more]
    file["fields"] = [field | {"position": at + 1} for at, field in enumerate(every)]
    return json.dumps(file)


def test_fields_required_fields_and_losses_are_counted(tmp_path: Path) -> None:
    one = rows(tmp_path)["hotich_qnam/khaisinh"]
    assert one["fresh"] is True
    assert (one["fed"]["fields"], one["fed"]["required"]) == (60, one["fed"]["required_mapped"])
    assert one["fed"]["mapped"] == 60 - len(one["fed"]["unmapped"])
    assert "nksMatTich" in one["fed"]["unmapped"]
    assert "nksHoTen" not in one["fed"]["unmapped"]
    # The number is checked and not mapped; so is the exception of quyenSo. Key and status are told. A date
    # may come with a time of day, which the format has no place for.
    assert one["beyond"] == {
        "kept": ["so_dinh_danh", "du_lieu_cu"], "left_out": {}, "not_asked": [],
        "lossy": ["ngay_dk", "ngay_sinh", "me_ngay_sinh", "cha_ngay_sinh"],
    }  # fmt: skip


def test_a_newer_version_tells_what_it_would_require(tmp_path: Path) -> None:
    write(tmp_path, "formats/hotich/khaisinh/v2.avsc", newer())
    one = rows(tmp_path)["hotich_qnam/khaisinh"]
    assert one["fresh"] is False
    assert one["newest"]["format"] == "hotich.khaisinh.v2"
    assert one["newest"]["lacking"] == ["maHoSo [U]"]
    assert one["newest"]["mapped"] == one["fed"]["mapped"] - 1
    line = next(line for line in run(tmp_path, "coverage").stdout.splitlines() if "\tkhaisinh\t" in line)
    assert "hotich.khaisinh.v2: bản mới đòi thêm maHoSo [U]" in line


def test_a_dataset_that_feeds_the_newest_version_as_well_is_fresh(tmp_path: Path) -> None:
    write(tmp_path, "formats/hotich/khaisinh/v2.avsc", newer())
    both = OTHER.replace("targets:\n", "targets:\n  hotich.khaisinh.v2:\n    like: hotich.khaisinh.v1\n", 1)
    both = both.replace(
        "    like: hotich.khaisinh.v1\n", "    like: hotich.khaisinh.v1\n    fields: {maHoSo: *}\n"
    )
    both = both.replace("maHoSo: *", "maHoSo: {rule: copy, from: so_dk}")
    write(tmp_path, "contracts/a/b.yaml", both)
    lines = [line for line in run(tmp_path, "coverage").stdout.splitlines() if line.startswith("a\t")]
    assert ["\thotich.khaisinh.v2: cũng đang dùng\t" in line for line in lines] == [False, True]
    assert "\thotich.khaisinh.v2\tđang dùng\t" in lines[0]


def test_a_column_that_nothing_reads_is_kept_unless_a_person_says_why_not(tmp_path: Path) -> None:
    wider = OTHER.replace("  id: long\n", "  id: long\n  ghi_chu: string\n")
    write(tmp_path, "contracts/a/b.yaml", wider)
    assert rows(tmp_path)["a/b"]["beyond"]["kept"] == ["ghi_chu", "so_dinh_danh", "du_lieu_cu"]
    write(tmp_path, "contracts/a/b.yaml", f"{wider}\nleft_out:\n  ghi_chu: chỉ dùng nội bộ\n")
    told = rows(tmp_path)["a/b"]["beyond"]
    assert (told["kept"], told["left_out"]) == (
        ["so_dinh_danh", "du_lieu_cu"],
        {"ghi_chu": "chỉ dùng nội bộ"},
    )
    page = run(tmp_path, "coverage", "--markdown", "--lang", "en").stdout
    assert "the contract does not keep (1): ghi_chu (chỉ dùng nội bộ)\n" in page


def test_what_an_inbound_target_does_not_ask_for_is_told_apart(tmp_path: Path) -> None:
    told = rows(tmp_path)["yte_qnam/nguoidan"]["beyond"]
    assert "TonGiao" in told["not_asked"]
    assert (told["kept"], told["left_out"]) == ([], {})


def test_the_page_names_what_the_numbers_count(tmp_path: Path) -> None:
    page = run(tmp_path, "coverage", "--markdown", "--lang", "en").stdout
    assert page.startswith("# Coverage of the national formats\n\n")
    assert "\n\n| system | dataset |" in page
    count = len(rows(tmp_path))
    assert f"newest version {count}, all required fields {count}." in page
    assert "; Tuyên bố mất tích (nksMatTich); " in page
    part = page[page.index("## hotich_qnam/khaisinh → hotich.khaisinh.v1") :]
    assert "Owner: Sở Tư pháp tỉnh Quảng Nam" in part
    assert "kept beside the record (lt_overflow) (2): so_dinh_danh; du_lieu_cu\n" in part
    assert "[I]: inferred" in page
    assert run(tmp_path, "coverage", "--markdown").stdout.startswith("# Mức độ đáp ứng")


def test_a_layout_that_no_ministry_made_says_so(tmp_path: Path) -> None:
    own = json.dumps(json.loads(FORMAT) | {"origin": "proposal"})
    write(tmp_path, "formats/tinh/khaisinh/v1.avsc", own)
    write(tmp_path, "contracts/a/b.yaml", CONTRACT.replace("hotich.khaisinh.v1", "tinh.khaisinh.v1"))
    every = rows(tmp_path)
    assert every["a/b"]["fed"]["origin"] == "proposal"
    assert every["hotich_qnam/khaisinh"]["fed"]["origin"] == "ministry"
    table = run(tmp_path, "coverage", "--lang", "en").stdout
    assert "tinh.khaisinh.v1 (the province's own proposal)" in table
    assert "hotich.khaisinh.v1 (" not in table
    shown = run(tmp_path, "show", "a/b", "--lang", "en").stdout
    assert "This layout is the province's own proposal; no ministry has published one." in shown


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    write(tmp_path, "contracts/a/b.yaml", OTHER.replace("version: 2", "version: one"))
    result = run(tmp_path, "coverage")
    assert result.exit_code == 1
    assert "hotich_qnam\tkhaisinh" in result.stdout
    assert "b.yaml:" in result.stderr
    assert "next step" in result.stderr
