"""Staged rows: what a batch is written out as does not depend on its size."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers import preparing
from consumers.audit_key import AuditKey
from consumers.audit_lines import draft
from consumers.ranges import Ranges
from consumers.receipts import Receipt
from consumers.store import Prepared, SyncBatch
from tests.store_lab import BOOK, DATASET, SYSTEM, Change, delete, frame, numbered, upsert

KEY = AuditKey.generate()
TEXTS = st.sampled_from(
    [None, "", '"', 'nói "thế"', "a,b", "dòng\nhai\r\nba\r", " ", "1", "Nguyễn", "\\N"]
)  # fmt: skip
#: Their order is that of their code points in Python, and that of their bytes in Polars.
KEYS = st.sampled_from(["K1", "K10", "K2", "Ữ", "\uffff", "\U00010400", "", 'K"', "K\n", *"abcdefghijklm"])
SPOILED: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({name: None} for name in ("key", "op", "system", "dataset", "person", "seq", "committed_ms")),
        {"op": "x"}, {"key": "K\0"}, {"person": "\0"}, {"values": {"hoTen": "a\0b"}}, {"warnings": "\0"},
        {"answers": None}, {"answers": False}, {"committed_ms": -1}, {"committed_ms": 2**62},
        {"system": "ố" * 201}, {"dataset": "x" * 201},
    ]
)  # fmt: skip


@st.composite
def changes(draw: st.DrawFn) -> Change:
    good = Change(
        key=draw(KEYS),
        seq=draw(st.integers(1, 30)),
        op=draw(st.sampled_from("uuud")),
        person=draw(st.sampled_from(["p1", "p2"])),
        values={name: draw(TEXTS) for name in ("so", "hoTen", "ghiChu")},
        system=draw(st.sampled_from([SYSTEM, SYSTEM, "khac"])),
        dataset=draw(st.sampled_from([DATASET, DATASET, "khac"])),
        warnings=draw(TEXTS),
    )
    return replace(good, **draw(SPOILED)) if draw(st.integers(0, 7)) == 0 else good


#: Of any size alike; by themselves, lists are of 5 or so.
LOTS = st.integers(0, 30).flatmap(lambda size: st.lists(changes(), min_size=size, max_size=size))


def batch(some: Sequence[Change], first: int = 0) -> SyncBatch:
    rows = frame(BOOK, some, [(0, first + at) for at in range(len(some))])
    return SyncBatch(format=BOOK, topic=BOOK.topic, slices=[], rows=rows)


def told(prepared: Prepared) -> tuple[object, ...]:
    made = draft(prepared, KEY)
    shared = [(whose, None if rows is None else rows.tolist()) for whose, rows in made.shared]
    return (
        prepared.csv, prepared.staged.to_list(), prepared.steps, prepared.riders, prepared.receipts,
        prepared.rejects, prepared.rows.rows(), made.lines.tobytes(), shared,
    )  # fmt: skip


def numbers(receipts: Sequence[Receipt]) -> dict[tuple[str, str], str]:
    whose = {(one.system, one.dataset) for one in receipts}
    return {one: str(Ranges.parse(r.seqs for r in receipts if (r.system, r.dataset) == one)) for one in whose}


@settings(max_examples=100)
@given(some=LOTS, every_version=st.booleans())
def test_few_rows_are_written_as_many_are(some: list[Change], every_version: bool) -> None:
    made = []
    for few in (-1, len(some)):
        with patch.object(preparing, "FEW_ROWS", few):
            made.append(told(preparing.prepare(batch(some), every_version=every_version)))
    assert made[0] == made[1]


@settings(max_examples=40)
@given(some=LOTS, every_version=st.booleans())
def test_one_large_batch_says_what_batches_of_one_record_say(some: list[Change], every_version: bool) -> None:
    with patch.object(preparing, "FEW_ROWS", 1):
        whole = preparing.prepare(batch(some), every_version=every_version)
        parts = [preparing.prepare(batch([one], at)) for at, one in enumerate(some)]
    assert [row for part in parts for row in part.rows.rows()] == whole.rows.rows()
    written = [part.csv.removeprefix(b"0,") for part in parts if part.csv]
    assert whole.csv == b"".join(b"%d,%b" % (at, written[row]) for at, row in enumerate(whole.staged))
    found = [reject for part in parts for reject in part.rejects]
    # A large batch tells all that is unreadable before what is unstorable.
    assert sorted(whole.rejects, key=lambda one: one.offset) == found
    assert numbers(whole.receipts) == numbers([receipt for part in parts for receipt in part.receipts])


@settings(max_examples=100)
@given(some=LOTS, every_version=st.booleans())
def test_steps_are_of_one_kind_and_in_the_order_of_keys(some: list[Change], every_version: bool) -> None:
    prepared = preparing.prepare(batch(some), every_version=every_version)
    staged, steps = prepared.staged.to_list(), prepared.steps
    assert [step.start for step in steps] == [0, *(step.stop for step in steps)][: len(steps)]
    assert (steps[-1].stop if steps else 0) == len(staged) == len(set(staged))
    keys, ops = prepared.rows["lt_key"].to_list(), prepared.rows["lt_op"].to_list()
    for step in steps:
        mine = staged[step.start : step.stop]
        assert {ops[row] for row in mine} == {step.op}
        names = [keys[row].encode() for row in mine]
        assert names == sorted(set(names))
    if every_version:
        assert len(staged) == len(keys)
        for key in set(keys):  # its versions keep their order
            versions = [row for row in staged if keys[row] == key]
            assert versions == sorted(versions)


def test_what_is_written_comes_before_what_is_deleted() -> None:
    some = [delete(1, "A"), upsert(2, "C"), delete(3, "B"), upsert(4, "D"), upsert(5, "D", person="p2")]
    prepared = preparing.prepare(batch(some))
    assert [(step.op, step.start, step.stop) for step in prepared.steps] == [
        ("u", 0, 2), ("d", 2, 4), ("u", 4, 5),
    ]  # fmt: skip
    assert prepared.staged.to_list() == [1, 3, 0, 2, 4]


@pytest.mark.parametrize("more", [0, 1])
def test_a_batch_at_the_border_of_the_two_ways_is_written_alike(more: int) -> None:
    some = numbered(preparing.FEW_ROWS + more, hoTen='Nguyễn "Văn"\nThử')
    expected = [
        f'{at},"K{at + 1}","{SYSTEM}","{DATASET}","p{at + 1}",{at + 1},1700000000123,'
        f'"{SYSTEM}/{DATASET}@1",,,,"Nguyễn ""Văn""\nThử",\n'
        for at in range(9)
    ]
    csv = preparing.csv_of(frame(BOOK, some, [(0, at) for at in range(len(some))]), BOOK).decode()
    assert csv.startswith("".join(expected))
    assert csv.count('""Văn""') == len(some)


def test_an_empty_batch_is_written_as_nothing() -> None:
    prepared = preparing.prepare(batch([]))
    assert (prepared.csv, prepared.steps, prepared.receipts) == (b"", (), ())
    assert preparing.prepare(batch([upsert(1)])).steps != ()
