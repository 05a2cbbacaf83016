"""Laws of a national store: where every dataset stands, and the index of past days."""

from datetime import UTC, date, datetime, timedelta

from consumers.orphans import Seen
from consumers.ranges import Ranges
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, a_parked, a_reject, upsert


class StandingLaws:
    """``lab`` is an empty store."""

    def test_a_store_that_was_never_written_says_nothing(self, lab: Lab) -> None:
        assert lab.store.standing() == {}

    def test_the_last_applied_change_is_told_and_what_waits(self, lab: Lab) -> None:
        before = datetime.now(UTC) - timedelta(seconds=5)
        lab.apply(upsert(1))
        lab.apply(upsert(2))
        lab.store.settle(
            lab.deployment,
            [],
            rejects=[a_reject(7, seq=3), a_reject(8, seq=4, rule="date_form")],
            parked=[a_parked(9, head=7, seq=5)],
            formats=[BOOK.full_id],
        )
        lab.store.note_gaps(SYSTEM, DATASET, Ranges.parse(["812-815"]))
        (seen,) = lab.store.standing().values()
        assert seen.applied_at is not None
        assert before < seen.applied_at < datetime.now(UTC) + timedelta(seconds=5)
        assert (seen.rejected, seen.parked, seen.missing) == (2, 1, 4)

    def test_a_dataset_whose_changes_were_all_refused_has_none_applied(self, lab: Lab) -> None:
        lab.store.settle(lab.deployment, [], rejects=[a_reject(7, seq=1)], formats=[BOOK.full_id])
        assert lab.store.standing() == {(SYSTEM, DATASET, BOOK.full_id): Seen(rejected=1)}

    def test_the_index_of_a_day_is_kept_once(self, lab: Lab) -> None:
        first, second = date(2026, 11, 25), date(2026, 11, 26)
        lab.store.note_indices(first, {"a": 40, "b": 7})
        lab.store.note_indices(second, {"a": 39})
        lab.store.note_indices(second, {"a": 38})
        lab.store.note_indices(second, {})
        assert lab.store.indices(first) == {"a": [(first, 40), (second, 38)], "b": [(first, 7)]}
        assert lab.store.indices(second) == {"a": [(second, 38)]}
