"""A source in a real MariaDB compared with a national store."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consumers.proofs import Proof
from consumers.reconcile import Comparison
from producers.side import open_side
from schemas.differences import Difference
from schemas.errors import LienthongError
from tests.more.mariadb import MariadbNode
from tests.short_road import TABLE, ShortRoad


@pytest.fixture
def mariadb(tmp_path: Path) -> Iterator[MariadbNode]:
    node = MariadbNode(tmp_path / "mariadb")
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.mark.timeout(900)
def test_a_source_in_mariadb_is_compared_as_the_others_are(mariadb: MariadbNode, tmp_path: Path) -> None:
    (tmp_path / "agency.db").touch()
    road = ShortRoad(f"sqlite:///{tmp_path}/agency.db", f"sqlite:///{tmp_path}/national.db")
    road.install()
    road.people(1, 300)
    road.write("UPDATE so_nguoi SET ten = 'đỗ thị|ất 🙂', con = NULL WHERE id = 5")
    road.bring()
    columns = "id bigint PRIMARY KEY, so text, ten text, ngay text, con boolean, trang_thai int"
    rows = ", ".join(
        f"({n}, 'S{n}', 'nguyễn văn thử', '01/02/2016', {'true' if n % 2 else 'false'}, 1)"
        for n in range(1, 301)
    )
    mariadb.run("CREATE DATABASE agency CHARACTER SET utf8mb4")
    mariadb.run(
        f"CREATE TABLE so_nguoi ({columns})",
        f"INSERT INTO so_nguoi VALUES {rows}",
        "UPDATE so_nguoi SET ten = 'đỗ thị|ất 🙂', con = NULL WHERE id = 5",
        database="agency",
    )

    def compare() -> tuple[Proof, list[Difference]]:
        with closing(open_side(mariadb.url("agency"), road.contract, print)) as side:
            comparison = Comparison(side, road.store, road.library, "of mariadb")
            found = [one for part in comparison.differences() for one in part]
            return comparison.prove(), found

    assert [(proof.translated, proof.drift) for proof, _ in (compare(), compare())] == [(300, 0), (0, 0)]
    road.spoil(
        f"UPDATE {TABLE} SET ten = 'x' WHERE lt_key = 'S7'", f"DELETE FROM {TABLE} WHERE lt_key = 'S5'"
    )
    proof, found = compare()
    assert sorted((one.kind, one.source_key, one.fields) for one in found) == [
        ("different", "7", ("ten",)),
        ("missing", "5", ()),
    ]
    assert proof.translated < 30
    with (
        closing(open_side(mariadb.url("agency"), road.contract, print)) as side,
        pytest.raises(LienthongError),
    ):
        side.send(["5"])
    road.close()
