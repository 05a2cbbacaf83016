"""All metrics of a road worker, declared once; the registry is passed in.

Labels are systems, datasets, formats, hops, rules, topics and partitions: all from the contract
library, so their number is bounded and none carries a personal value.
"""

from collections.abc import Iterator
from threading import Lock

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)
RECORDS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


class EventTime(Collector):
    """A histogram that takes a whole column at once: every record counts, none costs a Python call."""

    def __init__(self, name: str, text: str, label: str, registry: CollectorRegistry) -> None:
        self._name, self._text, self._label = name, text, label
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        self._lock = Lock()
        registry.register(self)

    def observe(self, label: str, seconds: pl.Series) -> None:
        """Count a column of seconds."""
        places = np.searchsorted(SECONDS, seconds.to_numpy(), side="left")  # a bound is in its own bucket
        counts = np.bincount(places, minlength=len(SECONDS) + 1).cumsum().tolist()
        with self._lock:
            mine = self._counts.setdefault(label, [0] * len(counts))
            self._counts[label] = [old + new for old, new in zip(mine, counts, strict=True)]
            self._sums[label] = self._sums.get(label, 0.0) + float(seconds.sum())

    def describe(self) -> list[HistogramMetricFamily]:
        """The family without samples; the registry reads its name."""
        return [HistogramMetricFamily(self._name, self._text, labels=[self._label])]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus reads."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label])
        bounds = [str(float(bound)) for bound in SECONDS] + ["+Inf"]
        with self._lock:
            for label, counts in self._counts.items():
                buckets = list(zip(bounds, counts, strict=True))
                family.add_metric([label], buckets, sum_value=self._sums[label])
        yield family


class RoadMetrics:
    """One object holds them all, so that a test can have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.changes_in = Counter(
            "lienthong_changes_in",
            "Change events read from the province topics.",
            ["system", "dataset"],
            registry=registry,
        )
        self.translated = Counter(
            "lienthong_translated",
            "National records published.",
            ["system", "dataset", "format"],
            registry=registry,
        )
        self.warned = Counter(
            "lienthong_warnings",
            "Doubts found while translating; the record went on.",
            ["system", "dataset", "rule"],
            registry=registry,
        )
        self.rejected = Counter(
            "lienthong_rejected",
            "Changes refused, by rule.",
            ["system", "dataset", "rule"],
            registry=registry,
        )
        self.parked = Counter(
            "lienthong_parked",
            "Changes that wait behind a reject of their record.",
            ["system", "dataset"],
            registry=registry,
        )
        self.blocked = Gauge(
            "lienthong_blocked_records",
            "Records whose changes wait for a reject to be mended, in the partitions of this worker.",
            ["system", "dataset"],
            registry=registry,
        )
        self.missing = Gauge(
            "lienthong_missing_changes",
            "Numbers of a source that never arrived, though higher ones did long ago.",
            ["system", "dataset"],
            registry=registry,
        )
        self.breaker = Gauge(
            "lienthong_breaker_open",
            "1 while a source is paused for a flood of rejects.",
            ["system", "dataset"],
            registry=registry,
        )
        self.mended = Counter(
            "lienthong_repairs",
            "Rejects worked on, by what became of them: mended, dropped, superseded, again (refused once"
            " more), partly (more waits than is drained at a time).",
            ["system", "dataset", "outcome"],
            registry=registry,
        )
        self.applied = Counter(
            "lienthong_applied", "National records applied to the store.", ["format"], registry=registry
        )
        self.stale = Counter(
            "lienthong_stale",
            "National records older than the store's row; they changed nothing.",
            ["format"],
            registry=registry,
        )
        self.duplicate = Counter(
            "lienthong_duplicate",
            "National records delivered again; they changed nothing.",
            ["format"],
            registry=registry,
        )
        self.answers = Counter(
            "lienthong_answers_published",
            "Receipts and rejects published to Kafka.",
            ["kind"],
            registry=registry,
        )
        self.fenced = Counter(
            "lienthong_fenced_batches",
            "Batches dropped because another claim owns the partition.",
            ["hop"],
            registry=registry,
        )
        self.waits = Counter(
            "lienthong_waits", "Times a hop waited for the broker or the store.", ["hop"], registry=registry
        )
        self.batch_records = Histogram(
            "lienthong_batch_records", "Records in one lot.", ["hop"], buckets=RECORDS, registry=registry
        )
        self.step_seconds = Histogram(
            "lienthong_step_seconds",
            "Seconds a lot spends in one step (prepare, publish, commit).",
            ["hop", "step"],
            buckets=SECONDS,
            registry=registry,
        )
        self.end_to_end = EventTime(
            "lienthong_end_to_end_seconds",
            "Change at the source to our commit. Includes clock skew, which doctor checks.",
            "format",
            registry,
        )
        self.lag = Gauge(
            "lienthong_lag_records",
            "Records after the ledger's offset.",
            ["topic", "partition"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "lienthong_lag_seconds",
            "Age of the oldest record read and not yet in the ledger; 0 when none waits.",
            ["topic", "partition"],
            registry=registry,
        )
        self.partitions_held = Gauge(
            "lienthong_partitions_held", "Partitions this worker may write.", registry=registry
        )
        self.partitions_halted = Gauge(
            "lienthong_partitions_halted",
            "Partitions stopped because unread records are gone.",
            registry=registry,
        )
        self.claim_failures = Gauge(
            "lienthong_claim_failures", "Claims of partitions that failed since the start.", registry=registry
        )
        self.broker_up = Gauge(
            "lienthong_broker_up", "1 while the group's coordinator answers.", registry=registry
        )
        self.store_up = Gauge(
            "lienthong_store_up", "1 while no hop waits for the store or the broker.", registry=registry
        )

    def lot(self, hop: str, records: int, seconds: float) -> None:
        """One lot was prepared."""
        self.batch_records.labels(hop).observe(records)
        self.step_seconds.labels(hop, "prepare").observe(seconds)

    def step(self, hop: str, step: str, seconds: float) -> None:
        """One step of a lot is done."""
        self.step_seconds.labels(hop, step).observe(seconds)
