"""``make campaign``: play seeded scenarios, tell what came of each, and how fast the road recovered."""

import argparse
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.demo.stage import ROOT
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import WITHOUT_SYNC, PostgresNode
from tests.campaign import report
from tests.campaign.ground import Ground
from tests.campaign.plan import draw
from tests.campaign.scenario import Failed, Result, play

STATE: Final = ROOT / ".local" / "campaign"
talk = Console(markup=False, highlight=False, soft_wrap=True)
REPORT: Final = ROOT / "build" / "campaign.json"


def main() -> int:
    """Exit status 0 only if every scenario passed."""
    options = _options()
    results: list[Result] = []
    broken: list[tuple[int, str]] = []
    talk.print(f"{options.scenarios} scenarios from seed {options.seed}")
    with _ground() as ground:
        for seed in range(options.seed, options.seed + options.scenarios):
            try:
                results.append(play(ground, draw(seed)))
                talk.print(report.line(results[-1]))
            except Failed as failed:
                results.append(failed.result)
                _tell(seed, report.line(failed.result), failed, ground.folder)
            except Exception as error:
                broken.append((seed, f"{type(error).__name__}: {error}"))
                _tell(seed, f"seed {seed}: no verdict", error, ground.folder)
            report.write(REPORT, results, broken)
    talk.print("\n".join(report.recoveries([one for result in results for one in result.recoveries])))
    passed = sum(not result.failed for result in results)
    talk.print(f"campaign: {passed} scenarios passed, {options.scenarios - passed} failed")
    return 0 if passed == options.scenarios else 1


def _tell(seed: int, what: str, error: Exception, folder: Path) -> None:
    """A failure, what was planned, and how to see it again."""
    talk.print(what)
    talk.print("".join(f"    {line}\n" for line in str(error).splitlines()), end="")
    talk.print("".join(f"    planned at {fault}\n" for fault in draw(seed).faults), end="")
    talk.print(f"    logs: {folder.relative_to(ROOT)}/seed-{seed}/logs")
    talk.print(f"    again: make campaign SCENARIOS=1 SEED={seed}")


@contextmanager
def _ground() -> Iterator[Ground]:
    shutil.rmtree(STATE, ignore_errors=True)
    kafka, store = KafkaNode(STATE / "kafka"), PostgresNode(STATE / "store", settings=WITHOUT_SYNC)
    try:
        with closing(Ground(STATE, kafka, store)) as ground:
            ground.start()
            yield ground
    finally:
        store.stop("immediate")
        kafka.kill()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--scenarios", type=int, default=int(os.environ.get("SCENARIOS") or 100))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or secrets.randbelow(10**6)))
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the servers then, too
    begun = time.monotonic()
    status = main()
    talk.print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(status)
