"""What ``build/bench.json`` promises those who read it: the keys of each figure, and the parts there are."""

from deploy.local import jars
from tests.benchmarks import debezium
from tests.benchmarks.__main__ import PARTS
from tests.benchmarks.measure import Measure, against


def test_a_figure_tells_what_it_is_compared_with_and_how_it_was_taken() -> None:
    told = against("sync", 30.0, "rows/s", 40.0, "two cores").as_json()
    assert told == {
        "name": "sync", "value": 30.0, "unit": "rows/s", "ceiling": 40.0, "ratio": 0.75,
        "conditions": "two cores",
    }  # fmt: skip
    assert Measure(name="spread", value=1.0, unit="s").as_json().keys() == told.keys()


def test_every_part_of_the_road_is_measured() -> None:
    promised = {"codec", "library", "store", "sync", "translate", "e2e", "recovery", "memory", "e2e_peer"}
    assert promised <= PARTS.keys()


def test_the_peer_runs_on_the_kafka_that_we_run_on() -> None:
    ours, peers = (
        {one.artifact: one.version for one in jars.read_lock(lock)} for lock in (jars.LOCK, debezium.LOCK)
    )
    assert peers["kafka-clients"] == peers["connect-runtime"] == ours["kafka-clients"]
