"""``python -m deploy.grafana``: write the dashboards beside this file."""

import json
from pathlib import Path

from deploy.grafana.dashboards import EVERY
from deploy.grafana.panels import Dashboard


def text(dashboard: Dashboard) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard.json(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    for name, dashboard in EVERY.items():
        (Path(__file__).parent / f"{name}.json").write_text(text(dashboard), encoding="utf-8")
