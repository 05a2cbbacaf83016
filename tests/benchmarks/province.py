"""What it costs a worker to serve a whole province: 141 datasets against one, with as many changes in all.

And how long a change takes if they come singly, each from another database.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence

from schemas.codec import encode_row
from schemas.library import Library, load_library
from streams.publisher import Outgoing, Publisher
from tests.benchmarks.library import DATASETS, dataset_of, library_141, source_row
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context, drain_rate
from tests.road import Road, road

#: One shape for all, so that the changes are the same work wherever they are.
SHAPE = (22, 30)
#: Changes of all datasets together. The first snapshot of a province: 20,000 for each generated dataset, so
#: that lots are as large as they are with one. And so few that one lot holds all of a dataset, half as large.
SIZES = {"contracts_141": 2_400_000, "contracts_141_few": 270_000}


def contracts(context: Context) -> list[Measure]:
    """Changes a second of one worker with both hops, just started, over a backlog."""
    return [_measured(context, name, changes) for name, changes in SIZES.items()]


def _measured(context: Context, name: str, changes: int) -> Measure:
    generated = DATASETS - len(load_library().contracts)
    rates = []
    for count in (1, generated):
        own = context.folder / f"{name}_{count}"
        library_141(own, datasets=DATASETS - generated + count, widths=[SHAPE])
        store = context.database(f"{name}_{count}")
        with road(context.kafka.bootstrap, store, own / "logs", contracts=str(own)) as one:
            each = changes // count
            context.say(f"{name}: publishing {changes:,} changes of {count} datasets")
            asyncio.run(_publish(one, count, each))
            context.say(f"{name}: one worker takes them")
            one.worker("w1")
            # Each change is a step of the ledger in both hops.
            rates.append(drain_rate(one, None, 0, 2 * each * count, every=0.1) / 2)
            one.end("w1")
    what = (
        f"one worker, both hops, a backlog of {changes:,} changes of {SHAPE[0]} columns in {generated} "
        f"datasets of a library of {DATASETS}; ceiling: as many in one dataset of a library of "
        f"{DATASETS - generated + 1}"
    )
    return against(name, rates[1], "changes/s", rates[0], what)


# --- a trickle -----------------------------------------------------------------------------------------

#: As a province's working day: few changes at a time, each in another database.
TRICKLE_RATE, TRICKLE_SECONDS = 60, 40
_WARM = 5  #: changes of each dataset before


def trickle(context: Context) -> list[Measure]:
    """Milliseconds from the broker's acknowledgement of a change until the store's transaction of it began.

    Changes come singly, each of a dataset chosen by lot, to one worker with both hops.
    """
    count = DATASETS - len(load_library().contracts)
    own = context.folder / "trickle"
    library_141(own, widths=[SHAPE])
    with road(context.kafka.bootstrap, context.database("trickle"), own / "logs", contracts=str(own)) as one:
        one.worker("w1")
        acknowledged = asyncio.run(_trickled(one, count))
        delays = [
            (applied - acknowledged[number, seq]) * 1000
            for number in range(1, count + 1)
            for seq, applied in one.query(
                f"SELECT lt_seq, extract(epoch FROM lt_applied_at)::float8 FROM bench_he{number:03}_v1"
            )
            if seq > _WARM
        ]
    cuts = statistics.quantiles(delays, n=100)
    what = (
        f"{TRICKLE_RATE}/s for {TRICKLE_SECONDS} s over {count} datasets of {DATASETS}, one worker, both hops"
    )
    return [
        Measure(name=f"trickle_{percent}_ms", value=cuts[at], unit="ms", conditions=what)
        for percent, at in (("p50", 49), ("p99", 98))
    ]


async def _trickled(one: Road, count: int) -> dict[tuple[int, int], float]:
    """When the broker acknowledged each change, by dataset and number; returns when all are in the store."""
    publisher, library, rng = Publisher(one.broker, client_id="bench"), one.library, random.Random(3)
    last = dict.fromkeys(range(1, count + 1), 0)
    acknowledged: dict[tuple[int, int], float] = {}

    async def publish(number: int) -> None:
        last[number] += 1
        seq = last[number]
        topic = library.contracts[dataset_of(number)].topic
        await publisher.publish(topic, changes(library, number, [seq]))
        acknowledged[number, seq] = time.time()

    async def in_store() -> None:
        union = " UNION ALL ".join(f"SELECT count(*) AS n FROM bench_he{number:03}_v1" for number in last)
        while one.one(f"SELECT sum(n) FROM ({union}) AS each") < sum(last.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.5)

    await publisher.start()
    for number in list(last) * _WARM:
        await publish(number)
    await in_store()
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for at in range(TRICKLE_RATE * TRICKLE_SECONDS):
            await asyncio.sleep(max(0.0, began + at / TRICKLE_RATE - time.monotonic()))
            tasks.create_task(publish(rng.randint(1, count)))
    await in_store()
    await publisher.stop()
    return acknowledged


async def _publish(one: Road, count: int, each: int) -> None:
    publisher, library = Publisher(one.broker, client_id="bench"), one.library
    await publisher.start()
    for number in range(1, count + 1):
        topic = library.contracts[dataset_of(number)].topic
        for start in range(1, each + 1, 20_000):
            ids = range(start, min(start + 20_000, each + 1))
            await publisher.publish(topic, changes(library, number, ids))
    await publisher.stop()


def changes(library: Library, number: int, ids: Sequence[int]) -> list[Outgoing]:
    """New records of a generated dataset, as its relay would publish them; numbered by their ids."""
    contract = library.contracts[dataset_of(number)]
    registered = library.registry.current(contract.subject)
    now = int(time.time() * 1000)
    source = {"version": "1", "connector": "bench", "name": contract.system, "ts_ms": now}
    source |= {"snapshot": "false", "db": "bench", "table": contract.table, "dataset": contract.dataset}
    event = {"before": None, "op": "c", "ts_ms": now}
    made = []
    for one in ids:
        row = {**event, "after": source_row(SHAPE[0], one), "source": {**source, "seq": one}}
        headers = [("schema-sha256", registered.sha256.encode()), ("seq", str(one).encode())]
        made.append(Outgoing(str(one).encode(), encode_row(row, registered), headers))
    return made
