"""Reading what the road left behind: the national database, the agency's database and the topics.

Reads tables and topics directly and not through our own commands, so that it would see what those hide.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.structs import TopicPartition
from sqlalchemy import Engine, Inspector, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from deploy.demo.agency import TABLE
from deploy.demo.national import LAYOUTS, REGISTER, Layout
from deploy.demo.oracle import Observed, StoredRow

PROVINCE_TOPIC: Final = "province.hotich_qnam.khaisinh"
SYSTEM: Final = "hotich_qnam"
#: On a busy machine a broker may say nothing for long.
SILENCE_MS: Final = 120_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A record of the province topic, kept as it is so that it can be published again."""

    partition: int
    key: bytes
    seq: int
    value: bytes
    headers: list[tuple[str, bytes]]


class Observer:
    """Looks at both databases and the broker. Not thread-safe; ``close`` gives the connections back."""

    def __init__(self, *, store: str, source: str, broker: str) -> None:
        self._store: Engine = create_engine(store, pool_pre_ping=True)
        self._source: Engine = create_engine(source, pool_pre_ping=True)
        self._broker = broker
        self._last: dict[str, int] = {}

    def close(self) -> None:
        self._store.dispose()
        self._source.dispose()

    def national_rows(self) -> int:
        """Rows in the 60-column table, tombstones included; the last known number if it is away."""
        return self._count(f"SELECT count(*) FROM {REGISTER.table}")

    def answers_given(self) -> int:
        """Answers counted as told, repeats included, of the layout that has the fewest; the last known
        number while the database is away."""
        of_each = "SELECT sum(how_many) AS told FROM lienthong_receipt GROUP BY format"
        return self._count(f"SELECT coalesce(min(told), 0) FROM ({of_each}) AS of_each")

    def answered_in_all(self) -> set[int]:
        """Sequence numbers that have an answer for every layout."""
        return set.intersection(*({*chain(*self.answered(layout).values())} for layout in LAYOUTS))

    def answered(self, layout: Layout) -> dict[str, Counter[int]]:
        """Outcome -> how often each sequence number was answered so for a layout."""
        told: dict[str, Counter[int]] = {}
        query = "SELECT outcome, seqs FROM lienthong_receipt WHERE system = :system AND format = :format"
        for outcome, ranges in self._rows(query, format=layout.format):
            told.setdefault(outcome, Counter()).update(numbers(ranges))
        return told

    def unread(self) -> int:
        """Records of the road's topics that the offset ledger has not passed. Many if one of both is away."""
        try:
            ledger = {
                (t, p): n
                for t, p, n in self._rows("SELECT topic, partition, next_offset FROM lienthong_ledger")
            }
            with self._consumer() as consumer:
                ends = _ends(consumer, PROVINCE_TOPIC, *(layout.topic for layout in LAYOUTS))
        except (OperationalError, KafkaError):
            return 1_000_000
        return sum(end - (ledger.get((part.topic, part.partition)) or 0) for part, end in ends.items())

    def messages(self) -> Iterator[Message]:
        """Every record of the province topic, in order within each partition."""
        with self._consumer() as consumer:
            ends = _ends(consumer, PROVINCE_TOPIC)
            consumer.assign(list(ends))
            consumer.seek_to_beginning(*ends)
            while any(consumer.position(part) < end for part, end in ends.items()):
                polled = consumer.poll(timeout_ms=SILENCE_MS, max_records=5000)
                if not polled:
                    raise TimeoutError(
                        f"{PROVINCE_TOPIC}: no record for {SILENCE_MS // 1000} s before its end"
                    )
                for batch in polled.values():
                    for record in batch:
                        yield _message(record)

    def first_versions(self, keys: Iterable[str]) -> list[Message]:
        """The oldest version of each of these records."""
        wanted, first = set(keys), dict[str, Message]()
        for message in self.messages():
            key = message.key.decode()
            if key in wanted and (key not in first or message.seq < first[key].seq):
                first[key] = message
        return list(first.values())

    def publish_again(self, messages: Iterable[Message]) -> None:
        """Send old records once more, unchanged, to the partition they came from."""
        producer = KafkaProducer(bootstrap_servers=self._broker, acks="all")
        try:
            sent = [
                producer.send(
                    PROVINCE_TOPIC, key=m.key, value=m.value, headers=m.headers, partition=m.partition
                )
                for m in messages
            ]
            producer.flush(timeout=60)
            for future in sent:
                future.get(timeout=1)
        finally:
            producer.close()

    def numbers(self) -> dict[str, tuple[int, ...]]:
        """Source key -> its sequence numbers, ascending, each once (capture may send a record again)."""
        found: dict[str, set[int]] = {}
        for message in self.messages():
            found.setdefault(message.key.decode(), set()).add(message.seq)
        return {key: tuple(sorted(seqs)) for key, seqs in found.items()}

    def stored(self, layout: Layout, key: str) -> dict[str, Any]:
        """One national row, by column."""
        with self._store.connect() as connection:
            query = text(f"SELECT * FROM {layout.table} WHERE lt_key = :key")
            return dict(connection.execute(query, {"key": key}).mappings().one())

    def labels(self, layout: Layout) -> dict[str, str]:
        """Column -> its comment in the national table: the Vietnamese label of the field."""
        inspector: Inspector = inspect(self._store)
        return {column["name"]: column.get("comment") or "" for column in inspector.get_columns(layout.table)}

    def reject_examples(self) -> list[tuple[str, str, int, str, str]]:
        """(field, rule, how many, source key of one, where it lies), the most frequent first."""
        query = (
            "SELECT field, rule, count(DISTINCT seq), (array_agg(source_key ORDER BY id))[1],"
            " (array_agg(topic || '/' || partition || '@' || \"offset\" ORDER BY id))[1]"
            " FROM lienthong_reject WHERE system = :system GROUP BY field, rule ORDER BY 3 DESC, field, rule"
        )
        return [(f, r, int(n), str(k), str(place)) for f, r, n, k, place in self._rows(query)]

    def everything(self, started_at: datetime) -> list[Observed]:
        """All that the oracle compares, for each layout."""
        rejects = "SELECT source_key, seq, field, rule FROM lienthong_reject WHERE system = :system"
        refused = Counter((str(k), int(s or 0), str(f), str(r)) for k, s, f, r in self._rows(rejects))
        effects = 'SELECT partition, "offset" FROM lienthong_effect WHERE topic = :topic'
        numbers = self.numbers()
        with self._source.connect() as connection:
            ids = frozenset(str(row[0]) for row in connection.execute(text(f"SELECT id FROM {TABLE}")))
        with self._consumer() as consumer:
            return [
                Observed(
                    layout=layout,
                    started_at=started_at,
                    rows=self._stored_rows(layout),
                    current=self._count(f"SELECT count(*) FROM {layout.table}_current"),
                    rejects=refused,
                    answers=self.answered(layout),
                    numbers=numbers,
                    source_ids=ids,
                    effects=Counter((int(p), int(o)) for p, o in self._rows(effects, topic=layout.topic)),
                    ends={part.partition: end for part, end in _ends(consumer, layout.topic).items()},
                )
                for layout in LAYOUTS
            ]

    def _stored_rows(self, layout: Layout) -> dict[str, StoredRow]:
        found: dict[str, StoredRow] = {}
        columns = {name: name.lower() for name in layout.fields}
        with self._store.connect() as connection:
            for row in connection.execute(text(f"SELECT * FROM {layout.table}")).mappings():
                warned = row["lt_warnings"]
                found[row["lt_key"]] = StoredRow(
                    source_key=row["lt_source_key"],
                    seq=row["lt_seq"],
                    fields={name: row[column] for name, column in columns.items()},
                    warnings=frozenset(warned.split(",")) if warned else frozenset(),
                    beside=json.loads(row["lt_overflow"] or "{}"),
                    contract=row["lt_contract"],
                    committed_at=row["lt_committed_at"],
                    applied_at=row["lt_applied_at"],
                    deleted_at=row["lt_deleted_at"],
                )
        return found

    def _rows(self, query: str, **values: str) -> list[Any]:
        with self._store.connect() as connection:
            bound = {"system": SYSTEM} if ":system" in query else {}
            return list(connection.execute(text(query), bound | values))

    def _count(self, query: str) -> int:
        with suppress(OperationalError):  # the database is being restarted: part of the story
            self._last[query] = int(self._rows(query)[0][0])
        return self._last.get(query, 0)

    def _consumer(self) -> Any:
        return _Closing(
            KafkaConsumer(bootstrap_servers=self._broker, group_id=None, enable_auto_commit=False)
        )


class _Closing:
    """kafka-python's consumer as a context."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    def __enter__(self) -> Any:
        return self._consumer

    def __exit__(self, *_: object) -> None:
        self._consumer.close()


def _ends(consumer: Any, *topics: str) -> dict[TopicPartition, int]:
    """Where each partition of these topics ends now."""
    parts = [TopicPartition(t, p) for t in topics for p in sorted(consumer.partitions_for_topic(t) or ())]
    ends: dict[TopicPartition, int] = consumer.end_offsets(parts, timeout_ms=SILENCE_MS)
    return ends


def _message(record: Any) -> Message:
    headers = [(str(name), bytes(value)) for name, value in record.headers]
    seq = int(dict(headers)["seq"])
    return Message(partition=record.partition, key=record.key, seq=seq, value=record.value, headers=headers)


def numbers(ranges: str) -> Iterator[int]:
    """The numbers of a receipt: ``812-815,817``."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
