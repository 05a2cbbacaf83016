"""The park file of the national-sync consumer."""

import base64
import json
import stat
from pathlib import Path

import pytest

from consumers.park import Park, ParkedRecord
from schemas.errors import TryAgain


def parked(offset: int, value: bytes | None = b"\x00\x00\x00\x00\x07Xu\xc3\xa2n") -> ParkedRecord:
    return ParkedRecord(
        topic="national.hotich.khaisinh.v1",
        partition=3,
        offset=offset,
        rule="bytes_truncated",
        detail="12 of 40 bytes",
        reason="Bản ghi bị cắt cụt",
        key=b"20194|01/2016|45|05.01.2016",
        value=value,
    )


def test_a_line_holds_the_original_bytes_and_no_text_of_them_in_clear(tmp_path: Path) -> None:
    park = Park(tmp_path / "new" / "park.jsonl")
    park.write([parked(17), parked(18, value=None)])
    text = park.path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["topic"], line["partition"], line["offset"], line["rule"]) for line in lines] == [
        ("national.hotich.khaisinh.v1", 3, 17, "bytes_truncated"),
        ("national.hotich.khaisinh.v1", 3, 18, "bytes_truncated"),
    ]
    assert base64.b64decode(lines[0]["value_base64"]) == parked(17).value
    assert base64.b64decode(lines[0]["key_base64"]) == parked(17).key
    assert lines[1]["value_base64"] is None
    assert lines[0]["reason"] == "Bản ghi bị cắt cụt"
    assert "Xuân" not in text
    assert "05.01.2016" not in text


def test_the_file_is_for_its_owner_only_and_is_not_made_for_nothing(tmp_path: Path) -> None:
    park = Park(tmp_path / "park.jsonl")
    park.write([])
    assert not park.path.exists()
    park.write([parked(1)])
    assert stat.S_IMODE(park.path.stat().st_mode) == 0o600


def test_a_line_torn_by_a_crash_does_not_swallow_the_next(tmp_path: Path) -> None:
    park = Park(tmp_path / "park.jsonl")
    park.path.write_text('{"topic": "nat', encoding="utf-8")
    park.write([parked(5)])
    lines = park.path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '{"topic": "nat'
    assert json.loads(lines[1])["offset"] == 5


def test_a_disk_that_refuses_is_told_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be", encoding="utf-8")
    with pytest.raises(TryAgain, match=r"1 parked records to .*park\.jsonl") as told:
        Park(tmp_path / "taken" / "park.jsonl").write([parked(5)])
    assert "nothing was committed" in told.value.next_step


def test_a_parked_record_does_not_show_its_content_when_printed() -> None:
    assert "45" not in repr(parked(17))
    assert "Xu" not in repr(parked(17))
