"""Laws of a national store: what it tells of one record."""

from tests.store_lab import BOOK, DATASET, SYSTEM, Change, Lab, a_parked, a_reject, delete, upsert

WHOSE = (SYSTEM, DATASET, "p1")


class TraceLaws:
    """Places, numbers and times of one record, and of no other."""

    def test_the_rows_of_a_record_are_told_with_the_version_they_replaced(self, lab: Lab) -> None:
        lab.apply(upsert(1, "K1"), upsert(2, "K2", person="p2"), Change(key="K3", seq=9, dataset="khac"))
        lab.apply(upsert(3, "K1"))
        lab.apply(delete(4, "K1"), upsert(4, "K9"))
        rows = lab.store.rows_of(BOOK, *WHOSE)
        told = [(row.key, row.seq, row.before, row.deleted_at is not None) for row in rows]
        assert told == [("K1", 4, 3, True), ("K9", 4, None, False)]
        assert rows[0].contract == f"{SYSTEM}/{DATASET}@1"

    def test_rejects_and_what_waits_behind_them_are_told_of_one_record(self, lab: Lab) -> None:
        first = a_reject(1, seq=5, blocks=True, source_key="p1", key=b"p1")
        lab.store.settle(
            lab.deployment,
            [],
            rejects=[first, a_reject(2, seq=6, source_key="p2")],
            parked=[a_parked(3, head=1, seq=7, key=b"p1"), a_parked(4, head=2, seq=8, key=b"p2")],
            formats=[BOOK.full_id],
        )
        (refused,) = lab.store.refusals(*WHOSE)
        assert (refused.seq, refused.offset, refused.rule, refused.became) == (5, 1, "code_unknown", None)
        (waits,) = lab.store.waiting_of(*WHOSE)
        assert (waits.seq, waits.offset, waits.head) == (7, 3, 1)

    def test_the_latest_receipt_of_a_number_counts(self, lab: Lab) -> None:
        lab.apply(upsert(1), upsert(3, "K3", person="p3"))
        lab.store.settle(lab.deployment, [], rejects=[a_reject(1, seq=2)], formats=[BOOK.full_id])
        lab.apply(upsert(2, "K2", person="p2"))
        told = lab.store.answers_to(SYSTEM, DATASET, [1, 2, 4])
        assert [(one.seq, one.format, one.outcome) for one in told] == [
            (1, BOOK.full_id, "applied"),
            (2, BOOK.full_id, "applied"),
        ]
        assert all(one.published_at is None for one in told)
        lab.store.publish_receipts([SYSTEM], 10, lambda _: None)
        assert all(one.published_at for one in lab.store.answers_to(SYSTEM, DATASET, [1, 2]))
