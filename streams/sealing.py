"""Seals the audit chain beside the road: lines are written with their rows and signed a moment later.

Whatever a worker leaves unsealed, killed or not, the next one seals; only one does so at a time.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import structlog

from consumers.audit_key import AuditKey, note_anchor, obtain_key, public_file
from consumers.auditing import AuditStore, Seal, Statement
from schemas.errors import SettingsError
from streams.looking import Looker
from streams.metrics import RoadMetrics

logger = structlog.get_logger(__name__)

SEAL_SECONDS = 1.0
MANY = 50_000  # lines; a seal of so many says that more may wait


def worker_key(file: Path) -> AuditKey:
    """The key of a worker, made if there is none. Raises ``SettingsError`` if it cannot be used."""
    key, is_new = obtain_key(file)
    if is_new:
        logger.info(
            "audit key made",
            key=key.id,
            file=str(file),
            next_step=f"give it to all workers of this store; keep {public_file(file).name} elsewhere",
        )
    return key


class Sealer(Looker):
    """One for a worker.

    Args:
        anchor: the file that remembers the last seal.
    """

    waiting = "sealing waits"

    def __init__(
        self,
        *,
        store: AuditStore,
        key: AuditKey,
        anchor: Path,
        metrics: RoadMetrics,
        executor: Executor,
        stop_the_line: Callable[[BaseException], None],
    ) -> None:
        super().__init__(seconds=SEAL_SECONDS, executor=executor, stop_the_line=stop_the_line)
        self._store = store
        self._key = key
        self._anchor = anchor
        self._metrics = metrics
        self._compared = False  # with the key of the last seal
        self._remembers = True

    async def look(self) -> bool:
        """Seal once; tell how old the oldest unsealed line is."""
        if not self._compared:
            await self._compare()
        made = await self._in_store(lambda: self._store.seal(self._key))
        lines = self._sealed(made) if made is not None else 0
        waits = await self._in_store(self._store.unsealed)
        self._metrics.unsealed_seconds.set(waits.oldest_seconds)
        return lines >= MANY

    async def _compare(self) -> None:
        last = await self._in_store(self._store.last_seal)
        self._compared = True
        if last is not None and last.key != self._key.id:
            logger.warning(
                "the audit chain was sealed with another key until now",
                before=last.key,
                now=self._key.id,
                next_step="give all workers the same LIENTHONG_AUDIT_KEY; keep the old key to verify",
            )

    def _sealed(self, made: Seal) -> int:
        try:
            note_anchor(self._anchor, made.anchor)
        except SettingsError as error:
            if self._remembers:
                logger.warning("the last seal is not remembered outside the store", why=error.message)
            self._remembers = False
        lines = Statement.parse(made.statement).lines
        self._metrics.sealed.inc(lines)
        return lines
