"""Laws of records that left their national key in a change that was refused, and of their followers."""

from consumers.receipts import Left
from tests.store_lab import DATASET, SYSTEM, Change, Lab, delete, upsert


def left(key: str, *, person: str = "p1", system: str = SYSTEM, dataset: str = DATASET) -> Left:
    return Left(system=system, dataset=dataset, source_key=person, format="thu.nghiem.v1", key=key)


class MovedLaws:
    """Nobody stands in the register twice, whatever was refused on the way."""

    def test_the_next_good_version_deletes_what_stands_under_a_key_it_left(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A", hoTen="Một"))
        lab.store.note_left([left("A")])  # version 2 moved to B and was refused
        assert lab.live("A") is not None  # until a good version says more, the last one known stays
        lab.apply(upsert(3, "B", hoTen="Ba"))
        assert lab.live("B") is not None
        gone = lab.row("A")
        assert gone is not None
        assert (gone["lt_deleted_at"] is not None, gone["lt_seq"], gone["hoten"]) == (True, 1, "Một")

    def test_it_does_so_too_when_the_newer_version_comes_first(self, lab: Lab) -> None:
        lab.store.note_left([left("A")])
        lab.apply(upsert(3, "B"), partition=1)  # another partition, another worker
        lab.apply(upsert(1, "A"), partition=0)
        assert lab.live("A") is None
        assert lab.live("B") is not None
        lab.apply(delete(5, "B", answers=False), partition=1)
        lab.apply(upsert(5, "A"), partition=0)  # moved back
        assert lab.live("A") is not None

    def test_what_was_still_on_its_way_to_the_old_key_keeps_its_place(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A", hoTen="Một"), partition=0)
        lab.store.note_left([left("A")])
        lab.apply(upsert(9, "B"), partition=1)
        lab.apply(upsert(5, "A", hoTen="Năm"), partition=0)
        lab.apply(delete(7, "A", answers=False), partition=0)
        gone = lab.row("A")
        assert gone is not None
        assert (gone["lt_deleted_at"] is not None, gone["lt_seq"], gone["hoten"]) == (True, 7, "Năm")

    def test_a_delete_under_the_new_key_deletes_under_the_old_one_too(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"))
        lab.store.note_left([left("A")])
        lab.apply(delete(3, "B"))
        assert lab.live("A") is None

    def test_a_record_that_never_left_stays(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"))
        lab.store.note_left([left("A"), left("A")])  # version 2 was refused for something else
        lab.apply(upsert(3, "A", hoTen="Ba"))
        row = lab.live("A")
        assert row is not None
        assert row["hoten"] == "Ba"

    def test_a_record_that_came_back_is_not_deleted_by_an_older_version(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"))
        lab.store.note_left([left("A")])
        lab.apply(upsert(3, "B"))
        lab.apply(delete(4, "B", answers=False), upsert(4, "A"))
        lab.apply(upsert(3, "B"))  # delivered again
        assert lab.live("A") is not None

    def test_another_record_under_that_key_is_untouched(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"), delete(2, "A"), upsert(3, "A", person="p2"))
        lab.store.note_left([left("A"), left("A", person="p9"), left("A", system="other")])
        lab.apply(upsert(4, "B"))
        row = lab.live("A")
        assert row is not None
        assert row["lt_source_key"] == "p2"

    def test_a_newcomer_that_came_before_the_key_was_let_go_of_is_tried_again(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"), upsert(2, "C", person="p3"))
        # Three entries get other source keys; of each, the new one's partition was faster.
        lab.apply(upsert(4, "A", person="p2", hoTen="Hai"), upsert(6, "C", person="p4"))
        lab.apply(delete(3, "A"))
        assert lab.asked() == {4: "retry", 6: None}
        again = lab.resent()
        lab.apply(upsert(4, "A", person="p2", hoTen="Hai"))
        assert again == [4]
        row = lab.live("A")
        assert row is not None
        assert (row["lt_source_key"], row["hoten"]) == ("p2", "Hai")
        lab.apply(upsert(8, "D"))
        lab.apply(delete(9, "D"), upsert(7, "D", person="p5"))
        lab.apply(upsert(12, "E"))
        lab.apply(upsert(14, "E", person="p6"), delete(13, "E"))  # in one batch
        assert lab.asked() == {6: None, 7: None, 14: "retry"}

    def test_a_newcomer_behind_a_record_that_was_buried_is_tried_again(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"))
        lab.store.note_left([left("A")])  # it moved to B, and was refused
        lab.apply(upsert(3, "A", person="p2"))
        assert lab.asked() == {3: None}
        lab.apply(upsert(4, "B"))
        assert lab.asked() == {3: "retry"}

    def test_a_newcomer_that_the_gate_would_refuse_again_is_left_to_people(self, lab: Lab) -> None:
        lab.apply(upsert(5, "A"))
        lab.apply(
            upsert(6, "A", person="p2"),  # older than the delete
            Change(key="A", seq=9, dataset="khac"),
            Change(key="A", seq=9, system="hotich_khac"),
        )
        lab.apply(delete(7, "A"))
        lab.apply(delete(8, "A", person="p9"))  # deletes nothing
        assert set(lab.asked().values()) == {None}
