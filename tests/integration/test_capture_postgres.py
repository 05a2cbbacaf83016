"""The laws of capture on PostgreSQL, and what only PostgreSQL can do to a trigger."""

import json
import random
from collections.abc import Iterator
from functools import partial
from threading import Event, Thread
from time import monotonic, sleep

import psycopg
import pytest

from producers import postgres_floor, postgres_rows
from producers.install import check
from producers.opening import open_outbox, open_site
from producers.outbox import Capture, Locked
from producers.postgres import PostgresOutbox
from schemas.contracts import AvroType
from schemas.errors import LienthongError, TryAgain
from tests.capture_lab import SOHO, CaptureLab, Hand, a_contract, replayed
from tests.capture_laws import CaptureLaws, take
from tests.road import wait_for


@pytest.fixture
def lab(database: str) -> Iterator[CaptureLab]:
    one = CaptureLab(database)
    yield one
    one.close()


class TestPostgres(CaptureLaws):
    """All of them."""


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
        enough = Event()

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
        batches = []
        while any(one.is_alive() for one in clerks) or not enough.is_set():
            if not any(one.is_alive() for one in clerks):
                enough.set()
            if batch := lab.number(limit=17):
                batches.append([one.id for one in batch])
        assert len(batches) > 5
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

    def test_it_rises_behind_what_is_numbered(self, lab: CaptureLab) -> None:
        for id_ in range(1, 101):
            lab.insert(id_)
        for _ in range(3):
            lab.number(limit=10)
        assert 0 < self.floor(lab) <= 30, "not above what has no number yet"
        while lab.number():
            pass
        lab.number()
        assert self.floor(lab) == 100

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
        for _ in range(3):
            lab.number()
        assert self.floor(lab) == 11

    def test_a_reader_with_an_old_snapshot_does_not_hold_it(self, lab: CaptureLab) -> None:
        reader = lab.another_hand()
        reader.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.run("SELECT count(*) FROM so_ho")
        for id_ in range(1, 12):
            lab.insert(id_)
            lab.number()
        for _ in range(3):
            lab.number()
        assert self.floor(lab) == 11
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
        assert self.floor(lab) > 0


class TestTruncate:
    def test_each_row_is_told_as_deleted(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một")
        lab.insert(2)
        lab.hand.run("TRUNCATE so_ho")
        assert lab.told()[2:] == [("d", "1"), ("d", "2")]
        assert json.loads(lab.rows()[2].before or "")["ho_ten"] == "một"

    def test_a_reload_in_one_transaction(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        with lab.transaction():
            lab.insert(2)
            lab.hand.run("TRUNCATE so_ho")
            lab.insert(2, "lại")
        assert replayed(lab.rows()) == lab.table()
        assert set(lab.table()) == {"2"}


class TestSessions:
    def test_images_do_not_depend_on_the_clerks_session(self, lab: CaptureLab) -> None:
        lab.install()
        for setting in (
            "DateStyle = 'SQL, DMY'",
            "extra_float_digits = -10",
            "TimeZone = 'Asia/Ho_Chi_Minh'",
        ):
            lab.hand.run(f"SET {setting}")
        lab.insert(1, ngay="04/05/2016", diem=1 / 3, le_phi="10.50")
        image = json.loads(lab.rows()[0].after or "")
        assert image["ngay"] == "2016-05-04"
        assert image["le_phi"] == "10.50"
        assert image["diem"] == 1 / 3
        take(lab)
        assert json.loads(lab.rows()[1].after or "") == image

    def test_a_clerk_without_rights_on_the_outbox_can_work(self, lab: CaptureLab, unique: str) -> None:
        lab.install()
        lab.hand.run(f"CREATE ROLE {unique}")
        try:
            lab.hand.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON so_ho TO {unique}")
            lab.hand.run(f"SET ROLE {unique}")
            lab.insert(1)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                lab.hand.run("SELECT * FROM lienthong_outbox")
        finally:
            lab.hand.run("RESET ROLE")
            lab.hand.run(f"DROP OWNED BY {unique}")
            lab.hand.run(f"DROP ROLE {unique}")
        assert lab.told() == [("c", "1")]

    def test_a_clerks_own_objects_do_not_reach_into_the_trigger(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("CREATE SCHEMA bay")
        lab.hand.run(
            "CREATE FUNCTION bay.replace(text, text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$"
        )
        lab.hand.run("CREATE TABLE bay.lienthong_outbox (LIKE public.lienthong_outbox)")
        lab.hand.run("SET search_path = bay, public")
        lab.insert(1)
        lab.hand.run("RESET search_path")
        assert lab.told() == [("c", "1")]

    def test_sessions_that_replay_another_servers_changes_are_captured(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("SET session_replication_role = replica")
        lab.insert(1)
        assert lab.told() == [("c", "1")]


class TestTriggersOfTheVendor:
    @pytest.mark.parametrize("name", ["!first", "zz_last"])
    def test_a_trigger_that_changes_rows_again(self, lab: CaptureLab, name: str) -> None:
        """Whichever trigger fires first, and even for rows of the same statement that come later."""
        lab.install()
        lab.hand.run(
            "CREATE FUNCTION sua() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF pg_trigger_depth() = 1 THEN"
            "  UPDATE so_ho SET ho_ten = ho_ten || '+' WHERE id IN (NEW.id, NEW.id + 1);"
            "  DELETE FROM so_ho WHERE id = NEW.id + 10;"
            " END IF; RETURN NULL; END $$"
        )
        lab.hand.run(
            f'CREATE TRIGGER "{name}" AFTER INSERT OR UPDATE ON so_ho FOR EACH ROW EXECUTE FUNCTION sua()'
        )
        lab.hand.run("INSERT INTO so_ho (id, ho_ten) SELECT n, 'n' FROM generate_series(1, 15) AS n")
        lab.hand.run("UPDATE so_ho SET ho_ten = ho_ten || 'u'")
        lab.hand.run("UPDATE so_ho SET id = id + 100 WHERE id < 4")
        assert replayed(lab.rows()) == lab.table()
        assert len(lab.table()) > 3

    @pytest.mark.parametrize("ddl", ["RENAME COLUMN ho_ten TO ten_moi", "DROP COLUMN ho_ten"])
    def test_a_column_that_is_gone_does_not_stop_the_clerks(self, lab: CaptureLab, ddl: str) -> None:
        lab.install()
        lab.insert(1, "một")
        lab.insert(2)
        lab.hand.run(f"ALTER TABLE so_ho {ddl}")
        lab.hand.run("UPDATE so_ho SET diem = 5 WHERE id = 1")
        lab.hand.run("UPDATE so_ho SET id = 3 WHERE id = 2")
        lab.hand.run("INSERT INTO so_ho (id) VALUES (4)")
        lab.hand.run("DELETE FROM so_ho WHERE id = 1")
        lab.hand.run("TRUNCATE so_ho")
        rows = lab.rows()[2:]
        assert [(row.op, row.key) for row in rows] == [
            ("u", "1"), ("d", "2"), ("c", "3"), ("c", "4"), ("d", "1"), ("d", "3"), ("d", "4"),
        ]  # fmt: skip
        assert all("ho_ten" not in json.loads(row.after or row.before or "") for row in rows)
        assert json.loads(rows[0].after or "")["diem"] == 5

    def test_changes_from_while_a_column_was_gone_go_out_once_it_is_back(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("ALTER TABLE so_ho DROP COLUMN ho_ten")
        lab.hand.run("INSERT INTO so_ho (id, diem, ngay) VALUES (4, 0.1, '2016-05-04')")
        lab.hand.run("ALTER TABLE so_ho ADD COLUMN ho_ten text")
        assert lab.site.lacking(SOHO) == 1
        (completion,) = lab.site.needed(SOHO)
        lab.site.run([completion])
        image = json.loads(lab.rows()[0].after or "")
        assert (image["ho_ten"], image["diem"], image["ngay"]) == (None, 0.1, "2016-05-04")
        assert lab.site.needed(SOHO) == []


class TestSnapshotAndLocks:
    def test_a_row_that_is_being_changed_is_waited_for(self, lab: CaptureLab) -> None:
        for id_ in (1, 2, 3):
            lab.insert(id_, "cũ")
        lab.install()
        clerk = lab.another_hand()
        clerk.run("BEGIN")
        clerk.run("UPDATE so_ho SET ho_ten = 'mới' WHERE id = 2")
        lab.site.begin_snapshot(SOHO)
        with pytest.raises(Locked):
            lab.site.snapshot_chunk(SOHO, 3)
        assert lab.told() == [], "a chunk is all or nothing"
        assert lab.site.snapshot_chunk(SOHO, 1) == 1
        clerk.run("COMMIT")
        assert lab.site.snapshot_chunk(SOHO, 3) == 2
        assert lab.told() == [("u", "2"), ("r", "1"), ("r", "2"), ("r", "3")]
        assert replayed(lab.rows()) == lab.table()

    def test_a_clerk_is_never_a_deadlocks_victim(self, lab: CaptureLab) -> None:
        """The clerk holds row 50 and wants row 1, which a chunk holds while it waits for row 50."""
        for id_ in range(1, 101):
            lab.insert(id_)
        lab.install()
        clerk = lab.another_hand()
        for _ in range(3):
            clerk.run("BEGIN")
            clerk.run("UPDATE so_ho SET ho_ten = 'x' WHERE id = 50")
            result: list[object] = []

            def chunk(result: list[object] = result) -> None:
                lab.site.begin_snapshot(SOHO)
                try:
                    result.append(lab.site.snapshot_chunk(SOHO, 100))
                except Locked as locked:
                    result.append(locked)

            waiting = Thread(target=chunk)
            waiting.start()
            watch = lab.another_hand()
            wait_for("the chunk to wait", partial(_waits_for_lock, watch))
            clerk.run("UPDATE so_ho SET ho_ten = 'y' WHERE id = 1")  # would raise DeadlockDetected
            clerk.run("COMMIT")
            waiting.join()
            assert isinstance(result[0], Locked)

    def test_a_chunk_gives_up_before_a_deadlock_is_looked_for(self, lab: CaptureLab) -> None:
        assert postgres_rows.BRIEF.endswith("ms")
        (limit,) = lab.hand.run("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'")[0]
        assert int(postgres_rows.BRIEF.removesuffix("ms")) < limit


def _waits_for_lock(hand: Hand) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE application_name = 'lienthong capture' AND wait_event_type = 'Lock'"
    )
    return bool(hand.run(query))


class TestShape:
    @pytest.mark.parametrize(
        ("declared", "feeds"),
        [
            ("smallint", {"long", "string"}),
            ("bigint", {"long", "string"}),
            ("numeric(10,0)", {"long", "string"}),
            ("numeric(10,2)", {"string"}),
            ("numeric", {"string"}),
            ("real", {"double", "string"}),
            ("boolean", {"boolean", "string"}),
            ("timestamptz", {"string"}),
            ("varchar(20)", {"string"}),
            ("so_nguyen", {"long", "string"}),
            ("text[]", {"string"}),
        ],
    )
    def test_what_a_type_can_hold(self, lab: CaptureLab, declared: str, feeds: set[str]) -> None:
        lab.hand.run("CREATE DOMAIN so_nguyen AS integer CHECK (VALUE > 0)")
        lab.hand.run(f"CREATE TABLE kieu (cot {declared})")
        shape = lab.site.inspect("kieu")
        assert shape is not None
        assert shape.columns["cot"].feeds == feeds
        assert shape.columns["cot"].declared

    @pytest.mark.parametrize(
        ("rest", "keys"),
        [
            ("id bigint PRIMARY KEY", [{"id"}]),
            ("id bigint NOT NULL UNIQUE", [{"id"}]),
            ("id bigint UNIQUE", []),
            ("id bigint", []),
            ("id bigint NOT NULL UNIQUE DEFERRABLE", []),
            ("id bigint NOT NULL, so text NOT NULL, UNIQUE (id, so)", [{"id", "so"}]),
            ("id bigint NOT NULL, so text, UNIQUE (id) INCLUDE (so)", [{"id"}]),
        ],
    )
    def test_what_keeps_a_key_unique(self, lab: CaptureLab, rest: str, keys: list[set[str]]) -> None:
        lab.hand.run(f"CREATE TABLE khoa ({rest})")
        shape = lab.site.inspect("khoa")
        assert shape is not None
        assert sorted(map(sorted, shape.unique)) == sorted(map(sorted, keys))

    def test_partial_and_expression_indexes_do_not_count(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE khoa (id bigint NOT NULL, so text NOT NULL)")
        lab.hand.run("CREATE UNIQUE INDEX ON khoa (id) WHERE so = 'x'")
        lab.hand.run("CREATE UNIQUE INDEX ON khoa (lower(so))")
        shape = lab.site.inspect("khoa")
        assert shape is not None
        assert shape.unique == ()

    def test_a_view_and_a_guarded_table_are_refused(self, lab: CaptureLab, unique: str) -> None:
        lab.hand.run("CREATE VIEW xem AS SELECT * FROM so_ho")
        shape = lab.site.inspect("xem")
        assert shape is not None
        assert "not a table" in shape.obstacle
        lab.hand.run("ALTER TABLE so_ho ENABLE ROW LEVEL SECURITY")
        lab.hand.run(f"CREATE ROLE {unique} LOGIN")
        site = open_site(lab.source.replace("postgres@", f"{unique}@"))
        try:
            shape = site.inspect("so_ho")
            assert shape is not None
            assert "row level security" in shape.obstacle
        finally:
            site.close()
            lab.hand.run(f"DROP ROLE {unique}")

    def test_a_table_in_another_schema(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE SCHEMA rieng")
        lab.hand.run("CREATE TABLE rieng.so (id bigint PRIMARY KEY)")
        columns: dict[str, AvroType] = {"id": "long"}
        there = Capture.of(a_contract(dataset="rieng", table="rieng.so", columns=columns))
        lab.install(there)
        lab.hand.run("INSERT INTO rieng.so VALUES (1)")
        assert take(lab, there) == 1
        assert lab.told(there) == [("c", "1"), ("r", "1")]

    def test_a_partitioned_table(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE nam (id bigint PRIMARY KEY, ten text) PARTITION BY RANGE (id)")
        lab.hand.run("CREATE TABLE nam1 PARTITION OF nam FOR VALUES FROM (1) TO (10)")
        lab.hand.run("CREATE TABLE nam2 PARTITION OF nam FOR VALUES FROM (10) TO (20)")
        contract = a_contract(dataset="nam", table="nam", columns={"id": "long", "ten": "string"})
        there = Capture.of(contract)
        assert any("partition" in note for note in check(contract, lab.site.inspect("nam")))
        lab.install(there)
        assert lab.site.needed(there) == []
        lab.hand.run("INSERT INTO nam VALUES (1, 'a'), (12, 'b')")
        lab.hand.run("UPDATE nam SET id = 15 WHERE id = 1")
        lab.hand.run("UPDATE nam SET ten = 'c' WHERE id = 15")
        lab.hand.run("DELETE FROM nam WHERE id = 12")
        assert take(lab, there) == 1
        assert replayed(lab.rows(there)) == lab.table(there) == {"15": {"id": 15, "ten": "c"}}

    def test_rows_of_a_child_table_are_not_taken_for_its_own(self, lab: CaptureLab) -> None:
        lab.hand.run("CREATE TABLE con () INHERITS (so_ho)")
        contract = a_contract()
        assert any("inherit" in note for note in check(contract, lab.site.inspect("so_ho")))
        lab.hand.run("INSERT INTO con (id) VALUES (5)")
        lab.install()
        assert take(lab) == 0


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
        begun = monotonic()
        with pytest.raises(Locked):
            lab.site.run(statements)
        assert monotonic() - begun < 5
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
