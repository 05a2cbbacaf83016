"""What the national-sync consumer tells Prometheus, and the one endpoint of a process.

No label holds a personal or unbounded value: topics, partitions, outcomes and rule codes only.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from schemas.errors import SettingsError


class ConsumeMetrics:
    """All metrics of the national-sync consumers of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "lienthong_consume_records_total",
            "National records of finished batches: delivered to the caller, stale (kept back), or parked.",
            ["topic", "outcome"],
            registry=registry,
        )
        self._parked = Counter(
            "lienthong_consume_parked_total",
            "National records written to the park file, by rule.",
            ["topic", "rule"],
            registry=registry,
        )
        self._commits = Counter(
            "lienthong_consume_commits_total",
            "Batches finished: committed, or not (partitions moved or broker away; they may come again).",
            ["topic", "outcome"],
            registry=registry,
        )
        self._lag = Gauge(
            "lienthong_consume_lag_offsets",
            "Offsets between what was fetched and the end of the partition, as last heard from the broker.",
            ["topic", "partition"],
            registry=registry,
        )
        self._work = Histogram(
            "lienthong_consume_work_seconds",
            "Time the caller worked on one batch. Above longest_work_seconds it loses its partitions.",
            ["topic"],
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300),
            registry=registry,
        )
        self._partitions: dict[str, set[int]] = {}

    def worked(self, topic: str, seconds: float) -> None:
        self._work.labels(topic).observe(seconds)

    def finished(
        self,
        topic: str,
        *,
        delivered: int,
        stale: int,
        parked_by_rule: Iterable[str],
        committed: bool | None,
        lag: Mapping[int, int],
    ) -> None:
        """Count one finished batch.

        ``committed``: None if there was nothing to commit. ``lag``: by partition held now, in offsets.
        """
        rules = list(parked_by_rule)
        for outcome, count in (("delivered", delivered), ("stale", stale), ("parked", len(rules))):
            self._records.labels(topic, outcome).inc(count)
        for rule in rules:
            self._parked.labels(topic, rule).inc()
        if committed is not None:
            self._commits.labels(topic, "committed" if committed else "not_committed").inc()
        for partition, offsets in lag.items():
            self._lag.labels(topic, str(partition)).set(offsets)
        # A partition that another member reads now must not keep our last figure for ever.
        for partition in self._partitions.get(topic, set()) - set(lag):
            self._lag.remove(topic, str(partition))
        self._partitions[topic] = set(lag)


def serve_metrics(registry: CollectorRegistry, port: int) -> int:
    """Serve ``registry`` on the loopback address, in a daemon thread, and return its port (0: a free one).

    Raises ``SettingsError`` if the port is taken or not allowed.
    """
    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as problem:
        raise SettingsError(
            f"LIENTHONG_METRICS_PORT: cannot listen on 127.0.0.1 port {port}: {problem}",
            next_step="choose another port, or 0 for a free one",
        ) from problem
    return int(server.server_port)
