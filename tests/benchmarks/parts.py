"""The parts of ``make bench``, each one function from the started services to its figures."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from schemas.codec import encode
from streams.publisher import Outgoing, Publisher
from tests.benchmarks import wide
from tests.road import Road, road

BATCH = 2_000
SYNC_ROWS = 240_000
TRANSLATE_CHANGES = 150_000


@dataclass(frozen=True, slots=True)
class Context:
    """The services of one bench run."""

    kafka: KafkaNode
    postgres: PostgresNode
    folder: Path

    def database(self, name: str) -> str:
        """A fresh database."""
        self.postgres.create_database(name)
        return self.postgres.url(name)


def drain_rate(one: Road, topics: tuple[str, ...], start: int, total: int) -> float:
    """Records a second from the first ledger step after ``start`` to ``total``, without the worker's start."""
    first: tuple[int, float] | None = None
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        done = sum(offset or 0 for (topic, _), offset in one.ledger().items() if topic in topics)
        now = time.monotonic()
        if done > start and first is None:
            first = (done, now)
        if done >= total and first is not None:
            return (done - first[0]) / (now - first[1])
        time.sleep(0.02)
    raise AssertionError(f"not drained: {topics}\n{one.log('w1')[-2000:]}")


async def _publish(broker: str, topic: str, records: list[Outgoing]) -> None:
    publisher = Publisher(broker, client_id="bench")
    await publisher.start()
    for start in range(0, len(records), 20_000):
        await publisher.publish(topic, records[start : start + 20_000])
    await publisher.stop()


def _fill_national(one: Road, width: int, *, version: int) -> None:
    """Publish ``SYNC_ROWS`` national records of one version each."""
    national = one.library.formats[f"bench.wide{width}.v1"]
    registered = one.library.registry.current(national.subject)
    for first in range(0, SYNC_ROWS, 20_000):
        frame = wide.national_rows(width, 20_000, first=first, version=version)
        keys = frame["lt_key"].to_list()
        values = encode(frame, registered)
        records = [Outgoing(key=k.encode(), value=v) for k, v in zip(keys, values, strict=True)]
        asyncio.run(_publish(one.broker, national.topic, records))


def _sync(context: Context, width: int) -> tuple[float, float]:
    """Rows a second of one worker that only syncs: inserting, then updating the same rows."""
    folder = context.folder / f"wide{width}"
    wide.make_library(folder, width)
    topic = f"national.bench.wide{width}.v1"
    store = context.database(f"sync{width}")
    with road(context.kafka.bootstrap, store, folder / "logs", contracts=str(folder)) as one:
        rates = []
        for version in (1, 2):
            _fill_national(one, width, version=version)
            one.worker("w1", "--only", "sync")
            rates.append(drain_rate(one, (topic,), SYNC_ROWS * (version - 1), SYNC_ROWS * version))
            one.end("w1")
    return rates[0], rates[1]
