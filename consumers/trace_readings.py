"""What a store knows of one record: places, numbers and times, none of its values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa

from consumers import ddl
from consumers.ranges import Ranges
from consumers.store_part import StorePart
from schemas.formats import NationalFormat

#: Rows of one kind that a trace shows at most.
MANY = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A national row that a record holds, or held when it was deleted."""

    format: str
    key: str  #: the national key; names the record
    seq: int
    before: int | None
    contract: str | None
    warnings: str | None
    committed_at: datetime | None
    applied_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reject of a record's change."""

    id: int
    topic: str
    partition: int
    offset: int
    seq: int | None
    rule: str
    field: str
    contract: str | None
    asked: str | None
    became: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A change of the record that waits behind a reject."""

    offset: int
    head: int  #: offset of the reject
    seq: int | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A receipt that tells of a number."""

    seq: int
    format: str
    outcome: str
    rule: str
    field: str
    at: datetime
    published_at: datetime | None


class TraceStore(Protocol):
    """Errors as of ``NationalStore``."""

    def rows_of(self, national: NationalFormat, system: str, dataset: str, key: str) -> list[Held]:
        """The rows of a source record in one format. Reads the whole table if it has no index of ours."""

    def refusals(self, system: str, dataset: str, key: str) -> list[Refusal]:
        """The record's rejects, by id."""

    def waiting_of(self, system: str, dataset: str, key: str) -> list[Waiting]:
        """Its changes that wait, in order."""

    def answers_to(self, system: str, dataset: str, seqs: Sequence[int]) -> list[Answer]:
        """The latest receipt of each number in each format."""


class TraceReadings(StorePart):
    """The part of a store that traces read."""

    def rows_of(self, national: NationalFormat, system: str, dataset: str, key: str) -> list[Held]:
        c = ddl.format_table(national).c
        names = ("key", "seq", "before", "contract", "warnings", "committed_at", "applied_at", "deleted_at")
        query = sa.select(*(c[f"lt_{name}"].label(name) for name in names))
        query = query.where(c.lt_system == system, c.lt_dataset == dataset, c.lt_source_key == key)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(c.lt_seq, c.lt_key).limit(MANY)).mappings()
            return [Held(format=national.full_id, **row) for row in rows]

    def refusals(self, system: str, dataset: str, key: str) -> list[Refusal]:
        c = ddl.reject.c
        query = sa.select(*(c[name] for name in Refusal.__slots__))
        query = query.where(c.system == system, c.dataset == dataset, c.source_key == key)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(c.id.desc()).limit(MANY)).mappings().all()
        return [Refusal(**row) for row in reversed(rows)]

    def waiting_of(self, system: str, dataset: str, key: str) -> list[Waiting]:
        c = ddl.parked.c
        query = sa.select(c.offset, c.head, c.seq, c.at)
        query = query.where(c.system == system, c.dataset == dataset, c.record_key == key.encode())
        with self._transaction() as connection:
            return [Waiting(**row) for row in connection.execute(query.order_by(c.id).limit(MANY)).mappings()]

    def answers_to(self, system: str, dataset: str, seqs: Sequence[int]) -> list[Answer]:
        c = ddl.receipt.c
        columns = (c.format, c.outcome, c.rule, c.field, c.at, c.published_at, c.seqs)
        found: dict[tuple[int, str], Answer] = {}
        with self._transaction() as connection:
            for seq in seqs:
                within = (c.system == system, c.dataset == dataset, c.first_seq <= seq, c.last_seq >= seq)
                for row in connection.execute(sa.select(*columns).where(*within).order_by(c.id)).mappings():
                    told = dict(row)
                    if seq in Ranges.parse([told.pop("seqs")]):
                        found[seq, row["format"]] = Answer(seq=seq, **told)
        return [found[one] for one in sorted(found)]
