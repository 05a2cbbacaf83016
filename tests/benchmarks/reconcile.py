"""How long a proof of 1,000,000 records takes, against reading both sides plainly."""

import random
import time
from collections import deque
from contextlib import closing

import psycopg
from sqlalchemy import create_engine

from consumers.opening import open_store
from consumers.proofs import Proof, ProofStore
from consumers.reconcile import Comparison
from consumers.store import Position, Slice, SyncBatch
from deploy.demo.agency import COLUMNS, TABLE, create_table, load
from deploy.demo.births import new_births, outcome, render
from deploy.demo.national import Live
from deploy.local.postgres import libpq_url
from producers.opening import open_site
from producers.outbox import Capture
from producers.side import open_side
from schemas.contracts import Contract
from schemas.differences import Difference
from schemas.events import snapshot_frame
from schemas.library import Library, load_library
from schemas.mapping import Translator
from tests.benchmarks import births
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.parts import Context

ROWS, DISTINCT = 1_000_000, 20_000
NATIONAL = "hotich_khaisinh_v1"
FAULTS = (
    f"DELETE FROM {NATIONAL} WHERE lt_source_key IN ('1000', '200000', '999999')",
    f"UPDATE {NATIONAL} SET nkshoten = 'Người Khác' WHERE lt_source_key IN ('7', '500000', '765432')",
    f"UPDATE {NATIONAL} SET nksngaysinh = NULL, meDanToc = '99' WHERE lt_source_key IN ('8', '500001')",
    f"UPDATE {NATIONAL} SET lt_source_key = '1000' || lt_source_key WHERE lt_source_key = '424242'",
)
FOUND = {"missing": 4, "extra": 1, "different": 5}


def reconcile(context: Context) -> list[Measure]:
    """A first proof, a second one, and one with ten planted faults."""
    source, target = context.database("reconcile_agency"), context.database("reconcile_national")
    folder = context.folder / "reconcile"
    contract = births.make_library(folder)
    library = load_library([folder])
    _fill_agency(source)
    with closing(open_site(source)) as site:
        site.run(site.needed(Capture.of(contract)))
    with closing(open_store(target)) as store:
        store.migrate(list(library.formats.values()))
        _fill_national(source, store, library, contract)
        ceiling = _read_plainly(source, target)
        first, _ = _proof(source, store, library, contract)
        again, _ = _proof(source, store, library, contract)
        assert (first.translated, again.translated) == (ROWS, 0)
        assert first.drift == again.drift == 0
        with create_engine(target).begin() as connection:
            for statement in FAULTS:
                connection.exec_driver_sql(statement)
        faulty, found = _proof(source, store, library, contract)
    assert {kind: getattr(faulty, kind) for kind in FOUND} == FOUND, faulty
    assert {one.source_key: one.fields for one in found}["8"] == ("nksNgaySinh", "meDanToc")
    what = (
        f"{ROWS:,} births, 25 columns against 60 fields, PostgreSQL; ceiling: COPY of both tables to nowhere"
    )
    return [
        _measure("reconcile_1m_first_s", first, ceiling, f"{what}; every record translated"),
        _measure(
            "reconcile_1m_equal_s", again, ceiling, f"{what}; sums only, after a first proof (aim: 60 s)"
        ),
        _measure(
            "reconcile_1m_ten_faults_s",
            faulty,
            ceiling,
            f"{what}; ten faults found by record and field, {faulty.translated:,} records read",
        ),
    ]


def _measure(name: str, proof: Proof, ceiling: float, what: str) -> Measure:
    return against(name, proof.took_ms / 1000, "s", ceiling, what)


def _proof(
    source: str, store: ProofStore, library: Library, contract: Contract
) -> tuple[Proof, list[Difference]]:
    with closing(open_side(source, contract, print)) as side:
        comparison = Comparison(side, store, library, "bench")
        found = [one for part in comparison.differences() for one in part]
        return comparison.prove(), found


def _fill_agency(source: str) -> None:
    """Births without a fault, many times over with numbers of their own."""
    libpq = libpq_url(source)
    create_table(libpq)
    rng = random.Random(7)
    every = (one for one in new_births(2 * DISTINCT, 7) if isinstance(outcome(one), Live))
    load(libpq, (render(birth, rng) for birth, _ in zip(every, range(DISTINCT), strict=False)))
    others = ", ".join(name for name in COLUMNS if name not in ("id", "so_dk"))
    with psycopg.connect(libpq) as connection:
        connection.execute(
            f"CREATE TABLE nhieu AS SELECT n AS id, n::text AS so_dk, {others} FROM"
            f" (SELECT g * {DISTINCT} + row_number() OVER (PARTITION BY g ORDER BY t.id) AS n, t.*"
            f" FROM generate_series(0, {ROWS // DISTINCT - 1}) AS g, {TABLE} AS t) AS x".encode()
        )
        connection.execute(f"TRUNCATE {TABLE}".encode())
        connection.execute(
            f"INSERT INTO {TABLE} (id, so_dk, {others}) SELECT id, so_dk, {others} FROM nhieu".encode()
        )
        connection.execute(b"DROP TABLE nhieu")
    with psycopg.connect(libpq, autocommit=True) as connection:
        connection.execute(b"VACUUM ANALYZE")


def _fill_national(source: str, store: ProofStore, library: Library, contract: Contract) -> None:
    """What the road would have made of them."""
    (target,) = contract.targets
    national = library.formats[target.format]
    translator = Translator(contract, library)
    position = Position(topic=national.topic, partition=0)
    claim = store.claim("bench", [position], generation=1, owner="bench")[position]
    store.start_at("bench", position, epoch=claim.epoch, offset=0)
    done = 0
    with closing(open_side(source, contract, print)) as side:
        for part in side.rows():
            rows = translator.translate(snapshot_frame(part.records)).national[target.format]
            assert len(rows) == len(part.keys)
            rows = rows.drop("__row").with_row_index("__offset", done)
            rows = rows.with_columns(rows["__offset"].cast(int), rows["lt_seq"] + done, __partition=0)
            mine = Slice(position=position, start=done, next=done + len(rows), epoch=claim.epoch)
            batch = SyncBatch(format=national, topic=national.topic, slices=[mine], rows=rows)
            store.apply(store.prepare(batch), "bench")
            done += len(rows)


def _read_plainly(source: str, target: str) -> float:
    """Seconds to read every column of both tables, and do nothing with them."""
    began = time.monotonic()
    for address, table in ((source, TABLE), (target, NATIONAL)):
        libpq, query = libpq_url(address), f"COPY {table} TO STDOUT (FORMAT csv)"
        with (
            psycopg.connect(libpq) as connection,
            connection.cursor() as cursor,
            cursor.copy(query.encode()) as copy,
        ):
            deque(copy, maxlen=0)
    return time.monotonic() - began
