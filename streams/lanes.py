"""A lane: one member of a consumer group as Faust runs it, and how it does."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers import TRANSPORTS
from yarl import URL

from consumers.store import Position
from schemas.errors import LienthongError, StopTheLine, TryAgain
from streams.claims import Claims
from streams.metrics import RoadMetrics
from streams.mill import Mill
from streams.transport import BatchConsumer, PassThrough

logger = structlog.get_logger(__name__)

POLL_RECORDS = 8_000  # enough for a whole lot at a time: with a quarter of it sync worked on half lots
BROKER_AWAY = "the broker does not answer"
SLOW_SECONDS = 60.0  # of one lot while others move: one statement may take 30, and they share the store


class RoadApp(faust.App):
    """A Faust app that knows the worker's claims (``streams.transport`` reads them)."""

    claims: Claims


class ConsumerLog:
    """The claims' view of the Kafka consumer, which exists only once the app runs."""

    def __init__(self, app: RoadApp) -> None:
        self._app = app

    @property
    def _consumer(self) -> BatchConsumer:
        return cast(BatchConsumer, self._app.consumer)

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        try:
            return await self._consumer.bounds(positions)
        except KafkaError as error:  # also what aiokafka raises after 30 s without an answer
            raise understood(error) from error

    async def seek(self, offsets: Mapping[Position, int]) -> None:
        await self._consumer.seek_offsets(offsets)

    def generation(self) -> int | None:
        return self._consumer.generation()

    def leaderless(self, positions: Iterable[Position]) -> set[Position]:
        return self._consumer.leaderless(positions)


@dataclass(slots=True, kw_only=True)
class Lane:
    """One member of a consumer group: the road's own, or an inbound contract's, which has its own offsets."""

    app: RoadApp
    claims: Claims
    mills: list[Mill[Any]]

    @property
    def consumer(self) -> BatchConsumer:
        """There is one once the app runs."""
        return cast(BatchConsumer, self.app.consumer)


def road_app(name: str, *, broker: str, client_id: str, home: str) -> RoadApp:
    """The Faust app of one lane, see ``Lane``; ``home``: a folder for table state that we do not have."""
    TRANSPORTS.aliases["batch"] = "streams.transport:Transport"
    return RoadApp(
        f"{name.replace('/', '-')}-road",
        broker=[URL(f"batch://{server.strip()}") for server in broker.split(",")],
        broker_client_id=client_id,
        store="memory://",
        datadir=home,
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        broker_session_timeout=10.0,
        broker_rebalance_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_request_timeout=30.0,
        broker_max_poll_records=POLL_RECORDS,
        broker_max_poll_interval=600.0,
        broker_commit_interval=5.0,
        consumer_max_fetch_size=1024 * 1024,
        loghandlers=[],
    )


def feed(app: RoadApp, name: str, topics: Iterable[str], mill: Mill[Any]) -> None:
    """Give a mill what comes of these topics, by an agent of this name."""
    channel = app.topic(*topics, schema=PassThrough(), internal=False)

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            for batch in event.value:
                mill.offer(batch)  # never raises: an exception that leaves an agent loses data

    app.agent(channel, name=name, concurrency=1)(agent)


def gauges(lanes: Sequence[Lane], metrics: RoadMetrics) -> list[int]:
    """Set a worker's gauges; gives how many records wait, by lane. Of two readers of a topic, the later."""
    lags: dict[Position, int] = {}
    waits: dict[Position, float] = {}
    behind: list[int] = []
    for lane in lanes:
        mine: dict[Position, int] = {}
        ends = lane.consumer.ends()
        for position, held in lane.claims.held.items():
            end = ends.get(position)
            # What the consumer stepped over without a record (markers of transactions) is not waited for.
            done = held.committed if held.fetched else held.position
            mine[position] = max(0, end - done) if end is not None else 0
        paused = lane.claims.closed
        behind.append(sum(lag for position, lag in mine.items() if position.topic not in paused))
        lags |= {position: max(lag, lags.get(position, 0)) for position, lag in mine.items()}
        for position, seconds in lane.claims.waiting_seconds().items():
            waits[position] = max(seconds, waits.get(position, 0.0))
    metrics.lag.tell(lags)
    metrics.lag_seconds.tell(waits)
    metrics.partitions_held.set(sum(len(lane.claims.held) for lane in lanes))
    metrics.partitions_halted.set(sum(len(lane.claims.halted) for lane in lanes))
    metrics.claim_failures.set(sum(lane.claims.failures for lane in lanes))
    metrics.broker_up.set(int(broker_answers(lanes)))
    metrics.store_up.set(int(not any(mill.trouble for lane in lanes for mill in lane.mills)))
    return behind


def moves(lane: Lane, behind: int) -> bool:
    """Whether a lane goes on, or has nothing to do."""
    now = time.monotonic()
    recent = now - max(mill.last_progress for mill in lane.mills) < 5.0
    busy = [mill for mill in lane.mills if not mill.idle]
    stuck = any(now - mill.last_progress > 5.0 or now - mill.waits_since > SLOW_SECONDS for mill in busy)
    calm = lane.consumer.broker_known() and not lane.app.rebalancing and not lane.claims.oldest_wait()
    return not stuck and calm and (recent or not behind)


def reason(lanes: Sequence[Lane]) -> str:
    """Why nothing moves, for people."""
    troubles = [mill.trouble for lane in lanes for mill in lane.mills if mill.trouble]
    if troubles:
        return troubles[0]
    if any(lane.app.rebalancing for lane in lanes):
        return "the consumer group is still rebalancing"
    if any(lane.claims.oldest_wait() for lane in lanes):
        return "assigned partitions could not be claimed"
    return "records wait but none moves" if broker_answers(lanes) else BROKER_AWAY


def broker_answers(lanes: Sequence[Lane]) -> bool:
    """Whether the broker answers all lanes."""
    return all(lane.consumer.broker_known() for lane in lanes)


def tell_broker(lanes: Sequence[Lane], before: bool | None) -> bool | None:
    """Log that the broker went away, or is back: aiokafka only waits, so no hop has anything to tell.

    ``before`` and what it gives: whether the broker answers; None: it did not yet, for lanes that have just
    been started are still looking for it.
    """
    if broker_answers(lanes):
        if before is False:
            logger.info("the broker answers again")
        return True
    if before:
        logger.warning(
            BROKER_AWAY,
            next_step="start the brokers, or see their logs; after LIENTHONG_STALL_SECONDS the worker ends",
        )
    return None if before is None else False


def understood(error: BaseException) -> LienthongError:
    """An error as one of ours: what comes from the network may pass, anything else wants a person."""
    if isinstance(error, LienthongError):
        return error
    if isinstance(error, KafkaError | OSError):
        return TryAgain(
            f"the broker cannot be used: {type(error).__name__}", next_step="see the broker's log"
        )
    return StopTheLine(f"unexpected {type(error).__name__} in the worker", next_step="see the log above")
