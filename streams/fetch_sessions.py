"""Fetches that tell the broker only what changed (fetch sessions, KIP-227), which aiokafka lacks.

A worker of a whole province reads some 850 partitions, and nearly all of them are idle. Without a session
each fetch names all of them, and so does each answer, many times a second: that was half of what the thread
of the consumer did, and a good part of the broker's work.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.errors import (
    FetchSessionIdNotFound,
    IncompatibleBrokerVersion,
    InvalidFetchSessionEpoch,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

Place = tuple[str, int]  #: topic and partition; aiokafka's ``TopicPartition`` is one
Offsets = Mapping[Place, int]  #: where to read next

LEADER_SECONDS = 1.0
NOBODY = -1  #: leads a partition of which no broker is known to
_WAIT_MS_EACH = 0.25  #: of a partition; a fetch of which nothing comes costs the broker some 7 us for each
_SINCE_VERSION = 7  # of the protocol; brokers since Kafka 1.1
_LAST_EPOCH = 2**31 - 1
_NOT_KNOWN = (FetchSessionIdNotFound.errno, InvalidFetchSessionEpoch.errno)


class Session:
    """What one broker knows of what we want to read; one request at a time."""

    def __init__(self) -> None:
        self.id = 0
        self.epoch = 0  #: of the next request; with 0 it asks for a new session in place of this one
        self._known: Offsets = {}
        self._asked: Offsets = {}

    def ask(self, wanted: Offsets) -> tuple[list[Place], list[Place]]:
        """Places to tell the broker, because they are new or their offset is; and those to take back."""
        self._asked, known = wanted, self._known
        changed = [place for place, offset in wanted.items() if known.get(place) != offset]
        return changed, [place for place in known if place not in wanted]

    def answered(self, session_id: int) -> None:
        """The broker knows what was asked; with 0 as its id it keeps no session."""
        self.id = session_id
        self._known = self._asked if session_id else {}
        self.epoch = self.epoch % _LAST_EPOCH + 1 if session_id else 0

    def lost(self) -> None:
        """What the broker knows is not known here: the next request tells all."""
        self.epoch, self._known = 0, {}


class _Fetch(FetchRequest):  # type: ignore[misc]
    """One fetch within a session."""

    def __init__(self, fetcher: "SessionFetcher", session: Session, wanted: Offsets) -> None:
        wait_ms = max(fetcher._fetch_max_wait_ms, len(wanted) * _WAIT_MS_EACH)
        limits = fetcher._fetch_min_bytes, fetcher._fetch_max_bytes
        super().__init__(int(wait_ms), *limits, fetcher._isolation_level, [])
        self._most = fetcher._max_partition_fetch_bytes
        self._wanted = wanted
        self.session = session
        self.answer: Any = None

    @property
    def topics(self) -> Any:
        """What was asked of the partitions that the answer tells of: all that the fetcher looks up."""
        answered = self.answer.topics if self.answer is not None else ()
        return [(topic, self._asked(topic, (place[0] for place in places))) for topic, places in answered]

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION < _SINCE_VERSION:
            raise IncompatibleBrokerVersion("the broker is older than Kafka 1.1")
        changed, taken_back = self.session.ask(self._wanted)
        self._topics = [(topic, self._asked(topic, mine)) for topic, mine in _by_topic(changed).items()]
        struct = super().build(request_struct_class)
        struct.session_id, struct.session_epoch = self.session.id, self.session.epoch
        struct.forgotten_topics_data = list(_by_topic(taken_back).items())
        return struct

    def _asked(self, topic: str, partitions: Iterable[int]) -> list[tuple[int, int, int]]:
        return [(partition, self._wanted[topic, partition], self._most) for partition in partitions]


class _Client:
    """aiokafka's client, as a fetcher uses it, that keeps sessions."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.cluster = client.cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any) -> Any:
        if not isinstance(request, _Fetch):
            return await self._client.send(node_id, request)
        session = request.session
        try:
            answer = await self._client.send(node_id, request)
            if answer.error_code in _NOT_KNOWN:  # it started anew, or has too many: again, and in full
                session.lost()
                answer = await self._client.send(node_id, request)
            if answer.error_code:
                raise for_code(answer.error_code)
        except BaseException:  # also if cancelled: whether the broker took it is not known
            session.lost()
            raise
        session.answered(answer.session_id)
        request.answer = answer
        return answer


class SessionFetcher(Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher with a session for each broker."""

    def __init__(self, client: Any, *args: Any, **kwargs: Any) -> None:
        self._sessions: dict[int, Session] = {}
        self._led: tuple[Any, Any, dict[int, list[tuple[Any, Any]]]] = None, None, {}
        self._next_asked = 0.0
        super().__init__(_Client(client), *args, **kwargs)

    def _get_actions_per_node(self, assignment: Any) -> Any:
        """Fetches of what has a leader and was sought; aiokafka's own, without what a road never needs.

        What was not sought yet is left alone: aiokafka would ask for the group's offset of each partition,
        one after the other, and a road reads from its ledger.
        """
        waits: dict[int, float] = {}
        for tp, buffered in self._records.items():
            if seconds := buffered.calculate_backoff():
                node_id = self._client.cluster.leader_for_partition(tp)
                waits[node_id] = max(seconds, waits.get(node_id, 0.0))
        led, requests = self._by_leader(assignment), []
        for node_id, places in led.items():
            if node_id == NOBODY or node_id in self._in_flight or node_id in waits:
                continue
            sought = [(tp, state._position) for tp, state in places if tp not in self._records]
            wanted = {tp: position for tp, position in sought if position is not None}
            if wanted:
                session = self._sessions.setdefault(node_id, Session())
                requests.append((node_id, _Fetch(self, session, wanted)))
        pause = min(waits.values(), default=self._fetcher_timeout)
        return requests, {}, pause, NOBODY in led and self._ask_who_leads(), []

    def _ask_who_leads(self) -> bool:
        """Now and then: aiokafka would ask without a pause for as long as a partition has no leader."""
        now = time.monotonic()
        due = now >= self._next_asked
        if due:
            self._next_asked = now + LEADER_SECONDS
        return due

    def _by_leader(self, assignment: Any) -> dict[int, list[tuple[Any, Any]]]:
        """Partitions with their states by the broker that leads them, or ``NOBODY``."""
        cluster = self._client.cluster
        of, metadata, led = self._led
        if of is not assignment or metadata is not cluster._partitions:  # made anew, never changed
            led = {}
            for tp, state in assignment._tp_state.items():
                node_id = cluster.leader_for_partition(tp)
                led.setdefault(NOBODY if node_id is None else node_id, []).append((tp, state))
            self._led = assignment, cluster._partitions, led
        return led


def _by_topic(places: Iterable[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, partition in places:
        found.setdefault(topic, []).append(partition)
    return found
