"""PostgreSQL away, stopped, locked, slow, refusing: what the store says, and that nothing is half done."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from consumers.opening import open_store
from consumers.postgres import PostgresStore, Timeouts
from consumers.store import Fenced, StoreError
from deploy.local.postgres import PostgresNode, libpq_url
from schemas.errors import LienthongError, TryAgain
from tests.road import PATIENCE_SECONDS, wait_for
from tests.store_lab import BOOK, SYSTEM, Lab, a_reject, delete, make_lab, numbered, upsert

TABLE = BOOK.table
#: What a busy machine takes for its own work is not the trouble looked for here.
PATIENT = {"lock_seconds": PATIENCE_SECONDS, "statement_seconds": PATIENCE_SECONDS}


def store_with(url: str, **limits: float) -> PostgresStore:
    """A store with its effect log on, and these timeouts in place of patient ones."""
    timeouts = Timeouts(**PATIENT | limits)  # type: ignore[arg-type]
    return PostgresStore(sa.make_url(url), effect_log=True, timeouts=timeouts)


@pytest.fixture
def lab(database: str) -> Iterator[Lab]:
    lab = make_lab(database, lambda connection: None)
    lab.store.close()
    lab.store = store_with(database)
    yield lab
    lab.close()


@contextmanager
def impatient(lab: Lab, **limits: float) -> Iterator[None]:
    """The lab's store with other timeouts."""
    before = lab.store
    lab.store = store_with(lab.url, **limits)
    yield
    lab.store.close()
    lab.store = before


@contextmanager
def locked_row(lab: Lab) -> Iterator[None]:
    """Another program holds the row of K1."""
    with psycopg.connect(libpq_url(lab.url)) as other:
        other.execute(f"SELECT 1 FROM {TABLE} WHERE lt_key = 'K1' FOR UPDATE".encode())
        yield
        other.rollback()


class InThread(threading.Thread):
    """Runs a call; ``outcome`` is its value or its error."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__()
        self._call = call
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._call()
        except LienthongError as error:
            self.outcome = error


def wait_until_blocked(lab: Lab, blocked: int = 1) -> None:
    query = (
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    wait_for("the lock is waited for", lambda: lab.rows(query)[0]["n"] >= blocked, every=0.02)


def no_value_told(error: LienthongError, *values: str) -> None:
    """Neither the error nor what a traceback would print with it shows a value."""
    assert error.__cause__ is None
    assert error.__suppress_context__
    for value in values:
        assert value not in f"{error} {error.next_step} {error.args}"


# --- the connection ------------------------------------------------------------------------------------


def test_connections_that_died_while_idle_cost_one_try(lab: Lab) -> None:
    lab.apply(upsert(1))
    batch = lab.batch(upsert(2, hoTen="B"))
    lab.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(TryAgain) as caught:
        lab.send(batch)
    assert caught.value.retry_after_seconds > 0
    assert lab.send(batch).applied == 1
    assert len(lab.rows("SELECT * FROM lienthong_effect")) == 2


@pytest.mark.parametrize("how", ["terminate", "cancel"])
def test_a_batch_cut_off_in_the_middle_wrote_nothing_and_can_be_repeated(lab: Lab, how: str) -> None:
    lab.apply(upsert(1))
    batch = lab.batch(upsert(2, hoTen="B"), upsert(3, "K3", person="p3"))
    before = lab.everything()
    with locked_row(lab):
        sending = InThread(lambda: lab.send(batch))
        wait_until_blocked(lab)
        lab.rows(f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        sending.join()
    assert isinstance(sending.outcome, TryAgain)
    assert lab.everything() == before
    assert lab.send(batch).applied == 2


def test_a_server_that_crashes_under_a_batch_has_none_of_it(lab: Lab, postgres: PostgresNode) -> None:
    lab.apply(upsert(1))
    batch = lab.batch(upsert(2, hoTen="B"))
    before = lab.everything()
    with suppress(psycopg.OperationalError), locked_row(lab):  # the lock's holder loses its server, too
        sending = InThread(lambda: lab.send(batch))
        wait_until_blocked(lab)
        postgres.stop("immediate")
        sending.join()
    assert isinstance(sending.outcome, TryAgain)
    with pytest.raises(TryAgain, match="connection"):
        lab.send(batch)
    postgres.start()
    lab.engine.dispose()
    assert lab.everything() == before
    assert repeated(lambda: lab.send(batch)).applied == 1
    assert (lab.live() or {})["hoten"] == "B"


def repeated(call: Callable[[], Any]) -> Any:
    """As the road repeats after TryAgain."""
    for _ in range(10):
        try:
            return call()
        except TryAgain:
            time.sleep(0.1)
    return call()


# --- timeouts ------------------------------------------------------------------------------------------


def test_a_lock_held_by_another_program_ends_in_another_try(lab: Lab) -> None:
    lab.apply(upsert(1))
    batch = lab.batch(upsert(2, hoTen="B"))
    with impatient(lab, lock_seconds=0.2):
        with locked_row(lab), pytest.raises(TryAgain, match="locked by another program"):
            lab.send(batch)
        assert repeated(lambda: lab.send(batch)).applied == 1


def test_a_slow_database_ends_in_another_try(lab: Lab) -> None:
    batch = lab.batch(upsert(1))
    lab.execute(*trigger("PERFORM pg_sleep(60)"))
    with impatient(lab, statement_seconds=2):
        with pytest.raises(TryAgain, match="took too long"):
            lab.send(batch)
        lab.execute(f"DROP TRIGGER guard ON {TABLE}")
        assert repeated(lambda: lab.send(batch)).applied == 1


def test_an_outbox_held_for_too_long_is_handed_out_again(lab: Lab) -> None:
    lab.apply(upsert(1))
    held = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in tr%'"

    def too_long(rows: Any) -> None:
        wait_for("the transaction ended by its server", lambda: not lab.rows(held))

    with impatient(lab, idle_in_transaction_seconds=1):
        with pytest.raises(TryAgain):
            lab.store.publish_receipts([SYSTEM], 9, too_long)
        assert repeated(lambda: lab.store.publish_receipts([SYSTEM], 9, lambda rows: None)) == 1


# --- what SQLSTATEs mean ---------------------------------------------------------------------------------


def trigger(body: str) -> tuple[str, str]:
    """A trigger on the national table, as an agency might add one."""
    return (
        f"CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$",
        f"CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION guard()",
    )


@pytest.mark.parametrize(
    "state", ["40001", "40P01", "53100", "53200", "53300", "55P03", "57P03", "58030", "08006", "25006"]
)
def test_trouble_of_the_machine_ends_in_another_try(lab: Lab, state: str) -> None:
    batch = lab.batch(upsert(1, hoTen="Bí Mật"))
    before = lab.everything()
    lab.execute(*trigger(f"RAISE EXCEPTION 'Bí Mật' USING ERRCODE = '{state}', DETAIL = NEW.hoten"))
    with pytest.raises(TryAgain) as caught:
        lab.send(batch)
    no_value_told(caught.value, "Bí Mật")
    assert lab.everything() == before


@pytest.mark.parametrize("state", ["22001", "23502", "23505", "23514", "44000", "54000", "P0001"])
def test_trouble_of_a_row_rejects_the_row_alone(lab: Lab, state: str) -> None:
    lab.execute(
        *trigger(f"IF NEW.hoten = 'Bí Mật' THEN RAISE EXCEPTION 'Bí Mật' USING ERRCODE = '{state}'; END IF")
    )
    told = lab.apply(upsert(1), upsert(2, "K2", person="p2", hoTen="Bí Mật"), upsert(3, "K3", person="p3"))
    (reject,) = told.rejected
    assert (told.applied, reject.seq, reject.rule) == (2, 2, "database_refused")
    assert reject.detail == f"SQLSTATE {state}"


@pytest.mark.parametrize("state", ["XX000", "42501", "0A000"])
def test_trouble_that_waiting_cannot_mend_is_told_to_a_person(lab: Lab, state: str) -> None:
    batch = lab.batch(upsert(1, hoTen="Bí Mật"))
    lab.execute(*trigger(f"RAISE EXCEPTION 'Bí Mật' USING ERRCODE = '{state}'"))
    with pytest.raises(StoreError, match=state) as caught:
        lab.send(batch)
    no_value_told(caught.value, "Bí Mật")
    assert caught.value.next_step


def test_a_constraint_that_waits_for_the_commit_rejects_its_rows_too(lab: Lab) -> None:
    function, _ = trigger("IF NEW.hoten = 'XẤU' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF")
    lab.execute(
        function,
        f"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON {TABLE} DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION guard()",
    )
    told = lab.apply(*numbered(20), upsert(21, "K21", person="p21", hoTen="XẤU"))
    assert (told.applied, [reject.seq for reject in told.rejected]) == (20, [21])


def test_a_key_too_long_for_the_index_is_rejected_alone(lab: Lab) -> None:
    too_long = "".join(chr(0x1E00 + at % 250) + str(at * 7919 % 9973) for at in range(1500))
    told = lab.apply(upsert(1), upsert(2, too_long, person="p2"), upsert(3, "K3", person="p3"))
    (reject,) = told.rejected
    assert (told.applied, reject.rule, reject.detail) == (2, "database_refused", "SQLSTATE 54000")


@pytest.mark.parametrize("name", ["system", "dataset"])
def test_a_name_too_long_for_the_index_of_receipts_is_rejected_alone(lab: Lab, name: str) -> None:
    too_long = "".join(chr(0x1E00 + at % 250) + str(at * 7919 % 9973) for at in range(1500))
    changed: Any = {name: too_long}
    stranger = replace(upsert(2, "K2", person="p2"), **changed)
    assert lab.apply(upsert(1), stranger, upsert(3, "K3", person="p3")).applied == 2
    (reject,) = [row.reject for whose in ("national", SYSTEM) for row in lab.store.rejects(whose)]
    assert (reject.rule, reject.field) == ("record_unreadable", f"lt_{name}")


def test_rejects_that_the_database_refuses_are_told_without_their_values(lab: Lab) -> None:
    position = lab.claim()
    lab.execute("ALTER TABLE lienthong_reject ADD CONSTRAINT khong CHECK (source_key <> 'Bí Mật')")
    step = lab.batch().slices
    with pytest.raises(StoreError, match="khong") as caught:
        lab.store.settle(lab.deployment, step, rejects=[a_reject(0, source_key="Bí Mật")], formats=[])
    no_value_told(caught.value, "Bí Mật")
    assert lab.store.ledger(lab.deployment)[0].position == position
    assert lab.store.ledger(lab.deployment)[0].next_offset == 0


# --- two workers -----------------------------------------------------------------------------------------


def test_a_zombie_in_the_middle_of_its_batch_is_fenced_by_a_claim(lab: Lab) -> None:
    """The new owner's claim does not wait for the zombie; the zombie's rows never become visible."""
    lab.apply(upsert(1))
    late = lab.batch(upsert(2, hoTen="zombie"), delete(3, "K9", person="p9"))
    with locked_row(lab):
        zombie = InThread(lambda: lab.send(late))
        wait_until_blocked(lab)
        claimed = lab.store.claim(lab.deployment, [lab.position()], generation=2, owner="w2")[lab.position()]
        assert (claimed.epoch, claimed.next_offset) == (2, 1)
    zombie.join()
    assert isinstance(zombie.outcome, Fenced)
    assert (lab.live() or {})["lt_seq"] == 1
    assert lab.row("K9") is None
    lab.epochs[lab.position()], lab.offsets[lab.position()] = 2, 1
    assert lab.apply(upsert(2, hoTen="B"), delete(3, "K9", person="p9")).applied == 2


def test_two_workers_on_the_same_rows_never_deadlock_and_the_newest_stays(lab: Lab) -> None:
    """Partitions normally keep keys apart; here they do not, to try the order of the locks."""
    count, rounds = 300, 8
    with closing(store_with(lab.url)) as second:
        labs = [lab, Lab(store=second, url=lab.url, shift_claims=lambda connection: None)]
        failures: list[LienthongError] = []

        def work(number: int) -> None:
            mine = labs[number]
            for at in range(rounds):
                keys = range(count) if (at + number) % 2 else reversed(range(count))
                changes = [upsert(1 + 2 * at + number, f"K{key}", person=f"p{key}") for key in keys]
                try:
                    mine.apply(*changes, partition=number)
                except LienthongError as error:
                    failures.append(error)

        workers = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        labs[1].engine.dispose()
    assert failures == []
    assert {row["lt_seq"] for row in lab.rows(f"SELECT lt_seq FROM {TABLE}")} == {2 * rounds}


def test_publishers_share_the_outbox_without_waiting(lab: Lab) -> None:
    for seq in range(1, 7):
        lab.apply(upsert(seq, f"K{seq}", person=f"p{seq}"))
    seen: list[list[str]] = []

    def second_publisher(rows: Any) -> None:
        seen.append([row.seqs for row in rows])
        if len(seen) == 1:
            lab.store.publish_receipts([SYSTEM], 4, second_publisher)

    assert lab.store.publish_receipts([SYSTEM], 4, second_publisher) == 4
    assert seen == [["1", "2", "3", "4"], ["5", "6"]]


# --- opening -----------------------------------------------------------------------------------------------


def test_a_store_that_is_away_is_waited_for(postgres: PostgresNode, lab: Lab) -> None:
    postgres.stop("fast")
    with closing(open_store(postgres.url("gone"))) as store, pytest.raises(TryAgain, match="no connection"):
        store.check([BOOK])
    postgres.start()


def test_a_database_or_user_that_does_not_exist_is_told_to_a_person(postgres: PostgresNode) -> None:
    stranger = sa.make_url(postgres.url()).set(username="khong_co", password="Bí Mật")
    for url in (postgres.url("khong_co"), stranger.render_as_string(hide_password=False)):
        with closing(open_store(url)) as store, pytest.raises(StoreError, match="does not exist") as caught:
            store.check([BOOK])
        assert "LIENTHONG_STORE" in str(caught.value)
        no_value_told(caught.value, "Bí Mật")


def test_a_database_that_cannot_hold_vietnamese_text_is_refused(postgres: PostgresNode, unique: str) -> None:
    with psycopg.connect(libpq_url(postgres.url()), autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {unique} ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
            " TEMPLATE template0".encode()
        )
    with closing(open_store(postgres.url(unique))) as store, pytest.raises(StoreError, match="UTF8"):
        store.check([BOOK])
    postgres.drop_database(unique)


def test_a_commit_is_on_disk_whatever_the_database_prefers(lab: Lab, unique: str) -> None:
    lab.execute(f"ALTER DATABASE {unique} SET synchronous_commit = off")
    lab.execute(*trigger("NEW.hoten := current_setting('synchronous_commit')"))
    lab.store.close()
    lab.store = open_store(lab.url, effect_log=True)  # new connections see the setting
    lab.apply(upsert(1))
    assert (lab.live() or {})["hoten"] == "on"


def test_tables_and_columns_carry_vietnamese_comments(lab: Lab) -> None:
    inspector = sa.inspect(lab.engine)
    assert inspector.get_table_comment(TABLE)["text"] == "Sổ thử (thu.nghiem.v1)"
    comments = {column["name"]: column["comment"] for column in inspector.get_columns(TABLE)}
    assert comments["hoten"] == "Trường 'hoTen' (100 %), \"thử\" (danh mục thu.danhMuc)"
    assert all(comments.values())
    lab.execute(f"COMMENT ON COLUMN {TABLE}.hoten IS 'cũ'")
    assert [statement[:17] for statement in lab.store.migrate([BOOK])] == ["COMMENT ON COLUMN"]
    assert lab.store.plan([BOOK]) == []


def test_the_reader_of_rejects_sees_where_each_came_from(lab: Lab) -> None:
    lab.apply(upsert(1, person="p1"), upsert(2, person="p2"))
    (row,) = lab.store.rejects(SYSTEM)
    assert (row.reject.topic, row.reject.partition, row.reject.offset) == (BOOK.topic, 0, 1)
    assert row.at.tzinfo is not None
