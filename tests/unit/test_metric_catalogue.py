"""The catalogue is the one place of all metrics: processes make what it declares, its page tells the same."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from consumers.metrics import ConsumeMetrics
from producers.metrics import CaptureMetrics
from schemas.contracts import Promise
from schemas.metrics import CATALOGUE, SERIES
from schemas.metrics.declaring import LABELS, Metric, Process, page
from streams.metrics import RoadMetrics

ROOT = Path(__file__).parents[2]


def made(registry: CollectorRegistry) -> dict[str, tuple[str, str]]:
    """Name, as a query says it, to kind and text, of all that a process makes."""
    families = registry.collect()
    return {
        f"{one.name}_total" if one.type == "counter" else one.name: (one.type, one.documentation)
        for one in families
    }


@pytest.mark.parametrize(
    ("process", "metrics"),
    [("relay", CaptureMetrics), ("worker", RoadMetrics), ("consumer", ConsumeMetrics)],
)
def test_a_process_makes_exactly_what_is_declared_for_it(
    process: Process, metrics: type[CaptureMetrics | RoadMetrics | ConsumeMetrics]
) -> None:
    registry = CollectorRegistry()
    metrics(registry)
    declared = {one.name: (one.kind, one.text) for one in CATALOGUE if one.process == process}
    assert made(registry) == declared


def test_no_series_has_two_metrics_and_every_label_is_used() -> None:
    assert len(SERIES) == sum(len(one.series) for one in CATALOGUE)
    assert {label for one in CATALOGUE for label in one.labels} == set(LABELS)


def test_the_page_is_made_from_the_catalogue() -> None:
    assert (ROOT / "deploy/metrics.md").read_text() == page(CATALOGUE), (
        "run: python -m schemas.metrics > deploy/metrics.md"
    )


def test_a_label_that_follows_from_others_makes_no_series() -> None:
    one = SERIES["lienthong_hop_lag_changes"]
    assert one.once == ("topic",)
    assert one.cardinality == 141 * 2 * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "made", "kind": "counter"},
        {"name": "made_total", "kind": "gauge"},
        {"name": "made_seconds", "kind": "histogram"},
        {"name": "made", "kind": "gauge", "labels": ("nobody_declared_it",)},
    ],
)
def test_a_metric_that_breaks_the_custom_of_prometheus_cannot_be_declared(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="made"):
        Metric(process="worker", unit="changes", text="Made.", **wrong)  # type: ignore[arg-type]


def test_what_is_in_the_store_is_counted_by_dataset_and_by_promise() -> None:
    registry = CollectorRegistry()
    metrics = RoadMetrics(registry)
    place = {"system": "ho_tich", "dataset": "khai_sinh"}
    seconds = np.array([0.5, 60.0, 61.0])
    for _ in range(2):
        metrics.in_store(("ho_tich", "khai_sinh"), "hotich.khaisinh.v1", seconds, Promise())
    metrics.in_store(("ho_tich", "ket_hon"), "hotich.kethon.v1", seconds, Promise(seconds=0.4, share=0.9))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"lienthong_{name}", place | labels)

    end_to_end = {"format": "hotich.khaisinh.v1"}
    assert value("end_to_end_seconds_bucket", le="60.0", **end_to_end) == 4
    assert value("end_to_end_seconds_bucket", le="300.0", **end_to_end) == 6
    assert value("end_to_end_seconds_count", **end_to_end) == 6
    assert value("promise_changes_total", kept="yes") == 4
    assert value("promise_changes_total", kept="no") == 2
    place["dataset"] = "ket_hon"
    assert value("promise_changes_total", kept="yes") == 0
    assert value("promise_changes_total", kept="no") == 3
