"""What became of an agency's changes nationally, kept in the agency's own database beside its outbox.

The answers and the place in the receipts' topic are one transaction, so following may stop and go on at any
time. ``lienthong_outbox_answered`` is what the agency's people look at.
"""

# ruff: noqa: S608 - only names of our own tables are put into statements

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any, Final, Protocol

from sqlalchemy import URL

from producers import sqlite_session
from producers.sql import OUTBOX

ANSWERS: Final = "lienthong_outbox_answer"
FOLLOWED: Final = "lienthong_outbox_followed"
VIEW: Final = "lienthong_outbox_answered"

#: A change may be answered several times; the best one stays. What the agency reads, and its rank.
OUTCOMES: Final = {
    "parked": ("parked", 1),
    "rejected": ("rejected", 2),
    "passed": ("not of its concern", 3),
    "stale": ("superseded", 4),
    "applied": ("applied", 5),
}

_TABLES: Final = (
    f"CREATE TABLE IF NOT EXISTS {ANSWERS} (dataset text NOT NULL, seq bigint NOT NULL, format text NOT NULL,"
    " outcome text NOT NULL, rank smallint NOT NULL, reason text, answered_at text NOT NULL,"
    " PRIMARY KEY (dataset, seq, format))",
    f"CREATE TABLE IF NOT EXISTS {FOLLOWED} (topic text PRIMARY KEY, next_offset bigint NOT NULL)",
)
_VIEW: Final = (
    f"CREATE VIEW {VIEW} AS SELECT o.id, o.dataset, o.key, o.op, o.seq, o.published_at, a.format, a.outcome,"
    f" a.reason, a.answered_at FROM {OUTBOX} AS o LEFT JOIN {ANSWERS} AS a"
    " ON a.dataset = o.dataset AND a.seq = o.seq"
)
_INSERT: Final = (
    f"INSERT INTO {ANSWERS} (dataset, seq, format, outcome, rank, reason, answered_at)"
    " SELECT {mark}, n.value{number}, {mark}, {mark}, {mark}, {mark}, {mark} FROM {numbers} WHERE true"
    " ON CONFLICT (dataset, seq, format) DO UPDATE SET outcome = excluded.outcome, rank = excluded.rank,"
    f" reason = excluded.reason, answered_at = excluded.answered_at WHERE {ANSWERS}.rank < excluded.rank"
)
#: How many answers one transaction forgets, and the pause behind it: SQLite gives its lock to whoever asks
#: first, and a clerk's program that waits for it asks ten times a second.
_FORGET_AT_ONCE: Final = 1_000
_PAUSE_SECONDS: Final = 0.05
#: How many are looked for at once: they must fit into memory.
_LOOK_FOR: Final = 50_000
#: EXCEPT reads the outbox, which has no index on these columns, once. So would NOT IN, but not in PostgreSQL
#: when the outbox is larger than its working memory.
_OLD: Final = (
    f"SELECT dataset, seq, format FROM {ANSWERS} WHERE answered_at < {{mark}} AND (dataset, seq) IN"
    f" (SELECT dataset, seq FROM {ANSWERS} WHERE answered_at < {{mark}}"
    f" EXCEPT SELECT dataset, seq FROM {OUTBOX}) LIMIT {_LOOK_FOR}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One receipt."""

    dataset: str  #: ``hotich_qnam/khaisinh``
    format: str
    outcome: str  #: as receipts say it: applied, stale, passed, rejected, parked
    seqs: str  #: ``812-815,817``
    reason: str | None
    at: str  #: ISO 8601, UTC


class _Session(Protocol):
    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[Any]: ...
    def transaction(self) -> Any: ...
    def close(self) -> None: ...


class AnswerBook:
    """An agency's database as the follower of receipts sees it. Errors as ``Outbox``."""

    def __init__(self, url: URL) -> None:
        self._session: _Session
        if url.get_backend_name() == "postgresql":
            from producers import postgres_session  # each driver only where it is needed

            self._session = postgres_session.Session(url)
            self._mark, numbers, number = (
                "%s",
                "json_array_elements_text({mark}::json) AS n(value)",
                "::bigint",
            )
            self._there = f"SELECT to_regclass('{VIEW}') IS NOT NULL"
        else:
            self._session = sqlite_session.Session(url)
            self._mark, numbers, number = "?", "json_each({mark}) AS n", ""
            self._there = f"SELECT count(*) FROM sqlite_master WHERE name = '{VIEW}'"
        self._insert = _INSERT.format(mark=self._mark, number=number, numbers=numbers.format(mark=self._mark))

    def create(self) -> None:
        """Make the tables and the view, if they are not there. The outbox must be."""
        with self._session.transaction():
            self._session.rows(f"SELECT id FROM {OUTBOX} LIMIT 1")  # SQLite would make a view of nothing
            for statement in _TABLES:
                self._session.rows(statement)
            if not self._session.rows(self._there)[0][0]:
                self._session.rows(_VIEW)

    def place(self, topic: str) -> int:
        """The first offset of a topic that was not taken yet."""
        query = f"SELECT next_offset FROM {FOLLOWED} WHERE topic = {self._mark}"
        found = self._session.rows(query, (topic,))
        return int(found[0][0]) if found else 0

    def take(self, topic: str, next_offset: int, answers: Sequence[Answer]) -> int:
        """Keep answers and the place behind them; how many numbers they tell of."""
        told = 0
        with self._session.transaction():
            for one in answers:
                if one.outcome not in OUTCOMES:
                    continue  # about the source, or of a later version of the road
                numbers = list(numbers_of(one.seqs))
                told += len(numbers)
                outcome, rank = OUTCOMES[one.outcome]
                # In PostgreSQL's statement as in SQLite's, the list of numbers comes last.
                values = (one.dataset, one.format, outcome, rank, one.reason, one.at, json.dumps(numbers))
                self._session.rows(self._insert, values)
            upsert = (
                f"INSERT INTO {FOLLOWED} (topic, next_offset) VALUES ({self._mark}, {self._mark})"
                " ON CONFLICT (topic) DO UPDATE SET next_offset = excluded.next_offset"
            )
            self._session.rows(upsert, (topic, next_offset))
        return told

    def prune(self, before: str, stop: Event) -> None:
        """Forget answers of changes that stand in the outbox no longer, given before this time.

        They are forgotten in many short transactions, between which clerks write; fewer if ``stop`` is set.
        """
        while not stop.is_set():
            old = self._session.rows(_OLD.format(mark=self._mark), (before, before))
            numbers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
            for dataset, seq, format_ in old:
                numbers[dataset, format_].append(seq)
            for (dataset, format_), seqs in numbers.items():
                for start in range(0, len(seqs), _FORGET_AT_ONCE):
                    self._forget(dataset, format_, seqs[start : start + _FORGET_AT_ONCE])
                    if stop.wait(_PAUSE_SECONDS):
                        return
            if len(old) < _LOOK_FOR:
                return

    def _forget(self, dataset: str, format_: str, seqs: Sequence[int]) -> None:
        """One transaction. The primary key finds the numbers; SQLite would look for triples in every row."""
        mark, marks = self._mark, ", ".join([self._mark] * len(seqs))
        self._session.rows(
            f"DELETE FROM {ANSWERS} WHERE dataset = {mark} AND format = {mark} AND seq IN ({marks})",
            (dataset, format_, *seqs),
        )

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()


def numbers_of(seqs: str) -> Iterator[int]:
    """The numbers of ``812-815,817``. A producer may count from below zero: ``-3--2``."""
    for part in seqs.split(","):
        behind = part.find("-", 1)
        first, last = (part, part) if behind < 0 else (part[:behind], part[behind + 1 :])
        yield from range(int(first), int(last) + 1)
