"""Laws of a national store: any content, refused content, the effect log."""

import polars as pl
import pytest

from consumers.store import Slice
from tests.store_lab import BOOK, SYSTEM, Change, Lab, delete, numbered, upsert


class ContentLaws:
    """What a row may hold, and what happens to one that cannot be held."""

    # --- content -------------------------------------------------------------------------------------

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
        # No date that a program can read: before 1970, and microseconds taken for milliseconds.
        (Change(committed_ms=-1, seq=2), "lt_committed_ms"),
        (Change(committed_ms=1_700_000_000_000_000, seq=2), "lt_committed_ms"),
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

    def test_what_has_no_field_is_kept_with_the_row_and_goes_with_the_next_version(self, lab: Lab) -> None:
        lab.apply(Change(seq=1, overflow='{"ghi":"a\\u0000b"}'), upsert(2, "K2", person="p2"))
        assert (lab.row() or {})["lt_overflow"] == '{"ghi":"a\\u0000b"}'
        lab.apply(delete(3))
        assert (lab.row() or {})["lt_overflow"] == '{"ghi":"a\\u0000b"}', "a tombstone keeps its last values"
        lab.apply(Change(seq=4, overflow=None))
        assert (lab.live() or {})["lt_overflow"] is None

    # --- what the database refuses -------------------------------------------------------------------

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

    # --- the effect log ------------------------------------------------------------------------------

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
