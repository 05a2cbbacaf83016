"""Key parking on real Kafka and PostgreSQL: what waits behind a reject, whoever dies."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import KafkaNode
from tests.changes import Events
from tests.integration.test_road import PROVINCE, TABLE, good_rows, settled
from tests.road import Road, road, wait_for

BAD = {"ngay_dk": "31/02/2016"}


@pytest.fixture
def one(kafka: KafkaNode, database: str, tmp_path: Path) -> Iterator[Road]:
    with road(kafka.bootstrap, database, tmp_path / "logs") as made:
        yield made


@pytest.fixture
def events(one: Road) -> Iterator[Events]:
    made = one.events("hotich_qnam/khaisinh")
    yield made
    made.close()


def waiting(one: Road) -> list[tuple[str, int]]:
    """Source key and number of what is parked, in order for each record."""
    found = one.query("SELECT record_key, seq FROM lienthong_parked ORDER BY record_key, id")
    return [(bytes(key).decode(), seq) for key, seq in found]


def test_changes_wait_behind_a_reject_whichever_worker_has_the_partition(one: Road, events: Events) -> None:
    rows = good_rows(40)
    people: list[dict[str, Any]] = rows[:20]
    one.worker("w1")
    one.worker("w2")
    owners = "SELECT count(DISTINCT owner) FROM lienthong_ledger"
    wait_for("both workers own partitions", lambda: one.one(owners) == 2)
    events.write_all(people)
    expected: list[tuple[str, int]] = []
    for row in people[:6]:
        events.write({**row, **BAD})
        expected.append((str(row["id"]), events.write({**row, "ho_ten": "Nguyễn Văn Một"})))
    events.producer.flush()
    settled(one)
    assert waiting(one) == sorted(expected)
    one.end("w2", signal.SIGKILL)
    expected += [(str(row["id"]), events.write({**row, "ho_ten": "Nguyễn Văn Hai"})) for row in people[:6]]
    events.write_all(rows[20:])
    settled(one)
    one.end("w1", signal.SIGKILL)
    one.worker("w3")
    expected += [(str(row["id"]), events.write({**row, "ho_ten": "Nguyễn Văn Ba"})) for row in people[:6]]
    events.producer.flush()
    settled(one)
    assert waiting(one) == sorted(expected)
    assert one.one(f"SELECT count(*) FROM {TABLE}_current") == 40  # the refused ones as they were before
    assert one.one(f"SELECT count(*) FROM {TABLE} WHERE nksHoTen LIKE 'Nguyễn Văn %'") == 0
    assert one.backlog(PROVINCE) == 0
    heads = one.query("SELECT seq FROM lienthong_reject WHERE blocks ORDER BY seq")
    assert [row[0] for row in heads] == [21, 23, 25, 27, 29, 31]
    told = one.run("receipts", "show", "hotich_qnam", "--language", "en").stdout
    assert f"parked\t{len(expected)}\t" in told


def test_nobody_stands_twice_after_a_refused_move(one: Road, events: Events) -> None:
    first, second = good_rows(2)
    events.write_all([first, second])
    events.write({**first, "so_dk": "9998", **BAD})  # moves the record, and is refused
    events.write({**first, "so_dk": "9998"})  # repaired at the source: knows nothing of the first number
    events.write({**second, "so_dk": "9997", **BAD})
    events.write({**second, "so_dk": "9997"})
    events.delete(str(second["id"]))
    events.producer.flush()
    one.worker()
    settled(one)
    live = f"SELECT lt_source_key, so FROM {TABLE}_current ORDER BY 1"
    assert len(one.query(live)) == 2  # as they were: what came after the refusal waits
    one.run("rejects", "retry", "--system", "hotich_qnam", "--supersede", "--why", "sửa ở phần mềm gốc")
    wait_for(
        "the newest alone",
        lambda: [tuple(row) for row in one.query(live)] == [(str(first["id"]), "9998")],
    )
    wait_for("nothing waits any more", lambda: not waiting(one))  # written after all of it is published
    settled(one)
    stale = one.query(
        "SELECT format, seqs FROM lienthong_receipt WHERE outcome = 'stale' ORDER BY 1, first_seq"
    )
    both = ("hotich.khaisinh.v1", "hotich.khaisinh.v2")
    assert [tuple(row) for row in stale] == [(layout, seqs) for layout in both for seqs in ("3", "5-6")]
