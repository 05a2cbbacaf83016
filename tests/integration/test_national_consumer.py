"""The national-sync consumer on a real broker: what a ministry's integration team relies on."""

import base64
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import RetriableError
from prometheus_client import CollectorRegistry

from consumers.metrics import ConsumeMetrics
from consumers.national import NationalBatch, NationalConsumer
from deploy.local.kafka import KafkaNode
from schemas.codec import encode
from schemas.errors import LienthongError, SettingsError, StopTheLine, TryAgain
from schemas.formats import WIRE_FIELDS, NationalFormat, load_format
from schemas.library import Library, load_library
from schemas.registry import FileRegistry, RegisteredSchema
from tests.road import wait_for

# kafka-python 3.0 does not always close a socket that is connecting when its client is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

#: A member that was killed holds its partitions for this long.
QUICK = {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_000}


@dataclass
class Ground:
    """A made-up national format with a topic of its own, so that no test sees another's records."""

    kafka: KafkaNode
    folder: Path
    format: NationalFormat
    library: Library
    registered: RegisteredSchema
    seq: int = 0

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        self.admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap)
        self.producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap, acks="all")

    def disconnect(self) -> None:
        self.producer.close()
        self.admin.close()
        del self.producer, self.admin

    def change(self, key: str, seq: int | None = None, **more: Any) -> dict[str, Any]:
        """One national change; numbers count up by themselves."""
        self.seq = self.seq + 1 if seq is None else max(self.seq, seq)
        return {
            "lt_key": key,
            "lt_op": "u",
            "lt_system": "hotich_thu",
            "lt_dataset": "khaisinh",
            "lt_source_key": f"nguồn-{key}",
            "lt_seq": self.seq if seq is None else seq,
            "lt_committed_ms": 1_767_225_600_000 + self.seq,
            "lt_answers": True,
            "lt_contract": "hotich_thu/khaisinh@1",
            "lt_warnings": None,
            "so": key,
            "hoTen": f"Người Thử {key}",
        } | more

    def encoded(self, *changes: dict[str, Any]) -> list[bytes]:
        types = {
            name: {"long": pl.Int64, "boolean": pl.Boolean}.get(kind, pl.String) for name, kind in WIRE_FIELDS
        }
        columns = types | {one.name: pl.String for one in self.format.fields}
        return encode(pl.DataFrame(list(changes), schema=columns), self.registered)

    def put(self, *changes: dict[str, Any], partition: int = 0) -> None:
        for change, value in zip(changes, self.encoded(*changes), strict=True):
            self.raw(value, partition=partition, key=change["lt_key"])
        self.producer.flush()

    def raw(self, value: bytes | None, *, partition: int = 0, key: str = "K", fingerprint: str = "") -> None:
        self.producer.send(
            self.format.topic,
            value,
            key=key.encode(),
            partition=partition,
            headers=[("schema-sha256", (fingerprint or self.registered.sha256).encode())],
        ).get(60)

    @property
    def group(self) -> str:
        return f"bo-{self.format.entity}"

    def consumer(self, **more: Any) -> NationalConsumer:
        chosen: dict[str, Any] = {
            "group": self.group,
            "kafka_options": QUICK,
            "park": self.folder / "park.jsonl",
        }
        return NationalConsumer(
            self.format.full_id, broker=self.kafka.bootstrap, library=self.library, **chosen | more
        )

    def committed(self) -> dict[int, int]:
        offsets = self.admin.list_group_offsets(self.group)[self.group]
        return {tp.partition: place.offset for tp, place in offsets.items() if place.offset >= 0}

    def parked(self) -> list[dict[str, Any]]:
        file = self.folder / "park.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def ground(kafka: KafkaNode, tmp_path: Path) -> Iterator[Ground]:
    entity = f"thu{uuid.uuid4().hex[:10]}"
    avsc = tmp_path / "library" / "formats" / "thu" / entity / "v1.avsc"
    avsc.parent.mkdir(parents=True)
    common = {"type": ["null", "string"], "default": None, "basis": "thử", "evidence": "U", "required": True}
    fields = [
        {"name": "so", "position": 1, "label": "Số", "sensitivity": "public", **common},
        {"name": "hoTen", "position": 2, "label": "Họ tên", "sensitivity": "personal", **common},
    ]
    about = {"title": "Sổ thử", "doc": "made up for a test", "key": ["so"], "fields": fields}
    avsc.write_text(json.dumps({"type": "record", "name": "Thu", "namespace": f"thu.{entity}.v1", **about}))
    national = load_format(avsc, tmp_path / "library" / "formats")
    registry = FileRegistry([tmp_path / "nothing shipped", tmp_path / "library"])
    number = registry.register(national.subject, national.wire_schema)
    library = load_library([tmp_path / "library"])
    assert library.formats[national.full_id] == national
    ground = Ground(kafka, tmp_path, national, library, registry.schema(number))
    try:
        ground.admin.create_topics([NewTopic(name=national.topic, num_partitions=2, replication_factor=1)])
        yield ground
    finally:
        ground.disconnect()
        with warnings.catch_warnings():  # what kafka-python left open is this test's, not the next one's
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def keys(batches: Sequence[NationalBatch]) -> list[str]:
    return [record.key for batch in batches for record in batch.records]


def to_end(consumer: NationalConsumer, **more: Any) -> list[NationalBatch]:
    with consumer:
        return list(consumer.batches(timeout_seconds=0.5, until_end=True, **more))


def until(what: str, condition: Callable[[], object]) -> None:
    wait_for(what, lambda: _holds(condition), every=0.05)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except RetriableError:  # a broker that has just started does not know its groups yet
        return False


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
        "6000",
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


# --- groups ------------------------------------------------------------------------------------------


@dataclass
class Member:
    """A member of the group in a thread of its own."""

    consumer: NationalConsumer
    work: Callable[[NationalBatch], None] = lambda batch: None
    seen: list[str] = field(default_factory=list)
    partitions: set[int] = field(default_factory=set)
    commits: list[bool] = field(default_factory=list)
    trouble: BaseException | None = None

    def start(self) -> "Member":
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self) -> None:
        try:
            with self.consumer:
                for batch in self.consumer.batches(timeout_seconds=0.2):
                    self.seen += [record.key for record in batch.records]
                    self.partitions |= set(batch.offsets)
                    self.work(batch)
                    if batch.offsets:
                        self.commits.append(batch.commit())
        except BaseException as problem:
            self.trouble = problem

    def end(self) -> None:
        self.consumer.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()
        if self.trouble is not None:
            raise self.trouble


def test_two_members_share_the_partitions_and_each_record_comes_once(ground: Ground) -> None:
    members = [Member(ground.consumer(kafka_options={})).start() for _ in range(2)]

    def both_have_one() -> bool:
        described = ground.admin.describe_groups([ground.group])[ground.group]
        return described["group_state"] == "Stable" and len(described["members"]) == 2

    try:
        until("a partition for each", both_have_one)
        expected = [f"{partition}-{at}" for partition in (0, 1) for at in range(200)]
        for partition in (0, 1):
            mine = [ground.change(key) for key in expected if key.startswith(f"{partition}-")]
            ground.put(*mine, partition=partition)
        until("every record", lambda: sum(len(member.seen) for member in members) >= len(expected))
    finally:
        for member in members:
            member.end()
    assert sorted(key for member in members for key in member.seen) == sorted(expected)
    assert sorted(len(member.partitions) for member in members) == [1, 1]
    assert ground.committed() == {0: 200, 1: 200}


def test_a_member_that_lost_its_partitions_cannot_commit_them_and_forgets_what_it_knew(
    ground: Ground,
) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    working, go_on = threading.Event(), threading.Event()

    def too_long(batch: NationalBatch) -> None:
        if batch.records and not working.is_set():
            working.set()
            assert go_on.wait(60)

    slow = Member(ground.consumer(longest_work_seconds=3), work=too_long).start()
    try:
        assert working.wait(30)
        time.sleep(4)  # the broker takes the partitions away
        ground.put(ground.change("A", lt_op="d"))
        assert sorted(keys(to_end(ground.consumer()))) == ["A", "B"]
        assert ground.committed() == {0: 3}
        # Meanwhile A was left by its holder: who takes it now must get through.
        ground.put(ground.change("A", lt_source_key="khác"))
        go_on.set()
        until("A once more", lambda: "A" in slow.seen[2:])
    finally:
        go_on.set()
        slow.end()
    assert slow.commits[0] is False
    assert slow.seen == ["A", "B", "A"]
    assert ground.committed() == {0: 4}
    assert ground.parked() == []


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
from schemas.library import load_library
name, broker, group, folder = sys.argv[1:]
with NationalConsumer(name, broker=broker, group=group, library=load_library([Path(folder)])) as consumer:
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


def test_an_unknown_format_names_those_there_are(ground: Ground) -> None:
    with pytest.raises(LienthongError, match=ground.format.topic) as told:
        NationalConsumer("national.hotich.kahisinh.v1", broker=ground.kafka.bootstrap, library=ground.library)
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


# --- the command -------------------------------------------------------------------------------------


def command(ground: Ground, *args: str, **more: Any) -> "subprocess.Popen[str]":
    env = os.environ | {
        "LIENTHONG_BROKER": ground.kafka.bootstrap,
        "LIENTHONG_CONTRACTS": str(ground.folder / "library"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "consume", *args],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_the_command_prints_json_lines_and_only_talk_on_stderr(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    ground.raw(b"damaged")
    park = ground.folder / "park.jsonl"
    run = command(ground, ground.format.topic, "--group", ground.group, "--until-end", "--park", str(park))
    out, err = run.communicate(timeout=180)
    assert run.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["key"], line["seq"], line["deleted"]) for line in lines] == [
        ("A", 1, False),
        ("B", 2, False),
    ]
    assert lines[0]["fields"] == {"so": "A", "hoTen": "Người Thử A"}
    assert "Người Thử A" in out
    assert lines[0]["committed_at"] == "2026-01-01T00:00:00.001+00:00"
    assert f"2 records; 1 parked in {park}" in err
    assert "Người" not in err
    assert ground.committed() == {0: 3}
    assert [line["rule"] for line in ground.parked()] == ["header_missing"]


def test_the_command_stops_after_so_many_records_or_at_a_signal(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABC"])
    run = command(ground, ground.format.topic, "--group", ground.group, "--max-records", "2")
    out, err = run.communicate(timeout=180)
    assert (run.returncode, len(out.splitlines())) == (0, 2), err
    assert ground.committed() == {0: 2}
    run = command(ground, ground.format.topic, "--group", ground.group)
    assert run.stdout is not None
    assert json.loads(run.stdout.readline())["key"] == "C"
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=180)
    assert (run.returncode, out) == (0, ""), err
    assert ground.committed() == {0: 3}


def test_a_reader_that_goes_away_ends_the_command_quietly_and_commits_nothing_it_did_not_get(
    ground: Ground,
) -> None:
    # More than a pipe holds, so that the command is still writing when its reader goes.
    ground.put(*[ground.change(f"{at:04}", hoTen="x" * 1000) for at in range(300)])
    run = command(ground, ground.format.topic, "--group", ground.group)
    assert run.stdout is not None
    assert run.stderr is not None
    assert json.loads(run.stdout.readline())["key"] == "0000"
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait(60) == 0, err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert ground.committed() == {}


def test_the_command_names_the_setting_or_the_format_that_is_wrong(ground: Ground) -> None:
    run = command(ground, "national.hotich.kahisinh.v1")
    out, err = run.communicate(timeout=180)
    assert (run.returncode, out) == (1, "")
    assert "no national format is called national.hotich.kahisinh.v1" in err
    assert "next step: " in err
    assert "Traceback" not in err
