"""The monitor's look on a real broker: lags, ages, groups, and what is told when something is away."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from consumers.observation import Observation
from consumers.store import Position, Slice
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.store_lab import a_reject
from tests.watch_lab import PARTITIONS, WatchLab, hops, lags, only, see, sqlite, target

HOUR = 3600.0


@pytest.fixture
def lab(kafka: KafkaNode, unique: str, tmp_path: Path) -> Iterator[WatchLab]:
    lab = WatchLab(broker=kafka.bootstrap, url=sqlite(tmp_path), name=unique)
    yield lab
    lab.close()


def commit(lab: WatchLab, group: str, topic: str, partition: int, offset: int) -> None:
    """A group of somebody else commits."""
    consumer = KafkaConsumer(bootstrap_servers=lab.broker, group_id=group, enable_auto_commit=False)
    where = TopicPartition(topic, partition)
    consumer.assign([where])
    consumer.commit({where: OffsetAndMetadata(offset, "", -1)})
    consumer.close()


def test_lag_and_age_are_told_though_every_worker_is_dead(lab: WatchLab) -> None:
    province, national = lab.contract.topic, lab.national.topic
    began = time.time() - 0.01  # timestamps are whole milliseconds
    lab.send(province, 0, 3, age_seconds=2 * HOUR)
    lab.send(province, 0, 2, age_seconds=HOUR)
    lab.send(province, 1, 4, age_seconds=60)
    lab.ledger(province, 0, 3)
    lab.ledger(province, 1, 4)
    lab.send(national, 1, 7, age_seconds=30)

    def known(seen: Observation) -> bool:
        """The broker makes its topic of groups when it is first asked for one; ages are asked for last."""
        ages = [place.oldest_seconds for hop in hops(seen) for place in hop.places]
        return hops(seen)[0].members == 0 and len(ages) == 2 * PARTITIONS and None not in ages

    seen = see(lab, "everything is known", known)
    passed = time.time() - began
    translate, sync = hops(seen)
    assert (lags(translate), lags(sync)) == ([2, 0], [0, 7])
    assert translate.places[1].oldest_seconds == 0
    # The age is that of the record at the ledger's offset, not of the oldest in the topic.
    assert HOUR <= (translate.lag_seconds or 0) <= HOUR + passed
    assert 30 <= (sync.lag_seconds or 0) <= 30 + passed
    assert sync.members == 0
    assert translate.newest is not None
    assert 60 <= seen.at.timestamp() - translate.newest.timestamp() <= 60 + passed
    assert only(seen).outbox is not None
    assert all(one.up for one in seen.targets)
    assert abs(target(seen, "store").skew_seconds or 0) < 1
    week = 7 * 24
    assert week - 1.1 - passed / HOUR < (translate.places[0].hours_left or 0) < week - 0.9
    assert translate.places[1].hours_left is None
    assert 0 < seen.disks["1"] < 1
    # The offset stays and the record is not read again; the age grows all the same.
    assert [(one.name, one.ours, [place.lag for place in one.places]) for one in seen.groups] == [
        (f"{lab.name}-road", True, [2, 0])  # the ledger tells, though Kafka knows of no commit
    ]
    before = translate.lag_seconds or 0
    time.sleep(0.2)
    again = see(lab, "the age once more", known)
    assert before < (hops(again)[0].lag_seconds or 0)


def test_the_ledger_of_another_deployment_is_not_ours(lab: WatchLab) -> None:
    province = lab.contract.topic
    lab.send(province, 0, 5)
    lab.ledger(province, 0, 5, deployment="khac")
    seen = see(lab, "the topic", lambda seen: hops(seen)[0].lag is not None)
    assert lags(hops(seen)[0]) == [5, 0]


def test_a_group_that_never_committed_is_told_nowhere(lab: WatchLab) -> None:
    national = lab.national.topic
    began = time.time() - 0.01
    lab.send(national, 0, 5, age_seconds=HOUR)
    lab.send(national, 1, 1)
    group = f"{lab.name}-bo"
    commit(lab, group, national, 0, 2)

    def its_age(seen: Observation) -> bool:
        return any(place.lag_seconds for one in seen.groups if one.name == group for place in one.places)

    seen = see(lab, "the group", its_age)
    (found,) = [one for one in seen.groups if one.name == group]
    assert not found.ours
    (place,) = found.places  # partition 1 was never committed
    assert (place.position, place.offset, place.lag) == (Position(topic=national, partition=0), 2, 3)
    assert HOUR <= (place.lag_seconds or 0) <= HOUR + time.time() - began
    assert not [one for one in seen.groups if one.places and one.name != group]


def test_a_deleted_topic_is_told_and_takes_nothing_else_away(lab: WatchLab) -> None:
    province, national = lab.contract.topic, lab.national.topic
    lab.send(province, 0, 5)
    lab.send(national, 0, 3)
    seen = see(lab, "both topics", lambda seen: None not in {hop.lag for hop in hops(seen)})
    translate, sync = hops(seen)
    assert (translate.lag, sync.lag, sync.missing) == (5, 3, False)
    lab.admin.delete_topics([national])
    seen = see(lab, "the topic is gone", lambda seen: hops(seen)[1].missing and hops(seen)[0].lag is not None)
    translate, sync = hops(seen)
    assert (translate.lag, sync.lag, sync.places) == (5, None, [])
    assert target(seen, "1").up
    assert national not in lab.admin.list_topics()  # looking does not make it again


def test_a_broker_that_is_away_leaves_store_and_outbox_fresh(lab: WatchLab, kafka: KafkaNode) -> None:
    lab.send(lab.contract.topic, 0, 5)
    see(lab, "the lag", lambda seen: hops(seen)[0].lag == 5)
    kafka.kill()
    lab.box.waiting = 9
    position = Position(topic=lab.contract.topic, partition=0)
    lab.ledger(position.topic, 0, 0)
    step = Slice(position=position, start=0, next=1, epoch=1)
    mine = a_reject(0, system=lab.name, dataset="khaisinh")
    lab.store.settle(lab.name, [step], rejects=[mine], formats=[])
    seen = see(lab, "the store, as it is now", lambda seen: only(seen).open_rejects)
    dataset = only(seen)
    assert {one.name: one.up for one in seen.targets} == {
        "cluster": False, "1": False, "store": True, "so_tu_phap": True,
    }  # fmt: skip
    assert (hops(seen)[0].lag, hops(seen)[0].missing, hops(seen)[0].members) == (None, None, None)
    assert (seen.groups, seen.bounds) == ([], {})
    assert dataset.open_rejects == dataset.refused_lately == {"code_unknown": 1}
    assert dataset.outbox is not None
    assert dataset.outbox.waiting == 9
    kafka.start()
    see(lab, "the broker is back", lambda seen: hops(seen)[0].lag == 4)


def test_an_outbox_that_is_away_is_told_and_shows_nothing_old(lab: WatchLab) -> None:
    lab.box.waiting = 9
    see(lab, "the outbox", lambda seen: only(seen).outbox is not None)
    lab.box.away = True
    seen = see(lab, "it is away", lambda seen: only(seen).outbox is None and target(seen, "store").up)
    assert (target(seen, "so_tu_phap").up, target(seen, "store").up) == (False, True)
    assert target(seen, "so_tu_phap").why == "the agency database does not answer"


def test_a_store_that_is_away_leaves_the_groups_fresh(
    kafka: KafkaNode, postgres: PostgresNode, database: str, unique: str
) -> None:
    lab = WatchLab(broker=kafka.bootstrap, url=database, name=unique)
    try:
        lab.send(lab.contract.topic, 0, 5)
        lab.ledger(lab.contract.topic, 0, 1)
        group = f"{unique}-road"
        commit(lab, group, lab.contract.topic, 0, 2)
        see(lab, "lag by the ledger", lambda seen: hops(seen)[0].lag == 4)
        postgres.stop("immediate")

        def read(seen: Observation) -> bool:
            return target(seen, "1").up and any(one.places for one in seen.groups)

        seen = see(lab, "the groups", read)
        translate, _ = hops(seen)
        assert (target(seen, "store").up, target(seen, "1").up) == (False, True)
        assert (translate.lag, translate.places, translate.missing) == (None, (), False)
        assert only(seen).open_rejects is None
        assert seen.store_busy_seconds is None
        assert [(one.name, one.places[0].lag) for one in seen.groups if one.places] == [(group, 3)]
        postgres.start()
        see(lab, "the store is back", lambda seen: hops(seen)[0].lag == 4)
    finally:
        lab.close()
