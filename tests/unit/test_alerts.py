"""Alerts, runbooks and dashboards hang together: what one of them names is there, and nothing is left over.

That the rules are right is shown by promtool, in ``tests/more/test_prometheus.py``.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from consumers.states import STATES
from deploy.grafana.__main__ import text
from deploy.grafana.dashboards import EVERY
from schemas.metrics import SERIES
from streams.cli import app
from tests.unit.test_docs import commands

DEPLOY = Path(__file__).parents[2] / "deploy"
RUNBOOKS = DEPLOY / "runbooks"


def rules(name: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / f"prometheus/{name}.rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts")}
RECORDED = {rule["record"]: rule for rule in rules("recording")}
QUERIES = {
    f"{name}: {panel.title}": query
    for name, dashboard in EVERY.items()
    for panels in dashboard.rows.values()
    for panel in panels
    for query, _ in panel.queries
}
SAID_TO_CITIZENS = ("What it means for citizens", "How to confirm", "How to mend", "When to call whom")


def named(query: str) -> set[str]:
    """The metrics that a query asks for."""
    return set(re.findall(r"\b(?:lienthong|kafka)[_:][a-z0-9_:]+", query))


@pytest.mark.parametrize("name", [*ALERTS, *RECORDED])
def test_a_rule_asks_for_metrics_that_somebody_tells(name: str) -> None:
    asked = named(str((ALERTS | RECORDED)[name]["expr"]))
    assert asked <= SERIES.keys() | RECORDED.keys()


def test_a_drawing_asks_for_metrics_that_somebody_tells() -> None:
    for title, query in QUERIES.items():
        assert named(query), title
        assert named(query) <= SERIES.keys() | RECORDED.keys(), title


def test_labels_that_a_query_chooses_or_groups_by_are_those_of_its_metrics() -> None:
    every = {f"{name}: {rule['expr']}": str(rule["expr"]) for name, rule in (ALERTS | RECORDED).items()}
    for title, query in (every | QUERIES).items():
        asked = [SERIES[name] for name in named(query) if name in SERIES]
        if len(asked) != len(named(query)):
            continue  # those of a recorded one follow from its own rule
        known = {label for metric in asked for label in metric.labels} | {"le", "job", "instance"}
        chosen = re.findall(r"[{,]\s*(\w+)\s*[=!]", query)
        grouped = [
            word.strip() for group in re.findall(r"by \(([^)]*)\)", query) for word in group.split(",")
        ]
        assert {*chosen, *grouped} <= known, title


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_names_its_cause_its_impact_and_a_runbook(name: str) -> None:
    told = ALERTS[name]["annotations"]
    assert told.keys() == {"cause", "impact", "nguyen_nhan", "anh_huong", "runbook"}
    assert all(told.values())
    assert told["runbook"] == f"deploy/runbooks/{name}.md"
    assert ALERTS[name]["labels"]["severity"] in ("page", "ticket")
    labels = [set(re.findall(r"\$labels\.(\w+)", told[of])) for of in ("cause", "nguyen_nhan")]
    assert labels[0] == labels[1]


def test_every_state_but_health_rings_once() -> None:
    told = [state for rule in ALERTS.values() for state in re.findall(r'state="(\w+)"', rule["expr"])]
    assert sorted(told) == sorted(STATES.keys() - {"healthy"})


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*ALERTS, "README"}


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_what_it_means_how_to_confirm_to_mend_and_whom_to_call(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n\n> ")
    parts = re.split(r"^## (.*)\n\n", page, flags=re.MULTILINE)
    assert tuple(parts[1::2]) == SAID_TO_CITIZENS
    assert all(len(part.split()) > 1 for part in parts[2::2])


def test_the_pages_name_commands_metrics_and_files_that_exist() -> None:
    known = commands(get_command(app))  # type: ignore[arg-type]
    for page in RUNBOOKS.glob("*.md"):
        told = page.read_text()
        for words in re.findall(r"`lienthong ([a-z-]+(?: [a-z-]+)?)", told):
            assert words in known or words.split(" ")[0] in known, f"{page.name}: {words}"
        for metric in re.findall(r"`(lienthong_\w+)", told):
            assert metric in SERIES or f"{metric}_count" in SERIES, f"{page.name}: {metric}"
        for link in re.findall(r"\]\(([^)#:]+)\)", told):
            assert (RUNBOOKS / link).exists(), f"{page.name}: {link}"
        for title in re.findall(r"Dashboard \*([^*]+)\*", told):
            assert title in {one.title for one in EVERY.values()}, f"{page.name}: {title}"


def test_a_test_of_promtool_makes_every_alert_fire() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.tests.yml").read_text())["tests"]
    fired = {
        re.findall(r'"(\w+)"', sample["labels"])[0]
        for test in tests
        for asked in test["promql_expr_test"]
        for sample in asked.get("exp_samples", ())
        if "ALERTS" in asked["expr"]
    }
    assert fired == ALERTS.keys()


@pytest.mark.parametrize("name", EVERY)
def test_the_dashboards_are_as_the_catalogue_makes_them(name: str) -> None:
    file = (DEPLOY / f"grafana/{name}.json").read_text()
    assert file == text(EVERY[name]), "run: python -m deploy.grafana"
    panels = json.loads(file)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] == "row" or panel["description"] or "lienthong:" in panel["targets"][0]["expr"]


def test_no_two_panels_lie_on_each_other() -> None:
    for dashboard in EVERY.values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard.json()["panels"]:
            place = panel["gridPos"]
            cells = {
                (place["x"] + right, place["y"] + down)
                for right in range(place["w"])
                for down in range(place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells
