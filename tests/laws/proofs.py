"""Laws of a national store: its sums are those of its rows, and what was proved is kept."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import polars as pl

from consumers.proofs import Known, Proof, Refused
from consumers.store import inbound_name
from schemas.sums import Adding, Sum, bucket_of, row_texts, unequal
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, a_reject, delete, numbered, upsert

WHOSE = (BOOK, SYSTEM, DATASET)
TOPICS = [f"province.{SYSTEM}.{DATASET}", BOOK.topic]
MINE = (SYSTEM, DATASET, TOPICS)


def a_proof(dataset: str = DATASET, **more: Any) -> Proof:
    known: dict[str, Any] = {
        "system": SYSTEM, "dataset": dataset, "at": datetime(2026, 11, 26, 3, tzinfo=UTC), "took_ms": 1500,
        "rows": 9, "translated": 8, "missing": 1, "extra": 2, "different": 3, "refused": 4, "in_flight": 5,
        "differing": 4,
    }  # fmt: skip
    return Proof(**known | more)


def rows_of(lab: Lab, *people: str) -> pl.DataFrame:
    return pl.concat(lab.store.national_rows(*WHOSE, keys=people)).sort("lt_source_key")


class ProofLaws:
    """``lab``: a store with ``BOOK``'s table."""

    def test_sums_are_those_of_the_rows_in_force(self, lab: Lab) -> None:
        odd = {"hoTen": "Đỗ Thị Ất 🙂", "ghiChu": ""}
        lab.apply(*numbered(40, hoTen="An"), upsert(41, "K41", person="p|41", **odd), upsert(42, "K42"))
        lab.apply(delete(43, "K3", person="p3"))
        rows = rows_of(lab, *(f"p{n}" for n in range(1, 41)), "p|41")
        assert rows.filter(rows["lt_deleted"])["lt_source_key"].to_list() == ["p3"]
        rows = rows.filter(~rows["lt_deleted"])
        there = Adding()
        texts = row_texts(rows.drop("lt_seq", "lt_deleted"))
        there.add(map(bucket_of, rows["lt_source_key"].to_list()), texts.to_list())
        assert lab.store.national_sums(*WHOSE) == there.sums()
        assert sum(one.rows for one in there.sums().values()) == 41

    def test_any_changed_value_changes_the_sum_of_its_bucket_only(self, lab: Lab) -> None:
        lab.apply(*numbered(20, hoTen="An"))
        before = lab.store.national_sums(*WHOSE)
        for column, value in (("hoten", "'Ấn'"), ("ghichu", "''"), ("hoten", "NULL"), ("lt_key", "'X'")):
            lab.execute(f"UPDATE {BOOK.table} SET {column} = {value} WHERE lt_source_key = 'p7'")
            assert unequal(before, lab.store.national_sums(*WHOSE)) == {bucket_of("p7")}

    def test_another_dataset_and_an_empty_table_have_no_part_in_it(self, lab: Lab) -> None:
        assert lab.store.national_sums(*WHOSE) == {}
        assert not any(map(len, lab.store.national_rows(*WHOSE, keys=["p1"])))
        lab.apply(upsert(1))
        assert lab.store.national_sums(BOOK, SYSTEM, "khac") == {}

    def test_rows_are_told_by_bucket_and_by_key(self, lab: Lab) -> None:
        lab.apply(*numbered(30, hoTen="An"))
        bucket = bucket_of("p5")
        _, found = lab.store.national_rows(*WHOSE, buckets=[bucket])
        assert "p5" in found["lt_source_key"]
        assert {bucket_of(key) for key in found["lt_source_key"]} == {bucket}
        row = rows_of(lab, "p5").row(0, named=True)
        assert row == {
            "lt_source_key": "p5", "lt_key": "K5", "lt_seq": 5, "lt_overflow": None, "so": None,
            "hoTen": "An", "ghiChu": None, "lt_deleted": False,
        }  # fmt: skip

    def test_the_newest_reject_of_a_record_counts_until_it_is_mended(self, lab: Lab) -> None:
        lab.claim()
        rejects = [a_reject(1, seq=1, source_key="p1"), a_reject(2, seq=5, source_key="p1")]
        rejects += [a_reject(3, seq=None, source_key="p2"), a_reject(4, seq=4, source_key="p3")]
        lab.send(lab.batch(rejects=rejects))
        lab.execute("UPDATE lienthong_reject SET became = 'mended' WHERE source_key = 'p3'")
        lab.execute("UPDATE lienthong_reject SET became = 'dropped' WHERE source_key = 'p2'")
        assert lab.store.refused(*MINE) == {"p1": Refused(5, True), "p2": Refused(0, False)}
        assert lab.store.refused(SYSTEM, "khac", TOPICS) == {}

    def test_what_an_inbound_contract_refuses_of_a_record_is_no_reject_of_its_dataset(self, lab: Lab) -> None:
        other = "yte_qnam/nguoidan@1"  # reads the topic of a format that the dataset feeds
        theirs = [a_reject(1, seq=1, topic=BOOK.topic, contract=other)]
        theirs.append(a_reject(2, seq=2, topic="national.yte.nguoidan.v1"))  # by the sync hop, of what it fed
        lab.store.settle(inbound_name("thu", "yte_qnam/nguoidan"), [], rejects=theirs, formats=[])
        assert lab.store.refused(*MINE) == {}
        mine = [a_reject(3, seq=3, contract=f"{SYSTEM}/{DATASET}@12"), a_reject(4, seq=4, topic=BOOK.topic)]
        lab.store.settle("thu", [], rejects=mine, formats=[BOOK.full_id])
        assert lab.store.refused(*MINE) == {"p3": Refused(3, True), "p4": Refused(4, True)}

    def test_what_was_translated_is_kept_as_long_as_the_translation_stays(self, lab: Lab) -> None:
        first = Known(bucket="00a", source=Sum(3, -(2**63)), refused=1, national={BOOK.full_id: Sum(2, 7)})
        second = Known(bucket="fff", source=Sum(1, 5), refused=0, national={BOOK.full_id: Sum(1, 2**63 - 1)})
        lab.store.keep(a_proof(), "f1", [first, second], [])
        assert sorted(lab.store.known(SYSTEM, DATASET, "f1"), key=lambda one: one.bucket) == [first, second]
        assert lab.store.known(SYSTEM, DATASET, "f2") == []
        newer = Known(bucket="00a", source=Sum(4, 1), refused=0, national={BOOK.full_id: Sum(4, 8)})
        lab.store.keep(a_proof(), "f1", [newer], ["fff"])
        assert lab.store.known(SYSTEM, DATASET, "f1") == [newer]
        lab.store.keep(a_proof(), "f2", [], [])
        assert lab.store.known(SYSTEM, DATASET, "f1") == []

    def test_two_comparisons_may_keep_the_same_at_once(self, lab: Lab) -> None:
        known = [
            Known(bucket=f"{n:03x}", source=Sum(1, n), refused=0, national={BOOK.full_id: Sum(1, n)})
            for n in range(500)
        ]
        with ThreadPoolExecutor(max_workers=3) as threads:
            keeping = [threads.submit(lab.store.keep, a_proof(rows=n), "f", known, []) for n in range(3)]
        for one in keeping:
            one.result()
        assert len(lab.store.known(SYSTEM, DATASET, "f")) == 500

    def test_the_last_proof_of_each_dataset_is_told(self, lab: Lab) -> None:
        assert lab.store.proofs() == []
        for one in (a_proof(rows=1), a_proof("khac"), a_proof(rows=2)):
            lab.store.keep(one, "f", [], [])
        assert lab.store.proofs() == [a_proof("khac"), a_proof(rows=2)]
        assert a_proof().drift == 6

    def test_a_proof_of_an_earlier_version_tells_all_that_differed(self, lab: Lab) -> None:
        lab.store.keep(a_proof(), "f", [], [])
        lab.execute("UPDATE lienthong_proof SET differing = NULL")
        assert lab.store.proofs() == [a_proof(differing=6)]
