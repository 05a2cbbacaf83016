"""What only PostgreSQL can do to a trigger: TRUNCATE, a clerk's session, and the vendor's own triggers."""

import json

import psycopg
import pytest

from producers.outbox import Capture
from schemas.contracts import AvroType, LineSet
from tests.capture_lab import COLUMNS, SOHO, CaptureLab, a_contract, replayed, take


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

    def test_of_a_table_that_was_renamed(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1, "50%")
        lab.hand.run('ALTER TABLE so_ho RENAME TO "Sổ cũ"')
        lab.hand.run('TRUNCATE "Sổ cũ"')
        assert lab.told() == [("c", "1"), ("d", "1")]
        assert json.loads(lab.rows()[1].before or "")["ho_ten"] == "50%"

    def test_of_a_table_whose_name_another_one_has_tells_nothing_of_that_one(self, lab: CaptureLab) -> None:
        lab.install()
        lab.insert(1)
        lab.hand.run("ALTER TABLE so_ho RENAME TO so_cu")
        lab.hand.run("CREATE TABLE so_ho (LIKE so_cu INCLUDING ALL)")
        lab.hand.run("INSERT INTO so_ho SELECT * FROM so_cu")
        lab.hand.run("TRUNCATE so_cu")
        assert lab.told() == [("c", "1")]
        assert list(lab.table()) == ["1"]


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

    @pytest.mark.parametrize("ddl", ["ho_ten TYPE varchar(90)", "id TYPE numeric", "diem TYPE real"])
    def test_a_session_that_was_there_when_a_columns_type_was_changed(
        self, lab: CaptureLab, ddl: str
    ) -> None:
        """A whole row would go nowhere: in its JSON ``le_phi`` is a number, and a string in the contract."""
        lab.install()
        lab.insert(1, le_phi="10.50", diem=0.5)
        lab.hand.run("UPDATE so_ho SET ho_ten = 'một'")
        lab.hand.run("DELETE FROM so_ho")
        lab.hand.run(f"ALTER TABLE so_ho ALTER {ddl}")
        lab.insert(2, le_phi="10.50", diem=0.5)
        lab.hand.run("UPDATE so_ho SET ho_ten = 'hai'")
        lab.hand.run("UPDATE so_ho SET id = 3")
        assert replayed(lab.rows()) == lab.table()
        lab.hand.run("DELETE FROM so_ho")
        rows = lab.rows()[3:]
        assert [(row.op, row.key) for row in rows] == [
            ("c", "2"),
            ("u", "2"),
            ("d", "2"),
            ("c", "3"),
            ("d", "3"),
        ]
        for image in (image for row in rows for image in (row.before, row.after) if image):
            assert list(json.loads(image)) == list(SOHO.columns)
            assert json.loads(image)["le_phi"] == "10.50"

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

    def test_changes_from_while_a_column_was_gone_fit_a_contract_without_it(self, lab: CaptureLab) -> None:
        """They were kept as whole rows, whose JSON has numbers where the contract has strings."""
        lab.install()
        lab.insert(1, le_phi="10.50", ngay="2016-05-04")
        lab.hand.run("ALTER TABLE so_ho DROP COLUMN ho_ten")
        lab.hand.run("UPDATE so_ho SET diem = 0.5")
        columns = {name: avro for name, avro in COLUMNS.items() if name != "ho_ten"}
        without = Capture.of(a_contract(columns=columns))
        assert lab.site.lacking(without) == 1
        lab.install(without)
        due = {"id": 1, "ngay": "2016-05-04", "le_phi": "10.50", "diem": None, "con_lai": None}
        row = lab.rows(without)[1]
        assert json.loads(row.before or "") == due
        assert json.loads(row.after or "") == {**due, "diem": 0.5}
        assert lab.site.lacking(without) == 0

    def test_an_array_of_a_whole_row_is_not_taken_for_its_text(self, lab: CaptureLab) -> None:
        """``{c}`` is its text, and not ``["c"]``: the change waits for a snapshot."""
        columns: dict[str, AvroType] = {"id": "long", "ma": "string", "x": "string"}
        lab.hand.run("CREATE TABLE ten (id bigint PRIMARY KEY, ma text[], x text)")
        lab.install(Capture.of(a_contract(dataset="ten", table="ten", columns=columns)))
        lab.hand.run("ALTER TABLE ten DROP COLUMN x")
        lab.hand.run("INSERT INTO ten VALUES (1, ARRAY['c'])")
        del columns["x"]
        without = Capture.of(a_contract(dataset="ten", table="ten", columns=columns))
        lab.install(without)
        assert json.loads(lab.rows(without)[0].after or "")["ma"] == ["c"]

    def test_columns_named_as_our_rows_are(self, lab: CaptureLab) -> None:
        """Such a name means the column, and not the row: while all is there, and once a column is gone."""
        dong = LineSet(table="dong", on={"ho": "id"}, columns={"i": "string", "l": "string"})
        columns: dict[str, AvroType] = {"id": "long", "i": "string", "t": "string", "x": "string"}
        named = Capture.of(a_contract(dataset="ten", table="ten", columns=columns, lines={"dong": dong}))
        lab.hand.run("CREATE TABLE ten (id bigint PRIMARY KEY, i text, t text, x text)")
        lab.hand.run("CREATE TABLE dong (ho bigint, i text, l text)")
        lab.install(named)
        lab.hand.run("INSERT INTO ten VALUES (1, 'a', 'b', 'c')")
        lab.hand.run("INSERT INTO dong VALUES (1, 'd', 'e')")
        assert take(lab, named) == 1
        due = {"id": 1, "i": "a", "t": "b", "x": "c", "dong": [{"i": "d", "l": "e"}]}
        assert [json.loads(row.after or "") for row in lab.rows(named)[1:]] == [due, due]
        lab.hand.run("ALTER TABLE ten DROP COLUMN x")
        lab.hand.run("UPDATE dong SET l = 'f'")
        lab.hand.run("TRUNCATE ten")
        assert [(row.op, row.key, json.loads(row.before or "")["i"]) for row in lab.rows(named)[3:]] == [
            ("u", "1", "a"),
            ("d", "1", "a"),
        ]
