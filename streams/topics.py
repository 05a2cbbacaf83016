"""The topics a contract library needs, and how they are created."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.brokers import require_listener
from schemas.errors import LienthongError, TryAgain
from schemas.library import Library

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

PARTITIONS = 3  # as many workers can share one dataset; changing it later would break order per key
HEARSAY_SECONDS = 60.0  # until the broker we ask knows of a topic that was just made
WEEK_MS = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """One topic as it should be."""

    name: str
    partitions: int
    settings: tuple[tuple[str, str], ...]


def plan_topics(library: Library) -> list[TopicPlan]:
    """Province, national, rejected and receipts topics of all contracts, in name order.

    Retention is by time and long enough for a worker's week of holidays; nothing is compacted,
    because a receipt needs every version.
    """
    # By the time of arrival: a relay that was off for a week must not publish what counts as expired.
    flowing = (("message.timestamp.type", "LogAppendTime"), ("retention.ms", str(WEEK_MS)))
    for_ever = (("retention.ms", "-1"),)
    plans: dict[str, TopicPlan] = {}
    for contract in library.contracts.values():
        for name in (contract.topic, *(library.formats[t.format].topic for t in contract.targets)):
            plans[name] = TopicPlan(name=name, partitions=PARTITIONS, settings=flowing)
        for name in (f"rejected.{contract.system}", f"receipts.{contract.system}"):
            plans[name] = TopicPlan(name=name, partitions=1, settings=for_ever)
    plans["rejected.national"] = TopicPlan(name="rejected.national", partitions=1, settings=for_ever)
    return [plans[name] for name in sorted(plans)]


def create_topics(broker: str, plans: Iterable[TopicPlan], *, replication: int) -> list[str]:
    """Create what is missing and return the names created; existing topics are left as they are.

    Raises:
        TryAgain: the broker is away.
        SettingsError: its address is none.
        LienthongError: the broker refuses, for example for too few brokers.
    """
    # A worker only plans topics, and has no use for kafka-python.
    from kafka.admin import KafkaAdminClient, NewTopic
    from kafka.errors import KafkaError, TopicAlreadyExistsError

    require_listener(broker)
    created: list[str] = []
    try:
        admin = KafkaAdminClient(bootstrap_servers=broker, client_id="lienthong-topics")
    except KafkaError as error:
        raise TryAgain(
            f"the broker {broker} does not answer", next_step="start it, or set LIENTHONG_BROKER"
        ) from error
    try:
        existing = set(admin.list_topics())
        for plan in plans:
            if plan.name in existing:
                continue
            topic = NewTopic(
                name=plan.name,
                num_partitions=plan.partitions,
                replication_factor=replication,
                topic_configs=dict(plan.settings),
            )
            try:
                admin.create_topics([topic])
            except TopicAlreadyExistsError:
                continue
            created.append(plan.name)
        _wait_until_told(admin, created)
    except KafkaError as error:
        raise LienthongError(
            f"the broker {broker} refused a topic: {type(error).__name__}",
            next_step="check --replication against the number of brokers",
        ) from error
    finally:
        admin.close()
    return created


def _wait_until_told(admin: "KafkaAdminClient", created: Iterable[str]) -> None:
    """Return when the broker names them: the controller has made them before a busy broker hears of it."""
    deadline = time.monotonic() + HEARSAY_SECONDS
    while set(created) - set(admin.list_topics()) and time.monotonic() < deadline:
        time.sleep(0.1)
