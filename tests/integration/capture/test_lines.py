"""The laws of records of several tables on PostgreSQL, and what only PostgreSQL does."""

import json
from threading import Thread

import psycopg
import pytest

from producers.install import check
from producers.outbox import Capture
from schemas.contracts import LineSet
from schemas.errors import LienthongError
from tests.capture_lab import CaptureLab, a_contract, replayed, take
from tests.line_laws import DONG, LINED, LineLaws, dong, held, kinds, leftovers, make
from tests.road import wait_for


class TestLines(LineLaws):
    """All of them, and what only PostgreSQL does."""

    def test_one_statement_on_many_lines_is_one_change_of_each_record(self, lab: CaptureLab) -> None:
        make(lab)
        lab.hand.run("INSERT INTO so_ho (id) SELECT generate_series(1, 40)")
        lab.install(LINED)
        insert = "INSERT INTO so_dong (dong_id, ho_id, stt, loai) SELECT n, n % 40 + 1, n, 'a' FROM"
        lab.hand.run(f"{insert} generate_series(1, 200) AS n")
        lab.hand.run("UPDATE so_dong SET loai = 'b' WHERE stt > 100")
        lab.hand.run("DELETE FROM so_dong WHERE ho_id = 7")
        rows = lab.rows(LINED)
        assert [row.op for row in rows] == ["u"] * 81
        assert kinds(rows[-1]) == (["a", "a", "a", "b", "b"], [])
        assert replayed(rows) == lab.table(LINED)

    def test_two_clerks_on_lines_of_one_record_lose_nothing(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        lab.install(LINED)
        first, second = lab.another_hand(), lab.another_hand()
        first.run("BEGIN")
        dong(lab, 1, 1, hand=first, loai="a")
        other = Thread(target=lambda: dong(lab, 2, 1, hand=second, loai="b"))
        other.start()
        watch = lab.another_hand()
        waits = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        wait_for("the second clerk to wait", lambda: watch.run(waits))
        first.run("COMMIT")
        other.join()
        assert [kinds(row) for row in lab.rows(LINED)] == [([], ["a"]), (["a"], ["a", "b"])]

    @pytest.mark.parametrize("later", ["line", "record"])
    def test_a_stricter_isolation_fails_rather_than_tell_less_than_there_is(
        self, lab: CaptureLab, later: str
    ) -> None:
        make(lab)
        lab.insert(1)
        lab.install(LINED)
        clerk = lab.another_hand()
        clerk.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        clerk.run("SELECT 1")
        dong(lab, 1, 1, loai="a")
        change = "UPDATE so_ho SET ho_ten = 'khác'"
        with pytest.raises(psycopg.errors.SerializationFailure):
            clerk.run(change if later == "record" else "INSERT INTO so_dong (dong_id, ho_id) VALUES (2, 1)")
        clerk.run("ROLLBACK")
        assert replayed(lab.rows(LINED)) == lab.table(LINED)

    def test_truncating_lines_changes_their_records_and_truncating_records_deletes_them(
        self, lab: CaptureLab
    ) -> None:
        make(lab)
        for id_ in (1, 2, 3):
            lab.insert(id_)
        dong(lab, 1, 1, loai="a")
        dong(lab, 2, 2, loai="b")
        lab.hand.run("INSERT INTO so_nha VALUES (2, 'x')")
        lab.install(LINED)
        lab.hand.run("TRUNCATE so_dong, so_nha")
        assert lab.told(LINED) == [("u", "1"), ("u", "2")]
        assert [kinds(row) for row in lab.rows(LINED)] == [(["a"], []), (["b"], [])]
        assert held(lab.rows(LINED)[1].before, "nha") == [{"dia_chi": "x"}]
        dong(lab, 1, 1, loai="a")
        lab.hand.run("TRUNCATE so_ho CASCADE")
        assert lab.told(LINED)[3:] == [("d", "1"), ("d", "2"), ("d", "3")]
        assert kinds(lab.rows(LINED)[3]) == (["a"], None)

    def test_a_dropped_column_of_the_lines_stops_no_clerk_and_is_told(self, lab: CaptureLab) -> None:
        make(lab, cascade=False)
        lab.insert(1)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run("UPDATE so_dong SET loai = 'b'")
        lab.hand.run("ALTER TABLE so_dong DROP COLUMN tien")
        lab.hand.run("UPDATE so_dong SET loai = 'c'")
        lab.hand.run("UPDATE so_ho SET ho_ten = 'x'")
        lab.hand.run("ALTER TABLE so_dong DROP COLUMN ho_id")
        lab.hand.run("UPDATE so_dong SET loai = 'd'")
        assert lab.told(LINED) == [("u", "1"), ("u", "1"), ("u", "1"), ("u", "")]
        assert [("dong" in json.loads(row.after or "")) for row in lab.rows(LINED)] == [True, *[False] * 3]

    @pytest.mark.parametrize(
        ("ddl", "told"),
        [
            ("so_dong DROP COLUMN loai", [("u", "1"), ("u", "2")]),
            ("so_ho DROP COLUMN ho_ten", [("u", "1"), ("u", "2")]),
            ("so_dong RENAME COLUMN ho_id TO ho", [("u", "1"), ("u", "2")]),
            ("so_ho RENAME TO so_cu", [("u", "")]),
        ],
    )
    def test_truncating_lines_once_a_column_is_gone(
        self, lab: CaptureLab, ddl: str, told: list[tuple[str, str]]
    ) -> None:
        make(lab, cascade=False)
        lab.insert(1)
        lab.insert(2)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run(f"ALTER TABLE {ddl}")
        lab.hand.run("TRUNCATE so_dong")
        assert lab.told(LINED) == told
        assert lab.site.lacking(LINED) == len(told)

    def test_truncating_records_and_lines_once_a_column_is_gone_leaves_no_record(
        self, lab: CaptureLab
    ) -> None:
        """A record told once more after its deletion would stand in the national store for ever."""
        make(lab)
        lab.insert(1)
        lab.insert(2)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run("ALTER TABLE so_dong DROP COLUMN loai")
        lab.hand.run("TRUNCATE so_ho CASCADE")
        assert lab.told(LINED) == [("d", "1"), ("d", "2")]

    def test_a_session_that_was_there_when_a_columns_type_was_changed_goes_on(self, lab: CaptureLab) -> None:
        make(lab, cascade=False)
        lab.insert(1)
        lab.install(LINED)
        dong(lab, 1, 1, loai="a")
        lab.hand.run("UPDATE so_dong SET loai = 'b'")
        lab.hand.run("ALTER TABLE so_dong ALTER ho_id TYPE integer")
        lab.hand.run("UPDATE so_dong SET loai = 'c'")
        dong(lab, 2, 1, loai="d")
        assert [kinds(row)[1] for row in lab.rows(LINED)] == [["a"], ["b"], ["c"], ["c", "d"]]
        assert replayed(lab.rows(LINED)) == lab.table(LINED)

    def test_what_replication_applies_is_captured_too(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        lab.install(LINED)
        lab.hand.run("SET session_replication_role = replica")
        dong(lab, 1, 1, loai="a")
        lab.hand.run("UPDATE so_dong SET loai = 'b'")
        assert replayed(lab.rows(LINED)) == lab.table(LINED)
        assert kinds(lab.rows(LINED)[-1]) == (["a"], ["b"])

    def test_tables_with_odd_names_in_other_schemas(self, lab: CaptureLab) -> None:
        lab.hand.run('CREATE SCHEMA "khác \'"')
        lab.hand.run(
            'CREATE TABLE "khác \'"."dòng \'lạ\'" ("hồ ""sơ" bigint, "mã %s" text, UNIQUE ("hồ ""sơ"))'
        )
        odd = LineSet(table="khác '.dòng 'lạ'", on={'hồ "sơ': "id"}, columns={"mã %s": "string"}, one=True)
        strange = Capture.of(a_contract(columns={"id": "long"}, lines={"la": odd}))
        lab.insert(1)
        lab.install(strange)
        lab.hand.run("INSERT INTO \"khác '\".\"dòng 'lạ'\" VALUES (1, 'x')")
        take(lab, strange)
        assert [held(row.after, "la") for row in lab.rows(strange)] == [[{"mã %s": "x"}]] * 2
        lab.site.run(lab.site.removal(strange))
        assert leftovers(lab) == []

    def test_installing_looks_at_the_tables_of_the_lines(self, lab: CaptureLab) -> None:
        make(lab)
        lab.hand.run("DROP INDEX so_dong_ho")
        contract = a_contract(columns={"id": "long"}, lines={"dong": DONG})
        told = check(contract, lab.site.inspect("so_ho"), {"dong": lab.site.inspect("so_dong")})
        assert any("no index of so_dong begins with ho_id" in note for note in told)
        wrong = DONG.model_copy(update={"on": {"loai": "id"}})
        with pytest.raises(LienthongError, match="loai is text, and id of the record is bigint"):
            check(
                a_contract(columns={"id": "long"}, lines={"dong": wrong}),
                lab.site.inspect("so_ho"),
                {"dong": lab.site.inspect("so_dong")},
            )
