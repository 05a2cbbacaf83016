"""Laws of captured lines (rows of other tables), run on SQLite (unit) and PostgreSQL (integration)."""

import json
import random
from contextlib import suppress
from typing import Any

import pytest
from psycopg import errors

from producers.outbox import Capture, Change
from schemas.contracts import AvroType, LineSet
from tests.capture_lab import CaptureLab, Hand, a_contract, clerks, replayed, take

DONG = LineSet(
    table="so_dong",
    on={"ho_id": "id"},
    order=("stt",),
    columns={"loai": "string", "tien": "long", "he_so": "double"},
)
NHA = LineSet(table="so_nha", on={"ho": "id"}, columns={"dia_chi": "string"}, one=True)
COLUMNS: dict[str, AvroType] = {"id": "long", "ho_ten": "string"}
LINED = Capture.of(a_contract(columns=COLUMNS, lines={"dong": DONG, "nha": NHA}))


def make(lab: CaptureLab, *, cascade: bool = True) -> None:
    """The tables of lines; ``ghi_chu`` is not captured, ``ma`` is unique."""
    number = "bigint" if lab.is_postgres else "INTEGER"
    tie = "REFERENCES so_ho ON DELETE CASCADE ON UPDATE CASCADE" if cascade else ""
    lab.hand.run(
        f"CREATE TABLE so_dong (dong_id {number} PRIMARY KEY, ho_id bigint {tie}, stt integer, loai text,"
        " tien bigint, he_so double precision, ghi_chu text, ma text UNIQUE)"
    )
    lab.hand.run("CREATE INDEX so_dong_ho ON so_dong (ho_id)")
    lab.hand.run(f"CREATE TABLE so_nha (ho {number} PRIMARY KEY {tie}, dia_chi text)")
    enforce(lab, lab.hand)


def enforce(lab: CaptureLab, hand: Hand) -> None:
    if not lab.is_postgres:
        hand.run("PRAGMA foreign_keys = ON")


def dong(lab: CaptureLab, id_: int, ho_id: int, *, hand: Hand | None = None, **more: Any) -> None:
    row = {"dong_id": id_, "ho_id": ho_id, "stt": id_, **more}
    marks = ", ".join("?" for _ in row)
    (hand or lab.hand).run(f"INSERT INTO so_dong ({', '.join(row)}) VALUES ({marks})", *row.values())


def held(text: str | None, which: str = "dong") -> list[dict[str, Any]] | None:
    return None if text is None else json.loads(text)[which]


def kinds(change: Change) -> tuple[list[str] | None, list[str] | None]:
    """What ``loai`` the lines had before and after."""
    before, after = (held(text) for text in (change.before, change.after))
    return _loai(before), _loai(after)


def _loai(lines: list[dict[str, Any]] | None) -> list[str] | None:
    return None if lines is None else [one["loai"] for one in lines]


class LineLaws:
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""

    def test_a_record_is_told_with_its_lines_in_order(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1, "Nguyễn Thử")
        dong(lab, 1, 1, stt=2, loai="hai", tien=2**53 + 1, he_so=0.1 + 0.2)
        dong(lab, 2, 1, stt=1, loai="một")
        dong(lab, 3, 1, stt=2, loai='ba "}]', ghi_chu="bí mật")
        lab.hand.run("INSERT INTO so_nha VALUES (1, 'Ấp Thử')")
        lab.install(LINED)
        lab.hand.run("UPDATE so_ho SET ho_ten = 'Khác' WHERE id = 1")
        (row,) = lab.rows(LINED)
        image = json.loads(row.after or "")
        assert list(image) == ["id", "ho_ten", "dong", "nha"]
        assert [one["loai"] for one in image["dong"]] == ["một", 'ba "}]', "hai"]
        last = image["dong"][2]
        assert (last["tien"], float(last["he_so"])) == (2**53 + 1, 0.1 + 0.2)
        assert list(last) == ["loai", "tien", "he_so"]
        assert image["nha"] == [{"dia_chi": "Ấp Thử"}]
        assert "bí mật" not in (row.after or "")
        assert held(row.before) == image["dong"]

    def test_a_change_of_lines_is_a_change_of_their_record(self, lab: CaptureLab) -> None:
        make(lab)
        lab.install(LINED)
        lab.insert(1)
        dong(lab, 1, 1, loai="a")
        dong(lab, 2, 1, loai="b")
        lab.hand.run("UPDATE so_dong SET loai = 'c' WHERE dong_id = 1")
        lab.hand.run("DELETE FROM so_dong WHERE dong_id = 2")
        lab.hand.run("INSERT INTO so_nha VALUES (1, 'x')")
        assert lab.told(LINED) == [("c", "1"), *[("u", "1")] * 5]
        assert [kinds(row) for row in lab.rows(LINED)[:5]] == [
            (None, []),
            ([], ["a"]),
            (["a"], ["a", "b"]),
            (["a", "b"], ["c", "b"]),
            (["c", "b"], ["c"]),
        ]
        assert held(lab.rows(LINED)[5].before, "nha") == []
        assert held(lab.rows(LINED)[5].after, "nha") == [{"dia_chi": "x"}]
        assert replayed(lab.rows(LINED)) == lab.table(LINED)

    def test_what_is_not_captured_of_a_line_tells_nothing(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run("UPDATE so_dong SET ghi_chu = 'khác', loai = loai")
        lab.hand.run("DELETE FROM so_dong WHERE dong_id = 99")
        assert lab.told(LINED) == []

    def test_a_new_order_is_a_change(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        dong(lab, 1, 1, loai="a")
        dong(lab, 2, 1, loai="b")
        lab.install(LINED)
        lab.hand.run("UPDATE so_dong SET stt = 9 WHERE dong_id = 1")
        assert [kinds(row) for row in lab.rows(LINED)] == [(["a", "b"], ["b", "a"])]

    def test_a_line_that_moves_changes_both_records(self, lab: CaptureLab) -> None:
        make(lab)
        for id_ in (1, 2):
            lab.insert(id_)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run("UPDATE so_dong SET ho_id = 2")
        assert sorted(lab.told(LINED)) == [("u", "1"), ("u", "2")]
        assert {row.key: kinds(row) for row in lab.rows(LINED)} == {"1": (["a"], []), "2": ([], ["a"])}

    def test_a_line_without_its_record_tells_nothing(self, lab: CaptureLab) -> None:
        make(lab, cascade=False)
        lab.install(LINED)
        dong(lab, 1, 7, loai="a")
        lab.hand.run("UPDATE so_dong SET ho_id = 8")
        dong(lab, 2, 8, loai="b")
        assert lab.told(LINED) == []
        lab.insert(8)
        assert kinds(lab.rows(LINED)[0]) == (None, ["a", "b"])
        lab.hand.run("DELETE FROM so_ho WHERE id = 8")
        lab.hand.run("DELETE FROM so_dong")
        assert lab.told(LINED) == [("c", "8"), ("d", "8")]

    def test_a_delete_that_takes_its_lines_along_is_one_delete(self, lab: CaptureLab) -> None:
        make(lab)
        for id_ in (1, 2):
            lab.insert(id_)
            dong(lab, id_, id_, loai="a")
            dong(lab, id_ + 10, id_, loai="b")
        lab.install(LINED)
        lab.hand.run("DELETE FROM so_ho")
        assert sorted(lab.told(LINED)) == [("d", "1"), ("d", "2")]
        assert [kinds(row) for row in lab.rows(LINED)] == [(["a", "b"], None)] * 2

    def test_a_record_put_in_and_taken_out_with_its_lines_ends_as_the_table_does(
        self, lab: CaptureLab
    ) -> None:
        make(lab)
        lab.install(LINED)
        with lab.transaction():
            lab.insert(1)
            dong(lab, 1, 1, loai="a")
            lab.hand.run("UPDATE so_ho SET ho_ten = 'Khác'")
            lab.hand.run("DELETE FROM so_dong")
            dong(lab, 2, 1, loai="b")
        assert lab.told(LINED)[0] == ("c", "1")
        assert replayed(lab.rows(LINED)) == lab.table(LINED)
        lab.hand.run("DELETE FROM so_dong")
        lab.hand.run("DELETE FROM so_ho")
        assert lab.told(LINED)[-2:] == [("u", "1"), ("d", "1")]

    def test_a_new_key_takes_the_lines_along(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        dong(lab, 1, 1, loai="a")
        lab.install(LINED)
        lab.hand.run("UPDATE so_ho SET id = 5")
        assert {("d", "1"), ("c", "5")} <= set(lab.told(LINED))
        assert replayed(lab.rows(LINED)) == lab.table(LINED)
        deleted = next(row for row in lab.rows(LINED) if row.op == "d")
        assert kinds(deleted) == (["a"], None)

    def test_a_trigger_of_the_vendor_may_change_record_and_lines_again(self, lab: CaptureLab) -> None:
        make(lab)
        total = "UPDATE so_ho SET ho_ten = 'tổng ' || (SELECT sum(tien) FROM so_dong WHERE ho_id = NEW.ho_id)"
        more = "INSERT INTO so_dong (dong_id, ho_id, loai) SELECT NEW.dong_id + 100, NEW.ho_id, 'phí'"
        body = f"{total} WHERE id = NEW.ho_id; {more} WHERE NEW.dong_id < 100;"
        self.vendor(lab, "so_dong", body)
        lab.install(LINED)
        self.vendor(lab, "so_dong", "UPDATE so_dong SET he_so = 1 WHERE dong_id = NEW.dong_id;")
        lab.insert(1)
        lab.insert(2)
        dong(lab, 1, 1, loai="a", tien=5)
        dong(lab, 2, 1, loai="b", tien=6)
        lab.hand.run("DELETE FROM so_dong WHERE dong_id = 1")
        assert replayed(lab.rows(LINED)) == lab.table(LINED)
        assert len(lab.table(LINED)["1"]["dong"]) == 3

    @staticmethod
    def vendor(lab: CaptureLab, table: str, body: str) -> None:
        """An AFTER INSERT trigger of the vendor's."""
        count = len(
            lab.hand.run("SELECT 1 FROM pg_trigger" if lab.is_postgres else "SELECT 1 FROM sqlite_master")
        )
        if lab.is_postgres:
            lab.hand.run(
                f"CREATE FUNCTION f{count}() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$BEGIN {body} RETURN NULL; END$$"
            )
            call = f"FOR EACH ROW EXECUTE FUNCTION f{count}()"
        else:
            call = f"BEGIN {body} END"
        lab.hand.run(f"CREATE TRIGGER v{count} AFTER INSERT ON {table} {call}")

    @pytest.mark.parametrize("seed", range(6))
    def test_replaying_the_outbox_gives_records_and_lines(self, lab: CaptureLab, seed: int) -> None:
        make(lab)
        lab.install(LINED)
        chance = random.Random(seed)
        for _ in range(40):
            with lab.transaction():
                for _ in range(chance.randint(1, 3)):
                    disturb(lab.hand, chance, 8)
            assert replayed(lab.rows(LINED)) == lab.table(LINED)
        assert {"c", "u", "d"} <= {op for op, _ in lab.told(LINED)}
        lab.number(LINED)
        assert [row.seq for row in lab.rows(LINED)] == list(range(1, len(lab.rows(LINED)) + 1))

    @pytest.mark.parametrize("seed", range(2))
    def test_a_snapshot_racing_with_changes_of_lines_ends_as_the_tables_do(
        self, lab: CaptureLab, seed: int
    ) -> None:
        make(lab)
        with lab.transaction():
            for id_ in range(1, 301):
                lab.insert(id_)
                dong(lab, id_, id_, loai="a")
        lab.install(LINED)

        def step(hand: Hand, chance: random.Random, _: int) -> None:
            enforce(lab, hand)
            # A record is deleted while a line of it comes or changes: PostgreSQL ends one of both.
            with suppress(errors.ForeignKeyViolation, errors.DeadlockDetected):
                disturb(hand, chance, 300)

        with clerks(lab, seed, step) as went_on:
            for _ in range(3):
                lab.snapshot(LINED, 10, between=went_on)
        ops = [op for op, _ in lab.told(LINED)]
        assert ops.count("r") > 300
        assert "u" in ops[ops.index("r") :], "clerks were at work during the snapshot"
        assert replayed(lab.rows(LINED)) == lab.table(LINED)

    def test_a_snapshot_tells_the_lines(self, lab: CaptureLab) -> None:
        make(lab)
        for id_ in (1, 2):
            lab.insert(id_)
            dong(lab, id_, id_, loai=str(id_))
        lab.install(LINED)
        assert take(lab, LINED) == 2
        assert [kinds(row) for row in lab.rows(LINED)] == [(None, ["1"]), (None, ["2"])]

    # --- installing ------------------------------------------------------------------------------------

    def test_installing_twice_changing_and_uninstalling(self, lab: CaptureLab) -> None:
        make(lab)
        lab.insert(1)
        lab.install(LINED)
        assert lab.site.needed(LINED) == []
        (state,) = lab.site.states()
        assert (state.capture, state.in_place) == (LINED, True)
        fewer = Capture.of(a_contract(columns=COLUMNS, lines={"nha": NHA}))
        lab.install(fewer)
        assert [state.in_place for state in lab.site.states()] == [True]
        dong(lab, 1, 1, loai="a")
        assert lab.told(LINED) == [], "the triggers of a set that the contract no longer has are gone"
        lab.hand.run("INSERT INTO so_nha VALUES (1, 'x')")
        lab.site.run(lab.site.removal(fewer))
        lab.hand.run("UPDATE so_nha SET dia_chi = 'y'")
        lab.hand.run("UPDATE so_ho SET ho_ten = 'y'")
        assert lab.told(LINED) == [("u", "1")]
        assert leftovers(lab) == []

    def test_a_missing_trigger_of_the_lines_is_noticed(self, lab: CaptureLab) -> None:
        make(lab)
        lab.install(LINED)
        if lab.is_postgres:
            lab.hand.run("ALTER TABLE so_nha DISABLE TRIGGER ALL")
        else:
            lab.hand.run("DROP TRIGGER lienthong_thu__soho_l1_update")
        assert [state.in_place for state in lab.outbox.states()] == [False]
        lab.install(LINED)
        assert [state.in_place for state in lab.outbox.states()] == [True]

    def test_rows_that_wait_say_nothing_of_lines_that_the_contract_gets_later(self, lab: CaptureLab) -> None:
        make(lab)
        lab.install(Capture.of(a_contract(columns=COLUMNS)))
        lab.insert(1)
        assert lab.site.lacking(LINED) == 1
        lab.install(LINED)
        assert held(lab.rows(LINED)[0].after) is None
        assert lab.site.lacking(LINED) == 0


def leftovers(lab: CaptureLab) -> list[Any]:
    """Triggers, functions and helping tables of ours that are still there."""
    if lab.is_postgres:
        return lab.hand.run(
            "SELECT tgname FROM pg_trigger WHERE tgname LIKE '00_lienthong%'"
            " UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'lienthong%'"
        )
    return lab.hand.run(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' OR name LIKE 'lienthong_lines%'"
        " OR name LIKE 'lienthong_replaced%'"
    )


def disturb(hand: Hand, chance: random.Random, most: int) -> None:
    """One statement of a clerk on records ``1`` to ``most`` or their lines."""
    id_, other, line = (chance.randint(1, most) for _ in range(3))
    loai = f"{chance.random():.3f}"
    there = "SELECT 1 FROM so_ho WHERE id = ?"
    step = chance.randrange(9)
    if step == 0:
        hand.run("DELETE FROM so_ho WHERE id = ?", id_)
    elif step <= 2:
        hand.run("INSERT INTO so_ho (id, ho_ten) VALUES (?, 'mới') ON CONFLICT (id) DO NOTHING", id_)
    elif step == 3:
        hand.run("UPDATE so_ho SET ho_ten = ? WHERE id = ?", loai, id_)
    elif step == 4:
        new = chance.randint(most + 1, 9 * most)
        insert = "INSERT INTO so_dong (dong_id, ho_id, loai) SELECT ?, id, ? FROM so_ho WHERE id = ?"
        hand.run(f"{insert} ON CONFLICT DO NOTHING", new, loai, id_)
    elif step == 5:
        hand.run("UPDATE so_dong SET loai = ? WHERE dong_id % 5 = ? AND ho_id = ?", loai, line % 5, id_)
    elif step == 6:
        hand.run(f"UPDATE so_dong SET ho_id = ? WHERE ho_id = ? AND EXISTS ({there})", other, id_, other)
    elif step == 7:
        hand.run("DELETE FROM so_dong WHERE ho_id = ?", id_)
    else:
        hand.run(
            f"INSERT INTO so_nha SELECT ?, ? WHERE EXISTS ({there})"
            " ON CONFLICT (ho) DO UPDATE SET dia_chi = excluded.dia_chi",
            id_,
            loai,
            id_,
        )
