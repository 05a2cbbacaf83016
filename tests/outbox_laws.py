"""Laws of capture: how an outbox is numbered, taken, marked and pruned, on SQLite and PostgreSQL."""

from dataclasses import replace
from time import time

import pytest

from producers.clock import SystemClock
from producers.opening import open_outbox
from producers.watching import Watch
from schemas.errors import LienthongError
from tests.capture_lab import PAIRS, SOHO, CaptureLab, make_pairs
from tests.road import wait_for


class OutboxLaws:
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""

    def test_numbers_have_no_gaps_follow_the_ids_and_stay(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 11):
            lab.insert(id_)
        assert [(row.key, row.seq) for row in lab.number(limit=4)] == [(str(at), at) for at in range(1, 5)]
        assert len(lab.number(limit=100)) == 6
        assert lab.number() == []
        assert [row.seq for row in lab.rows()] == list(range(1, 11))
        lab.insert(11)
        assert [row.seq for row in lab.number()] == [11]

    def test_numbers_go_on_above_one_that_was_given_elsewhere(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        assert lab.number()[0].seq == 1
        lab.outbox.number_above(SOHO.dataset, 7)
        lab.outbox.number_above(SOHO.dataset, 3)
        lab.insert(2)
        assert lab.number()[0].seq == 8
        assert [state.next_seq for state in lab.outbox.states()] == [9]

    def test_each_dataset_counts_for_itself(self, lab: CaptureLab) -> None:
        make_pairs(lab)
        lab.install()
        lab.install(PAIRS)
        for id_ in range(1, 4):
            lab.insert(id_)
            lab.hand.run("INSERT INTO cap_doi VALUES ('x', ?, 'a')", id_)
        assert len(lab.number(SOHO)) == 3, "only what was asked for"
        lab.insert(4)
        assert len(lab.number(SOHO, PAIRS)) == 4
        assert [row.seq for row in lab.rows()] == [1, 2, 3, 4]
        assert [row.seq for row in lab.rows(PAIRS)] == [1, 2, 3]

    def test_marked_rows_are_not_pending(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 7):
            lab.insert(id_)
        ids = [one.id for one in lab.number()]
        lab.outbox.mark(ids[1:3])
        assert [one.id for one in lab.outbox.pending(0, 2, 10**9)] == [ids[0], ids[3]]
        assert [one.id for one in lab.outbox.pending(ids[3], 100, 10**9)] == ids[4:]
        (state,) = lab.outbox.states()
        assert (state.waiting, state.next_seq) == (4, 7)
        assert (lab.site.waiting(3), lab.site.waiting(100)) == (3, 4)
        assert abs(lab.site.now_ms() - time() * 1000) < 60_000

    def test_a_monitor_sees_what_waits_and_what_time_it_is_there(self, lab: CaptureLab) -> None:
        watch = Watch(lab.source)
        with pytest.raises(LienthongError, match="nothing is captured"):
            watch.look()
        lab.install()
        lab.insert(1)
        seen = watch.look()
        assert [(one.capture.dataset, one.waiting, one.in_place) for one in seen.states] == [
            (SOHO.dataset, 1, True)
        ]
        assert abs(seen.now_ms - time() * 1000) < 60_000
        lab.site.run(lab.site.removal(SOHO))  # a person's decision, and nothing to watch any more
        with pytest.raises(LienthongError, match="nothing is captured"):
            watch.look()
        watch.close()

    def test_no_more_is_taken_at_once_than_memory_may_hold(self, lab: CaptureLab) -> None:
        lab.install()
        for id_, size in enumerate((400, 400, 5000, 400, 400), 1):
            lab.insert(id_, "x" * size)
        assert len(lab.number(characters=1300)) == 2
        assert len(lab.number(characters=1300)) == 1, "a row that is too large by itself comes alone"
        assert len(lab.number(characters=1300)) == 2
        assert [row.seq for row in lab.rows()] == [1, 2, 3, 4, 5]
        taken, after = [], 0
        while found := lab.outbox.pending(after, 100, 1300):
            taken.append(len(found))
            after = found[-1].id
        assert taken == [2, 1, 2]

    def test_a_numbered_row_is_told_whole(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một")
        lab.hand.run("UPDATE so_ho SET ho_ten = 'hai'")
        now = SystemClock().now_ms()
        numbered = lab.number()
        assert numbered == lab.outbox.pending(0, 10, 10**9)
        for found, written in zip(numbered, lab.rows(), strict=True):
            assert abs(found.changed_ms - now) < 60_000
            assert replace(found, changed_ms=written.changed_ms) == written

    def test_only_old_published_rows_are_pruned_in_small_steps(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 7):
            lab.insert(id_)
        ids = [one.id for one in lab.number()]
        lab.outbox.mark(ids[:4])
        assert lab.outbox.prune(1, 100) == 0
        past = "now() - interval '2 days'" if lab.is_postgres else "published_at - 172800000"
        lab.hand.run(f"UPDATE lienthong_outbox SET published_at = {past} WHERE id <> {ids[1]} AND seq < 5")
        assert lab.outbox.prune(1, 2) == 1
        assert lab.outbox.prune(1, 100) == 2
        assert [row.id for row in lab.rows()] == [ids[1], *ids[4:]]
        lab.insert(7)
        assert [row.seq for row in lab.number()] == [7]

    def test_rows_that_are_never_published_do_not_keep_others(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 6):
            lab.insert(id_)
        ids = [one.id for one in lab.number()]
        lab.outbox.mark(ids[2:])
        past = "now() - interval '2 days'" if lab.is_postgres else "published_at - 172800000"
        lab.hand.run(f"UPDATE lienthong_outbox SET published_at = {past} WHERE published_at IS NOT NULL")
        assert lab.outbox.prune(1, 2) == 2
        assert lab.outbox.prune(1, 2) == 1
        assert [row.id for row in lab.rows()] == ids[:2]

    def test_there_is_one_lead_and_it_ends_with_its_holder(self, lab: CaptureLab) -> None:
        lab.install()
        other = open_outbox(lab.source)
        try:
            assert lab.outbox.lead()
            assert lab.outbox.lead(), "asking again does no harm"
            assert not other.lead()
            lab.outbox.still_leads()
            lab.outbox.close()
            wait_for("the lead to be free", other.lead)
            assert not lab.outbox.lead()
        finally:
            other.close()
