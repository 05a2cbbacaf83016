"""All metrics of a relay, as ``schemas.metrics`` declares them; the registry is passed in.

Labels are systems, datasets, operations, steps and rules: their number is bounded, and none carries a
personal value.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from producers.outbox import State
from schemas.errors import SettingsError
from schemas.metrics import relaying


class CaptureMetrics:
    """One object holds them all, so that a test can have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leading = Gauge(**relaying.LEADING.arguments(), registry=registry)
        self.up = Gauge(**relaying.UP.arguments(), registry=registry)
        self.waits = Counter(**relaying.WAITS.arguments(), registry=registry)
        self.published = Counter(**relaying.PUBLISHED.arguments(), registry=registry)
        self.errors = Counter(**relaying.ERRORS.arguments(), registry=registry)
        self.waiting = Gauge(**relaying.WAITING.arguments(), registry=registry)
        self.oldest = Gauge(**relaying.OLDEST.arguments(), registry=registry)
        self.parked = Gauge(**relaying.PARKED.arguments(), registry=registry)
        self.in_place = Gauge(**relaying.IN_PLACE.arguments(), registry=registry)
        self.next_seq = Gauge(**relaying.NEXT_SEQ.arguments(), registry=registry)
        self.batch = Histogram(**relaying.BATCH.arguments(), registry=registry)
        self.steps = Histogram(**relaying.STEPS.arguments(), registry=registry)
        self.delay = Histogram(**relaying.DELAY.arguments(), registry=registry)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        begun = perf_counter()
        yield
        self.steps.labels(name).observe(perf_counter() - begun)

    def observe(self, states: Iterable[State]) -> None:
        """Take over where each dataset stands."""
        for state in states:
            labels = state.capture.dataset.split("/", 1)
            self.waiting.labels(*labels).set(state.waiting)
            self.oldest.labels(*labels).set(state.oldest_seconds)
            self.next_seq.labels(*labels).set(state.next_seq)
            if state.captured:
                self.in_place.labels(*labels).set(state.in_place)


def serve_metrics(registry: CollectorRegistry, port: int) -> int:
    """Serve the registry on the loopback address, in a daemon thread, and return its port (0: a free one).

    Raises ``SettingsError`` if the port is taken or not allowed.
    """
    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as problem:
        raise SettingsError(
            f"LIENTHONG_METRICS_PORT: cannot listen on 127.0.0.1 port {port}",
            next_step="choose another port, or 0 for a free one",
        ) from problem
    return int(server.server_port)
