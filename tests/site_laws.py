"""Laws of capture: what installing, removing and a snapshot do, on SQLite and PostgreSQL."""

import json
import random

import pytest

from producers.outbox import Capture
from schemas.errors import LienthongError
from tests.capture_lab import (
    COLUMNS,
    PAIRS,
    SOHO,
    CaptureLab,
    Hand,
    a_contract,
    clerks,
    make_pairs,
    replayed,
    take,
)


class SiteLaws:
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""

    # --- installing ------------------------------------------------------------------------------------

    def test_triggers_of_another_version_are_outdated_until_they_are_made_anew(self, lab: CaptureLab) -> None:
        lab.install()
        assert not lab.site.outdated(SOHO)
        lab.hand.run("UPDATE lienthong_outbox_dataset SET sql_sha256 = 'of another version'")
        assert lab.site.outdated(SOHO)
        lab.install()
        assert not lab.site.outdated(SOHO)

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

    def test_a_table_put_in_the_place_of_another_is_noticed_and_captured(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("ALTER TABLE so_ho RENAME TO so_ho_2025")
        lab.create_table()
        assert [state.in_place for state in lab.outbox.states()] == [False]
        lab.install()
        assert [state.in_place for state in lab.outbox.states()] == [True]
        lab.insert(1)
        lab.hand.run("INSERT INTO so_ho_2025 (id) VALUES (2)")
        assert lab.told() == [("c", "1")]

    def test_uninstalling_reaches_a_table_that_was_renamed(self, lab: CaptureLab) -> None:
        lab.install()
        lab.hand.run("ALTER TABLE so_ho RENAME TO so_ho_2025")
        lab.site.run(lab.site.removal(SOHO))
        lab.hand.run("INSERT INTO so_ho_2025 (id) VALUES (2)")
        assert lab.told() == []

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
        assert lab.chunk(3) == 3
        assert [state.snapshot for state in lab.site.states()] == ["running"]
        assert lab.site.begin_snapshot(SOHO) == 3
        assert take(lab) == 7
        assert [row.key for row in lab.rows()] == [str(id_) for id_ in range(1, 8)]
        assert lab.chunk(3) is None, "none was begun"
        assert take(lab) == 7
        assert len(lab.rows()) == 14

    def test_an_interrupted_snapshot_begins_anew_if_changes_were_missed_meanwhile(
        self, lab: CaptureLab
    ) -> None:
        for id_ in range(1, 8):
            lab.insert(id_)
        lab.install()
        lab.site.begin_snapshot(SOHO)
        assert lab.chunk(3) == 3
        lab.site.run(lab.site.removal(SOHO))
        lab.hand.run("UPDATE so_ho SET ho_ten = 'Người khác' WHERE id = 2")
        lab.install()
        assert take(lab) == 7
        assert replayed(lab.rows()) == lab.table()

    def test_a_snapshot_follows_compound_keys(self, lab: CaptureLab) -> None:
        make_pairs(lab)
        for xa in ("b", "a|b", "ă", "A", "10", "9", "it's"):
            for so in (2, 10, -1):
                lab.hand.run("INSERT INTO cap_doi VALUES (?, ?, 'x')", xa, so)
        lab.install(PAIRS)
        lab.site.begin_snapshot(PAIRS)
        while lab.chunk(2, PAIRS) is not None:
            pass
        assert len(lab.rows(PAIRS)) == 21
        assert replayed(lab.rows(PAIRS)) == lab.table(PAIRS)

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
