"""What rejects cost the good records, and how soon a change is answered."""

import contextlib
import random
import threading
import time
from collections.abc import Callable

import psycopg
from kafka import KafkaConsumer, TopicPartition

from consumers.ranges import Ranges
from deploy.demo.births import new_births, outcome, render
from deploy.demo.national import Live
from schemas.codec import decode
from schemas.registry import RECEIPT_SUBJECT
from tests.benchmarks.births import DATASET, NATIONAL, PROVINCE
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context, births_road, drain_rate, insert, insert_paced, whole_road
from tests.road import Road, wait_for

PEOPLE, VERSIONS = 15_000, 8
BAD_SHARE = 0.01  # of the people
RATE, SECONDS = 500, 30
RECEIPTS = "receipts.bench"


def parking(context: Context) -> list[Measure]:
    """Good changes a second with 1 % bad records, each with its later changes behind it, against none."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(3):
        for bad in (False, True):
            name = f"parking_{turn}_{'bad' if bad else 'good'}"
            rates[bad].append(_good_rate(context, name, BAD_SHARE if bad else 0.0))
    good, without = max(rates[True]), max(rates[False])
    what = (
        f"one worker, both hops, {PEOPLE:,} records of {VERSIONS} changes, the first one bad of 1 % of them;"
        " best of three; ceiling: none bad (aim: a ratio of 0.95)"
    )
    return [against("good_changes_with_1_percent_bad", good, "changes/s", without, what)]


def _good_rate(context: Context, name: str, share: float) -> float:
    rng = random.Random(5)
    births = [one for one in new_births(PEOPLE * 2, 5) if isinstance(outcome(one), Live)][:PEOPLE]
    rows = [dict(render(birth, rng)) for birth in births]
    bad = set(rng.sample(range(PEOPLE), round(PEOPLE * share)))
    total = PEOPLE * VERSIONS
    with births_road(context, name, context.database(name)) as one:
        events = one.events(DATASET)
        for version in range(VERSIONS):
            for at, row in enumerate(rows):
                spoilt = {"ngay_dk": "31/02/2016"} if version == 0 and at in bad else {}
                events.write({**row, "trang_so": str(version), **spoilt})
        events.close()
        one.worker()
        rate = drain_rate(one, (PROVINCE,), 0, total)
        wait_for("sync", lambda: one.backlog(NATIONAL) == 0)
        parked = one.one("SELECT count(*) FROM lienthong_parked")
        assert parked == len(bad) * (VERSIONS - 1), parked
    return rate * (1 - len(bad) / PEOPLE)


def receipts(context: Context) -> list[Measure]:
    """From the clerk's commit to the receipt on the topic, at 500 changes a second."""
    count = RATE * SECONDS
    rng = random.Random(12)
    rows = [render(birth, rng) for birth in new_births(count * 2, 12) if isinstance(outcome(birth), Live)]
    with whole_road(context, "receipts") as (one, libpq):
        clerk = psycopg.connect(libpq, autocommit=True)
        insert(clerk, rows[:200])
        reader = _Reader(one)
        reader.start()
        # Not for the backlog: there is none before the relay has published anything.
        wait_for("the road is warm", lambda: len(reader.seen) == 200)
        # By sequence number: the n-th statement gets the number n.
        paced = enumerate(insert_paced(clerk, rows[200 : 200 + count], RATE), start=201)
        committed = {seq: moment for seq, (_, moment) in paced}
        clerk.close()
        with contextlib.closing(reader):
            wait_for("all receipts", lambda: reader.seen.keys() >= committed.keys())
    delays = sorted((reader.seen[seq] - at) * 1000 for seq, at in committed.items())
    p50, p95 = (delays[round(len(delays) * share)] for share in (0.5, 0.95))
    what = f"{RATE}/s for {SECONDS} s, one transaction a birth, one worker; commit to receipt on the topic"
    return [
        Measure(name="receipt_500_p50_ms", value=p50, unit="ms", conditions=what),
        against("receipt_500_p95_ms", p95, "ms", 2_000, what + "; ceiling: the aim"),
    ]


class _Reader(threading.Thread):
    """Reads receipts as they come and notes when each number was first answered."""

    def __init__(self, one: Road) -> None:
        super().__init__(daemon=True)
        self._registry = one.library.registry
        self._consumer = KafkaConsumer(bootstrap_servers=one.broker, group_id=None, fetch_max_wait_ms=50)
        part = TopicPartition(RECEIPTS, 0)
        self._consumer.assign([part])
        self._consumer.seek_to_beginning(part)
        self._enough = threading.Event()
        self.seen: dict[int, float] = {}

    def run(self) -> None:
        while not self._enough.is_set():
            for records in self._consumer.poll(timeout_ms=50).values():
                now = time.monotonic()
                values = [record.value for record in records]
                for _, frame in decode(values, registry=self._registry, subject=RECEIPT_SUBJECT).groups:
                    for seq in Ranges.parse(frame["seqs"].to_list()):
                        self.seen.setdefault(seq, now)
        self._consumer.close()

    def close(self) -> None:
        """Stop reading."""
        self._enough.set()
        self.join()


PARTS: dict[str, Callable[[Context], list[Measure]]] = {"rejects": parking, "receipts": receipts}
