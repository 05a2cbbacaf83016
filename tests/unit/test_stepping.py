"""The stepper: the ledger goes over what nobody sees at the end of a partition, and never too late."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from consumers.store import NationalStore, Position
from streams.batch import slices_of
from streams.claims import Claims
from streams.stepping import Stepper
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


def stepping(claims: Claims, store: NationalStore, threads: ThreadPoolExecutor) -> Stepper:
    return Stepper(
        claims=claims, store=store, deployment=ROAD, executor=threads, stop_the_line=lambda _: None
    )


def ledger(store: NationalStore, position: Position) -> int | None:
    (row,) = (row for row in store.ledger(ROAD) if row.position == position)
    return row.next_offset


def test_what_nobody_sees_at_the_end_is_stepped_over_when_nothing_follows(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    """Else it would wait for ever, and would look lost once retention has deleted it."""

    async def test() -> None:
        claims = worker(store, PlayedLog(), threads)
        stepper = stepping(claims, store, threads)
        await until_ready(claims, [P0, P1])
        batch = fetch(claims, P0, 0, 1)
        claims.entered(batch)
        assert claims.batch(P0, claims.held[P0], fetched(before=2, after=5)) is None
        for _ in range(3):
            await stepper.look()
            assert ledger(store, P0) == 0, "a batch is in flight"
        store.settle(ROAD, slices_of([batch]), rejects=[], formats=[])
        claims.settled(batch)
        await stepper.look()
        assert ledger(store, P0) == 2, "the next batch may come and take the step"
        await stepper.look()
        assert (ledger(store, P0), claims.committed(P0), claims.hidden()) == (5, 5, {})
        after = fetch(claims, P0, 5)
        assert (after.start, after.next) == (5, 6)
        store.settle(ROAD, slices_of([after]), rejects=[], formats=[])

    play(test)


def test_a_step_over_what_nobody_sees_that_comes_too_late_is_not_taken(
    store: NationalStore, threads: ThreadPoolExecutor
) -> None:
    async def test() -> None:
        claims = worker(store, PlayedLog(), threads)
        stepper = stepping(claims, store, threads)
        await until_ready(claims, [P0])
        assert claims.batch(P0, claims.held[P0], fetched(before=0, after=5)) is None
        await stepper.look()
        other = worker(store, PlayedLog(at=2), threads, "two")
        await until_ready(other, [P0])
        await stepper.look()
        assert (ledger(store, P0), P0 in claims.held) == (0, False), "it is the other worker's"

    play(test)
