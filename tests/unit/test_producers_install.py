"""Before anything is changed: does the table hold what the contract says? And the snapshot's patience."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from producers.install import check, choose
from producers.outbox import Capture, Column, Locked, Shape, Site, Slow
from producers.snapshot import MOST_WAITING, take_snapshot
from schemas.contracts import AvroType, LineSet
from schemas.errors import LienthongError
from schemas.library import Library
from tests.capture_lab import SOHO, CaptureLab, a_contract
from tests.shipped import shipped

ANY = frozenset({"string", "long", "double", "boolean"})
CONTRACT = a_contract(columns={"id": "long", "ten": "string"})


def shape(**more: Any) -> Shape:
    columns = {"id": Column(declared="bigint", feeds=ANY), "ten": Column(declared="text", feeds=ANY)}
    usual: dict[str, Any] = {"columns": columns, "unique": (frozenset({"id"}),)}
    return Shape(**{**usual, **more})


def test_a_table_that_fits_has_nothing_to_tell() -> None:
    assert check(CONTRACT, shape()) == []


def test_extra_columns_and_what_is_not_seen_are_told() -> None:
    columns = {**shape().columns, "anh": Column(declared="bytea", feeds=ANY)}
    told = check(CONTRACT, shape(columns=columns, notes=("a note",)))
    assert told == ["not captured, for the contract does not name them: anh", "a note"]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "not in this database"),
        (shape(obstacle="is not a table"), "is not a table"),
        (shape(columns={"id": Column(declared="bigint", feeds=ANY)}), "no column ten"),
        (shape(columns={**shape().columns, "ten": Column(declared="text", feeds=ANY)}, unique=()), "unique"),
        (shape(unique=(frozenset({"id", "khac"}),)), "unique"),
        (
            shape(columns={**shape().columns, "id": Column(declared="uuid", feeds=frozenset({"string"}))}),
            "id is uuid in the table and long in the contract",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_a_next_step(found: Shape | None, text: str) -> None:
    with pytest.raises(LienthongError, match=text) as caught:
        check(CONTRACT, found)
    assert caught.value.message.startswith("thu/soho: table so_ho")
    assert caught.value.next_step


@pytest.mark.parametrize("unseen", ["ho", "stt"])
def test_what_ties_and_orders_lines_must_be_seen_by_triggers(unseen: str) -> None:
    dong = LineSet(table="dong", on={"ho": "id"}, order=("stt",), columns={"loai": "string"})
    contract = a_contract(columns={"id": "long", "ten": "string"}, lines={"dong": dong})
    there = {name: Column(declared="bigint", feeds=ANY) for name in ("ho", "stt", "loai")}
    assert not check(contract, shape(), {"dong": shape(columns=there, indexed=frozenset({"ho"}))})
    columns = {**there, unseen: Column(declared="bigint", feeds=frozenset())}
    with pytest.raises(LienthongError, match=f"table dong of dong: column {unseen} is computed") as caught:
        check(contract, shape(), {"dong": shape(columns=columns)})
    assert "STORED" in caught.value.next_step


def test_a_column_in_other_letters_is_pointed_at() -> None:
    columns = {"id": Column(declared="bigint", feeds=ANY), "TEN": Column(declared="text", feeds=ANY)}
    with pytest.raises(LienthongError, match=r"no column ten \(it has TEN\)"):
        check(CONTRACT, shape(columns=columns))


@pytest.mark.parametrize("avro", ["double", "boolean"])
def test_a_key_must_print_the_same_everywhere(avro: AvroType) -> None:
    with pytest.raises(LienthongError, match="key column id"):
        check(a_contract(columns={"id": avro}), shape())


def test_the_one_contract_that_fits_need_not_be_named(tmp_path: Path) -> None:
    library = shipped()
    lab = CaptureLab(f"sqlite:///{tmp_path}/a.db")
    try:
        with pytest.raises(LienthongError, match="no contract's table"):
            choose(library, lab.site, None)
        with pytest.raises(LienthongError, match="no contract khong/co") as caught:
            choose(library, lab.site, "khong/co")
        assert "hotich_qnam/khaisinh" in caught.value.next_step
        lab.hand.run("CREATE TABLE ht_khaisinh (id INTEGER PRIMARY KEY)")
        assert choose(library, lab.site, None).id == "hotich_qnam/khaisinh"
        twin = library.contracts["hotich_qnam/khaisinh"]
        both = Library(library.formats, {twin.id: twin, "x/y": twin}, library.codes, library.registry)
        with pytest.raises(LienthongError, match="the tables of"):
            choose(both, lab.site, None)
        assert choose(both, lab.site, "x/y") is twin
    finally:
        lab.close()


# --- the snapshot's patience ---------------------------------------------------------------------------


@dataclass
class ScriptedSite:
    """Answers ``snapshot_chunk`` and ``waiting`` from lists."""

    chunks: list[int | Locked | None]
    waits: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    begun: int = 0

    def begin_snapshot(self, capture: Capture) -> int:
        return self.begun

    def snapshot_chunk(self, capture: Capture, size: int) -> int | None:
        self.sizes.append(size)
        answer = self.chunks.pop(0)
        if isinstance(answer, Locked):
            raise answer
        return answer

    def waiting(self, newest: int) -> int:
        assert newest == 2 * MOST_WAITING
        return self.waits.pop(0) if self.waits else 0


@dataclass
class QuickClock:
    now: float = 0.0
    then: Callable[[], None] = lambda: None

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def pause(self, stop: Event, seconds: float) -> None:
        self.now += seconds
        self.then()


def snapshot(
    site: Any, *, clock: QuickClock | None = None, stop: Event | None = None
) -> tuple[int, list[str]]:
    told: list[str] = []
    typed: Site = site
    rows = take_snapshot(
        typed,
        SOHO,
        progress=lambda _: None,
        tell=told.append,
        clock=clock or QuickClock(),
        stop=stop or Event(),
    )
    return rows, told


def test_chunks_shrink_while_rows_are_locked_and_grow_again() -> None:
    locked = Locked("busy")
    site = ScriptedSite([2000, locked, locked, 125, 250, None])
    assert snapshot(site) == (2375, [])
    assert site.sizes == [2000, 2000, 500, 125, 250, 500]


def test_one_locked_row_is_waited_for_and_told_now_and_then() -> None:
    site = ScriptedSite([Locked("busy")] * 106 + [1, None])
    rows, told = snapshot(site)
    assert rows == 1
    assert min(site.sizes) == 1
    assert 2 <= len(told) <= 3
    assert "locked" in told[0]


def test_a_database_too_slow_for_one_row_is_told_and_not_waited_for_without_end() -> None:
    clock = QuickClock()
    with pytest.raises(Slow):
        snapshot(ScriptedSite([Slow("slow")] * 10_000), clock=clock)
    assert 600 < clock.now < 660


def test_a_database_that_is_slow_for_minutes_is_waited_for() -> None:
    rows, told = snapshot(ScriptedSite([Slow("slow")] * 1_000 + [1, None]))
    assert rows == 1
    assert "slow" in told[0]


def test_a_snapshot_that_goes_on_says_so_and_counts_from_there() -> None:
    rows, told = snapshot(ScriptedSite([5, None], begun=100))
    assert rows == 105
    assert "after 100 rows" in told[0]


def test_a_full_outbox_is_waited_for() -> None:
    site = ScriptedSite([3, None], waits=[MOST_WAITING, MOST_WAITING, 5])
    clock = QuickClock()
    rows, told = snapshot(site, clock=clock)
    assert rows == 3
    assert len(told) == 1
    assert "capture run" in told[0]
    assert clock.now == 2


def test_a_snapshot_can_be_ended() -> None:
    stop = Event()
    clock = QuickClock(then=stop.set)
    assert snapshot(ScriptedSite([7, Locked("busy")]), clock=clock, stop=stop)[0] == 7
