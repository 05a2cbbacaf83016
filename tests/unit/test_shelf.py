"""A library whose files change under a running worker: told, and taken in by a restart only."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from consumers import health
from consumers.opening import open_store
from consumers.store import Position
from schemas.library import changed_since, fingerprint_of, fingerprints, load_library
from streams.metrics import RoadMetrics
from streams.shelf import Shelf
from tests.provinces import CONTRACT, write_contract, write_format


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "library"
    write_format(made, "thu.hoso.v1", "ma", "ten")
    write_contract(made, "thu/hoso", CONTRACT)
    return made


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def test_what_changed_and_what_came_is_found(folder: Path) -> None:
    library = load_library([folder])
    taken = fingerprints(library, [folder])
    assert changed_since(library, [folder], taken) == []
    write_contract(folder, "thu/hoso", {**CONTRACT, "title": "Hồ sơ khác"})
    write_contract(folder, "thu/hoso.examples", {"format": "thu.hoso.v1"})
    assert changed_since(library, [folder], taken) == ["thu/hoso"]
    write_contract(folder, "thu/moi", CONTRACT)
    assert changed_since(library, [folder], taken) == ["thu/hoso", "thu/moi"]
    write_contract(folder, "thu/hoso", CONTRACT)
    (folder / "contracts" / "thu" / "moi.yaml").unlink()
    assert changed_since(library, [folder], taken) == []
    write_format(folder, "thu.hoso.v1", "ma", "ten", "moi")
    assert changed_since(library, [folder], taken) == ["thu/hoso"]
    (folder / "contracts" / "thu" / "hoso.yaml").unlink()
    assert "thu/hoso" in changed_since(library, [folder], taken)


def test_a_worker_says_once_that_it_follows_an_older_library(
    folder: Path, threads: ThreadPoolExecutor
) -> None:
    library, metrics = load_library([folder]), RoadMetrics(registry := CollectorRegistry())
    shelf = Shelf(
        library=library,
        folders=[folder],
        taken=fingerprints(library, [folder]),
        metrics=metrics,
        executor=threads,
        stop_the_line=lambda error: None,
    )
    with capture_logs() as logs:
        asyncio.run(shelf.look())
        assert logs == []
        write_contract(folder, "thu/hoso", {**CONTRACT, "title": "Hồ sơ khác"})
        asyncio.run(shelf.look())
        asyncio.run(shelf.look())
    (told,) = logs
    assert (told["log_level"], told["contracts"]) == ("warning", ["thu/hoso"])
    assert "restart the workers" in told["next_step"]
    assert registry.get_sample_value("lienthong_library_changed_contracts") == 1.0


def test_the_doctor_names_workers_with_another_library(folder: Path, tmp_path: Path) -> None:
    url, library = f"sqlite:///{tmp_path}/national.db", load_library([folder])
    position = Position(topic=library.contracts["thu/hoso"].topic, partition=0)
    with closing(open_store(url)) as store:
        store.migrate(list(library.formats.values()))
        assert health.workers_follow(url, "thu", library, [folder]).ok, "no worker yet"
        taken = fingerprint_of(fingerprints(library, [folder]))
        store.claim("thu", [position], generation=1, owner="w1", library=taken)
        assert health.workers_follow(url, "thu", library, [folder]).ok
        write_contract(folder, "thu/hoso", {**CONTRACT, "title": "Hồ sơ khác"})
        found = health.workers_follow(url, "thu", library, [folder])
        assert (found.ok, found.detail) == (False, "w1 took in another library than the one here")
        assert "restart the workers" in found.next_step
        taken = fingerprint_of(fingerprints(library, [folder]))
        store.claim("thu", [position], generation=2, owner="w2", library=taken)
        assert health.workers_follow(url, "thu", library, [folder]).ok
