"""The laws of a comparison between two PostgreSQL databases."""

from collections.abc import Iterator

import pytest

from deploy.local.postgres import PostgresNode
from tests.reconcile_laws import ReconcileLaws
from tests.short_road import ShortRoad


class TestPostgres(ReconcileLaws):
    @pytest.fixture
    def road(self, postgres: PostgresNode, database: str, unique: str) -> Iterator[ShortRoad]:
        agency = f"{unique}a"
        made = ShortRoad(postgres.create_database(agency), database)
        yield made
        made.close()
        postgres.drop_database(agency)
