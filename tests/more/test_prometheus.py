"""The rules by promtool, and the dashboards on a real Prometheus that reads every metric there is."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from deploy.grafana.dashboards import EVERY
from deploy.local.prometheus import RULES, PrometheusNode, write_targets
from schemas.metrics import CATALOGUE
from schemas.metrics.declaring import Metric
from tests.more.debian import unpacked
from tests.road import wait_for

pytestmark = pytest.mark.timeout(900)  # a first run fetches Prometheus

#: A value of every label, as the programs would give it.
LABELS = {
    "system": "hotich_thu", "dataset": "so", "format": "thu.so.v1", "hop": "sync", "partition": "0",
    "topic": "national.thu.so.v1", "consumergroup": "lienthong-sync", "rule": "code_unknown", "op": "u",
    "reason": "MessageSizeTooLarge", "step": "commit", "outcome": "mended",
    "target": "store", "state": "healthy",
}  # fmt: skip
#: Labels of which a query asks for several values.
SEVERAL = {
    "kept": ("yes", "no"),
    "state": ("healthy", "store_slow"),
    "kind": ("broker", "store", "outbox"),
}


@pytest.fixture(scope="module")
def programs() -> Path:
    return unpacked("prometheus", "usr/bin/promtool") / "usr/bin"


def promtool(programs: Path, *arguments: str) -> None:
    done = subprocess.run(
        [programs / "promtool", *arguments], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_settings_can_be_read(programs: Path) -> None:
    promtool(programs, "check", "rules", *(path.name for path in RULES.glob("*.rules.yml")))
    promtool(programs, "check", "config", "prometheus.yml")


def test_every_alert_fires_for_its_cause_and_alone(programs: Path) -> None:
    promtool(programs, "test", "rules", "alerts.tests.yml")


def labels_of(metric: Metric) -> Iterator[dict[str, str]]:
    several = next((name for name in metric.labels if name in SEVERAL), None)
    for value in SEVERAL[several] if several else ("",):
        yield {name: value if name == several else LABELS[name] for name in metric.labels}


class Everything:
    """Every metric of the catalogue, with made-up figures that grow."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
        self._made = [(one, kinds[one.kind](**one.arguments(), registry=self.registry)) for one in CATALOGUE]
        self.grow()

    def grow(self) -> None:
        for metric, made in self._made:
            for labels in labels_of(metric):
                one: Any = made.labels(**labels) if labels else made
                if metric.kind == "gauge":
                    one.set(1)
                elif metric.kind == "counter":
                    one.inc(3)
                else:
                    one.observe(metric.buckets[1])


@pytest.fixture(scope="module")
def prometheus(
    programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrometheusNode, Everything]]:
    everything = Everything()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=everything.registry)
    node = PrometheusNode(tmp_path_factory.mktemp("prometheus"), programs / "prometheus")
    try:
        node.start()
        jobs = ("lienthong-road", "lienthong-monitor", "lienthong-capture")
        write_targets(node.targets, "all", {job: [f"127.0.0.1:{server.server_port}"] for job in jobs})
        yield node, everything
    finally:
        node.stop()
        server.shutdown()
        server.server_close()
        thread.join()


def asked(node: PrometheusNode, query: str) -> list[Any]:
    """What Prometheus answers to a query of a dashboard, with all that can be chosen chosen."""
    for name, value in {
        "$__rate_interval": "1m",
        "$system": ".*",
        "$dataset": ".*",
        "$instance": ".*",
    }.items():
        query = query.replace(name, value)
    address = f"{node.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(address, timeout=120) as answer:
        told = json.load(answer)
    assert told["status"] == "success", query
    found: list[Any] = told["data"]["result"]
    return found


def test_every_query_of_the_dashboards_finds_something(
    prometheus: tuple[PrometheusNode, Everything],
) -> None:
    node, everything = prometheus
    queries = {
        query: f"{name}: {panel.title}"
        for name, dashboard in EVERY.items()
        for panels in dashboard.rows.values()
        for panel in panels
        for query, _ in panel.queries
    }

    def empty() -> list[str]:
        everything.grow()
        return [title for query, title in queries.items() if not asked(node, query)]

    # The recorded burn rates need two evaluations.
    wait_for("something for every panel", lambda: not empty(), seconds=300, every=1)


def test_a_program_that_is_named_later_is_read_too(prometheus: tuple[PrometheusNode, Everything]) -> None:
    node, _ = prometheus
    write_targets(node.targets, "more", {"lienthong-consumer": ["127.0.0.1:1"]})
    there = 'up{job="lienthong-consumer"} == 0'
    wait_for("the new target", lambda: asked(node, there), seconds=300, every=1)
