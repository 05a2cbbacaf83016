"""What the tests of capture on PostgreSQL share."""

from collections.abc import Iterator

import pytest

from tests.capture_lab import CaptureLab


@pytest.fixture
def lab(database: str) -> Iterator[CaptureLab]:
    """An agency's database."""
    one = CaptureLab(database)
    yield one
    one.close()
