"""Claims: the pitfalls of the prototype (zombie, silent hang, silent loss), each closed and shown here.

The store is the real SQLite one; only Kafka's side (``Log``) is played, since a test must choose generations.
"""

import asyncio
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from consumers.store import Fenced, NationalStore, Position
from streams import claims as claims_module
from streams.batch import Batch, slices_of
from streams.claims import SMALL_BYTES, Claims
from tests.claims_lab import (
    P0,
    P1,
    ROAD,
    PlayedLog,
    fetch,
    fetched,
    opened_store,
    play,
    some_threads,
    until_ready,
    worker,
)

store, threads = pytest.fixture(opened_store), pytest.fixture(some_threads)


async def until_halted(claims: Claims, position: Position) -> None:
    async with asyncio.timeout(60):
        while position not in claims.halted:
            assert claims.ready([position])[0] == {}
            await asyncio.sleep(0.01)


def test_reading_starts_where_the_ledger_stands(store: NationalStore, threads: ThreadPoolExecutor) -> None:
    async def test() -> None:
        log = PlayedLog(begin=7)
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        assert log.sought == {P0: 7}  # never read before: from the log's first record
        batch = fetch(claims, P0, 7, 8, 12)  # 9 to 11 were compacted away
        assert (batch.start, batch.next) == (7, 13)
        store.settle(ROAD, slices_of([batch]), rejects=[], formats=[])
        restarted, log2 = worker(store, log, threads, "two"), log
        log2.at = 2
        await until_ready(restarted, [P0])
        assert log2.sought == {P0: 13}

    play(test)


def test_a_zombie_cannot_claim_back_what_a_newer_generation_owns(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        zombie_log = PlayedLog(at=1)
        zombie = worker(store, zombie_log, threads, "zombie")
        await until_ready(zombie, [P0])
        old = fetch(zombie, P0, 0, 1)

        heir = worker(store, PlayedLog(at=2), threads, "heir")
        await until_ready(heir, [P0])
        new = fetch(heir, P0, 0, 1)

        with pytest.raises(Fenced):  # awake again, with a batch from before
            store.settle(ROAD, slices_of([old]), rejects=[], formats=[])
        zombie.dropped(old)
        with pytest.raises(TimeoutError):  # it still believes in generation 1, and asks again and again
            await until_ready(zombie, [P0], seconds=1.5)
        store.settle(ROAD, slices_of([new]), rejects=[], formats=[])  # the heir was never disturbed

    play(test)


def test_nobody_claims_while_rejoining(store: NationalStore, threads: ThreadPoolExecutor) -> None:
    async def test() -> None:
        claims = worker(store, PlayedLog(at=None), threads)
        for _ in range(20):
            assert claims.ready([P0]) == ({}, False)
            await asyncio.sleep(0.01)
        assert store.ledger(ROAD) == []

    play(test)


def test_a_rebalance_makes_every_partition_be_claimed_anew(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        log = PlayedLog(at=1)
        claims = worker(store, log, threads)
        await until_ready(claims, [P0, P1])
        before = claims.held[P0].epoch
        log.at = 2
        assert claims.ready([P0, P1])[0] == {}
        await until_ready(claims, [P0, P1])
        assert claims.held[P0].epoch > before

    play(test)


def test_a_batch_lost_on_the_way_is_noticed_and_read_again(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        fetch(claims, P0, 0, 1)  # Faust clears its queues at a rebalance: this one never arrives
        second = fetch(claims, P0, 2, 3)
        with pytest.raises(Fenced):
            store.settle(ROAD, slices_of([second]), rejects=[], formats=[])
        claims.dropped(second)
        await until_ready(claims, [P0])
        assert log.sought[P0] == 0

    play(test)


def test_what_was_fetched_across_a_rebalance_is_read_again(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        held = claims.held[P0]
        fetch(claims, P0, 0, 1, 2, 3)
        # The rebalance set the consumer back to the group's offset while the fetch was on its way.
        assert claims.batch(P0, held, fetched(2, 3, 4, before=2)) is None
        assert P0 not in claims.held  # a claim whose consumer stands elsewhere must be made anew
        await until_ready(claims, [P0])
        log.at = 2
        assert claims.batch(P0, claims.held[P0], fetched(0, 1, before=0)) is None
        assert P0 not in claims.held

    play(test)


def test_records_nobody_sees_are_stepped_over(store: NationalStore, threads: ThreadPoolExecutor) -> None:
    """Markers of transactions and what compaction took move the consumer, and give no record."""

    async def test() -> None:
        claims = worker(store, PlayedLog(), threads)
        await until_ready(claims, [P0])
        fetch(claims, P0, 0, 1)
        assert claims.batch(P0, claims.held[P0], fetched(before=2, after=5)) is None
        batch = claims.batch(P0, claims.held[P0], fetched(5, before=5, after=8))
        assert batch is not None
        assert (batch.start, batch.next) == (2, 8)

    play(test)


def test_what_retention_deleted_halts_the_partition_and_only_it(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        store.settle(ROAD, slices_of([fetch(claims, P0, 0, 1, 2)]), rejects=[], formats=[])
        claims.forget([P0])
        log.begin = 50  # 3 to 49 are gone
        await until_ready(claims, [P1])
        claims.ready([P0, P1])
        async with asyncio.timeout(60):
            while P0 not in claims.halted:
                claims.ready([P0, P1])
                await asyncio.sleep(0.01)
        assert claims.halted[P0].lost == 47
        assert "offsets 3 to 49" in claims.halted[P0].reason
        assert set(claims.held) == {P1}
        assert claims.oldest_wait() == 0.0  # halted aloud is not a silent stall: the watchdog leaves it alone

    play(test)


def test_after_a_persons_word_the_halted_partition_goes_on(
    store: NationalStore, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "HALT_RECHECK_SECONDS", 0.1)

    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        claims.forget([P0])
        log.begin = 50
        await until_halted(claims, P0)
        store.accept_loss(ROAD, P0, expected=0, offset=50, who="lan", why="thử")
        await until_ready(claims, [P0])
        assert log.sought[P0] == 50
        assert claims.halted == {}

    play(test)


def test_a_topic_made_anew_halts_too(store: NationalStore, threads: ThreadPoolExecutor) -> None:
    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        store.settle(ROAD, slices_of([fetch(claims, P0, *range(10))]), rejects=[], formats=[])
        claims.forget([P0])
        log.end = 4
        await until_halted(claims, P0)
        assert "made anew" in claims.halted[P0].reason

    play(test)


class HangingStore:
    """A store whose claims do not come back until the test lets them."""

    def __init__(self, store: NationalStore) -> None:
        self._store = store
        self.free = threading.Event()

    def claim(self, *args: Any, **kwargs: Any) -> Any:
        self.free.wait(60)
        return self._store.claim(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_topic_made_anew_halts_until_a_person_says_so_however_long_it_grows(
    store: NationalStore, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would go on at the ledger's offset, and the new log's first records would never be read."""
    monkeypatch.setattr(claims_module, "HALT_RECHECK_SECONDS", 0.05)

    async def test() -> None:
        log = PlayedLog(end=100)
        claims = worker(store, log, threads)
        await until_ready(claims, [P0])
        batch = fetch(claims, P0, *range(100))
        store.settle(ROAD, slices_of([batch]), rejects=[], formats=[])
        claims.forget([P0])
        log.end = 30
        await until_halted(claims, P0)
        assert "ends at 30: it was made anew" in claims.halted[P0].reason
        log.end = 120
        since = claims.halted[P0].since
        while claims.halted[P0].since == since:
            assert claims.ready([P0])[0] == {}
            await asyncio.sleep(0.01)
        assert "ended before it: it was made anew" in claims.halted[P0].reason
        store.accept_loss(ROAD, P0, expected=100, offset=0, who="thu", why="thử")
        await until_ready(claims, [P0])
        assert log.sought[P0] == 0

    play(test)


def test_a_partition_without_a_leader_keeps_no_other_from_being_claimed(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    class Offline(PlayedLog):
        async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
            if self.offline & set(positions):
                await asyncio.sleep(3600)  # as aiokafka asks on and on
            return await super().bounds(positions)

    async def test() -> None:
        log = Offline(offline={P1})
        claims = worker(store, log, threads)
        await until_ready(claims, [P0], also=[P1])
        assert (claims.oldest_wait(), claims.failures) == (0, 0), "the others flow on"
        log.offline.clear()
        await until_ready(claims, [P0, P1])

    play(test)


def test_a_hanging_claim_fails_aloud_and_is_tried_again(
    store: NationalStore, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "CLAIM_DEADLINE_SECONDS", 0.2)

    async def test() -> None:
        hanging = HangingStore(store)
        claims = worker(hanging, PlayedLog(), threads)
        async with asyncio.timeout(60):
            while not claims.failures:
                claims.ready([P0])
                await asyncio.sleep(0.01)
        assert claims.oldest_wait() > 0.1  # the watchdog sees it
        monkeypatch.undo()  # a claim of a busy machine may well take so long
        hanging.free.set()
        await until_ready(claims, [P0])
        assert claims.oldest_wait() == 0.0

    play(test)


def test_at_most_two_batches_of_a_partition_are_in_flight(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        claims = worker(store, PlayedLog(), threads)
        await until_ready(claims, [P0])
        first = fetch(claims, P0, 0, size=SMALL_BYTES)
        fetch(claims, P0, 1, size=SMALL_BYTES)
        assert claims.ready([P0]) == ({}, True)
        claims.entered(first)
        claims.settled(first)
        assert set(claims.ready([P0])[0]) == {P0}
        assert claims.committed(P0) == 1

    play(test)


def test_small_batches_of_a_partition_are_fetched_on_until_they_are_large_together(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        claims = worker(store, PlayedLog(), threads)
        await until_ready(claims, [P0])
        flying: list[Batch] = []
        while claims.ready([P0])[0]:
            flying.append(fetch(claims, P0, len(flying), size=SMALL_BYTES // 10))
        assert 2 < len(flying) <= 10
        for one in flying:
            claims.entered(one)
            claims.settled(one)
        assert set(claims.ready([P0])[0]) == {P0}
        assert claims.waiting_seconds() == {P0: 0.0}

    play(test)


def test_who_is_left_with_nothing_gives_all_up_and_waits_for_nothing(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        log = PlayedLog()
        claims = worker(store, log, threads)
        await until_ready(claims, [P0, P1])
        claims.forget([P1])
        claims.ready([P0, P1])
        await asyncio.sleep(0.01)
        assert claims.oldest_wait() > 0
        log.at = None  # a rebalance: whose the partitions will be is not known
        assert claims.ready(()) == ({}, False)
        assert P0 in claims.held
        log.at = 2  # they are all another worker's
        assert claims.ready(()) == ({}, False)
        assert claims.held == {}
        assert claims.oldest_wait() == 0.0

    play(test)
