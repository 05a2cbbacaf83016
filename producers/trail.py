"""What the outbox of an agency knows of one record: numbers and times, no values."""

# ruff: noqa: S608 - only the name of our own table is put into the statement

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from producers import sqlite_session
from producers.opening import source_url
from producers.sql import OUTBOX


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One change in the outbox."""

    op: str
    seq: int | None  #: None: not numbered yet
    changed_at: datetime
    published_at: datetime | None  #: None: the broker has not acknowledged it


class _Session(Protocol):
    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]: ...
    def close(self) -> None: ...


def captured(source: str, dataset: str, key: str, limit: int) -> list[Captured]:
    """The newest changes of a record that are still in the outbox, the oldest first.

    Args:
        source: the agency's database, as ``LIENTHONG_SOURCE`` says it.
        dataset: ``hotich_qnam/khaisinh``.
        key: as the outbox writes it: parts joined with ``|``.

    Raises:
        TryAgain: the database is away. LienthongError: capture is not installed there.
    """
    url, kind = source_url(source)
    session: _Session
    if kind == "postgresql":
        from producers import postgres_session  # each driver only where it is needed

        session, mark = postgres_session.Session(url), "%s"
    else:
        session, mark = sqlite_session.Session(url), "?"
    query = (
        f"SELECT op, seq, changed_at, published_at FROM {OUTBOX}"
        f" WHERE dataset = {mark} AND key = {mark} ORDER BY id DESC LIMIT {int(limit)}"
    )
    with closing(session):
        rows = session.rows(query, (dataset, key))
    return [
        Captured(op=op, seq=seq, changed_at=_moment(changed), published_at=_moment(sent) if sent else None)
        for op, seq, changed, sent in reversed(rows)
    ]


def _moment(stored: Any) -> datetime:
    """SQLite keeps milliseconds since 1970."""
    return (
        stored.astimezone(UTC) if isinstance(stored, datetime) else datetime.fromtimestamp(stored / 1000, UTC)
    )
