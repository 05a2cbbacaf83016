"""Whether anybody listens where the broker should be, and what is said when it does not answer."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from schemas.brokers import addresses
from schemas.errors import TryAgain

_NEXT_STEP = "check that the broker runs and that LIENTHONG_BROKER names it"


def require_listener(brokers: str, *, timeout_seconds: float = 5.0) -> None:
    """Return if one of the bootstrap servers (``host:port`` separated by commas) accepts a connection.

    kafka-python keeps its sockets and its thread when it finds no broker, so it is asked only after this.

    Raises ``TryAgain`` if none does, ``SettingsError`` if the text is no list of addresses.
    """
    for host, port in addresses(brokers):
        try:
            with closing(socket.create_connection((host, port), timeout=timeout_seconds)):
                return
        except OSError:
            continue
    raise TryAgain(f"no broker listens on {brokers}", next_step=_NEXT_STEP)


@contextmanager
def told(brokers: str) -> Iterator[None]:
    """Turn an error of Kafka into ``TryAgain``, without its text, which may name thousands of partitions."""
    from kafka.errors import KafkaError  # it loads all of kafka-python, which a worker has no use for

    try:
        yield
    except KafkaError as problem:
        raise TryAgain(
            f"no answer from the broker {brokers} ({type(problem).__name__})", next_step=_NEXT_STEP
        ) from problem
