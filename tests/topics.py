"""Topics as tests need them: there once they are made, and read from their start to where they end now."""

import io
import struct
import time
from typing import Any

import fastavro
from kafka import KafkaConsumer, TopicPartition

from schemas.registry import SchemaIds
from streams.topics import TopicPlan
from tests.road import PATIENCE_SECONDS, PATIENTLY, make_topics


def new_topic(broker: str, name: str, *, partitions: int = 1, **settings: str) -> None:
    """Make a topic; returns when every partition of it has a leader."""
    make_topics(broker, [TopicPlan(name=name, partitions=partitions, settings=tuple(settings.items()))])


def every_record(broker: str, topic: str, *, seconds: float = PATIENCE_SECONDS) -> list[Any]:
    """Every record there is now, in order per partition.

    No group, no subscription and no silence taken for the end: a busy machine may answer late.
    Raises ``AssertionError`` when the topic or the records of it do not come in ``seconds``.
    """
    deadline = time.monotonic() + seconds
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    try:
        while not (numbers := consumer.partitions_for_topic(topic)):
            assert time.monotonic() < deadline, f"{topic}: no such topic after {seconds:.0f} s"
        parts = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(parts)
        ends = consumer.end_offsets(parts, timeout_ms=PATIENTLY["request_timeout_ms"])
        consumer.seek_to_beginning(*parts)
        found: list[Any] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            assert time.monotonic() < deadline, f"{topic}: not read within {seconds:.0f} s"
            for batch in consumer.poll(timeout_ms=200).values():
                found += batch
        return found
    finally:
        consumer.close()


def read_value(value: bytes, registry: SchemaIds) -> dict[str, Any]:
    """A value as a stranger's client reads it: by the schema id on the wire, with no code of the road."""
    zero, schema_id = struct.unpack(">bI", value[:5])
    assert zero == 0
    body = io.BytesIO(value[5:])
    read: Any = fastavro.schemaless_reader(body, registry.schema(schema_id).schema, None)
    assert not body.read()
    return dict(read)
