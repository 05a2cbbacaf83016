"""What the database alone can do, and what the store makes of it: the same rows, without Kafka.

The ceiling is COPY into a temporary table and one version-gated merge, 2,000 rows a transaction, and
nothing else: CSV made beforehand, a table of key, version and fields, no receipts, no ledger, no deletes.
"""

import io
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import polars as pl
import psycopg

from consumers.audit_key import AuditKey
from consumers.opening import open_store
from consumers.store import NationalStore, Position, Prepared, Slice, SyncBatch
from deploy.local.postgres import libpq_url
from schemas.formats import FormatField, NationalFormat
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.wide import national_rows

BATCH = 2_000
TURN = 10 * BATCH  #: rows that one side writes before it is the other's turn
PARTITIONS = 6


class Ceiling:
    """One connection with its tables."""

    def __init__(self, libpq: str, width: int, columns: Sequence[str]) -> None:
        fields = [name for name in columns if not name.startswith("lt_")]
        self._table = f"ceiling{width}"
        self._names = ["lt_key", "lt_seq", *fields]
        texts = ", ".join(f"{name} text" for name in fields)
        typed = f'lt_key text COLLATE "C", lt_seq bigint NOT NULL, {texts}'
        self._connection = psycopg.connect(libpq, autocommit=True)
        self._connection.execute(f"CREATE TABLE {self._table} ({typed}, PRIMARY KEY (lt_key))".encode())
        self._connection.execute(f"CREATE TEMP TABLE staged ({typed}) ON COMMIT DELETE ROWS".encode())
        names = ", ".join(self._names)
        changed = ", ".join(f"{name} = excluded.{name}" for name in ("lt_seq", *fields))
        self._merge = (
            f"INSERT INTO {self._table} AS t ({names}) SELECT {names} FROM staged"
            f" ON CONFLICT (lt_key) DO UPDATE SET {changed} WHERE t.lt_seq < excluded.lt_seq"
        ).encode()

    def write(self, rows: pl.DataFrame) -> float:
        """Seconds that it takes."""
        chunks = [_csv(chunk.select(self._names)) for chunk in rows.iter_slices(BATCH)]
        began = time.perf_counter()
        for chunk in chunks:
            with self._connection.transaction():
                with self._connection.cursor().copy("COPY staged FROM STDIN (FORMAT csv)") as copy:
                    copy.write(chunk)
                self._connection.execute(self._merge, prepare=True)
        return time.perf_counter() - began

    def close(self) -> None:
        """Remove the table."""
        self._connection.execute(f"DROP TABLE {self._table}".encode())
        self._connection.close()


def _csv(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_csv(buffer, include_header=False, quote_style="non_numeric")
    return buffer.getvalue()


class StoreAlone:
    """The store with gate, ledger and receipts; a second thread prepares the next batch."""

    def __init__(self, url: str, national: NationalFormat, audit_key: AuditKey | None = None) -> None:
        self._store: NationalStore = open_store(url, audit_key=audit_key)
        self._store.migrate([national])
        self._national = national
        self._positions = [Position(topic=national.topic, partition=number) for number in range(PARTITIONS)]
        claims = self._store.claim("bench", self._positions, generation=1, owner="bench")
        for position in self._positions:
            self._store.start_at("bench", position, epoch=claims[position].epoch, offset=0)
        self._offset = 0

    def write(self, rows: pl.DataFrame) -> float:
        """Seconds that it takes."""
        batches = [self._batch(chunk) for chunk in rows.iter_slices(BATCH)]
        began = time.perf_counter()
        applied = sum(self._store.apply(prepared, "bench").applied for prepared in self._prepared(batches))
        seconds = time.perf_counter() - began
        if applied != rows.height:
            raise AssertionError(f"{applied} of {rows.height} rows applied")
        return seconds

    def close(self) -> None:
        """Leave the tables, for who wants to look."""
        self._store.close()

    def _batch(self, chunk: pl.DataFrame) -> SyncBatch:
        places = pl.int_range(chunk.height, eager=True)
        placed = chunk.with_columns(__partition=(places % PARTITIONS).cast(pl.Int32), __offset=places)
        # As fresh from the decoder: a slice of the big frame would drag its scattered texts along.
        fresh = pl.read_ipc(placed.write_ipc(None).getvalue())
        start, self._offset = self._offset, self._offset + 1
        slices = [Slice(position=one, start=start, next=self._offset, epoch=1) for one in self._positions]
        return SyncBatch(format=self._national, topic=self._national.topic, slices=slices, rows=fresh)

    def _prepared(self, batches: Sequence[SyncBatch]) -> Iterator[Prepared]:
        ready: queue.Queue[Prepared | None] = queue.Queue(maxsize=1)

        def work() -> None:
            for batch in batches:
                ready.put(self._store.prepare(batch))
            ready.put(None)

        worker = threading.Thread(target=work)
        worker.start()
        while (prepared := ready.get()) is not None:
            yield prepared
        worker.join()


def wide_format(width: int) -> NationalFormat:
    """The format of ``wide.national_rows``."""
    fields = tuple(
        FormatField(
            name=f"f{place:02}", position=place, label=f"Trường {place}", required=place == 1, code_list=None,
            date_form=None, sensitivity="public", basis="benchmark", evidence="I",
        )
        for place in range(1, width + 1)
    )  # fmt: skip
    return NationalFormat(
        domain="bench", entity=f"wide{width}", version=1, title=f"Bench {width}", key=("f01",), fields=fields
    )


def shuffled_rows(width: int, count: int, *, version: int) -> pl.DataFrame:
    """Rows whose keys come in no order, as from a hashed topic."""
    return national_rows(width, count, first=1, version=version).sample(
        fraction=1, shuffle=True, seed=version
    )


def measure_store(url: str, *, rows: int = 120_000) -> list[Measure]:
    """The store against the ceiling, 14 and 60 columns, inserting and updating.

    Both write in turns of some batches, so that whatever else the machine does meets both.
    """
    measures = []
    what = (
        f"{rows:,} rows in batches of {BATCH:,}, keys shuffled, no Kafka; ceiling: COPY and merge, in turns"
    )
    for width in (14, 60):
        first, second = (shuffled_rows(width, rows, version=version) for version in (1, 2))
        bare = Ceiling(libpq_url(url), width, first.columns)
        alone = StoreAlone(url, wide_format(width))
        with closing(bare), closing(alone):
            for kind, frame in (("insert", first), ("update", second)):
                turns = [(bare.write(turn), alone.write(turn)) for turn in frame.iter_slices(TURN)]
                limit, value = (rows / sum(seconds) for seconds in zip(*turns, strict=True))
                measures.append(against(f"store_{width}_{kind}", value, "rows/s", limit, what))
    return measures
