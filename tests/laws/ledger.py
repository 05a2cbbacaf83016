"""Laws of a national store: claims, fencing, the ledger."""

import threading

import pytest

from consumers.store import Fenced, LedgerRow, Slice
from tests.store_lab import BOOK, Change, Lab, a_reject, upsert


class LedgerLaws:
    """Only the newest claim of a partition writes, and from the right offset."""

    # --- the ledger and fencing ----------------------------------------------------------------------

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

    # --- claims --------------------------------------------------------------------------------------

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
        word = {"who": "lan", "why": "vì sao"}
        lab.apply(upsert(1))
        late = lab.batch(upsert(2))
        with pytest.raises(Fenced):
            lab.store.accept_loss(lab.deployment, lab.position(), expected=5, offset=9, **word)
        assert lab.store.deed_hashes() == [], "what was not done is not noted"
        lab.store.accept_loss(lab.deployment, lab.position(), expected=1, offset=9, **word)
        assert lab.store.ledger(lab.deployment)[0].next_offset == 9
        (deed,) = lab.store.deeds(0)
        moved = f"{lab.deployment}: {lab.position().topic} {lab.position().partition}: 1 to 9"
        assert (deed.who, deed.action, deed.why, deed.detail) == ("lan", "accept_loss", "vì sao", moved)
        assert lab.lines()[-1][1] == "p", "and stands in the chain"
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
