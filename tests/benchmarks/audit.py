"""What the audit chain costs: the same rows with and without it, through the store and by a whole worker.

In turns of some batches, so that whatever else the machine does meets both sides. With the chain, a second
thread seals beside it as a worker does.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from consumers.audit_key import AuditKey
from consumers.auditing import AuditStore, Statement
from consumers.opening import open_store
from streams.sealing import MANY, SEAL_SECONDS
from tests.benchmarks.ceiling import BATCH, TURN, StoreAlone, shuffled_rows, wide_format
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context

ROWS = 80_000


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
    measures = []
    what = (
        f"{ROWS:,} rows in batches of {BATCH:,}, keys shuffled, no Kafka, sealing beside it;"
        " ceiling: without the chain, in turns"
    )
    for width in (14, 60):
        key = AuditKey.generate()
        url = context.database(f"audit{width}")
        with_url = context.database(f"audited{width}")
        plain = StoreAlone(url, wide_format(width))
        audited = StoreAlone(with_url, wide_format(width), audit_key=key)
        with closing(plain), closing(audited), closing(open_store(with_url)) as sealer, _sealing(sealer, key):
            for kind, version in (("insert", 1), ("update", 2)):
                rows = shuffled_rows(width, ROWS, version=version)
                turns = [(plain.write(turn), audited.write(turn)) for turn in rows.iter_slices(TURN)]
                limit, value = (ROWS / sum(seconds) for seconds in zip(*turns, strict=True))
                measures.append(against(f"audit_share_{width}_{kind}", value, "rows/s", limit, what))
    return measures
