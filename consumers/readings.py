"""What is read from the store: the ledger, receipts, rejects, columns of records, and the two outboxes."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import polars as pl
import sqlalchemy as sa

from consumers import ddl
from consumers.ranges import Ranges
from consumers.receipts import Answers, ReceiptRow, Reject, RejectCount, RejectRow
from consumers.store import Blocked, LedgerRow, Position
from consumers.store_part import StorePart
from schemas.formats import NationalFormat

Row = TypeVar("Row", ReceiptRow, RejectRow)

#: Of rejected records that are handed out together: all are in memory, and published in one transaction.
AT_ONCE_BYTES = 8_000_000
#: Rows fetched at a time.
_AT_ONCE = 20_000
_OUTBOXES = (ddl.receipt, ddl.reject)
_RECEIPT = tuple(field.name for field in dataclasses.fields(ReceiptRow))


class Readings(StorePart):
    """The reading half of a ``NationalStore``."""

    def ledger(self, deployment: str) -> list[LedgerRow]:
        c = ddl.ledger.c
        query = sa.select(ddl.ledger).where(c.deployment == deployment).order_by(c.topic, c.partition)
        with self._transaction() as connection:
            return [ledger_row(row) for row in connection.execute(query)]

    # --- answers -------------------------------------------------------------------------------------

    def answers(self, system: str, dataset: str | None = None) -> list[Answers]:
        c = ddl.receipt.c
        query = sa.select(c.dataset, c.format, c.outcome, c.seqs).where(c.system == system)
        if dataset is not None:
            query = query.where(c.dataset == dataset)
        texts: dict[tuple[str, str], dict[str, list[str]]] = {}
        with self._transaction() as connection:
            for of, full_id, outcome, seqs in connection.execute(query):
                if seqs:  # others tell of the source and not of changes
                    texts.setdefault((of, full_id), {}).setdefault(outcome, []).append(seqs)
        return [_fold(system, of, full_id, said) for (of, full_id), said in sorted(texts.items())]

    def receipts(self, system: str, *, after: int = 0, limit: int = 1000) -> list[ReceiptRow]:
        c = ddl.receipt.c
        query = sa.select(ddl.receipt).where(c.system == system, c.id > after).order_by(c.id).limit(limit)
        with self._transaction() as connection:
            return [_receipt_row(row) for row in connection.execute(query)]

    def rejects(
        self,
        system: str,
        *,
        dataset: str | None = None,
        rule: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[RejectRow]:
        c = ddl.reject.c
        query = sa.select(ddl.reject).where(c.system == system, c.id > after).order_by(c.id).limit(limit)
        if dataset is not None:
            query = query.where(c.dataset == dataset)
        if rule is not None:
            query = query.where(c.rule == rule)
        with self._transaction() as connection:
            return [reject_row(row) for row in connection.execute(query)]

    def reject_counts(self, system: str) -> list[RejectCount]:
        c = ddl.reject.c
        count = sa.func.count()
        columns = (c.system, c.dataset, c.rule, c.field)
        query = sa.select(*columns, count.label("how_many")).where(c.system == system).group_by(*columns)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(count.desc(), c.dataset, c.rule, c.field))
            return [RejectCount(**row) for row in rows.mappings()]

    def blocked(self, deployment: str, positions: Sequence[Position]) -> list[Blocked]:
        c = ddl.reject.c
        places = sa.tuple_(c.topic, c.partition).in_([(p.topic, p.partition) for p in positions])
        query = sa.select(c.topic, c.partition, c.offset, c.record_key)
        query = query.where(c.deployment == deployment, places, c.blocks).order_by(c.id)
        with self._transaction() as connection:
            return [
                Blocked(position=Position(topic=topic, partition=partition), offset=offset, key=key)
                for topic, partition, offset, key in connection.execute(query)
            ]

    # --- records -------------------------------------------------------------------------------------

    def columns(self, national: NationalFormat, names: Sequence[str]) -> pl.DataFrame:
        table = ddl.format_table(national)
        query = sa.select(
            *(table.c[name.lower()] for name in names), table.c.lt_deleted_at.is_not(None).label("lt_deleted")
        )
        schema = dict.fromkeys(names, pl.String()) | {"lt_deleted": pl.Boolean()}
        with self._transaction(reads=True) as connection:
            # Part by part: rows as Python objects take ten times the room of columns.
            found = connection.execution_options(yield_per=_AT_ONCE).execute(query).partitions()
            parts = [pl.DataFrame([*map(tuple, rows)], schema=schema, orient="row") for rows in found]
        return pl.concat([pl.DataFrame(schema=schema), *parts])

    def sample(self, national: NationalFormat, limit: int) -> list[tuple[str, str, Mapping[str, str | None]]]:
        table = ddl.format_table(national)
        names = [field.name for field in national.fields]
        fields = [table.c[ddl.column_name(field)] for field in national.fields]
        query = sa.select(table.c.lt_system, table.c.lt_dataset, *fields)
        query = query.where(table.c.lt_deleted_at.is_(None)).limit(limit)
        with self._transaction() as connection:
            rows = connection.execute(query).all()
        return [(row[0], row[1], dict(zip(names, row[2:], strict=True))) for row in rows]

    # --- outboxes ------------------------------------------------------------------------------------

    def publish_receipts(
        self, systems: Collection[str], limit: int, publish: Callable[[Sequence[ReceiptRow]], None]
    ) -> int:
        query = _unpublished(ddl.receipt, systems).order_by(ddl.receipt.c.id).limit(limit)

        def find(connection: sa.Connection) -> list[ReceiptRow]:
            return [_receipt_row(row) for row in connection.execute(query.with_for_update(skip_locked=True))]

        return self._publish(ddl.receipt, find, publish)

    def publish_rejects(
        self, systems: Collection[str], limit: int, publish: Callable[[Sequence[RejectRow]], None]
    ) -> int:
        query = _unpublished(ddl.reject, systems)
        return self._publish(ddl.reject, lambda connection: first_rejects(connection, query, limit), publish)

    def unpublished(self) -> set[str]:
        waiting = (sa.select(one.c.system).where(one.c.published_at.is_(None)) for one in _OUTBOXES)
        with self._transaction(reads=True) as connection:
            return set(connection.execute(sa.union(*waiting)).scalars())

    def _publish(
        self,
        outbox: sa.Table,
        find: Callable[[sa.Connection], Sequence[Row]],
        publish: Callable[[Sequence[Row]], None],
    ) -> int:
        with self._transaction() as connection:
            rows = find(connection)
            if rows:
                publish(rows)
                mark = sa.update(outbox).where(outbox.c.id.in_([row.id for row in rows]))
                connection.execute(mark.values(published_at=sa.text(self.now)))
            return len(rows)


def _unpublished(outbox: sa.Table, systems: Collection[str]) -> sa.Select[Any]:
    return sa.select(outbox).where(outbox.c.published_at.is_(None), outbox.c.system.in_(systems))


def first_rejects(connection: sa.Connection, query: sa.Select[Any], limit: int) -> list[RejectRow]:
    """The first rejects of a query, locked, of no more than ``AT_ONCE_BYTES`` together; one at least."""
    c = ddl.reject.c
    # Their sizes first: what does not go along is not read.
    original, correction = (sa.func.coalesce(sa.func.length(one), 0) for one in (c.original, c.correction))
    sizes = query.with_only_columns(c.id, original + correction).order_by(c.id).limit(limit)
    ids: list[int] = []
    left = AT_ONCE_BYTES
    for number, took in connection.execute(sizes.with_for_update(skip_locked=True)).all():
        left -= took
        if ids and left < 0:
            break
        ids.append(number)
    if not ids:
        return []
    rows = connection.execute(sa.select(ddl.reject).where(c.id.in_(ids)).order_by(c.id))
    return [reject_row(row) for row in rows]


def ledger_row(row: sa.Row[Any]) -> LedgerRow:
    """A row of ``lienthong_ledger``."""
    return LedgerRow(
        position=Position(topic=row.topic, partition=row.partition),
        next_offset=row.next_offset,
        epoch=row.epoch,
        generation=row.generation,
        owner=row.owner,
        claimed_at=row.claimed_at,
        updated_at=row.updated_at,
        library=row.library,
    )


def _receipt_row(row: sa.Row[Any]) -> ReceiptRow:
    return ReceiptRow(**{name: getattr(row, name) for name in _RECEIPT})


def reject_row(row: sa.Row[Any]) -> RejectRow:
    """A row of ``lienthong_reject``."""
    reject = Reject(
        system=row.system,
        dataset=row.dataset,
        seq=row.seq,
        source_key=row.source_key,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        rule=row.rule,
        field=row.field,
        detail=row.detail,
        key=row.record_key,
        original=row.original if row.correction is None else row.correction,
        blocks=bool(row.blocks),
        contract=row.contract,
        library=row.library,
        # A correction is written with a schema of our own.
        fingerprint=row.fingerprint if row.correction is None else None,
    )
    corrected = row.correction is not None
    return RejectRow(
        id=row.id, at=row.at, reject=reject, corrected=corrected, asked=row.asked, became=row.became
    )


def _fold(system: str, dataset: str, full_id: str, texts: dict[str, list[str]]) -> Answers:
    applied = Ranges.parse(texts.get("applied", []))
    stale = Ranges.parse(texts.get("stale", [])) - applied
    rejected = Ranges.parse(texts.get("rejected", [])) - applied - stale
    passed = Ranges.parse(texts.get("passed", [])) - applied - stale
    rejected = rejected - passed
    parked = Ranges.parse(texts.get("parked", [])) - applied - stale - passed - rejected
    told = Answers(
        system=system,
        dataset=dataset,
        format=full_id,
        applied=applied,
        stale=stale,
        passed=passed,
        rejected=rejected,
        parked=parked,
        waiting=Ranges(),
    )
    highest = told.known.highest
    return dataclasses.replace(told, waiting=Ranges.of([(1, highest)]) - told.known) if highest else told
