"""What the national-sync consumer tells Prometheus, and the one endpoint of a process.

No label holds a personal or unbounded value: topics, partitions, outcomes and rule codes only.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from schemas.errors import SettingsError
from schemas.metrics import consuming


class ConsumeMetrics:
    """All metrics of the national-sync consumers of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(**consuming.RECORDS.arguments(), registry=registry)
        self._parked = Counter(**consuming.PARKED.arguments(), registry=registry)
        self._commits = Counter(**consuming.COMMITS.arguments(), registry=registry)
        self._lag = Gauge(**consuming.LAG.arguments(), registry=registry)
        self._work = Histogram(**consuming.WORK.arguments(), registry=registry)
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
