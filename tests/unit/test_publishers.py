"""What both publishers ask of Kafka's clients, which no test with one broker would miss."""

import asyncio
from typing import Any

import pytest

from producers import publisher as capture
from streams import publisher as road

#: With acks=1 a broker that fails takes acknowledged records with it; without idempotence what the client
#: repeats is doubled and out of order. Told outright, for kafka-python gives up silently what is its default.
SAFE = {"acks": "all", "enable_idempotence": True}


class Asked:
    """A Kafka producer that only remembers how it was made."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    async def start(self) -> None:
        """Nothing is to be connected."""


def test_captures_producer_waits_for_all_copies_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "require_listener", lambda brokers: None)
    monkeypatch.setattr(capture, "KafkaProducer", Asked)
    asked = capture.Publisher("broker:9092", client_id="test")._ready().settings
    assert {**asked, **SAFE} == asked


def test_the_roads_producer_waits_for_all_copies_and_repeats_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(road, "AIOKafkaProducer", Asked)
    publisher = road.Publisher("broker:9092", client_id="test")
    asyncio.run(publisher.start())
    made: Any = publisher._producer
    assert {**made.settings, **SAFE} == made.settings
