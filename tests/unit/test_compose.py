"""``deploy/compose.yaml`` and what it mounts, without Docker: names, versions, commands, settings, ports."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from streams.cli import app
from tests.unit.test_docs import commands

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: one for name, one in SERVICES.items() if "build" in one}
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())


def test_every_image_is_pinned_to_a_version() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:v?\d+\.\d+[\w.-]*", service["image"]), name
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"lienthong:{version}"}


def test_what_runs_is_all_that_was_promised() -> None:
    assert {
        "kafka",
        "postgres",
        "prometheus",
        "grafana",
        "worker-1",
        "worker-2",
        "monitor",
    } <= SERVICES.keys()


@pytest.mark.parametrize("name", OURS)
def test_our_commands_and_settings_exist(name: str) -> None:
    known = commands(get_command(app))  # type: ignore[arg-type]
    assert " ".join(OURS[name]["command"]) in known
    example = (ROOT / "deploy/env.example").read_text()
    for setting in OURS[name]["environment"]:
        assert f"\n{setting}=" in example, setting


def test_every_name_that_is_referred_to_is_there() -> None:
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", ())) <= SERVICES.keys(), name
        if (mode := service.get("network_mode")) is not None:
            assert mode.removeprefix("service:") in SERVICES
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            there = (
                (ROOT / "deploy" / source).exists()
                if source.startswith(".")
                else source in COMPOSE["volumes"]
            )
            assert there, volume
    dockerfile = ROOT / "deploy" / Path(OURS["monitor"]["build"]["dockerfile"]).name
    assert dockerfile.exists()
    assert "FROM python:3.11" in dockerfile.read_text()


def test_workers_keep_one_audit_key_that_their_user_can_write() -> None:
    workers = [one for one in OURS.values() if one["command"] == ["road", "run"]]
    assert len(workers) == 2
    for one in workers:
        key = Path(one["environment"]["LIENTHONG_AUDIT_KEY"])
        assert one["volumes"] == [f"audit:{key.parent}"]
        dockerfile = (ROOT / "deploy" / Path(one["build"]["dockerfile"]).name).read_text()
        user = re.findall(r"^USER (\w+)$", dockerfile, re.MULTILINE)[-1]
        assert f"--owner {user} {key.parent}\n" in dockerfile


def test_the_image_is_not_built_from_what_was_made_here() -> None:
    """``COPY . .`` would keep the keys and the data of ``make up`` in a layer."""
    ignored, kept = (
        {line.strip("/").removeprefix("**/") for line in (ROOT / name).read_text().splitlines()}
        for name in (".dockerignore", ".gitignore")
    )
    assert {".git"} | {one for one in kept if one and not one.startswith("#")} <= ignored


def test_a_service_waits_for_those_that_can_tell_that_they_are_ready() -> None:
    for service in SERVICES.values():
        waits = service.get("depends_on", {})
        for other, how in waits.items() if isinstance(waits, dict) else ():
            assert ("healthcheck" in SERVICES[other]) == (how["condition"] == "service_healthy")


def test_nothing_is_open_to_the_network_and_no_password_is_written_down() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        for setting, value in service.get("environment", {}).items():
            if "PASSWORD" in setting or "@postgres" in str(value):
                assert re.search(r"\$\{\w+:\?", value), setting


def test_prometheus_reads_every_program_on_the_port_it_shows() -> None:
    targets = {
        config["job_name"]: [one for group in config.get("static_configs", ()) for one in group["targets"]]
        for config in PROMETHEUS["scrape_configs"]
    }
    shown: dict[str, list[str]] = {"lienthong-road": [], "lienthong-monitor": [], "lienthong-capture": []}
    for service in OURS.values():
        if (port := service["environment"].get("LIENTHONG_METRICS_PORT")) is not None:
            job = "lienthong-monitor" if service["command"][0] == "monitor" else "lienthong-road"
            shown[job].append(f"127.0.0.1:{port}")
            assert service["network_mode"] == "service:prometheus"
    assert targets == shown


def test_each_worker_of_systemd_can_have_a_port_of_its_own() -> None:
    unit = (ROOT / "deploy/systemd/lienthong-road@.service").read_text()
    files = re.findall(r"^EnvironmentFile=(.+)$", unit, re.MULTILINE)
    assert files == ["/etc/lienthong/env", "-/etc/lienthong/road-%i.env"]  # the later one wins
    (road,) = (one for one in PROMETHEUS["scrape_configs"] if one["job_name"] == "lienthong-road")
    example = (ROOT / "deploy/env.example").read_text()
    for number, target in enumerate(road["static_configs"][0]["targets"], start=1):
        assert target.removeprefix("127.0.0.1:") in example
        assert f"road-{number}.env" in example


def test_prometheus_reads_rules_that_are_there() -> None:
    folder = ROOT / "deploy/prometheus"
    assert set(PROMETHEUS["rule_files"]) == {path.name for path in folder.glob("*.rules.yml")}


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    provider = yaml.safe_load((provisioning / "dashboards/lienthong.yaml").read_text())["providers"][0]
    mounted = [one.split(":")[1] for one in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
