"""From ``LIENTHONG_SOURCE`` to the ports of that kind of database."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from producers.answers import AnswerBook
from producers.outbox import Outbox, Site
from producers.rows import Rows
from producers.sqlite import SqliteOutbox
from producers.sqlite_rows import SqliteRows
from producers.sqlite_site import SqliteSite
from schemas.brokers import no_server
from schemas.errors import SettingsError

_NEXT_STEP = "write postgresql+psycopg://user@host:5432/database or sqlite:////folder/file.db"


def open_outbox(source: str) -> Outbox:
    """The relay's port. Connects later. Raises ``SettingsError`` if no port speaks to such a database."""
    url = _url(source)
    if _kind(url) == "postgresql":
        from producers.postgres import PostgresOutbox  # each driver only where it is needed

        return PostgresOutbox(url)
    return SqliteOutbox(url)


def open_site(source: str) -> Site:
    """The installer's port. Connects later. Raises ``SettingsError`` if no port speaks to such a database."""
    url = _url(source)
    if _kind(url) == "postgresql":
        from producers.postgres_site import PostgresSite

        return PostgresSite(url)
    return SqliteSite(url)


def open_rows(source: str) -> Rows:
    """The rows of an agency's tables. Connects later. ``SettingsError`` if no port speaks to the database."""
    url = _url(source)
    if url.get_backend_name() in ("mariadb", "mysql"):
        from producers.mariadb_rows import MariadbRows

        return MariadbRows(url)
    if _kind(url) == "postgresql":
        from producers.postgres_rows import PostgresRows

        return PostgresRows(url)
    return SqliteRows(url)


def open_answers(source: str) -> AnswerBook:
    """Where an agency keeps what it was told. ``SettingsError`` if no port speaks to such a database."""
    url = _url(source)
    _kind(url)
    return AnswerBook(url)


def source_url(source: str) -> tuple[URL, str]:
    """The address, and ``postgresql`` or ``sqlite``. ``SettingsError`` if it is no address of these."""
    url = _url(source)
    return url, _kind(url)


def _url(source: str) -> URL:
    try:
        parsed = make_url(source)
        if parsed.get_backend_name() == "sqlite":
            parsed.get_dialect()().create_connect_args(parsed)  # refuses a host, and numbers that are none
    except (ArgumentError, TypeError, ValueError):  # the latter: numbers that are none
        raise _wrong("is not an address of a database") from None  # the text may hold a password
    hosts = (parsed.host or "", *parsed.normalized_query.get("host", ()))
    if problem := no_server(",".join(hosts), parsed.port):
        raise _wrong(problem)
    if parsed.get_backend_name() == "postgresql":
        _check_options(parsed)
    return parsed


def _check_options(url: URL) -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url.set(drivername="postgresql").render_as_string(hide_password=False))
    except (ProgrammingError, UnicodeError):
        raise _wrong("has an option that PostgreSQL does not know") from None


def _wrong(what: str) -> SettingsError:
    return SettingsError(f"LIENTHONG_SOURCE {what}", next_step=_NEXT_STEP)


def _kind(url: URL) -> str:
    kind = url.get_backend_name()
    if kind not in ("postgresql", "sqlite"):
        raise SettingsError(
            f"LIENTHONG_SOURCE: databases of kind {kind} cannot be captured yet", next_step=_NEXT_STEP
        )
    return kind
