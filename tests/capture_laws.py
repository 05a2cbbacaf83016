"""Laws of capture, run on SQLite (unit) and PostgreSQL (integration): what an outbox must say."""

import json
import random
from dataclasses import replace
from threading import Event
from time import time

import pytest

from producers.clock import SystemClock
from producers.opening import open_outbox
from producers.outbox import Capture
from producers.snapshot import take_snapshot
from producers.watching import Watch
from schemas.errors import LienthongError
from tests.capture_lab import COLUMNS, SOHO, CaptureLab, Hand, a_contract, clerks, replayed
from tests.road import wait_for

PAIR = Capture.of(
    a_contract(
        dataset="cap",
        table="cap_doi",
        key=("xa", "so"),
        columns={"xa": "string", "so": "long", "ten": "string"},
    )
)


class CaptureLaws:
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""

    # --- single changes ------------------------------------------------------------------------------

    def test_insert_update_and_delete_each_give_one_row(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "Nguyễn Thử")
        lab.hand.run("UPDATE so_ho SET ho_ten = ? WHERE id = 1", "Nguyễn Thử Hai")
        lab.hand.run("DELETE FROM so_ho WHERE id = 1")
        assert lab.told() == [("c", "1"), ("u", "1"), ("d", "1")]
        created, updated, deleted = lab.rows()
        first = {"id": 1, "ho_ten": "Nguyễn Thử", "ngay": None, "le_phi": None, "diem": None, "con_lai": None}
        assert created.before is None
        assert json.loads(created.after or "") == first
        assert json.loads(updated.before or "") == first
        assert json.loads(updated.after or "") == {**first, "ho_ten": "Nguyễn Thử Hai"}
        assert json.loads(deleted.before or "") == {**first, "ho_ten": "Nguyễn Thử Hai"}
        assert deleted.after is None

    def test_an_update_that_changes_nothing_captured_writes_nothing(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.hand.run("UPDATE so_ho SET ho_ten = ho_ten, ghi_chu = 'khác' WHERE id = 1")
        assert lab.told() == [("c", "1")]

    def test_columns_outside_the_contract_stay_at_home(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, ghi_chu="bí mật")
        (row,) = lab.rows()
        assert list(json.loads(row.after or "")) == list(COLUMNS)
        assert "bí mật" not in (row.after or "")

    def test_a_new_key_is_a_delete_and_a_create(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.hand.run("UPDATE so_ho SET id = 7 WHERE id = 1")
        assert lab.told()[1:] == [("d", "1"), ("c", "7")]
        assert lab.rows()[2].before is None
        assert replayed(lab.rows()) == lab.table()

    def test_keys_that_trade_places_are_told_as_they_are_in_the_end(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 5):
            lab.insert(id_, f"Người {id_}")
        with lab.transaction():
            lab.hand.run("UPDATE so_ho SET id = -1 WHERE id = 1")
            lab.hand.run("UPDATE so_ho SET id = 1 WHERE id = 2")
            lab.hand.run("UPDATE so_ho SET id = 2 WHERE id = -1")
            lab.hand.run("UPDATE so_ho SET id = id - 10 WHERE id > 2")
        assert replayed(lab.rows()) == lab.table()
        assert set(lab.table()) == {"1", "2", "-7", "-6"}

    def test_a_delete_and_an_insert_of_one_key_end_as_the_table_does(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "trước")
        with lab.transaction():
            lab.hand.run("DELETE FROM so_ho WHERE id = 1")
            lab.insert(1, "sau")
        assert lab.told() == [("c", "1"), ("d", "1"), ("c", "1")]
        assert replayed(lab.rows()) == lab.table()

    def test_a_rolled_back_transaction_leaves_no_row_and_no_gap(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.hand.run("BEGIN")
        lab.insert(2)
        lab.insert(3)
        lab.hand.run("ROLLBACK")
        lab.insert(4)
        lab.number()
        assert [(row.key, row.seq) for row in lab.rows()] == [("1", 1), ("4", 2)]

    def test_compound_keys_are_joined_and_escaped(self, lab: CaptureLab) -> None:
        lab.hand.run(
            "CREATE TABLE cap_doi (xa varchar(40) NOT NULL, so bigint NOT NULL, ten text, UNIQUE (xa, so))"
        )
        lab.install(PAIR)
        lab.hand.run("INSERT INTO cap_doi VALUES (?, 3, 'a')", "x|y%z")
        lab.hand.run("UPDATE cap_doi SET so = 4")
        lab.hand.run("UPDATE cap_doi SET ten = 'b'")
        escaped = "x%7Cy%25z"
        assert lab.told(PAIR) == [
            ("c", f"{escaped}|3"),
            ("d", f"{escaped}|3"),
            ("c", f"{escaped}|4"),
            ("u", f"{escaped}|4"),
        ]

    # --- values --------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "'",
            '"',
            "\\",
            "\\u0041",
            "a\nb\tc\r",
            "Đặng Thị Ứng",
            "é",
            "𠀀",
            "\x01\x1f\x7f",
            "%s ? :a $1",
        ],
    )
    def test_any_text_comes_back_exactly(self, lab: CaptureLab, text: str) -> None:
        lab.install()
        lab.insert(1, text)
        assert json.loads(lab.rows()[0].after or "")["ho_ten"] == text

    @pytest.mark.parametrize("number", [0.1 + 0.2, 1e300, 5e-324, 1 / 3, 12345678901234567.0])
    def test_doubles_keep_every_digit(self, lab: CaptureLab, number: float) -> None:
        lab.install()
        lab.insert(1, diem=number)
        held = json.loads(lab.rows()[0].after or "")["diem"]
        assert float(held).hex() == number.hex()

    @pytest.mark.parametrize("number", [0, 9007199254740993, 2**63 - 1, -(2**63)])
    def test_whole_numbers_keep_every_digit(self, lab: CaptureLab, number: int) -> None:
        lab.install()
        lab.insert(number)
        assert json.loads(lab.rows()[0].after or "")["id"] == number
        assert lab.rows()[0].key == str(number)

    def test_more_columns_than_a_function_takes_arguments(self, lab: CaptureLab) -> None:
        names = [f"c{at}" for at in range(130)]
        wide = Capture.of(
            a_contract(dataset="rong", table="rong", key=("c0",), columns=dict.fromkeys(names, "string"))
        )
        lab.hand.run(f"CREATE TABLE rong ({' text, '.join(names)} text, PRIMARY KEY (c0))")
        lab.hand.run("CREATE UNIQUE INDEX one ON rong (c0)")
        lab.install(wide)
        lab.hand.run(
            f"INSERT INTO rong VALUES ({', '.join('?' for _ in names)})", *[f"}}{n}{{" for n in names]
        )
        assert json.loads(lab.rows(wide)[0].after or "") == {name: f"}}{name}{{" for name in names}

    def test_names_may_hold_anything(self, lab: CaptureLab) -> None:
        odd = 'Họ và "tên" của :ai; 100 %s ?'
        strange = Capture.of(
            a_contract(dataset="la", table="Bảng 'lạ'", key=(odd,), columns={odd: "string", "select": "long"})
        )
        quoted = '"' + odd.replace('"', '""') + '"'
        lab.hand.run(
            f'CREATE TABLE "Bảng \'lạ\'" ({quoted} varchar(50) NOT NULL PRIMARY KEY, "select" integer)'
        )
        lab.install(strange)
        lab.hand.run("INSERT INTO \"Bảng 'lạ'\" VALUES ('x', 1)")
        assert take(lab, strange) == 1
        assert [json.loads(row.after or "") for row in lab.rows(strange)] == [{odd: "x", "select": 1}] * 2
        lab.site.run(lab.site.removal(strange))

    # --- whatever clerks do ----------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", range(6))
    def test_replaying_the_outbox_gives_the_table(self, lab: CaptureLab, seed: int) -> None:
        lab.install()
        scramble(lab, random.Random(seed), rounds=60)
        assert len(lab.rows()) > 30
        assert replayed(lab.rows()) == lab.table()

    # --- numbers -------------------------------------------------------------------------------------

    def test_numbers_have_no_gaps_follow_the_ids_and_stay(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 11):
            lab.insert(id_)
        assert [(row.key, row.seq) for row in lab.number(limit=4)] == [(str(at), at) for at in range(1, 5)]
        assert len(lab.number(limit=100)) == 6
        assert lab.number() == []
        assert [row.seq for row in lab.rows()] == list(range(1, 11))
        lab.insert(11)
        assert [row.seq for row in lab.number()] == [11]

    def test_each_dataset_counts_for_itself(self, lab: CaptureLab) -> None:
        lab.hand.run(
            "CREATE TABLE cap_doi (xa varchar(40) NOT NULL, so bigint NOT NULL, ten text, UNIQUE (xa, so))"
        )
        lab.install()
        lab.install(PAIR)
        for id_ in range(1, 4):
            lab.insert(id_)
            lab.hand.run("INSERT INTO cap_doi VALUES ('x', ?, 'a')", id_)
        assert len(lab.number(SOHO)) == 3, "only what was asked for"
        lab.insert(4)
        assert len(lab.number(SOHO, PAIR)) == 4
        assert [row.seq for row in lab.rows()] == [1, 2, 3, 4]
        assert [row.seq for row in lab.rows(PAIR)] == [1, 2, 3]

    def test_marked_rows_are_not_pending(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 7):
            lab.insert(id_)
        ids = [one.id for one in lab.number()]
        lab.outbox.mark(ids[1:3])
        assert [one.id for one in lab.outbox.pending(0, 2, 10**9)] == [ids[0], ids[3]]
        assert [one.id for one in lab.outbox.pending(ids[3], 100, 10**9)] == ids[4:]
        (state,) = lab.outbox.states()
        assert (state.waiting, state.next_seq) == (4, 7)
        assert (lab.site.waiting(3), lab.site.waiting(100)) == (3, 4)
        assert abs(lab.site.now_ms() - time() * 1000) < 60_000

    def test_a_monitor_sees_what_waits_and_what_time_it_is_there(self, lab: CaptureLab) -> None:
        watch = Watch(lab.source)
        with pytest.raises(LienthongError, match="nothing is captured"):
            watch.look()
        lab.install()
        lab.insert(1)
        seen = watch.look()
        assert [(one.capture.dataset, one.waiting, one.in_place) for one in seen.states] == [
            (SOHO.dataset, 1, True)
        ]
        assert abs(seen.now_ms - time() * 1000) < 60_000
        lab.site.run(lab.site.removal(SOHO))  # a person's decision, and nothing to watch any more
        with pytest.raises(LienthongError, match="nothing is captured"):
            watch.look()
        watch.close()

    def test_no_more_is_taken_at_once_than_memory_may_hold(self, lab: CaptureLab) -> None:
        lab.install()
        for id_, size in enumerate((400, 400, 5000, 400, 400), 1):
            lab.insert(id_, "x" * size)
        assert len(lab.number(characters=1300)) == 2
        assert len(lab.number(characters=1300)) == 1, "a row that is too large by itself comes alone"
        assert len(lab.number(characters=1300)) == 2
        assert [row.seq for row in lab.rows()] == [1, 2, 3, 4, 5]
        taken, after = [], 0
        while found := lab.outbox.pending(after, 100, 1300):
            taken.append(len(found))
            after = found[-1].id
        assert taken == [2, 1, 2]

    def test_a_numbered_row_is_told_whole(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "một")
        lab.hand.run("UPDATE so_ho SET ho_ten = 'hai'")
        now = SystemClock().now_ms()
        numbered = lab.number()
        assert numbered == lab.outbox.pending(0, 10, 10**9)
        for found, written in zip(numbered, lab.rows(), strict=True):
            assert abs(found.changed_ms - now) < 60_000
            assert replace(found, changed_ms=written.changed_ms) == written

    def test_only_old_published_rows_are_pruned_in_small_steps(self, lab: CaptureLab) -> None:
        lab.install()
        for id_ in range(1, 7):
            lab.insert(id_)
        ids = [one.id for one in lab.number()]
        lab.outbox.mark(ids[:4])
        assert lab.outbox.prune(1, 100) == 0
        past = "now() - interval '2 days'" if lab.is_postgres else "published_at - 172800000"
        lab.hand.run(f"UPDATE lienthong_outbox SET published_at = {past} WHERE id <> {ids[1]} AND seq < 5")
        assert lab.outbox.prune(1, 2) == 1
        assert lab.outbox.prune(1, 100) == 2
        assert [row.id for row in lab.rows()] == [ids[1], *ids[4:]]
        lab.insert(7)
        assert [row.seq for row in lab.number()] == [7]

    # --- one relay -----------------------------------------------------------------------------------

    def test_there_is_one_lead_and_it_ends_with_its_holder(self, lab: CaptureLab) -> None:
        lab.install()
        other = open_outbox(lab.source)
        try:
            assert lab.outbox.lead()
            assert lab.outbox.lead(), "asking again does no harm"
            assert not other.lead()
            lab.outbox.still_leads()
            lab.outbox.close()
            wait_for("the lead to be free", other.lead)
            assert not lab.outbox.lead()
        finally:
            other.close()

    # --- installing ------------------------------------------------------------------------------------

    def test_a_second_install_finds_nothing_to_do(self, lab: CaptureLab) -> None:
        assert lab.site.states() == []
        lab.install()
        assert lab.site.needed(SOHO) == []
        (state,) = lab.site.states()
        assert state.capture == SOHO
        assert (state.captured, state.in_place, state.snapshot, state.next_seq) == (True, True, "none", 1)

    def test_asking_what_is_needed_changes_nothing(self, lab: CaptureLab) -> None:
        assert any("lienthong_outbox" in statement for statement in lab.site.needed(SOHO))
        assert lab.site.states() == []
        lab.insert(1)

    def test_a_changed_contract_replaces_the_triggers_and_the_count_goes_on(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.number()
        fewer = Capture.of(a_contract(columns={"id": "long", "ho_ten": "string"}))
        lab.install(fewer)
        lab.insert(2)
        lab.number()
        assert [row.seq for row in lab.rows()] == [1, 2]
        assert json.loads(lab.rows()[1].after or "") == {"id": 2, "ho_ten": "Người thử"}
        assert [state.capture for state in lab.site.states()] == [fewer]

    def test_rows_that_wait_get_the_columns_of_a_changed_contract(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "Đã gửi")
        lab.outbox.mark([one.id for one in lab.number()])
        lab.insert(2, 'Chờ "gửi"', diem=1 / 3, con_lai=True)
        lab.hand.run("UPDATE so_ho SET ho_ten = NULL WHERE id = 2")
        lab.number()
        lab.hand.run("DELETE FROM so_ho WHERE id = 2")
        before = lab.rows()
        wanted = Capture.of(a_contract(columns={"ghi_chu": "string", **COLUMNS}))
        assert lab.site.lacking(wanted) == 3
        lab.install(wanted)
        assert lab.site.needed(wanted) == []
        assert lab.site.lacking(wanted) == 0
        after = lab.rows()
        assert after[0] == before[0], "what is published stays as it went out"
        for old, new in zip(before[1:], after[1:], strict=True):
            assert (new.op, new.key, new.seq) == (old.op, old.key, old.seq)
            for image, completed in ((old.before, new.before), (old.after, new.after)):
                found = None if completed is None else json.loads(completed)
                assert found == (None if image is None else {"ghi_chu": None, **json.loads(image)})

    def test_missing_triggers_are_noticed_and_put_back(self, lab: CaptureLab) -> None:
        lab.install()
        if lab.is_postgres:
            lab.hand.run("ALTER TABLE so_ho DISABLE TRIGGER ALL")
        else:
            lab.hand.run("DROP TRIGGER lienthong_thu__soho_update")
        assert [state.in_place for state in lab.outbox.states()] == [False]
        lab.install()
        assert [state.in_place for state in lab.outbox.states()] == [True]

    def test_uninstalling_leaves_the_outbox_and_the_counter(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.number()
        lab.site.run(lab.site.removal(SOHO))
        lab.insert(2)
        assert lab.told() == [("c", "1")]
        assert [(state.captured, state.next_seq) for state in lab.site.states()] == [(False, 2)]
        lab.install()
        lab.insert(3)
        lab.number()
        assert [(row.key, row.seq) for row in lab.rows()] == [("1", 1), ("3", 2)]

    def test_an_outbox_that_is_not_there_says_what_to_run(self, lab: CaptureLab) -> None:
        assert lab.outbox.states() == []
        with pytest.raises(LienthongError) as caught:
            lab.number()
        assert "capture install" in caught.value.next_step

    # --- snapshots -------------------------------------------------------------------------------------

    def test_a_snapshot_tells_what_was_there_before(self, lab: CaptureLab) -> None:
        for id_ in range(1, 6):
            lab.insert(id_, f"Người {id_}", diem=id_ / 3, con_lai=True)
        lab.install()
        lab.insert(6)
        assert take(lab) == 6
        assert [op for op, _ in lab.told()] == ["c", "r", "r", "r", "r", "r", "r"]
        assert replayed(lab.rows()) == lab.table()
        assert [(state.snapshot, state.snapshot_rows) for state in lab.site.states()] == [("done", 6)]

    def test_an_interrupted_snapshot_goes_on_and_a_finished_one_begins_anew(self, lab: CaptureLab) -> None:
        for id_ in range(1, 8):
            lab.insert(id_)
        lab.install()
        lab.site.begin_snapshot(SOHO)
        assert lab.site.snapshot_chunk(SOHO, 3) == 3
        assert [state.snapshot for state in lab.site.states()] == ["running"]
        assert lab.site.begin_snapshot(SOHO) == 3
        assert take(lab) == 7
        assert [row.key for row in lab.rows()] == [str(id_) for id_ in range(1, 8)]
        assert lab.site.snapshot_chunk(SOHO, 3) is None, "none was begun"
        assert take(lab) == 7
        assert len(lab.rows()) == 14

    def test_a_snapshot_follows_compound_keys(self, lab: CaptureLab) -> None:
        lab.hand.run(
            "CREATE TABLE cap_doi (xa varchar(40) NOT NULL, so bigint NOT NULL, ten text, UNIQUE (xa, so))"
        )
        for xa in ("b", "a|b", "ă", "A", "10", "9", "it's"):
            for so in (2, 10, -1):
                lab.hand.run("INSERT INTO cap_doi VALUES (?, ?, 'x')", xa, so)
        lab.install(PAIR)
        lab.site.begin_snapshot(PAIR)
        while lab.site.snapshot_chunk(PAIR, 2) is not None:
            pass
        assert len(lab.rows(PAIR)) == 21
        assert replayed(lab.rows(PAIR)) == lab.table(PAIR)

    def test_an_empty_table_has_an_empty_snapshot(self, lab: CaptureLab) -> None:
        lab.install()
        assert take(lab) == 0
        assert [state.snapshot for state in lab.site.states()] == ["done"]

    @pytest.mark.parametrize("seed", range(3))
    def test_a_snapshot_racing_with_clerks_ends_as_the_table_does(self, lab: CaptureLab, seed: int) -> None:
        with lab.transaction():
            for id_ in range(1, 1501):
                lab.insert(id_, f"Người {id_}")
        lab.install()
        with clerks(lab, seed, disturb) as went_on:
            chunks = lab.snapshot(SOHO, 40, between=went_on)
        assert chunks > 30
        ops = [op for op, _ in lab.told()]
        assert ops.count("r") > 1000
        assert {"c", "u", "d"} <= set(ops[ops.index("r") :]), "clerks were at work during the snapshot"
        assert replayed(lab.rows()) == lab.table()


def take(lab: CaptureLab, capture: Capture = SOHO) -> int:
    """A whole snapshot."""
    return take_snapshot(
        lab.site, capture, progress=lambda _: None, tell=lambda _: None, clock=SystemClock(), stop=Event()
    )


def scramble(lab: CaptureLab, chance: random.Random, *, rounds: int) -> None:
    """Random work on few keys: inserts, updates of one and several rows, new keys, deletes, transactions."""
    for _ in range(rounds):
        ids = {int(key) for key in lab.table()}
        free = sorted(set(range(1, 30)) - ids)
        with lab.transaction():
            for _ in range(chance.randint(1, 3)):
                step = chance.randrange(6)
                if step <= 1 and free:
                    lab.insert(free.pop(), f"Người {chance.random()}", le_phi=chance.randint(0, 9))
                elif step == 2:
                    lab.hand.run(
                        "UPDATE so_ho SET ho_ten = ? WHERE id % 3 = ?", f"{chance.random()}", step % 3
                    )
                elif step == 3 and free:
                    some = "(SELECT min(id) FROM so_ho WHERE id > ?)"
                    lab.hand.run(
                        f"UPDATE so_ho SET id = ? WHERE id = {some}", free.pop(0), chance.randrange(30)
                    )
                elif step == 4:
                    lab.hand.run("DELETE FROM so_ho WHERE id % 7 = ?", chance.randrange(7))
                else:
                    lab.hand.run("UPDATE so_ho SET con_lai = ? WHERE id < ?", True, chance.randrange(30))


def disturb(hand: Hand, chance: random.Random, number: int) -> None:
    """One clerk's short transaction, in a random place of the table."""
    run = hand.run
    id_ = chance.randint(1, 1500)
    step = chance.randrange(5)
    if step == 0:
        run("DELETE FROM so_ho WHERE id = ?", id_)
    elif step == 1:
        run("INSERT INTO so_ho (id, ho_ten) VALUES (?, 'mới') ON CONFLICT (id) DO NOTHING", id_)
    elif step == 2:
        new = 2000 + 3 * chance.randrange(500) + number  # no other clerk gives this key
        run(
            "UPDATE so_ho SET id = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM so_ho WHERE id = ?)",
            new,
            id_,
            new,
        )
    else:
        run("UPDATE so_ho SET ho_ten = ? WHERE id = ?", f"{chance.random()}", id_)
