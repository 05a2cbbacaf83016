"""The park: records that could not be read or applied, on disk before their offsets are committed."""

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from schemas.errors import TryAgain


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedRecord:
    """One record that the caller does not get, and why. ``repr`` shows none of its content."""

    topic: str
    partition: int
    offset: int
    rule: str  #: a rule code of ``schemas.reasons``
    detail: str  #: what exactly, without a personal value
    reason: str  #: the rule in one sentence, in the deployment's language
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)


class Park:
    """An append-only JSONL file; each line holds one record, its bytes in base64.

    The file is made when the first record is parked, readable by its owner only: base64 hides no
    personal value from somebody who wants to read it, it only keeps it out of searches and screens.
    A batch that comes again after a crash is parked again: a line is one by topic, partition and offset.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, records: Iterable[ParkedRecord]) -> None:
        """Append ``records`` and return when they are on disk. Raises ``TryAgain`` if the disk refuses."""
        lines = [json.dumps(_line(record), ensure_ascii=False) for record in records]
        if not lines:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                text = "".join(line + "\n" for line in lines).encode()
                if _torn(handle):
                    text = b"\n" + text
                while text:
                    text = text[os.write(handle, text) :]
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as problem:
            raise TryAgain(
                f"could not write {len(lines)} parked records to {self.path}: {problem.strerror}",
                next_step="free some space or choose another file with --park; nothing was committed",
            ) from problem


def _torn(handle: int) -> bool:
    """Whether an earlier process died in the middle of a line."""
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def _line(record: ParkedRecord) -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "rule": record.rule,
        "detail": record.detail,
        "reason": record.reason,
        "key_base64": _base64(record.key),
        "value_base64": _base64(record.value),
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode("ascii")
