"""From the setting ``LIENTHONG_STORE`` to a store."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from consumers.audit_key import AuditKey
from consumers.proofs import ProofStore
from schemas.brokers import no_server
from schemas.errors import SettingsError

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}


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
    if parsed.get_backend_name() == "postgresql":
        from consumers.postgres import PostgresStore  # each driver only where it is needed

        return PostgresStore(parsed, effect_log=effect_log, audit_key=audit_key)
    from consumers.sqlite import SqliteStore

    return SqliteStore(parsed, effect_log=effect_log, audit_key=audit_key)


def store_url(url: str) -> sa.URL:
    """What the address of a store says, with the driver that we use. Connects to nothing.

    Raises:
        SettingsError: it is none, its driver would refuse it, or no such database can be a national store.
    """
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend not in _DRIVERS:
            raise _wrong(f"names a {backend} database")
        parsed = parsed.set(drivername=_DRIVERS[backend])
        _, options = parsed.get_dialect()().create_connect_args(parsed)
    except (sa.exc.ArgumentError, TypeError, ValueError):  # the latter: numbers that are none
        # Without its text: a mistyped URL may still hold a password.
        raise _wrong("is not an SQLAlchemy URL") from None
    if problem := no_server(str(options.get("host", "")), parsed.port):
        raise _wrong(problem)
    if backend == "postgresql":
        _check_options(options)
    elif not parsed.database or parsed.database == ":memory:":
        raise _wrong("names no file")  # a store in memory would forget the ledger with the process
    return parsed


def _check_options(options: Mapping[str, Any]) -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo(**options)
    except (ProgrammingError, UnicodeError):
        raise _wrong("has an option that PostgreSQL does not know") from None


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"LIENTHONG_STORE {what}",
        next_step="set it to postgresql+psycopg://user:password@host/database or sqlite:////folder/file.db",
    )
