"""The agency's answers on SQLite, and who brings them."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from sqlalchemy import make_url

from producers.answers import AnswerBook, numbers_of
from producers.following import Follower
from producers.settings import RelaySettings
from schemas.codec import encode_row
from schemas.registry import RECEIPT_SUBJECT
from tests.capture_lab import SOHO, CaptureLab
from tests.follow_laws import TOPIC, FollowLaws, answer, seen
from tests.shipped import shipped

REGISTRY = shipped().registry


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CaptureLab]:
    one = CaptureLab(f"sqlite:///{tmp_path}/so_ho.db")
    yield one
    one.close()


class TestSqlite(FollowLaws):
    """All of them."""

    def test_the_outbox_is_read_once_and_each_transaction_is_small(
        self, lab: CaptureLab, book: AnswerBook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        statements: list[tuple[str, Sequence[Any]]] = []
        gone = []
        rows = book._session.rows

        def watched(query: str, parameters: Sequence[Any] = ()) -> list[Any]:
            statements.append((query, parameters))
            found = rows(query, parameters)
            gone.append(rows("SELECT changes()")[0][0])
            return found

        book.take(TOPIC, 1, [answer("applied", "1-2600")])
        monkeypatch.setattr(book._session, "rows", watched)
        monkeypatch.setattr("producers.answers._PAUSE_SECONDS", 0.0)
        book.prune("2026-06-01T00:00:00.000+00:00", Event())
        plans = [
            str([row[3] for row in lab.hand.run(f"EXPLAIN QUERY PLAN {query}", *parameters)])
            for query, parameters in statements
        ]
        assert not [plan for plan in plans if "CORRELATED" in plan]
        assert [plan.count("SCAN lienthong_outbox'") for plan in plans] == [1, 0, 0, 0]
        assert gone[1:] == [1000, 1000, 595]
        assert lab.hand.run("SELECT seq FROM lienthong_outbox_answer ORDER BY seq") == [
            (seq,) for seq in range(1, 6)
        ]


class Kafka:
    """One topic's records, as ``Follower`` asks a ``KafkaConsumer`` for them."""

    def __init__(self, values: list[bytes]) -> None:
        self.part = TopicPartition("receipts.thu", 0)
        self.values = values
        self.place = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0} if topic == self.part.topic else set()

    def assign(self, parts: Sequence[TopicPartition]) -> None:
        assert parts == [self.part]

    def assignment(self) -> set[TopicPartition]:
        return {self.part}

    def seek(self, part: TopicPartition, offset: int) -> None:
        self.place = offset

    def position(self, part: TopicPartition, timeout_ms: float) -> int:
        return self.place

    def end_offsets(self, parts: object, timeout_ms: float) -> dict[TopicPartition, int]:
        return {self.part: len(self.values)}

    def poll(self, timeout_ms: float, max_records: int) -> dict[TopicPartition, list[Any]]:
        start, self.place = self.place, len(self.values)
        return {
            self.part: [SimpleNamespace(offset=n, value=self.values[n]) for n in range(start, self.place)]
        }

    def close(self) -> None:
        pass


def receipt(dataset: str, seqs: str) -> bytes:
    registered = REGISTRY.current(RECEIPT_SUBJECT)
    row: dict[str, Any] = {name["name"]: None for name in registered.schema["fields"]}
    row |= {"system": "thu", "dataset": dataset, "format": "thu.so.v1", "at_ms": time.time_ns() // 1_000_000}
    row |= {"outcome": "applied", "seqs": seqs, "first_seq": 1, "last_seq": 9, "how_many": 1}
    return encode_row(row, registered)


def test_a_dataset_installed_after_the_follower_began_gets_its_answers(
    lab: CaptureLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.install()
    lab.insert(1)
    lab.number()
    kafka = Kafka([receipt("soho", "1"), receipt("cap", "1-2"), receipt("khac", "1")])
    monkeypatch.setattr("producers.following.KafkaConsumer", lambda **options: kafka)
    monkeypatch.setattr("producers.following.require_listener", lambda brokers: None)
    book = AnswerBook(make_url(lab.source))
    follower = Follower(book, [SOHO.dataset], RelaySettings(source=lab.source, broker="nowhere:1"), REGISTRY)
    follower.run(Event(), until_end=True)
    assert follower.told == 4
    assert seen(lab) == [(1, "applied", None)], "what others capture stands in no view"
    lab.hand.run("INSERT INTO lienthong_outbox (dataset, op, key, seq) VALUES ('thu/cap', 'c', 'k', 2)")
    assert seen(lab) == [(1, "applied", None), (2, "applied", None)]
    monkeypatch.setattr("producers.answers._PAUSE_SECONDS", 0.0)
    book.prune("2030-01-01T00:00:00.000+00:00", Event())
    assert lab.hand.run("SELECT dataset, seq FROM lienthong_outbox_answer ORDER BY dataset") == [
        ("thu/cap", 2),
        ("thu/soho", 1),
    ]
    book.close()


def test_numbers_of_a_receipt() -> None:
    assert list(numbers_of("1-3,7")) == [1, 2, 3, 7]
    assert list(numbers_of("-9--8,-1-1,-5")) == [-9, -8, -1, 0, 1, -5]
