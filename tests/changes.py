"""Change events made by hand, with fastavro and kafka-python: no code of the road in between."""

import io
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fastavro
from kafka import KafkaProducer

from schemas.contracts import Contract
from schemas.registry import RegisteredSchema


@dataclass
class Events:
    """Makes and publishes the change events of one dataset, numbering them from 1.

    ``producer`` may be given, for datasets that share one.
    """

    contract: Contract
    registered: RegisteredSchema
    broker: str
    producer: Any = None
    seq: int = 0
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)  #: by source key, as last said

    def __post_init__(self) -> None:
        self._schema = fastavro.parse_schema(self.registered.schema)
        if self.producer is None:
            self.connect()

    def connect(self) -> None:
        """Take a new producer: one whose broker was away may have gone deaf: ``schemas.hearing``."""
        if self.producer is not None:
            self.producer.close(timeout=5)
        self.producer = KafkaProducer(
            bootstrap_servers=self.broker,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_request_size=30_000_000,
        )

    def close(self) -> None:
        """Flush and close."""
        self.producer.flush()
        self.producer.close()

    def value(
        self, op: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, seq: int
    ) -> bytes:
        """The bytes of one event."""
        now = int(time.time() * 1000)
        source = {
            "version": "1",
            "connector": "test",
            "name": self.contract.system,
            "ts_ms": now,
            "snapshot": "true" if op == "r" else "false",
            "db": "test",
            "table": self.contract.table,
            "dataset": self.contract.dataset,
            "seq": seq,
        }
        envelope = {"before": before, "after": after, "source": source, "op": op, "ts_ms": now}
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._schema, envelope)
        return struct.pack(">bI", 0, self.registered.id) + body.getvalue()

    def write(self, row: Mapping[str, Any]) -> int:
        """Publish a create or an update of a row; returns its seq."""
        key = str(row["id"])
        before = self.rows.get(key)
        self.rows[key] = row
        return self._send(key, "u" if before else "c", before, row)

    def delete(self, key: str) -> int:
        """Publish the delete of a row written before; returns its seq."""
        return self._send(key, "d", self.rows.pop(key), None)

    def write_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Publish many rows and wait for the broker."""
        for row in rows:
            self.write(row)
        self.producer.flush()

    def raw(
        self, value: bytes | None, *, key: str = "raw", headers: Mapping[str, bytes] | None = None
    ) -> tuple[int, int]:
        """Publish any bytes; returns partition and offset."""
        sent = self.producer.send(
            self.contract.topic, key=key.encode(), value=value, headers=list((headers or {}).items())
        ).get(180)
        return sent.partition, sent.offset

    def headers(self, seq: int) -> dict[str, bytes]:
        """The headers of a well-formed event."""
        return {"schema-sha256": self.registered.sha256.encode(), "seq": str(seq).encode()}

    def _send(
        self, key: str, op: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> int:
        self.seq += 1
        self.producer.send(
            self.contract.topic,
            key=key.encode(),
            value=self.value(op, before, after, self.seq),
            headers=list(self.headers(self.seq).items()),
        )
        return self.seq
