"""``make soak``: the road under the calm traffic of a whole province, for as long as wanted.

141 simulated systems, two workers, a monitor, and nothing that goes wrong: every dataset is healthy, every
change applied in time, memory flat. Prints a report and writes ``build/soak.json``; exit status 0 only if the
soak was calm.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

from kafka import KafkaProducer
from rich.console import Console

from deploy.demo.stage import ROOT
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.road import Road, road, wait_for
from tests.soak.systems import SYSTEMS, System, due, province, systems
from tests.soak.watch import FLAT_MB, LATE_SECONDS, Watch

REPORT: Final = ROOT / "build" / "soak.json"
SEED: Final = 2026
WORKERS: Final = ("w1", "w2")
SETTLE_SECONDS: Final = 300.0
MEMORY_SECONDS: Final = 5.0
STATE_SECONDS: Final = 15.0
MONITOR: Final = "monitor"
MINUTE: Final = 60.0
talk = Console(markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    """Run the soak and tell what was seen."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="lienthong-soak-") as name:
        folder = Path(name)
        kafka, postgres = KafkaNode(folder / "kafka"), PostgresNode(folder / "postgres")
        try:
            kafka.start()
            postgres.start()
            store = postgres.create_database("soak")
            library = province(folder / "province")
            talk.print(f"{SYSTEMS} systems; with the shipped ones {len(library.contracts)} contracts")
            with road(kafka.bootstrap, store, folder / "logs", contracts=str(folder / "province")) as one:
                producer = KafkaProducer(bootstrap_servers=one.broker, acks="all", enable_idempotence=True)
                made = systems(library, one.broker, producer, rate=options.rate, seed=SEED)
                watch = _soak(one, made, producer, options.minutes)
                producer.close()
        finally:
            postgres.stop("immediate")
            kafka.kill()
    return _report(watch, sum(one.events.seq for one in made), options)


def _soak(one: Road, made: Sequence[System], producer: Any, minutes: float) -> Watch:
    """Begin when every system had its first answer; end when all is answered, or much later."""
    rng = random.Random(SEED)
    watch = Watch(one)
    for name in WORKERS:
        one.worker(name)
    for system in made:
        watch.published(system.name, system.change(rng))
    producer.flush()

    def calm() -> bool:
        watch.look()
        return not watch.unanswered

    wait_for("every system's first answer", calm, seconds=SETTLE_SECONDS, every=1.0)
    watch = Watch(one)  # what came before was the start
    talk.print(f"all systems answered; {minutes:g} minutes begin", style="bold")
    _live(one, made, producer, watch, rng, minutes * MINUTE)
    deadline = time.monotonic() + SETTLE_SECONDS
    while not calm() and time.monotonic() < deadline:
        time.sleep(1.0)
    watch.finish()
    return watch


def _live(
    one: Road, made: Sequence[System], producer: Any, watch: Watch, rng: random.Random, seconds: float
) -> None:
    one.start(MONITOR, "monitor", "run")
    begun, next_memory, next_word, next_states = time.monotonic(), 0.0, MINUTE, MINUTE
    offset = min(system.due for system in made)
    for system in made:
        system.due -= offset
    while (now := time.monotonic() - begun) < seconds:
        ready = due(made, now)
        for system in ready:
            watch.published(system.name, system.change(rng))
        if ready:
            producer.flush()
        watch.look()
        if now >= next_memory:
            next_memory = now + MEMORY_SECONDS
            watch.processes(one.processes)
        if now >= next_states:
            next_states = now + STATE_SECONDS
            watch.states(_page(one))
        if now >= next_word:
            next_word += MINUTE
            talk.print(_word(now, made, watch))
        time.sleep(max(0.0, 1.0 - (time.monotonic() - begun - now)))


def _page(one: Road) -> str:
    """What the monitor serves; empty if it does not answer."""
    try:
        return one.metrics(MONITOR)
    except OSError:
        return ""


def _word(now: float, made: Sequence[System], watch: Watch) -> str:
    held = ", ".join(f"{name} {one.samples[-1]:.0f} MB" for name, one in watch.memory.items())
    changes = sum(one.events.seq for one in made)
    waiting = f"{watch.unanswered} wait, {len(watch.alarms)} alarms"
    return f"{now / MINUTE:.0f} min: {changes:,} changes, {waiting}, {held}"


def _report(watch: Watch, changes: int, options: argparse.Namespace) -> int:
    delays = sorted(watch.delays)
    spread = {
        "median": median(delays),
        "p95": quantiles(delays, n=20)[-1],
        "p99": quantiles(delays, n=100)[-1],
        "max": delays[-1],
    }
    told = {
        "minutes": options.minutes,
        "systems": SYSTEMS,
        "changes": changes,
        "answer_seconds": {name: round(value, 1) for name, value in spread.items()},
        "memory_mb": {
            name: {"samples": [round(held) for held in one.samples], "growth": round(one.growth, 1)}
            for name, one in watch.memory.items()
        },
        "alarms": [{"seconds": round(one.seconds), "text": one.text} for one in watch.alarms],
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(told, indent=1, ensure_ascii=False))
    talk.print(f"{changes:,} changes of {SYSTEMS} systems in {options.minutes:g} minutes")
    figures = ", ".join(f"{name} {value:.1f}" for name, value in spread.items())
    talk.print(f"seconds to the answer, looked at each second: {figures} (alarm above {LATE_SECONDS:.0f})")
    for name, one in watch.memory.items():
        talk.print(
            f"{name}: {one.samples[0]:.0f} MB at first, {one.samples[-1]:.0f} at last;"
            f" from the second fifth to the last {one.growth:+.1f} MB (alarm above {FLAT_MB:.0f})"
        )
    for alarm in watch.alarms:
        talk.print(f"ALARM at {alarm.seconds:.0f} s: {alarm.text}")
    talk.print(f"written: {REPORT.relative_to(ROOT)}")
    talk.print(f"soak: {len(watch.alarms)} alarms")
    return 1 if watch.alarms else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 60))
    parser.add_argument("--rate", type=float, default=10, help="changes a second of all systems together")
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end the servers then, too
    sys.exit(main())
