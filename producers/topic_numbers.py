"""The highest numbers that topics hold, read from the ends of their partitions."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import AuthorizationError

logger = structlog.get_logger(__name__)

#: Of each partition: a change that was parked, or is published again, comes behind higher numbers.
_LAST: Final = 50
_SECONDS: Final = 10.0
_POLL_MS: Final = 500
_ANSWER_MS: Final = 10_000
_HIGHEST: Final = 2**53  #: no relay counts that far; a foreign record must not use up all numbers


def highest_numbers(broker: str, topics: Collection[str], *, client_id: str) -> Mapping[str, int]:
    """The highest number among the last records of each topic; none of a topic without numbered records.

    A relay that may not read its topics is told so, and goes on without. Raises ``KafkaError``.
    """
    found: dict[str, int] = {}
    consumer: Any = KafkaConsumer(
        bootstrap_servers=broker.split(","),
        client_id=client_id,
        group_id=None,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=10_000,
        metrics_enabled=False,
    )
    with closing(consumer):
        try:
            for record in _last_records(consumer, topics):
                number = _number(record.headers)
                if number > found.get(record.topic, 0):
                    found[record.topic] = number
        except AuthorizationError:
            logger.warning(
                "this relay may not read its topics, and cannot see whether numbers were given twice",
                next_step="allow its user to read the topics of its datasets",
            )
    return found


def _last_records(consumer: Any, topics: Collection[str]) -> Iterator[Any]:
    parts = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()]
    begins = consumer.beginning_offsets(parts, timeout_ms=_ANSWER_MS)
    ends = consumer.end_offsets(parts, timeout_ms=_ANSWER_MS)
    wanted = {part: end for part, end in ends.items() if end > begins[part]}
    consumer.assign(list(wanted))
    for part, end in wanted.items():
        consumer.seek(part, max(begins[part], end - _LAST))
    until = time.monotonic() + _SECONDS
    while wanted:
        for records in consumer.poll(timeout_ms=_POLL_MS).values():
            yield from records
        places = {part: consumer.position(part, timeout_ms=_ANSWER_MS) for part in wanted}
        wanted = {part: end for part, end in wanted.items() if places[part] < end}
        if time.monotonic() > until:
            logger.warning(
                "the ends of topics are not read in time; the numbers there are not looked at",
                partitions=len(wanted),
            )
            return


def _number(headers: Collection[tuple[str, bytes]]) -> int:
    """0 if there is none."""
    told = dict(headers).get("seq") or b""
    number = int(told) if told.isdigit() and len(told) < 20 else 0
    return number if number < _HIGHEST else 0
