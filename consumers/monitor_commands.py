"""``lienthong monitor run``: eyes that need no worker and no relay to live."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import structlog
import typer
from prometheus_client import CollectorRegistry

from consumers.metrics import serve_metrics
from consumers.monitor_metrics import MonitorMetrics
from consumers.observer import Observer
from consumers.opening import open_store
from consumers.orphans import read_weights
from consumers.outboxes import OpenOutbox, open_outboxes
from consumers.outlook import look
from consumers.settings import MonitorSettings
from consumers.watcher import Watcher, monitor
from schemas.library import Library, load_library
from schemas.logs import configure_logs
from schemas.settings import load_settings
from schemas.stopping import stop_on_signal

logger = structlog.get_logger(__name__)


def monitor_app(open_outbox: OpenOutbox) -> typer.Typer:
    """The group ``lienthong monitor``; ``open_outbox`` comes from the room that knows outboxes."""
    app = typer.Typer(no_args_is_help=True, help="Watch the road: lag, states and their causes.")

    @app.command()
    def run(
        every: Annotated[float, typer.Option(help="Seconds between two looks.", min=5, max=50)] = 15.0,
        json_logs: Annotated[
            bool, typer.Option("--json-logs", help="One JSON object a line, for a log collector.")
        ] = False,
    ) -> None:
        """Serve lag, states and their causes for Prometheus until SIGTERM, though every worker be dead."""
        configure_logs(json_lines=json_logs)
        logging.getLogger("kafka").setLevel(logging.CRITICAL)  # the metrics tell that a broker is away
        settings = load_settings(MonitorSettings)
        read_weights(settings.orphan_weights)  # asked for in the background, where no error ends the process
        stop = stop_on_signal()
        registry = CollectorRegistry()
        metrics = MonitorMetrics(registry)
        library = load_library(settings.contract_folders)
        with watching(settings, library, open_outbox, orphans=True) as watcher:
            port = serve_metrics(registry, settings.metrics_port)
            logger.info("watching", metrics=f"http://127.0.0.1:{port}/metrics")
            monitor(watcher, metrics, every_seconds=every, language=settings.language, stop=stop)
        logger.info("ended")

    return app


@contextmanager
def watching(
    settings: MonitorSettings, library: Library, open_outbox: OpenOutbox, *, orphans: bool = False
) -> Iterator[Watcher]:
    """What looks at all that the settings name, with the orphan index if wanted; closed afterwards."""
    observer = Observer(
        library,
        deployment=settings.deployment,
        brokers=settings.broker,
        store=open_store(settings.store),
        outboxes=open_outboxes(settings.outboxes, open_outbox),
        outlook=(lambda: look(settings, library, datetime.now(UTC))) if orphans else None,
    )
    try:
        yield Watcher(observer)
    finally:
        observer.close()
