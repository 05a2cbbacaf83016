"""Settings of a road worker: what ``consumers`` needs, plus the worker's own."""

from pydantic import Field

from consumers.settings import ConsumerSettings


class RoadSettings(ConsumerSettings):
    """Read from ``LIENTHONG_*``; see ``schemas.settings.load_settings``."""

    stall_seconds: float = Field(default=120.0, ge=30, le=3600)
    """A worker without progress for this long ends itself. Above the longest rebalance and transaction."""
