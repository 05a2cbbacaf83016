"""All metrics of a road worker, as ``schemas.metrics`` declares them; the registry is passed in.

Labels are systems, datasets, formats, hops, rules, topics and partitions: all from the contract
library, so their number is bounded and none carries a personal value.
"""

from collections.abc import Iterator, Mapping
from threading import Lock

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from consumers.store import Position
from schemas.contracts import Promise
from schemas.metrics import working
from schemas.metrics.declaring import Metric


class EventTime(Collector):
    """A histogram that takes a whole column at once: every record counts, none costs a Python call."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._metric = metric
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._lock = Lock()
        registry.register(self)

    def observe(self, labels: tuple[str, ...], seconds: npt.NDArray[np.float64]) -> None:
        """Count a column of seconds."""
        bounds = self._metric.buckets
        places = np.searchsorted(bounds, seconds, side="left")  # a bound is in its own bucket
        counts = np.bincount(places, minlength=len(bounds) + 1).cumsum().tolist()
        with self._lock:
            mine = self._counts.setdefault(labels, [0] * len(counts))
            self._counts[labels] = [old + new for old, new in zip(mine, counts, strict=True)]
            self._sums[labels] = self._sums.get(labels, 0.0) + float(seconds.sum())

    def describe(self) -> list[HistogramMetricFamily]:
        """The family without samples; the registry reads its name."""
        return [HistogramMetricFamily(self._metric.name, self._metric.text, labels=self._metric.labels)]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus reads."""
        (family,) = self.describe()
        bounds = [str(float(bound)) for bound in self._metric.buckets] + ["+Inf"]
        with self._lock:
            for labels, counts in self._counts.items():
                buckets = list(zip(bounds, counts, strict=True))
                family.add_metric(labels, buckets, sum_value=self._sums[labels])
        yield family


class ByPartition(Collector):
    """A gauge for every partition held, all of them told at once; those not told any more are gone."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._metric = metric
        self._values: Mapping[Position, float] = {}
        registry.register(self)

    def tell(self, values: Mapping[Position, float]) -> None:
        """The values by topic and partition, from now on; the mapping must not change any more."""
        self._values = values

    def describe(self) -> list[GaugeMetricFamily]:
        """The family without samples; the registry reads its name."""
        return [GaugeMetricFamily(self._metric.name, self._metric.text, labels=self._metric.labels)]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What Prometheus reads."""
        (family,) = self.describe()
        for (topic, partition), value in self._values.items():
            family.add_metric([topic, str(partition)], value)
        yield family


class RoadMetrics:
    """One object holds them all, so that a test can have its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.changes_in = Counter(**working.CHANGES_IN.arguments(), registry=registry)
        self.translated = Counter(**working.TRANSLATED.arguments(), registry=registry)
        self.warned = Counter(**working.WARNED.arguments(), registry=registry)
        self.rejected = Counter(**working.REJECTED.arguments(), registry=registry)
        self.parked = Counter(**working.PARKED.arguments(), registry=registry)
        self.blocked = Gauge(**working.BLOCKED.arguments(), registry=registry)
        self.missing = Gauge(**working.MISSING.arguments(), registry=registry)
        self.breaker = Gauge(**working.BREAKER.arguments(), registry=registry)
        self.mended = Counter(**working.MENDED.arguments(), registry=registry)
        self.applied = Counter(**working.APPLIED.arguments(), registry=registry)
        self.stale = Counter(**working.STALE.arguments(), registry=registry)
        self.duplicate = Counter(**working.DUPLICATE.arguments(), registry=registry)
        self.answers = Counter(**working.ANSWERS.arguments(), registry=registry)
        self.sealed = Counter(**working.SEALED.arguments(), registry=registry)
        self.unsealed_seconds = Gauge(**working.UNSEALED_SECONDS.arguments(), registry=registry)
        self.fenced = Counter(**working.FENCED.arguments(), registry=registry)
        self.waits = Counter(**working.WAITS.arguments(), registry=registry)
        self.batch_records = Histogram(**working.BATCH.arguments(), registry=registry)
        self.step_seconds = Histogram(**working.STEPS.arguments(), registry=registry)
        self.end_to_end = EventTime(working.END_TO_END, registry)
        self.promised = Counter(**working.PROMISED.arguments(), registry=registry)
        self.lag = ByPartition(working.LAG, registry)
        self.lag_seconds = ByPartition(working.LAG_SECONDS, registry)
        self.partitions_held = Gauge(**working.HELD.arguments(), registry=registry)
        self.partitions_halted = Gauge(**working.HALTED.arguments(), registry=registry)
        self.claim_failures = Gauge(**working.CLAIM_FAILURES.arguments(), registry=registry)
        self.broker_up = Gauge(**working.BROKER_UP.arguments(), registry=registry)
        self.store_up = Gauge(**working.STORE_UP.arguments(), registry=registry)
        self.library_changed = Gauge(**working.LIBRARY_CHANGED.arguments(), registry=registry)

    def in_store(
        self, dataset: tuple[str, str], full_id: str, seconds: npt.NDArray[np.float64], promise: Promise
    ) -> None:
        """Records of one dataset are in the store, so many seconds after their changes."""
        self.end_to_end.observe((*dataset, full_id), seconds)
        kept = int((seconds <= promise.seconds).sum())
        self.promised.labels(*dataset, "yes").inc(kept)
        self.promised.labels(*dataset, "no").inc(len(seconds) - kept)

    def lot(self, hop: str, records: int, seconds: float) -> None:
        """One lot was prepared."""
        self.batch_records.labels(hop).observe(records)
        self.step_seconds.labels(hop, "prepare").observe(seconds)

    def step(self, hop: str, step: str, seconds: float) -> None:
        """One step of a lot is done."""
        self.step_seconds.labels(hop, step).observe(seconds)
