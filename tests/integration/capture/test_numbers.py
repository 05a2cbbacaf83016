"""PostgreSQL alone: numbers given while clerks are at work, and where a look for new rows begins."""

import json
import random
from threading import Thread
from time import sleep

import pytest
from sqlalchemy import make_url

from producers import postgres_floor, postgres_rows
from producers.postgres import PostgresOutbox
from producers.postgres_rows import PostgresRows
from tests.capture_lab import PAIRS, SOHO, CaptureLab, make_pairs, replayed
from tests.road import PATIENCE_SECONDS, wait_for


class TestTransactions:
    def test_what_is_not_committed_has_no_number(self, lab: CaptureLab) -> None:
        lab.install()
        slow = lab.another_hand()
        with lab.transaction(slow):
            lab.insert(1, hand=slow)
            lab.insert(2)
            assert len(lab.number()) == 1
        assert len(lab.number()) == 1
        assert {row.key: row.seq for row in lab.rows()} == {"2": 1, "1": 2}

    @pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
    def test_a_clerk_in_a_stricter_isolation_is_captured_too(self, lab: CaptureLab, isolation: str) -> None:
        lab.insert(1, "trước")
        clerk = lab.another_hand()
        clerk.run(f"BEGIN ISOLATION LEVEL {isolation}")
        clerk.run("SELECT 1")  # takes the snapshot before the triggers exist
        lab.install()
        clerk.run("UPDATE so_ho SET ho_ten = 'sau' WHERE id = 1")
        clerk.run("COMMIT")
        assert lab.told() == [("u", "1")]
        assert replayed(lab.rows()) == lab.table()

    def test_many_writers_and_numbers_taken_meanwhile_keep_the_order_of_each_key(
        self, lab: CaptureLab
    ) -> None:
        lab.install()
        for id_ in range(1, 9):
            lab.insert(id_, "0")

        def clerk(number: int) -> None:
            hand = lab.another_hand()
            for turn in range(60):
                with lab.transaction(hand):
                    hand.run("UPDATE so_ho SET le_phi = coalesce(le_phi, 0) + 1 WHERE id = ?", turn % 8 + 1)
                    if turn % 3 == number % 3:
                        sleep(0.002)

        clerks = [Thread(target=clerk, args=(number,)) for number in range(6)]
        for one in clerks:
            one.start()
        while any(one.is_alive() for one in clerks):
            lab.number(limit=17)
        while lab.number(limit=17):  # what they were faster with
            pass
        rows = sorted(lab.rows(), key=lambda row: row.seq)
        assert [row.seq for row in rows] == list(range(1, 8 + 6 * 60 + 1))
        for key in {row.key for row in rows}:
            mine = [json.loads(row.after or "")["le_phi"] for row in rows if row.key == key]
            fees = [float(fee or 0) for fee in mine]
            assert fees == sorted(fees), f"numbers of key {key} do not follow its commits"


class TestWhereToLook:
    """A look for new rows begins above what is settled; nothing may ever be passed over."""

    @pytest.fixture
    def lab(self, lab: CaptureLab, monkeypatch: pytest.MonkeyPatch) -> CaptureLab:
        monkeypatch.setattr(postgres_floor, "_EVERY_SECONDS", 0.0)
        lab.install()
        return lab

    def floor(self, lab: CaptureLab) -> int:
        assert isinstance(lab.outbox, PostgresOutbox)
        return lab.outbox._floor.below([SOHO.dataset])

    def settled(self, lab: CaptureLab) -> bool:
        """Whether what was looked for first is settled."""
        assert isinstance(lab.outbox, PostgresOutbox)
        self.floor(lab)
        return not lab.outbox._floor._moved and lab.outbox._floor._candidate is None

    def rises_to(self, lab: CaptureLab, id_: int) -> None:
        """It does when the server runs nothing older; now and then that is the server's own housekeeping."""
        wait_for(f"a floor of {id_}", lambda: not lab.number() and self.floor(lab) == id_, every=0.02)

    def test_it_rises_behind_what_is_numbered(self, lab: CaptureLab) -> None:
        for id_ in range(1, 101):
            lab.insert(id_)
        numbered = list[int]()

        def risen() -> bool:
            numbered.extend(one.id for one in lab.number(limit=1))
            return self.floor(lab) > 0

        wait_for("a floor", risen)
        assert self.floor(lab) <= max(numbered), "not above what has no number yet"
        self.rises_to(lab, 100)

    def test_the_first_row_of_all_is_found_after_a_quiet_time(self, lab: CaptureLab) -> None:
        """A sequence that gave no id yet names the first one as its last."""
        wait_for("a settled id", lambda: not lab.number() and self.settled(lab), every=0.02)
        assert not lab.number()
        lab.insert(1)
        assert [row.key for row in lab.number()] == ["1"]

    def test_a_row_that_commits_late_is_found(self, lab: CaptureLab) -> None:
        slow = lab.another_hand()
        slow.run("BEGIN")
        lab.insert(1, hand=slow)
        for id_ in range(2, 12):
            lab.insert(id_)
            lab.number()
        assert self.floor(lab) == 0
        slow.run("COMMIT")
        assert [row.key for row in lab.number()] == ["1"]
        self.rises_to(lab, 11)

    def test_a_reader_with_an_old_snapshot_does_not_hold_it(self, lab: CaptureLab) -> None:
        reader = lab.another_hand()
        reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT count(*) FROM so_ho")
        for id_ in range(1, 12):
            lab.insert(id_)
            lab.number()
        self.rises_to(lab, 11)
        reader.run("COMMIT")

    def test_a_dataset_that_was_left_out_is_not_passed_over(self, lab: CaptureLab) -> None:
        lab.insert(1)
        for _ in range(4):
            assert lab.outbox.number(["thu/khac"], 10, 10**9) == []
        assert len(lab.number()) == 1

    @pytest.mark.parametrize("seed", range(3))
    def test_whatever_the_order_of_commits(self, lab: CaptureLab, seed: int) -> None:
        chance = random.Random(seed)
        hands = [lab.another_hand() for _ in range(5)]
        open_: dict[int, int] = {}
        written = 0
        for step in range(400):
            place = chance.randrange(5)
            if place not in open_:
                hands[place].run("BEGIN")
                hands[place].run("SAVEPOINT s")
                lab.insert(step, hand=hands[place])
                open_[place] = step
            elif chance.random() < 0.5:
                keep = chance.random() < 0.7
                hands[place].run("COMMIT" if keep else "ROLLBACK")
                written += keep
                del open_[place]
            if chance.random() < 0.5:
                lab.number(limit=chance.randint(1, 4))
        for place in open_:
            hands[place].run("COMMIT")
        while lab.number():
            pass
        assert sorted(row.seq for row in lab.rows()) == list(range(1, written + len(open_) + 1))
        wait_for("a floor", lambda: not lab.number() and self.floor(lab) > 0, every=0.02)

    def test_a_deletion_that_is_sent_again_is_not_passed_over(
        self, lab: CaptureLab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a record that is gone no row is locked: the id could be taken before a transaction id is."""
        for limit in ("_WAIT", "BRIEF"):  # it waits here for as long as this machine needs
            monkeypatch.setattr(postgres_rows, limit, f"{PATIENCE_SECONDS:.0f}s")
        make_pairs(lab)
        lab.install(PAIRS)
        lab.insert(1)  # of 32 ids the first takes a transaction id by itself
        lab.hand.run(
            "CREATE FUNCTION cho() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$"
        )
        lab.hand.run(
            "CREATE TRIGGER cho BEFORE INSERT ON lienthong_outbox FOR EACH ROW WHEN (NEW.op = 'd')"
            " EXECUTE FUNCTION cho()"
        )
        rows, clerk = PostgresRows(make_url(lab.source)), lab.another_hand()
        sender = Thread(target=lambda: rows.send_deletes(SOHO, {"5": "{}"}))
        with lab.transaction():
            lab.hand.run("SELECT pg_advisory_xact_lock(7)")
            sender.start()
            waits = (
                "SELECT 1 FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'advisory'"
            )
            wait_for("the deletion to have its id", lambda: clerk.run(waits))
            for number in range(10):
                clerk.run("INSERT INTO cap_doi VALUES ('x', ?, 'a')", number)
                lab.number(SOHO, PAIRS)
        sender.join()
        rows.close()
        assert [(row.op, row.key) for row in lab.number(SOHO, PAIRS)] == [("d", "5")]
