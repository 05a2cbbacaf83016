"""The national-sync consumer on a real broker: what a ministry's integration team relies on."""

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import TopicPartition
from prometheus_client import CollectorRegistry

from consumers.metrics import ConsumeMetrics
from consumers.national import NationalBatch, NationalConsumer
from deploy.local.kafka import KafkaNode
from schemas.errors import LienthongError, SettingsError, StopTheLine, TryAgain
from tests.national_lab import Ground, a_ground, keys, to_end, until

# kafka-python 3.0 does not always close a socket that is connecting when its client is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def ground(kafka: KafkaNode, tmp_path: Path) -> Iterator[Ground]:
    yield from a_ground(kafka, tmp_path)


# --- commit after the work ---------------------------------------------------------------------------


def test_records_come_typed_and_are_committed_only_when_the_loop_goes_on(ground: Ground) -> None:
    ground.put(ground.change("A"), ground.change("B", lt_warnings="so_dinh_danh:personal_id_form"))
    ground.put(ground.change("C", lt_op="d", hoTen=None), partition=1)
    seen: list[tuple[str, bool, dict[str, str | None]]] = []
    with ground.consumer() as consumer:
        for batch in consumer.batches(timeout_seconds=0.5, until_end=True):
            for partition, (_, following) in batch.offsets.items():
                assert ground.committed().get(partition, 0) < following
            seen += [(one.key, one.deleted, dict(one.fields)) for one in batch.records]
        assert ground.committed() == {0: 2, 1: 1}
    assert sorted(seen) == [
        ("A", False, {"so": "A", "hoTen": "Người Thử A"}),
        ("B", False, {"so": "B", "hoTen": "Người Thử B"}),
        ("C", True, {"so": "C", "hoTen": None}),
    ]
    assert to_end(ground.consumer()) == []  # the group has it all


def test_an_explicit_commit_counts_at_once_and_a_second_one_changes_nothing(ground: Ground) -> None:
    ground.put(ground.change("A"))
    with ground.consumer() as consumer:
        for batch in consumer.batches(timeout_seconds=0.5):
            if batch.records:
                assert batch.commit()
                assert ground.committed() == {0: 1}
                assert batch.commit()
                break
    assert ground.committed() == {0: 1}


def _work_that_fails(consumer: NationalConsumer) -> None:
    for batch in consumer.batches(timeout_seconds=0.5):
        if batch.records:
            raise ZeroDivisionError


def test_a_batch_whose_caller_raised_is_not_committed_and_comes_again(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABC"])
    with ground.consumer() as consumer:
        with pytest.raises(ZeroDivisionError):
            _work_that_fails(consumer)
        assert ground.committed() == {}
        again = list(consumer.batches(timeout_seconds=0.5, until_end=True))
    assert keys(again) == ["A", "B", "C"]
    assert ground.committed() == {0: 3}


def test_leaving_the_loop_commits_no_batch_whose_next_was_not_asked_for(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABCD"])
    with ground.consumer() as consumer:
        taken = 0
        for batch in consumer.batches(max_records=2, timeout_seconds=0.5):
            taken += bool(batch.records)
            if taken == 2:
                break
    assert ground.committed() == {0: 2}
    assert keys(to_end(ground.consumer())) == ["C", "D"]


DIES = """
import os, signal, sys
from pathlib import Path
from consumers.national import NationalConsumer
from schemas.library import load_library
name, broker, group, folder, session = sys.argv[1:]
quick = {"session_timeout_ms": int(session), "heartbeat_interval_ms": int(session) // 4}
library = load_library([Path(folder)])
with NationalConsumer(name, broker=broker, group=group, library=library, kafka_options=quick) as consumer:
    for batch in consumer.batches(max_records=2, timeout_seconds=0.5):
        print(*(record.key for record in batch.records), flush=True)
        if len(batch.records) and batch.records[-1].key == "D":
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_member_killed_before_its_commit_loses_nothing(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABCDEF"])
    args = [
        ground.format.full_id,
        ground.kafka.bootstrap,
        ground.group,
        str(ground.folder / "library"),
        "30000",  # the next one waits so long; a busy machine must not miss a heartbeat of it
    ]
    died = subprocess.run(
        [sys.executable, "-c", DIES, *args], capture_output=True, text=True, timeout=180, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.stdout.split() == ["A", "B", "C", "D"]
    assert ground.committed() == {0: 2}
    assert keys(to_end(ground.consumer())) == ["C", "D", "E", "F"]


# --- newest version only -----------------------------------------------------------------------------


def test_older_and_repeated_versions_never_reach_the_caller(ground: Ground) -> None:
    ground.put(*[ground.change("A", seq) for seq in (1, 2, 3)], ground.change("B", 4))
    with ground.consumer() as consumer:
        batches = consumer.batches(timeout_seconds=0.5)
        first: NationalBatch = next(batch for batch in batches if batch.records)
        assert [(one.key, one.seq) for one in first.records] == [("A", 3), ("B", 4)]
        assert first.stale == 2
        # a worker of the road crashed and repeats itself; then a really new version comes
        ground.put(ground.change("A", 2), ground.change("A", 3), ground.change("A", 5), ground.change("B", 4))
        later = []
        for batch in batches:
            later.append(batch)
            if ground.committed().get(0) == 8:
                break
    assert [(one.key, one.seq) for batch in later for one in batch.records] == [("A", 5)]
    assert sum(batch.stale for batch in later) == 3


def test_a_deleted_record_comes_as_such_and_does_not_rise_again(ground: Ground) -> None:
    ground.put(ground.change("A", 1))
    ground.put(ground.change("A", 3, lt_op="d"), ground.change("A", 2))
    found = [(one.key, one.deleted) for batch in to_end(ground.consumer()) for one in batch.records]
    assert found == [("A", True)]


def test_a_key_that_another_living_record_holds_is_parked_and_not_overwritten(ground: Ground) -> None:
    ground.put(ground.change("A", 1), ground.change("A", 2, lt_source_key="khác", hoTen="Người Khác"))
    batches = to_end(ground.consumer())
    assert [one.seq for batch in batches for one in batch.records] == [1]
    (line,) = ground.parked()
    assert (line["rule"], line["offset"]) == ("national_key_taken", 1)
    assert "Người Khác" not in json.dumps(line, ensure_ascii=False)


# --- what cannot be read -----------------------------------------------------------------------------


def test_damaged_records_are_parked_and_the_good_ones_flow(ground: Ground) -> None:
    good = ground.encoded(ground.change("X"))[0]
    ground.put(ground.change("A"))
    damaged = {
        1: (good[:-4], "bytes_truncated"),
        2: (good + b"!", "bytes_trailing"),
        3: (None, "value_empty"),
        4: (b"\x01" + good[1:], "header_missing"),
        5: (b"\x00\x00\x0f\x42\x40" + good[5:], "schema_unknown"),
        6: (good.replace("Người".encode(), b"Ng\xff\xfe\xffi", 1), None),
        7: (ground.encoded(ground.change("Y", lt_op="?"))[0], "record_unreadable"),
    }
    for value, _ in damaged.values():
        ground.raw(value)
    ground.raw(good, fingerprint="0" * 64)
    ground.put(ground.change("Z"))
    registry = CollectorRegistry()
    batches = to_end(ground.consumer(metrics=ConsumeMetrics(registry)))
    assert keys(batches) == ["A", "Z"]
    parked = ground.parked()
    assert [line["offset"] for line in parked] == [*damaged, 8]
    for line in parked[:-1]:
        value, rule = damaged[line["offset"]]
        told = line["value_base64"]
        assert (None if told is None else base64.b64decode(told)) == value
        assert rule in (None, line["rule"])
        assert line["reason"]
    assert parked[-1]["rule"] == "fingerprint_mismatch"
    assert ground.committed() == {0: 10}
    labels = {"topic": ground.format.topic}
    assert registry.get_sample_value("lienthong_consume_records_total", labels | {"outcome": "parked"}) == 8
    assert (
        registry.get_sample_value("lienthong_consume_records_total", labels | {"outcome": "delivered"}) == 2
    )
    # the consumer can be run again over the same park file, and the group is behind the damage
    assert to_end(ground.consumer()) == []


def test_nothing_is_committed_past_a_record_that_could_not_be_parked(ground: Ground) -> None:
    ground.raw(b"damaged")
    (ground.folder / "no folder").write_text("a file")
    with pytest.raises(TryAgain, match="could not write 1 parked record"):
        to_end(ground.consumer(park=ground.folder / "no folder" / "park.jsonl"))
    assert ground.committed() == {}
    to_end(ground.consumer())
    assert [line["offset"] for line in ground.parked()] == [0]
    assert ground.committed() == {0: 1}


# --- ends, beginnings and troubles -------------------------------------------------------------------


def test_without_a_group_everything_is_looked_at_and_nothing_committed(ground: Ground) -> None:
    ground.put(ground.change("A"))
    ground.put(ground.change("B"), partition=1)
    for _ in range(2):
        assert sorted(keys(to_end(ground.consumer(group=None)))) == ["A", "B"]


def test_until_end_stops_at_the_end_even_of_an_empty_topic(ground: Ground) -> None:
    assert to_end(ground.consumer(group=None)) == []
    assert keys(to_end(ground.consumer())) == []


def test_at_most_hands_over_so_many_and_commits_no_more(ground: Ground) -> None:
    ground.put(*[ground.change(f"{at:04}") for at in range(700)])
    batches = to_end(ground.consumer(), at_most=600)
    assert len(keys(batches)) == 600
    assert ground.committed() == {0: 600}


def test_from_start_reads_everything_again_once(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    to_end(ground.consumer())
    assert keys(to_end(ground.consumer(from_start=True))) == ["A", "B"]
    assert to_end(ground.consumer()) == []


def test_changes_deleted_by_retention_before_they_were_read_stop_the_line(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABCD"])
    with ground.consumer() as consumer:
        for batch in consumer.batches(max_records=1, timeout_seconds=0.5):
            if batch.records:
                batch.commit()
                break
    ground.admin.delete_records({TopicPartition(ground.format.topic, 0): 3})
    with pytest.raises(StopTheLine, match="retention has deleted changes") as told:
        to_end(ground.consumer())
    assert "--from-start" in told.value.next_step
    assert ground.committed() == {0: 1}
    assert keys(to_end(ground.consumer(from_start=True))) == ["D"]


WAITS = """
import sys
from pathlib import Path
from consumers.national import NationalConsumer
from schemas import hearing
from schemas.library import load_library
hearing.SILENCE_SECONDS = 3600.0  # who gives its client up begins again where it last committed
name, broker, group, folder = sys.argv[1:]
library = load_library([Path(folder)])
long = {"session_timeout_ms": 120_000}
with NationalConsumer(name, broker=broker, group=group, library=library, kafka_options=long) as consumer:
    for batch in consumer.batches(timeout_seconds=0.5):
        if batch.records:
            print(*(record.key for record in batch.records), flush=True)
            sys.stdin.readline()
            print(batch.commit(), flush=True)
"""


def test_a_broker_that_dies_during_the_work_is_waited_for_and_gets_its_commit(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    # In a process of its own, for kafka-python leaves a socket behind for each connection that is refused.
    args = [ground.format.full_id, ground.kafka.bootstrap, ground.group, str(ground.folder / "library")]
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as member:
        assert member.stdin is not None
        assert member.stdout is not None
        try:
            assert member.stdout.readline() == "A B\n"
            ground.disconnect()
            ground.kafka.kill()
            member.stdin.write("go on\n")
            member.stdin.flush()
            assert member.stdout.readline() == "False\n"
            ground.kafka.start()
            ground.connect()
            until("the commit", lambda: ground.committed() == {0: 2})  # without any new record
            ground.put(ground.change("C"))
            assert member.stdout.readline() == "C\n"
            member.stdin.write("go on\n")
            member.stdin.flush()
            assert member.stdout.readline() == "True\n"
            assert ground.committed() == {0: 3}
        finally:
            member.kill()


def test_an_unknown_format_names_the_one_that_comes_close(ground: Ground) -> None:
    with pytest.raises(LienthongError, match="kahisinh") as told:
        NationalConsumer("national.hotich.kahisinh.v1", broker=ground.kafka.bootstrap, library=ground.library)
    assert "national.hotich.khaisinh.v1" in told.value.next_step
    assert "LIENTHONG_CONTRACTS" in told.value.next_step


def test_a_topic_that_is_missing_on_the_broker_is_told(ground: Ground) -> None:
    ground.admin.delete_topics([ground.format.topic])
    until("the topic is gone", lambda: ground.format.topic not in ground.admin.list_topics())
    with pytest.raises(LienthongError, match="does not exist on the broker") as told, ground.consumer():
        pass
    assert "lienthong road topics" in told.value.next_step
    assert ground.format.topic not in ground.admin.list_topics()


def test_a_broker_that_does_not_answer_is_told(ground: Ground) -> None:
    consumer = NationalConsumer(
        ground.format.full_id, broker="127.0.0.1:1", library=ground.library, kafka_options={}
    )
    with pytest.raises(TryAgain, match=r"no broker listens on 127\.0\.0\.1:1"), consumer:
        pass


def test_options_that_would_break_a_promise_are_refused(ground: Ground) -> None:
    consumer = ground.consumer(kafka_options={"enable_auto_commit": True})
    with pytest.raises(SettingsError, match="enable_auto_commit"), consumer:
        pass
