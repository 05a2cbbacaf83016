"""One worker process: Faust app, two mills, the answers publisher, the watchdog."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import tempfile
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from consumers.audit_key import anchor_file
from consumers.metrics import serve_metrics
from consumers.opening import open_store
from consumers.repairs import RepairStore
from consumers.store import inbound_name
from schemas.errors import LienthongError, StopTheLine, TryAgain
from schemas.library import Library, fingerprint_of, fingerprints
from streams.answers import AnswersPublisher
from streams.beside import Part, parts
from streams.claims import Claims
from streams.lanes import ConsumerLog, Lane, feed, gauges, moves, reason, road_app, tell_broker, understood
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
from streams.unread import Unread
from streams.watchdog import Watchdog, end_process

logger = structlog.get_logger(__name__)

STOP_SECONDS = 10.0
GARBAGE_AFTER = 50_000  # objects; a search through so many young ones takes some milliseconds
#: Two mills' lots, claims, answers and rejects, and room for an inbound contract's. Made as they are needed.
STORE_THREADS = 20


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
            app = road_app(name, broker=settings.broker, client_id=self._name, home=home)
            log = ConsumerLog(app)
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
                feed(app, hop.name, hop.topics, mill)
                if isinstance(hop, TranslateHop):
                    beside += await parts(
                        hop, mill, deployment=name, settings=settings, claims=claims, log=log, **common
                    )
                else:
                    beside.append(Unread(hop=hop, **looking))
        watchdog = Watchdog(settings.stall_seconds, lambda: reason(lanes))
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
        """Once a second: gauges, the watchdog's beat, and whether Faust has crashed or the broker is away."""
        answers: bool | None = None
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
            behind = gauges(started, self._metrics)
            if len(started) < len(lanes):
                continue
            answers = tell_broker(lanes, answers)
            if all(moves(lane, count) for lane, count in zip(lanes, behind, strict=True)):
                watchdog.beat()


def default_name() -> str:
    """The host's name: enough to find the machine in a ledger."""
    return socket.gethostname().split(".")[0]


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
