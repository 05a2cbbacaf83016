"""The road on real Kafka and PostgreSQL: what arrives, what is refused, and what trouble does to it."""

import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from consumers.ranges import Ranges
from deploy.demo.births import new_births, render
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.changes import Events
from tests.road import PATIENCE_SECONDS, PATIENTLY, Road, delete_topics, end_offsets, road, wait_for
from tests.topics import every_record, read_value

PROVINCE = "province.hotich_qnam.khaisinh"
FORMAT, BESIDE = "hotich.khaisinh.v1", "hotich.khaisinh.v2"
NATIONAL = (f"national.{FORMAT}", f"national.{BESIDE}")
TABLE = "hotich_khaisinh_v1"
REJECTED = "rejected.hotich_qnam"


def good_rows(count: int, *, seed: int = 3, first_id: int = 1) -> list[dict[str, Any]]:
    """Legacy rows without a planted fault."""
    import random

    from deploy.demo.births import outcome
    from deploy.demo.national import Live

    rng = random.Random(seed)
    births = new_births(count * 2, seed, first_id=first_id)
    rows = [dict(render(birth, rng)) for birth in births if isinstance(outcome(birth), Live)]
    assert len(rows) >= count
    return rows[:count]


@pytest.fixture
def one(kafka: KafkaNode, database: str, tmp_path: Path) -> Iterator[Road]:
    with road(kafka.bootstrap, database, tmp_path / "logs") as made:
        yield made


@pytest.fixture
def events(one: Road) -> Iterator[Events]:
    made = one.events("hotich_qnam/khaisinh")
    yield made
    made.close()


def settled(one: Road) -> None:
    """Wait until both hops have nothing left to do."""
    wait_for("both hops drained", lambda: one.backlog(PROVINCE, *NATIONAL) == 0, every=0.3)


def answered(one: Road, outcome: str, full_id: str = FORMAT) -> int:
    """How many changes were answered so, in one layout; one that came again was answered again."""
    query = "SELECT seqs FROM lienthong_receipt WHERE outcome = :o AND format = :f"
    return len(Ranges.parse(row[0] for row in one.query(query, o=outcome, f=full_id)))


def applied_seqs(one: Road) -> int:
    return answered(one, "applied")


def samples(one: Road, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The series of a metric that have these labels, on the worker's page: values by their other labels."""
    families = text_string_to_metric_families(one.metrics("w1"))
    return {
        tuple(value for label, value in sorted(sample.labels.items()) if label not in labels): sample.value
        for family in families
        for sample in family.samples
        if sample.name == f"lienthong_{name}" and labels.items() <= sample.labels.items()
    }


def total(one: Road, name: str, **labels: str) -> float:
    """The sum of these series."""
    return sum(samples(one, name, **labels).values())


def test_creates_updates_deletes_and_moved_keys_arrive(one: Road, events: Events) -> None:
    rows = good_rows(30)
    events.write_all(rows)
    events.write({**rows[0], "ho_ten": "Nguyễn Văn Thử"})
    events.delete(str(rows[1]["id"]))
    moved = events.write({**rows[2], "so_dk": "9999"})
    events.producer.flush()
    one.worker()
    settled(one)
    for at in (0, 5):  # delivered once more, behind their lot; of the first there is a newer version by now
        again = events.value("c", None, rows[at], at + 1)
        events.raw(again, key=str(rows[at]["id"]), headers=events.headers(at + 1))
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 29
    assert (
        one.one(f"SELECT nksHoTen FROM {TABLE} WHERE lt_source_key = :k", k=str(rows[0]["id"]))
        == "Nguyễn Văn Thử"
    )
    gone = one.query(f"SELECT lt_deleted_at, so FROM {TABLE} WHERE lt_source_key = :k", k=str(rows[1]["id"]))
    assert gone[0][0] is not None
    assert gone[0][1] is not None  # the values stay with the tombstone: they are evidence
    there = one.query(
        f"SELECT so, lt_deleted_at IS NULL, lt_seq FROM {TABLE} WHERE lt_source_key = :k ORDER BY 2",
        k=str(rows[2]["id"]),
    )
    assert [(live, seq) for _, live, seq in there] == [(False, moved), (True, moved)]
    assert applied_seqs(one) == events.seq

    mine, both = {"system": "hotich_qnam", "dataset": "khaisinh"}, (FORMAT, BESIDE)
    no_lag = {(str(number), topic): 0.0 for topic, number in end_offsets(one.broker, [PROVINCE, *NATIONAL])}

    def told() -> dict[str, object]:
        # What the road itself delivers again is among them.
        twice = [total(one, f"{name}_total", format=f) for name in ("stale", "duplicate") for f in both]
        lots = [total(one, "batch_records_sum", hop=hop) for hop in ("translate", "sync")]
        return {
            "changes in": total(one, "changes_in_total", **mine),
            "translated": [total(one, "translated_total", format=f, **mine) for f in both],
            "applied": [total(one, "applied_total", format=f) for f in both],
            "stale and duplicate": all(twice),
            "in store besides": total(one, "end_to_end_seconds_count", **mine) - sum(twice),
            "promised besides": total(one, "promise_changes_total", **mine) - sum(twice),
            "in lots": lots[0] >= 35 and lots[1] >= 72,
            "steps": {where for where, lots in samples(one, "step_seconds_count").items() if lots},
            "no lag": [
                no_lag.items() <= samples(one, f"lag_{what}").items() for what in ("records", "seconds")
            ],
            "up": total(one, "store_up") + total(one, "broker_up"),
        }

    expected = {
        "changes in": 35,
        "translated": [36, 36],
        "applied": [34, 34],
        "stale and duplicate": True,
        "in store besides": 68,
        "promised besides": 68,
        "in lots": True,
        "steps": {("sync", "prepare"), ("sync", "commit")}
        | {("translate", step) for step in ("prepare", "publish", "commit")},
        "no lag": [True, True],
        "up": 2,
    }
    wait_for(lambda: f"all counted: {told()}", lambda: told() == expected)  # it follows the commits


def test_both_layouts_are_served_from_one_source(one: Road, events: Events) -> None:
    rows = good_rows(20)
    events.write_all(rows)
    events.write({**rows[0], "so_dinh_danh": "049316000001"})
    events.delete(str(rows[1]["id"]))
    events.write({**rows[2], "dan_toc": "Ca-tang"})  # refused
    events.write({**rows[3], "so_dk": "9999"})  # moves
    events.producer.flush()
    one.worker()
    settled(one)
    shared = "lt_key, lt_seq, lt_deleted_at IS NULL, so, ngayDangKy, noiDangKy, nksHoTen, nksDanToc, chaHoTen"
    seen = [one.query(f"SELECT {shared} FROM hotich_khaisinh_v{n} ORDER BY lt_key") for n in (1, 2)]
    assert len(seen[0]) == 21
    assert seen[0] == seen[1]
    number = "SELECT nksSoDinhDanh FROM hotich_khaisinh_v2 WHERE lt_source_key = :k"
    assert one.one(number, k=str(rows[0]["id"])) == "049316000001"
    counts = [(answered(one, "applied", f), answered(one, "rejected", f)) for f in (FORMAT, BESIDE)]
    assert counts == [(23, 1), (23, 1)]


def test_bad_bytes_are_rejected_with_place_and_reason_and_good_ones_go_on(one: Road, events: Events) -> None:
    rows = good_rows(12)
    events.write_all(rows[:6])
    good = events.value("c", None, rows[6], 900)
    receipt = one.library.registry.current("lienthong.receipt-value")
    too_long = {**rows[7], "noi_sinh": "x" * 10_000_000}
    bad: dict[str, tuple[bytes, dict[str, bytes]]] = {
        "value_empty": (b"", {}),
        "header_missing": (b"\x01" + good[1:], {}),
        "schema_unknown": (struct.pack(">bI", 0, 7777) + good[5:], {}),
        "fingerprint_mismatch": (good, {"schema-sha256": b"0" * 64, "seq": b"901"}),
        "schema_foreign": (struct.pack(">bI", 0, receipt.id) + good[5:], {}),
        "bytes_truncated": (good[:-3], events.headers(902)),
        "bytes_trailing": (good + b"\x00", events.headers(903)),
        "record_too_large": (events.value("c", None, too_long, 904), events.headers(904)),
    }
    bad["utf8_invalid"] = (_invalid_utf8(events, rows[8]), events.headers(905))
    # By place; each has a key of its own: behind a reject of its record it would wait.
    due: dict[tuple[int, int], tuple[str, str, bytes | None]] = {
        events.raw(value, key=rule, headers=headers): (rule, rule, value)
        for rule, (value, headers) in bad.items()
    }
    due[events.raw(None, key="nothing")] = ("value_empty", "nothing", None)
    events.write_all(rows[9:12])
    one.worker()
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 9
    found = one.query(
        'SELECT "partition", "offset", topic, rule, record_key, original, seq FROM lienthong_reject'
    )
    stored = {row[:2]: row[2:] for row in found}
    assert len(found) == len(due)
    waiting = "SELECT count(*) FROM lienthong_reject WHERE published_at IS NULL"
    wait_for("the rejects on their topic", lambda: one.one(waiting) == 0)
    told = [read_value(each.value, one.library.registry) for each in every_record(one.broker, REJECTED)]
    published = {(each["partition"], each["offset"]): each for each in told}
    assert stored.keys() == published.keys() == due.keys()
    for place, (rule, key, value) in due.items():
        topic, *reason, original, seq = stored[place]
        assert (topic, *reason, original) == (PROVINCE, rule, key.encode(), value)  # kept as it came
        each = published[place]
        told_of = each["system"], each["dataset"], each["topic"], each["rule"], each["seq"]
        assert told_of == ("hotich_qnam", "khaisinh", PROVINCE, rule, seq)
        carried = (None, None) if rule == "record_too_large" else (key.encode(), value)
        assert (each["key"], each["original"]) == carried
        if rule == "bytes_truncated":
            assert seq == 902  # told by the header, although the bytes cannot be read
    # Those whose number is known, 901 to 905, in each layout.
    assert [answered(one, "rejected", full_id) for full_id in (FORMAT, BESIDE)] == [5, 5]
    counted = 'lienthong_rejected_total{dataset="khaisinh",rule="bytes_trailing",system="hotich_qnam"} 1.0'
    wait_for("the metric", lambda: counted in one.metrics("w1"))  # it follows the commit


def _invalid_utf8(events: Events, row: dict[str, Any]) -> bytes:
    marked = events.value("c", None, {**row, "noi_sinh": "MARKMARK"}, 905)
    assert marked.count(b"MARKMARK") == 1
    return marked.replace(b"MARKMARK", b"MARK\xff\xfe\xffK")


def test_two_workers_share_the_partitions_and_one_takes_over(one: Road, events: Events) -> None:
    one.worker("w1")
    one.worker("w2")
    owners = "SELECT count(DISTINCT owner) FROM lienthong_ledger"
    wait_for("both workers own partitions", lambda: one.one(owners) == 2)
    rows = good_rows(400)
    events.write_all(rows[:200])
    settled(one)
    one.end("w2", signal.SIGKILL)
    events.write_all(rows[200:])
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 400
    assert applied_seqs(one) == 400


def test_the_broker_and_the_database_go_away_and_the_worker_goes_on(
    kafka: KafkaNode, postgres: PostgresNode, one: Road, events: Events
) -> None:
    worker = one.worker()
    rows = good_rows(600)
    events.write_all(rows[:200])
    settled(one)
    waited = one.log("w1").count("waiting")
    postgres.stop("immediate")
    events.write_all(rows[200:400])
    wait_for("the worker to notice", lambda: one.log("w1").count("waiting") > waited)
    postgres.start()
    settled(one)
    kafka.kill()
    wait_for("it tells that the broker is away", lambda: "the broker does not answer" in one.log("w1"))
    wait_for("so do the metrics", lambda: "lienthong_broker_up 0.0" in one.metrics("w1"))
    kafka.start()
    events.connect()
    events.write_all(rows[400:])
    settled(one)
    assert worker.poll() is None
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 600
    wait_for("it says so", lambda: "working again" in one.log("w1"))  # behind the commit
    wait_for("and that the broker is back", lambda: "the broker answers again" in one.log("w1"))


def test_a_slow_database_is_waited_for(one: Road, events: Events) -> None:
    def told() -> bool:
        lag, seconds = (total(one, f"lag_{what}", topic=NATIONAL[0]) for what in ("records", "seconds"))
        waits, up = total(one, "waits_total", hop="sync"), samples(one, "store_up")
        return waits > 0 and lag >= 20 and seconds > 0 and up == {(): 0}

    worker = one.worker()
    rows = good_rows(40)
    events.write_all(rows[:20])
    settled(one)
    with one.engine.connect() as blocker:
        blocker.exec_driver_sql(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        waited = one.log("w1").count("waiting")
        events.write_all(rows[20:])
        wait_for("it says that it waits", lambda: one.log("w1").count("waiting") > waited)
        wait_for("so do the metrics", told)
        assert worker.poll() is None
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 40


def test_a_worker_that_cannot_move_ends_with_75(kafka: KafkaNode, database: str, tmp_path: Path) -> None:
    with road(kafka.bootstrap, database, tmp_path / "logs", LIENTHONG_STALL_SECONDS="60") as one:
        events = one.events("hotich_qnam/khaisinh")
        worker = one.worker()
        events.write_all(good_rows(5))
        settled(one)
        with one.engine.connect() as blocker:
            blocker.exec_driver_sql("LOCK TABLE lienthong_ledger IN ACCESS EXCLUSIVE MODE")
            events.write_all(good_rows(5, first_id=500))
            assert worker.wait(PATIENCE_SECONDS) == 75
        events.close()
        assert "no progress for" in one.log("w1")


def test_what_retention_deleted_is_told_and_not_skipped(one: Road, events: Events) -> None:
    rows = good_rows(60)
    one.worker()
    events.write_all(rows[:30])
    settled(one)
    one.end("w1")
    events.write_all(rows[30:])
    admin = KafkaAdminClient(bootstrap_servers=one.broker, **PATIENTLY)
    ends = {where: offset for where, offset in one.ledger().items() if where[0] == PROVINCE}
    victim = max(ends, key=lambda where: ends[where] or 0)
    admin.delete_records({TopicPartition(*victim): (ends[victim] or 0) + 2})
    admin.close()
    one.worker()
    wait_for("the halt is told", lambda: "partition halted" in one.log("w1"))
    assert f"{victim[0]}-{victim[1]}: 2 records" in one.log("w1")
    wait_for("the other partitions flow on", lambda: one.one(f"SELECT count(*) FROM {TABLE}") > 45)
    assert one.ledger()[victim] == ends[victim]  # nothing was skipped
    told = one.run("road", "accept-loss", victim[0], str(victim[1]))
    assert "2 records" in told.stdout
    assert one.ledger()[victim] == ends[victim]  # without --yes it only tells
    one.run("road", "accept-loss", victim[0], str(victim[1]), "--yes", "--why", "thử")
    deed = one.one("SELECT detail FROM lienthong_audit WHERE action = 'accept_loss'")
    assert deed.endswith(f"{victim[0]} {victim[1]}: {ends[victim]} to {(ends[victim] or 0) + 2}")
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 58


def test_what_is_deleted_before_a_running_worker_read_it_is_told_and_not_skipped(
    one: Road, events: Events
) -> None:
    """No claim compares ledger and log here: only a fetch tells that the log lacks the next record."""
    rows = good_rows(40)
    worker = one.worker()
    events.write_all(rows[:1])
    settled(one)
    (victim,) = (where for where, end in end_offsets(one.broker, [PROVINCE]).items() if end)
    admin = KafkaAdminClient(bootstrap_servers=one.broker, **PATIENTLY)
    worker.send_signal(signal.SIGSTOP)
    events.write_all(rows[:1])  # for the fetch that may be under way
    wait_for("that fetch is answered", lambda: end_offsets(one.broker, [PROVINCE])[victim] == 2)
    events.write_all(rows[:1] * 4)
    admin.delete_records({TopicPartition(*victim): 4})
    admin.close()
    worker.send_signal(signal.SIGCONT)
    events.write_all(rows[1:])
    wait_for("the halt is told", lambda: "partition halted" in one.log("w1"))
    others = {where: end for where, end in end_offsets(one.broker, [PROVINCE]).items() if where != victim}
    assert all(others.values())
    wait_for("the other partitions flow on", lambda: others.items() <= one.ledger().items())
    stands = one.ledger()[victim]
    assert stands in (1, 2)  # nothing was skipped
    assert f"{victim[0]}-{victim[1]}: {4 - stands} records" in one.log("w1")
    one.run("road", "accept-loss", victim[0], str(victim[1]), "--yes", "--why", "thử")
    settled(one)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 40
    assert worker.poll() is None


def test_what_a_transactional_source_took_back_is_no_backlog_and_its_deletion_no_loss(one: Road) -> None:
    """Debezium writes so if it is told to write exactly once."""
    contract = one.library.contracts["hotich_qnam/khaisinh"]
    producer = KafkaProducer(bootstrap_servers=one.broker, transactional_id=one.store)
    events = Events(contract, one.library.registry.current(contract.subject), one.broker, producer)
    producer.init_transactions()
    rows = good_rows(40)
    one.worker()
    for some, end in ((rows[:20], producer.commit_transaction), (rows[20:], producer.abort_transaction)):
        producer.begin_transaction()
        events.write_all(some)
        end()
        settled(one)
    producer.close()
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 20
    one.end("w1")
    admin = KafkaAdminClient(bootstrap_servers=one.broker, **PATIENTLY)
    ends = {TopicPartition(*where): end for where, end in end_offsets(one.broker, [PROVINCE]).items()}
    admin.delete_records(ends)
    admin.close()
    one.worker("w2")
    more = one.events("hotich_qnam/khaisinh")
    more.write_all(rows[20:])
    more.close()
    wait_for("it goes on", lambda: one.one(f"SELECT count(*) FROM {TABLE}_current") == 40)
    assert "partition halted" not in one.log("w2")


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"LIENTHONG_BROKER": ""}, 2, "LIENTHONG_BROKER"),
        ({"LIENTHONG_BROKER": "localhost:abc"}, 2, "LIENTHONG_BROKER"),
        ({"LIENTHONG_STORE": "nonsense"}, 2, "LIENTHONG_STORE"),
        ({"LIENTHONG_BROKER": "127.0.0.1:9"}, 75, "127.0.0.1:9"),
        ({"LIENTHONG_CONTRACTS": "no/such/folder"}, 1, "LIENTHONG_CONTRACTS"),
    ],
)
def test_wrong_settings_get_one_message_and_the_next_step(
    tmp_path: Path, change: dict[str, str], status: int, told: str
) -> None:
    one = Road(broker="127.0.0.1:9", store=f"sqlite:///{tmp_path}/store.db", folder=tmp_path, settings=change)
    if status == 75:
        one.run("store", "migrate")  # all is well but the broker
    done = one.run("road", "run", check=False)
    assert done.returncode == status
    assert told in done.stderr
    assert "next step" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_topics_are_told_at_once(kafka: KafkaNode, database: str, tmp_path: Path) -> None:
    with road(kafka.bootstrap, database, tmp_path / "logs") as one:
        delete_topics(one.broker, one.library, [PROVINCE, *NATIONAL])
        done = one.run("road", "run", check=False)
    assert done.returncode == 70
    assert "does not exist" in done.stderr
    assert "lienthong road topics" in done.stderr
