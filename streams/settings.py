"""Settings of a road worker: what ``consumers`` needs, plus the worker's own."""

from pydantic import Field

from consumers.settings import ConsumerSettings


class RoadSettings(ConsumerSettings):
    """Read from ``LIENTHONG_*``; see ``schemas.settings.load_settings``."""

    stall_seconds: float = Field(default=120.0, ge=30, le=3600)
    """A worker without progress for this long ends itself. Above the longest rebalance and transaction."""

    flood_share: float = Field(default=0.5, gt=0, le=1)
    """A source is paused when this share of its last changes was refused …"""

    flood_window: int = Field(default=1000, ge=10, le=1_000_000)
    """… among so many of them,"""

    flood_consecutive: int = Field(default=500, ge=1, le=1_000_000)
    """or so many one after the other."""

    flood_pause_seconds: float = Field(default=300, ge=1, le=86_400)
    """A paused source is tried with one fetch after so long, and again after so long each time."""
