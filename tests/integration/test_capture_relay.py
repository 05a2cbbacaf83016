"""The relay as a process of its own: real databases, a real broker, and kill -9."""

import random
import re
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.relay_lab import Agency, an_agency, hold_to_account, set_limit, work
from tests.road import PATIENTLY, wait_for


@pytest.fixture(params=["postgres", "sqlite"])
def agency(request: pytest.FixtureRequest, kafka: KafkaNode, tmp_path: Path, unique: str) -> Iterator[Agency]:
    source = (
        request.getfixturevalue("database")
        if request.param == "postgres"
        else f"sqlite:///{tmp_path}/ho_tich.db"
    )
    yield from an_agency(source, kafka, tmp_path, unique)


@pytest.fixture
def on_postgres(database: str, kafka: KafkaNode, tmp_path: Path, unique: str) -> Iterator[Agency]:
    yield from an_agency(database, kafka, tmp_path, unique)


def test_snapshot_and_live_changes_reach_the_topic(agency: Agency) -> None:
    agency.insert(1, 300)
    with agency.lab.transaction() as hand:
        hand.run("DELETE FROM lienthong_outbox")  # as if they were there before capture
    assert agency.command("snapshot").returncode == 0
    relay = agency.start()
    agency.insert(301, 310)
    agency.lab.hand.run("UPDATE ht_khaisinh SET ho_ten = 'Sửa' WHERE id < 5")
    agency.lab.hand.run("DELETE FROM ht_khaisinh WHERE id = 7")
    events = hold_to_account(agency)
    ops = list({event.seq: event.op for event in events}.values())  # any of them may come twice
    assert [ops.count(op) for op in "rcud"] == [300, 10, 4, 1]
    agency.end(relay)
    assert "Traceback" not in agency.log


def test_a_relay_that_is_killed_loses_nothing(agency: Agency) -> None:
    agency.insert(1, 500)
    end = work(agency, seed=1, ids=500)
    chance = random.Random(5)
    left = []
    for kill in range(6):
        relay = agency.start()
        before = agency.published()
        agency.insert(10_001 + kill * 200, 10_100 + kill * 200)
        wait_for("the relay to publish", partial(agency.published_more_than, before))
        time.sleep(chance.uniform(0, 0.3))
        agency.insert(10_101 + kill * 200, 10_200 + kill * 200)
        relay.kill()
        relay.wait()
        left.append(agency.waiting())
    agency.start()
    end()
    events = hold_to_account(agency)
    assert len(events) > 1000
    assert any(left), "it was killed in the middle"


def test_a_broker_that_restarts_loses_nothing(on_postgres: Agency) -> None:
    agency = on_postgres
    agency.insert(1, 500)
    relay = agency.start()
    end = work(agency, seed=2, ids=500)
    for take_down in (agency.kafka.kill, agency.kafka.stop):
        wait_for("the relay to publish", partial(agency.published_more_than, agency.published()))
        take_down()
        time.sleep(1)
        agency.kafka.start()
    end()
    assert len(hold_to_account(agency)) > 1000
    assert relay.poll() is None, "it went on by itself"


def complained(agency: Agency, more_than: int) -> bool:
    return agency.log.count("does not answer") > more_than


def test_a_database_that_restarts_loses_nothing(on_postgres: Agency, postgres: PostgresNode) -> None:
    agency = on_postgres
    agency.insert(1, 5000)
    relay = agency.start()
    wait_for("the relay to publish", lambda: agency.waiting() < 5000)
    for _ in range(2):
        told = agency.log.count("does not answer")
        postgres.stop("immediate")
        wait_for("the relay to notice", partial(complained, agency, told))
        postgres.start()
        agency.lab.close()
        agency.lab.hand = agency.lab.another_hand()
        agency.insert(*((6000, 6500) if _ == 0 else (7000, 7500)))
        agency.lab.hand.run("UPDATE ht_khaisinh SET ho_ten = 'Sau' WHERE id < 1000")
    hold_to_account(agency)
    assert relay.poll() is None, "it went on by itself"


def test_a_second_relay_waits_and_takes_over(agency: Agency) -> None:
    first = agency.start()
    agency.insert(1, 10)
    agency.drained()
    second = agency.start()
    wait_for("the second to say so", lambda: "another relay serves this database" in agency.log)
    agency.insert(11, 20)
    agency.drained()
    first.kill()
    first.wait()
    agency.insert(21, 30)
    agency.drained()
    assert second.poll() is None
    assert {event.seq for event in agency.events()} == set(range(1, 31))


def test_an_outbox_restored_from_a_backup_gives_no_number_twice(agency: Agency) -> None:
    relay = agency.start()
    agency.insert(1, 30)
    agency.drained()
    agency.end(relay)
    agency.lab.hand.run("DELETE FROM lienthong_outbox WHERE seq > 20")  # as it was yesterday
    agency.lab.hand.run("UPDATE lienthong_outbox_dataset SET next_seq = 21")
    agency.start()
    agency.insert(31, 35)
    agency.drained()
    assert sorted(event.seq for event in agency.events()) == list(range(1, 36))
    assert agency.log.count("the outbox counts behind its topic") == 1


def test_sigterm_while_the_broker_is_away_ends_in_time(on_postgres: Agency) -> None:
    agency = on_postgres
    relay = agency.start()
    agency.insert(1, 10)
    agency.drained()
    agency.kafka.kill()
    agency.insert(11, 20)
    wait_for("the relay to notice", lambda: "acknowledge" in agency.log or "waiting" in agency.log)
    agency.end(relay)
    assert agency.waiting() == 10
    agency.kafka.start()
    agency.start()
    hold_to_account(agency)


def test_a_record_too_large_waits_and_others_go_on(on_postgres: Agency) -> None:
    agency = on_postgres
    set_limit(agency, 300_000)
    noise = "".join(random.Random(3).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=700_000))
    relay = agency.start()
    agency.insert(1, 3)
    agency.lab.hand.run("UPDATE ht_khaisinh SET noi_sinh = ? WHERE id = 2", noise)
    agency.lab.hand.run("UPDATE ht_khaisinh SET noi_sinh = 'ngắn' WHERE id = 2")
    agency.insert(4, 100)
    wait_for("the others", lambda: agency.waiting() == 2)
    assert {event.seq for event in agency.events()} == set(range(1, 101)) - {4, 5} | {101, 102}
    assert "seq=4" in agency.log
    assert "max.message.bytes" in agency.log
    assert noise[:50] not in agency.log
    address = re.findall(r"http://127\.0\.0\.1:\d+/metrics", agency.log)[-1]
    labels = f'{{dataset="khaisinh",system="{agency.contract.system}"}}'

    def scraped() -> str:
        with urllib.request.urlopen(address) as page:
            return str(page.read(), "utf-8")

    wait_for("the metric", lambda: f"lienthong_capture_parked{labels} 2.0" in scraped())
    agency.end(relay)
    set_limit(agency, 2_000_000)
    agency.start()
    hold_to_account(agency)


@pytest.mark.parametrize("agency", ["sqlite"], indirect=True)
def test_what_is_missing_is_told_with_a_next_step(agency: Agency) -> None:
    admin = KafkaAdminClient(bootstrap_servers=agency.kafka.bootstrap, **PATIENTLY)
    admin.delete_topics([agency.contract.topic])
    wait_for("the topic to be gone", lambda: agency.contract.topic not in admin.list_topics())
    admin.close()
    done = agency.command("run")
    assert done.returncode == 1
    assert f"the broker has no topic {agency.contract.topic}" in done.stderr
    assert "next step: run: lienthong road topics" in done.stderr
    (trigger, *_), *_ = agency.lab.hand.run("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    agency.lab.hand.run(f"DROP TRIGGER {trigger}")
    done = agency.command("run")
    assert "changes were missed" in done.stderr
    assert done.returncode == 1
    assert agency.command("uninstall", agency.contract.id).returncode == 0
    done = agency.command("run")
    assert "nothing is captured" in done.stderr
    assert "capture install" in done.stderr
    assert "Traceback" not in done.stderr
