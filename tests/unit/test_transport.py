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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, 7),
        ({"consumer": None}, None),
        ({"subscription": None}, None),
        ({"need_rejoin": True}, None),
        ({"coordinator_id": None}, None),
        ({"generation": -1, "known": -1}, None),  # both of nobody that ever joined
        ({"known": 6}, None),  # Faust has not taken the new assignment yet
        ({"rebalancing": True}, None),
    ],
)
def test_a_generation_is_told_only_by_a_settled_member(change: dict[str, Any], told: int | None) -> None:
    """Whatever is told here may be claimed with: in doubt nobody claims, and nobody reads."""
    state = {"subscription": object(), "need_rejoin": False, "coordinator_id": 1, "generation": 7}
    state |= {"known": 7, "rebalancing": False} | change
    coordinator = SimpleNamespace(
        need_rejoin=lambda _subscription: state["need_rejoin"],
        coordinator_id=state["coordinator_id"],
        generation=state["generation"],
    )
    subscription = SimpleNamespace(subscription=state["subscription"])
    consumer = SimpleNamespace(_coordinator=coordinator, _subscription=subscription)
    thread: Any = BatchConsumerThread.__new__(BatchConsumerThread)
    thread._consumer = state.get("consumer", consumer)
    thread.app = SimpleNamespace(consumer_generation_id=state["known"], rebalancing=state["rebalancing"])
    assert thread.generation() == told
