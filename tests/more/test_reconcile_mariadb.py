"""A source in a real MariaDB compared with a national store."""

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from producers.side import open_side
from schemas.errors import LienthongError
from tests.more.mariadb import MariadbNode
from tests.short_road import CREATE, TABLE, ShortRoad, people


@pytest.mark.timeout(900)
def test_a_source_in_mariadb_is_compared_as_the_others_are(mariadb: MariadbNode, tmp_path: Path) -> None:
    (tmp_path / "agency.db").touch()
    road = ShortRoad(f"sqlite:///{tmp_path}/agency.db", f"sqlite:///{tmp_path}/national.db")
    road.install()
    road.people(1, 300)
    road.write("UPDATE so_nguoi SET ten = 'đỗ thị|ất 🙂', con = NULL WHERE id = 5")
    road.bring()
    mariadb.run("CREATE DATABASE agency CHARACTER SET utf8mb4")
    mariadb.run(
        CREATE,
        people(1, 300),
        "UPDATE so_nguoi SET ten = 'đỗ thị|ất 🙂', con = NULL WHERE id = 5",
        database="agency",
    )
    compare = partial(road.compare, source=mariadb.url("agency"))
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
