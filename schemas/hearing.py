"""Whether a part of a log of which nothing comes stands at its end, or its reader cannot hear it any more.

A client of kafka-python 3.0.12 can go deaf for good: nothing comes, and no error tells it. So it was seen of
a producer after its broker had come back, and of a consumer of which partitions had been paused; a consumer
whose loop that refreshes metadata has ended is refused for its old leader epoch for ever. Silence alone does
not tell it, for a part without news is silent too.
"""

from collections.abc import Callable, Hashable, Mapping, Sized
from typing import Generic, TypeVar

Part = TypeVar("Part", bound=Hashable)

#: Longer than a healthy client needs to find a broker that is back.
SILENCE_SECONDS = 15.0
#: Between two looks while others flow; each asks the broker.
FLOWING_SECONDS = 60.0


class Hearing(Generic[Part]):
    """One for each client. ``now``: seconds of any clock that does not go back."""

    def __init__(self, now: float) -> None:
        self._asked = self._heard = now
        self._before: dict[Part, int | None] = {}  # what waited when last asked, and brought nothing since
        self._all = True  # the last poll brought all that the client had

    def heard(self, now: float, polled: Mapping[Part, Sized], most: int) -> None:
        """What a poll brought of each part, of ``most`` records at the most."""
        if polled:
            self._heard = now
        for part in polled:
            self._before.pop(part, None)
        self._all = sum(map(len, polled.values())) < most

    def deaf(
        self,
        now: float,
        places: Callable[[], Mapping[Part, int | None]],
        ends: Callable[[], Mapping[Part, int]],
    ) -> bool:
        """Nothing comes of a part and nothing will: the log goes on behind its place, which stands still.

        Never after a poll that was full: what came of a part may wait in the client behind a busy one.

        Args:
            places: the offset to go on from in each part, None if the client could not learn it.
            ends: where each of these parts ends. Like ``places`` it is asked once in ``SILENCE_SECONDS`` of
                silence, and once in ``FLOWING_SECONDS`` while others flow; what it raises is raised.
        """
        silent = now - self._heard >= SILENCE_SECONDS
        if not self._all or now - self._asked < (SILENCE_SECONDS if silent else FLOWING_SECONDS):
            return False
        self._asked = now
        ends_now = ends()
        waiting = {part: place for part, place in places().items() if (place or 0) < ends_now.get(part, 0)}
        deaf = any(part in self._before and self._before[part] == place for part, place in waiting.items())
        self._before = waiting
        return deaf
