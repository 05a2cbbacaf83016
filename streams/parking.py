"""Which records wait: after a reject, the later changes of its record are parked in order until it is mended.

All other records flow. What is known of a partition belongs to one claim of it: read from the store when
batches of the claim come first, and added to by the rejects since. While nothing is rejected, nothing is
looked up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumers.receipts import Parked, Reject
from consumers.store import Blocked, Position
from schemas.contracts import Contract
from streams.batch import Batch, Record, fingerprint_header, seq_header

Placed = tuple[int, Record]  #: partition and record


@dataclass(frozen=True, slots=True)
class Head:
    """The reject that a record's changes wait for."""

    offset: int
    behind: int  #: the changes after this offset wait


Heads = dict[bytes, Head]  #: by Kafka key, which names the record


class Blocks:
    """The heads of the partitions that one worker holds."""

    def __init__(self) -> None:
        # By topic and partition, each with its claim's epoch.
        self._held: dict[str, dict[int, tuple[int, Heads]]] = {}

    def unknown(self, batches: Sequence[Batch]) -> dict[Position, int]:
        """Partitions of batches, with their epochs, whose claim is new: to be asked of the store."""
        return {one.position: one.epoch for one in batches if self._of(one.position)[0] != one.epoch}

    def learn(self, epochs: Mapping[Position, int], found: Sequence[Blocked]) -> None:
        """Take what the store told of newly claimed partitions."""
        heads: dict[Position, Heads] = {}
        for one in found:
            # Their rejects came before the claim, so whatever is read now comes after them, even if the topic
            # was made anew and its offsets are lower.
            heads.setdefault(one.position, {})[one.key] = Head(one.offset, -1)
        for position, epoch in epochs.items():
            mine = heads.get(position, {})
            self._held.setdefault(position.topic, {})[position.partition] = (epoch, mine)

    def heads(self, lot: Sequence[Batch]) -> dict[int, Heads]:
        """The heads of a lot's partitions; to be added to. Those of a lost claim are nobody's."""
        found: dict[int, Heads] = {}
        for batch in lot:
            epoch, heads = self._of(batch.position)
            found[batch.position.partition] = heads if epoch == batch.epoch else {}
        return found

    def move(self, position: Position, epoch: int, key: bytes, offset: int | None) -> None:
        """A record waits for another reject now; None: for none any longer."""
        known, heads = self._of(position)
        if known != epoch:
            return
        if offset is None:
            heads.pop(key, None)
        else:
            heads[key] = Head(offset, -1)

    def forget(self, position: Position) -> None:
        """What is known of a partition may be wrong: to be asked of the store."""
        self._held.get(position.topic, {}).pop(position.partition, None)

    def count(self, topic: str, held: Mapping[Position, int]) -> int:
        """Blocked records of a topic in the partitions held, each with its epoch."""
        return sum(
            len(heads)
            for partition, (epoch, heads) in self._held.get(topic, {}).items()
            if heads and held.get(Position(topic=topic, partition=partition)) == epoch
        )

    def _of(self, position: Position) -> tuple[int | None, Heads]:
        return self._held.get(position.topic, {}).get(position.partition, (None, {}))


def behind(records: Sequence[Placed], heads: Mapping[int, Heads]) -> dict[int, Head]:
    """The rows among the records that wait, with what they wait for."""
    if not any(heads.values()):
        return {}
    found: dict[int, Head] = {}
    # Most records are of none of them: those are passed over as cheaply as can be.
    for row in [row for row, (partition, record) in enumerate(records) if record.key in heads[partition]]:
        partition, record = records[row]
        head = heads[partition].get(record.key) if record.key is not None else None
        if head is not None and record.offset > head.behind:
            found[row] = head
    return found


def block(rejects: Sequence[Reject], heads: Mapping[int, Heads]) -> None:
    """Let the later changes of rejected records wait; of several rejects of one record for the first."""
    for one in rejects:
        if one.blocks and one.key is not None:
            mine = heads[one.partition]
            known = mine.get(one.key)
            if known is None or one.offset < known.behind:
                mine[one.key] = Head(one.offset, one.offset)


def parked(contract: Contract, placed: Placed, head: Head) -> Parked:
    """A record that waits, as it is kept."""
    partition, record = placed
    return Parked(
        system=contract.system,
        dataset=contract.dataset,
        topic=contract.topic,
        partition=partition,
        offset=record.offset,
        head=head.offset,
        key=record.key or b"",
        seq=seq_header(record),
        original=record.value,
        fingerprint=fingerprint_header(record),
    )
