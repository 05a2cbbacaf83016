"""One worker process: Faust app, two mills, the answers publisher, the watchdog."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.transport.drivers import TRANSPORTS
from prometheus_client import CollectorRegistry
from yarl import URL

from consumers.audit_key import anchor_file
from consumers.metrics import serve_metrics
from consumers.opening import open_store
from consumers.repairs import RepairStore
from consumers.store import Position, inbound_name
from schemas.errors import LienthongError, StopTheLine, TryAgain
from schemas.library import Library, fingerprint_of, fingerprints
from streams.answers import AnswersPublisher
from streams.beside import Part, parts
from streams.claims import Claims
from streams.metrics import RoadMetrics
from streams.mill import Mill
from streams.publisher import Publisher
from streams.sealing import Sealer, worker_key
from streams.settings import RoadSettings
from streams.shelf import Shelf
from streams.stepping import Stepper
from streams.sync import SyncHop
from streams.topics import plan_topics
from streams.translate import TranslateHop
from streams.transport import BatchConsumer, PassThrough
from streams.unread import Unread
from streams.watchdog import Watchdog, end_process

logger = structlog.get_logger(__name__)

POLL_RECORDS = 8_000  # enough for a whole lot at a time: with a quarter of it sync worked on half lots
STOP_SECONDS = 10.0
GARBAGE_AFTER = 50_000  # objects; a search through so many young ones takes some milliseconds
STORE_THREADS = 6  # two mills, answers, claims, and room for one that waits


class RoadApp(faust.App):
    """A Faust app that knows the worker's claims (``streams.transport`` reads them)."""

    claims: Claims


class _Log:
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


class Worker:
    """Builds and runs one worker.

    Args:
        settings: addresses and limits.
        library: contracts, formats, code lists and schema ids.
        name: shown in logs and in the ledger, with a unique suffix.
        hops: which agents to run: ``translate``, ``sync``.
    """

    def __init__(self, settings: RoadSettings, library: Library, *, name: str, hops: Collection[str]) -> None:
        self._hops = hops
        self._settings = settings
        self._library = library
        self._name = f"{name}-{uuid.uuid4().hex[:8]}"
        self._taken = fingerprints(library, settings.contract_folders)
        self._registry = CollectorRegistry()
        self._metrics = RoadMetrics(self._registry)
        self._stop = asyncio.Event()
        self._fatal: BaseException | None = None

    async def run(self) -> None:
        """Run until a signal or an error that must end the process.

        Raises:
            LienthongError: why the worker ended; ``exit_code`` is the process's.
        """
        sys.setswitchinterval(0.0005)  # two threads share the interpreter better (measured in design.md)
        # Thousands of records come and go at a time, and none is part of a cycle: by default each few hundred
        # start a search for garbage, sometimes through all that the library loaded.
        gc.freeze()
        gc.set_threshold(GARBAGE_AFTER)
        settings = self._settings
        key = worker_key(settings.audit_key_file)
        store = open_store(settings.store, effect_log=settings.effect_log, audit_key=key)
        publisher = Publisher(settings.broker, client_id=self._name)
        # Faust wants a folder for table state that we do not have
        with contextlib.closing(store), tempfile.TemporaryDirectory(prefix="lienthong-") as home:
            store_threads = ThreadPoolExecutor(STORE_THREADS, "store")
            try:
                store.check(list(self._library.formats.values()))
                sealer = Sealer(
                    store=store,
                    key=key,
                    anchor=anchor_file(settings.audit_key_file, settings.store),
                    metrics=self._metrics,
                    executor=store_threads,
                    stop_the_line=self._end,
                )
                await self._assemble(home, store, publisher, store_threads, sealer)
            finally:
                store_threads.shutdown(wait=False, cancel_futures=True)
                with contextlib.suppress(Exception):
                    await publisher.stop()
        if self._fatal is not None:
            raise self._fatal

    # --- assembly ----------------------------------------------------------------------------------

    async def _assemble(
        self,
        home: str,
        store: RepairStore,
        publisher: Publisher,
        store_threads: ThreadPoolExecutor,
        sealer: Sealer,
    ) -> None:
        settings, metrics = self._settings, self._metrics
        await publisher.start()
        await publisher.require([plan.name for plan in plan_topics(self._library)])
        common: dict[str, Any] = {
            "library": self._library,
            "store": store,
            "publisher": publisher,
            "metrics": metrics,
            "executor": store_threads,
            "stop_the_line": self._end,
        }
        shelf = Shelf(
            library=self._library,
            folders=settings.contract_folders,
            taken=self._taken,
            metrics=metrics,
            executor=store_threads,
            stop_the_line=self._end,
        )
        beside: list[Part] = [AnswersPublisher(**common), sealer, shelf]
        lanes: list[Lane] = []
        for name, hops in self._readers(store, publisher, store_threads).items():
            app = self._app(name, home)
            log = _Log(app)
            claims = app.claims = Claims(
                store=store,
                deployment=name,
                owner=self._name,
                log=log,
                executor=store_threads,
                library=fingerprint_of(self._taken),
            )
            looking: dict[str, Any] = {
                "claims": claims,
                "store": store,
                "executor": store_threads,
                "stop_the_line": self._end,
            }
            beside.append(Stepper(deployment=name, **looking))
            lane = Lane(app=app, claims=claims, mills=[])
            lanes.append(lane)
            for hop in hops:
                mill = Mill[Any](hop, claims=claims, metrics=metrics, stop_the_line=self._end)
                lane.mills.append(mill)
                self._agent(app, hop, mill)
                if isinstance(hop, TranslateHop):
                    beside += await parts(
                        hop, mill, deployment=name, settings=settings, claims=claims, log=log, **common
                    )
                else:
                    beside.append(Unread(hop=hop, **looking))
        watchdog = Watchdog(settings.stall_seconds, lambda: _reason(lanes))
        port = serve_metrics(self._registry, settings.metrics_port)
        logger.info("worker starting", worker=self._name, metrics=f"http://127.0.0.1:{port}/metrics")
        watchdog.start()
        try:
            await self._live(lanes, beside, watchdog)
        finally:
            watchdog.stop()

    def _readers(
        self, store: RepairStore, publisher: Publisher, store_threads: ThreadPoolExecutor
    ) -> dict[str, list[TranslateHop | SyncHop]]:
        """What reads beside each other, by its name in the ledger.

        An inbound contract reads a national topic that sync reads too, or another one; a new one begins at
        the topic's start. So each has offsets of its own, in a consumer group of its own.
        """
        library, deployment = self._library, self._settings.deployment
        common: dict[str, Any] = {
            "library": library,
            "store": store,
            "metrics": self._metrics,
            "executor": store_threads,
        }
        readers: dict[str, list[TranslateHop | SyncHop]] = {deployment: []}
        if TranslateHop.name in self._hops:
            served = {deployment: library.outbound}
            served |= {inbound_name(deployment, one.id): [one] for one in library.inbound}
            for name, contracts in served.items():
                hop = TranslateHop(
                    contracts=contracts,
                    deployment=name,
                    publisher=publisher,
                    fingerprints=self._taken,
                    **common,
                )
                readers.setdefault(name, []).append(hop)
        if SyncHop.name in self._hops:
            readers[deployment].append(SyncHop(deployment=deployment, **common))
        return readers

    def _app(self, name: str, home: str) -> RoadApp:
        TRANSPORTS.aliases["batch"] = "streams.transport:Transport"
        return RoadApp(
            f"{name.replace('/', '-')}-road",
            broker=[URL(f"batch://{server.strip()}") for server in self._settings.broker.split(",")],
            broker_client_id=self._name,
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

    @staticmethod
    def _agent(app: RoadApp, hop: TranslateHop | SyncHop, mill: Mill[Any]) -> None:
        channel = app.topic(*hop.topics, schema=PassThrough(), internal=False)

        async def agent(stream: Any) -> None:
            async for event in stream.events():
                for batch in event.value:
                    mill.offer(batch)  # never raises: an exception that leaves an agent loses data

        app.agent(channel, name=hop.name, concurrency=1)(agent)

    # --- life ----------------------------------------------------------------------------------------

    async def _live(self, lanes: Sequence[Lane], beside: Sequence[Part], watchdog: Watchdog) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop.set)
        for lane in lanes:
            lane.app.finalize()
            for mill in lane.mills:
                mill.start()
        for one in beside:
            one.start()
        starting = [loop.create_task(lane.app.start()) for lane in lanes]
        ticker = loop.create_task(self._tick(lanes, watchdog))
        for task in (*starting, ticker):
            task.add_done_callback(self._started)
        await self._stop.wait()
        logger.info("worker stopping", worker=self._name)
        deadline = loop.call_later(STOP_SECONDS, self._stop_took_too_long)
        ticker.cancel()
        for one in beside:
            await one.stop()
        for mill in [mill for lane in lanes for mill in lane.mills]:
            await mill.stop()
        for task in starting:
            if not task.done():
                task.cancel()
        await asyncio.gather(*(lane.app.stop() for lane in lanes))
        deadline.cancel()

    def _started(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        """Stop the process for this reason; only the first reason counts."""
        if self._fatal is None:
            self._fatal = understood(error)
            if self._fatal is not error:
                logger.error("unexpected error", exc_info=error)
        self._stop.set()

    def _stop_took_too_long(self) -> None:
        error = self._fatal
        code = error.exit_code if isinstance(error, LienthongError) else 0
        end_process(code, f"orderly stop took over {STOP_SECONDS:.0f} s; {error or 'ended by signal'}")

    async def _tick(self, lanes: Sequence[Lane], watchdog: Watchdog) -> None:
        """Once a second: gauges, the watchdog's beat, and whether Faust has crashed."""
        while True:
            await asyncio.sleep(1.0)
            for lane in lanes:
                if lane.app.crashed:
                    self._end(lane.app.crash_reason or StopTheLine("Faust crashed without a reason"))
            started = [lane for lane in lanes if lane.app.started]
            for lane in started:
                # While nothing is assigned Faust fetches nothing, and so nobody else asks the claims.
                if lane.consumer.generation() is not None and not lane.consumer.assignment():
                    lane.claims.ready(())
            behind = self._gauges(started)
            if len(started) == len(lanes) and all(
                _moves(lane, count) for lane, count in zip(lanes, behind, strict=True)
            ):
                watchdog.beat()

    def _gauges(self, lanes: Sequence[Lane]) -> list[int]:
        """Set them; gives for each lane how many records wait. Of two readers of a topic, the later."""
        metrics = self._metrics
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
        metrics.broker_up.set(int(all(lane.consumer.broker_known() for lane in lanes)))
        metrics.store_up.set(int(not any(mill.trouble for lane in lanes for mill in lane.mills)))
        return behind


def _moves(lane: Lane, behind: int) -> bool:
    """Whether a lane goes on, or has nothing to do."""
    now = time.monotonic()
    recent = now - max(mill.last_progress for mill in lane.mills) < 5.0
    stuck = any(not mill.idle and now - mill.last_progress > 5.0 for mill in lane.mills)
    calm = lane.consumer.broker_known() and not lane.app.rebalancing and not lane.claims.oldest_wait()
    return not stuck and calm and (recent or not behind)


def _reason(lanes: Sequence[Lane]) -> str:
    troubles = [mill.trouble for lane in lanes for mill in lane.mills if mill.trouble]
    if troubles:
        return troubles[0]
    if any(lane.app.rebalancing for lane in lanes):
        return "the consumer group is still rebalancing"
    if any(lane.claims.oldest_wait() for lane in lanes):
        return "assigned partitions could not be claimed"
    answers = all(lane.consumer.broker_known() for lane in lanes)
    return "records wait but none moves" if answers else "the broker does not answer"


def default_name() -> str:
    """The host's name: enough to find the machine in a ledger."""
    return socket.gethostname().split(".")[0]


def understood(error: BaseException) -> LienthongError:
    """An error as one of ours: what comes from the network may pass, anything else wants a person."""
    if isinstance(error, LienthongError):
        return error
    if isinstance(error, KafkaError | OSError):
        return TryAgain(
            f"the broker cannot be used: {type(error).__name__}", next_step="see the broker's log"
        )
    return StopTheLine(f"unexpected {type(error).__name__} in the worker", next_step="see the log above")


def told(error: LienthongError) -> str:
    """An error as two lines for people."""
    return f"{error.message}\nnext step: {error.next_step}" if error.next_step else error.message


def run_worker(settings: RoadSettings, library: Library, *, name: str, hops: Collection[str]) -> None:
    """Run a worker in this thread until it ends; see ``Worker.run``."""

    async def main() -> None:
        await Worker(settings, library, name=name, hops=hops).run()

    try:
        asyncio.run(main())
    except (TryAgain, StopTheLine) as error:
        end_process(error.exit_code, told(error))
