"""The newest-only gate of the national-sync consumer."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from types import MappingProxyType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.gate import Admitted, NewestOnly
from consumers.records import NationalRecord


def record(
    seq: int,
    *,
    key: str = "K1",
    source_key: str = "A",
    deleted: bool = False,
    dataset: str = "khaisinh",
    partition: int = 0,
    offset: int | None = None,
) -> NationalRecord:
    return NationalRecord(
        key=key,
        deleted=deleted,
        system="hotich_qnam",
        dataset=dataset,
        source_key=source_key,
        seq=seq,
        committed_at=datetime(2026, 1, 2, tzinfo=UTC),
        contract="hotich_qnam/khaisinh@1",
        warnings=(),
        fields=MappingProxyType({}),
        partition=partition,
        offset=seq if offset is None else offset,
    )


def seqs(admitted: Admitted) -> list[int]:
    return [one.seq for one in admitted.newest]


def worked(gate: NewestOnly, *records: NationalRecord) -> Admitted:
    """One batch whose work was done."""
    admitted = gate.admit(records)
    gate.learn(admitted.newest)
    return admitted


def test_a_key_comes_once_in_a_batch_in_its_newest_version() -> None:
    gate = NewestOnly(10)
    admitted = gate.admit([record(1), record(5, key="K2"), record(3), record(2)])
    assert [(one.key, one.seq) for one in admitted.newest] == [("K2", 5), ("K1", 3)]
    assert admitted.stale == 2  # 1 was beaten by 3, and 2 came too late


@pytest.mark.parametrize("late", [1, 2])
def test_an_older_or_repeated_version_is_kept_back_in_a_later_batch(late: int) -> None:
    gate = NewestOnly(10)
    worked(gate, record(2))
    admitted = worked(gate, record(late), record(3))
    assert (seqs(admitted), admitted.stale) == ([3], 1)


def test_a_batch_whose_work_was_not_done_comes_again_whole() -> None:
    gate = NewestOnly(10)
    assert seqs(gate.admit([record(1), record(2, key="K2")])) == [1, 2]
    assert seqs(gate.admit([record(1), record(2, key="K2")])) == [1, 2]


def test_a_delete_is_a_version_like_any_other() -> None:
    gate = NewestOnly(10)
    worked(gate, record(4, deleted=True))
    assert gate.admit([record(3)]).stale == 1
    assert seqs(gate.admit([record(5)])) == [5]


def test_another_living_record_holds_the_key() -> None:
    gate = NewestOnly(10)
    worked(gate, record(1))
    admitted = gate.admit([record(2, source_key="B")])
    assert (seqs(admitted), [one.seq for one in admitted.taken]) == ([], [2])


def test_only_its_holder_can_delete_a_key() -> None:
    gate = NewestOnly(10)
    worked(gate, record(1))
    admitted = gate.admit([record(2, source_key="B", deleted=True)])
    assert (seqs(admitted), admitted.stale) == ([], 1)


def test_a_key_that_was_left_may_be_taken_by_a_later_change_of_the_same_dataset() -> None:
    gate = NewestOnly(10)
    worked(gate, record(5, deleted=True))
    assert seqs(gate.admit([record(6, source_key="B")])) == [6]
    assert gate.admit([record(4, source_key="B")]).stale == 1


def test_what_was_true_before_a_key_had_its_present_holder_is_only_stale() -> None:
    gate = NewestOnly(10)
    past = [record(1), record(2, deleted=True), record(3, source_key="B")]
    worked(gate, *past)
    again = gate.admit(past)
    assert (seqs(again), again.stale, again.taken) == ([], 3, ())


def test_two_datasets_count_separately_so_neither_overwrites_the_other() -> None:
    gate = NewestOnly(10)
    worked(gate, record(5, deleted=True))
    admitted = gate.admit([record(900, dataset="khaisinh_cu")])
    assert (seqs(admitted), len(admitted.taken)) == ([], 1)


@pytest.mark.parametrize("known", [[record(1)], []])
def test_a_key_left_and_taken_within_one_batch_comes_delete_first(known: list[NationalRecord]) -> None:
    gate = NewestOnly(10)
    worked(gate, *known)
    admitted = worked(gate, record(2, deleted=True), record(3, source_key="B"), record(4, source_key="B"))
    assert [(one.source_key, one.seq) for one in admitted.newest] == [("A", 2), ("B", 4)]
    assert (admitted.stale, admitted.taken) == (1, ())
    assert gate.admit([record(2, deleted=True), record(4, source_key="B")]).stale == 2


def keep(rows: dict[str, NationalRecord], records: Iterable[NationalRecord]) -> None:
    """A caller's store that gates as ``consumers.national`` tells."""
    for one in records:
        row = rows.get(one.key)
        if row is None:
            rows[one.key] = one
            continue
        later = (row.system, row.dataset) == (one.system, one.dataset) and row.seq < one.seq
        if later and (row.source_key == one.source_key or (row.deleted and not one.deleted)):
            rows[one.key] = one


LEFT_AND_TAKEN = [record(1), record(2, deleted=True), record(3, source_key="B")]


@given(
    stream=st.lists(
        st.builds(
            record,
            st.integers(1, 9),
            key=st.sampled_from(["K1", "K2"]),
            source_key=st.sampled_from("AABC"),
            deleted=st.booleans(),
            dataset=st.sampled_from(["khaisinh", "khaisinh", "khaisinh_cu"]),
        ),
        max_size=14,
    ),
    cuts=st.sets(st.integers(1, 13)),
)
@example(stream=LEFT_AND_TAKEN, cuts={1})
@example(stream=[*LEFT_AND_TAKEN, record(4, source_key="B", deleted=True)], cuts={2})
def test_a_store_that_gates_ends_in_the_same_rows_however_the_batches_are_cut(
    stream: list[NationalRecord], cuts: set[int]
) -> None:
    ends = []
    for bounds in ([0, *sorted(cuts), len(stream)], range(len(stream) + 1)):
        gate = NewestOnly(10)
        rows: dict[str, NationalRecord] = {}
        for start, stop in pairwise(bounds):
            keep(rows, worked(gate, *stream[start:stop]).newest)
        ends.append(rows)
    assert ends[0] == ends[1]


def test_the_memory_is_bounded_and_forgets_what_was_longest_unheard_of() -> None:
    gate = NewestOnly(2)
    worked(gate, record(10, key="K1"), record(11, key="K2"))
    worked(gate, record(12, key="K1"))
    worked(gate, record(13, key="K3"))  # pushes out K2, not K1
    assert gate.admit([record(9, key="K1")]).stale == 1
    assert seqs(gate.admit([record(9, key="K2")])) == [9]


def test_a_partition_that_another_member_had_is_forgotten_and_no_other() -> None:
    gate = NewestOnly(10)
    worked(gate, record(10, partition=0), record(10, key="K2", partition=1))
    gate.forget([0])
    assert seqs(gate.admit([record(9, partition=0)])) == [9]
    assert gate.admit([record(9, key="K2", partition=1)]).stale == 1
