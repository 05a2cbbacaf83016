"""The first snapshot: rows from before the triggers go into the outbox as op ``r``, chunk by chunk."""

from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Final

from producers.clock import Clock
from producers.outbox import Capture, Locked, Site, Slow

_LARGEST: Final = 2_000
#: So many rows may wait in the outbox: what the agency's disk must have room for.
MOST_WAITING: Final = 100_000
_TELL_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_SLOW_SECONDS: Final = 600.0  #: so long a single row may take too long each time: a disk may stall

Tell = Callable[[str], None]


def take_snapshot(
    site: Site, capture: Capture, *, progress: Callable[[int], None], tell: Tell, clock: Clock, stop: Event
) -> int:
    """Take up or begin a snapshot and bring it to its end; how many rows it wrote in all.

    May be ended at any point (``stop``, a crash) and taken up again: each chunk and how far it came are one
    transaction. Waits while rows are locked by others, or while the relay is far behind.

    Raises:
        TryAgain: the database is away or busy.
        LienthongError: the dataset is not installed.
    """
    written = site.begin_snapshot(capture)
    if written:
        tell(f"{capture.dataset}: an unfinished snapshot goes on after {written:,} rows")
    return written + write_on(
        lambda size: site.snapshot_chunk(capture, size),
        site.waiting,
        progress=lambda more: progress(written + more),
        tell=tell,
        clock=clock,
        stop=stop,
    )


def part_by_part(keys: Iterable[str], send: Callable[[Sequence[str]], int]) -> Callable[[int], int | None]:
    """The chunks, for ``write_on``, of records with these keys."""
    left = list(keys)

    def chunk(size: int) -> int | None:
        if not left:
            return None
        sent = send(left[:size])
        del left[:size]
        return sent

    return chunk


def write_on(
    chunk: Callable[[int], int | None],
    waiting: Callable[[int], int],
    *,
    progress: Callable[[int], None],
    tell: Tell,
    clock: Clock,
    stop: Event,
) -> int:
    """Write chunk after chunk into the outbox until there is none; how many rows.

    Args:
        chunk: writes so many rows at most; None at the end. Called again with fewer after ``Locked``.
        waiting: how many of the newest outbox rows wait to be published.
        progress: is told how many rows there are so far.
        tell: says to a person what is waited for.
        clock: of the pauses.
        stop: ends it early.

    Raises ``Slow`` if the database was long too slow for even one row at a time.
    """
    written = 0
    slow_since: float | None = None
    size = _LARGEST
    told_at = clock.monotonic() - _TELL_SECONDS
    look_at = clock.monotonic()
    while not stop.is_set():
        if clock.monotonic() >= look_at and waiting(2 * MOST_WAITING) >= MOST_WAITING:
            told_at = _tell(
                f"{MOST_WAITING:,} rows wait to be published; is lienthong capture run running?",
                tell,
                clock,
                told_at,
            )
            clock.pause(stop, 1.0)
            continue
        look_at = clock.monotonic() + _LOOK_SECONDS if clock.monotonic() >= look_at else look_at
        try:
            rows = chunk(size)
        except Locked as problem:
            slow = size == 1 and isinstance(problem, Slow)
            slow_since = (clock.monotonic() if slow_since is None else slow_since) if slow else None
            if slow_since is not None and clock.monotonic() - slow_since > _SLOW_SECONDS:
                raise
            # Somebody is changing a row of this chunk. Fewer rows at once are sooner free of others.
            if size == 1:
                why = "the database is slow" if slow else "a row is locked by another transaction"
                told_at = _tell(f"{why}; waiting", tell, clock, told_at)
            size = max(1, size // 4)
            clock.pause(stop, 0.2)
            continue
        if rows is None:
            return written
        written += rows
        size = min(_LARGEST, size * 2)
        progress(written)
    return written


def _tell(text: str, tell: Tell, clock: Clock, told_at: float) -> float:
    now = clock.monotonic()
    if now - told_at < _TELL_SECONDS:
        return told_at
    tell(text)
    return now
