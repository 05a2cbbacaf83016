"""Panels of a dashboard as Grafana's JSON. What a metric means and its unit come from the catalogue."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.metrics import SERIES
from schemas.metrics.declaring import Metric

#: Grafana's names of units, by those of the catalogue; all others are counts.
UNITS: Mapping[str, str] = {
    "seconds": "s",
    "hours": "h",
    "share": "percentunit",
    "1 or 0": "bool_on_off",
    "seconds since 1970": "dateTimeFromNow",
}
#: Where the data come from; the reader chooses.
SOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${source}"}
WIDE = 24  #: columns of a dashboard

Kind = Literal["timeseries", "stat", "table", "bargauge", "state-timeline", "heatmap"]
Step = tuple[float | None, str]  #: from this value on, this colour; None: from below
GOOD_BAD: Sequence[Step] = ((None, "green"), (1, "red"))
BAD_GOOD: Sequence[Step] = ((None, "red"), (1, "green"))

_METRIC = re.compile(r"\b(?:lienthong|kafka)_[a-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One drawing: a title, and queries with what their lines are called."""

    title: str
    queries: Sequence[tuple[str, str]]  #: PromQL, and the legend with ``{{label}}``
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    unit: str | None = None  #: Grafana's; None: that of the first metric in the catalogue
    rate: bool = False  #: told by the second
    steps: Sequence[Step] = field(default_factory=tuple)
    stacked: bool = False

    @property
    def metrics(self) -> list[Metric]:
        """What the queries ask for, as the catalogue has it."""
        found = [name for query, _ in self.queries for name in _METRIC.findall(query)]
        return list(dict.fromkeys(SERIES[name] for name in found if name in SERIES))

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel at its place."""
        instant = self.kind in ("table", "bargauge", "stat")
        options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}}
        if instant:
            options = {"reduceOptions": {"calcs": ["lastNotNull"]}}
        if self.kind == "bargauge":
            options |= {"orientation": "horizontal", "displayMode": "gradient"}
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": "\n\n".join(f"`{one.name}`: {one.text}" for one in self.metrics),
            "datasource": dict(SOURCE),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": options,
            "targets": [
                {
                    "refId": chr(ord("A") + at),
                    "expr": query,
                    "legendFormat": legend,
                    "datasource": dict(SOURCE),
                    "instant": instant,
                    "range": not instant,
                    "format": {"table": "table", "heatmap": "heatmap"}.get(self.kind, "time_series"),
                }
                for at, (query, legend) in enumerate(self.queries)
            ],
        }

    def _defaults(self) -> dict[str, Any]:
        unit = self.unit or ("cps" if self.rate else UNITS.get(self.metrics[0].unit, "short"))
        told: dict[str, Any] = {"unit": unit, "min": 0}
        if unit == "bool_on_off":
            told["max"] = 1
        if self.steps:
            steps = [{"value": value, "color": colour} for value, colour in self.steps]
            told |= {"thresholds": {"mode": "absolute", "steps": steps}, "color": {"mode": "thresholds"}}
        if self.kind == "timeseries":
            told["custom"] = {
                "fillOpacity": 25 if self.stacked else 8,
                "stacking": {"mode": "normal" if self.stacked else "none"},
                # A gap is a gap: what was not told is not drawn.
                "spanNulls": False,
            }
        return told


def variable(name: str, label: str, query: str, *, every: bool = True) -> dict[str, Any]:
    """A choice at the top of a dashboard: the values of a label. ``every``: all of them may be chosen."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": dict(SOURCE),
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": every,
        "multi": every,
        "allValue": ".*" if every else None,
        "current": {"text": "All", "value": "$__all"} if every else {},
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A page of panels, laid out row by row from the left."""

    uid: str
    title: str
    variables: Sequence[dict[str, Any]]
    rows: Mapping[str, Sequence[Panel]]  #: by title of the row

    def json(self) -> dict[str, Any]:
        """The whole dashboard as Grafana imports it."""
        source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["lienthong"],
            "schemaVersion": 39,
            "timezone": "browser",
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "editable": True,
            "templating": {"list": [source, *self.variables]},
            "links": [
                {
                    "type": "dashboards",
                    "tags": ["lienthong"],
                    "title": "Liên thông",
                    "asDropdown": True,
                    "keepTime": True,
                    "includeVars": True,
                }
            ],
            "panels": list(self._laid_out()),
        }

    def _laid_out(self) -> Iterator[dict[str, Any]]:
        number = y = 0
        for title, panels in self.rows.items():
            number += 1
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": []} | {
                "gridPos": {"x": 0, "y": y, "w": WIDE, "h": 1}
            }
            y, x, height = y + 1, 0, 0
            for panel in panels:
                if x + panel.width > WIDE:
                    y, x, height = y + height, 0, 0
                number += 1
                yield panel.json(number, x, y)
                x, height = x + panel.width, max(height, panel.height)
            y += height
