"""After a reject the later changes of its record wait, in order; everybody else's flow."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.store import Blocked
from streams.claims import Held
from tests.hop_lab import ROAD, SYSTEM, HopLab

BAD = {"ngay_dk": "31/02/2016"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HopLab]:
    made = HopLab(tmp_path)
    yield made
    made.close()


def parked(lab: HopLab) -> list[tuple[int, int]]:
    """(head, offset) of what waits, as the hop would hand it over."""
    prepared = lab.begin([lab.batch(lab.change(1), lab.change(2))])
    return [(one.head, one.offset) for one in prepared.parked]


def test_a_later_good_change_does_not_overtake_a_reject_of_its_record(lab: HopLab) -> None:
    lab.run(lab.change(1), lab.change(2, **BAD), lab.change(3), lab.change(2), lab.change(3))
    assert lab.published() == [("1", 1), ("3", 3), ("3", 5)]
    lab.run(lab.change(2), lab.change(1))
    assert lab.published()[3:] == [("1", 7)]
    assert lab.said() == {"rejected": "2", "parked": "4,6", "waiting": "1,3,5"}


def test_a_change_before_the_reject_goes_and_a_bad_one_behind_it_is_parked_not_rejected(lab: HopLab) -> None:
    lab.run(lab.change(2), lab.change(2, **BAD), lab.change(2, dan_toc="Sao Hỏa"), lab.raw(b"2", b"", seq=4))
    assert lab.published() == [("2", 1)]
    assert [(row.reject.seq, row.reject.blocks) for row in lab.store.rejects(SYSTEM)] == [(2, True)]
    assert lab.said() == {"rejected": "2", "parked": "3-4", "waiting": "1"}


def test_bytes_that_cannot_be_read_block_their_record_too(lab: HopLab) -> None:
    lab.run(lab.raw(b"2", b"\0\0", seq=9))
    lab.run(lab.change(2), lab.change(1))
    assert lab.published() == [("1", 2)]


def test_a_record_without_a_key_blocks_nothing_and_waits_for_nothing(lab: HopLab) -> None:
    lab.run(lab.raw(None, b"", seq=1), lab.raw(None, b"", seq=2))
    lab.run(lab.raw(None, b"", seq=3), lab.change(1))
    assert lab.said()["rejected"] == "1-3"
    assert [row.reject.blocks for row in lab.store.rejects(SYSTEM)] == [False] * 3


def test_what_waits_survives_a_worker_and_a_new_claim(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD))
    assert lab.store.blocked(ROAD, [lab.position]) == [Blocked(position=lab.position, offset=0, key=b"2")]
    lab.worker()
    assert parked(lab) == [(0, 2)]


def test_a_topic_made_anew_with_lower_offsets_does_not_free_a_record(lab: HopLab) -> None:
    lab.run(*(lab.change(9) for _ in range(5)), lab.change(2, **BAD))
    lab.store.accept_loss(ROAD, lab.position, expected=6, offset=0, who="lan", why="thử")
    lab.epoch, lab.offset = 2, 0
    lab.worker()
    assert parked(lab) == [(5, 1)]


def test_a_lot_prepared_again_parks_the_same(lab: HopLab) -> None:
    lot = [lab.batch(lab.change(1), lab.change(2, **BAD), lab.change(2))]
    first, second = lab.begin(lot), lab.begin(lot)
    for one in (first, second):
        assert [(reject.offset, reject.blocks) for reject in one.rejects] == [(1, True)]
        assert [(waits.head, waits.offset) for waits in one.parked] == [(1, 2)]


def test_a_reject_under_a_lost_claim_blocks_nothing_under_the_new_one(lab: HopLab) -> None:
    late = lab.batch(lab.change(2, **BAD), epoch=lab.epoch)
    lab.begin([late])
    lab.offset = 0
    lab.worker()
    assert parked(lab) == []
    lab.hop.prepare([late])
    assert parked(lab) == []


def test_blocked_records_are_counted(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2), lab.change(2), lab.change(3, **BAD))
    lab.mend()
    assert blocked(lab) == 2
    assert lab.metrics.parked.labels(SYSTEM, "khaisinh")._value.get() == 2


def test_blocked_records_of_a_lost_partition_are_not_counted(lab: HopLab) -> None:
    """Its new holder counts them; a worker's sum would tell them twice."""
    lab.run(lab.change(2, **BAD))
    lab.mend()
    del lab.claims.held[lab.position]
    asyncio.run(lab.mender.look())
    assert blocked(lab) == 0
    lab.claims.held[lab.position] = Held(epoch=lab.epoch + 1, generation=2, start=1, position=1)
    asyncio.run(lab.mender.look())
    assert blocked(lab) == 0  # claimed anew, and not looked up yet


def blocked(lab: HopLab) -> float:
    return float(lab.metrics.blocked.labels(SYSTEM, "khaisinh")._value.get())
