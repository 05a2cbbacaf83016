"""Settings of everything that stands on the consuming side; read by ``schemas.settings.load_settings``.

Two small classes, because a ministry that only reads a topic has no store of ours, and a store can be
migrated while no broker runs.
"""

from pathlib import Path

from pydantic import Field

from schemas.settings import LibrarySettings


class _CommonSettings(LibrarySettings):
    deployment: str = Field(default="lienthong", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    """Name of this road: part of the consumer group and of the ledger's key. Changing it starts anew."""


class BrokerSettings(_CommonSettings):
    """For those who only read topics."""

    broker: str = Field(min_length=1)
    """Kafka's bootstrap servers, ``host:port`` separated by commas."""

    metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Port of the Prometheus endpoint on the loopback address; 0 takes a free one and says which."""


class StoreSettings(_CommonSettings):
    """For those who only work on the national store."""

    store: str = Field(min_length=1)
    """SQLAlchemy URL of the national store, ``postgresql+psycopg://…`` or ``sqlite:///…``."""

    audit_key: Path = Path("~/.local/state/lienthong/audit.key")
    """File of the key that seals the audit chain; the first worker makes it. All of a store need it."""

    @property
    def audit_key_file(self) -> Path:
        """``audit_key`` without ``~``."""
        return self.audit_key.expanduser()

    effect_log: bool = False
    """Keep one ungated row per applied record in ``lienthong_effect``; for crash tests only."""


class OrphanSettings(StoreSettings):
    """For those who ask which database may become an orphan."""

    orphan_weights: str = ""
    """What the orphan index counts how much: ``coverage=40,freshness=20,matched=25,proof=15``, or nothing."""


class ConsumerSettings(BrokerSettings, StoreSettings):
    """For those who need both."""


class MonitorSettings(ConsumerSettings, OrphanSettings):
    """For the monitor and ``lienthong status``."""

    outboxes: str = ""
    """File with the agencies' outboxes, a name and an SQLAlchemy URL a line; empty: none is looked at."""
