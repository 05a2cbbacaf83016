"""Settings of capture, read from ``LIENTHONG_*`` by ``schemas.settings.load_settings``."""

from pydantic import Field

from schemas.settings import LibrarySettings


class SourceSettings(LibrarySettings):
    """What every capture command needs: the contracts and the agency's database."""

    source: str = Field(min_length=1)
    """SQLAlchemy URL of the agency's database, ``postgresql+psycopg://…`` or ``sqlite:///…``."""


class RelaySettings(SourceSettings):
    """What the relay needs besides."""

    broker: str = Field(min_length=1)
    """Kafka's bootstrap servers, ``host:port`` separated by commas."""

    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Port of the Prometheus endpoint on the loopback address; 0 takes a free one and says which."""

    keep_days: float = Field(default=30, gt=0, le=3650)
    """Published outbox rows are kept this long, so that a doubtful change can still be looked at."""

    stall_seconds: float = Field(default=300, ge=30, le=3600)
    """Waiting for the broker or the database this long without progress ends the process (exit status 75)."""
