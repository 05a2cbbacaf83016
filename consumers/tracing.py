"""One record on its way: each hop of it with times, as far as the parts that answer know.

A part that is away costs its own hop only. Numbers, places and times are told, and no value of the record;
the key comes from the operator and is neither logged nor told again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from consumers.audit_export import Entry, history
from consumers.audit_key import AuditKey
from consumers.repairs import RepairStore
from consumers.store import Position, inbound_name
from consumers.topic_search import Search, TopicSearch, header_of, time_of
from consumers.trace_readings import Held
from schemas.codec import decode
from schemas.contracts import Contract
from schemas.errors import LienthongError
from schemas.events import seq_of_header
from schemas.library import Library

#: In the order of the road.
HOPS = ("outbox", "province", "translate", "national", "store", "receipt", "audit")
#: Clocks of agencies differ, and a topic's times may be its producers'.
EARLIER = timedelta(minutes=10)


class Captured(Protocol):
    """A change in an agency's outbox, as ``producers.trail`` tells it."""

    @property
    def op(self) -> str:
        """c, u, d or r."""

    @property
    def seq(self) -> int | None:
        """None: not numbered yet."""

    @property
    def changed_at(self) -> datetime:
        """When its transaction wrote it."""

    @property
    def published_at(self) -> datetime | None:
        """When the broker had acknowledged it; None: it has not."""


OutboxOf = Callable[[str, str], Sequence[Captured]]
"""From a contract's id and a key to what the agency's outbox has of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to one change of the record."""

    hop: str  #: one of ``HOPS``
    seq: int | None  #: the change's number
    at: datetime | None
    what: str  #: a word of ``trace_command``'s tables, or a rule's code
    detail: str = ""  #: format, contract, operation
    where: str = ""  #: topic-partition@offset, reject, seal


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is known of a record in one dataset."""

    dataset: str  #: ``hotich_qnam/khaisinh``
    steps: list[Step] = field(default_factory=list)
    away: dict[str, str] = field(default_factory=dict)  #: hop -> why it could not be looked at
    notes: dict[str, str] = field(default_factory=dict)  #: hop -> what was not looked through

    @property
    def known(self) -> bool:
        """Whether anybody ever saw the record."""
        return bool(self.steps)

    @property
    def thorough(self) -> bool:
        """Whether every place was looked through; what the audit chain has, the store has too."""
        told = {note for hop, note in self.notes.items() if hop != "audit"}
        return not self.away and told <= {"no_topic", "no_national_key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a trace may look. What is None is not set up here."""

    library: Library
    deployment: str
    outbox: OutboxOf | None
    search: Callable[[], TopicSearch] | None
    store: RepairStore | None
    keys: Sequence[AuditKey]


def trace(sources: Sources, contract: Contract, key: str) -> Trace:
    """Follow a record through all hops."""
    return _Tracing(sources, contract, key).run()


class _Tracing:
    """One trace. Each ``_…`` hop adds its steps, or raises ``LienthongError``."""

    def __init__(self, sources: Sources, contract: Contract, key: str) -> None:
        self._sources = sources
        self._contract = contract
        self._key = key
        self._out = Trace(dataset=contract.id)
        self._held: list[Held] = []
        self._name = inbound_name(sources.deployment, contract.id) if contract.source else sources.deployment

    def run(self) -> Trace:
        """All hops; first those that tell where the others need not look."""
        self._try("outbox", self._outbox, self._sources.outbox)
        self._try("store", self._rows, self._sources.store)
        self._topics()
        self._try("translate", self._refusals, self._sources.store)
        self._try("receipt", self._receipts, self._sources.store)
        self._try("audit", self._lines, self._sources.store if self._sources.keys else None)
        order = {hop: place for place, hop in enumerate(HOPS)}
        # What has no number yet is the newest.
        self._out.steps.sort(key=lambda one: (order[one.hop], one.seq is None, one.seq or 0))
        return self._out

    def _try(self, hop: str, look: Callable[[], Iterator[Step]], part: object) -> None:
        if part is None:
            self._out.notes[hop] = "not_set_up"
            return
        try:
            self._out.steps += look()
        except LienthongError as error:
            self._out.away[hop] = error.message

    # --- the parts -----------------------------------------------------------------------------------

    def _outbox(self) -> Iterator[Step]:
        assert self._sources.outbox is not None
        if self._contract.source:
            return
        for one in self._sources.outbox(self._contract.id, self._key):
            yield Step(hop="outbox", seq=one.seq, at=one.changed_at, what="captured", detail=one.op)
            what = "acknowledged" if one.published_at else "not_published"
            yield Step(hop="outbox", seq=one.seq, at=one.published_at, what=what)

    def _rows(self) -> Iterator[Step]:
        store = self._store
        for target in self._contract.targets:
            national = self._sources.library.formats[target.format]
            rows = store.rows_of(national, self._contract.system, self._contract.dataset, self._key)
            self._held += rows
            for row in rows:
                what = "deleted" if row.deleted_at else "in_force"
                told = [row.format, row.contract or ""]
                if row.before is not None:
                    told.append(f"before {row.before}")
                if row.warnings:
                    told.append(row.warnings)
                yield Step(hop="store", seq=row.seq, at=row.applied_at, what=what, detail=" ".join(told))

    def _topics(self) -> None:
        if self._sources.search is None:
            self._out.notes |= dict.fromkeys(("province", "national"), "not_set_up")
            return
        try:
            search = self._sources.search()
        except LienthongError as error:
            self._out.away |= dict.fromkeys(("province", "national"), error.message)
            return
        try:
            self._try("province", lambda: self._province(search), search)
            self._try("national", lambda: self._national(search), search)
        finally:
            search.close()

    def _province(self, search: TopicSearch) -> Iterator[Step]:
        if self._contract.source:
            return
        times = [one.at for one in self._out.steps if one.hop == "outbox" and one.at is not None]
        # A pruned outbox does not know the first changes; what it knows is looked for, and what came later.
        since = min(times) - EARLIER if times else None
        found = search.find(self._contract.topic, self._key.encode(), since=since)
        self._looked("province", found)
        for record in found.records if found else ():
            yield Step(
                hop="province",
                seq=seq_of_header(header_of(record, "seq")),
                at=time_of(record),
                what="published",
                where=_place(record),
            )
            yield from self._behind(record)

    def _behind(self, record: Any) -> Iterator[Step]:
        """Whether translate has come to it."""
        if self._sources.store is None:
            return
        place = Position(topic=record.topic, partition=record.partition)
        if (self._ledger.get(place) or 0) <= record.offset:
            yield Step(hop="translate", seq=None, at=None, what="not_read", where=_place(record))

    def _national(self, search: TopicSearch) -> Iterator[Step]:
        library = self._sources.library
        if not self._held:
            self._out.notes["national"] = "no_national_key"
        for full_id, key in sorted({(row.format, row.key) for row in self._held}):
            national = library.formats[full_id]
            found = search.find(national.topic, key.encode(), since=None)
            self._looked("national", found)
            records = found.records if found else ()
            decoded = decode(
                [one.value for one in records], registry=library.registry, subject=national.subject
            )
            for _, frame in decoded.groups:
                names = (
                    "__row",
                    "lt_system",
                    "lt_dataset",
                    "lt_source_key",
                    "lt_seq",
                    "lt_op",
                    "lt_contract",
                )
                for row, *whose, seq, op, contract in frame.select(*names).iter_rows():
                    if whose == [self._contract.system, self._contract.dataset, self._key]:
                        record = records[row]
                        told = f"{full_id} {contract or ''} {op}"
                        where, at = _place(record), time_of(record)
                        yield Step(
                            hop="national", seq=seq, at=at, what="translated", detail=told, where=where
                        )

    def _refusals(self) -> Iterator[Step]:
        whose = (self._contract.system, self._contract.dataset, self._key)
        for one in self._store.refusals(*whose):
            rule = f"{one.field}: {one.rule}" if one.field else one.rule
            told = " ".join(part for part in (rule, one.contract, one.became or one.asked) if part)
            where = f"{one.topic}-{one.partition}@{one.offset}, reject {one.id}"
            what = "rejected" if one.became is None else "mended"
            yield Step(hop="translate", seq=one.seq, at=one.at, what=what, detail=told, where=where)
        for waiting in self._store.waiting_of(*whose):
            where = f"@{waiting.offset} behind @{waiting.head}"
            yield Step(hop="translate", seq=waiting.seq, at=waiting.at, what="parked", where=where)

    def _receipts(self) -> Iterator[Step]:
        seqs = sorted({one.seq for one in self._out.steps if one.seq is not None})
        for one in self._store.answers_to(self._contract.system, self._contract.dataset, seqs):
            rule = f"{one.field}: {one.rule}" if one.field else one.rule
            told = f"{one.format} {rule}".strip()
            yield Step(hop="receipt", seq=one.seq, at=one.at, what=one.outcome, detail=told)
            if one.published_at is not None:
                yield Step(
                    hop="receipt", seq=one.seq, at=one.published_at, what="published", detail=one.format
                )

    def _lines(self) -> Iterator[Step]:
        whose = (self._contract.system, [self._contract.dataset], self._key)
        for one in history(self._store, self._sources.keys, *whose):
            yield _line(one)

    @cached_property
    def _ledger(self) -> Mapping[Position, int | None]:
        """How far translate has come; asked once, after the search."""
        return {row.position: row.next_offset for row in self._store.ledger(self._name)}

    @property
    def _store(self) -> RepairStore:
        assert self._sources.store is not None
        return self._sources.store

    def _looked(self, hop: str, found: Search | None) -> None:
        if found is None:
            self._out.notes[hop] = "no_topic"
        elif found.start > found.begin:
            self._out.notes[hop] = f"from offset {found.start} on"


def _line(one: Entry) -> Step:
    what = "sealed" if one.seal is not None else "not_sealed"
    told = f"{one.block.format} {one.block.contract} {one.op}"
    where = f"seal {one.seal}, block {one.block.id}, line {one.place + 1}"
    return Step(hop="audit", seq=one.seq, at=one.at, what=what, detail=told, where=where)


def _place(record: Any) -> str:
    return f"{record.topic}-{record.partition}@{record.offset}"
