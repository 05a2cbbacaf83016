"""Repairs: what is asked for a reject is done in its record's order, and by the partition's owner only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from consumers.ddl import left
from consumers.repairs import Which
from consumers.store import Fenced, Position
from schemas.codec import encode_row
from schemas.errors import TryAgain
from streams import mending
from streams.claims import Held
from streams.parking import Placed
from streams.translate import Translation
from tests.envelopes import GOOD, event
from tests.hop_lab import FORMAT, ROAD, SYSTEM, HopLab

BAD = {"ngay_dk": "31/02/2016"}
WRONG = {"dan_toc": "Sao Hỏa"}
ALL = Which(system=SYSTEM)
ME = {"who": "thu", "why": "thử nghiệm"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[HopLab]:
    made = HopLab(tmp_path)
    yield made
    made.close()


def correct(lab: HopLab, person: int, seq: int) -> None:
    """A person puts the open reject of a record right."""
    (row,) = lab.store.open_rejects(ALL)
    right = event({**GOOD, "id": person, "so_dk": f"{person}/2016"}, seq=seq)
    value = encode_row(right, lab.registered)
    assert lab.store.correct(row.id, value, detail="ngay_dk", **ME)


def became(lab: HopLab) -> list[str | None]:
    return [row.became for row in lab.store.rejects(SYSTEM)]


def waits(lab: HopLab) -> list[int]:
    """Numbers of the changes behind the open rejects."""
    return [int(one.seq or 0) for row in lab.store.open_rejects(ALL) for one in lab.store.behind(row.id)]


def keys_noted(lab: HopLab) -> list[tuple[str, str]]:
    """Records of ``FORMAT``, and national keys that they may have left."""
    query = sa.select(left.c.source_key, left.c.lt_key).where(left.c.format == FORMAT)
    with sa.create_engine(lab.url).connect() as connection:
        return [(source_key, key) for source_key, key in connection.execute(query)]


def meanwhile(lab: HopLab, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], object]) -> None:
    """Let a person do something after the worker has read what is asked for, once."""

    def translate(topic: str, records: Sequence[Placed]) -> Translation:
        monkeypatch.undo()
        deed()
        return lab.hop.translate(topic, records)

    monkeypatch.setattr(lab.hop, "translate", translate)


def test_a_corrected_reject_goes_and_all_that_waits_goes_behind_it_in_order(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(1), lab.change(2), lab.change(2, dan_toc="Kinh"))
    assert waits(lab) == [3, 4]
    correct(lab, 2, 1)
    lab.run(lab.change(2))
    assert lab.mend() == 1
    assert lab.published() == [("1", 2), ("2", 1), ("2", 3), ("2", 4), ("2", 5)]
    assert (became(lab), waits(lab)) == (["mended"], [])
    lab.run(lab.change(2))
    assert lab.published()[-1] == ("2", 6)
    (reject,) = lab.store.rejects(SYSTEM)
    assert [(one.who, one.action, one.why, one.detail) for one in lab.store.deeds(reject.id)] == [
        ("thu", "fix", "thử nghiệm", "ngay_dk")
    ]


def test_a_change_that_is_refused_in_its_turn_holds_up_the_rest(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2), lab.change(2, **WRONG), lab.change(2))
    correct(lab, 2, 1)
    lab.mend()
    assert lab.published() == [("2", 1), ("2", 2)]
    assert (became(lab), waits(lab)) == (["mended", None], [4])
    assert lab.said() == {"rejected": "1,3", "parked": "2,4"}  # what is applied, sync will tell
    lab.run(lab.change(2))
    lab.worker()
    lab.run(lab.change(2))
    assert waits(lab) == [4, 5, 6]
    lab.store.ask(ALL, "drop", **ME)
    lab.mend()
    assert lab.published()[2:] == [("2", 4), ("2", 5), ("2", 6)]
    assert became(lab) == ["mended", "dropped"]


def test_what_is_refused_for_the_same_cause_stays_open_and_is_not_asked_for_again(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2))
    assert lab.store.ask(ALL, "retry", **ME) == 1
    assert lab.mend() == 1
    assert lab.published() == []
    (row,) = lab.store.rejects(SYSTEM)
    assert (row.became, row.asked, row.reject.blocks, waits(lab)) == (None, None, True, [2])


def test_another_cause_is_a_reject_of_its_own_and_the_first_may_come_back(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2))
    (first,) = lab.store.open_rejects(ALL)
    for values, fates in (
        (WRONG, ["again", None]),
        (BAD, [None, "again"]),
        ({}, ["mended", "again"]),
    ):
        (row,) = lab.store.open_rejects(ALL)
        value = encode_row(event({**GOOD, "id": 2, **values}, seq=1), lab.registered)
        lab.store.correct(row.id, value, detail="", **ME)
        lab.mend()
        assert became(lab) == fates
    assert lab.published() == [("2", 1), ("2", 2)]
    assert lab.store.behind(first.id) == []


def test_superseding_tries_the_newest_alone_and_answers_the_others(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2, **WRONG), lab.change(2), lab.change(3, **BAD))
    assert lab.store.ask(ALL, "supersede", **ME) == 1  # nothing waits behind the other one
    lab.mend()
    assert lab.published() == [("2", 3)]
    assert lab.said() == {"stale": "1-2", "rejected": "4", "parked": "3"}
    assert became(lab) == ["superseded", None]
    lab.run(lab.change(2))
    assert lab.published()[-1] == ("2", 5)


def test_superseding_by_a_change_that_is_refused_makes_it_the_head(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2), lab.change(2, **WRONG))
    lab.store.ask(ALL, "supersede", **ME)
    lab.mend()
    assert lab.published() == []
    assert (became(lab), waits(lab)) == (["superseded", None], [])
    lab.run(lab.change(2))
    assert waits(lab) == [4]


def test_a_long_queue_is_drained_in_parts(lab: HopLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mending, "CHANGES", 3)
    lab.run(lab.change(2, **BAD), *(lab.change(2) for _ in range(7)), lab.change(2, **WRONG), lab.change(2))
    correct(lab, 2, 1)
    assert lab.mend() == 3
    numbers = [seq for _, seq in lab.published() if seq > 1]
    assert numbers == list(range(2, 9))
    assert (became(lab), waits(lab)) == (["mended", None], [10])


def test_many_records_are_drained_together_each_in_its_order(lab: HopLab) -> None:
    people = range(2, 40)
    lab.run(*(lab.change(person, **BAD) for person in people), *(lab.change(person) for person in people))
    lab.store.ask(ALL, "drop", **ME)
    assert lab.mend() == 1
    assert [person for person, _ in lab.published()] == [str(person) for person in people]
    assert set(became(lab)) == {"dropped"}


def test_a_mend_whose_answer_was_lost_holds_nothing_up(lab: HopLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was written is not known, and so the store is asked what waits."""
    mend = lab.store.mend

    def lost(*args: Any, **more: Any) -> None:
        monkeypatch.setattr(lab.store, "mend", mend)
        mend(*args, **more)
        raise TryAgain("the connection was lost while it was committed")

    lab.run(lab.change(2, **BAD), lab.change(2))
    correct(lab, 2, 1)
    monkeypatch.setattr(lab.store, "mend", lost)
    with pytest.raises(TryAgain):
        lab.mend()
    assert lab.mend() == 0
    lab.run(lab.change(2), lab.change(2))
    assert lab.published() == [("2", 1), ("2", 2), ("2", 3), ("2", 4)]
    assert (became(lab), waits(lab)) == (["mended"], [])


def test_a_log_that_is_read_again_opens_again_what_it_blocks(lab: HopLab) -> None:
    """After a loss that a person accepted. Else changes would wait behind a reject that nobody can open."""
    bad = lab.change(2, **BAD)
    lab.run(bad, lab.change(1))
    lab.store.ask(ALL, "drop", **ME)
    lab.mend()
    lab.store.accept_loss(ROAD, lab.position, expected=2, offset=0, **ME)
    lab.epoch, lab.offset = lab.epoch + 1, 0
    lab.worker()
    lab.run(lab.raw(bad.key, bad.value, seq=1))
    lab.run(lab.change(2))
    assert (became(lab), waits(lab)) == ([None], [3])
    lab.store.ask(ALL, "drop", **ME)
    lab.mend()
    assert (became(lab), waits(lab), lab.published()[-1]) == (["dropped"], [], ("2", 3))


def test_another_library_tries_once_what_this_one_refused(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.raw(None, b"", seq=9))
    assert lab.mend() == 0
    lab.worker()
    assert lab.mend() == 0  # the same library
    lab.worker(fingerprint="other")
    assert lab.mend() == 1
    lab.worker(fingerprint="other")
    assert lab.mend() == 0
    assert [row.asked for row in lab.store.rejects(SYSTEM)] == [None, None]


def test_a_worker_that_lost_the_partition_writes_nothing(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2))
    correct(lab, 2, 1)
    late = lab.mender, lab.claims
    epoch = lab.epoch
    lab.worker()
    lab.mender, lab.claims, lab.epoch = *late, epoch
    with pytest.raises(Fenced):
        lab.mend()
    assert (became(lab), waits(lab)) == ([None], [2])


def test_a_correction_that_comes_while_the_reject_is_tried_is_tried_next(
    lab: HopLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2))
    lab.store.ask(ALL, "retry", **ME)
    meanwhile(lab, monkeypatch, lambda: correct(lab, 2, 1))
    assert lab.mend() == 2
    assert lab.published() == [("2", 1), ("2", 2)]
    assert (became(lab), waits(lab)) == (["mended"], [])


def test_a_drop_that_comes_too_late_lets_go_what_waits_once_more(
    lab: HopLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2), lab.change(2, **WRONG))
    correct(lab, 2, 1)
    meanwhile(lab, monkeypatch, lambda: lab.store.ask(ALL, "drop", **ME))
    assert lab.mend() == 2
    assert lab.published() == [("2", 1), ("2", 2), ("2", 2)]
    assert became(lab) == ["dropped", None]
    lab.run(lab.change(2))
    assert waits(lab) == [4]


def test_while_the_broker_is_away_everything_stays_asked_for(lab: HopLab) -> None:
    lab.run(lab.change(2, **BAD), lab.change(2))
    correct(lab, 2, 1)
    lab.publisher.away = True
    with pytest.raises(TryAgain):
        lab.mend()
    assert (became(lab), waits(lab)) == ([None], [2])
    lab.publisher.away = False
    lab.mend()
    assert (became(lab), waits(lab)) == (["mended"], [])


def test_bytes_that_cannot_be_read_are_dropped_and_a_record_without_key_at_once(lab: HopLab) -> None:
    lab.run(lab.raw(b"2", b"", seq=1), lab.raw(None, b"", seq=2), lab.change(2))
    assert lab.store.ask(ALL, "drop", **ME) == 2
    assert became(lab) == [None, "dropped"]
    lab.mend()
    assert became(lab) == ["dropped", "dropped"]
    assert lab.store.asked(ROAD) == []
    assert lab.published() == [("2", 1)]


def test_the_mill_goes_on_after_each_partition(lab: HopLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """All together may take longer than a mill may stand still."""
    many = [Position(topic=lab.position.topic, partition=number) for number in range(3)]
    lab.claims.held = dict.fromkeys(many, Held(epoch=1, generation=1, start=0, position=0))
    told: list[str] = []

    @asynccontextmanager
    async def paused() -> AsyncIterator[None]:
        told.append("stands")
        yield
        told.append("goes on")

    async def drain(position: Position) -> None:
        told.append(str(position.partition))

    monkeypatch.setattr(lab.claims, "paused", paused)
    monkeypatch.setattr(lab.mender, "_drain", drain)
    monkeypatch.setattr(lab.store, "asked", lambda deployment: many)
    assert asyncio.run(lab.mender.look())
    assert told == ["stands", "0", "goes on", "stands", "1", "goes on", "stands", "2", "goes on"]


@pytest.mark.parametrize(
    ("rule", "fault"), [("date_impossible", BAD), ("record_too_large", {"noi_sinh": "x" * 950_000})]
)
def test_the_key_that_a_refused_update_had_before_is_noted(
    lab: HopLab, rule: str, fault: dict[str, str]
) -> None:
    """Or its record stood under two keys once the reject is dropped, and a later version goes out."""
    lab.run(lab.change(2))
    lab.run(lab.change(2, before={**GOOD, "id": 2, "so_dk": "2/2016"}, so_dk="77/2016", **fault))
    assert [row.reject.rule for row in lab.store.open_rejects(ALL)] == [rule]
    assert keys_noted(lab) == [("2", "20656|01/2016|2/2016|04.05.2016")]


def test_the_key_of_a_refused_row_of_a_snapshot_is_noted(lab: HopLab) -> None:
    """The change that left it may be superseded, and nobody else knows of it."""
    here = {**GOOD, "id": 2, "so_dk": "2/2016"}
    moved = {**here, "so_dk": "77/2016"}
    lab.run(lab.change(2))
    lab.seq += 1
    row = encode_row(event({**here, **WRONG}, op="r", seq=lab.seq), lab.registered)
    lab.run(lab.raw(b"2", row, seq=lab.seq))
    lab.run(
        lab.change(2, before=here, so_dk="77/2016"),
        lab.change(2, before=moved, so_dk="77/2016", ho_ten="Sau"),
    )
    lab.store.ask(ALL, "supersede", **ME)
    lab.mend()
    assert lab.published() == [("2", 1), ("2", 4)]
    assert keys_noted(lab) == [("2", "20656|01/2016|2/2016|04.05.2016")]
