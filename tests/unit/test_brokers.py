"""The setting LIENTHONG_BROKER, as each room that speaks to Kafka takes it."""

import socket
from collections.abc import Callable

import pytest

from consumers import brokers as road
from producers import publisher as capture
from schemas.errors import SettingsError, TryAgain

both_rooms = pytest.mark.parametrize("require_listener", [road.require_listener, capture.require_listener])


@both_rooms
@pytest.mark.parametrize(
    "brokers",
    [
        "127.0.0.1:",
        ":9092",
        "host:port",
        "h:70000",
        "h:0",
        f"h:{9:0<5000}",
        "a:b:c",
        ",",
        "kafka..vn:9092",
        "no address",
    ],
)
def test_an_address_that_is_none_is_told_by_the_settings_name(
    require_listener: Callable[[str], None], brokers: str
) -> None:
    with pytest.raises(SettingsError, match="LIENTHONG_BROKER"):
        require_listener(brokers)


@both_rooms
def test_one_listening_broker_of_several_is_enough(require_listener: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        require_listener(f"127.0.0.1:1, 127.0.0.1:{server.getsockname()[1]}")


@both_rooms
def test_where_nobody_listens_it_is_tried_again(require_listener: Callable[[str], None]) -> None:
    with pytest.raises(TryAgain, match=r"no broker listens on 127\.0\.0\.1:1"):
        require_listener("127.0.0.1:1")
