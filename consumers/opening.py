"""From the setting ``LIENTHONG_STORE`` to a store."""

import sqlalchemy as sa

from consumers.audit_key import AuditKey
from consumers.proofs import ProofStore
from schemas.errors import SettingsError


def open_store(url: str, *, effect_log: bool = False, audit_key: AuditKey | None = None) -> ProofStore:
    """Open the national store. Connects to nothing yet: see ``NationalStore.check``.

    Args:
        url: SQLAlchemy URL, ``postgresql+psycopg://user:password@host/database`` or ``sqlite:////path/file``.
        audit_key: needed by who applies changes, for the lines they leave in the audit chain.
        effect_log: also write every record of every batch to ``lienthong_effect``, ungated; for crash tests.

    Raises:
        SettingsError: the URL is none, or of a database that cannot be a national store.
    """
    parsed = store_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        from consumers.postgres import PostgresStore  # each driver only where it is needed

        parsed = parsed.set(drivername="postgresql+psycopg")
        return PostgresStore(parsed, effect_log=effect_log, audit_key=audit_key)
    if backend == "sqlite":
        from consumers.sqlite import SqliteStore

        if not parsed.database or parsed.database == ":memory:":
            raise _wrong("names no file")  # a store in memory would forget the ledger with the process
        parsed = parsed.set(drivername="sqlite")
        return SqliteStore(parsed, effect_log=effect_log, audit_key=audit_key)
    raise _wrong(f"names a {backend} database")


def store_url(url: str) -> sa.URL:
    """What the address of a store says. Raises ``SettingsError`` if it is none."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # ValueError: a port that is no number
        # Without its text: a mistyped URL may still hold a password.
        raise _wrong("is not an SQLAlchemy URL") from None
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise _wrong("names a port that is not from 1 to 65535")
    return parsed


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"LIENTHONG_STORE {what}",
        next_step="set it to postgresql+psycopg://user:password@host/database or sqlite:////folder/file.db",
    )
