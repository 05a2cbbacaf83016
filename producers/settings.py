"""Settings of capture, read from ``LIENTHONG_*`` by ``schemas.settings.load_settings``."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class SourceSettings(BaseSettings):
    """What every capture command needs: the agency's database and the contracts."""

    model_config = SettingsConfigDict(env_prefix="LIENTHONG_", frozen=True)

    source: str = Field(min_length=1)
    """SQLAlchemy URL of the agency's database, ``postgresql+psycopg://…`` or ``sqlite:///…``."""

    contracts: str = ""
    """Folders with a province's own contracts and formats, separated like ``PATH``; may be empty."""

    @property
    def contract_folders(self) -> tuple[Path, ...]:
        return tuple(Path(folder) for folder in self.contracts.split(os.pathsep) if folder)


class RelaySettings(SourceSettings):
    """What the relay needs besides."""

    broker: str = Field(min_length=1)
    """Kafka's bootstrap servers, ``host:port`` separated by commas."""

    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Port of the Prometheus endpoint on the loopback address; 0 takes a free one and says which."""

    keep_days: float = Field(default=30, gt=0, le=3650)
    """Published outbox rows are kept this long, so that a doubtful change can still be looked at."""

    stall_seconds: float = Field(default=300, ge=30, le=86_400)
    """Waiting for the broker or the database this long without progress ends the process (exit status 75)."""
