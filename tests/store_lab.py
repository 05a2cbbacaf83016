"""A small national format, and a hand that feeds a store as the road does: claim, batch, apply."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from consumers.audit_key import AuditKey
from consumers.audit_lines import LINE
from consumers.opening import open_store
from consumers.proofs import ProofStore
from consumers.receipts import Parked, Reject
from consumers.repairs import Which
from consumers.store import Applied, Position, Slice, SyncBatch
from schemas.formats import WIRE_FIELDS, FormatField, NationalFormat

_TYPES = {"string": pl.String, "long": pl.Int64, "boolean": pl.Boolean}
SYSTEM, DATASET = "hotich_thu", "sothu"


def national_format(*names: str, entity: str = "nghiem") -> NationalFormat:
    """A format with these text fields; the first is its key. Labels try the quoting of comments."""
    fields = tuple(
        FormatField(
            name=name,
            position=at,
            label=f"Trường '{name}' (100 %), \"thử\"",
            required=at == 1,
            code_list="thu.danhMuc" if at == 2 else None,
            date_form=None,
            sensitivity="personal",
            basis="thử nghiệm",
            evidence="U",
        )
        for at, name in enumerate(names, 1)
    )
    return NationalFormat(
        domain="thu", entity=entity, version=1, title="Sổ thử", key=(names[0],), fields=fields
    )


BOOK = national_format("so", "hoTen", "ghiChu")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One national record; ``person`` is the source key."""

    key: str | None = "K1"
    seq: int | None = 1
    op: str | None = "u"
    person: str | None = "p1"
    values: Mapping[str, str | None] = field(default_factory=dict)
    system: str | None = SYSTEM
    dataset: str | None = DATASET
    answers: bool | None = True
    committed_ms: int | None = 1_700_000_000_123
    warnings: str | None = None
    overflow: str | None = None

    def row(self) -> dict[str, Any]:
        return {
            "lt_key": self.key,
            "lt_op": self.op,
            "lt_system": self.system,
            "lt_dataset": self.dataset,
            "lt_source_key": self.person,
            "lt_seq": self.seq,
            "lt_committed_ms": self.committed_ms,
            "lt_answers": self.answers,
            "lt_contract": f"{self.system}/{self.dataset}@1",
            "lt_warnings": self.warnings,
            "lt_overflow": self.overflow,
            **self.values,
        }


def upsert(seq: int, key: str = "K1", *, person: str = "p1", **values: str | None) -> Change:
    return Change(key=key, seq=seq, person=person, values=values)


def delete(seq: int, key: str = "K1", *, person: str = "p1", answers: bool = True) -> Change:
    return Change(key=key, seq=seq, op="d", person=person, answers=answers)


def frame(
    national: NationalFormat, changes: Sequence[Change], places: Sequence[tuple[int, int]]
) -> pl.DataFrame:
    """The rows of a ``SyncBatch``; ``places`` are (partition, offset)."""
    wire = {name: _TYPES[kind] for name, kind in WIRE_FIELDS} | {f.name: pl.String for f in national.fields}
    schema = {**wire, "__partition": pl.Int32, "__offset": pl.Int64}
    rows = [
        change.row() | {"__partition": partition, "__offset": offset}
        for change, (partition, offset) in zip(changes, places, strict=True)
    ]
    return pl.DataFrame(rows, schema=schema)


@dataclass
class Lab:
    """One store under test with its own deployment."""

    store: ProofStore
    url: str
    shift_claims: Callable[[sa.Connection], None]
    key: AuditKey = field(default_factory=AuditKey.generate)
    national: NationalFormat = BOOK
    deployment: str = "thu"
    epochs: dict[Position, int] = field(default_factory=dict)
    offsets: dict[Position, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = sa.create_engine(self.url)

    def position(self, partition: int = 0) -> Position:
        return Position(topic=self.national.topic, partition=partition)

    def claim(self, partition: int = 0, *, generation: int = 1, owner: str = "w1") -> Position:
        """Claim a partition and begin at offset 0 if nobody did before."""
        position = self.position(partition)
        got = self.store.claim(self.deployment, [position], generation=generation, owner=owner)[position]
        if got.next_offset is None:
            self.store.start_at(self.deployment, position, epoch=got.epoch, offset=0)
        self.epochs[position], self.offsets[position] = got.epoch, got.next_offset or 0
        return position

    def batch(self, *changes: Change, partition: int = 0, rejects: Sequence[Reject] = ()) -> SyncBatch:
        """The next batch of one partition; repeated until it is ``moved``."""
        position = self.position(partition)
        if position not in self.epochs:
            self.claim(partition)
        start = self.offsets[position]
        places = [(partition, start + at) for at in range(len(changes))]
        return SyncBatch(
            format=self.national,
            topic=self.national.topic,
            slices=[
                Slice(
                    position=position,
                    start=start,
                    next=start + max(1, len(changes)),
                    epoch=self.epochs[position],
                )
            ],
            rows=frame(self.national, changes, places),
            rejects=rejects,
            original_of=lambda partition, offset: (
                (changes[offset - start].key or "").encode(),
                f"record {partition}-{offset}".encode(),
            ),
        )

    def send(self, batch: SyncBatch) -> Applied:
        applied = self.store.apply(self.store.prepare(batch), self.deployment)
        for one in batch.slices:
            self.offsets[one.position] = one.next
        return applied

    def apply(self, *changes: Change, partition: int = 0) -> Applied:
        """One batch of these records."""
        return self.send(self.batch(*changes, partition=partition))

    def resent(self) -> list[int]:
        """Numbers of what was asked for again, which is published by this."""
        seen: list[int | None] = []
        self.store.resend([self.national.topic], 99, lambda rows: seen.extend(row.reject.seq for row in rows))
        return [seq for seq in seen if seq is not None]

    def asked(self) -> dict[int, str | None]:
        """Of the open rejects: number, and what is asked for."""
        open_ = self.store.open_rejects(Which(system=SYSTEM))
        return {row.reject.seq: row.asked for row in open_ if row.reject.seq is not None}

    # --- looking at it --------------------------------------------------------------------------------

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(sa.text(query)).mappings()]

    def row(self, key: str = "K1") -> dict[str, Any] | None:
        """The national row of a key, live or tombstone."""
        table = sa.table(self.national.table, sa.column("lt_key"), sa.column("*", is_literal=True))
        query = sa.select(sa.text("*")).select_from(table).where(table.c.lt_key == key)
        with self.engine.connect() as connection:
            found = connection.execute(query).mappings().one_or_none()
            return None if found is None else dict(found)

    def live(self, key: str = "K1") -> dict[str, Any] | None:
        found = self.row(key)
        return None if found is None or found["lt_deleted_at"] is not None else found

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that a transaction of the store may change."""
        tables = (
            self.national.table,
            "lienthong_ledger",
            "lienthong_receipt",
            "lienthong_reject",
            "lienthong_parked",
            "lienthong_effect",
        )
        return {name: sorted(self.rows(f"SELECT * FROM {name}"), key=str) for name in tables}

    def said(self, dataset: str = DATASET) -> dict[str, str]:
        """The folded receipts: outcome to ranges."""
        (answers,) = self.store.answers(SYSTEM, dataset)
        told = {
            name: str(getattr(answers, name))
            for name in ("applied", "stale", "passed", "rejected", "parked", "waiting")
        }
        return {name: text for name, text in told.items() if text}

    def lines(self) -> list[tuple[int, str, int]]:
        """Number, operation and version replaced of each audit line that is not sealed, in order."""
        lines = b"".join(block.lines for block in self.store.blocks_of(None))
        return [(seq, op.decode(), before) for seq, op, _, before, _ in LINE.iter_unpack(lines)]

    def column_type(self, column: str) -> str:
        """The SQL type of a column of the national table, as the database tells it."""
        columns = sa.inspect(self.engine).get_columns(self.national.table)
        return next(str(one["type"]) for one in columns if one["name"] == column)

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def close(self) -> None:
        self.store.close()
        self.engine.dispose()


def make_lab(url: str, shift_claims: Callable[[sa.Connection], None]) -> Lab:
    """A migrated store with its effect log on. ``shift_claims`` puts the ledger's times ten minutes back."""
    key = AuditKey.generate()
    store = open_store(url, effect_log=True, audit_key=key)
    store.migrate([BOOK])
    return Lab(store=store, url=url, shift_claims=shift_claims, key=key)


def moment(stored: Any) -> datetime:
    """A time as either database gives it."""
    return datetime.fromisoformat(stored) if isinstance(stored, str) else stored.astimezone(UTC)


def a_reject(offset: int, *, seq: int | None = None, rule: str = "code_unknown", **more: Any) -> Reject:
    known: dict[str, Any] = {
        "system": SYSTEM, "dataset": DATASET, "seq": seq, "source_key": f"p{offset}", "rule": rule,
        "topic": "province.hotich_thu.sothu", "partition": 0, "offset": offset, "field": "hoTen",
        "detail": "", "key": b"k", "original": b"\x00\x01",
    }  # fmt: skip
    return Reject(**known | more)


def a_parked(offset: int, *, head: int, seq: int | None = None, key: bytes = b"k", **more: Any) -> Parked:
    known: dict[str, Any] = {
        "system": SYSTEM, "dataset": DATASET, "topic": "province.hotich_thu.sothu", "partition": 0,
        "offset": offset, "head": head, "key": key, "seq": seq, "original": b"\x00\x02", "fingerprint": "ab",
    }  # fmt: skip
    return Parked(**known | more)


def numbered(
    count: int, *, first: int = 1, key: Callable[[int], str] = "K{}".format, **values: str
) -> list[Change]:
    """Upserts of different keys and persons with rising numbers."""
    return [
        upsert(seq, key(seq), person=f"p{seq}", **values)
        for seq in itertools.islice(itertools.count(first), count)
    ]
