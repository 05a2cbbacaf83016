"""Looks at everything: broker, store and outboxes beside each other, so that none can hold the others up."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from consumers.asking import Asking
from consumers.causes import UNLIKELY
from consumers.kafka_look import CLUSTER, KafkaLook, KafkaSight
from consumers.observation import Dataset, Observation, Silence, Target
from consumers.observing import Looks, datasets, group_of, groups, libraries, reads, wanted_times
from consumers.outboxes import OutboxLook, OutboxSight, OutboxState
from consumers.outlook import Outlook
from consumers.proofs import Proof, ProofStore
from consumers.record_times import RecordTimes
from consumers.silence import Habits, Silences, silent_hours
from consumers.store import inbound_name
from consumers.store_look import StoreLook
from schemas.library import Library

logger = structlog.get_logger(__name__)

#: For what is asked at once, and then for the times of records.
LOOK_SECONDS = 10.0
TIMES_SECONDS = 6.0
#: Between two questions for the orphan index, which reads all receipts.
OUTLOOK_SECONDS = 600.0


class Observer:
    """For one thread at a time.

    Args:
        library: the contracts; what they name is looked at.
        deployment: whose ledger.
        brokers: Kafka's bootstrap servers.
        store: not connected yet.
        outboxes: by name.
        outlook: gives the orphan index of each system; None: it is not wanted.
    """

    def __init__(
        self,
        library: Library,
        *,
        deployment: str,
        brokers: str,
        store: ProofStore,
        outboxes: Mapping[str, OutboxSight],
        outlook: Callable[[], Outlook] | None = None,
        sight: Callable[..., KafkaSight] = KafkaSight,
    ) -> None:
        self._library = library
        self._deployment = deployment
        self._deployments = [deployment, *(inbound_name(deployment, one.id) for one in library.inbound)]
        self._reads = [one for c in library.contracts.values() for one in reads(c, library, deployment)]
        self._sight = sight(
            brokers,
            topics={one.topic for one in self._reads},
            dated={one.topic for one in self._reads if one.hop == "translate"},
            groups=[group_of(one) for one in self._deployments],
        )
        self._record_times = RecordTimes(brokers)
        self._store = store
        self._outbox_sights = outboxes
        self._kafka = Asking("broker", CLUSTER, self._sight.look)
        self._national = Asking("store", "store", self._ask_store)
        self._outlook = Asking("store", "outlook", outlook) if outlook is not None else None
        self._outlook_at = -OUTLOOK_SECONDS
        self._outlook_trouble = ""  #: as it was last logged
        self._indices: Mapping[str, int] = {}
        self._outboxes = {name: Asking("outbox", name, sight.look) for name, sight in outboxes.items()}
        self._habits = Asking("broker", "habits", Habits(self._sight).learn)
        self._silences = Silences(UNLIKELY)
        self._times = Asking("broker", "times", self._record_times.at)

    def look(self) -> Observation:
        """One look. What does not answer is told as away, and nothing else is known of it. Never raises."""
        begun = time.monotonic()
        self._kafka.begin()
        self._national.begin()
        for one in self._outboxes.values():
            one.begin()
        deadline = begun + LOOK_SECONDS
        kafka, national = self._kafka.answer(deadline), self._national.answer(deadline)
        store, proofs = national or (None, [])
        outboxes = {name: one.answer(deadline) for name, one in self._outboxes.items()}
        states: dict[str, tuple[str, OutboxState]] = {}
        for name, found in outboxes.items():
            for state in found.states if found is not None else ():
                states[state.dataset] = (name, state)
        looks = Looks(
            at=datetime.now(UTC),
            kafka=kafka,
            store=store,
            outboxes=states,
            times={},
            proofs={(one.system, one.dataset): one for one in proofs},
        )
        looks = self._dated(looks)
        heard = self._heard(datasets(self._library, self._deployment, looks), looks)
        return Observation(
            at=looks.at,
            seconds=time.monotonic() - begun,
            targets=self._targets(kafka, store, outboxes),
            datasets=heard,
            groups=groups(looks, self._deployments),
            bounds={one: (kafka.begins[one], end) for one, end in kafka.ends.items()} if kafka else {},
            disks=dict(kafka.disks) if kafka else {},
            store_busy_seconds=store.longest_seconds if store else None,
            orphan_indices=self._orphans() if store else {},
            libraries=libraries(store.ledgers, self._reads) if store else {},
        )

    def _ask_store(self) -> tuple[StoreLook, list[Proof]]:
        return self._store.look(self._deployments), self._store.proofs()

    def _orphans(self) -> Mapping[str, int]:
        """The orphan index of each system: asked for every some minutes, in the background."""
        if self._outlook is None:
            return {}
        now = time.monotonic()
        if now - self._outlook_at >= OUTLOOK_SECONDS:
            self._outlook_at = now
            self._outlook.begin()
        found = self._outlook.answer(now)
        trouble = self._outlook.trouble
        if found is not None:
            self._indices = {one.system: one.value for one in found.systems if one.value is not None}
            trouble = found.problem or found.unkept or ""
        if trouble is not None and trouble != self._outlook_trouble:
            if trouble:
                logger.warning("the orphan index is not known, or not kept", why=trouble)
            else:
                logger.info("the orphan index is known and kept again")
            self._outlook_trouble = trouble
        return self._indices

    def _dated(self, looks: Looks) -> Looks:
        """With the times of first unread records, where they can be read in time."""
        self._times.begin(wanted_times(looks, self._reads))
        times = self._times.answer(time.monotonic() + TIMES_SECONDS) or {}
        return replace(looks, times=times)

    def _heard(self, seen: list[Dataset], looks: Looks) -> list[Dataset]:
        """With the silence of those from whom nothing came for long."""
        kafka = looks.kafka
        if kafka is None:
            return seen
        silent = {
            one.id: (hop.newest, [p for p in kafka.ends if p.topic == hop.topic])
            for one in seen
            for hop in one.hops[:1]
            if hop.newest is not None
            and not hop.silent
            and not one.inbound
            and silent_hours(hop.newest, looks.at)
        }
        found: Mapping[str, Silence] = {}
        if silent:
            self._habits.begin(silent, kafka, looks.at)
            found = self._habits.answer(time.monotonic() + TIMES_SECONDS) or {}
        return self._silences.tell(seen, found, looks.at)

    def _targets(
        self,
        kafka: KafkaLook | None,
        store: StoreLook | None,
        outboxes: Mapping[str, OutboxLook | None],
    ) -> list[Target]:
        if kafka is not None:
            found = list(kafka.targets)
        else:
            why = self._kafka.target().why
            found = [
                Target(kind="broker", name=one, up=False, why=why) for one in (CLUSTER, *self._sight.names)
            ]
        found.append(self._national.target(told_ms=store.at.timestamp() * 1000 if store else None))
        for name, asked in self._outboxes.items():
            answer = outboxes[name]
            found.append(asked.target(told_ms=answer.now_ms if answer else None))
        return found

    def close(self) -> None:
        """Give all connections up; what never answered is left behind."""
        closing = [self._kafka.close, self._national.close, self._times.close, self._habits.close]
        closing += [one.close for one in self._outboxes.values()]
        closing += [self._outlook.close] if self._outlook is not None else []
        closing += [one.close for one in self._outbox_sights.values()]
        for close in (*closing, self._sight.close, self._record_times.close, self._store.close):
            with suppress(Exception):  # at the end nothing is lost any more
                close()
