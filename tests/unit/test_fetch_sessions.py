"""What a broker knows of a fetch session is what is wanted, whatever was answered, lost or forgotten."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError, KafkaStorageError
from aiokafka.protocol.fetch import FetchRequest_v6, FetchRequest_v11
from hypothesis import given
from hypothesis import strategies as st

from streams.fetch_sessions import LEADER_SECONDS, Offsets, Place, Session, SessionFetcher, _Client, _Fetch

LIMITS = SimpleNamespace(
    _fetch_max_wait_ms=100,
    _fetch_min_bytes=1,
    _fetch_max_bytes=1000,
    _isolation_level=1,
    _max_partition_fetch_bytes=10,
)
SESSION_NOT_KNOWN, STORAGE_ERROR = 70, 56


class Broker:
    """A broker's side of KIP-227, and the road to it."""

    cluster = None  #: that a client has one is all that is asked here

    def __init__(self) -> None:
        self.sessions: dict[int, tuple[int, dict[Place, int]]] = {}  #: next epoch and what it reads
        self.made = 0
        self.keeps = True  #: room for another session
        self.trouble: str | None = None  #: of the next request: it is "lost", or its "answer" is
        self.error = 0  #: of the next answer
        self.read: dict[Place, int] = {}  #: what the last request made it read
        self.told = 0  #: places named in the last request

    async def send(self, node_id: int, request: Any) -> Any:
        trouble, self.trouble = self.trouble, None
        if trouble == "lost":
            raise KafkaConnectionError
        answer = self.fetch(request.build(FetchRequest_v11))
        if trouble == "answer":
            raise KafkaConnectionError
        if trouble == "cancelled":
            raise asyncio.CancelledError
        return answer

    def fetch(self, asked: FetchRequest_v11) -> Any:
        new = {(topic, p[0]): p[2] for topic, places in asked.topics for p in places}
        gone = {(topic, p) for topic, parts in asked.forgotten_topics_data for p in parts}
        self.told = len(new) + len(gone)
        if asked.session_epoch == 0:
            self.sessions.pop(asked.session_id, None)
            self.read, session = new, 0
            if self.keeps:
                self.made += 1
                session = self.made
                self.sessions[session] = 1, self.read
        else:
            session = asked.session_id
            epoch, self.read = self.sessions.get(session, (0, {}))
            if epoch != asked.session_epoch:
                return SimpleNamespace(error_code=SESSION_NOT_KNOWN, session_id=0, topics=[])
            self.read.update(new)
            for place in gone:
                del self.read[place]
            self.sessions[session] = epoch + 1, self.read
        error, self.error = self.error, 0
        return SimpleNamespace(error_code=error, session_id=session, topics=[])


def fetch(client: _Client, session: Session, wanted: Offsets) -> None:
    request = _Fetch(cast(SessionFetcher, LIMITS), session, wanted)
    asyncio.run(client.send(1, request))


PLACES = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2))
TROUBLES = st.sampled_from([None, None, None, "lost", "answer", "cancelled", "forgets", "full", "error"])


@given(st.lists(st.tuples(st.dictionaries(PLACES, st.integers(0, 3)), TROUBLES), max_size=20))
def test_after_every_answer_the_broker_reads_what_is_wanted(steps: Sequence[tuple[Offsets, str]]) -> None:
    broker, session = Broker(), Session()
    client = _Client(broker)
    for wanted, trouble in steps:
        broker.keeps = trouble != "full"
        broker.error = STORAGE_ERROR if trouble == "error" else 0
        broker.trouble = trouble if trouble in ("lost", "answer", "cancelled") else None
        if trouble == "forgets":
            broker.sessions.clear()
        if trouble == "error" or broker.trouble:
            with pytest.raises((KafkaConnectionError, KafkaStorageError, asyncio.CancelledError)):
                fetch(client, session, wanted)
        else:
            fetch(client, session, wanted)
            assert broker.read == wanted


def test_only_what_changed_is_told() -> None:
    broker, session = Broker(), Session()
    client = _Client(broker)
    wanted: dict[Place, int] = {("a", 0): 5, ("a", 1): 7, ("b", 0): 0}
    fetch(client, session, wanted)
    assert broker.told == 3
    fetch(client, session, dict(wanted))
    assert broker.told == 0
    fetch(client, session, {("a", 0): 6, ("a", 1): 7})  # one moved, one is taken back
    assert broker.told == 2
    assert broker.made == 1


def test_a_broker_older_than_sessions_is_told_so() -> None:
    request = _Fetch(cast(SessionFetcher, LIMITS), Session(), {("a", 0): 5})
    with pytest.raises(IncompatibleBrokerVersion, match=r"older than Kafka 1\.1"):
        request.build(FetchRequest_v6)


def test_epochs_begin_anew_before_they_are_too_large_and_never_with_0() -> None:
    session = Session()
    session.ask({})
    session.answered(9)
    session.epoch = 2**31 - 1
    session.answered(9)
    assert session.epoch == 1


def fetcher(leaders: Mapping[Place, int | None]) -> SessionFetcher:
    """One that no loop runs, as a client would make it that knows these leaders."""
    made = SessionFetcher.__new__(SessionFetcher)
    cluster = SimpleNamespace(_partitions={}, leader_for_partition=leaders.get)
    made.__dict__.update(
        vars(LIMITS),
        _records={},
        _in_flight=set(),
        _sessions={},
        _led=(None, None, {}),
        _next_asked=0.0,
        _fetcher_timeout=0.2,
        _client=SimpleNamespace(cluster=cluster),
    )
    return made


def asked(one: SessionFetcher, positions: Mapping[Place, int | None]) -> tuple[dict[int, Offsets], bool]:
    """What each broker is asked for now, and whether to ask who leads."""
    states = {place: SimpleNamespace(_position=offset) for place, offset in positions.items()}
    requests, resets, _, leaders, resumed = one._get_actions_per_node(SimpleNamespace(_tp_state=states))
    assert not resets
    assert not resumed
    return {node: request._wanted for node, request in requests}, leaders


def test_what_was_not_sought_is_left_alone() -> None:
    one = fetcher({("a", 0): 1, ("a", 1): 1, ("b", 0): 2})
    assert asked(one, {("a", 0): None, ("a", 1): 7, ("b", 0): None}) == ({1: {("a", 1): 7}}, False)


def test_a_partition_without_a_leader_keeps_nothing_waiting_and_is_asked_about_now_and_then() -> None:
    one = fetcher({("a", 0): 1, ("a", 1): -1, ("b", 0): None})
    positions = {("a", 0): 5, ("a", 1): 7, ("b", 0): 0}
    looks = [asked(one, positions) for _ in range(50)]
    assert [places for places, _ in looks] == [{1: {("a", 0): 5}}] * 50
    assert [leaders for _, leaders in looks] == [True, *[False] * 49]
    one._next_asked -= LEADER_SECONDS
    assert asked(one, positions)[1]


@pytest.mark.parametrize(("partitions", "wait_ms"), [(1, 100), (400, 100), (1000, 250)])
def test_a_fetch_of_many_partitions_waits_longer(partitions: int, wait_ms: int) -> None:
    places = {("a", number): 0 for number in range(partitions)}
    request = _Fetch(cast(SessionFetcher, LIMITS), Session(), places)
    assert request.build(FetchRequest_v11).max_wait_time == wait_ms
