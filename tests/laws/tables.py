"""Laws of a national store: its tables, made from formats and altered by additions only."""

import threading
from contextlib import closing

import pytest

from consumers.opening import open_store
from consumers.store import StoreError
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, national_format, upsert

WIDER = national_format(
    "so", "ngayMoi", "hoTen", "ghiChu", "Order"
)  #: one field in the middle, one at the end


class TableLaws:
    """``address`` is that of an empty database."""

    def test_an_empty_database_needs_everything_and_then_nothing(self, address: str) -> None:
        with closing(open_store(address)) as store:
            plan = store.plan([BOOK])
            assert store.plan([BOOK]) == plan  # it wrote nothing
            assert any(statement.startswith(f"CREATE TABLE {BOOK.table} ") for statement in plan)
            assert store.migrate([BOOK]) == plan
            assert store.plan([BOOK]) == store.migrate([BOOK]) == []
            store.check([BOOK])

    def test_a_store_without_its_tables_says_what_to_do(self, address: str) -> None:
        with closing(open_store(address)) as store:
            for act in (
                lambda: store.check([BOOK]),
                lambda: store.ledger("thu"),
                lambda: store.claim("thu", [], generation=1, owner="w") or store.answers(SYSTEM),
            ):
                with pytest.raises(StoreError) as caught:
                    act()
                assert caught.value.next_step == "lienthong store migrate"

    def test_a_format_that_is_new_to_the_store_stops_the_batch_not_the_ledger(self, lab: Lab) -> None:
        other = national_format("so", entity="khac")
        lab.apply(upsert(1))
        before = lab.everything()
        lab.national = other
        with pytest.raises(StoreError) as caught:
            lab.apply(upsert(1))
        assert caught.value.next_step == "lienthong store migrate"
        lab.national = BOOK
        after = lab.everything()
        assert after[BOOK.table] == before[BOOK.table]
        assert after["lienthong_receipt"] == before["lienthong_receipt"]

    def test_a_store_of_before_gets_the_column_of_what_has_no_field(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A"))
        before = lab.row()
        lab.execute(f"DROP VIEW {BOOK.table}_current", f"ALTER TABLE {BOOK.table} DROP COLUMN lt_overflow")
        with pytest.raises(StoreError, match=r"lt_overflow") as caught:
            lab.store.check([BOOK])
        assert caught.value.next_step == "lienthong store migrate"
        plan = lab.store.migrate([BOOK])
        assert f"ALTER TABLE {BOOK.table} ADD COLUMN lt_overflow TEXT" in plan
        assert lab.row() == before
        assert lab.store.plan([BOOK]) == []

    def test_a_new_field_becomes_a_column_and_nothing_else_changes(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A", ghiChu="x"))
        before = lab.row()
        with pytest.raises(StoreError, match=r"thu_nghiem_v1\.ngaymoi"):
            lab.store.check([WIDER])
        plan = lab.store.migrate([WIDER])
        added = [statement for statement in plan if statement.startswith("ALTER TABLE")]
        assert added == [
            f"ALTER TABLE {BOOK.table} ADD COLUMN ngaymoi TEXT",
            f'ALTER TABLE {BOOK.table} ADD COLUMN "order" TEXT',
        ]
        assert not any("DROP TABLE" in statement or "DROP COLUMN" in statement for statement in plan)
        assert lab.store.migrate([WIDER]) == []
        assert lab.row() == (before or {}) | {"ngaymoi": None, "order": None}
        lab.national = WIDER
        lab.apply(upsert(2, hoTen="B", ngayMoi="2018", Order="1"))
        (shown,) = lab.rows(f"SELECT * FROM {BOOK.table}_current")
        assert (shown["hoten"], shown["ngaymoi"], shown["order"], shown["lt_seq"]) == ("B", "2018", "1", 2)

    def test_a_worker_with_the_older_format_goes_on_beside_a_newer_one(self, lab: Lab) -> None:
        lab.store.migrate([WIDER])
        lab.national = WIDER
        lab.apply(upsert(1, hoTen="A", ngayMoi="2018"))
        lab.national = BOOK
        assert lab.apply(upsert(2, hoTen="B")).applied == 1
        row = lab.live() or {}
        assert (row["hoten"], row["ngaymoi"]) == ("B", "2018")

    def test_a_field_that_left_the_format_keeps_its_column(self, lab: Lab) -> None:
        lab.apply(upsert(1, hoTen="A", ghiChu="x"))
        assert lab.store.plan([national_format("so", "hoTen")]) == []
        assert (lab.row() or {})["ghichu"] == "x"

    def test_a_column_of_another_type_is_told_and_left_alone(self, address: str, lab: Lab) -> None:
        lab.execute(
            f"DROP VIEW {BOOK.table}_current",
            f"ALTER TABLE {BOOK.table} DROP COLUMN ghichu",
            f"ALTER TABLE {BOOK.table} ADD COLUMN ghichu INTEGER",
        )
        for act in (lab.store.plan, lab.store.migrate, lab.store.check):
            with pytest.raises(StoreError, match=r"thu_nghiem_v1\.ghichu: is INTEGER, must be TEXT"):
                act([BOOK])
        assert "INTEGER" in lab.column_type("ghichu")

    def test_the_effect_log_is_made_only_where_it_is_wanted(self, address: str) -> None:
        with closing(open_store(address)) as store:
            store.migrate([BOOK])
        with closing(open_store(address, effect_log=True)) as logging:
            assert ["lienthong_effect" in statement for statement in logging.plan([BOOK])] == [True]

    def test_processes_that_migrate_at_once_do_not_hurt_each_other(self, address: str) -> None:
        failures: list[Exception] = []
        plans: list[list[str]] = []

        def migrate() -> None:
            try:
                with closing(open_store(address)) as store:
                    plans.append(store.migrate([BOOK]))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=migrate) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(map(bool, plans)) == [False, False, True]

    def test_two_stores_share_one_database(self, lab: Lab) -> None:
        with closing(open_store(lab.url)) as reader:
            lab.apply(upsert(1))
            (answers,) = reader.answers(SYSTEM, DATASET)
            assert str(answers.applied) == "1"
