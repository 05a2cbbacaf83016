"""Going on behind a loss, by a person's word."""

from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from consumers.brokers import require_listener
from consumers.store import NationalStore, Position, inbound_name
from schemas.errors import LienthongError, TryAgain
from streams.settings import RoadSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A person's word."""

    who: str
    why: str


def accept(
    store: NationalStore,
    settings: RoadSettings,
    position: Position,
    *,
    inbound: str | None = None,
    anew: bool = False,
    deed: Deed | None = None,
) -> str:
    """Move the ledger to where the log can be read again; returns what was (or would be) done.

    Args:
        inbound: the contract whose reader lost records, and not the road's own.
        anew: the topic was made anew, and may have grown past the ledger since; nobody can tell from offsets.
        deed: who takes the loss on himself, noted in the audit log; None: it is only told.

    Raises:
        LienthongError: the ledger does not know the partition, or nothing is lost there.
        TryAgain: the broker or the store is away.
        SettingsError: the address of one of them is none.
    """
    reader = settings.deployment if inbound is None else inbound_name(settings.deployment, inbound)
    ledger = {row.position: row.next_offset for row in store.ledger(reader)}
    stands = ledger.get(position)
    name = f"{position.topic} {position.partition}"
    if stands is None:
        raise LienthongError(
            f"the ledger of {reader} has no position for {name}",
            next_step="see the names in the worker's log, or: lienthong store status",
        )
    begin, end = _bounds(settings.broker, position)
    if begin <= stands <= end and not anew:
        raise LienthongError(f"nothing is lost in {name}: the ledger's offset {stands} can be read")
    lost = (
        f"{begin - stands} records ({stands} to {begin - 1}) are gone"
        if stands < begin and not anew
        else "the topic was made anew"
    )
    if deed is not None:
        store.accept_loss(reader, position, expected=stands, offset=begin, who=deed.who, why=deed.why)
        return f"{name}: {lost}; the ledger now stands at {begin}. Running workers go on within 15 seconds."
    return f"{name}: {lost}; --yes moves the ledger from {stands} to {begin}."


def _bounds(broker: str, position: Position) -> tuple[int, int]:
    require_listener(broker)
    partition = TopicPartition(position.topic, position.partition)
    try:
        consumer = KafkaConsumer(bootstrap_servers=broker.split(","), request_timeout_ms=10_000)
    except KafkaError as error:
        raise TryAgain(
            f"the broker {broker} does not answer", next_step="start it, or set LIENTHONG_BROKER"
        ) from error
    try:
        begin = consumer.beginning_offsets([partition])[partition]
        end = consumer.end_offsets([partition])[partition]
    except KafkaError as error:
        raise LienthongError(
            f"the broker knows no partition {position.partition} of {position.topic}",
            next_step="create the topic: lienthong road topics",
        ) from error
    finally:
        consumer.close()
    return int(begin), int(end)
