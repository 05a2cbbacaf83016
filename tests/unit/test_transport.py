"""What the transport says of itself while it is being put together."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams.transport import BatchConsumerThread


@pytest.mark.parametrize(
    ("consumer", "known"),
    [
        (None, False),
        (SimpleNamespace(_coordinator=None), False),  # made, and not started yet
        (SimpleNamespace(_coordinator=SimpleNamespace(coordinator_id=None)), False),
        (SimpleNamespace(_coordinator=SimpleNamespace(coordinator_id=1)), True),
    ],
)
def test_the_broker_is_known_once_the_coordinator_is(consumer: Any, known: bool) -> None:
    thread = BatchConsumerThread.__new__(BatchConsumerThread)
    thread._consumer = consumer
    assert thread.broker_known() == known
