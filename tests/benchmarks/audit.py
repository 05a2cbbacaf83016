"""What the audit chain costs: the same rows with and without it, through the store.

In turns of some batches, so that whatever else the machine does meets both sides, and for a minute at most.
With the chain, a second thread seals beside it as a worker does.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import polars as pl

from consumers.audit_key import AuditKey
from consumers.auditing import AuditStore, Statement
from consumers.opening import open_store
from streams.sealing import MANY, SEAL_SECONDS
from tests.benchmarks.ceiling import BATCH, TURN, StoreAlone, shuffled_rows, wide_format
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context

ROWS = 120_000
LONGEST_SECONDS = 60.0  # of inserts or updates of one width: a busy machine writes fewer rows


@contextmanager
def _sealing(store: AuditStore, key: AuditKey) -> Iterator[None]:
    """A worker's sealer: once a second, and on while there is much."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(SEAL_SECONDS):
            while (made := store.seal(key)) and Statement.parse(made.statement).lines >= MANY:
                pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        while store.seal(key):
            pass


def audit_share(context: Context) -> list[Measure]:
    """Rows a second with the chain, against those without it in the same run."""
    sys.setswitchinterval(0.0005)  # as a worker does
    measures = []
    for width in (14, 60):
        key = AuditKey.generate()
        url = context.database(f"audit{width}")
        with_url = context.database(f"audited{width}")
        plain = StoreAlone(url, wide_format(width))
        audited = StoreAlone(with_url, wide_format(width), audit_key=key)
        with closing(plain), closing(audited), closing(open_store(with_url)) as sealer, _sealing(sealer, key):
            there: pl.DataFrame | None = None
            for kind, version in (("insert", 1), ("update", 2)):
                rows = shuffled_rows(width, ROWS, version=version)
                if there is not None:
                    rows = rows.join(there, on="lt_key", how="semi", maintain_order="left")
                done, limit, value = _turns(plain, audited, rows)
                there = rows.head(done)
                what = (
                    f"{done:,} rows in batches of {BATCH:,}, keys shuffled, no Kafka, sealing beside it;"
                    " ceiling: without the chain, in turns"
                )
                measures.append(against(f"audit_share_{width}_{kind}", value, "rows/s", limit, what))
    return measures


def _turns(plain: StoreAlone, audited: StoreAlone, rows: pl.DataFrame) -> tuple[int, float, float]:
    """How many rows each side wrote, and how many a second without the chain and with it."""
    began, done, seconds = time.monotonic(), 0, [0.0, 0.0]
    for number, turn in enumerate(rows.iter_slices(TURN)):
        sides = (plain, audited) if number % 2 else (audited, plain)
        for side in sides:
            seconds[side is audited] += side.write(turn)
        done += turn.height
        if time.monotonic() - began > LONGEST_SECONDS:
            break
    return done, done / seconds[0], done / seconds[1]
