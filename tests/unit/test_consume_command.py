"""``lienthong consume`` and its standard output: another encoding, a full disk, nobody who reads."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest

from consumers.consume_command import consume
from consumers.records import NationalRecord
from schemas.errors import TryAgain

RECORD = NationalRecord(
    key="K", deleted=False, system="hotich_thu", dataset="khaisinh", source_key="1", seq=1,
    committed_at=datetime(2026, 1, 1, tzinfo=UTC), contract=None, warnings=(),
    fields={"hoTen": "Người Thử"}, partition=0, offset=0,
)  # fmt: skip


class Consumer:
    """A ``NationalConsumer`` that has one batch and remembers whether the loop came back for another."""

    finished: ClassVar[list[bool]] = []
    format: ClassVar = SimpleNamespace(topic="national.thu.v1")

    def __init__(self, topic: str, **options: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def batches(self, **options: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(records=(RECORD,), parked=())
        self.finished.append(True)


@pytest.fixture(autouse=True)
def _one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_BROKER", "nowhere:1")
    monkeypatch.setattr(Consumer, "finished", [])
    monkeypatch.setattr("consumers.consume_command.NationalConsumer", Consumer)
    monkeypatch.setattr("consumers.consume_command.serve_metrics", lambda registry, port: 1)
    monkeypatch.setattr(signal, "signal", lambda *which: None)


def test_lines_are_utf_8_whatever_the_locale_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with path.open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        consume("thu.v1", until_end=True)
    text = path.read_text(encoding="utf-8")
    assert "Người Thử" in text
    assert json.loads(text)["key"] == "K"
    assert Consumer.finished


def test_a_full_disk_is_told_with_the_next_step_and_its_lines_are_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(TryAgain, match="to standard output: No space left on device") as told:
            consume("thu.v1", until_end=True)
    assert "free some space" in told.value.next_step
    assert not Consumer.finished


def test_a_reader_that_has_gone_ends_it_quietly_and_its_lines_are_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as out:
        monkeypatch.setattr(sys, "stdout", out)
        consume("thu.v1", until_end=True)
    assert not Consumer.finished
