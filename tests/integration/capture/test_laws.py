"""The laws of capture on PostgreSQL."""

from tests.capture_laws import CaptureLaws


class TestPostgres(CaptureLaws):
    """All of them."""
