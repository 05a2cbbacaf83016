"""Laws of a national store: what each applied change leaves in the audit chain."""

from dataclasses import replace
from hashlib import blake2b

import pytest

from consumers.audit_lines import LINE, NOTHING, contents_of
from consumers.store import Fenced
from tests.laws.moved import left
from tests.store_lab import BOOK, DATASET, SYSTEM, Change, Lab, a_reject, delete, frame, numbered, upsert


class AuditLaws:
    """Exactly one line for each change counted as applied, in the transaction of its row."""

    def test_each_applied_change_leaves_one_line_that_names_the_version_replaced(self, lab: Lab) -> None:
        lab.apply(*numbered(3))
        lab.apply(upsert(4, "K2", person="p2"), delete(5, "K3", person="p3"))
        assert lab.lines() == [(1, "u", -1), (2, "u", -1), (3, "u", -1), (4, "u", 2), (5, "d", 3)]

    def test_what_changes_nothing_leaves_no_line(self, lab: Lab) -> None:
        lab.apply(upsert(2), upsert(9, "K9", person="p9"))
        before = lab.lines()
        told = lab.apply(upsert(1), upsert(2), upsert(10, "K9", person="p8"), delete(11, "K9", person="p7"))
        assert (told.applied, told.stale, told.duplicate, len(told.rejected)) == (0, 2, 1, 1)
        assert lab.lines() == before

    def test_versions_that_came_together_replaced_each_other(self, lab: Lab) -> None:
        lab.apply(upsert(1))
        told = lab.apply(upsert(2), upsert(5), upsert(3), upsert(6), upsert(6), delete(7))
        assert (told.applied, told.stale, told.duplicate) == (4, 1, 1)
        assert lab.lines()[1:] == [(2, "u", 1), (5, "u", 2), (6, "u", 5), (7, "d", 6)]

    def test_a_line_names_its_own_version_replaced_however_long_the_records_are(self, lab: Lab) -> None:
        """Short rows may come to stand where a long one found no room, before earlier ones."""
        every = range(1, 401)
        names = {at: "x" * (at * 977 % 3000) for at in every}
        lab.apply(*(upsert(at, f"K{at}", person=f"p{at}") for at in every if at % 2))
        lab.apply(*(upsert(1000 + at, f"K{at}", person=f"p{at}", hoTen=names[at]) for at in every))
        replaced = {seq: before for seq, _, before in lab.lines() if seq > 1000}
        assert replaced == {1000 + at: at if at % 2 else -1 for at in every}

    def test_a_tombstone_taken_over_was_nothing_of_the_new_record(self, lab: Lab) -> None:
        lab.apply(upsert(1, person="p1"), delete(2, person="p1"))
        lab.apply(upsert(3, person="p2"))
        assert lab.lines()[-1] == (3, "u", -1)

    def test_a_moved_key_leaves_a_line_for_each_of_its_halves(self, lab: Lab) -> None:
        lab.apply(upsert(1, "OLD"))
        assert lab.apply(delete(2, "OLD", answers=False), upsert(2, "NEW")).applied == 2
        assert lab.lines()[1:] == [(2, "d", 1), (2, "u", -1)]

    def test_a_row_buried_under_a_key_that_its_record_left_leaves_a_line(self, lab: Lab) -> None:
        lab.apply(upsert(1, "A"), upsert(2, "K2", person="p2"))
        lab.store.note_left([left("A")])
        lab.apply(upsert(3, "K3", person="p3"), upsert(4, "B"))
        assert lab.lines()[2:] == [(3, "u", -1), (4, "u", -1), (4, "d", 1)]
        lab.apply(
            upsert(2, "A"), upsert(4, "B")
        )  # late, and again: nothing more is deleted but what it wrote
        assert lab.lines()[5:] == [(2, "u", 1), (4, "d", 2)]
        handles = [line[2] for block in lab.store.blocks_of(None) for line in block.each()]
        assert len({handles[at] for at in (0, 3, 4, 5, 6)}) == 1
        handle = lab.key.marks(SYSTEM, DATASET, [b"p1"]).handles
        assert handles[4] == handle

    def test_a_row_that_the_database_refuses_leaves_no_line_and_the_others_do(self, guarded: Lab) -> None:
        guarded.apply(upsert(1, hoTen="A"))
        told = guarded.apply(
            upsert(2, hoTen="B"), upsert(3, "K2", person="p2", hoTen="XẤU"), upsert(4, hoTen="C")
        )
        assert (told.applied, len(told.rejected)) == (2, 1)
        assert guarded.lines() == [(1, "u", -1), (2, "u", 1), (4, "u", 2)]

    def test_a_fenced_batch_leaves_no_line(self, lab: Lab) -> None:
        batch = lab.batch(upsert(1))
        lab.claim()
        with pytest.raises(Fenced):
            lab.send(batch)
        assert lab.lines() == []

    def test_a_line_tells_the_record_only_to_who_has_the_key(self, lab: Lab) -> None:
        change = upsert(1, hoTen='Phạm "Văn"\nThử', ghiChu=None)
        lab.apply(change, delete(2, "K2", person="p2"))
        (block,) = lab.store.blocks_of(None)
        (_, _, handle, _, after), (_, _, other, _, gone) = LINE.iter_unpack(block.lines)
        marks = lab.key.marks(SYSTEM, DATASET, [b"p1", b"p2"])
        (content,) = contents_of(frame(BOOK, [change], [(0, 0)]), BOOK)
        assert "Phạm".encode() in content
        assert handle + other == marks.handles
        assert (after, gone) == (blake2b(content, digest_size=32, salt=marks.salts[:16]).digest(), NOTHING)
        assert (block.key, block.format, block.contract) == (
            lab.key.id,
            BOOK.full_id,
            f"{SYSTEM}/{DATASET}@1",
        )

    def test_each_dataset_of_a_batch_has_a_block_of_its_own(self, lab: Lab) -> None:
        lab.apply(upsert(1), Change(seq=7, key="K2", dataset="khac"), upsert(2, "K3", person="p3"))
        blocks = lab.store.blocks_of(None)
        told = {one.dataset: [line[0] for line in LINE.iter_unpack(one.lines)] for one in blocks}
        assert told == {DATASET: [1, 2], "khac": [7]}

    def test_without_a_key_nothing_is_written_down(self, lab: Lab) -> None:
        prepared = replace(lab.store.prepare(lab.batch(upsert(1))), draft=None)
        assert lab.store.apply(prepared, lab.deployment).applied == 1
        assert lab.lines() == []

    # --- seals ---------------------------------------------------------------------------------------

    def test_what_is_written_down_is_sealed_once_and_in_order(self, lab: Lab) -> None:
        lab.apply(*numbered(20))
        lab.apply(upsert(21))
        assert (lab.store.unsealed().blocks, lab.store.unsealed().lines) == (2, 21)
        first = lab.store.seal(lab.key)
        assert first is not None
        assert lab.store.seal(lab.key) is None
        lab.apply(upsert(22))
        second = lab.store.seal(lab.key)
        assert second is not None
        assert [one.number for one in lab.store.seals()] == [1, 2]
        assert (lab.store.unsealed().blocks, lab.store.unsealed().oldest_seconds) == (0, 0.0)
        assert [len(lab.store.blocks_of(number)) for number in (1, 2)] == [2, 1]
        assert f'"previous":"{first.anchor.digest}"' in second.statement
        assert lab.key.signed(second.statement.encode(), second.signature)

    def test_a_record_is_found_in_the_order_of_the_chain(self, lab: Lab) -> None:
        lab.apply(*numbered(3))
        lab.store.seal(lab.key)
        lab.apply(upsert(4, "K2", person="p2"))
        handle = lab.key.marks(SYSTEM, DATASET, [b"p2"]).handles
        found = lab.store.blocks_with(handle, SYSTEM, DATASET)
        assert [(seal, len(block.lines) // LINE.size) for seal, block in found] == [(1, 3), (None, 1)]
        assert lab.store.blocks_with(handle, SYSTEM, "khac") == []

    def test_what_a_person_did_is_a_line_too(self, lab: Lab) -> None:
        lab.store.settle(lab.deployment, [], rejects=[a_reject(1, seq=5)], formats=[BOOK.full_id])
        (row,) = lab.store.rejects(SYSTEM)
        lab.store.revealed(row.id, who="Bà Thử", why="kiểm tra")
        (block,) = lab.store.blocks_of(None)
        ((number, op, _, _, after),) = LINE.iter_unpack(block.lines)
        assert (number, op, [(number, after)]) == (row.id, b"p", lab.store.deed_hashes())
