"""What it costs a worker to serve a whole province: 141 datasets against one, with as many changes in all."""

import asyncio
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
