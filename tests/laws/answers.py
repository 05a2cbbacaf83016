"""Laws of a national store: receipts, rejects, and their way out."""

import random
from collections.abc import Sequence

import pytest

from consumers import readings
from consumers.ranges import Ranges
from consumers.receipts import ReceiptRow, RejectRow
from consumers.repairs import Which
from consumers.store import Slice
from tests.store_lab import BOOK, SYSTEM, Change, Lab, a_reject, upsert


class AnswerLaws:
    """Every sequence number is answered for."""

    # --- receipts and rejects ------------------------------------------------------------------------

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
        assert not answers.parked
        assert sorted(number for part in parts for number in part) == list(range(1, max(numbers[:380]) + 1))
        assert set(answers.waiting) == set(range(1, max(numbers[:380]))) - set(numbers[:380])
        assert set(answers.rejected) >= {number for number in numbers[:380] if number % 50 == 0}
        assert min(map(len, parts)) > 0
        for one in lab.store.receipts(SYSTEM):
            numbers_of_one = list(Ranges.parse([one.seqs]))
            assert one.how_many == len(numbers_of_one)
            assert (one.first_seq, one.last_seq) == (numbers_of_one[0], numbers_of_one[-1])
            assert bool(one.rule) == (one.outcome == "rejected")

    def test_a_record_that_does_not_answer_gets_no_receipt_whatever_becomes_of_it(self, lab: Lab) -> None:
        lab.apply(Change(seq=5, answers=False))
        told = lab.apply(Change(seq=6, person="p2", answers=False), Change(seq=4, answers=False))
        assert (len(told.rejected), told.stale) == (1, 1)
        assert lab.store.receipts(SYSTEM) == []
        assert len(lab.store.rejects(SYSTEM)) == 1
        lab.apply(Change(seq=7, answers=None))
        assert lab.said() == {"applied": "7", "waiting": "1-6"}

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

    # --- outboxes ------------------------------------------------------------------------------------

    def test_receipts_and_rejects_are_handed_out_until_published(self, lab: Lab) -> None:
        for seq in range(1, 4):
            lab.apply(upsert(seq, f"K{seq}", person=f"p{seq}"))
        lab.send(lab.batch(rejects=[a_reject(0, seq=9)]))
        seen: list[str] = []

        def receipts(rows: Sequence[ReceiptRow]) -> None:
            seen.extend(row.seqs for row in rows)

        assert lab.store.publish_receipts([SYSTEM], 2, receipts) == 2
        with pytest.raises(ConnectionError):
            lab.store.publish_receipts([SYSTEM], 9, _fail)
        assert lab.store.publish_receipts([SYSTEM], 9, receipts) == 2
        assert lab.store.publish_receipts([SYSTEM], 9, _fail) == 0
        assert seen == ["1", "2", "3", "9"]
        offsets: list[int] = []

        def rejects(rows: Sequence[RejectRow]) -> None:
            offsets.extend(row.reject.offset for row in rows)

        assert lab.store.publish_rejects([SYSTEM], 9, rejects) == 1
        assert lab.store.publish_rejects([SYSTEM], 9, _fail) == 0
        assert offsets == [0]

    def test_large_rejects_are_handed_out_a_few_at_a_time(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(readings, "AT_ONCE_BYTES", 10)
        sizes = [4, 4, 4, 11, None, 10]
        rejects = [
            a_reject(at, seq=at, original=b"x" * size if size else None, topic=BOOK.topic, key=None)
            for at, size in enumerate(sizes, start=1)
        ]
        lab.store.settle(lab.deployment, [], rejects=rejects, formats=[BOOK.full_id])
        told: list[list[int]] = []

        def take(rows: Sequence[RejectRow]) -> None:
            told.append([row.reject.offset for row in rows])

        while lab.store.publish_rejects([SYSTEM], 9, take):
            pass
        assert told == [[1, 2], [3], [4], [5, 6]]  # 11 bytes go alone
        lab.store.ask(Which(system=SYSTEM), "retry", who="thu", why="thử nghiệm")
        told.clear()
        while lab.store.resend([BOOK.topic], 3, take):
            pass
        assert told == [[1, 2], [3], [4], [5, 6]]

    def test_only_answers_of_the_systems_asked_for_are_handed_out(self, lab: Lab) -> None:
        rejects = [a_reject(at, seq=at, system="khac" if at < 3 else SYSTEM) for at in range(1, 5)]
        lab.store.settle(lab.deployment, [], rejects=rejects, formats=[BOOK.full_id])
        assert lab.store.unpublished() == {"khac", SYSTEM}
        told: list[ReceiptRow | RejectRow] = []
        for systems in ([SYSTEM], [SYSTEM, "khac"]):
            lab.store.publish_receipts(systems, 1, told.extend)  # those of others do not fill the limit
            lab.store.publish_rejects(systems, 2, told.extend)
        systems_told = [(one.reject if isinstance(one, RejectRow) else one).system for one in told]
        assert systems_told == [SYSTEM] * 3 + ["khac"] * 3
        assert lab.store.unpublished() == set()


def _fail(rows: object) -> None:
    raise ConnectionError("the broker is away")
