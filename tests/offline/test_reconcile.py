"""The laws of a comparison between two SQLite files: no server needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reconcile_laws import ReconcileLaws
from tests.short_road import ShortRoad


class TestSqlite(ReconcileLaws):
    @pytest.fixture
    def road(self, tmp_path: Path) -> Iterator[ShortRoad]:
        (tmp_path / "agency.db").touch()
        made = ShortRoad(f"sqlite:///{tmp_path}/agency.db", f"sqlite:///{tmp_path}/national.db")
        yield made
        made.close()
