"""Whether a reader of a log to whom nothing comes stands at its end, or cannot hear any more.

A client of kafka-python 3.0.12 can go deaf for good: nothing comes, and no error tells it. So it was seen of
a producer after its broker had come back, and of a consumer of which partitions had been paused; a consumer
whose loop that refreshes metadata has ended is refused for its old leader epoch for ever. Silence alone does
not tell it, for a log without news is silent too.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

Part = TypeVar("Part", bound=Hashable)

#: Longer than a healthy client needs to find a broker that is back.
SILENCE_SECONDS = 15.0


class Hearing(Generic[Part]):
    """One for each client. ``now``: seconds of any clock that does not go back."""

    def __init__(self, now: float) -> None:
        self._asked = now
        self._before: Mapping[Part, int | None] = {}

    def heard(self, now: float) -> None:
        """Something came."""
        self._asked, self._before = now, {}

    def deaf(
        self,
        now: float,
        places: Callable[[], Mapping[Part, int | None]],
        ends: Callable[[], Mapping[Part, int]],
    ) -> bool:
        """Nothing came and nothing will: a part goes on behind its place, which stands since last asked.

        Args:
            places: the offset to go on from in each part, None if the client could not learn it.
            ends: where each of these parts ends. Like ``places`` it is asked once in ``SILENCE_SECONDS``,
                and what it raises is raised.
        """
        if now - self._asked < SILENCE_SECONDS:
            return False
        self._asked = now
        ends_now = ends()
        waiting = {part: place for part, place in places().items() if (place or 0) < ends_now.get(part, 0)}
        deaf = any(part in self._before and self._before[part] == place for part, place in waiting.items())
        self._before = waiting
        return deaf
