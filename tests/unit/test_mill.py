"""Lots: what is taken together, and in which order."""

from consumers.store import Position, Slice
from streams.batch import Batch, slices_of
from streams.mill import LOT_RECORDS, choose_lot


def batch(topic: str, partition: int, start: int, stop: int, *, epoch: int = 1, records: int = 1) -> Batch:
    position = Position(topic=topic, partition=partition)
    nothing = [None] * records
    return Batch(position=position, records=nothing, start=start, next=stop, epoch=epoch)  # type: ignore[arg-type]


def test_a_lot_takes_one_topic_and_chains_each_partition() -> None:
    waiting = [
        batch("a", 0, 0, 5),
        batch("b", 0, 0, 9),
        batch("a", 1, 3, 4),
        batch("a", 0, 5, 8),
    ]
    lot, stays = choose_lot(waiting)
    assert lot == [waiting[0], waiting[2], waiting[3]]
    assert list(stays) == [waiting[1]]
    assert slices_of(lot) == [
        Slice(position=Position(topic="a", partition=0), start=0, next=8, epoch=1),
        Slice(position=Position(topic="a", partition=1), start=3, next=4, epoch=1),
    ]


def test_nothing_overtakes_a_batch_that_does_not_continue_the_one_before() -> None:
    waiting = [batch("a", 0, 0, 5), batch("a", 0, 7, 9), batch("a", 0, 5, 7), batch("a", 0, 9, 12, epoch=2)]
    lot, stays = choose_lot(waiting)
    assert lot == [waiting[0]]
    assert list(stays) == waiting[1:]


def test_a_full_lot_leaves_the_rest_in_order() -> None:
    waiting = [batch("a", 0, 0, 1, records=LOT_RECORDS), batch("a", 1, 0, 1), batch("a", 0, 1, 2)]
    lot, stays = choose_lot(waiting)
    assert lot == waiting[:1]
    assert list(stays) == waiting[1:]
