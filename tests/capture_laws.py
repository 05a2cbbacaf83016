"""All the laws of capture, run on SQLite (unit) and PostgreSQL (integration): what an outbox must say."""

from tests.change_laws import ChangeLaws
from tests.outbox_laws import OutboxLaws
from tests.site_laws import SiteLaws


class CaptureLaws(ChangeLaws, OutboxLaws, SiteLaws):
    """A subclass gives ``lab``: a database whose table ``so_ho`` exists and is not captured yet."""
