"""The parts of ``make bench``, each one function from the services it asks for to its figures."""

import asyncio
import contextlib
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import psutil
import psycopg

from deploy.demo.agency import TABLE, create_table
from deploy.demo.births import new_births, render
from deploy.demo.render import LegacyRow
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from schemas.codec import encode
from streams.publisher import Outgoing, Publisher
from tests.benchmarks import births, wide
from tests.benchmarks.births import DATASET, NATIONAL, PROVINCE
from tests.benchmarks.ceiling import Ceiling, measure_store, shuffled_rows
from tests.benchmarks.codec import codec
from tests.benchmarks.library import library
from tests.benchmarks.measure import Measure, against
from tests.road import Road, road, wait_for

Node = TypeVar("Node", KafkaNode, PostgresNode)

TRANSLATE_AIM = 30_000
MEMORY_CHANGES = 1_000_000
SYNC_ROWS = 240_000
TRANSLATE_CHANGES = 150_000


@dataclass(frozen=True)
class Context:
    """The services of one bench run: each starts when first asked for, and ends with ``services``."""

    folder: Path
    services: contextlib.ExitStack
    say: Callable[[str], None]

    @cached_property
    def kafka(self) -> KafkaNode:
        """A broker that runs."""
        return self._started(KafkaNode(self.folder / "kafka"))

    @cached_property
    def postgres(self) -> PostgresNode:
        """A PostgreSQL that runs."""
        return self._started(PostgresNode(self.folder / "postgres"))

    def _started(self, node: Node) -> Node:
        self.services.callback(node.stop)
        node.start(say=self.say)
        return node

    def database(self, name: str) -> str:
        """A fresh database."""
        self.postgres.create_database(name)
        return self.postgres.url(name)


def drain_rate(
    one: Road, topics: tuple[str, ...] | None, start: int, total: int, *, every: float = 0.02
) -> float:
    """Records a second from the first ledger step behind ``start`` to ``total``; the start is not counted.

    Args:
        topics: those that count; None: all.
        every: seconds between two looks.
    """
    # One row is asked for: with a province's thousands of partitions, to read them all would cost the machine
    # a good part of what is measured.
    which = "" if topics is None else " WHERE topic = ANY(:topics)"
    given = {} if topics is None else {"topics": list(topics)}
    first: tuple[int, float] | None = None
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        done = int(one.one(f"SELECT coalesce(sum(next_offset), 0) FROM lienthong_ledger{which}", **given))
        now = time.monotonic()
        if done > start and first is None:
            first = (done, now)
        if done >= total and first is not None:
            return (done - first[0]) / (now - first[1])
        time.sleep(every)
    raise AssertionError(f"not drained: {topics or 'all'}\n{one.log('w1')[-2000:]}")


async def _publish(broker: str, topic: str, records: list[Outgoing]) -> None:
    publisher = Publisher(broker, client_id="bench")
    await publisher.start()
    for start in range(0, len(records), 20_000):
        await publisher.publish(topic, records[start : start + 20_000])
    await publisher.stop()


def _fill_national(one: Road, width: int, rows: pl.DataFrame) -> None:
    """Publish national records, in the order of the rows."""
    national = one.library.formats[f"bench.wide{width}.v1"]
    registered = one.library.registry.current(national.subject)
    values = encode(rows, registered)
    headers = [("schema-sha256", registered.sha256.encode())]
    records = [
        Outgoing(key=key.encode(), value=value, headers=headers)
        for key, value in zip(rows["lt_key"].to_list(), values, strict=True)
    ]
    asyncio.run(_publish(one.broker, national.topic, records))


def _sync_rates(context: Context, width: int, versions: Sequence[pl.DataFrame]) -> list[tuple[float, float]]:
    """Rows a second of one worker that only syncs, and of COPY and merge alone, for each frame in turn.

    The first frame inserts, the others update. COPY and merge write it just before the worker and just after.
    """
    folder = context.folder / f"wide{width}"
    wide.make_library(folder, width)
    topic = f"national.bench.wide{width}.v1"
    store = context.database(f"sync{width}")
    bare = [
        Ceiling(libpq_url(context.database(f"ceiling{width}_{when}")), width, versions[0].columns)
        for when in ("before", "after")
    ]
    rates, done = [], 0
    with road(context.kafka.bootstrap, store, folder / "logs", contracts=str(folder)) as one:
        for rows in versions:
            _fill_national(one, width, rows)
            seconds = bare[0].write(rows)
            one.worker("w1", "--only", "sync")
            rate = drain_rate(one, (topic,), done, done + rows.height)
            one.end("w1")
            seconds += bare[1].write(rows)
            rates.append((rate, 2 * rows.height / seconds))
            done += rows.height
    for one_side in bare:
        one_side.close()
    return rates


def sync(context: Context) -> list[Measure]:
    """One worker's sync hop, all of it, against what COPY and merge alone do in the same run."""
    measures = []
    what = f"one worker, {SYNC_ROWS:,} records, gate, ledger, receipts and audit chain"
    what += "; ceiling: COPY and merge, just before and just after"
    for width, kinds in ((14, ("insert", "update")), (60, ("insert",))):
        versions = [shuffled_rows(width, SYNC_ROWS, version=version) for version in range(1, len(kinds) + 1)]
        for kind, (value, limit) in zip(kinds, _sync_rates(context, width, versions), strict=True):
            measures.append(against(f"sync_{width}_{kind}", value, "rows/s", limit, what))
    return measures


def store(context: Context) -> list[Measure]:
    """The store without Kafka."""
    return measure_store(context.database("store_alone"))


# --- translate ---------------------------------------------------------------------------------------


def _write_births(one: Road, count: int, *, first_id: int = 1) -> None:
    rng = random.Random(7)
    events = one.events(DATASET)
    events.seq = first_id - 1
    events.write_all(dict(render(birth, rng)) for birth in new_births(count, first_id, first_id=first_id))
    events.close()


@contextlib.contextmanager
def births_road(context: Context, name: str, store: str, **settings: str) -> Iterator[Road]:
    """A road whose library has the births of one layout."""
    folder = context.folder / name
    births.make_library(folder)
    with road(context.kafka.bootstrap, store, folder / "logs", contracts=str(folder), **settings) as one:
        yield one


def translate(context: Context) -> list[Measure]:
    """One worker that only translates a backlog of births: 25 columns to 60 fields, published and settled."""
    with births_road(context, "translate", context.database("translate")) as one:
        _write_births(one, TRANSLATE_CHANGES)
        one.worker("w1", "--only", "translate")
        rate = drain_rate(one, (PROVINCE,), 0, TRANSLATE_CHANGES)
    conditions = f"one worker, backlog of {TRANSLATE_CHANGES:,} births, 6 partitions, acks=all, 3 % rejects"
    return [against("translate_25_60", rate, "changes/s", TRANSLATE_AIM, conditions + "; ceiling: the aim")]


@contextlib.contextmanager
def whole_road(context: Context, name: str, *, apart: bool = False) -> Iterator[tuple[Road, str]]:
    """An agency database under capture, one worker, or one for each hop; and the agency's libpq address."""
    source = context.database(f"{name}_agency")
    libpq = libpq_url(source)
    create_table(libpq)
    store = context.database(f"{name}_national")
    with births_road(context, name, store, LIENTHONG_SOURCE=source) as one:
        one.run("capture", "install", DATASET)
        one.start("capture", "capture", "run")
        if apart:
            one.worker("w1", "--only", "translate")
            one.worker("w2", "--only", "sync")
        else:
            one.worker()
        yield one, libpq


def insert(clerk: psycopg.Connection[Any], rows: Sequence[LegacyRow]) -> None:
    """As the agency's clerks do, a statement a row."""
    for row in rows:
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        clerk.execute(f"INSERT INTO {TABLE} ({names}) VALUES ({marks})".encode(), list(row.values()))


def insert_paced(
    clerk: psycopg.Connection[Any], rows: Sequence[LegacyRow], rate: float
) -> Iterator[tuple[LegacyRow, float]]:
    """Insert rows at a rate, one transaction each (faster when behind); when each was committed."""
    begin = time.monotonic()
    for at, row in enumerate(rows):
        pause = begin + at / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        insert(clerk, [row])
        yield row, time.monotonic()


# --- recovery and memory -----------------------------------------------------------------------------


def recovery(context: Context) -> list[Measure]:
    """Seconds from the restart of the only worker, killed with -9 amid a backlog, to the next new row."""
    times, waiting = [], []
    with births_road(context, "recovery", context.database("recovery")) as one:
        for first in (1, 100_001, 200_001):
            _write_births(one, 20_000, first_id=first)
            _start_and_see_a_row(one)
            one.end("w1", signal.SIGKILL)
            waiting.append(one.backlog(PROVINCE, NATIONAL))
            times.append(_start_and_see_a_row(one))
            wait_for("the road is calm", lambda: one.backlog(PROVINCE, NATIONAL) == 0)
            one.end("w1")
    told = ", ".join(f"{one:.1f}" for one in times)
    conditions = (
        f"kill -9 of the only worker, three rounds ({told} s), at least {min(waiting):,} changes waiting"
    )
    return [against("recovery_s", max(times), "s", 15, f"{conditions}; worst; ceiling: the aim (peer 44)")]


def _start_and_see_a_row(one: Road) -> float:
    """Start the worker; how many seconds until the store has more rows."""
    count = "SELECT count(*) FROM hotich_khaisinh_v1"
    before, began = one.one(count), time.monotonic()
    one.worker()
    wait_for("the next row", lambda: one.one(count) > before, seconds=300, every=0.02)
    return time.monotonic() - began


def memory(context: Context) -> list[Measure]:
    """What a worker's resident memory grows by over 1,000,000 changes through both hops, at its peak.

    Above what it has when it holds its partitions and has read nothing; what it has after the first 10,000
    is told beside it.
    """
    with births_road(context, "memory", context.database("memory")) as one:
        worker = psutil.Process(one.worker().pid)

        def resident() -> float:
            return float(worker.memory_info().rss / 2**20)

        held = re.compile(r"^lienthong_partitions_held [1-9]", re.MULTILINE)
        wait_for("the worker holds its partitions", lambda: held.search(one.metrics("w1")), seconds=300)
        start = highest = resident()
        done, warm = 0, 0.0
        while done < MEMORY_CHANGES:
            step = 10_000 if done == 0 else 90_000
            _write_births(one, step, first_id=done + 1)
            done += step
            while one.backlog(PROVINCE, NATIONAL) > 0:
                highest = max(highest, resident())
                time.sleep(0.5)
            if done == 10_000:
                warm = resident()
    conditions = (
        f"peak resident over {done:,} changes, one worker: {highest:.0f} MB; {start:.0f} MB before the first"
        f" change, {warm:.0f} MB after 10,000"
    )
    return [against("worker_growth_mb", highest - start, "MB", 250, conditions + "; ceiling: the limit")]


PARTS: dict[str, Callable[[Context], list[Measure]]] = {
    "codec": lambda _: codec(),
    "library": lambda context: library(context.folder),
    "store": store,
    "sync": sync,
    "translate": translate,
    "recovery": recovery,
    "memory": memory,
}
