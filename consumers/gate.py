"""Newest version only: the bounded memory that keeps older and repeated versions from the caller.

The road delivers at least once and may repeat itself after a crash, so one topic can carry versions
1, 2, 3, 2, 3 of a key. The gate follows the national store's own rule (a version counts within one
source record; a key is free for another one only when its holder has left it).
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from consumers.records import NationalRecord


class _Holder(NamedTuple):
    """The newest version known of a key: whose it is, its number, and whether the record is gone."""

    system: str
    dataset: str
    source_key: str
    seq: int
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """What became of one batch of records."""

    #: In the order of their positions; of each key what a store needs to come to its newest version.
    newest: tuple[NationalRecord, ...]
    stale: int  #: older or repeated versions, kept back
    taken: tuple[NationalRecord, ...]  #: their key is held by another living source record


class NewestOnly:
    """Remembers the newest version of the last ``remember_keys`` keys, for each partition it is told of.

    Bounded means: a key that fell out of the memory, or was seen by an earlier process or by another
    member of the group, is unknown, and the next version of it passes whatever its number. Only the
    caller's own store can gate for ever.
    """

    def __init__(self, remember_keys: int) -> None:
        self._remember_keys = remember_keys
        self._known: OrderedDict[tuple[int, str], _Holder] = OrderedDict()

    def admit(self, records: Iterable[NationalRecord]) -> Admitted:
        """Sort out a batch, in the order of its offsets. Learns nothing: see ``learn``."""
        newest: dict[int, NationalRecord] = {}
        last: dict[tuple[int, str], tuple[int, _Holder | None]] = {}  # where in it; who was before that
        taken: list[NationalRecord] = []
        stale = 0
        for at, record in enumerate(records):
            place = (record.partition, record.key)
            earlier, before = last.get(place, (None, self._known.get(place)))
            known = _holder(newest[earlier]) if earlier is not None else before
            verdict = _verdict(known, record)
            if verdict == "newer":
                if earlier is not None and _needless(newest[earlier], before, record):
                    stale += 1
                    del newest[earlier]  # the winner takes its own place in the order, not the loser's
                else:
                    before = known
                newest[at] = record
                last[place] = (at, before)
            elif verdict == "taken":
                taken.append(record)
            else:
                stale += 1
        return Admitted(newest=tuple(newest.values()), stale=stale, taken=tuple(taken))

    def learn(self, records: Iterable[NationalRecord]) -> None:
        """The caller has done its work on these: from now on they are the newest known."""
        for record in records:
            place = (record.partition, record.key)
            self._known[place] = _holder(record)
            self._known.move_to_end(place)
        while len(self._known) > self._remember_keys:
            self._known.popitem(last=False)

    def forget(self, partitions: Iterable[int]) -> None:
        """Another member may now write on these partitions: what is known of their keys is no longer so."""
        gone = set(partitions)
        if gone:
            self._known = OrderedDict((p, h) for p, h in self._known.items() if p[0] not in gone)


def _holder(record: NationalRecord) -> _Holder:
    return _Holder(record.system, record.dataset, record.source_key, record.seq, record.deleted)


def _needless(earlier: NationalRecord, before: _Holder | None, record: NationalRecord) -> bool:
    """Whether the caller's store lets a record in without the earlier one of the same batch.

    Another holder is let in only behind the delete of the last one, and may delete only what it has taken
    over. ``before``: who held the key before the earlier one; None: we do not know, but the store may.
    """
    mine = (earlier.system, earlier.dataset, earlier.source_key)
    same = mine == (record.system, record.dataset, record.source_key)
    return same and _verdict(before, record) == "newer"


def _verdict(known: _Holder | None, record: NationalRecord) -> str:
    """``newer``, ``stale`` or ``taken``."""
    if known is None:
        return "newer"
    same_dataset = (known.system, known.dataset) == (record.system, record.dataset)
    if same_dataset and known.source_key == record.source_key:
        return "newer" if record.seq > known.seq else "stale"
    if record.deleted:
        return "stale"  # only the holder of a key can delete it
    if not same_dataset:
        return "taken"  # two datasets count separately: nobody can say which came later
    if record.seq <= known.seq:
        return "stale"  # the road repeats what was true before the key had its present holder
    return "newer" if known.deleted else "taken"
