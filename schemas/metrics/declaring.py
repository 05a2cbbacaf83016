"""How a metric is declared: name, kind, unit, labels, meaning; and how many series that makes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["relay", "worker", "consumer", "monitor"]


@dataclass(frozen=True, slots=True)
class Label:
    """One label: what its values are, and how many a province of 141 systems has of them."""

    meaning: str
    bound: int


LABELS: Mapping[str, Label] = {
    "system": Label("a provincial system, as its contracts name it; on top `national`: of no contract", 141),
    "dataset": Label("a dataset of the system; most have one; of `national`, each format", 1),
    "format": Label("full id of a national format; most datasets feed one", 1),
    "hop": Label("`translate` or `sync`", 2),
    "topic": Label("a Kafka topic of the contract library", 282),
    "partition": Label("a partition of the topic", 3),
    "consumergroup": Label("a Kafka group that reads the topic", 2),
    "rule": Label("a rule code of a refusal or doubt; few at a time", 5),
    "reason": Label("an error of Kafka, or a rule code; few at a time", 3),
    "op": Label("`c`, `u`, `d` or `r`, as in Debezium", 4),
    "step": Label("a step of the work on one batch", 4),
    "kind": Label("what kind of thing it is", 3),
    "outcome": Label("what became of it", 5),
    "target": Label("a broker, a store or an outbox by its name, never its address", 141),
    "state": Label("one of the states of `lienthong status`", 18),
    "kept": Label("`yes` or `no`", 2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of one kind of process."""

    name: str  #: as a query says it; a histogram's without ``_bucket``, ``_sum`` and ``_count``
    kind: Kind
    process: Process  #: who tells it
    unit: str  #: ``changes``, ``seconds``, …; ``1 or 0`` of what is or is not
    text: str  #: what it means
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()  #: of a histogram, without the last one that has no bound
    once: tuple[str, ...] = ()  #: labels whose value follows from the others, so that they add no series

    def __post_init__(self) -> None:
        strangers = sorted({*self.labels, *self.once} - set(LABELS))
        if strangers or not set(self.once) <= set(self.labels):
            raise ValueError(f"{self.name}: labels that nobody declared: {strangers or self.once}")
        if (self.kind == "counter") != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: a counter, and nothing else, ends in _total")
        if (self.kind == "histogram") != bool(self.buckets):
            raise ValueError(f"{self.name}: a histogram, and nothing else, has buckets")

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which a query finds it."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)

    @property
    def cardinality(self) -> int:
        """Series of a whole province at most: 141 systems of one dataset, three partitions a topic."""
        each = len(self.buckets) + 3 if self.kind == "histogram" else 1
        return each * prod(LABELS[name].bound for name in self.labels if name not in self.once)

    def arguments(self) -> dict[str, Any]:
        """What the Prometheus client's classes take, but for the registry."""
        told: dict[str, Any] = {"name": self.name, "documentation": self.text, "labelnames": self.labels}
        return told | ({"buckets": self.buckets} if self.buckets else {})


def declaring(process: Process) -> tuple[partial[Metric], partial[Metric], partial[Metric]]:
    """To declare counters, gauges and histograms of one process."""
    counter = partial(Metric, process=process, kind="counter")
    gauge = partial(Metric, process=process, kind="gauge")
    return counter, gauge, partial(Metric, process=process, kind="histogram")


def declared_in(names: Mapping[str, object]) -> Iterator[Metric]:
    """The metrics of a module, in the order in which they stand there."""
    return (value for value in names.values() if isinstance(value, Metric))


def page(catalogue: Sequence[Metric]) -> str:
    """``deploy/metrics.md``: all metrics, process by process, and their labels."""
    titles: dict[Process, str] = {
        "relay": "A relay (`lienthong capture run`)",
        "worker": "A worker (`lienthong road run`)",
        "consumer": "A national-sync consumer (`consumers.national`)",
        "monitor": "The monitor (`lienthong monitor run`)",
    }
    lines = [
        "# Metrics",
        "",
        "Made from `schemas/metrics` by `python -m schemas.metrics`; a test compares them. *Series* is",
        "the most that a whole province has: 141 systems of one dataset each, three partitions a topic. No",
        "label carries a personal value.",
    ]
    for process, title in titles.items():
        lines += ["", f"## {title}", "", "| metric | type | unit | labels | series | meaning |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        for one in catalogue:
            if one.process == process:
                labels = ", ".join(f"`{label}`" for label in one.labels) or "–"
                lines.append(
                    f"| `{one.name}` | {one.kind} | {one.unit} | {labels} | {one.cardinality} | {one.text} |"
                )
    lines += ["", "## Labels", "", "| label | values | at most |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {label.meaning} | {label.bound} |" for name, label in LABELS.items()]
    return "\n".join(lines) + "\n"
