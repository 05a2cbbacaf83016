"""Laws of a national store: which version of a row stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.store_lab import (
    BOOK,
    DATASET,
    SYSTEM,
    Change,
    Lab,
    delete,
    moment,
    national_format,
    numbered,
    upsert,
)


class RowLaws:
    """Newest wins, tombstones, whose key it is."""

    # --- newest version wins -------------------------------------------------------------------------

    def test_a_new_record_becomes_a_row(self, lab: Lab) -> None:
        told = lab.apply(upsert(1, hoTen="Alăng Thị Thử", ghiChu=None))
        assert (told.applied, told.stale, told.duplicate, told.deleted, told.rejected) == (1, 0, 0, 0, ())
        row = lab.live()
        assert row is not None
        assert (row["hoten"], row["ghichu"], row["so"]) == ("Alăng Thị Thử", None, None)
        assert (row["lt_system"], row["lt_dataset"], row["lt_source_key"], row["lt_seq"]) == (
            SYSTEM,
            DATASET,
            "p1",
            1,
        )
        assert row["lt_contract"] == "hotich_thu/sothu@1"

    def test_the_time_of_the_change_is_kept_to_the_millisecond(self, lab: Lab) -> None:
        start = 1_700_000_000_000
        lab.apply(*(Change(key=f"K{n}", person=f"p{n}", committed_ms=start + n) for n in range(1000)))
        told = {row["lt_key"]: moment(row["lt_committed_at"]) for row in lab.everything()[BOOK.table]}
        begin = datetime.fromtimestamp(start / 1000, UTC)
        assert told == {f"K{n}": begin + timedelta(milliseconds=n) for n in range(1000)}

    def test_a_newer_change_overwrites_an_older_one(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A", ghiChu="x"))
        assert lab.apply(upsert(2, hoTen="B", ghiChu=None)).applied == 1
        row = lab.live()
        assert row is not None
        assert (row["hoten"], row["ghichu"], row["lt_seq"]) == ("B", None, 2)

    def test_an_older_change_never_overwrites_a_newer_one(self, lab: Lab) -> None:
        lab.apply(upsert(2, hoTen="B"))
        before = lab.row()
        told = lab.apply(upsert(1, hoTen="A"))
        assert (told.applied, told.stale) == (0, 1)
        assert lab.row() == before
        assert lab.said() == {"applied": "2", "stale": "1"}

    def test_the_same_version_again_changes_nothing_and_is_still_answered_applied(self, lab: Lab) -> None:
        lab.apply(upsert(3, hoTen="A"))
        before = lab.row()
        told = lab.apply(upsert(3, hoTen="A"))
        assert (told.applied, told.duplicate, told.stale) == (0, 1, 0)
        assert lab.row() == before
        assert [row.outcome for row in lab.store.receipts(SYSTEM)] == ["applied", "applied"]
        assert lab.said() == {"applied": "3", "waiting": "1-2"}

    def test_a_replay_of_everything_changes_no_row(self, lab: Lab) -> None:
        changes = [*numbered(5, hoTen="A"), delete(6, "K2", person="p2")]
        changes += [upsert(7, "K2", person="p2", hoTen="C"), delete(8, "K3", person="p3")]
        changes.append(upsert(9, "K1", person="p1", hoTen="B"))
        lab.apply(*changes)
        rows = lab.everything()[BOOK.table]
        told = lab.apply(*changes)
        assert told.applied == 0
        assert told.stale + told.duplicate == len(changes)
        assert lab.everything()[BOOK.table] == rows
        assert lab.said() == {"applied": "1-9"}

    def test_formats_of_any_width_take_turns_in_one_store(self, lab: Lab) -> None:
        wide = national_format("ma", *(f"truong{n}" for n in range(2, 61)), entity="rong")
        lab.store.migrate([wide])
        for turn in range(1, 4):
            lab.national = BOOK
            assert lab.apply(upsert(2 * turn, hoTen=f"A{turn}", ghiChu="x")).applied == 1
            row = lab.row()
            assert row is not None
            assert (row["hoten"], row["ghichu"], row["so"]) == (f"A{turn}", "x", None)
            lab.national = wide
            assert lab.apply(upsert(2 * turn + 1, truong2=f"B{turn}", truong60="cuối")).applied == 1
            row = lab.row()
            assert row is not None
            assert (row["truong2"], row["truong3"], row["truong60"]) == (f"B{turn}", None, "cuối")

    # --- deletes -------------------------------------------------------------------------------------

    def test_a_delete_leaves_a_dated_tombstone_with_the_last_values(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A", ghiChu="x"))
        told = lab.apply(delete(2))
        assert (told.applied, told.deleted) == (1, 1)
        row = lab.row()
        assert row is not None
        assert (row["hoten"], row["ghichu"], row["lt_seq"]) == ("A", "x", 2)
        assert moment(row["lt_deleted_at"]) == datetime.fromtimestamp(1_700_000_000.123, UTC)

    def test_a_stale_create_after_a_delete_does_not_bring_the_record_back(self, lab: Lab) -> None:
        lab.apply(upsert(1), delete(3))
        told = lab.apply(upsert(2))
        assert (told.applied, told.stale) == (0, 1)
        assert lab.live() is None

    def test_a_newer_create_after_a_delete_brings_the_record_back(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A"), delete(2))
        lab.apply(upsert(3, hoTen="B"))
        row = lab.live()
        assert row is not None
        assert (row["hoten"], row["lt_seq"]) == ("B", 3)

    def test_a_second_delete_keeps_the_first_date(self, lab: Lab) -> None:
        lab.apply(upsert(1), Change(seq=2, op="d", committed_ms=1_000))
        assert lab.apply(Change(seq=3, op="d", committed_ms=9_000)).applied == 1
        row = lab.row()
        assert row is not None
        assert row["lt_seq"] == 3
        assert moment(row["lt_deleted_at"]) == datetime.fromtimestamp(1, UTC)

    def test_an_older_delete_changes_nothing(self, lab: Lab) -> None:
        lab.apply(upsert(2))
        told = lab.apply(delete(1))
        assert (told.stale, told.deleted) == (1, 0)
        assert lab.live() is not None

    def test_a_delete_of_an_unknown_key_leaves_a_tombstone_that_stops_older_creates(self, lab: Lab) -> None:
        assert lab.apply(delete(5)).applied == 1
        assert lab.apply(upsert(4)).stale == 1
        assert lab.live() is None
        assert lab.row() is not None

    def test_a_delete_that_warns_deletes_what_is_there_and_leaves_nothing_else(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        outside = replace(delete(2), answers=False, warnings="loai:not_concerned")
        told = lab.apply(outside, replace(outside, key="K2", person="p2", seq=3))
        assert (told.applied, told.deleted, told.stale) == (1, 1, 1)
        assert lab.live() is None
        assert lab.row() is not None
        assert lab.row("K2") is None
        assert lab.said() == {"applied": "1"}

    def test_a_delete_without_a_time_is_dated_by_the_store(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        lab.apply(Change(seq=2, op="d", committed_ms=None))
        row = lab.row()
        assert row is not None
        assert row["lt_deleted_at"] is not None
        assert row["lt_committed_at"] is None

    def test_the_view_shows_only_rows_in_force(self, lab: Lab) -> None:
        lab.apply(*numbered(3), delete(4, "K2", person="p2"))
        shown = lab.rows(f"SELECT lt_key FROM {BOOK.table}_current ORDER BY lt_key")
        assert [row["lt_key"] for row in shown] == ["K1", "K3"]

    # --- whose key it is -----------------------------------------------------------------------------

    def test_a_key_held_by_another_record_is_refused_and_its_holder_untouched(self, lab: Lab) -> None:
        lab.apply(upsert(1, person="p1", hoTen="A"))
        before = lab.row()
        told = lab.apply(upsert(2, person="p2", hoTen="B"))
        (reject,) = told.rejected
        assert (told.applied, told.stale, reject.rule, reject.seq) == (0, 0, "national_key_taken", 2)
        assert lab.row() == before
        (stored,) = lab.store.rejects(SYSTEM)
        assert (stored.reject.original, stored.reject.key, stored.reject.source_key) == (
            b"record 0-1",
            b"K1",
            "p2",
        )
        assert lab.said() == {"applied": "1", "rejected": "2"}

    @pytest.mark.parametrize("other", [{"system": "hotich_khac"}, {"dataset": "khac"}])
    def test_another_system_or_dataset_is_another_record(self, lab: Lab, other: dict[str, str]) -> None:
        lab.apply(upsert(1))
        (reject,) = lab.apply(Change(seq=2, **other)).rejected  # type: ignore[arg-type]
        assert reject.rule == "national_key_taken"

    def test_a_delete_by_a_record_that_does_not_hold_the_key_changes_nothing(self, lab: Lab) -> None:
        lab.apply(upsert(1, person="p1"))
        told = lab.apply(delete(2, person="p2"))
        assert (told.stale, told.rejected) == (1, ())
        assert lab.live() is not None

    def test_a_tombstone_can_be_taken_over_by_a_later_record_of_the_same_dataset(self, lab: Lab) -> None:
        lab.apply(upsert(1, person="p1", hoTen="A"), delete(2, person="p1"))
        assert lab.apply(upsert(3, person="p2", hoTen="B")).applied == 1
        row = lab.live()
        assert row is not None
        assert (row["hoten"], row["lt_source_key"]) == ("B", "p2")
        assert lab.apply(upsert(1, person="p1", hoTen="A")).applied == 0

    @pytest.mark.parametrize(
        "change", [Change(seq=1, person="p2"), Change(seq=9, system="khac", person="p2")]
    )
    def test_a_tombstone_is_not_taken_over_by_an_earlier_or_an_incomparable_record(
        self, lab: Lab, change: Change
    ) -> None:
        lab.apply(upsert(1, person="p1"), delete(2, person="p1"))
        before = lab.row()
        (reject,) = lab.apply(change).rejected
        assert reject.rule == "national_key_taken"
        assert lab.row() == before

    def test_a_moved_key_is_a_delete_and_a_create_with_one_answer(self, lab: Lab) -> None:
        lab.apply(upsert(1, "OLD", hoTen="A"))
        told = lab.apply(delete(2, "OLD", answers=False), upsert(2, "NEW", hoTen="A"))
        assert (told.applied, told.deleted) == (2, 1)
        assert lab.live("OLD") is None
        assert lab.live("NEW") is not None
        assert lab.said() == {"applied": "1-2"}
        assert [row.how_many for row in lab.store.receipts(SYSTEM)] == [1, 1]
