"""What a monitor costs that is scraped every 15 s and watches a province: 141 systems, two hops each."""

import random
import time
from collections.abc import Sequence

import psutil
from kafka import KafkaProducer

from consumers.observing import reads
from consumers.opening import open_store
from consumers.store import Position
from streams.topics import PARTITIONS
from tests.benchmarks.library import DATASETS, library_141
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context
from tests.road import road, wait_for

SCRAPE_SECONDS = 15.0
SCRAPES = 12
#: Of the partitions, those that lag and whose ledger moves between two scrapes.
MOVING_SHARE = 0.1
CORE_AIM = 5.0


def monitor(context: Context) -> list[Measure]:
    """Processor time of ``lienthong monitor run`` over some minutes, as a share of one core."""
    folder = context.folder / "watched"
    library = library_141(folder)
    database = context.postgres.create_database("watched")
    with road(context.kafka.bootstrap, database, context.folder / "logs", contracts=str(folder)) as one:
        topics = sorted(
            {found.topic for c in library.contracts.values() for found in reads(c, library, "lienthong")}
        )
        places = [Position(topic=topic, partition=part) for topic in topics for part in range(PARTITIONS)]
        chance = random.Random(5)
        moving = chance.sample(places, int(MOVING_SHARE * len(places)))
        _claim_all(database, places)
        producer = KafkaProducer(bootstrap_servers=one.broker, linger_ms=20)
        process = psutil.Process(one.start("monitor", "monitor", "run").pid)
        wait_for("the first figures", lambda: "kafka_topic" in one.metrics("monitor"), seconds=300)
        time.sleep(2 * SCRAPE_SECONDS)  # what is learned at the start is not what it costs
        began, before = time.monotonic(), process.cpu_times()
        size = 0
        for number in range(1, SCRAPES + 1):
            for position in moving:
                producer.send(position.topic, value=b"x" * 300, partition=position.partition)
                producer.send(position.topic, value=b"x" * 300, partition=position.partition)
            producer.flush()
            _move(one.store, moving, number)
            time.sleep(max(0.0, began + number * SCRAPE_SECONDS - time.monotonic()))
            size = len(one.metrics("monitor"))
        after = process.cpu_times()
        seconds = time.monotonic() - began
        producer.close()
        memory = process.memory_info().rss / 2**20
    share = 100 * (after.user + after.system - before.user - before.system) / seconds
    what = (
        f"{DATASETS} datasets, {len(places):,} partitions, {len(moving)} moving, {SCRAPES} scrapes, page of"
        f" {size / 1024:.0f} kB, {memory:.0f} MB resident; ceiling: the limit"
    )
    return [against("monitor_core_share", share, "%", CORE_AIM, what)]


def _claim_all(database: str, positions: Sequence[Position]) -> None:
    """A ledger in which every partition was read to offset 0."""
    store = open_store(database)
    claims = store.claim("lienthong", positions, generation=1, owner="bench")
    for position in positions:
        store.start_at("lienthong", position, epoch=claims[position].epoch, offset=0)
    store.close()


def _move(database: str, positions: Sequence[Position], offset: int) -> None:
    """As a worker would that is one record behind in each of them."""
    store = open_store(database)
    for position in positions:
        word = {"who": "bench", "why": "bench"}
        store.accept_loss("lienthong", position, expected=offset - 1, offset=offset, **word)
    store.close()
