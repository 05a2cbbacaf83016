"""Which partitions a member of a group holds, as kafka-python tells it, and what it still owes of them."""

from collections.abc import Iterable
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition


class Holding(ConsumerRebalanceListener):  # type: ignore[misc] # kafka-python ships no types
    """Which partitions we hold, and which we cannot have held without a break.

    Called on kafka-python's own thread, but only while our thread waits inside ``poll`` or ``close``.
    """

    def __init__(self, *, again_from_start: bool) -> None:
        self.kafka: Any = None
        self.assigned: set[TopicPartition] | None = None
        self._again_from_start = again_from_start
        self._begun: set[TopicPartition] = set()
        self._generation = -1
        self._before: set[TopicPartition] = set()
        self._lost: set[int] = set()
        #: Offsets that could not be committed yet. A partition that stays here is read on from where we were,
        #: so nothing else may ever bring the group there; of any other somebody may have committed more.
        self.owed: dict[TopicPartition, int] = {}

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.assigned = None

    def on_partitions_lost(self, lost: set[TopicPartition]) -> None:
        self.assigned = None
        self._generation = -1
        self.owed = {}

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        generation = self.kafka.group_metadata().generation_id
        # Only from one generation to the very next can nobody else have worked on a partition we keep.
        kept = self._before & assigned if generation == self._generation + 1 else set()
        self._lost |= {tp.partition for tp in (self._before | assigned) - kept}
        self.owed = {tp: offset for tp, offset in self.owed.items() if tp in kept}
        self._generation = generation
        self._before = self.assigned = set(assigned)
        if self._again_from_start and (fresh := self._before - self._begun - set(self.owed)):
            self.kafka.seek_to_beginning(*fresh)

    def committed(self, partitions: Iterable[TopicPartition]) -> None:
        """The group stands where we came from the start; until it does, its old offset would skip records."""
        self._begun |= set(partitions)

    def take_lost(self) -> set[int]:
        lost, self._lost = self._lost, set()
        return lost
