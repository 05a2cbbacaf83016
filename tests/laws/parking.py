"""Laws of a national store: changes that wait behind a reject of their record."""

from contextlib import closing

import pytest

from consumers.opening import open_store
from consumers.ranges import Ranges
from consumers.receipts import Reject
from consumers.store import Blocked, Fenced, Slice
from tests.store_lab import BOOK, SYSTEM, Lab, a_parked, a_reject, upsert


class ParkingLaws:
    """What waits is kept, answered for, and told to whoever claims the partition."""

    def test_parked_changes_and_their_receipts_come_with_the_step(self, lab: Lab) -> None:
        slices = [Slice(position=lab.claim(), start=0, next=4, epoch=1)]
        parked = [a_parked(1, head=0, seq=6), a_parked(2, head=0), a_parked(3, head=0, seq=7, original=None)]
        head = a_reject(0, seq=5, blocks=True)
        lab.store.settle(lab.deployment, slices, rejects=[head], parked=parked, formats=[BOOK.full_id])
        kept = lab.rows('SELECT "offset", head, seq, record_key, original FROM lienthong_parked ORDER BY id')
        assert [(row["offset"], row["head"], row["seq"]) for row in kept] == [
            (1, 0, 6),
            (2, 0, None),
            (3, 0, 7),
        ]
        assert [row["original"] and bytes(row["original"]) for row in kept] == [b"\0\2", b"\0\2", None]
        assert lab.said() == {"rejected": "5", "parked": "6-7", "waiting": "1-4"}
        (receipt,) = [one for one in lab.store.receipts(SYSTEM) if one.outcome == "parked"]
        assert (receipt.seqs, receipt.how_many, receipt.rule, receipt.field) == ("6-7", 2, "", "")
        assert lab.store.rejects(SYSTEM)[0].reject == head

    def test_any_later_answer_is_better_than_parked(self, lab: Lab) -> None:
        lab.apply(upsert(2))
        lab.apply(upsert(1))
        slices = [Slice(position=lab.claim(1), start=0, next=4, epoch=1)]
        parked = [a_parked(at, head=0, seq=at) for at in (1, 2, 3, 4)]
        rejects = [a_reject(3, seq=3)]
        lab.store.settle(lab.deployment, slices, rejects=rejects, parked=parked, formats=[BOOK.full_id])
        assert lab.said() == {"applied": "2", "stale": "1", "rejected": "3", "parked": "4"}

    def test_what_is_refused_in_the_same_place_again_is_open_again(self, lab: Lab) -> None:
        """Read anew after a loss. A record of another key there (of a topic made anew) leaves it alone."""
        step = Slice(position=lab.claim(), start=0, next=0, epoch=1)

        def settle(reject: Reject) -> None:
            lab.store.settle(lab.deployment, [step], rejects=[reject], formats=[])

        settle(a_reject(3, seq=5, key=b"k", blocks=True))
        settle(a_reject(3, seq=5, key=b"k", original=b"other", blocks=True))
        (row,) = lab.rows("SELECT became, original FROM lienthong_reject")
        assert (row["became"], bytes(row["original"])) == (None, a_reject(3).original), "it was never closed"
        lab.execute(
            "UPDATE lienthong_reject SET became = 'dropped', became_at = at, blocks = false, asked = 'x'"
        )
        settle(a_reject(3, seq=5, key=b"other", blocks=True))
        (row,) = lab.rows("SELECT became, blocks FROM lienthong_reject")
        assert (row["became"], bool(row["blocks"])) == ("dropped", False)
        settle(a_reject(3, seq=5, key=b"k", blocks=True))
        (row,) = lab.rows("SELECT became, became_at, asked, blocks FROM lienthong_reject")
        assert (row["became"], row["became_at"], row["asked"], bool(row["blocks"])) == (
            None,
            None,
            None,
            True,
        )

    def test_a_reject_without_a_key_is_open_again_too(self, lab: Lab) -> None:
        """Corrected once, it became a reject for another cause; corrected again, it is back where it was."""
        step = Slice(position=lab.claim(), start=0, next=0, epoch=1)
        for _ in range(2):
            lab.execute("UPDATE lienthong_reject SET became = 'again', became_at = at")
            lab.store.settle(lab.deployment, [step], rejects=[a_reject(3, seq=5, key=None)], formats=[])
        (row,) = lab.rows("SELECT became, became_at FROM lienthong_reject")
        assert (row["became"], row["became_at"]) == (None, None)

    def test_a_lost_claim_parks_nothing(self, lab: Lab) -> None:
        slices = [Slice(position=lab.claim(), start=0, next=4, epoch=7)]
        before = lab.everything()
        with pytest.raises(Fenced):
            lab.store.settle(
                lab.deployment, slices, rejects=[], parked=[a_parked(1, head=0, seq=1)], formats=["f"]
            )
        assert lab.everything() == before

    def test_blocked_records_are_told_by_partition_and_deployment(self, lab: Lab) -> None:
        topic = "province.hotich_thu.sothu"
        slices = [Slice(position=lab.claim(), start=0, next=1, epoch=1)]
        rejects = [
            a_reject(3, topic=topic, partition=0, key=b"\0\xff", blocks=True),
            a_reject(4, topic=topic, partition=0, key=None),
            a_reject(5, topic=topic, partition=0, key=b"n", blocks=False),
            a_reject(6, topic=topic, partition=1, key=b"b", blocks=True),
            a_reject(7, topic=topic, partition=2, key=b"c", blocks=True),
        ]
        lab.store.settle(lab.deployment, slices, rejects=rejects, formats=[])
        here, there = (type(lab.position())(topic=topic, partition=partition) for partition in (0, 1))
        assert lab.store.blocked(lab.deployment, [here, there]) == [
            Blocked(position=here, offset=3, key=b"\0\xff"),
            Blocked(position=there, offset=6, key=b"b"),
        ]
        assert lab.store.blocked("khac", [here, there]) == []
        assert lab.store.blocked(lab.deployment, []) == []

    def test_a_store_of_the_version_before_parking_migrates_and_its_rejects_block_nothing(
        self, lab: Lab
    ) -> None:
        slices = [Slice(position=lab.claim(), start=0, next=1, epoch=1)]
        lab.store.settle(lab.deployment, slices, rejects=[a_reject(3, seq=1, blocks=True)], formats=[])
        lab.execute(
            "DROP TABLE lienthong_parked",
            "DROP INDEX lienthong_reject_blocking",
            "ALTER TABLE lienthong_reject DROP COLUMN blocks",
        )
        with closing(open_store(lab.url)) as store:
            plan = store.migrate([BOOK])
            assert any("ADD COLUMN blocks" in statement for statement in plan)
            assert any("lienthong_reject_blocking" in statement for statement in plan)
            assert store.plan([BOOK]) == []
            position = type(lab.position())(topic="province.hotich_thu.sothu", partition=0)
            assert store.blocked(lab.deployment, [position]) == []
            assert [row.reject.blocks for row in store.rejects(SYSTEM)] == [False]

    def test_numbers_that_never_arrived_are_remembered_until_they_do(self, lab: Lab) -> None:
        missing = Ranges.of([(812, 815), (900, 900)])
        assert not lab.store.note_gaps(SYSTEM, "d", missing)
        assert lab.store.gaps(SYSTEM, "d") == missing
        assert not lab.store.gaps(SYSTEM, "khac")
        assert lab.store.note_gaps(SYSTEM, "d", Ranges()) == missing
        assert not lab.store.gaps(SYSTEM, "d")

    def test_a_breaker_is_opened_once_and_its_receipts_tell_of_no_change(self, lab: Lab) -> None:
        told = {"rule": "code_unknown", "field": "so", "detail": "9 of 9"}
        for _ in range(2):
            lab.store.open_breaker(lab.deployment, SYSTEM, "d", **told, formats=["f1", "f2"])
        (one,) = lab.store.breakers(lab.deployment)
        assert (one.system, one.dataset, one.rule, one.field, one.detail) == (
            SYSTEM, "d", "code_unknown", "so", "9 of 9",
        )  # fmt: skip
        assert lab.store.breakers("khac") == []
        assert lab.store.answers(SYSTEM) == []
        assert lab.store.close_breaker(lab.deployment, SYSTEM, "d", formats=["f1"])
        assert not lab.store.close_breaker(lab.deployment, SYSTEM, "d", formats=["f1"])
        outcomes = [(row.outcome, row.format, row.rule) for row in lab.store.receipts(SYSTEM)]
        assert outcomes == [
            ("paused", "f1", "source_paused"),
            ("paused", "f2", "source_paused"),
            ("resumed", "f1", "source_resumed"),
        ]
