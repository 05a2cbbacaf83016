"""What runs in a worker beside a translate mill: repairs, the flood breaker, the watch for gaps."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Protocol

from consumers.repairs import RepairStore
from schemas.library import Library
from streams.breaker import Breakers, Limits
from streams.claims import Claims, Log
from streams.gaps import GapWatch
from streams.mending import Mender
from streams.metrics import RoadMetrics
from streams.mill import Mill
from streams.publisher import Publisher
from streams.settings import RoadSettings
from streams.translate import TranslateHop


class Part(Protocol):
    """One of them. ``start`` on the main loop."""

    def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """Stop at once."""


async def parts(
    hop: TranslateHop,
    mill: Mill[Any],
    *,
    deployment: str,
    settings: RoadSettings,
    library: Library,
    store: RepairStore,
    claims: Claims,
    log: Log,
    publisher: Publisher,
    metrics: RoadMetrics,
    executor: Executor,
    stop_the_line: Callable[[BaseException], None],
) -> list[Part]:
    """Those of one translate hop; ``deployment``: its name in the ledger.

    Raises ``TryAgain`` if the store is away: a source that is paused must not be read before that is known.
    """
    common: dict[str, Any] = {
        "deployment": deployment,
        "store": store,
        "claims": claims,
        "metrics": metrics,
        "executor": executor,
        "stop_the_line": stop_the_line,
    }
    hop.breakers = Breakers(
        contracts={one.topic: one for one in hop.contracts},
        limits=Limits(
            share=settings.flood_share,
            window=settings.flood_window,
            consecutive=settings.flood_consecutive,
            pause_seconds=settings.flood_pause_seconds,
        ),
        discard=mill.discard,
        **common,
    )
    await hop.breakers.look()
    national = sorted({one.topic for one in library.formats.values()})
    mender = Mender(hop=hop, mill=mill, publisher=publisher, national=national, **common)
    # The numbers of a national topic are those of many sources.
    sources = [one for one in hop.contracts if one.source is None]
    return [hop.breakers, mender, GapWatch(contracts=sources, formats=library.formats, log=log, **common)]
