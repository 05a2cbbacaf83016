"""The agency's answers on SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.answers import numbers_of
from tests.capture_lab import CaptureLab
from tests.follow_laws import FollowLaws


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CaptureLab]:
    one = CaptureLab(f"sqlite:///{tmp_path}/so_ho.db")
    yield one
    one.close()


class TestSqlite(FollowLaws):
    """All of them."""


def test_numbers_of_a_receipt() -> None:
    assert list(numbers_of("1-3,7")) == [1, 2, 3, 7]
