"""Metrics of the national-sync consumer, and the endpoint that every process shares."""

import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from consumers.metrics import ConsumeMetrics, serve_metrics
from schemas.errors import SettingsError

TOPIC = "national.hotich.khaisinh.v1"


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"lienthong_consume_{name}", {"topic": TOPIC, **labels})


def test_a_finished_batch_is_counted_by_outcome_and_rule() -> None:
    registry = CollectorRegistry()
    metrics = ConsumeMetrics(registry)
    rules = ["bytes_truncated", "utf8_invalid", "bytes_truncated"]
    metrics.finished(TOPIC, delivered=7, stale=2, parked_by_rule=rules, committed=True, lag={0: 4})
    metrics.finished(TOPIC, delivered=1, stale=0, parked_by_rule=[], committed=False, lag={0: 3})
    metrics.finished(TOPIC, delivered=0, stale=0, parked_by_rule=[], committed=None, lag={0: 0})
    assert value(registry, "records_total", outcome="delivered") == 8
    assert value(registry, "records_total", outcome="stale") == 2
    assert value(registry, "records_total", outcome="parked") == 3
    assert value(registry, "parked_total", rule="bytes_truncated") == 2
    assert value(registry, "commits_total", outcome="committed") == 1
    assert value(registry, "commits_total", outcome="not_committed") == 1
    assert value(registry, "lag_offsets", partition="0") == 0


def test_the_lag_of_a_partition_that_moved_away_is_not_kept() -> None:
    registry = CollectorRegistry()
    metrics = ConsumeMetrics(registry)
    for lag in ({0: 4, 1: 9}, {0: 5}):
        metrics.finished(TOPIC, delivered=0, stale=0, parked_by_rule=[], committed=True, lag=lag)
    assert value(registry, "lag_offsets", partition="0") == 5
    assert value(registry, "lag_offsets", partition="1") is None


def test_the_endpoint_takes_a_free_port_and_tells_a_taken_one() -> None:
    registry = CollectorRegistry()
    ConsumeMetrics(registry).worked(TOPIC, 0.25)
    port = serve_metrics(registry, 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b"lienthong_consume_work_seconds_sum" in answer.read()
    with pytest.raises(SettingsError, match=f"LIENTHONG_METRICS_PORT: .* port {port}"):
        serve_metrics(registry, port)
