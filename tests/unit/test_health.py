"""The doctor's pieces that need no server; those that do are in ``tests/integration/test_health.py``."""

import json
import re
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from consumers import health
from consumers.health import Finding
from consumers.opening import open_store
from producers.settings import RelaySettings
from schemas.errors import SettingsError
from schemas.library import load_library
from streams.doctor import findings
from tests.shipped import shipped


def test_a_stranger_that_ships_one_of_our_rooms_is_named() -> None:
    shipped = {
        "schemas": ["lienthong", "schemas-for-all"],
        "streams": ["lienthong"],
        "requests": ["requests"],
    }
    found = health.foreign_packages(lambda: shipped)
    assert (found.ok, found.detail) == (False, "schemas-for-all ships schemas")
    assert "environment of its own" in found.next_step


def test_our_own_rooms_are_no_strangers() -> None:
    assert health.foreign_packages(lambda: {room: ["lienthong"] for room in health.ROOMS}).ok
    assert health.foreign_packages(packages_distributions).ok


def test_exact_pins_are_compared_with_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = health.exact_pins()
    assert found.ok, found.detail
    assert "faust-streaming 0.15.3" in found.detail
    assert found.detail.startswith("Python 3.")
    monkeypatch.setattr("consumers.health._installed", lambda name: "9.9" if name == "aiokafka" else "0.15.3")
    found = health.exact_pins()
    assert not found.ok
    assert "aiokafka 9.9 instead of 0.14.0" in found.detail
    assert "faust-streaming" not in found.detail


def test_a_check_that_cannot_find_what_it_looks_at_is_not_ok() -> None:
    assert not health.exact_pins("pluggy").ok  # pins nothing exactly
    found = health.exact_pins("no-such-distribution")
    assert (found.ok, bool(found.next_step)) == (False, True)


def test_a_wrong_setting_is_told_in_its_own_words() -> None:
    def load() -> None:
        raise SettingsError("LIENTHONG_BROKER is not set", next_step="set it to host:port")

    found = health.settings_load(load)
    assert (found.name, found.ok, found.detail) == ("settings", False, "LIENTHONG_BROKER is not set")
    assert found.next_step == "set it to host:port"
    assert health.settings_load(lambda: None).ok


def test_even_an_unexpected_error_is_a_finding() -> None:
    def load() -> None:
        raise RuntimeError("first line\nsecond line")

    found = health.settings_load(load)
    assert (found.ok, found.detail) == (False, "RuntimeError: first line")
    assert found.next_step


def test_the_shipped_library_loads_and_its_schemas_are_registered(tmp_path: Path) -> None:
    found = health.contracts_load([])
    assert found.ok, found.detail
    assert "national format" in found.detail
    assert health.registry_complete(shipped()).ok
    found = health.contracts_load([tmp_path / "missing"])
    assert not found.ok
    assert "missing" in found.detail


def test_a_format_without_a_registered_schema_is_told(tmp_path: Path) -> None:
    shipped = next(Path(health.__file__).parents[1].glob("schemas/formats/*/*/v1.avsc"))
    own = tmp_path / "formats" / "thu" / "nghiem" / "v1.avsc"
    own.parent.mkdir(parents=True)
    own.write_bytes(shipped.read_bytes())
    found = health.registry_complete(load_library([tmp_path]))
    assert not found.ok
    assert "national.thu.nghiem.v1-value" in found.detail
    assert "lienthong contracts register" in found.next_step


def test_a_format_that_changed_after_its_schema_was_registered_is_told(tmp_path: Path) -> None:
    shipped = next(Path(health.__file__).parents[1].glob("schemas/formats/*/*/v1.avsc"))
    own = tmp_path / "formats" / "thu" / "nghiem" / "v1.avsc"
    own.parent.mkdir(parents=True)
    own.write_bytes(shipped.read_bytes())
    before = load_library([tmp_path])
    national = before.formats["thu.nghiem.v1"]
    given = before.registry.register(national.subject, national.wire_schema)
    assert health.registry_complete(load_library([tmp_path])).ok
    schema = json.loads(own.read_text(encoding="utf-8"))
    schema["fields"].pop()
    own.write_text(json.dumps(schema), encoding="utf-8")
    found = health.registry_complete(load_library([tmp_path]))
    assert (found.ok, found.detail) == (
        False,
        f"national.thu.nghiem.v1-value has changed since schema id {given} was given",
    )
    assert "lienthong contracts register" in found.next_step


def test_a_store_is_ready_only_when_it_is_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    formats = list(shipped().formats.values())
    found = health.store_ready(url, formats)
    assert not found.ok
    assert "lienthong store migrate" in found.next_step
    store = open_store(url)
    store.migrate(formats)
    store.close()
    found = health.store_ready(url, formats)
    assert found.ok, found.detail
    assert health.clock_agrees(url).ok


def test_a_password_is_never_shown() -> None:
    url = "postgresql+psycopg://road:s3cret@127.0.0.1:1/national"
    assert "s3cret" not in health.shown(url)
    for found in (health.store_ready(url, []), health.clock_agrees(url)):
        assert not found.ok
        assert "s3cret" not in found.detail + found.next_step


@pytest.mark.parametrize("url", ["postgresql+psycopg://road:s3cret@127.0.0.1:cong/national", "s3cret@here"])
def test_a_store_that_is_no_address_is_told_by_the_settings_name(url: str) -> None:
    for found in (health.store_ready(url, []), health.clock_agrees(url)):
        assert found.detail == "LIENTHONG_STORE is not an SQLAlchemy URL"
        assert "postgresql+psycopg://user" in found.next_step


def test_a_broker_that_does_not_answer_is_a_finding() -> None:
    for found in (health.broker_answers("127.0.0.1:1"), health.topics_present("127.0.0.1:1", {"t": 1})):
        assert not found.ok
        assert found.next_step


def test_the_doctor_reads_the_weights_of_the_orphan_index_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
    monkeypatch.setenv("LIENTHONG_STORE", "sqlite:////nowhere/national.db")
    monkeypatch.setenv("LIENTHONG_ORPHAN_WEIGHTS", "coverage=abc")
    *_, last = findings(RelaySettings)
    assert (last.name, last.ok) == ("settings", False)
    assert last.detail == "LIENTHONG_ORPHAN_WEIGHTS: a weight is written name=number"


@pytest.fixture
def settings_line(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finding]:
    """What the doctor says of settings when these are set besides a broker and a store."""

    def line(**given: str) -> Finding:
        monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
        monkeypatch.setenv("LIENTHONG_STORE", "sqlite:////nowhere/national.db")
        for name, value in given.items():
            monkeypatch.setenv(f"LIENTHONG_{name}", value)
        return next(one for one in findings(RelaySettings) if one.name == "settings")

    return line


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant(
    settings_line: Callable[..., Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings_line(STALL_SECOND="60")
    assert (found.ok, found.detail) == (False, "LIENTHONG_STALL_SECOND is no setting")
    assert found.next_step.startswith("LIENTHONG_…: did you mean STALL_SECONDS?")
    assert "contracts" in [one.name for one in findings(RelaySettings)], "what it does not concern is checked"
    monkeypatch.delenv("LIENTHONG_STALL_SECOND")
    assert settings_line().ok
    monkeypatch.setenv("LIENTHONG_BROKR", "127.0.0.1:1")
    monkeypatch.delenv("LIENTHONG_BROKER")
    *_, last = findings(RelaySettings)
    assert (last.name, last.detail) == ("settings", "LIENTHONG_BROKR is no setting")


def test_every_name_that_the_deployment_uses_is_a_known_setting(
    settings_line: Callable[..., Finding],
) -> None:
    deploy = Path(__file__).parents[2] / "deploy"
    told = (deploy / "env.example").read_text(encoding="utf-8")
    given = dict(re.findall(r"^LIENTHONG_([A-Z_]+)=(.*)$", told, re.MULTILINE))
    in_compose = re.findall(r"LIENTHONG_([A-Z_]+)", (deploy / "compose.yaml").read_text(encoding="utf-8"))
    found = settings_line(**dict.fromkeys(in_compose, "") | given)
    assert found.ok, found.detail


def test_capture_settings_are_read_where_there_is_an_agency_database(
    settings_line: Callable[..., Finding],
) -> None:
    assert settings_line(KEEP_DAYS="soon").ok  # nothing here reads it
    found = settings_line(KEEP_DAYS="soon", SOURCE="sqlite:////nowhere/agency.db")
    assert (found.ok, found.detail.split(":")[0]) == (False, "LIENTHONG_KEEP_DAYS")
