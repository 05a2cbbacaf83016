"""The laws on PostgreSQL."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.laws.store import StoreLaws
from tests.store_lab import BOOK, Lab, make_lab


def _shift_claims(connection: sa.Connection) -> None:
    ago = "interval '601 seconds'"
    connection.exec_driver_sql(
        f"UPDATE lienthong_ledger SET claimed_at = claimed_at - {ago}, updated_at = updated_at - {ago}"
    )


class TestPostgres(StoreLaws):
    @pytest.fixture
    def address(self, database: str) -> str:
        return database

    @pytest.fixture
    def lab(self, address: str) -> Iterator[Lab]:
        lab = make_lab(address, _shift_claims)
        yield lab
        lab.close()

    @pytest.fixture
    def guarded(self, lab: Lab) -> Lab:
        """A store whose table refuses one value, as an agency's own constraint might."""
        lab.execute(f"ALTER TABLE {BOOK.table} ADD CONSTRAINT khong_xau CHECK (hoten <> 'XẤU')")
        return lab
