"""What a campaign tells: a line for each scenario, a table of recovery times, and a file for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from tests.campaign.scenario import VERDICTS, Recovery, Result


def line(result: Result) -> str:
    """One scenario."""
    counts = ", ".join(f"{result.count(verdict)} {verdict}" for verdict in VERDICTS)
    others = [one.name for one in result.failed if not any(one.name in names for names in VERDICTS.values())]
    return (
        f"seed {result.plan.seed}: {result.changes:,} changes, {len(result.plan.faults)} faults,"
        f" {result.seconds:.0f} s: {counts}" + "".join(f"; FAILED: {name}" for name in others)
    )


def spread(seconds: Sequence[float]) -> tuple[float, float, float, float]:
    """min, median, p95, max; ``seconds`` must not be empty."""
    p95 = quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return min(seconds), median(seconds), p95, max(seconds)


def recoveries(found: Sequence[Recovery]) -> list[str]:
    """The table, by what went wrong, and all together."""
    by_what: dict[str, list[float]] = {}
    for one in found:
        by_what.setdefault(one.what, []).append(one.seconds)
    rows = [*sorted(by_what.items()), ("all", [one.seconds for one in found])]
    heads = " ".join(f"{head:>6}" for head in ("min", "median", "p95", "max"))
    told = [f"{'recovery, seconds after it was over':<40} {'n':>5} {heads}"]
    for what, seconds in rows:
        if seconds:
            figures = " ".join(f"{one:6.1f}" for one in spread(seconds))
            told.append(f"  {what:<38} {len(seconds):>5} {figures}")
    return told


def write(path: Path, results: Sequence[Result], broken: Sequence[tuple[int, str]]) -> None:
    """``build/campaign.json``: what came of each; ``broken`` are seeds without a verdict."""
    scenarios = [
        {
            "seed": one.plan.seed,
            "changes": one.changes,
            "seconds": round(one.seconds, 1),
            "faults": [str(fault) for fault in one.plan.faults],
            "recoveries": [{"what": r.what, "seconds": round(r.seconds, 2)} for r in one.recoveries],
            **{verdict: one.count(verdict) for verdict in VERDICTS},
            "failed": {check.name: check.detail for check in one.failed},
        }
        for one in results
    ]
    told = {"scenarios": scenarios, "broken": [{"seed": seed, "why": why} for seed, why in broken]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False))
