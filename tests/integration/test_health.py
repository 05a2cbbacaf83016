"""The doctor's pieces against a real broker and a real database."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consumers import health
from consumers.opening import open_store
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from streams.cli import app
from tests.road import PATIENCE_SECONDS, Road, delete_topics, road
from tests.shipped import shipped
from tests.topics import new_topic

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not what is looked for here."""
    monkeypatch.setattr(health, "_ANSWER_MS", int(PATIENCE_SECONDS * 1000))


def test_a_broker_that_answers_is_named_with_its_version(kafka: KafkaNode) -> None:
    found = health.broker_answers(kafka.bootstrap)
    assert (found.ok, found.detail) == (True, f"{kafka.bootstrap} answers: 1 broker, Kafka 4.3")


def test_topics_that_are_missing_or_too_small_are_named(kafka: KafkaNode, unique: str) -> None:
    new_topic(kafka.bootstrap, unique, partitions=2)
    assert health.topics_present(kafka.bootstrap, {unique: 2}).ok
    found = health.topics_present(kafka.bootstrap, {unique: 6, f"{unique}.missing": 1})
    assert not found.ok
    assert found.detail == f"{unique}.missing is missing; {unique} has 2 partitions instead of 6"
    assert "lienthong road topics" in found.next_step
    assert not health.topics_present(kafka.bootstrap, {f"{unique}.missing": 1}).ok


def test_a_store_is_ready_when_it_is_migrated_and_told_when_it_is_away(
    postgres: PostgresNode, database: str
) -> None:
    formats = list(shipped().formats.values())
    found = health.store_ready(database, formats)
    assert not found.ok
    assert "still to be run" in found.detail
    store = open_store(database)
    store.migrate(formats)
    store.close()
    assert health.store_ready(database, formats).ok
    postgres.stop("immediate")
    away = health.store_ready(database, formats), health.clock_agrees(database)
    assert [one.ok for one in away] == [False, False]
    assert "LIENTHONG_STORE" in away[0].next_step


def test_clocks_that_disagree_are_told_with_their_distance(database: str) -> None:
    assert health.clock_agrees(database).ok
    looked: list[datetime] = []

    def behind() -> datetime:
        looked.append(datetime.now(UTC))
        return looked[-1] - timedelta(seconds=90)

    found = health.clock_agrees(database, now=behind)
    assert not found.ok
    told = re.fullmatch(r"the store's clock is \+([\d.]+) s from ours", found.detail)
    assert told is not None
    took = (looked[-1] - looked[0]).total_seconds()
    assert abs(float(told[1]) - 90) <= took / 2 + 0.05  # it is told to a tenth of a second
    assert "NTP" in found.next_step


#: The doctor's lines, in their order.
LINES = (
    "versions", "packages", "settings", "contracts", "registry", "broker", "topics", "store", "workers",
    "audit", "clock",
)  # fmt: skip


@pytest.fixture
def prepared(kafka: KafkaNode, database: str, tmp_path: Path) -> Iterator[Road]:
    with road(kafka.bootstrap, database, tmp_path) as made:
        yield made


def doctor(one: Road, expected_status: int) -> dict[str, str]:
    """Line -> the next step it tells, empty if it is OK; the text and the JSON of two runs must agree."""
    done = CliRunner().invoke(app, ["doctor"], env=one.environment)
    assert done.exit_code == expected_status, done.output
    told: dict[str, str] = {}
    last = ""
    for line in done.stdout.splitlines():
        if step := re.fullmatch(r" {6}next step: (.+)", line):
            assert told[last] == "to be told"
            told[last] = step[1]
        else:
            found = re.fullmatch(r"(OK  |FAIL)  (\w+) +(\S.*)", line)
            assert found, line
            last = found[2]
            told[last] = "" if found[1] == "OK  " else "to be told"
    as_json = CliRunner().invoke(app, ["doctor", "--json"], env=one.environment)
    assert as_json.exit_code == expected_status, as_json.output
    findings = json.loads(as_json.stdout)
    assert all(set(one) == {"name", "ok", "detail", "next_step"} and one["detail"] for one in findings)
    assert all(one["ok"] == (one["next_step"] == "") for one in findings)
    assert [(one["name"], one["next_step"]) for one in findings] == list(told.items())
    return told


def test_the_doctor_looks_at_everything_and_names_what_is_wrong(prepared: Road) -> None:
    assert doctor(prepared, 0) == dict.fromkeys(LINES, "")

    delete_topics(prepared.broker, prepared.library, {"national.hotich.khaisinh.v1"})
    told = doctor(prepared, 1)
    assert told == dict.fromkeys(LINES, "") | {"topics": "create them: lienthong road topics"}

    prepared.broker = "127.0.0.1:1"
    told = doctor(prepared, 1)
    # Without a broker nothing can be said of topics; what needs none is looked at all the same.
    assert list(told) == [name for name in LINES if name != "topics"]
    assert "LIENTHONG_BROKER" in told.pop("broker")
    assert not any(told.values())

    prepared.settings["LIENTHONG_STALL_SECONDS"] = "soon"
    told = doctor(prepared, 1)
    assert list(told) == ["versions", "packages", "settings"]
    assert "LIENTHONG_STALL_SECONDS" in told["settings"]
