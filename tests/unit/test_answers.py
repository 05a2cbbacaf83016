"""The way out of receipts and rejects, without a broker: which worker publishes whose."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from consumers.opening import open_store
from consumers.repairs import RepairStore
from schemas.library import Library, load_library
from streams.answers import AnswersPublisher
from streams.metrics import RoadMetrics
from streams.publisher import Publisher
from tests.hop_lab import FORMAT, SYSTEM, Remembered
from tests.provinces import CONTRACT, write_contract, write_format
from tests.shipped import shipped
from tests.store_lab import BOOK, a_reject

PATIENCE_SECONDS = 10.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RepairStore]:
    with closing(open_store(f"sqlite:///{tmp_path}/national.db")) as made:
        made.migrate([BOOK])
        yield made


def published(store: RepairStore, library: Library, how_many: int) -> list[str]:
    """The topics of what a worker with this library publishes until it has marked so many answers."""

    async def until_marked() -> None:
        publisher.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while marked() < how_many:  # noqa: ASYNC110 - as a scrape asks
                await asyncio.sleep(0.01)
        await publisher.stop()

    def marked() -> float:
        name = "lienthong_answers_published_total"
        return sum(registry.get_sample_value(name, {"kind": one}) or 0 for one in ("receipts", "rejects"))

    broker, registry = Remembered(), CollectorRegistry()
    with ThreadPoolExecutor(2) as threads:
        publisher = AnswersPublisher(
            store=store,
            library=library,
            publisher=cast(Publisher, broker),
            metrics=RoadMetrics(registry),
            executor=threads,
            stop_the_line=lambda error: None,
        )
        asyncio.run(until_marked())
    return sorted(topic for topic, _ in broker.sent)


def test_answers_of_a_system_wait_for_a_worker_that_knows_it(store: RepairStore, tmp_path: Path) -> None:
    old = shipped()
    write_format(tmp_path, "thu.hoso.v1", "ma", "ten")
    write_contract(tmp_path, "thu/hoso", CONTRACT)
    new = load_library([tmp_path])
    systems = ("thu", SYSTEM, "national")
    rejects = [a_reject(at, seq=at, system=system) for at, system in enumerate(systems)]
    store.settle("thu", [], rejects=rejects, formats=[FORMAT])
    with capture_logs() as logs:
        told = published(store, old, 4)
    assert told == [f"receipts.{SYSTEM}", f"rejected.{SYSTEM}", "rejected.national"]
    assert store.unpublished() == {"thu"}
    assert [one["systems"] for one in logs if one["log_level"] == "warning"] == [["thu"]]
    assert published(store, new, 2) == ["receipts.thu", "rejected.thu"]
