"""Both sides proved equal, on real Kafka and PostgreSQL, by the commands that people type."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from consumers.ranges import Ranges
from deploy.demo.agency import TABLE, create_table, load
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from tests.integration.test_road import good_rows
from tests.road import Road, road, wait_for

DATASET, NATIONAL = "hotich_qnam/khaisinh", "hotich_khaisinh_v1"
CLERKS, PEOPLE = 3, 60


@pytest.fixture
def agency(postgres: PostgresNode, unique: str) -> Iterator[str]:
    """A vendor's database with an empty table; its SQLAlchemy address."""
    url = postgres.create_database(f"{unique}a")
    create_table(libpq_url(url))
    yield url
    postgres.start()
    postgres.drop_database(f"{unique}a")


@pytest.fixture
def one(kafka: KafkaNode, database: str, agency: str, tmp_path: Path) -> Iterator[Road]:
    settings = {"LIENTHONG_SOURCE": agency, "LIENTHONG_LANGUAGE": "en", "LIENTHONG_EFFECT_LOG": "true"}
    with road(kafka.bootstrap, database, tmp_path / "logs", **settings) as made:
        yield made


def begin(one: Road, agency: str, count: int) -> None:
    """A table with records from before, captured, and all of it in the national store."""
    load(libpq_url(agency), good_rows(count))
    assert typed(one, "capture", "install", DATASET, "--snapshot").returncode == 0
    wait_for("the snapshot", lambda: running(one) and count_of(one) == count, seconds=600)
    settled(one, agency)


def running(one: Road) -> bool:
    """Start relay and worker, and again whatever of them has ended, as a supervisor does. True."""
    for name, words in (("relay", ("capture", "run")), ("w1", ("road", "run", "--name", "w1"))):
        if name not in one.processes or one.processes[name].poll() is not None:
            one.start(name, *words)
    return True


def count_of(one: Road) -> int:
    return int(one.one(f"SELECT count(*) FROM {NATIONAL}_current"))


def settled(one: Road, agency: str) -> None:
    """Wait until every change that the agency's outbox holds has its answer, for each layout."""
    formats = [target.format for target in one.library.contracts[DATASET].targets]

    def answered() -> bool:
        with psycopg.connect(libpq_url(agency)) as connection:
            query = "SELECT count(*), count(published_at), max(seq) FROM lienthong_outbox"
            rows, published, highest = connection.execute(query).fetchall()[0]
        known = "SELECT seqs FROM lienthong_receipt WHERE format = :f AND outcome IN ('applied', 'stale')"
        every = Ranges.of([(1, highest)])
        left = [every - Ranges.parse(seqs for (seqs,) in one.query(known, f=each)) for each in formats]
        return running(one) and rows == published == highest and not any(left)

    wait_for("every change answered", answered, seconds=600, every=0.5)


def typed(one: Road, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as people type it; a busy machine may take minutes for it."""
    return one.run(*words, check=False, seconds=600)


def compared(one: Road, status: int) -> dict[str, Any]:
    done = typed(one, "reconcile", "run", DATASET, "--json")
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def outbox(agency: str, where: str = "true") -> int:
    with psycopg.connect(libpq_url(agency)) as connection:
        query = f"SELECT count(*) FROM lienthong_outbox WHERE {where}"
        return int(connection.execute(query.encode()).fetchall()[0][0])


def spoil(one: Road, *statements: str) -> None:
    with one.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.timeout(1800)
def test_a_planted_drift_is_found_and_repaired_by_the_road(one: Road, agency: str) -> None:
    begin(one, agency, 300)
    assert compared(one, 0)["rows"] == 300
    keys = [row[0] for row in one.query(f"SELECT lt_source_key FROM {NATIONAL} ORDER BY lt_key LIMIT 3")]
    fields = "lt_system, lt_dataset, lt_applied_at, quyenso, ngaydangky, loaidangky, noidangky, nkshoten"
    spoil(
        one,
        f"DELETE FROM {NATIONAL} WHERE lt_source_key = '{keys[0]}'",
        f"UPDATE {NATIONAL} SET nkshoten = 'Người Bí Mật' WHERE lt_source_key = '{keys[1]}'",
        f"INSERT INTO {NATIONAL} (lt_key, {fields}, lt_source_key, lt_seq, so)"
        f" SELECT replace(lt_key, '|' || so || '|', '|x' || so || '|'), {fields}, '99999', 1, 'x' || so"
        f" FROM {NATIONAL} WHERE lt_source_key = '{keys[2]}'",
    )
    told = compared(one, 1)
    assert (told["missing"], told["different"], told["extra"], told["in_flight"]) == (1, 1, 1, 0)
    assert told["translated"] < 100
    assert [each["fields"] for each in told["differences"] if each["kind"] == "different"] == [["nksHoTen"]]
    assert "Bí Mật" not in json.dumps(told, ensure_ascii=False)
    before = outbox(agency)
    dry = typed(one, "reconcile", "repair", DATASET, "--dry-run", "--yes")
    assert "2 records and 1 deletes would be sent" in dry.stderr
    assert (dry.returncode, outbox(agency)) == (1, before)
    done = typed(one, "reconcile", "repair", DATASET)
    assert "1 extra records need --yes" in done.stderr
    assert typed(one, "reconcile", "repair", DATASET, "--yes").returncode == 0
    assert outbox(agency, "op = 'd'") == 1
    settled(one, agency)
    assert compared(one, 0)["equal"]
    repaired = one.query(
        f"SELECT nkshoten FROM {NATIONAL} WHERE lt_source_key = '{keys[1]}' AND lt_seq > {before}"
    )
    assert [name for (name,) in repaired] != ["Người Bí Mật"]
    assert len(repaired) == 1  # it came by the road, with a number of its own
    gone = one.query(f"SELECT lt_deleted_at, nkshoten FROM {NATIONAL} WHERE lt_source_key = '99999'")
    assert gone[0][0] is not None
    assert gone[0][1] is not None
    proofs = one.query("SELECT missing + extra + different FROM lienthong_proof ORDER BY id")
    assert proofs[0][0] == proofs[-1][0] == 0


@pytest.mark.timeout(1800)
def test_a_repair_that_is_killed_goes_on_when_it_is_run_again(one: Road, agency: str) -> None:
    begin(one, agency, 3_000)
    spoil(one, f"DELETE FROM {NATIONAL}")
    killed = one.start("repair", "reconcile", "repair", DATASET)
    wait_for(
        "some are sent", lambda: killed.poll() is not None or outbox(agency) > 3_000, seconds=600, every=0.01
    )
    one.end("repair", signal.SIGKILL)
    one.start("run", "reconcile", "run", DATASET)
    time.sleep(2)
    one.end("run", signal.SIGKILL)
    assert typed(one, "reconcile", "repair", DATASET).returncode == 0
    settled(one, agency)
    assert compared(one, 0)["equal"]
    assert count_of(one) == 3_000


@pytest.mark.timeout(1800)
def test_backfills_and_snapshots_racing_with_live_changes_deletes_and_ties(one: Road, agency: str) -> None:
    begin(one, agency, PEOPLE)
    rows = good_rows(PEOPLE)
    stop = Event()
    mine = [rows[number::CLERKS] for number in range(CLERKS)]
    clerks = [Thread(target=work, args=(agency, part, stop, seed)) for seed, part in enumerate(mine)]
    for clerk in clerks:
        clerk.start()
    try:
        for words in (
            ("backfill", DATASET, "--all"),
            ("capture", "snapshot", DATASET),
            ("backfill", DATASET, "--where", "id % 2 = 0"),
            ("backfill", DATASET, "--since", "2020-01-01T00:00+07:00"),
            ("reconcile", "repair", DATASET),
        ):
            done = typed(one, *words)
            assert done.returncode == 0, f"{words}: {done.stderr}"
        raced = typed(one, "reconcile", "run", DATASET)
    finally:
        stop.set()
        for clerk in clerks:
            clerk.join()
    assert raced.returncode == 0, f"{raced.stdout}\n{raced.stderr}"  # what is on its way is no drift
    settled(one, agency)
    with psycopg.connect(libpq_url(agency)) as connection:
        held: dict[str, str] = dict(
            connection.execute(f"SELECT id::text, trang_so FROM {TABLE}".encode()).fetchall()
        )
        newest: dict[str, int] = dict(
            connection.execute(b"SELECT key, max(seq) FROM lienthong_outbox GROUP BY key").fetchall()
        )
    for table in (NATIONAL, "hotich_khaisinh_v2"):
        national = one.query(f"SELECT lt_source_key, trangso, lt_seq FROM {table}_current")
        assert {key: page for key, page, _ in national} == held
        assert all(newest[key] == seq for key, _, seq in national)
    assert outbox(agency, "op = 'r'") > 2 * PEOPLE
    assert outbox(agency, "op = 'd'") > 0
    assert compared(one, 0)["equal"]


def work(agency: str, rows: Sequence[dict[str, Any]], stop: Event, seed: int) -> None:
    """A clerk: changes, deletes, writes anew; two changes in one transaction are of the same millisecond."""
    rng = random.Random(seed)
    names = ", ".join(rows[0])
    insert = f"INSERT INTO {TABLE} ({names}) VALUES ({', '.join('%s' for _ in rows[0])})".encode()
    update, delete = (
        text.encode()
        for text in (f"UPDATE {TABLE} SET trang_so = %s WHERE id = %s", f"DELETE FROM {TABLE} WHERE id = %s")
    )
    version = 0
    with psycopg.connect(libpq_url(agency), autocommit=True) as connection:
        while not stop.wait(0.02):
            row = rng.choice(rows)
            with connection.transaction():
                for _ in range(rng.choice((1, 1, 2, 3))):
                    version += 1
                    page = f"{seed}-{version}"
                    if not connection.execute(update, (page, row["id"])).rowcount:
                        connection.execute(insert, list({**row, "trang_so": page}.values()))
                    elif rng.random() < 0.3:
                        connection.execute(delete, (row["id"],))
