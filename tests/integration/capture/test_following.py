"""Receipts brought into the agency's own database, PostgreSQL and SQLite, over real Kafka."""

from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from deploy.local.kafka import KafkaNode
from schemas.codec import encode_row
from schemas.registry import RECEIPT_SUBJECT
from streams.topics import plan_topics
from tests.capture_lab import CaptureLab
from tests.follow_laws import FollowLaws
from tests.road import PATIENCE_SECONDS, Road, make_topics
from tests.shipped import shipped

REGISTERED = shipped().registry.current(RECEIPT_SUBJECT)


class TestPostgres(FollowLaws):
    """All of them."""


def receipt(dataset: str, outcome: str, seqs: str, rule: str | None = None) -> bytes:
    row: dict[str, Any] = {name["name"]: None for name in REGISTERED.schema["fields"]}
    row |= {
        "system": "hotich_qnam",
        "dataset": dataset,
        "format": "hotich.khaisinh.v1",
        "at_ms": 1_767_000_000_000,
    }
    row |= {"outcome": outcome, "seqs": seqs, "first_seq": 1, "last_seq": 9, "how_many": 1, "rule": rule}
    return encode_row(row | {"reason_vi": rule and "lý do", "reason_en": rule and "the reason"}, REGISTERED)


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_the_command_goes_on_where_it_stopped(
    kafka: KafkaNode, database: str, tmp_path: Path, kind: str, unique: str
) -> None:
    make_topics(kafka.bootstrap, plan_topics(shipped()))
    source = database if kind == "postgresql" else f"sqlite:///{tmp_path}/agency.db"
    lab = CaptureLab(source)
    dataset = f"soho_{unique}"
    lab.install()
    lab.hand.run(f"UPDATE lienthong_outbox_dataset SET dataset = 'hotich_qnam/{dataset}'")
    for id_ in range(1, 4):
        lab.insert(id_)
    lab.hand.run(f"UPDATE lienthong_outbox SET dataset = 'hotich_qnam/{dataset}', seq = id")
    settings = {"LIENTHONG_SOURCE": source, "LIENTHONG_LANGUAGE": "en"}
    road = Road(
        broker=kafka.bootstrap, store="sqlite:///none.db", folder=tmp_path / "logs", settings=settings
    )
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    asked = "SELECT seq, outcome, reason FROM lienthong_outbox_answered ORDER BY seq"
    try:
        for value in (receipt(dataset, "applied", "1"), receipt("khac", "applied", "3"), b"\0broken"):
            producer.send("receipts.hotich_qnam", value).get(PATIENCE_SECONDS)
        assert "answers taken in" in road.run("receipts", "follow", "--until-end").stderr  # with other tests'
        assert lab.hand.run(asked) == [(1, "applied", None), (2, None, None), (3, None, None)]
        refused = receipt(dataset, "rejected", "2-3", "code_unknown")
        producer.send("receipts.hotich_qnam", refused).get(PATIENCE_SECONDS)
        assert "2 answers taken in" in road.run("receipts", "follow", "--until-end").stderr
        assert lab.hand.run(asked)[1:] == [(2, "rejected", "the reason"), (3, "rejected", "the reason")]
    finally:
        producer.close()
        lab.close()
        road.close()
