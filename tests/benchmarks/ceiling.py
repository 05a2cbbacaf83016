"""What the database alone can do, and what the store makes of it: the same rows, without Kafka.

The ceiling is COPY into a temporary table and one version-gated merge, 2,000 rows a transaction, and
nothing else: CSV made beforehand, a table of key, version and fields, no receipts, no ledger, no deletes.
"""

import io
import queue
import threading
import time
from collections.abc import Iterator, Sequence

import polars as pl
import psycopg

from consumers.opening import open_store
from consumers.store import NationalStore, Position, Prepared, Slice, SyncBatch
from schemas.formats import FormatField, NationalFormat
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.wide import national_rows

BATCH = 2_000
PARTITIONS = 6


def ceiling(libpq: str, width: int, versions: Sequence[pl.DataFrame]) -> list[float]:
    """Rows a second for each frame of wire rows, in turn; the first inserts, the others update."""
    fields = [name for name in versions[0].columns if not name.startswith("lt_")]
    names = ", ".join(["lt_key", "lt_seq", *fields])
    columns = (
        f'lt_key text COLLATE "C", lt_seq bigint NOT NULL, {", ".join(f"{name} text" for name in fields)}'
    )
    changed = ", ".join(f"{name} = excluded.{name}" for name in ("lt_seq", *fields))
    merge = (
        f"INSERT INTO ceiling{width} AS t ({names}) SELECT {names} FROM staged"
        f" ON CONFLICT (lt_key) DO UPDATE SET {changed} WHERE t.lt_seq < excluded.lt_seq"
    )
    rates = []
    with psycopg.connect(libpq, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE ceiling{width} ({columns}, PRIMARY KEY (lt_key))".encode())
        connection.execute(f"CREATE TEMP TABLE staged ({columns}) ON COMMIT DELETE ROWS".encode())
        for rows in versions:
            chunks = [_csv(chunk.select("lt_key", "lt_seq", *fields)) for chunk in rows.iter_slices(BATCH)]
            began = time.perf_counter()
            for chunk in chunks:
                with connection.transaction():
                    with connection.cursor().copy("COPY staged FROM STDIN (FORMAT csv)") as copy:
                        copy.write(chunk)
                    connection.execute(merge.encode(), prepare=True)
            rates.append(rows.height / (time.perf_counter() - began))
        connection.execute(f"DROP TABLE ceiling{width}".encode())
    return rates


def _csv(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.write_csv(buffer, include_header=False, quote_style="non_numeric")
    return buffer.getvalue()


def store_alone(url: str, national: NationalFormat, versions: Sequence[pl.DataFrame]) -> list[float]:
    """Rows a second of the store: gate, ledger and receipts; a second thread prepares the next batch."""
    store = open_store(url)
    store.migrate([national])
    positions = [Position(topic=national.topic, partition=partition) for partition in range(PARTITIONS)]
    claims = store.claim("bench", positions, generation=1, owner="bench")
    for position in positions:
        store.start_at("bench", position, epoch=claims[position].epoch, offset=0)
    rates, offset = [], 0
    for rows in versions:
        batches = list(_batches(national, positions, rows, offset))
        offset += len(batches)
        began = time.perf_counter()
        applied = sum(store.apply(prepared, "bench").applied for prepared in _prepared(store, batches))
        rates.append(rows.height / (time.perf_counter() - began))
        if applied != rows.height:
            raise AssertionError(f"{applied} of {rows.height} rows applied")
    store.close()
    return rates


def _batches(
    national: NationalFormat, positions: Sequence[Position], rows: pl.DataFrame, offset: int
) -> Iterator[SyncBatch]:
    for number, chunk in enumerate(rows.iter_slices(BATCH), offset):
        places = pl.int_range(chunk.height, eager=True)
        placed = chunk.with_columns(__partition=(places % PARTITIONS).cast(pl.Int32), __offset=places)
        slices = [Slice(position=one, start=number, next=number + 1, epoch=1) for one in positions]
        # As fresh from the decoder: a slice of the big frame would drag its scattered texts along.
        fresh = pl.read_ipc(placed.write_ipc(None).getvalue())
        yield SyncBatch(format=national, topic=national.topic, slices=slices, rows=fresh)


def _prepared(store: NationalStore, batches: Sequence[SyncBatch]) -> Iterator[Prepared]:
    ready: queue.Queue[Prepared | None] = queue.Queue(maxsize=1)

    def work() -> None:
        for batch in batches:
            ready.put(store.prepare(batch))
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
    """The store against the ceiling: 14 columns inserting and updating, 60 columns inserting."""
    libpq = url.replace("+psycopg", "")
    measures = []
    for width in (14, 60):
        versions = [shuffled_rows(width, rows, version=version) for version in (1, 2)]
        top = ceiling(libpq, width, versions)
        got = store_alone(url, wide_format(width), versions)
        conditions = (
            f"{rows:,} rows in batches of {BATCH:,}, keys shuffled, no Kafka; ceiling: COPY and merge"
        )
        for kind, value, limit in zip(("insert", "update"), got, top, strict=True):
            measures.append(against(f"store_{width}_{kind}", value, "rows/s", limit, conditions))
    return measures
