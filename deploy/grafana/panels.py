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
    "hours": "suffix:giờ",
    "share": "percentunit",
    "seconds since 1970": "dateTimeFromNow",
}
#: What values of labels are called in a legend.
CALLED: Mapping[str, Mapping[str, str]] = {
    "hop": {"translate": "chuyển đổi", "sync": "ghi vào kho"},
    "op": {"c": "thêm", "u": "sửa", "d": "xóa", "r": "bản chụp đầu"},
    "step": {"prepare": "chuẩn bị", "publish": "gửi"},
    "outcome": {
        "mended": "đã sửa",
        "dropped": "bỏ",
        "superseded": "có bản mới hơn",
        "again": "lại bị từ chối",
        "partly": "một phần",
    },
}
#: Where the data come from; the reader chooses.
SOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${source}"}
WIDE = 24  #: columns of a dashboard

Kind = Literal["timeseries", "stat", "table", "bargauge", "state-timeline", "heatmap"]
Step = tuple[float | None, str]  #: from this value on, this colour; None: from below
GOOD_BAD: Sequence[Step] = ((None, "green"), (1, "red"))
BAD_GOOD: Sequence[Step] = ((None, "red"), (1, "green"))
#: Else Grafana makes every figure red from 80 on.
PLAIN: Sequence[Step] = ((None, "text"),)
#: What a value is called, and its colour.
Words = Mapping[int, tuple[str, str]]
ANSWERS: Words = {0: ("không trả lời", "red"), 1: ("trả lời", "green")}

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
    words: Words = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)  #: of a table: titles, by label or ``Value``
    stacked: bool = False
    highest: float | None = None  #: the scale ends here
    reaches: float = 1  #: the scale goes at least so far: zeros alone would be drawn on one to 100
    nothing: str | None = None  #: said where nothing is found; true also while nobody tells anything

    @property
    def metrics(self) -> list[Metric]:
        """What the queries ask for, as the catalogue has it."""
        found = [name for query, _ in self.queries for name in _METRIC.findall(query)]
        return list(dict.fromkeys(SERIES[name] for name in found if name in SERIES))

    def json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel at its place."""
        instant = self.kind in ("table", "bargauge", "stat")
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": "\n\n".join(f"`{one.name}`: {one.text}" for one in self.metrics),
            "datasource": dict(SOURCE),
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
            "transformations": [*self._columns(), *self._renamings()],
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

    def _options(self) -> dict[str, Any]:
        if self.kind == "table":
            return {"showHeader": True, "sortBy": [{"displayName": self.columns["Value"], "desc": False}]}
        if self.kind == "bargauge":
            reduced = {"reduceOptions": {"calcs": ["lastNotNull"]}}
            return reduced | {"orientation": "horizontal", "displayMode": "gradient"}
        if self.kind == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "none"}
        return {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"}}

    def _columns(self) -> Iterator[dict[str, Any]]:
        if self.kind == "table":
            order = {name: at for at, name in enumerate(self.columns)}
            told = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": dict(self.columns)}
            yield {"id": "organize", "options": told}

    def _renamings(self) -> Iterator[dict[str, Any]]:
        legends = " ".join(legend for _, legend in self.queries)
        for label, words in CALLED.items():
            for value, word in words.items() if f"{{{{{label}}}}}" in legends else ():
                # A word ends at a blank or a colon: to a regular expression, "ọ" is no letter.
                regex = f"/(?<=^| ){value}(?=$|[ :])/"
                yield {"id": "renameByRegex", "options": {"regex": regex, "renamePattern": word}}

    def _overrides(self) -> list[dict[str, Any]]:
        if self.kind != "table":
            return []
        coloured = {"id": "custom.cellOptions", "value": {"type": "color-text"}}
        return [{"matcher": {"id": "byName", "options": self.columns["Value"]}, "properties": [coloured]}]

    def _defaults(self) -> dict[str, Any]:
        unit = self.unit or ("suffix:/giây" if self.rate else UNITS.get(self.metrics[0].unit, "short"))
        if unit == "short" and self.kind == "stat":
            unit = "none"  # every one is told: 1003, not 1.00 K
        told: dict[str, Any] = {"unit": unit, "min": 0}
        if self.highest is not None:
            told["max"] = self.highest
        if self.nothing is not None:
            told["noValue"] = self.nothing
        steps = [{"value": value, "color": colour} for value, colour in self.steps or PLAIN]
        told["thresholds"] = {"mode": "absolute", "steps": steps}
        if self.words:
            words = {
                str(value): {"text": word, "color": colour, "index": at}
                for at, (value, (word, colour)) in enumerate(self.words.items())
            }
            told["mappings"] = [{"type": "value", "options": words}]
        if self.kind != "timeseries":
            told["color"] = {"mode": "thresholds"}
        if self.kind == "table":
            told["custom"] = {"align": "left"}
        if self.kind == "timeseries":
            told["custom"] = {
                "fillOpacity": 25 if self.stacked else 8,
                "stacking": {"mode": "normal" if self.stacked else "none"},
                # A gap is a gap: what was not told is not drawn.
                "spanNulls": False,
                "axisSoftMax": self.reaches,
                # Lines keep colours of their own, so that they can be told apart.
                "thresholdsStyle": {"mode": "dashed" if self.steps else "off"},
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
