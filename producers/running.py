"""Puts a relay together from settings and runs it until the process is told to end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from producers.clock import SystemClock
from producers.envelope import Encoder
from producers.install import definitions_agree
from producers.metrics import CaptureMetrics, serve_metrics
from producers.opening import open_outbox
from producers.outbox import Outbox, State
from producers.publisher import Publisher
from producers.relay import Prepare, Relay, RelayOptions
from producers.settings import RelaySettings
from schemas.errors import LienthongError
from schemas.library import Library, load_library
from schemas.stopping import stop_on_signal

logger = structlog.get_logger(__name__)


def run_relay(settings: RelaySettings) -> None:
    """Run until SIGTERM or SIGINT. Raises what ``Relay.run`` raises."""
    stop = stop_on_signal()
    outbox = open_outbox(settings.source)
    publisher = Publisher(settings.broker, client_id="lienthong-capture")
    registry = CollectorRegistry()
    metrics = CaptureMetrics(registry)
    port = serve_metrics(registry, settings.metrics_port)
    logger.info("metrics", address=f"http://127.0.0.1:{port}/metrics")
    relay = Relay(
        outbox,
        publisher,
        preparing(settings.contract_folders, publisher),
        metrics,
        clock=SystemClock(),
        options=RelayOptions(keep_days=settings.keep_days, stall_seconds=settings.stall_seconds),
    )
    relay.run(stop)
    logger.info("ended")


def preparing(folders: Sequence[Path], publisher: Publisher) -> Prepare:
    """What gives a relay its encoders: each dataset needs its contract, its schema id and its topic.

    Contracts are read now, and again when they do not fit what is installed: somebody who has changed both
    need not restart the relay. A dataset that lacks something is told, and keeps no other from its way.
    """
    library = load_library(folders)

    def prepare(outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        nonlocal library
        encoders, problems = _encoders(library, outbox, states)
        if problems:
            library = load_library(folders)
            encoders, problems = _encoders(library, outbox, states)
        missing = publisher.missing([encoder.topic for encoder in encoders.values()]) if encoders else []
        if missing:
            encoders = {name: one for name, one in encoders.items() if one.topic not in missing}
            problems.append(
                LienthongError(
                    f"the broker has no topic {', '.join(missing)}", next_step="run: lienthong road topics"
                )
            )
        if not encoders and not problems:
            raise LienthongError(
                f"nothing is captured in the database {outbox.database}",
                next_step="run: lienthong capture install <system>/<dataset>",
            )
        last = None if encoders else problems.pop()
        for problem in problems:
            logger.error("cannot be relayed as it is", why=problem.message, next_step=problem.next_step)
        if last:
            raise last
        return encoders

    return prepare


def _encoders(
    library: Library, outbox: Outbox, states: Sequence[State]
) -> tuple[dict[str, Encoder], list[LienthongError]]:
    encoders, problems = {}, []
    for state in states:
        try:
            if state.captured:
                encoders[state.capture.dataset] = _encoder(library, outbox, state)
        except LienthongError as problem:
            problems.append(problem)
    return encoders, problems


def _encoder(library: Library, outbox: Outbox, state: State) -> Encoder:
    dataset = state.capture.dataset
    contract = library.contracts.get(dataset)
    if contract is None:
        raise LienthongError(
            f"{dataset} is captured in the database {outbox.database}, but the library has no such contract",
            next_step="name its folder in LIENTHONG_CONTRACTS, or run: lienthong capture uninstall",
        )
    if not definitions_agree(contract, state.capture):
        raise LienthongError(
            f"{dataset}: the triggers were made for another table, key or columns than the contract's",
            next_step=f"run: lienthong capture install {dataset}",
        )
    if not state.in_place:
        raise LienthongError(
            f"{dataset}: triggers of table {contract.table} are gone or disabled; changes were missed",
            next_step=f"run: lienthong capture install --snapshot {dataset}",
        )
    return Encoder(
        contract,
        library.registry.current(contract.subject),
        connector=outbox.connector,
        database=outbox.database,
    )
