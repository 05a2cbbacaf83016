"""The parts of ``make bench``, each one function from the started services to its figures."""

import asyncio
import contextlib
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import create_engine, text

from deploy.demo.births import new_births, render
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from schemas.codec import encode
from streams.publisher import Outgoing, Publisher
from tests.benchmarks import wide
from tests.benchmarks.measure import Measure, against
from tests.changes import Events
from tests.road import Road, road, wait_for

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


def drain_rate(one: Road, topics: tuple[str, ...], total: int) -> float:
    """Records a second from the first ledger step to the last, without the worker's start."""
    first: tuple[int, float] | None = None
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        done = sum(offset or 0 for (topic, _), offset in one.ledger().items() if topic in topics)
        now = time.monotonic()
        if done and first is None:
            first = (done, now)
        if done >= total and first is not None:
            return (done - first[0]) / (now - first[1])
        time.sleep(0.02)
    raise AssertionError(f"not drained: {topics}\n{one.log('w1')[-2000:]}")
