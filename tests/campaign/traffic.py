"""Clerks who write changes all the while, and what the road has answered so far."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from deploy.demo.agency import Clerks, load
from deploy.demo.changes import Register
from deploy.demo.national import LAYOUTS
from deploy.demo.observe import SYSTEM, numbers
from deploy.demo.oracle import Oracle
from deploy.local.postgres import libpq_url

#: A receipt may be committed after one with a higher id; it is looked for this far back.
LATE_IDS = 500


class Traffic(threading.Thread):
    """Writes at a steady pace until there are ``at_least`` changes and somebody calls ``finish``."""

    def __init__(self, register: Register, oracle: Oracle, source: str, *, at_least: int, pace: int) -> None:
        super().__init__(name="clerks", daemon=True)
        self._register, self._oracle = register, oracle
        self._source, self._at_least, self._pace = source, at_least, pace
        self._turn = threading.Lock()
        self._enough = threading.Event()
        self._error: Exception | None = None
        self.written = 0  #: changes committed, so the highest number that the relay will give

    def fill(self) -> None:
        """What is in the register when the story begins."""
        first = self._register.snapshot()
        load(self._source, (change.row for change in first if change.row is not None))
        self._oracle.add(first)
        self.written = len(first)
        self._at_least += self.written

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody writes inside, so that no commit is left in doubt; then all connect anew."""
        with self._turn:
            yield
            self._clerks.reconnect()

    def run(self) -> None:
        try:
            self._clerks = Clerks(self._source)
            while not self._enough.is_set() or self.written < self._at_least:
                for group in self._register.transactions(self._pace):
                    with self._turn:
                        self._clerks.write(group)
                        self._oracle.add(group)
                        self.written += len(group)
                time.sleep(0.1)
            self._clerks.close()
        except Exception as error:  # told by finish
            self._error = error

    def finish(self) -> None:
        """Let them come to their end. Raises what they met."""
        self._enough.set()
        self.join(900)
        if self._error is not None:
            raise self._error
        assert not self.is_alive(), "the clerks do not come to an end"


class Answers(threading.Thread):
    """Looks again and again up to which number every change is answered, and remembers since when."""

    def __init__(self, store: str) -> None:
        super().__init__(name="answers", daemon=True)
        self._store = libpq_url(store)
        self._enough = threading.Event()
        self._told: dict[str, set[int]] = {layout.format: set() for layout in LAYOUTS}
        self._last_id = 0
        self._steps: list[tuple[int, float]] = []
        self.up_to = 0  #: 1 to this are answered, for every layout

    def run(self) -> None:
        while not self._enough.wait(0.2):
            try:
                with psycopg.connect(self._store, autocommit=True, connect_timeout=5) as connection:
                    while not self._enough.wait(0.2):
                        self._look(connection)
            except psycopg.Error:
                continue  # the store is away: part of the story

    def _look(self, connection: psycopg.Connection) -> None:
        query = "SELECT id, format, seqs FROM lienthong_receipt WHERE system = %s AND id > %s"
        for id_, layout, seqs in connection.execute(query, (SYSTEM, self._last_id - LATE_IDS)):
            self._last_id = max(self._last_id, id_)
            self._told[layout].update(numbers(seqs))
        before = self.up_to
        while all(self.up_to + 1 in told for told in self._told.values()):
            self.up_to += 1
        if self.up_to > before:
            self._steps.append((self.up_to, time.monotonic()))

    def since(self, number: int) -> float | None:
        """The moment (of the monotonic clock) at which 1 to ``number`` were answered; None: not yet."""
        return next((moment for reached, moment in self._steps if reached >= number), None)

    def finish(self) -> None:
        self._enough.set()
        self.join(60)
