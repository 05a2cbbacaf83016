"""All metrics of a relay, declared once; the registry is passed in.

Labels are systems, datasets, operations, steps and rules: their number is bounded, and none carries a
personal value.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from producers.outbox import State
from schemas.errors import SettingsError

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60)
_RECORDS = (1, 3, 10, 30, 100, 300, 1000, 3000)
_DATASET = ["system", "dataset"]


class CaptureMetrics:
    """One object holds them all, so that a test can have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.leading = Gauge(
            "lienthong_capture_leading",
            "1 while this process is the one relay of its database, 0 while it waits for another one.",
            registry=registry,
        )
        self.up = Gauge(
            "lienthong_capture_up",
            "1 while broker and database answer, 0 while the relay waits for one of them.",
            registry=registry,
        )
        self.waits = Counter(
            "lienthong_capture_waits",
            "Times the relay began anew because the broker or the database did not answer.",
            registry=registry,
        )
        self.published = Counter(
            "lienthong_capture_published",
            "Changes that the broker has acknowledged. After a crash some are published, and counted, again.",
            [*_DATASET, "op"],
            registry=registry,
        )
        self.errors = Counter(
            "lienthong_capture_publish_errors",
            "Changes not acknowledged, by what Kafka or the contract said; they stay in the outbox.",
            [*_DATASET, "reason"],
            registry=registry,
        )
        self.waiting = Gauge(
            "lienthong_capture_outbox_waiting",
            "Changes in the outbox that are not acknowledged yet.",
            _DATASET,
            registry=registry,
        )
        self.oldest = Gauge(
            "lienthong_capture_oldest_waiting_seconds",
            "Age of the oldest of them; 0 when none waits.",
            _DATASET,
            registry=registry,
        )
        self.parked = Gauge(
            "lienthong_capture_parked",
            "Changes that cannot be published as they are, and later ones of the same keys behind them.",
            _DATASET,
            registry=registry,
        )
        self.in_place = Gauge(
            "lienthong_capture_triggers_in_place",
            "1 while all triggers of the dataset are there; 0 means that changes are being missed.",
            _DATASET,
            registry=registry,
        )
        self.next_seq = Gauge(
            "lienthong_capture_next_seq", "The next number of the dataset.", _DATASET, registry=registry
        )
        self.batch = Histogram(
            "lienthong_capture_batch_records",
            "Changes published at once.",
            buckets=_RECORDS,
            registry=registry,
        )
        self.steps = Histogram(
            "lienthong_capture_step_seconds",
            "Seconds of one batch in one step: number, encode, publish, mark.",
            ["step"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.delay = Histogram(
            "lienthong_capture_delay_seconds",
            "From the change in the agency's database to the broker's acknowledgement, by two clocks.",
            _DATASET,
            buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 300, 3600),
            registry=registry,
        )

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
