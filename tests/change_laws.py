"""Laws of capture: what the triggers of a table say of each change, on SQLite and PostgreSQL."""

import json
import random

import pytest

from producers.outbox import Capture
from tests.capture_lab import COLUMNS, PAIRS, CaptureLab, a_contract, make_pairs, replayed, take


class ChangeLaws:
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""

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
        make_pairs(lab)
        lab.install(PAIRS)
        lab.hand.run("INSERT INTO cap_doi VALUES (?, 3, 'a')", "x|y%z")
        lab.hand.run("UPDATE cap_doi SET so = 4")
        lab.hand.run("UPDATE cap_doi SET ten = 'b'")
        escaped = "x%7Cy%25z"
        assert lab.told(PAIRS) == [
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
