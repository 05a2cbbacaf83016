"""The port to the agencies' outboxes, which are the producers' matter: who looks is given from outside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from schemas.errors import SettingsError

_EXAMPLE = "write for example: so_tu_phap postgresql+psycopg://monitor@host/database"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxState:
    """One dataset that is captured in a database."""

    dataset: str  #: id of the contract
    waiting: int  #: changes not published yet
    oldest_seconds: float  #: age of the oldest; 0: none waits
    in_place: bool  #: all triggers are there


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxLook:
    """One look at one database."""

    states: Sequence[OutboxState]
    now_ms: int  #: by the database's clock, ms since 1970


class OutboxSight(Protocol):
    """Looks at one agency's database. For one thread at a time."""

    def look(self) -> OutboxLook:
        """Raises ``LienthongError`` if the database is away or shows nothing."""

    def close(self) -> None:
        """Give the connection up; the next look makes it again."""


#: From an SQLAlchemy URL; raises ``SettingsError`` if no port speaks to such a database.
OpenOutbox = Callable[[str], OutboxSight]


def read_outboxes(path: str) -> Mapping[str, str]:
    """The list of outboxes: a file with a name and an SQLAlchemy URL a line; ``#`` begins a comment.

    Raises ``SettingsError`` with the line, and without what stands there: an address may hold a password.
    """
    if not path:
        return {}
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()  # Windows' editors put a mark before
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(
            f"LIENTHONG_OUTBOXES: the file cannot be read ({type(problem).__name__})",
            next_step="name a text file with a name and an address of a database in each line",
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] in found:
            raise SettingsError(
                f"LIENTHONG_OUTBOXES, line {number}: not a name of its own and one address",
                next_step=_EXAMPLE,
            )
        try:
            make_url(words[1])
        except (ArgumentError, ValueError):  # ValueError: a port that is no number
            raise SettingsError(
                f"LIENTHONG_OUTBOXES, line {number}: not an address of a database", next_step=_EXAMPLE
            ) from None
        found[words[0]] = words[1]
    return found


def open_outboxes(path: str, open_outbox: OpenOutbox) -> dict[str, OutboxSight]:
    """All outboxes of the list. ``SettingsError`` names the line or the outbox that is wrong."""
    found: dict[str, OutboxSight] = {}
    for name, url in read_outboxes(path).items():
        try:
            found[name] = open_outbox(url)
        except SettingsError as problem:  # tells of the setting of those who have one database
            told = problem.message.removeprefix("LIENTHONG_SOURCE").lstrip(": ")
            raise SettingsError(f"LIENTHONG_OUTBOXES: {name}: {told}", next_step=_EXAMPLE) from None
    return found
