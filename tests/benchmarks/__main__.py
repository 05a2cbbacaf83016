"""``make bench``: measures, prints a table with conditions, writes ``build/bench.json``.

Figures are ratios to a named ceiling or peer of the same run: the machines are noisy, so a figure alone
says little, and no test asserts a time. ``ONLY=sync`` runs the parts whose names begin so.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import psutil
from rich.console import Console
from rich.table import Table

from tests.benchmarks import parts, rejects
from tests.benchmarks.audit import audit_share
from tests.benchmarks.latency import end_to_end, of_the_peer
from tests.benchmarks.measure import Measure
from tests.benchmarks.province import contracts, trickle
from tests.benchmarks.reconcile import reconcile
from tests.benchmarks.watching import monitor

RESULTS = Path("build/bench.json")
talk = Console(stderr=True)
PARTS = {
    **parts.PARTS,
    **rejects.PARTS,
    "e2e": end_to_end,
    "e2e_peer": of_the_peer,
    "contracts": contracts,
    "trickle": trickle,
    "reconcile": reconcile,
    "audit_share": audit_share,
    "monitor": monitor,
}


def main() -> int:
    """Run the wanted parts; exit status 1 if one failed."""
    argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__).parse_args()
    only = os.environ.get("ONLY", "")
    wanted = {name: part for name, part in PARTS.items() if name.startswith(only)}
    if not wanted:
        talk.print(f"error: no part begins with {only!r}; there are: {', '.join(PARTS)}")
        return 2
    measures: list[Measure] = []
    failed: list[str] = []
    # The services end before their folder is removed.
    with tempfile.TemporaryDirectory(prefix="lienthong-bench-") as folder, ExitStack() as services:
        context = parts.Context(folder=Path(folder), services=services, say=talk.print)
        try:
            for name, part in wanted.items():
                measures += _run(name, part, context, failed)
        except KeyboardInterrupt:  # an hour is long; what was measured until then is worth telling
            failed.append("the rest, which was stopped")
    _print(measures)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([measure.as_json() for measure in measures], ensure_ascii=False, indent=2))
    talk.print(f"written: {RESULTS}")
    for name in failed:
        talk.print(f"[red]not measured: {name}")
    return 1 if failed else 0


def _run(
    name: str,
    part: Callable[[parts.Context], list[Measure]],
    context: parts.Context,
    failed: list[str],
) -> list[Measure]:
    began = time.monotonic()
    talk.print(f"part {name} …")
    try:
        return part(context)
    except Exception:  # one broken part must not hide the others' figures
        talk.print_exception()
        failed.append(name)
        return []
    finally:
        talk.print(f"part {name}: {time.monotonic() - began:.0f} s")


def _print(measures: list[Measure]) -> None:
    table = Table(title=f"lienthong bench: {_machine()}")
    for heading in ("name", "value", "unit", "ceiling", "ratio", "conditions"):
        table.add_column(heading, justify="right" if heading in ("value", "ceiling", "ratio") else "left")
    for one in measures:
        ceiling = "" if one.ceiling is None else f"{one.ceiling:,.0f}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(one.name, f"{one.value:,.1f}", one.unit, ceiling, ratio, one.conditions)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    versions = f"Python {platform.python_version()}, Polars {pl.__version__}"
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {versions}"


if __name__ == "__main__":
    sys.exit(main())
