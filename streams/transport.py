"""Faust's Kafka transport, carrying one event for all that a fetch took of a topic.

Faust does 4,000 to 13,000 events a second whatever the agent does; with the batches of a topic as the
event its share is below a microsecond a record under load, and few records a fetch stay cheap. Faust
keeps assignment, rebalancing, agents and lifecycle.
Reading starts where the ledger says (``streams.claims``), never where Kafka's offsets say.

To import this replaces two internals of aiokafka in the whole process: ``PartitionRecords._consumer_record``,
because an object for each record costs as much as fetching it, and the ``Fetcher`` of its consumers, because
it names every idle partition in each fetch. So aiokafka's version is pinned (``pyproject.toml``), and
``tests/unit`` and ``tests/integration/test_fetch_sessions.py`` hold the fetcher against it.
"""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, cast

import aiokafka.consumer.consumer
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import OffsetOutOfRangeError
from faust import Schema
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage, Message

from consumers.store import Position
from streams.batch import Batch, Record
from streams.claims import Claims, Fetched
from streams.fetch_sessions import SessionFetcher

FETCH_WAIT_SECONDS = 0.5
FETCH_EVERY_SECONDS = 0.01  # at most; what comes in between comes together
FETCH_WAIT_WHILE_FULL_SECONDS = 0.03  # soon look again whether a full partition has room
NOTHING_READY_SECONDS = 0.02


def _as_parsed(_records: PartitionRecords, _partition: TopicPartition, record: Any) -> Any:
    """The record as aiokafka's parser made it, which is a ``streams.batch.Record`` already.

    To make a ``ConsumerRecord`` of it costs as much again as fetching and parsing.
    """
    return record


PartitionRecords._consumer_record = _as_parsed
aiokafka.consumer.consumer.Fetcher = SessionFetcher


class PassThrough(Schema):  # type: ignore[type-arg]
    """A batch is decoded by its agent, in columns; Faust hands it on as it is."""

    def compile(self, app: AppT, **_: Any) -> Any:
        """The decode function Faust calls for each message."""
        create_event = app.create_event

        async def decode(message: Message, *, propagate: bool = False) -> Any:
            return create_event(message.key, message.value, message.headers, message)

        return decode


class _Unknown(dict[Any, Any]):
    """Answers None to every key: Faust would drop what we read again after a backward seek."""

    def __getitem__(self, key: Any) -> None:
        return None

    def __setitem__(self, key: Any, value: Any) -> None:
        return None

    def update(self, *args: Any, **kwargs: Any) -> None:
        return None


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """The consumer's own thread, with fetch settings for batches."""

    _told: Collection[TopicPartition] = ()
    _assigned: set[TP] = set()  # noqa: RUF012 - replaced, never changed

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",  # "earliest" would skip what retention deleted, silently
            isolation_level="read_committed",  # what a transactional source took back was never said
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=100,  # the driver's 1,500 holds back a partition that becomes ready
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=10_000,
            retry_backoff_ms=200,
        )

    def generation(self) -> int | None:
        """The group's generation if we are a settled member of it right now."""
        consumer = self._consumer
        if consumer is None:
            return None
        coordinator = consumer._coordinator
        subscription = consumer._subscription.subscription
        settled = (
            subscription is not None
            and not coordinator.need_rejoin(subscription)
            and coordinator.coordinator_id is not None
            and coordinator.generation > 0
            and coordinator.generation == self.app.consumer_generation_id
        )
        return int(coordinator.generation) if settled and not self.app.rebalancing else None

    def broker_known(self) -> bool:
        """Whether the group's coordinator answers; False while the broker is away."""
        # The consumer is there some moments before it is started and has a coordinator.
        coordinator = self._consumer._coordinator if self._consumer is not None else None
        return coordinator is not None and coordinator.coordinator_id is not None

    def leaderless(self, positions: Iterable[Position]) -> set[Position]:
        """Those that no broker leads, as the last metadata told."""
        leader = self._ensure_consumer()._client.cluster.leader_for_partition
        return {one for one in positions if leader(one) in (None, -1)}

    def assignment(self) -> set[TP]:
        """What is assigned. Faust asks for each partition it commits, and makes the set anew each time."""
        told = self._ensure_consumer().assignment()
        if told is not self._told:
            self._told, self._assigned = told, ensure_TPset(told)
        return self._assigned

    async def fetch(
        self, wanted: set[Position], seconds: float, at_most: int | None
    ) -> dict[Position, Fetched]:
        """What came for these partitions, with the consumer's positions before and after.

        Those at which nothing moved are left out: a worker with a whole province has hundreds of them.
        """
        consumer = self._ensure_consumer()
        # Of hundreds of partitions: to look each up by its name, twice a fetch, takes long.
        states = self._states()
        before = [state._position for state in states.values()]
        most = at_most or consumer._max_poll_records
        # Faust's TP and a position are equal tuples; to make one of the other, hundreds of times, takes long.
        fetching = self._fetch_records(consumer, cast("set[TP]", wanted), timeout=seconds, max_records=most)
        records = cast("dict[Position, list[Record]]", await fetching)
        moved = [
            (position, state, begun)
            for (position, state), begun in zip(states.items(), before, strict=True)
            if state._position != begun
        ]
        return {
            position: Fetched(records.get(position, ()), begun, state._position)
            for position, state, begun in moved
            if state._position is not None and position in wanted
        }

    def ends(self) -> dict[Position, int | None]:
        """The logs' ends as the last fetches told them; None before the first one."""
        return {position: state.lso for position, state in self._states().items()}

    def _states(self) -> Mapping[Position, Any]:
        """Of what is assigned. Its methods would cost as much again as the rest, for each partition."""
        subscription = self._consumer._subscription.subscription if self._consumer is not None else None
        assignment = subscription.assignment if subscription is not None else None
        return cast("Mapping[Position, Any]", assignment._tp_state) if assignment is not None else {}

    async def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Set positions; must run in this thread's loop."""
        for tp, offset in offsets.items():
            self._ensure_consumer().seek(TopicPartition(tp.topic, tp.partition), offset)


class BatchConsumer(driver.Consumer):
    """One event per topic and fetch: its batches, read from the ledger's offsets, few of them in flight."""

    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Unknown()
        self._next_fetch = 0.0

    @property
    def claims(self) -> Claims:
        """The worker's claims; set by ``streams.worker`` on the app."""
        return cast(Claims, self.app.claims)  # type: ignore[attr-defined]

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's name
        await asyncio.sleep(max(0.0, self._next_fetch - time.monotonic()))
        self._next_fetch = time.monotonic() + FETCH_EVERY_SECONDS
        ready, full = self.claims.ready(cast("Collection[Position]", active_partitions or ()))
        if not ready:
            await asyncio.sleep(NOTHING_READY_SECONDS)
            return {}
        wait = FETCH_WAIT_WHILE_FULL_SECONDS if full else FETCH_WAIT_SECONDS
        try:
            fetched = await self._thread.call_thread(
                self._thread.fetch, set(ready), wait, self.claims.at_most(ready)
            )
        except OffsetOutOfRangeError as error:
            self.claims.forget(_positions(error.args[0] if error.args else ready))
            return {}
        taken: dict[str, tuple[TP, list[Batch]]] = {}  # of each topic, in the name of one of its partitions
        for position, one in fetched.items():
            batch = self.claims.batch(position, ready[position], one)
            if batch is not None:
                tp = TP(*position)
                taken.setdefault(tp.topic, (tp, []))[1].append(batch)
                self._acked.setdefault(tp, [])  # so that its offset, too, is told to Kafka
        return {tp: [batches] for tp, batches in taken.values()}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        batches: list[Batch] = record
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batches[0].start,
            batches[0].records[0].timestamp / 1000,
            0,
            None,
            None,
            cast(bytes, batches),
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Nothing: a partition is sought when it is claimed, outside Faust's recovery."""
        return {}

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        return None

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.claims.committed(Position(topic=tp.topic, partition=tp.partition))

    # --- what the claims need of the log ---------------------------------------------------------

    async def bounds(self, positions: Collection[Position]) -> Mapping[Position, tuple[int, int]]:
        """First offset still there and offset after the last, for each position."""
        tps = [TP(p.topic, p.partition) for p in positions]
        first = await self._thread.earliest_offsets(*tps)
        last = await self._thread.highwaters(*tps)
        begin = {(tp.topic, tp.partition): offset for tp, offset in first.items()}
        end = {(tp.topic, tp.partition): offset for tp, offset in last.items()}
        return {p: (begin[p.topic, p.partition], end[p.topic, p.partition]) for p in positions}

    async def seek_offsets(self, offsets: Mapping[Position, int]) -> None:
        """Read each position from this offset on."""
        tps = {TP(p.topic, p.partition): offset for p, offset in offsets.items()}
        await self._thread.call_thread(self._thread.seek_all, tps)

    def generation(self) -> int | None:
        """The group's generation, or None while (re)joining or without a coordinator."""
        return self._thread.generation()

    def broker_known(self) -> bool:
        """Whether the group's coordinator answers."""
        return self._thread.broker_known()

    def leaderless(self, positions: Iterable[Position]) -> set[Position]:
        """Those that no broker leads, as the last metadata told."""
        return self._thread.leaderless(positions)

    def ends(self) -> Mapping[Position, int | None]:
        """The logs' ends as the last fetches told them; None before the first one."""
        return self._thread.ends()


class Transport(driver.Transport):
    """Registered as ``batch://`` by ``streams.lanes``."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer


def _positions(tps: Iterable[Any]) -> list[Position]:
    return [Position(tp.topic, tp.partition) for tp in tps]
