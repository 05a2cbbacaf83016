"""What the monitor tells Prometheus: the last observation, as long as it is a present one."""

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Lock

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from consumers.causes import Verdict
from consumers.observation import Observation
from consumers.states import STATES
from schemas.metrics import CATALOGUE, monitoring
from schemas.metrics.declaring import Metric

#: An older observation has no series at all. Two looks may fail to come in time before.
FRESH_SECONDS = 60.0


class MonitorMetrics(Collector):
    """Holds the last observation; every scrape is made from it."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._seen: Observation | None = None
        self._verdicts: dict[str, Verdict] = {}
        self._at = 0.0
        registry.register(self)

    def show(self, seen: Observation, verdicts: dict[str, Verdict]) -> None:
        """Take a new observation over, and the state of each of its datasets, by id."""
        with self._lock:
            self._seen, self._verdicts, self._at = seen, verdicts, self._clock()

    def describe(self) -> list[GaugeMetricFamily]:
        """The families without samples; the registry reads their names."""
        return [_family(one) for one in CATALOGUE if one.process == "monitor"]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What Prometheus reads."""
        with self._lock:
            seen, verdicts, age = self._seen, self._verdicts, self._clock() - self._at
        families = {one.name: one for one in self.describe()}
        if seen is not None and age <= FRESH_SECONDS:
            samples = _Samples(families)
            _targets(samples, seen)
            _datasets(samples, seen)
            _groups(samples, seen)
            _states(samples, seen, verdicts)
        yield from families.values()


def _family(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)


class _Samples:
    def __init__(self, families: dict[str, GaugeMetricFamily]) -> None:
        self._families = families

    def add(self, metric: Metric, labels: Sequence[str], value: float | None) -> None:
        """A sample, if its value is known."""
        if value is not None:
            self._families[metric.name].add_metric(labels, value)


def _targets(samples: _Samples, seen: Observation) -> None:
    for one in seen.targets:
        labels = (one.kind, one.name)
        samples.add(monitoring.UP, labels, int(one.up))
        samples.add(monitoring.ANSWER_SECONDS, labels, one.seconds)
        samples.add(monitoring.SKEW, labels, one.skew_seconds)
    for broker, used in seen.disks.items():
        samples.add(monitoring.DISK_USED, (broker,), used)
    samples.add(monitoring.BUSY, (), seen.store_busy_seconds)
    samples.add(monitoring.LOOK_SECONDS, (), seen.seconds)
    samples.add(monitoring.LOOKED_AT, (), seen.at.timestamp())


def _datasets(samples: _Samples, seen: Observation) -> None:
    for dataset in seen.datasets:
        mine = (dataset.system, dataset.dataset)
        samples.add(monitoring.PROMISE_SECONDS, mine, dataset.promise.seconds)
        samples.add(monitoring.PROMISE_SHARE, mine, dataset.promise.share)
        if dataset.outbox is not None:
            samples.add(monitoring.OUTBOX_WAITING, mine, dataset.outbox.waiting)
            samples.add(monitoring.OUTBOX_OLDEST, mine, dataset.outbox.oldest_seconds)
            samples.add(monitoring.OUTBOX_IN_PLACE, mine, int(dataset.outbox.in_place))
        if dataset.proof is not None:
            samples.add(monitoring.PROOF_AGE, mine, (seen.at - dataset.proof.at).total_seconds())
            samples.add(monitoring.PROOF_ROWS, mine, dataset.proof.rows)
            samples.add(monitoring.DRIFT, mine, dataset.proof.drift)
        for rule, count in (dataset.open_rejects or {}).items():
            samples.add(monitoring.OPEN_REJECTS, (*mine, rule), count)
        for hop in dataset.hops:
            for place in hop.places:
                labels = (*mine, hop.name, hop.topic, str(place.partition))
                samples.add(monitoring.HOP_LAG, labels, place.lag)
                samples.add(monitoring.HOP_LAG_SECONDS, labels, place.oldest_seconds)
                samples.add(monitoring.RETENTION_LEFT, labels, place.hours_left)
                samples.add(monitoring.LOST, labels, place.lost or None)


def _groups(samples: _Samples, seen: Observation) -> None:
    for group in seen.groups:
        if group.ours:
            samples.add(monitoring.WORKERS, (group.name,), group.members)
        for place in group.places:
            labels = (group.name, place.position.topic, str(place.position.partition))
            samples.add(monitoring.GROUP_OFFSET, labels, place.offset)
            samples.add(monitoring.GROUP_LAG, labels, place.lag)
            samples.add(monitoring.GROUP_LAG_SECONDS, labels, place.lag_seconds)
    for position, (begin, end) in seen.bounds.items():
        where = (position.topic, str(position.partition))
        samples.add(monitoring.TOPIC_BEGIN, where, begin)
        samples.add(monitoring.TOPIC_END, where, end)


def _states(samples: _Samples, seen: Observation, verdicts: dict[str, Verdict]) -> None:
    for system, index in seen.orphan_indices.items():
        samples.add(monitoring.ORPHAN, (system,), index)
    for dataset in seen.datasets:
        verdict = verdicts[dataset.id]
        for state in STATES:
            labels = (dataset.system, dataset.dataset, state)
            samples.add(monitoring.STATE, labels, int(state == verdict.state))
