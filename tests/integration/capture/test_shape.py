"""What kinds of tables PostgreSQL has, and which of them can be captured."""

import pytest

from producers.install import check
from producers.opening import open_site
from producers.outbox import Capture
from schemas.contracts import AvroType
from schemas.errors import LienthongError
from tests.capture_lab import CaptureLab, a_contract, replayed, take


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

    def test_a_column_computed_when_it_is_read_is_refused(self, lab: CaptureLab) -> None:
        """It is null in what a trigger is given: a deletion would tell nothing of it."""
        lab.hand.run("CREATE TABLE tinh (id bigint PRIMARY KEY, a text)")
        lab.hand.run("ALTER TABLE tinh ADD b text DEFAULT 'x'")  # its catalog row holds the default
        lab.hand.run("ALTER TABLE tinh ADD ghi text GENERATED ALWAYS AS (upper(a)) STORED")
        lab.hand.run("ALTER TABLE tinh ADD doc text GENERATED ALWAYS AS (upper(a)) VIRTUAL")
        shape = lab.site.inspect("tinh")
        columns: dict[str, AvroType] = {"id": "long", "b": "string", "ghi": "string"}
        told = check(a_contract(table="tinh", columns=columns), shape)
        assert told == ["not captured, for the contract does not name them: a, doc"]
        with pytest.raises(LienthongError, match="column doc is computed") as caught:
            check(a_contract(table="tinh", columns={**columns, "doc": "string"}), shape)
        assert "STORED" in caught.value.next_step

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

    @pytest.mark.parametrize("where", ["", "public."])
    def test_a_table_that_went_to_another_schema_is_not_the_one_that_took_its_name(
        self, lab: CaptureLab, where: str
    ) -> None:
        capture = Capture.of(a_contract(table=f"{where}so_ho"))
        lab.install(capture)
        lab.hand.run("CREATE SCHEMA kho_luu")
        lab.hand.run("ALTER TABLE so_ho SET SCHEMA kho_luu")
        lab.create_table()
        assert [state.in_place for state in lab.outbox.states()] == [False]
        lab.install(capture)
        assert [state.in_place for state in lab.outbox.states()] == [True]
        lab.insert(1)
        lab.hand.run("INSERT INTO kho_luu.so_ho (id) VALUES (2)")
        assert lab.told(capture) == [("c", "1")]

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
