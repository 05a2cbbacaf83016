"""What a gate has to say: one finding for each thing, with its place and what to do about it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from schemas.documents import Document, Place, read_document
from schemas.errors import LienthongError

#: An error is in the way; a warning wants a person's look; a note is only told.
Severity = Literal["error", "warning", "note"]

_PLACED = re.compile(r"(?s)(.+?):([0-9]+): (.*)")
_ORDER: Sequence[Severity] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found. Holds no personal value."""

    path: str  #: the file, as it was named
    line: int  #: from 1
    severity: Severity
    rule: str  #: which gate it comes from, one word for programs
    text: str
    next_step: str


def of_error(error: LienthongError, rule: str) -> Finding:
    """The finding that an error of a library file stands for; its message begins with ``file:line``."""
    placed = _PLACED.fullmatch(error.message)
    path, line, text = placed.groups() if placed else ("", "1", error.message)
    next_step = error.next_step or "correct the file"
    return Finding(path=path, line=int(line), severity="error", rule=rule, text=text, next_step=next_step)


def at(path: Path, place: Place, severity: Severity, rule: str, text: str, next_step: str) -> Finding:
    """A finding at a place in a YAML or JSON file that can be read, or at the nearest one above it."""
    state = path.stat()
    error = _read(path, state.st_mtime_ns, state.st_size).error(place, text, next_step)
    line = of_error(error, rule).line
    return Finding(path=str(path), line=line, severity=severity, rule=rule, text=text, next_step=next_step)


@lru_cache(maxsize=8)
def _read(path: Path, _changed_at: int, _size: int) -> Document:
    """A file, read once for all that is found in it."""
    return read_document(path)


def in_order(findings: Iterable[Finding]) -> Sequence[Finding]:
    """By file and line; of one line, what weighs most first."""
    return sorted(findings, key=lambda one: (one.path, one.line, _ORDER.index(one.severity), one.text))


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """Lines for people: place and text, then the next step. Paths below the working folder are short."""
    here = Path.cwd()
    for one in findings:
        path = Path(one.path)
        short = path.relative_to(here) if path.is_relative_to(here) else path
        mark = "" if one.severity == "error" else f"{one.severity}: "
        yield f"{short}:{one.line}: {mark}{one.text}"
        yield f"    next step: {one.next_step}"


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as JSON objects, field by field."""
    return [asdict(one) for one in findings]


def counted(findings: Iterable[Finding]) -> str:
    """How many there are of each weight, in words."""
    weights = [one.severity for one in findings]
    return ", ".join(f"{each}s: {weights.count(each)}" for each in _ORDER)


def failed(findings: Iterable[Finding]) -> bool:
    """Whether there is an error among them."""
    return any(one.severity == "error" for one in findings)
