"""The laws of a national store, run on every adapter: SQLite in ``tests/unit``, PostgreSQL in integration."""

import itertools
import random
import threading
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.ranges import Ranges
from consumers.store import Fenced, LedgerRow, Slice
from tests.store_lab import BOOK, DATASET, SYSTEM, Change, Lab, a_reject, delete, moment, numbered, upsert

#: Examples share the store of their test, and the law its two adapters: each example has keys of its own.
SAME_STORE = (HealthCheck.function_scoped_fixture, HealthCheck.differing_executors)


class StoreLaws:
    """Subclasses give the fixture ``lab``: an empty, migrated store with its effect log on."""

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

    # --- deletes --------------------------------------------------------------------------------------

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

    # --- whose key it is ------------------------------------------------------------------------------

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
            b"key",
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

    # --- several versions in one batch ----------------------------------------------------------------

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

    @settings(max_examples=30, deadline=None, suppress_health_check=SAME_STORE)
    @given(data=st.data())
    def test_a_batch_does_what_its_records_do_one_by_one(self, lab: Lab, data: st.DataObject) -> None:
        """However records are cut into batches, rows and folded receipts are the same."""
        space = f"{next(_spaces)}-"
        steps = data.draw(
            st.lists(
                st.tuples(
                    st.sampled_from("AB"), st.integers(1, 3), st.integers(1, 9), st.sampled_from("uud")
                ),
                min_size=1,
                max_size=14,
            )
        )
        cuts = data.draw(st.lists(st.integers(1, 5), min_size=14, max_size=14))
        one_by_one = _feed(lab, f"1-{space}", steps, [1] * len(steps))
        in_batches = _feed(lab, f"n-{space}", steps, cuts)
        assert in_batches == one_by_one

    # --- the ledger and fencing -----------------------------------------------------------------------

    @pytest.mark.parametrize("wrong", ["start", "epoch"])
    def test_a_fenced_batch_writes_nothing_at_all(self, lab: Lab, wrong: str) -> None:
        lab.apply(upsert(1))
        good = lab.batch(
            upsert(2), Change(key=None, seq=9), upsert(3, person="p2"), rejects=[a_reject(7, seq=7)]
        )
        (one,) = good.slices
        start, epoch = one.start + (wrong == "start"), one.epoch + (wrong == "epoch")
        before = lab.everything()
        bad = Slice(position=one.position, start=start, next=one.next, epoch=epoch)
        batch = type(good)(
            format=good.format, topic=good.topic, slices=[bad], rows=good.rows, rejects=good.rejects
        )
        with pytest.raises(Fenced) as caught:
            lab.store.apply(lab.store.prepare(batch), lab.deployment)
        assert caught.value.positions == (one.position,)
        assert lab.everything() == before

    def test_fencing_names_exactly_the_partitions_that_failed(self, lab: Lab) -> None:
        for partition in range(4):
            lab.claim(partition)
        slices = [
            Slice(position=lab.position(p), start=0 if p % 2 else 5, next=9, epoch=1) for p in (3, 0, 2, 1)
        ]
        before = lab.everything()
        with pytest.raises(Fenced) as caught:
            lab.store.settle(lab.deployment, slices, rejects=[a_reject(1, seq=1)], formats=[BOOK.full_id])
        assert caught.value.positions == (lab.position(0), lab.position(2))
        assert lab.everything() == before

    def test_a_batch_of_several_partitions_moves_all_of_them(self, lab: Lab) -> None:
        slices = [Slice(position=lab.claim(p), start=0, next=p + 10, epoch=1) for p in (2, 0, 1)]
        batch = lab.batch(upsert(1))
        lab.store.apply(
            lab.store.prepare(type(batch)(format=BOOK, topic=BOOK.topic, slices=slices, rows=batch.rows)),
            "thu",
        )
        assert [(row.position.partition, row.next_offset) for row in lab.store.ledger("thu")] == [
            (0, 10),
            (1, 11),
            (2, 12),
        ]

    def test_an_unclaimed_partition_cannot_be_written(self, lab: Lab) -> None:
        nobodys = Slice(position=lab.position(5), start=0, next=1, epoch=1)
        with pytest.raises(Fenced):
            lab.store.settle(lab.deployment, [nobodys], rejects=[], formats=[])

    def test_deployments_have_ledgers_of_their_own(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        (mine,) = lab.store.claim("khac", [lab.position()], generation=1, owner="w1").values()
        assert (mine.epoch, mine.next_offset) == (1, None)
        assert len(lab.store.ledger("thu")) == len(lab.store.ledger("khac")) == 1

    # --- claims ---------------------------------------------------------------------------------------

    def test_each_claim_has_a_new_epoch_and_fences_the_one_before(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        late = lab.batch(upsert(2, hoTen="late"))
        again = lab.store.claim(lab.deployment, [lab.position()], generation=2, owner="w2")[lab.position()]
        assert (again.epoch, again.next_offset) == (2, 1)
        with pytest.raises(Fenced):
            lab.send(late)

    @pytest.mark.parametrize(("generation", "owner", "granted"), [
        (4, "w1", False),  # a zombie of an earlier generation
        (5, "w2", False),  # another process claims it in the same generation
        (5, "w1", True),   # the owner again
        (6, "w2", True),   # a later generation
    ])  # fmt: skip
    def test_who_may_claim_after_a_claim(self, lab: Lab, generation: int, owner: str, granted: bool) -> None:
        lab.claim(generation=5, owner="w1")
        got = lab.store.claim(lab.deployment, [lab.position()], generation=generation, owner=owner)
        assert (lab.position() in got) is granted
        (row,) = lab.store.ledger(lab.deployment)
        assert row.epoch == (2 if granted else 1)

    @pytest.mark.parametrize(("generation", "owner"), [(4, "w1"), (5, "w2")])
    def test_ten_minutes_of_silence_open_a_claim_to_anyone(
        self, lab: Lab, generation: int, owner: str
    ) -> None:
        lab.claim(generation=5, owner="w1")
        lab.apply(upsert(1))
        with lab.engine.begin() as connection:
            lab.shift_claims(connection)
        got = lab.store.claim(lab.deployment, [lab.position()], generation=generation, owner=owner)
        assert got[lab.position()].epoch == 2
        assert lab.store.ledger(lab.deployment)[0].generation == generation

    def test_a_moving_partition_is_not_silent_however_old_its_claim(self, lab: Lab) -> None:
        lab.claim(generation=5, owner="w1")
        with lab.engine.begin() as connection:
            lab.shift_claims(connection)
        lab.apply(upsert(1))
        assert not lab.store.claim(lab.deployment, [lab.position()], generation=4, owner="w1")

    def test_claims_of_many_partitions_are_granted_singly(self, lab: Lab) -> None:
        lab.claim(1, generation=9, owner="w9")
        got = lab.store.claim(
            lab.deployment, [lab.position(p) for p in (2, 1, 0, 2)], generation=3, owner="w1"
        )
        assert sorted(got) == [lab.position(0), lab.position(2)]
        assert lab.store.claim(lab.deployment, [], generation=3, owner="w1") == {}

    def test_a_partition_is_started_once_and_only_by_its_claim(self, lab: Lab) -> None:
        position = lab.position()
        lab.store.claim(lab.deployment, [position], generation=1, owner="w1")
        with pytest.raises(Fenced):
            lab.store.start_at(lab.deployment, position, epoch=2, offset=7)
        lab.store.start_at(lab.deployment, position, epoch=1, offset=7)
        with pytest.raises(Fenced):
            lab.store.start_at(lab.deployment, position, epoch=1, offset=8)
        (row,) = lab.store.ledger(lab.deployment)
        assert isinstance(row, LedgerRow)
        assert (row.next_offset, row.owner, row.claimed_at.tzinfo is not None) == (7, "w1", True)

    def test_a_loss_is_accepted_from_the_known_place_only_and_fences_the_claim(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        late = lab.batch(upsert(2))
        with pytest.raises(Fenced):
            lab.store.accept_loss(lab.deployment, lab.position(), expected=5, offset=9)
        lab.store.accept_loss(lab.deployment, lab.position(), expected=1, offset=9)
        assert lab.store.ledger(lab.deployment)[0].next_offset == 9
        with pytest.raises(Fenced):
            lab.send(late)

    def test_only_one_of_many_claimers_of_one_generation_wins(self, lab: Lab) -> None:
        won: list[str] = []

        def claim(owner: str) -> None:
            if lab.store.claim(lab.deployment, [lab.position()], generation=1, owner=owner):
                won.append(owner)

        threads = [threading.Thread(target=claim, args=(f"w{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1

    # --- receipts and rejects -------------------------------------------------------------------------

    def test_receipts_account_for_every_number_exactly(self, lab: Lab) -> None:
        chance = random.Random(7)
        numbers = list(range(1, 401))
        chance.shuffle(numbers)
        for start in range(0, 380, 38):  # 20 numbers never come
            changes = [
                Change(key=None, seq=seq)
                if seq % 50 == 0
                else upsert(seq, f"K{seq % 90}", person=f"p{seq % 180}")
                for seq in numbers[start : start + 38]
            ]
            lab.apply(*changes)
        (answers,) = lab.store.answers(SYSTEM)
        parts = [answers.applied, answers.stale, answers.rejected, answers.waiting]
        assert sorted(number for part in parts for number in part) == list(range(1, max(numbers[:380]) + 1))
        assert set(answers.waiting) == set(range(1, max(numbers[:380]))) - set(numbers[:380])
        assert set(answers.rejected) >= {number for number in numbers[:380] if number % 50 == 0}
        assert min(map(len, parts)) > 0
        for one in lab.store.receipts(SYSTEM):
            numbers_of_one = list(Ranges.parse([one.seqs]))
            assert one.how_many == len(numbers_of_one)
            assert (one.first_seq, one.last_seq) == (numbers_of_one[0], numbers_of_one[-1])
            assert bool(one.rule) == (one.outcome == "rejected")

    def test_the_answer_applied_outlasts_lesser_ones(self, lab: Lab) -> None:
        lab.apply(upsert(1), upsert(2))
        lab.apply(upsert(1))  # stale now
        slices = [Slice(position=lab.claim(1), start=0, next=1, epoch=1)]
        lab.store.settle(
            lab.deployment, slices, rejects=[a_reject(0, seq=2), a_reject(1, seq=4)], formats=[BOOK.full_id]
        )
        assert lab.said() == {"applied": "1-2", "rejected": "4", "waiting": "3"}

    def test_settling_writes_rejects_their_receipts_and_the_step(self, lab: Lab) -> None:
        position = lab.claim()
        rejects = [
            a_reject(0, seq=5),
            a_reject(1, seq=6),
            a_reject(2, seq=9, rule="date_impossible"),
            a_reject(3),
        ]
        slices = [Slice(position=position, start=0, next=4, epoch=1)]
        lab.store.settle(lab.deployment, slices, rejects=rejects, formats=["thu.nghiem.v1", "thu.nghiem.v2"])
        assert [row.reject for row in lab.store.rejects(SYSTEM)] == rejects
        told = [
            (r.format[-2:], r.outcome, r.seqs, r.how_many, r.rule, r.field)
            for r in lab.store.receipts(SYSTEM)
        ]
        assert sorted(told) == [
            ("v1", "rejected", "5-6", 2, "code_unknown", "hoTen"),
            ("v1", "rejected", "9", 1, "date_impossible", "hoTen"),
            ("v2", "rejected", "5-6", 2, "code_unknown", "hoTen"),
            ("v2", "rejected", "9", 1, "date_impossible", "hoTen"),
        ]
        counts = [(c.rule, c.how_many) for c in lab.store.reject_counts(SYSTEM)]
        assert counts == [("code_unknown", 3), ("date_impossible", 1)]

    def test_a_reject_that_comes_again_is_kept_once(self, lab: Lab) -> None:
        lab.claim()
        for start in (0, 1):
            slices = [Slice(position=lab.position(), start=start, next=start + 1, epoch=1)]
            lab.store.settle(lab.deployment, slices, rejects=[a_reject(0, seq=5), a_reject(1)], formats=[])
        assert len(lab.store.rejects(SYSTEM)) == 2

    def test_rejects_can_be_read_by_dataset_rule_and_page(self, lab: Lab) -> None:
        rejects = [
            a_reject(at, rule="r1" if at % 2 else "r2", dataset="d1" if at < 4 else "d2") for at in range(8)
        ]
        slices = [Slice(position=lab.claim(), start=0, next=8, epoch=1)]
        lab.store.settle(lab.deployment, slices, rejects=rejects, formats=[])
        found = lab.store.rejects(SYSTEM, dataset="d1", rule="r1")
        assert [row.reject.offset for row in found] == [1, 3]
        first = lab.store.rejects(SYSTEM, limit=3)
        assert [row.reject.offset for row in lab.store.rejects(SYSTEM, after=first[-1].id, limit=2)] == [3, 4]
        assert lab.store.rejects("khac") == []

    def test_a_reject_of_broken_text_is_stored_all_the_same(self, lab: Lab) -> None:
        slices = [Slice(position=lab.claim(), start=0, next=1, epoch=1)]
        broken = a_reject(0, seq=1, source_key="a\0b\ud800", detail="\0", original=b"\0\xff", key=b"\0\xfe")
        lab.store.settle(lab.deployment, slices, rejects=[broken], formats=[BOOK.full_id])
        (row,) = lab.store.rejects(SYSTEM)
        assert (row.reject.source_key, row.reject.original, row.reject.key) == ("a␀b?", b"\0\xff", b"\0\xfe")

    def test_a_batch_of_rejects_alone_moves_the_ledger(self, lab: Lab) -> None:
        told = lab.send(lab.batch(rejects=[a_reject(0), a_reject(1, seq=3)]))
        assert (told.applied, told.rejected) == (0, ())
        assert lab.store.ledger(lab.deployment)[0].next_offset == 1
        assert lab.said() == {"rejected": "3", "waiting": "1-2"}

    # --- outboxes -------------------------------------------------------------------------------------

    def test_receipts_and_rejects_are_handed_out_until_published(self, lab: Lab) -> None:
        for seq in range(1, 4):
            lab.apply(upsert(seq, f"K{seq}", person=f"p{seq}"))
        lab.send(lab.batch(rejects=[a_reject(0, seq=9)]))
        seen: list[str] = []
        assert lab.store.publish_receipts(2, lambda rows: seen.extend(row.seqs for row in rows)) == 2
        with pytest.raises(ConnectionError):
            lab.store.publish_receipts(9, _fail)
        assert lab.store.publish_receipts(9, lambda rows: seen.extend(row.seqs for row in rows)) == 2
        assert lab.store.publish_receipts(9, _fail) == 0
        assert seen == ["1", "2", "3", "9"]
        offsets: list[int] = []
        assert (
            lab.store.publish_rejects(9, lambda rows: offsets.extend(row.reject.offset for row in rows)) == 1
        )
        assert lab.store.publish_rejects(9, _fail) == 0
        assert offsets == [0]

    # --- content --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("text", [
        "", " ", "a,b", 'say "so"', "'", "line\nline\r\nline\r", "back\\slash\\n\\.", "\\.", "\\N", "NULL",
        "Trần Thị Nguyệt", "é\u0301", "𠀀", "\u200b", "\x01\x1f\x7f", "\ufeff", "x" * 1_000_000,
        "100 %s {now} :a $1",
    ])  # fmt: skip
    def test_any_text_comes_back_exactly(self, lab: Lab, text: str) -> None:
        lab.apply(
            upsert(1, hoTen=text, ghiChu=None),
            upsert(2, "K2" + text[:500], person=text[:500] or "p2", ghiChu=text),
        )
        row = lab.live()
        assert row is not None
        assert (row["hoten"], row["ghichu"]) == (text, None)
        assert (lab.live("K2" + text[:500]) or {})["ghichu"] == text

    @pytest.mark.parametrize("where", ["hoTen", "lt_key", "lt_source_key"])
    def test_a_nul_character_rejects_its_record_alone(self, lab: Lab, where: str) -> None:
        bad = {
            "hoTen": upsert(2, "K2", person="p2", hoTen="a\0b"),
            "lt_key": upsert(2, "K\0", person="p2"),
            "lt_source_key": upsert(2, "K2", person="p\0"),
        }[where]
        told = lab.apply(upsert(1), bad, upsert(3, "K3", person="p3"))
        assert told.applied == 2
        (row,) = lab.store.rejects(SYSTEM)
        assert (row.reject.rule, row.reject.field, row.reject.offset) == ("text_unstorable", where, 1)
        assert row.reject.original == b"record 0-1"
        assert lab.said() == {"applied": "1,3", "rejected": "2"}

    @pytest.mark.parametrize(("change", "field"), [
        (Change(key=None, seq=2), "lt_key"), (Change(op=None, seq=2), "lt_op"),
        (Change(op="x", seq=2), "lt_op"), (Change(seq=None), "lt_seq"),
        (Change(person=None, seq=2), "lt_source_key"),
        (Change(system=None, seq=2), "lt_system"), (Change(dataset=None, seq=2), "lt_dataset"),
    ])  # fmt: skip
    def test_a_record_without_what_every_record_needs_is_rejected_alone(
        self, lab: Lab, change: Change, field: str
    ) -> None:
        assert lab.apply(upsert(1, "K0"), change).applied == 1
        (row,) = lab.store.rejects(change.system or "national")
        assert (row.reject.rule, row.reject.field) == ("record_unreadable", field)

    def test_warnings_are_kept_with_the_row(self, lab: Lab) -> None:
        lab.apply(Change(warnings="so_dinh_danh:personal_id_form"))
        assert (lab.row() or {})["lt_warnings"] == "so_dinh_danh:personal_id_form"

    # --- what the database refuses --------------------------------------------------------------------

    def test_rows_that_the_database_refuses_are_rejected_alone(self, guarded: Lab) -> None:
        changes = numbered(200, hoTen="tốt")
        for at in (0, 77, 78, 199):
            changes[at] = upsert(at + 1, f"K{at + 1}", person=f"p{at + 1}", hoTen="XẤU")
        told = guarded.apply(*changes)
        assert told.applied == 196
        assert [reject.seq for reject in told.rejected] == [1, 78, 79, 200]
        assert {reject.rule for reject in told.rejected} == {"database_refused"}
        assert not any("XẤU" in reject.detail + reject.field for reject in told.rejected)
        assert len(guarded.rows(f"SELECT lt_key FROM {BOOK.table}")) == 196
        assert guarded.said() == {"applied": "2-77,80-199", "rejected": "1,78-79,200"}
        assert guarded.store.rejects(SYSTEM)[0].reject.original == b"record 0-0"

    def test_the_version_before_a_refused_one_stays(self, guarded: Lab) -> None:
        told = guarded.apply(upsert(1, hoTen="A"), upsert(2, hoTen="XẤU"), upsert(3, "K3", person="p3"))
        assert (told.applied, len(told.rejected)) == (2, 1)
        assert (guarded.live() or {})["hoten"] == "A"
        assert guarded.said() == {"applied": "1,3", "rejected": "2"}

    def test_a_batch_of_refused_rows_alone_moves_the_ledger(self, guarded: Lab) -> None:
        told = guarded.apply(*numbered(5, hoTen="XẤU"))
        assert (told.applied, len(told.rejected)) == (0, 5)
        assert guarded.store.ledger(guarded.deployment)[0].next_offset == 5

    # --- the effect log -------------------------------------------------------------------------------

    def test_the_effect_log_has_each_record_of_each_batch(self, lab: Lab) -> None:
        lab.apply(upsert(1), upsert(2), delete(1))
        lab.apply(upsert(1))
        logged = lab.rows(
            'SELECT topic, "partition", "offset", source_key, seq FROM lienthong_effect ORDER BY id'
        )
        assert [(row["offset"], row["seq"]) for row in logged] == [(0, 1), (1, 2), (2, 1), (3, 1)]
        assert {(row["topic"], row["partition"], row["source_key"]) for row in logged} == {
            (BOOK.topic, 0, "p1")
        }

    def test_preparing_touches_no_database(self, lab: Lab) -> None:
        batch = lab.batch(*numbered(3), upsert(4, "K1", person="p1"))
        before = lab.everything()
        first, second = lab.store.prepare(batch), lab.store.prepare(batch)
        assert first.csv == second.csv
        assert first.steps == second.steps
        assert lab.everything() == before

    def test_an_empty_batch_only_moves_the_ledger(self, lab: Lab) -> None:
        told = lab.apply()
        assert (told.applied, told.rejected) == (0, ())
        assert lab.store.receipts(SYSTEM) == []
        assert lab.store.answers(SYSTEM) == []
        assert lab.store.ledger(lab.deployment)[0].next_offset == 1

    def test_partitions_of_one_batch_are_one_stream_of_their_own_keys(self, lab: Lab) -> None:
        for partition in range(3):
            lab.claim(partition)
        batch = lab.batch(upsert(1, "A"), upsert(2, "B", person="p2"), upsert(3, "C", person="p3"))
        rows = batch.rows.with_columns(pl.Series("__partition", [2, 0, 1], dtype=pl.Int32))
        slices = [Slice(position=lab.position(p), start=0, next=1, epoch=1) for p in range(3)]
        mixed = type(batch)(format=BOOK, topic=BOOK.topic, slices=slices, rows=rows)
        assert lab.store.apply(lab.store.prepare(mixed), lab.deployment).applied == 3
        assert {row["partition"] for row in lab.rows("SELECT * FROM lienthong_effect")} == {0, 1, 2}


_spaces = itertools.count()


def _fail(rows: object) -> None:
    raise ConnectionError("the broker is away")


def _feed(lab: Lab, space: str, steps: list[tuple[str, int, int, str]], cuts: list[int]) -> object:
    """Apply ``steps`` in batches of ``cuts``; return rows and folded answers, without the space's name."""
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
    seen = [
        row and (row["hoten"], row["lt_seq"], row["lt_source_key"], row["lt_deleted_at"] is None)
        for row in rows
    ]
    return seen, sorted(row.reject.seq or 0 for row in lab.store.rejects(system))
