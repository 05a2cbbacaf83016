"""The laws on SQLite: no server needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.laws.store import StoreLaws
from tests.store_lab import BOOK, Lab, make_lab


def _shift_claims(connection: sa.Connection) -> None:
    moment = "strftime('%Y-%m-%dT%H:%M:%f000+00:00', {}, '-10 minutes', '-1 second')"
    connection.exec_driver_sql(
        f"UPDATE lienthong_ledger SET claimed_at = {moment.format('claimed_at')},"
        f" updated_at = {moment.format('updated_at')}"
    )


class TestSqlite(StoreLaws):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/national.db"

    @pytest.fixture
    def lab(self, address: str) -> Iterator[Lab]:
        lab = make_lab(address, _shift_claims)
        yield lab
        lab.close()

    @pytest.fixture
    def guarded(self, lab: Lab) -> Lab:
        """A store whose table refuses one value, as an agency's own constraint might."""
        for event in ("INSERT", "UPDATE"):
            lab.execute(
                f"CREATE TRIGGER guard_{event} BEFORE {event} ON {BOOK.table} WHEN NEW.hoten = 'XẤU'"
                " BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        return lab
