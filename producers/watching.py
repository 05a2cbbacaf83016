"""What a monitor may see of an agency's outbox: where each dataset stands, and what time it is there."""

from dataclasses import dataclass

from producers.opening import open_site
from producers.outbox import Site, State
from schemas.errors import LienthongError


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at one database."""

    states: list[State]  #: of datasets that are captured
    now_ms: int  #: by the database's clock


class Watch:
    """Looks at one database over one connection, made again after an error. For one thread at a time."""

    def __init__(self, url: str) -> None:
        self._site: Site = open_site(url)

    def look(self) -> Look:
        """Raises ``LienthongError`` if the database is away, or nothing is captured in it."""
        try:
            states = [one for one in self._site.states() if one.captured]
            now_ms = self._site.now_ms()
        except BaseException:
            self._site.close()
            raise
        if not states:
            raise LienthongError(
                "nothing is captured in this database", next_step="run: lienthong capture install"
            )
        return Look(states=states, now_ms=now_ms)

    def close(self) -> None:
        """Give the connection up."""
        self._site.close()
