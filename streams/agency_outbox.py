"""An agency's outbox for who watches: where what the producers see becomes what the consumers show."""

from consumers.outboxes import OutboxLook, OutboxState
from producers.watching import Watch


class AgencyOutbox:
    """An agency's outbox as the monitor wants it."""

    def __init__(self, url: str) -> None:
        self._watch = Watch(url)
        self.close = self._watch.close

    def look(self) -> OutboxLook:
        seen = self._watch.look()
        states = [
            OutboxState(
                dataset=one.capture.dataset,
                waiting=one.waiting,
                oldest_seconds=one.oldest_seconds,
                in_place=one.in_place,
            )
            for one in seen.states
        ]
        return OutboxLook(states=states, now_ms=seen.now_ms)
