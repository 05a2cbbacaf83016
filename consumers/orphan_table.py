"""What ``lienthong status --orphans`` shows: one line for each system, those in danger first."""

from collections.abc import Mapping
from typing import Any

import typer

from consumers.orphan_words import WORDS, level_of, steps
from consumers.orphans import PARTS, Index
from consumers.outlook import Outlook
from schemas.reasons import Language

_HEADS: Mapping[Language, tuple[str, ...]] = {
    "vi": ("hệ thống", "chỉ số", "mức", "kém nhất", "việc cần làm", "lệnh"),
    "en": ("system", "index", "level", "worst dataset", "what to do next", "command"),
}


def table(outlook: Outlook, language: Language) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The heads, and the lines: system, index, its level and parts, the worst dataset, what to do next."""
    words = WORDS[language]
    lines: list[tuple[str, ...]] = []
    for one in outlook.systems:
        worst = one.indices[0]
        value = f">= {one.at_least}" if one.value is None else str(one.value)
        parts = (_points(worst.points[part]) for part in PARTS)
        step = steps(worst, outlook, language)[0]
        level = words[level_of(one.value)]
        lines.append((one.system, value, level, *parts, worst.coverage.dataset, step.what, step.command))
    heads = _HEADS[language]
    return (*heads[:3], *(words[part] for part in PARTS), *heads[3:]), lines


def tell_unkept(outlook: Outlook) -> None:
    """On standard error, if today's index could not be kept: it will lack in the trend."""
    if outlook.unkept is not None:
        typer.echo(f"today's index was not kept: {outlook.unkept}", err=True)
        typer.echo(f"next step: {outlook.next_step}", err=True)


def as_json(outlook: Outlook) -> dict[str, Any]:
    """The same for programs; what is not known is null."""
    return {
        "at": outlook.at.isoformat(timespec="seconds"),
        "problem": outlook.problem,
        "unkept": outlook.unkept,
        "weights": {part: round(outlook.weights.share(part), 3) for part in PARTS},
        "systems": [
            {
                "system": one.system,
                "owners": list(one.owners),
                "index": one.value,
                "at_least": one.at_least,
                "datasets": [_dataset(index, outlook) for index in one.indices],
            }
            for one in outlook.systems
        ],
    }


def _dataset(index: Index, outlook: Outlook) -> dict[str, Any]:
    coverage, seen = index.coverage, index.seen
    known: dict[str, Any] = dict.fromkeys(("applied_at", "proved_at", "rejected", "parked", "missing"))
    if seen is not None:
        known = {
            "applied_at": seen.applied_at.isoformat(timespec="seconds") if seen.applied_at else None,
            "proved_at": seen.proof.at.isoformat(timespec="seconds") if seen.proof else None,
            "rejected": seen.rejected,
            "parked": seen.parked,
            "missing": seen.missing,
        }
    return {
        "dataset": coverage.dataset,
        "format": coverage.fed.format,
        "newest": coverage.newest.format,
        "lacking": list(coverage.newest.lacking),
        "index": index.value,
        "at_least": index.at_least,
        "points": {part: points and round(points, 3) for part, points in index.points.items()},
        **known,
        "next": [{"what": one.what, "command": one.command} for one in steps(index, outlook, "en")],
    }


def _points(points: float | None) -> str:
    return "?" if points is None else f"{points:.0f}"
