"""The flood breaker: it opens for the source that floods, and closes when it is good again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from consumers.store import Position
from streams.batch import Batch
from streams.breaker import Breakers, Judged, Limits, judged
from streams.claims import Claims
from tests.hop_lab import DATASET, ROAD, SYSTEM, Event, HopLab, Standing

BAD = {"ngay_dk": "31/02/2016"}
LIMITS = Limits(share=0.5, window=10, consecutive=6, pause_seconds=60)
BIRTHS, MARRIAGES = "province.hotich_qnam.khaisinh", "province.hotich_qnam.kethon"


class Lab(HopLab):
    """A hop with a breaker."""

    def add_breakers(self, limits: Limits = LIMITS) -> Breakers:
        self.claims = Standing()
        self.discarded: list[str] = []
        self.hop.breakers = Breakers(
            contracts={one.topic: one for one in self.library.contracts.values()},
            store=self.store,
            claims=cast(Claims, self.claims),
            deployment=ROAD,
            limits=limits,
            metrics=self.metrics,
            executor=self.threads,
            discard=self.discarded.append,
            stop_the_line=lambda error: None,
        )
        return self.hop.breakers

    def look(self) -> None:
        assert self.hop.breakers is not None
        asyncio.run(self.hop.breakers.look())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.add_breakers()
    yield made
    made.close()


def good(lab: Lab, count: int) -> list[Event]:
    return [lab.change(1000 + lab.seq) for _ in range(count)]


def bad(lab: Lab, count: int) -> list[Event]:
    return [lab.change(1000 + lab.seq, **BAD) for _ in range(count)]


def is_open(lab: Lab) -> bool:
    return bool(lab.store.breakers(ROAD))


def test_a_share_of_a_full_window_opens_it(lab: Lab) -> None:
    lab.run(*bad(lab, 4), *good(lab, 1))
    assert not is_open(lab)  # four of five, but five are too few to tell
    lab.run(*bad(lab, 1), *good(lab, 4))
    assert is_open(lab)
    (one,) = lab.store.breakers(ROAD)
    assert (one.system, one.dataset, one.rule, one.field) == (
        SYSTEM,
        DATASET,
        "date_impossible",
        "ngayDangKy",
    )
    assert one.detail == "5/10"
    assert (lab.claims.closed, lab.discarded) == ({BIRTHS: False}, [BIRTHS])


def test_so_many_one_after_the_other_open_it_across_lots(lab: Lab) -> None:
    lab.add_breakers(Limits(share=1, window=1000, consecutive=6, pause_seconds=60))
    lab.run(*good(lab, 1), *bad(lab, 3))
    lab.run(*bad(lab, 2))
    assert not is_open(lab)
    lab.run(*bad(lab, 1), *good(lab, 1))  # the good one ends the run before anybody looks
    assert not is_open(lab)
    lab.run(*bad(lab, 6))
    assert is_open(lab)


def test_a_few_bad_ones_in_a_hundred_never_open_it(lab: Lab) -> None:
    for _ in range(10):
        lab.run(*bad(lab, 1), *good(lab, 30), *bad(lab, 1))
    assert not is_open(lab)


def test_what_waits_is_neither_good_nor_bad() -> None:
    record = [(0, Event(at, b"k", None)) for at in range(5)]
    assert judged([], []) == Judged(0, 0, 0)
    assert judged(record, []) == Judged(5, 0, 0)


def test_publisher_and_operator_are_told_once_and_answers_stay_what_they_are(lab: Lab) -> None:
    lab.run(*bad(lab, 6))
    lab.run(*bad(lab, 6))
    told = [(one.outcome, one.rule, one.seqs) for one in lab.store.receipts(SYSTEM) if not one.seqs]
    assert set(told) == {("paused", "source_paused", "")}
    assert len(told) == len(lab.contract.targets)
    assert lab.said() == {"rejected": "1-12"}
    lab.look()
    assert lab.metrics.breaker.labels(SYSTEM, DATASET)._value.get() == 1
    assert lab.metrics.breaker.labels(SYSTEM, "kethon")._value.get() == 0
    assert MARRIAGES not in lab.claims.closed


def test_lots_that_settle_at_once_pause_the_source_once_and_none_of_them_tries_it_out(lab: Lab) -> None:
    breakers = lab.add_breakers()
    refused = lab.begin([lab.batch(*bad(lab, 10))]).rejects
    flood, mostly_good = Judged(10, 10, 10), Judged(10, 1, 0)

    async def settle() -> None:
        lots = ((flood, refused), (flood, refused), (mostly_good, refused[:1]))
        await asyncio.gather(*(breakers.judge(lab.contract, lot, rejects) for lot, rejects in lots))

    with capture_logs() as told:
        asyncio.run(settle())
    assert [one["event"] for one in told] == ["source paused: a flood of rejects"]
    assert is_open(lab)


def test_a_person_lets_the_source_flow_again(lab: Lab) -> None:
    lab.run(*bad(lab, 6))
    assert lab.store.close_breaker(ROAD, SYSTEM, DATASET, formats=["f"])
    assert not lab.store.close_breaker(ROAD, SYSTEM, DATASET, formats=["f"])
    lab.look()
    assert lab.claims.closed == {}
    lab.run(*bad(lab, 1), *good(lab, 1))
    assert not is_open(lab)  # counted anew
    assert [one.outcome for one in lab.store.receipts(SYSTEM) if not one.seqs][-1] == "resumed"


def test_after_a_pause_one_fetch_decides(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("streams.breaker.monotonic", lambda: now)
    lab.run(*bad(lab, 6))
    lab.look()
    assert lab.claims.closed == {BIRTHS: False}
    now += 61
    lab.look()
    assert lab.claims.closed == {BIRTHS: True}
    lab.claims.closed[BIRTHS] = False  # as the claims do when the fetch is made
    lab.run(*bad(lab, 3), *good(lab, 2))
    lab.look()
    assert (is_open(lab), lab.claims.closed) == (True, {BIRTHS: False})
    now += 61
    lab.look()
    lab.run(*bad(lab, 1), *good(lab, 4))
    assert not is_open(lab)
    lab.look()
    assert lab.claims.closed == {}


def test_a_restart_does_not_forget_it(lab: Lab) -> None:
    lab.run(*bad(lab, 6))
    lab.worker()
    lab.add_breakers()
    lab.look()
    assert lab.claims.closed == {BIRTHS: False}


def test_a_paused_topic_is_claimed_and_not_read_but_for_one_fetch_on_trial() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from streams.claims import Fetched, Held
    from tests.claims_lab import PlayedLog, PlayedRecord

    async def test() -> None:
        with ThreadPoolExecutor(1) as threads:
            claims = Claims(store=None, deployment=ROAD, owner="w", log=PlayedLog(), executor=threads)  # type: ignore[arg-type]
            places = [Position(topic=topic, partition=at) for topic in (BIRTHS, MARRIAGES) for at in (0, 1)]
            for one in places:
                claims._held[one] = Held(epoch=1, generation=1, start=0, position=0)
            claims.closed[BIRTHS] = False
            ready, full = claims.ready(places)
            assert {one.topic for one in ready} == {MARRIAGES}
            assert not full
            claims.closed[BIRTHS] = True
            ready, _ = claims.ready(places)
            (chosen,) = [one for one in ready if one.topic == BIRTHS]
            records = [PlayedRecord(0)]
            batch = claims.batch(chosen, ready[chosen], Fetched(records, 0, 1))  # type: ignore[arg-type]
            assert isinstance(batch, Batch)
            assert claims.closed[BIRTHS] is False
            assert {one.topic for one in claims.ready(places)[0]} == {MARRIAGES}
            # what was fetched while somebody paused it is read again later
            other = next(one for one in places if one.topic == BIRTHS and one != chosen)
            assert claims.batch(other, claims.held[other], Fetched(records, 0, 1)) is None  # type: ignore[arg-type]
            assert other not in claims.held

    asyncio.run(test())
