"""Claims upon a log that is played: the store is the real SQLite one, a test chooses the generations."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumers.opening import open_store
from consumers.store import NationalStore, Position
from streams.batch import Batch
from streams.claims import Claims, Fetched

P0 = Position(topic="province.test.one", partition=0)
P1 = Position(topic="province.test.one", partition=1)
ROAD = "test"


@dataclass
class PlayedLog:
    """Kafka as the test wants it."""

    at: int | None = 1  #: the generation; None while rejoining
    begin: int = 0
    end: int = 1000
    sought: dict[Position, int] = field(default_factory=dict)
    offline: set[Position] = field(default_factory=set)

    def leaderless(self, positions: Iterable[Position]) -> set[Position]:
        return self.offline & set(positions)

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        return dict.fromkeys(positions, (self.begin, self.end))

    async def seek(self, offsets: Mapping[Position, int]) -> None:
        self.sought.update(offsets)

    def generation(self) -> int | None:
        return self.at


@dataclass(frozen=True)
class PlayedRecord:
    """A record without content."""

    offset: int
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def opened_store(tmp_path: Path) -> Iterator[NationalStore]:
    opened = open_store(f"sqlite:///{tmp_path / 'national.db'}")
    opened.migrate([])
    yield opened
    opened.close()


def some_threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def worker(store: Any, log: PlayedLog, threads: ThreadPoolExecutor, name: str = "one") -> Claims:
    return Claims(store=store, deployment=ROAD, owner=name, log=log, executor=threads)


def play(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(300):
            await test()

    asyncio.run(bounded())


async def until_ready(
    claims: Claims, positions: Collection[Position], *, also: Collection[Position] = (), seconds: float = 60.0
) -> None:
    """Until these may be fetched, and of those ``also`` assigned none."""
    async with asyncio.timeout(seconds):
        while set(claims.ready([*positions, *also])[0]) != set(positions):  # noqa: ASYNC110 - as the fetcher asks
            await asyncio.sleep(0.01)


def fetch(claims: Claims, position: Position, *offsets: int, size: int = 0) -> Batch:
    held = claims.held[position]
    batch = claims.batch(position, held, fetched(*offsets, before=held.position, size=size))
    assert batch is not None
    return batch


def fetched(*offsets: int, before: int, after: int | None = None, size: int = 0) -> Fetched:
    records: list[Any] = [PlayedRecord(offset, value=bytes(size)) for offset in offsets]
    return Fetched(records, before, after if after is not None else offsets[-1] + 1)
