"""The outbox in an agency's database: the two ports to it, and what goes through them.

Tables, equal in PostgreSQL and SQLite: ``lienthong_outbox`` (one row for each change),
``lienthong_outbox_dataset`` (what is captured, and the next number), ``lienthong_outbox_snapshot`` (how far
a first snapshot has come).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol

from schemas.contracts import Contract, LineSet
from schemas.errors import TryAgain

Op = Literal["c", "u", "d", "r"]


class Locked(TryAgain):
    """Somebody else holds a lock that a statement needs, for longer than we may wait."""


class Slow(Locked):
    """A statement took longer than we may hold locks, and waited for none for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One dataset as its triggers know it."""

    dataset: str  #: the contract's id, ``hotich_qnam/khaisinh``
    table: str  #: as the contract names it, ``ht_khaisinh`` or ``schema.table``
    key: tuple[str, ...]  #: columns that name a record
    columns: Mapping[str, str]  #: what is captured: column -> Avro type; others of the table stay at home
    lines: Mapping[str, LineSet] = field(
        default_factory=dict
    )  #: rows of other tables that belong to a record

    @classmethod
    def of(cls, contract: Contract) -> "Capture":
        return cls(
            dataset=contract.id,
            table=contract.table,
            key=tuple(contract.key),
            columns=dict(contract.columns),
            lines=dict(contract.lines),
        )

    @classmethod
    def from_json(cls, dataset: str, definition: str) -> "Capture":
        """As ``to_json`` wrote it."""
        stored = json.loads(definition)
        return cls(
            dataset=dataset,
            table=stored["table"],
            key=tuple(stored["key"]),
            columns=stored["columns"],
            lines={name: LineSet(**one) for name, one in stored.get("lines", {}).items()},
        )

    def to_json(self) -> str:
        """What the database remembers, with the columns in the contract's order."""
        stored = {"table": self.table, "key": self.key, "columns": dict(self.columns)}
        if self.lines:
            stored["lines"] = {name: one.model_dump() for name, one in self.lines.items()}
        return json.dumps(stored, ensure_ascii=False)

    @property
    def names(self) -> list[str]:
        """What an image of a record holds, in order: its columns, then its sets of lines."""
        return [*self.columns, *self.lines]

    @property
    def slug(self) -> str:
        """A part of trigger and function names: unique, at most 40 letters, digits and underscores."""
        plain = self.dataset.replace("/", "__")
        if len(plain) <= 40 and "__" not in self.dataset and plain.isascii() and plain.isidentifier():
            return plain
        readable = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in plain)
        return f"{readable[:31]}_{sha256(self.dataset.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of an agency's table."""

    declared: str  #: its type, in the database's words
    feeds: frozenset[str]  #: Avro types that can hold every value of it; none if triggers do not see it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What an agency's table looks like."""

    columns: Mapping[str, Column]
    unique: tuple[frozenset[str], ...]  #: sets of columns that name a row: unique at once, and never null
    indexed: frozenset[str] = frozenset()  #: columns that an index begins with
    obstacle: str = ""  #: why this table cannot be captured at all; empty if it can
    notes: tuple[str, ...] = ()  #: what capture will not see; to be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One outbox row with its number."""

    id: int
    dataset: str
    op: Op
    key: str
    before: str | None  #: JSON object: what the record was; column names -> values
    after: str | None  #: JSON object: what it is now
    changed_ms: int  #: by the agency database's clock, ms since 1970
    seq: int  #: counts the dataset's changes without gaps; never given twice


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where one dataset's capture stands."""

    capture: Capture
    captured: bool  #: False after ``capture uninstall``
    in_place: bool  #: every trigger is there and enabled
    next_seq: int
    waiting: int  #: rows not acknowledged yet
    oldest_seconds: float  #: age of the oldest of them; 0 when none waits
    snapshot: str  #: ``none``, ``running`` or ``done``
    snapshot_rows: int


class Outbox(Protocol):
    """An agency database as its relay sees it: one connection, one thread.

    Every method raises ``TryAgain`` if the database is away or busy, and ``LienthongError`` with the next
    step if capture is not installed or a right is missing. After ``TryAgain`` call ``close`` and begin with
    ``lead``.
    """

    @property
    def connector(self) -> str:
        """``postgresql`` or ``sqlite``."""

    @property
    def database(self) -> str:
        """The database's name, without address or path."""

    def lead(self) -> bool:
        """Become the one relay of this database, or return False: another one is. Lasts until ``close``."""

    def still_leads(self) -> None:
        """Return if the right to publish was not lost; ``TryAgain`` if the connection is gone."""

    def states(self) -> list[State]:
        """Every dataset captured here, by name."""

    def number(self, datasets: Sequence[str], limit: int, characters: int) -> list[Change]:
        """Give committed rows of these datasets their numbers, in order of id, and return them in that order.

        At most ``limit`` rows, and no more than ``characters`` of images, but one row at least. Durable when
        it returns: a row never gets another number.
        """

    def number_above(self, dataset: str, seq: int) -> None:
        """Give the dataset's next change a number above this one."""

    def pending(self, after: int, limit: int, characters: int) -> list[Change]:
        """Numbered, unacknowledged rows with an id above ``after``, in order of id; as many as ``number``."""

    def mark(self, ids: Sequence[int]) -> None:
        """The broker has acknowledged these rows. May be lost in a crash: they are published again."""

    def prune(self, days: float, limit: int) -> int:
        """Remove up to ``limit`` of the oldest rows published longer ago than ``days``; how many went."""

    def close(self) -> None:
        """Give up the lead and the connection. Never raises; safe to repeat."""


class Site(Protocol):
    """An agency database as its installer sees it. Errors as for ``Outbox``."""

    def inspect(self, table: str) -> Shape | None:
        """The table's shape; None if there is no such table."""

    def needed(self, capture: Capture) -> list[str]:
        """SQL statements that are still to run before this dataset is captured; empty if it is."""

    def outdated(self, capture: Capture) -> bool:
        """Whether its triggers, which are in place, are not those that this version makes."""

    def lacking(self, capture: Capture) -> int:
        """How many waiting outbox rows do not carry every column of the dataset.

        They were written under other columns, or while the table lacked one. ``needed`` has a statement that
        gives them the columns, as missing.
        """

    def removal(self, capture: Capture) -> list[str]:
        """SQL statements that end the capture of a dataset. Its rows and its counter stay."""

    def run(self, statements: Sequence[str]) -> None:
        """Run them in one transaction."""

    def states(self) -> list[State]:
        """Every dataset captured here, by name; empty if nothing was ever installed."""

    def begin_snapshot(self, capture: Capture) -> int:
        """Take up an unfinished snapshot or begin a new one; how many rows it has written so far."""

    def snapshot_chunk(self, capture: Capture, size: int) -> int | None:
        """Write the next ``size`` rows at most into the outbox as op ``r``; how many, or None at the end.

        Each row is read under a lock that its next change has to wait for, so that its outbox id stands in
        true order with those of live changes. Raises ``Locked`` if a row is held by somebody else.
        """

    def waiting(self, newest: int) -> int:
        """How many of the ``newest`` outbox rows wait to be published."""

    def now_ms(self) -> int:
        """The present by the database's clock, ms since 1970."""

    def close(self) -> None:
        """Never raises; safe to repeat."""


#: A row with more characters goes alone, so that a topic that refuses it refuses nothing else: fewer are,
#: even with three bytes a letter, far from Kafka's default limit of 1 MB.
ALONE = 250_000


def runs(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """The changes in their order, cut before and after each that goes alone."""
    run: list[Change] = []
    for change in changes:
        alone = len(change.before or "") + len(change.after or "") > ALONE
        if alone and run:
            yield run
            run = []
        run.append(change)
        if alone:
            yield run
            run = []
    if run:
        yield run


def of_row(row: Sequence[Any]) -> Change:
    """A ``Change`` from its columns in the order of the fields."""
    return Change(
        id=row[0],
        dataset=row[1],
        op=row[2],
        key=row[3],
        before=row[4],
        after=row[5],
        changed_ms=row[6],
        seq=row[7],
    )
