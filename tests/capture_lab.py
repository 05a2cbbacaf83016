"""An agency's database under capture, PostgreSQL or SQLite, and hands that change its rows like clerks."""

import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

import psycopg
from sqlalchemy import make_url

from deploy.local.postgres import libpq_url
from producers import postgres_sql, sqlite_sql
from producers.clock import SystemClock
from producers.opening import open_outbox, open_site
from producers.outbox import Capture, Change, Locked, Outbox, Site
from producers.snapshot import take_snapshot
from schemas.contracts import AvroType, Contract, LineSet
from tests.road import PATIENCE_SECONDS, wait_for

COLUMNS: dict[str, AvroType] = {
    "id": "long",
    "ho_ten": "string",
    "ngay": "string",
    "le_phi": "string",
    "diem": "double",
    "con_lai": "boolean",
}


def a_contract(
    *,
    dataset: str = "soho",
    table: str = "so_ho",
    key: tuple[str, ...] = ("id",),
    columns: Mapping[str, AvroType] = COLUMNS,
    lines: Mapping[str, LineSet] | None = None,
) -> Contract:
    """A contract with a source side only."""
    return Contract(
        system="thu",
        dataset=dataset,
        version=1,
        owner="Cơ quan thử nghiệm",
        title="Sổ thử",
        table=table,
        key=key,
        columns=columns,
        status=None,
        missing=(),
        targets=(),
        lines=lines or {},
    )


SOHO = Capture.of(a_contract())
#: Of a table with a key of two columns, which ``make_pairs`` makes.
PAIRS = Capture.of(
    a_contract(
        dataset="cap",
        table="cap_doi",
        key=("xa", "so"),
        columns={"xa": "string", "so": "long", "ten": "string"},
    )
)

#: What the outbox or a table says: key -> image.
Images = dict[str, dict[str, Any]]


class Hand(Protocol):
    """One clerk's connection: each statement commits, but in ``transaction``."""

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement with ``?`` for values."""

    def close(self) -> None: ...


class PostgresHand:
    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(libpq_url(url), autocommit=True)

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        marked = sql.replace("%", "%%").replace("?", "%s") if values else sql
        cursor = self.connection.execute(marked.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self.connection.close()


class SqliteHand:
    def __init__(self, url: str) -> None:
        path = make_url(url).database
        assert path
        self.connection = sqlite3.connect(
            path, isolation_level=None, timeout=PATIENCE_SECONDS, check_same_thread=False
        )
        self.connection.execute("PRAGMA synchronous = OFF")  # a test's power is not cut

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, values).fetchall()

    def close(self) -> None:
        self.connection.close()


@dataclass
class CaptureLab:
    """One agency's database, with its table ``so_ho``."""

    source: str
    outbox: Outbox = field(init=False)
    site: Site = field(init=False)
    hand: Hand = field(init=False)
    _hands: list[Hand] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.is_postgres:
            path = make_url(self.source).database
            assert path
            Path(path).touch()
        self.outbox, self.site = open_outbox(self.source), open_site(self.source)
        self.hand = self.another_hand()
        self.create_table()

    @property
    def is_postgres(self) -> bool:
        return self.source.startswith("postgresql")

    def create_table(self) -> None:
        """``ghi_chu`` is not in the contract; ``ma`` is unique, as citizens' numbers are."""
        self.hand.run(
            "CREATE TABLE so_ho (id bigint PRIMARY KEY, ho_ten text, ngay date, le_phi numeric(12,2),"
            " diem double precision, con_lai boolean, ghi_chu text, ma text UNIQUE)"
            if self.is_postgres
            else "CREATE TABLE so_ho (id INTEGER PRIMARY KEY, ho_ten TEXT, ngay TEXT, le_phi,"
            " diem REAL, con_lai BOOLEAN, ghi_chu TEXT, ma TEXT UNIQUE)"
        )

    def another_hand(self) -> Hand:
        hand: Hand = PostgresHand(self.source) if self.is_postgres else SqliteHand(self.source)
        self._hands.append(hand)
        return hand

    def install(self, capture: Capture = SOHO) -> None:
        self.site.run(self.site.needed(capture))

    @contextmanager
    def transaction(self, hand: Hand | None = None) -> Iterator[Hand]:
        """Commits at the end, rolls back on an error."""
        one = hand or self.hand
        one.run("BEGIN")
        try:
            yield one
        except BaseException:
            one.run("ROLLBACK")
            raise
        one.run("COMMIT")

    def insert(
        self, id_: int, ho_ten: str | None = "Người thử", hand: Hand | None = None, **more: Any
    ) -> None:
        row = {"id": id_, "ho_ten": ho_ten, **more}
        marks = ", ".join("?" for _ in row)
        (hand or self.hand).run(f"INSERT INTO so_ho ({', '.join(row)}) VALUES ({marks})", *row.values())

    def rows(self, capture: Capture = SOHO) -> list[Change]:
        """The outbox of a dataset in order of id; rows without a number have seq 0."""
        printed = "before::text, after::text, 0" if self.is_postgres else "before, after, changed_at"
        found = self.hand.run(
            f"SELECT id, op, key, {printed}, coalesce(seq, 0) FROM lienthong_outbox"
            " WHERE dataset = ? ORDER BY id",
            capture.dataset,
        )
        return [
            Change(id=i, dataset=capture.dataset, op=op, key=key, before=b, after=a, changed_ms=at, seq=seq)
            for i, op, key, b, a, at, seq in found
        ]

    def told(self, capture: Capture = SOHO) -> list[tuple[str, str]]:
        """(op, key) of each outbox row."""
        return [(row.op, row.key) for row in self.rows(capture)]

    def table(self, capture: Capture = SOHO) -> Images:
        """What the table holds now, as the outbox would print it."""
        with closing(self.another_hand()) as hand:
            if self.is_postgres:
                for name, value in postgres_sql.SESSION.items():
                    hand.run(f"SET {name} = '{value}'")
                image, key = postgres_sql.image("t", capture), postgres_sql.key_of("t", capture)
            else:
                image, key = sqlite_sql.image("t", capture), sqlite_sql.key_of("t", capture)
            printed = f"{image}::text" if self.is_postgres else image
            return {
                k: json.loads(i) for k, i in hand.run(f"SELECT {key}, {printed} FROM {capture.table} AS t")
            }

    def chunk(self, size: int, capture: Capture = SOHO) -> int | None:
        """A chunk of a snapshot: how many rows, None at the end. Again if the machine was too busy for it."""
        while True:
            with suppress(Locked):
                return self.site.snapshot_chunk(capture, size)

    def snapshot(self, capture: Capture, size: int, *, between: Callable[[], None]) -> int:
        """Take a whole snapshot while others are at work; how many chunks it took.

        ``between``: called after each chunk.
        """
        self.site.begin_snapshot(capture)
        chunks, more = 0, True
        while more:
            more = self.chunk(size, capture) is not None
            chunks += 1
            between()
        return chunks

    def number(self, *captures: Capture, limit: int = 1000, characters: int = 10**9) -> list[Change]:
        return self.outbox.number([one.dataset for one in captures or (SOHO,)], limit, characters)

    def close(self) -> None:
        self.outbox.close()
        self.site.close()
        for hand in self._hands:
            hand.close()


def make_pairs(lab: CaptureLab) -> None:
    """The table of ``PAIRS``."""
    lab.hand.run(
        "CREATE TABLE cap_doi (xa varchar(40) NOT NULL, so bigint NOT NULL, ten text, UNIQUE (xa, so))"
    )


def take(lab: CaptureLab, capture: Capture = SOHO) -> int:
    """A whole snapshot."""
    return take_snapshot(
        lab.site, capture, progress=lambda _: None, tell=lambda _: None, clock=SystemClock(), stop=Event()
    )


@contextmanager
def clerks(
    lab: CaptureLab, seed: int, disturb: Callable[[Hand, random.Random, int], None]
) -> Iterator[Callable[[], None]]:
    """Three clerks, each with a hand of its own, who disturb until the end.

    What is given waits until they have done three things more, however seldom a busy machine lets them.
    """
    enough, failures, steps = Event(), list[BaseException](), [0, 0, 0]

    def clerk(number: int) -> None:
        try:
            hand, chance = lab.another_hand(), random.Random(seed * 10 + number)
            while not enough.is_set():
                disturb(hand, chance, number)
                steps[number] += 1
                time.sleep(0.003)  # SQLite's lock goes to whoever asks at the right moment
        except BaseException as error:
            failures.append(error)

    def went_on() -> None:
        before = sum(steps)
        wait_for("the clerks go on", lambda: failures or sum(steps) >= before + 3, every=0.001)

    threads = [Thread(target=clerk, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    try:
        yield went_on
    finally:
        enough.set()
        for one in threads:
            one.join()
    assert not failures, failures


def replayed(rows: Sequence[Change]) -> Images:
    """What somebody who reads nothing but the outbox believes the table to hold."""
    state: Images = {}
    for row in rows:
        if row.op == "d":
            state.pop(row.key, None)
        else:
            assert row.after is not None
            state[row.key] = json.loads(row.after)
    return state
