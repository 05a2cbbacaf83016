"""``lienthong contracts shadow`` reads the topic of a running province, and leaves no trace there."""

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.local.kafka import KafkaNode
from schemas.codec import encode_row
from schemas.library import load_library
from streams.cli import app
from tests.envelopes import GOOD, event
from tests.gates import OTHER, run, write
from tests.topics import new_topic

# kafka-python 3.0 does not always close a socket that is connecting when its client is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def system(kafka: KafkaNode, tmp_path: Path, unique: str) -> str:
    """A system of its own, with five births in the two partitions of its topic, and bytes that are none."""
    write(tmp_path, f"contracts/{unique}/khaisinh.yaml", OTHER)
    assert run(tmp_path, "register").exit_code == 0
    library = load_library([tmp_path])
    contract = library.contracts[f"{unique}/khaisinh"]
    registered = library.registry.current(contract.subject)
    new_topic(kafka.bootstrap, contract.topic, partitions=2)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    for seq in range(1, 6):
        row = event(GOOD | {"id": seq, "ho_ten": "NGƯỜI THỬ", "trang_so": str(seq)}, seq=seq)
        producer.send(contract.topic, encode_row(row, registered), partition=seq % 2)
    producer.send(contract.topic, b"x", partition=0)
    producer.close()
    return unique


def shadow(kafka: KafkaNode, folder: Path, system: str, *words: str) -> Result:
    text = OTHER.replace("nksHoTen: {rule: name", "nksHoTen: {rule: copy")
    path = write(folder, "proposed.yaml", text)
    env = {"LIENTHONG_CONTRACTS": str(folder), "LIENTHONG_BROKER": kafka.bootstrap}
    return CliRunner().invoke(
        app, ["contracts", "shadow", f"{system}/khaisinh", str(path), "--json", *words], env=env
    )


def test_a_topic_is_compared_to_its_present_end(kafka: KafkaNode, tmp_path: Path, system: str) -> None:
    result = shadow(kafka, tmp_path, system)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert (told["changes"], told["same"], told["unreadable"]) == (5, 0, {"header_missing": 1})
    (one,) = told["differences"]
    assert (one["field"], one["kind"], one["changes"]) == ("nksHoTen", "respelt", 5)
    assert sorted(one["places"])[0] == "partition 0 offset 0"
    told = json.loads(shadow(kafka, tmp_path, system, "--last", "2").stdout)
    assert (told["changes"], told["unreadable"]) == (3, {"header_missing": 1})


def test_a_topic_that_is_not_there(kafka: KafkaNode, tmp_path: Path, unique: str) -> None:
    write(tmp_path, f"contracts/{unique}/khaisinh.yaml", OTHER)
    error = shadow(kafka, tmp_path, unique).exception
    assert "does not exist on the broker" in str(error)
