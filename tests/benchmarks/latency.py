"""End to end at a steady rate: ours, and the peer's on the same machine in the same run."""

import contextlib
import random
import statistics
import threading
import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from deploy.demo.agency import TABLE
from deploy.demo.births import new_births, outcome, render
from deploy.demo.national import Live
from deploy.local.postgres import libpq_url
from tests.benchmarks.debezium import APPLIED_AT, TUNED_POLL_MS, VERSION, debezium
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context, insert, insert_paced, whole_road
from tests.road import wait_for

RATE, SECONDS = 500, 30
WARM_SECONDS = 30  # before, at the same rate: JVMs still compile themselves, texts are new
AIM_MS = {"p50": 50, "p99": 250}
FIRST_ROWS = 200


@dataclass(frozen=True, slots=True)
class _Delays:
    """Of one run: what fell under which milliseconds, and what its clerk reached."""

    ms: dict[str, float]  #: p50, p99
    rate: float  #: commits a second
    seconds: float


def end_to_end(context: Context) -> list[Measure]:
    """Clerks insert 500 births a second, one transaction each; when does each become visible nationally?

    From the return of the clerk's commit to the first look that sees the national row (a look each 5 ms).
    Agency and store are one PostgreSQL, Kafka one node, both beside the workers and the clerk on this
    machine, with one clock: an agency has a network more and neighbours less. Days of registration are
    spread over years, as at no real desk, so translate finds fewer texts that came before. One clerk's
    session may not reach the rate beside other work, so what it reached is told.
    """
    measures = []
    for apart, name, workers in (
        (False, "e2e_500", "one worker"),
        (True, "e2e_500_apart", "one worker a hop"),
    ):
        with whole_road(context, name, apart=apart) as (one, agency):
            table = ("hotich_khaisinh_v1", "lt_source_key", "lt_applied_at")
            measures += _measures(name, _delays(agency, libpq_url(one.store), *table), workers)
    return measures


def of_the_peer(context: Context) -> list[Measure]:
    """The same day at the same desks, with Debezium's source and sink between the two tables."""
    measures = []
    for tuned, name, how in (
        (False, "e2e_peer", "as it comes"),
        (True, "e2e_peer_tuned", f"poll.interval.ms={TUNED_POLL_MS}"),
    ):
        folder = context.folder / name
        folder.mkdir()
        with debezium(folder, context.kafka, tuned=tuned, say=context.say) as (agency, store):
            delays = _delays(agency, store, TABLE, "id", APPLIED_AT)
        what = f"Debezium {VERSION} source and JDBC sink, {how}, JSON, rows as they are"
        measures += _measures(name, delays, what)
    return measures


def _measures(name: str, delays: _Delays, how: str) -> list[Measure]:
    what = f"{delays.rate:.0f} of {RATE}/s for {delays.seconds:.0f} s after {WARM_SECONDS} s of the same,"
    what += f" one transaction a birth, {how}; ceiling: the aim"
    return [against(f"{name}_{cut}_ms", ms, "ms", AIM_MS[cut], what) for cut, ms in delays.ms.items()]


def _delays(agency: str, store: str, table: str, key: str, applied_at: str) -> _Delays:
    """From each commit in the agency's database until its row was seen in the store's table."""
    rng = random.Random(11)
    people = new_births(RATE * (WARM_SECONDS + SECONDS) + 500, 11)
    rows = [render(birth, rng) for birth in people if isinstance(outcome(birth), Live)]
    watcher = _Watcher(store, table, key, applied_at)
    watcher.start()
    with contextlib.closing(watcher), psycopg.connect(agency, autocommit=True) as clerk:
        insert(clerk, rows[:FIRST_ROWS])
        wait_for("the first rows", lambda: watcher.rows() == FIRST_ROWS)
        paced = list(insert_paced(clerk, rows[FIRST_ROWS:], RATE))[RATE * WARM_SECONDS :]
        committed = {str(row["id"]): moment for row, moment in paced}
        wait_for("all births", lambda: watcher.seen.keys() >= committed.keys())
    cuts = statistics.quantiles([(watcher.seen[one] - at) * 1000 for one, at in committed.items()], n=100)
    seconds = paced[-1][1] - paced[0][1]
    return _Delays({"p50": cuts[49], "p99": cuts[98]}, len(committed) / seconds, seconds)


class _Watcher(threading.Thread):
    """Looks every 5 ms which rows of a table have become visible; ``close`` ends it.

    By an index and in one text: reading the rows of seconds 200 times a second took a core from the road.
    """

    def __init__(self, store: str, table: str, key: str, applied_at: str) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, float] = {}
        self._store, self._table = store, table
        self._recent = sql.SQL(
            "SELECT string_agg({}::text, ' ') FROM {} WHERE {} > now() - interval '1 second'"
        ).format(*map(sql.Identifier, (key, table, applied_at)))
        self._enough = threading.Event()
        index = sql.SQL("CREATE INDEX ON {} ({})").format(*map(sql.Identifier, (table, applied_at)))
        with psycopg.connect(store) as connection:
            connection.execute(index)

    def rows(self) -> int:
        """How many the table has."""
        with psycopg.connect(self._store) as connection:
            found = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self._table))
            ).fetchone()
            return int(found[0]) if found else 0

    def run(self) -> None:
        with psycopg.connect(self._store, autocommit=True) as connection:
            while not self._enough.wait(0.005):
                found = connection.execute(self._recent).fetchone()
                now = time.monotonic()
                for key in (found[0] or "").split() if found else ():
                    self.seen.setdefault(key, now)

    def close(self) -> None:
        self._enough.set()
        self.join()
