"""A made-up national format with a topic of its own, and who reads it as a ministry's team would."""

import gc
import json
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import RetriableError

from consumers.national import NationalBatch, NationalConsumer
from deploy.local.kafka import KafkaNode
from schemas.codec import encode
from schemas.formats import WIRE_FIELDS, NationalFormat, load_format
from schemas.library import Library, load_library
from schemas.registry import FileRegistry, RegisteredSchema
from tests.road import PATIENCE_SECONDS, PATIENTLY, wait_for
from tests.topics import new_topic

#: Whoever of these leaves says so; on a busy machine one may be silent for long and is still there.
PATIENT = {"session_timeout_ms": 120_000, "heartbeat_interval_ms": 1_000}


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
        self.admin = KafkaAdminClient(bootstrap_servers=self.kafka.bootstrap, **PATIENTLY)
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
        ).get(PATIENCE_SECONDS)

    @property
    def group(self) -> str:
        return f"bo-{self.format.entity}"

    def consumer(self, **more: Any) -> NationalConsumer:
        chosen: dict[str, Any] = {
            "group": self.group,
            "kafka_options": PATIENT,
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


def a_ground(kafka: KafkaNode, tmp_path: Path) -> Iterator[Ground]:
    """A fixture's body: the format, its registry entry and its topic; connections are closed at the end."""
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
        new_topic(kafka.bootstrap, national.topic, partitions=2)
        with pytest.MonkeyPatch.context() as patch:
            # A commit that a busy broker takes late is none that it refused.
            patch.setattr("consumers.topic_reader._ANSWER_MS", PATIENTLY["request_timeout_ms"])
            yield ground
    finally:
        ground.disconnect()
        with warnings.catch_warnings():  # what kafka-python left open is this test's, not the next one's
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def keys(batches: Sequence[NationalBatch]) -> list[str]:
    return [record.key for batch in batches for record in batch.records]


def to_end(consumer: NationalConsumer, **more: Any) -> list[NationalBatch]:
    """What is there, without the empty batches that come while a busy broker lets it wait."""
    with consumer:
        batches = list(consumer.batches(timeout_seconds=0.5, until_end=True, **more))
    return [batch for batch in batches if batch.offsets]


def until(what: str, condition: Callable[[], object]) -> None:
    wait_for(what, lambda: _holds(condition), every=0.05)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except RetriableError:  # a broker that has just started does not know its groups yet
        return False
