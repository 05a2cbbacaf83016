"""Locks of clerks, and a PostgreSQL that is away, refuses or forbids."""

import json
from contextlib import closing
from functools import partial
from threading import Event, Thread

import pytest

from deploy.local.postgres import PostgresNode
from producers import postgres_rows
from producers.opening import open_outbox, open_site
from producers.outbox import Locked, Slow
from schemas.errors import LienthongError, TryAgain
from tests.capture_lab import SOHO, CaptureLab, Hand, PostgresHand, replayed, take
from tests.road import wait_for


class TestSnapshotAndLocks:
    def test_a_row_that_is_being_changed_is_waited_for(self, lab: CaptureLab) -> None:
        for id_ in (1, 2, 3):
            lab.insert(id_, "cũ")
        lab.install()
        clerk = lab.another_hand()
        clerk.run("BEGIN")
        clerk.run("UPDATE so_ho SET ho_ten = 'mới' WHERE id = 2")
        lab.site.begin_snapshot(SOHO)
        with pytest.raises(Locked) as caught:
            lab.site.snapshot_chunk(SOHO, 3)
        assert not isinstance(caught.value, Slow)
        assert lab.told() == [], "a chunk is all or nothing"
        assert lab.chunk(1) == 1
        clerk.run("COMMIT")
        assert lab.chunk(3) == 2
        assert lab.told() == [("u", "2"), ("r", "1"), ("r", "2"), ("r", "3")]
        assert replayed(lab.rows()) == lab.table()

    def test_a_clerk_is_never_a_deadlocks_victim(self, lab: CaptureLab) -> None:
        """The clerk holds row 50 and wants row 1, which a chunk holds while it waits for row 50.

        A chunk waits for less than half a second: others follow it until one was seen to wait.
        """
        for id_ in range(1, 101):
            lab.insert(id_)
        lab.install()
        clerk = lab.another_hand()
        for _ in range(3):
            clerk.run("BEGIN")
            clerk.run("UPDATE so_ho SET ho_ten = 'x' WHERE id = 50")
            gave_up, seen = list[Locked](), Event()
            waiting = Thread(target=_chunks, args=(lab, gave_up, seen))
            waiting.start()
            watch = lab.another_hand()
            try:
                wait_for("a chunk to wait", partial(_waits_for_lock, watch), every=0.01)
            finally:
                seen.set()
            clerk.run("UPDATE so_ho SET ho_ten = 'y' WHERE id = 1")  # would raise DeadlockDetected
            clerk.run("COMMIT")
            waiting.join()
            assert gave_up
            take(lab)  # the next one begins anew

    def test_a_statement_that_is_slow_itself_is_not_taken_for_one_that_waits(self, lab: CaptureLab) -> None:
        lab.insert(1)
        lab.install()
        lab.hand.run(
            "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'"
        )
        lab.hand.run(
            "CREATE TRIGGER slowly BEFORE INSERT ON lienthong_outbox FOR EACH ROW EXECUTE PROCEDURE slowly()"
        )
        lab.site.begin_snapshot(SOHO)
        with pytest.raises(Slow) as caught:
            lab.site.snapshot_chunk(SOHO, 1)
        assert "index" in caught.value.next_step

    def test_a_chunk_gives_up_before_a_deadlock_is_looked_for(self, lab: CaptureLab) -> None:
        assert postgres_rows.BRIEF.endswith("ms")
        (limit,) = lab.hand.run("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'")[0]
        assert int(postgres_rows.BRIEF.removesuffix("ms")) < limit


def _chunks(lab: CaptureLab, gave_up: list[Locked], enough: Event) -> None:
    lab.site.begin_snapshot(SOHO)
    while not enough.is_set():
        try:
            lab.site.snapshot_chunk(SOHO, 100)
        except Locked as locked:
            gave_up.append(locked)


def _waits_for_lock(hand: Hand) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE application_name = 'lienthong capture' AND wait_event_type = 'Lock'"
    )
    return bool(hand.run(query))


class TestErrors:
    def test_a_server_that_is_away_is_a_reason_to_try_again(self, lab: CaptureLab) -> None:
        outbox = open_outbox("postgresql+psycopg://ai:mat_khau@127.0.0.1:1/khong_co")
        with pytest.raises(TryAgain) as caught:
            outbox.lead()
        assert "khong_co" in caught.value.message
        assert "mat_khau" not in caught.value.message

    def test_a_lost_connection_is_a_reason_to_try_again_and_the_next_one_works(self, lab: CaptureLab) -> None:
        lab.install()
        assert lab.outbox.lead()
        lab.hand.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'lienthong capture' AND datname = current_database()"
        )
        with pytest.raises(TryAgain):
            lab.outbox.still_leads()
        lab.outbox.close()
        wait_for("the lead to be free", lab.outbox.lead)

    def test_a_busy_table_is_told_and_left_as_it_was(self, lab: CaptureLab) -> None:
        clerk = lab.another_hand()
        clerk.run("BEGIN")
        lab.insert(1, hand=clerk)
        statements = ["SET LOCAL lock_timeout = '100ms'", *lab.site.needed(SOHO)]
        with pytest.raises(Locked):
            lab.site.run(statements)
        clerk.run("COMMIT")
        assert lab.site.states() == []

    def test_values_of_a_record_are_never_told(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run(
            "ALTER TABLE lienthong_outbox ADD CONSTRAINT hep CHECK (op <> 'r' OR after::text !~ 'BÍ MẬT')"
        )
        lab.insert(1, "BÍ MẬT")
        with pytest.raises(LienthongError) as caught:
            take(lab)
        told = f"{caught.value.message} {caught.value.next_step} {caught.value.__cause__}"
        assert "CheckViolation" in told
        assert "BÍ MẬT" not in told

    def test_a_missing_right_is_told(self, lab: CaptureLab, unique: str) -> None:
        lab.install()
        lab.hand.run(f"CREATE ROLE {unique} LOGIN")
        site = open_site(lab.source.replace("postgres@", f"{unique}@"))
        try:
            with pytest.raises(LienthongError, match="may not do this"):
                site.states()
        finally:
            site.close()
            lab.hand.run(f"DROP ROLE {unique}")

    def test_a_database_without_an_encoding_is_captured_while_it_holds_utf8(
        self, postgres: PostgresNode, unique: str
    ) -> None:
        with closing(PostgresHand(postgres.url())) as admin:
            admin.run(
                f"CREATE DATABASE {unique} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
                " TEMPLATE template0"
            )
        with closing(CaptureLab(postgres.url(unique))) as lab:
            lab.hand.run("SET client_encoding = 'UTF8'")
            lab.install()
            lab.insert(1, "Nguyễn Thử")
            assert take(lab) == 1
            names = [json.loads(row.after or "")["ho_ten"] for row in lab.number()]
            assert names == ["Nguyễn Thử"] * 2
            lab.hand.run("SET client_encoding = 'SQL_ASCII'")
            lab.hand.run(r"UPDATE so_ho SET ho_ten = E'\xe9'")
            with pytest.raises(LienthongError, match="not UTF-8"):
                lab.number()
        postgres.drop_database(unique)
