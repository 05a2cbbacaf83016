"""Laws of a national store: several versions and partitions in one batch."""

import itertools
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.store_lab import Change, Lab, delete, upsert

#: Examples share the store of their test, and the law its two adapters: each example has keys of its own.
SAME_STORE = (
    HealthCheck.function_scoped_fixture,
    HealthCheck.differing_executors,
    HealthCheck.too_slow,
)


_spaces = itertools.count()

_Step = tuple[str, int, int, str]  #: national key, number of the source record, seq, op


def _deliverable(steps: list[_Step]) -> list[_Step]:
    """Leave out upserts that come behind a delete of their own record that is not older.

    A national topic has a record's changes in source order, so such an upsert is part of a replay, which
    comes to the delete again: the law of the replay has that case. The delete of a record that holds
    nothing under a key leaves no trace where another record's tombstone stands: alone, the older upsert
    takes that tombstone over; in one batch with its delete it does not. Were the delete to take the
    tombstone over, a late change of the other record, with a number between, would be lost.
    """
    deleted: dict[tuple[str, int], int] = {}
    kept = []
    for key, person, seq, op in steps:
        newest = deleted.get((key, person), 0)
        if op == "d":
            deleted[key, person] = max(newest, seq)
        elif seq <= newest:
            continue
        kept.append((key, person, seq, op))
    return kept


_deliverable_steps = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(1, 3), st.integers(1, 9), st.sampled_from("uud")),
    min_size=1,
    max_size=14,
).map(_deliverable)


class VersionLaws:
    """A batch does what its records would do one after the other."""

    # --- several versions in one batch ---------------------------------------------------------------

    def test_several_versions_in_one_batch_leave_the_newest(self, lab: Lab) -> None:
        told = lab.apply(upsert(1, hoTen="A"), upsert(2, hoTen="B"), upsert(3, hoTen="C"))
        assert (told.applied, told.stale) == (3, 0)
        assert (lab.live() or {})["hoten"] == "C"
        assert lab.said() == {"applied": "1-3"}

    def test_an_older_version_behind_a_newer_one_in_one_batch_is_stale(self, lab: Lab) -> None:
        told = lab.apply(upsert(3, hoTen="C"), upsert(1, hoTen="A"), upsert(3, hoTen="C"))
        assert (told.applied, told.stale, told.duplicate) == (1, 1, 1)
        assert (lab.live() or {})["hoten"] == "C"
        assert lab.said() == {"applied": "3", "stale": "1", "waiting": "2"}

    def test_versions_older_than_the_row_are_stale_however_many_come_at_once(self, lab: Lab) -> None:
        lab.apply(upsert(9, hoTen="I"))
        told = lab.apply(upsert(3), upsert(4), delete(5))
        assert (told.applied, told.stale) == (0, 3)
        assert lab.said() == {"applied": "9", "stale": "3-5", "waiting": "1-2,6-8"}

    def test_versions_up_to_the_row_s_own_are_stale_and_a_duplicate(self, lab: Lab) -> None:
        lab.apply(upsert(4))
        told = lab.apply(upsert(3), upsert(4))
        assert (told.applied, told.stale, told.duplicate) == (0, 1, 1)

    def test_a_create_and_its_delete_in_one_batch_keep_the_values(self, lab: Lab) -> None:
        told = lab.apply(upsert(1, hoTen="A"), upsert(2, hoTen="B"), delete(3))
        assert (told.applied, told.deleted) == (3, 1)
        row = lab.row()
        assert row is not None
        assert row["hoten"] == "B"
        assert lab.live() is None

    def test_a_key_that_changes_hands_within_a_batch(self, lab: Lab) -> None:
        told = lab.apply(
            upsert(1, person="p1", hoTen="A"),
            upsert(2, person="p2", hoTen="B"),  # refused: p1 lives
            delete(3, person="p1"),
            upsert(4, person="p2", hoTen="D"),  # takes the tombstone over
            delete(5, person="p1"),  # stale: p1 holds nothing
        )
        assert (told.applied, told.deleted, told.stale, len(told.rejected)) == (3, 1, 1, 1)
        assert (lab.live() or {})["hoten"] == "D"

    @pytest.mark.parametrize("op", ["u", "d"])
    def test_a_version_that_comes_again_behind_another_record_is_a_duplicate(self, lab: Lab, op: str) -> None:
        first = upsert(1, person="p1") if op == "u" else delete(1, person="p1")
        told = lab.apply(first, upsert(2, person="p2") if op == "u" else delete(2, person="p2"), first)
        other = (0, 1) if op == "u" else (1, 0)  # refused: p1 lives; stale: p1 holds the tombstone
        assert (told.applied, told.duplicate) == (1, 1)
        assert (told.stale, len(told.rejected)) == other
        assert lab.lines() == [(1, op, -1)]

    @pytest.mark.parametrize("cuts", [[1, 1, 1, 1], [1, 2, 1], [1, 3], [2, 2], [4]])
    def test_a_replay_behind_a_delete_that_held_nothing_ends_deleted(self, lab: Lab, cuts: list[int]) -> None:
        """The older upsert may live for a moment, until the replay comes to the delete again."""
        steps = [("A", 2, 1, "d"), ("A", 1, 3, "d"), ("A", 1, 2, "u"), ("A", 1, 3, "d")]
        space = f"r-{next(_spaces)}-"
        _feed(lab, space, steps, cuts)
        assert lab.row(f"{space}A") is not None
        assert lab.live(f"{space}A") is None

    @settings(max_examples=30, suppress_health_check=SAME_STORE)
    @example(steps=[("A", 2, 1, "d"), ("A", 1, 2, "u"), ("A", 1, 3, "d")], cuts=[1, 2])
    @given(steps=_deliverable_steps, cuts=st.lists(st.integers(1, 5), min_size=14, max_size=14))
    def test_a_batch_does_what_its_records_do_one_by_one(
        self, lab: Lab, steps: list[_Step], cuts: list[int]
    ) -> None:
        """However records are cut into batches, the rows are the same, and nothing more is refused.

        Less may be: a version that is refused alone counts as applied when a newer one behind it in its
        batch takes the key.
        """
        space = f"{next(_spaces)}-"
        rows_of_singles, refused_singly = _feed(lab, f"1-{space}", steps, [1] * len(steps))
        rows_of_batches, refused_in_batches = _feed(lab, f"n-{space}", steps, cuts)
        assert rows_of_batches == rows_of_singles
        assert refused_in_batches <= refused_singly


def _feed(
    lab: Lab, space: str, steps: list[_Step], cuts: list[int]
) -> tuple[list[object], Counter[int | None]]:
    """Apply ``steps`` in batches of ``cuts``; return the rows and the refused numbers."""
    system = f"s{space}"
    changes = [
        Change(key=space + key, person=f"p{person}", seq=seq, op=op, system=system, values={"hoTen": f"{at}"})
        for at, (key, person, seq, op) in enumerate(steps)
    ]
    left = iter(changes)
    accounted = 0
    for cut in cuts:
        told = lab.apply(*itertools.islice(left, cut))
        accounted += told.applied + told.stale + told.duplicate + len(told.rejected)
    assert accounted == len(steps)
    rows = [lab.row(space + key) for key in "AB"]
    seen: list[object] = [
        row and (row["hoten"], row["lt_seq"], row["lt_source_key"], row["lt_deleted_at"] is None)
        for row in rows
    ]
    return seen, Counter(row.reject.seq for row in lab.store.rejects(system))
