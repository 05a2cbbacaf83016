"""The laws on PostgreSQL, and what only a server can do wrong."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from consumers.opening import open_store
from tests.store_lab import BOOK, Lab
from tests.store_laws import StoreLaws


def _shift_claims(connection: sa.Connection) -> None:
    ago = "interval '601 seconds'"
    connection.exec_driver_sql(
        f"UPDATE lienthong_ledger SET claimed_at = claimed_at - {ago}, updated_at = updated_at - {ago}"
    )


@pytest.fixture
def lab(database: str) -> Iterator[Lab]:
    store = open_store(database, effect_log=True)
    store.migrate([BOOK])
    lab = Lab(store=store, url=database, shift_claims=_shift_claims)
    yield lab
    lab.close()


class TestPostgres(StoreLaws):
    @pytest.fixture
    def guarded(self, lab: Lab) -> Lab:
        """A store whose table refuses one value, as an agency's own constraint might."""
        lab.execute(f"ALTER TABLE {BOOK.table} ADD CONSTRAINT khong_xau CHECK (hoten <> 'XẤU')")
        return lab
