"""Repairs in SQL, alike on PostgreSQL and SQLite; see ``consumers.repairs.RepairStore``."""

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from consumers import ddl
from consumers.audit_lines import deed_block
from consumers.preparing import NOBODY, receipts_of_numbers, receipts_of_rejects
from consumers.ranges import Ranges
from consumers.readings import first_rejects, reject_row
from consumers.receipts import Outcome, Parked, Receipt, RejectRow
from consumers.repairs import Asked, Breaker, Cause, Deed, Mend, Which, Work
from consumers.sql_store import SqlStore
from consumers.standing import StandingReadings
from consumers.store import Position, Slice
from schemas.codec import unknown

NO_REJECT = 0  #: in the audit log: a deed that is about no reject

R, P = ddl.reject.c, ddl.parked.c
_OPEN = R.became.is_(None)
#: A parked change waits behind this reject.
_WAITS = sa.and_(
    P.deployment == R.deployment,
    P.topic == R.topic,
    P.partition == R.partition,
    P.head == R.offset,
    P.record_key == R.record_key,
)


class RepairingStore(SqlStore, StandingReadings, ABC):
    """A store whose rejects can be worked on."""

    # --- for people ----------------------------------------------------------------------------------

    def causes(self, system: str, dataset: str | None = None) -> list[Cause]:
        count = sa.func.count()
        by = (R.dataset, R.rule, R.field)
        told = sa.select(
            *by,
            count.label("how_many"),
            count.filter(R.asked.is_not(None)).label("asked"),
            sa.func.min(R.at).label("oldest"),
            sa.func.max(R.id).label("example"),
        )
        query = told.where(*_chosen(Which(system=system, dataset=dataset))).group_by(*by)
        waits = sa.select(*by, count).join_from(ddl.reject, ddl.parked, _WAITS)
        waits = waits.where(*_chosen(Which(system=system, dataset=dataset))).group_by(*by)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
            parked = {(d, r, f): n for d, r, f, n in connection.execute(waits)}
        causes = [
            Cause(**row, parked=parked.get((row["dataset"], row["rule"], row["field"]), 0)) for row in rows
        ]
        return sorted(causes, key=lambda one: (-one.how_many, -one.parked, one.dataset, one.rule, one.field))

    def open_rejects(self, which: Which, *, limit: int = 1000, after: int = 0) -> list[RejectRow]:
        query = sa.select(ddl.reject).where(*_chosen(which), R.id > after).order_by(R.id).limit(limit)
        with self._transaction() as connection:
            return [reject_row(row) for row in connection.execute(query)]

    def reject(self, number: int) -> RejectRow | None:
        with self._transaction() as connection:
            row = connection.execute(sa.select(ddl.reject).where(R.id == number)).one_or_none()
        return reject_row(row) if row is not None else None

    def waiting(self, ids: Sequence[int]) -> dict[int, int]:
        query = (
            sa.select(R.id, sa.func.count().label("parked"))
            .join_from(ddl.reject, ddl.parked, _WAITS)
            .group_by(R.id)
        )
        with self._transaction() as connection:
            found = connection.execute(query.where(R.id.in_(ids), R.blocks))
            return {row.id: row.parked for row in found}

    def behind(self, number: int) -> list[Parked]:
        query = (
            sa.select(ddl.parked).join_from(ddl.reject, ddl.parked, _WAITS).where(R.id == number, R.blocks)
        )
        with self._transaction() as connection:
            return [_parked(row) for row in connection.execute(query.order_by(P.id))]

    def deeds(self, number: int) -> list[Deed]:
        c = ddl.audit.c
        query = sa.select(c.at, c.who, c.action, c.why, c.detail).where(c.reject == number).order_by(c.id)
        with self._transaction() as connection:
            return [Deed(**row) for row in connection.execute(query).mappings()]

    def ask(self, which: Which, asked: Asked, *, who: str, why: str) -> int:
        chosen = [*_chosen(which), *([R.blocks] if asked == "supersede" else [])]
        with self._transaction() as connection:
            waits = sa.select(R.id).where(*chosen)
            if asked == "supersede":
                waits = waits.where(sa.exists().where(_WAITS))
            ids = list(connection.execute(waits).scalars())
            self._note(connection, ids, asked, who, why)
            blocks_nothing = sa.or_(R.blocks.is_(None), sa.not_(R.blocks))
            for part in _parts(ids):
                mine = sa.update(ddl.reject).where(R.id.in_(part), _OPEN)
                if asked == "drop":
                    dropped = mine.where(blocks_nothing).values(became="dropped")
                    connection.execute(dropped.values(became_at=sa.text(self.now), asked=None))
                connection.execute(mine.values(asked=asked))
        return len(ids)

    def correct(self, number: int, value: bytes, *, who: str, why: str, detail: str) -> bool:
        mine = sa.update(ddl.reject).where(R.id == number, _OPEN)
        with self._transaction() as connection:
            found = connection.execute(mine.values(asked="retry", correction=value)).rowcount
            if found:
                self._note(connection, [number], "fix", who, why, detail)
        return bool(found)

    def revealed(self, number: int, *, who: str, why: str) -> None:
        with self._transaction() as connection:
            self._note(connection, [number], "reveal", who, why)

    def accept_loss(
        self, deployment: str, position: Position, *, expected: int, offset: int, who: str, why: str
    ) -> None:
        statement = self._ledger_row(deployment, position).where(ddl.ledger.c.next_offset == expected)
        moved = f"{deployment}: {position.topic} {position.partition}: {expected} to {offset}"
        with self._transaction() as connection:
            ledger = statement.values(next_offset=offset, epoch=ddl.ledger.c.epoch + 1)
            self._move(connection, position, ledger)
            self._note(connection, [NO_REJECT], "accept_loss", who, why, moved)

    def _note(
        self, connection: sa.Connection, ids: Sequence[int], action: str, who: str, why: str, detail: str = ""
    ) -> None:
        deed = {"who": who, "action": action, "why": why, "detail": detail}
        self._insert(connection, "lienthong_audit", [{"reject": number, **deed} for number in ids])
        if ids:
            self._write_blocks(connection, [deed_block(ids, deed)])

    # --- the flood breaker ---------------------------------------------------------------------------

    def open_breaker(
        self,
        deployment: str,
        system: str,
        dataset: str,
        *,
        rule: str,
        field: str,
        detail: str,
        formats: Sequence[str],
    ) -> None:
        row = {"deployment": deployment, "system": system, "dataset": dataset}
        there = sa.select(sa.func.count()).select_from(ddl.breaker).filter_by(**row)
        with self._transaction() as connection:
            if connection.execute(there).scalar_one():
                return
            told = {"rule": rule, "field": field, "detail": detail}
            self._insert(connection, "lienthong_breaker", [row | told])
            self._write_receipts(connection, _notices(system, dataset, formats, "paused"))

    def close_breaker(self, deployment: str, system: str, dataset: str, *, formats: Sequence[str]) -> bool:
        c = ddl.breaker.c
        mine = sa.delete(ddl.breaker).where(
            c.deployment == deployment, c.system == system, c.dataset == dataset
        )
        with self._transaction() as connection:
            closed = bool(connection.execute(mine).rowcount)
            if closed:
                self._write_receipts(connection, _notices(system, dataset, formats, "resumed"))
            return closed

    def breakers(self, deployment: str) -> list[Breaker]:
        c = ddl.breaker.c
        query = sa.select(c.system, c.dataset, c.at, c.rule, c.field, c.detail)
        with self._transaction() as connection:
            found = connection.execute(query.where(c.deployment == deployment).order_by(c.system, c.dataset))
            return [Breaker(**row) for row in found.mappings()]

    # --- numbers that never arrived ------------------------------------------------------------------

    def note_gaps(self, system: str, dataset: str, missing: Ranges) -> Ranges:
        c = ddl.gap.c
        mine = sa.and_(c.system == system, c.dataset == dataset)
        with self._transaction() as connection:
            before = connection.execute(sa.select(c.seqs).where(mine)).scalars().all()
            if str(missing) != "".join(before):
                connection.execute(sa.delete(ddl.gap).where(mine))
                if missing:
                    row = {"system": system, "dataset": dataset, "seqs": str(missing)}
                    self._insert(connection, "lienthong_gap", [row])
        return Ranges.parse(before)

    def gaps(self, system: str, dataset: str) -> Ranges:
        c = ddl.gap.c
        query = sa.select(c.seqs).where(c.system == system, c.dataset == dataset)
        with self._transaction() as connection:
            return Ranges.parse(connection.execute(query).scalars())

    # --- for the worker ------------------------------------------------------------------------------

    def ask_again(
        self, deployment: str, positions: Sequence[Position], libraries: Mapping[str, str]
    ) -> dict[str, int]:
        heads = R.blocks, _OPEN, R.asked.is_(None)
        found: dict[str, int] = {}
        with self._transaction() as connection:
            # Few topics have rejects at all: asked once, and not once for each of hundreds.
            refused = _places(connection, deployment, *heads) & set(positions)
            for topic in sorted({position.topic for position in refused}):
                mine = [position for position in refused if position.topic == topic]
                other = sa.update(ddl.reject).where(
                    _of(deployment, mine), *heads, R.library != libraries[topic]
                )
                if count := connection.execute(other.values(asked="retry")).rowcount:
                    found[topic] = count
        return found

    def ask_unread_again(self, topics: Sequence[str], schema_ids: Sequence[int]) -> int:
        unread = R.system == NOBODY, R.topic.in_(topics), R.rule == "schema_unknown", _OPEN, R.asked.is_(None)
        known = R.detail.in_([unknown(one) for one in schema_ids])
        with self._transaction() as connection:
            again = sa.update(ddl.reject).where(*unread, known).values(asked="retry")
            return connection.execute(again).rowcount

    def asked(self, deployment: str) -> list[Position]:
        with self._transaction() as connection:
            return sorted(_places(connection, deployment, _OPEN, R.asked.is_not(None)))

    def work(self, deployment: str, position: Position, *, heads: int, changes: int) -> list[Work]:
        query = sa.select(ddl.reject).where(_of(deployment, [position]), R.asked.is_not(None), _OPEN)
        found: list[Work] = []
        with self._transaction() as connection:
            for row in connection.execute(query.order_by(R.id).limit(heads)).all():
                work = self._work(connection, row, changes)
                found.append(work)
                changes -= len(work.parked)
                if changes <= 0:
                    break
        return found

    def _work(self, connection: sa.Connection, row: sa.Row[Any], changes: int) -> Work:
        reject = reject_row(row).reject
        work = partial(Work, id=row.id, asked=row.asked, reject=reject, correction=row.correction)
        if not reject.blocks or reject.key is None:
            return work(parked=())
        behind = [_of(row.deployment, [Position(topic=row.topic, partition=row.partition)], P)]
        behind += [P.head == row.offset, P.record_key == row.record_key]
        if row.asked == "supersede":
            last = connection.execute(
                sa.select(ddl.parked).where(*behind).order_by(P.id.desc()).limit(1)
            ).all()
            others = sa.select(P.id, P.seq).where(*behind).order_by(P.id)
            passed = [(number, seq) for number, seq in connection.execute(others)][:-1]
            return work(parked=[(one.id, _parked(one)) for one in last], passed=passed)
        waiting = connection.execute(
            sa.select(ddl.parked).where(*behind).order_by(P.id).limit(changes + 1)
        ).all()
        return work(parked=[(one.id, _parked(one)) for one in waiting[:changes]], more=len(waiting) > changes)

    def mend(
        self,
        deployment: str,
        held: Slice,
        mends: Sequence[Mend],
        *,
        formats: Sequence[str],
        receipts: Sequence[Receipt] = (),
    ) -> Sequence[Mend]:
        with self._transaction() as connection:
            self._write_receipts(connection, receipts)
            self._advance(connection, deployment, [held])
            # If somebody corrected or dropped a reject since, all of it is tried anew, even what went out: to
            # the version gate that is a crash before this transaction, and closing it would lose their word.
            now = _asked_now(connection, [one.work.id for one in mends])
            mends = [one for one in mends if now.get(one.work.id) == (one.work.asked, one.work.correction)]
            for part in _parts([number for one in mends for number in one.done]):
                connection.execute(sa.delete(ddl.parked).where(P.id.in_(part)))
            for one in mends:
                self._mend(connection, deployment, one, formats)
        return mends

    def _mend(self, connection: sa.Connection, deployment: str, one: Mend, formats: Sequence[str]) -> None:
        head, again = one.work.reject, one.again
        if one.became is not None:
            ended = {"became": one.became, "became_at": sa.text(self.now), "blocks": False, "asked": None}
            connection.execute(sa.update(ddl.reject).where(R.id == one.work.id).values(**ended))
        elif again is not None:  # for the same cause: this library has said so, too
            values = {"asked": None, "library": again.library, "contract": again.contract}
            connection.execute(sa.update(ddl.reject).where(R.id == one.work.id).values(**values))
        if one.became is not None and again is not None:
            self._write_receipts(connection, receipts_of_rejects([again], formats))
            self._write_refused(connection, "lienthong_reject", deployment, [again])
            if again.offset != head.offset:
                behind = [_of(deployment, [Position(topic=head.topic, partition=head.partition)], P)]
                behind += [P.head == head.offset, P.record_key == head.key]
                connection.execute(sa.update(ddl.parked).where(*behind).values(head=again.offset))
        if one.superseded:
            receipts = receipts_of_numbers(head.system, head.dataset, one.superseded, formats, "stale")
            self._write_receipts(connection, receipts)

    def resend(self, topics: Sequence[str], limit: int, send: Callable[[Sequence[RejectRow]], None]) -> int:
        # What blocks was refused by a contract that reads this topic: its own worker tries that again.
        mine = (_OPEN, R.topic.in_(topics), R.blocks.is_not(sa.true()))
        waiting = sa.select(ddl.reject).where(R.asked == "retry", *mine)
        with self._transaction() as connection:
            rows = first_rejects(connection, waiting, limit)
            if rows:
                send(rows)
                mark = sa.update(ddl.reject).where(R.id.in_([row.id for row in rows]))
                connection.execute(mark.values(became="sent", became_at=sa.text(self.now), asked=None))
            return len(rows)


def _notices(system: str, dataset: str, formats: Sequence[str], outcome: Outcome) -> list[Receipt]:
    """Receipts that tell of no number."""
    rule = f"source_{outcome}"
    nothing = {"seqs": "", "first_seq": 0, "last_seq": 0, "how_many": 0}
    return [
        Receipt(system=system, dataset=dataset, format=one, outcome=outcome, rule=rule, **nothing)  # type: ignore[arg-type]
        for one in formats
    ]


def _chosen(which: Which) -> list[sa.ColumnElement[bool]]:
    values = (
        (R.system, which.system),
        (R.dataset, which.dataset),
        (R.rule, which.rule),
        (R.field, which.field),
    )
    told = [column == value for column, value in values if value is not None]
    return [*told, *([R.id.in_(which.ids)] if which.ids else []), _OPEN]


def _asked_now(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[str | None, bytes | None]]:
    """What is asked for those that are open, and their corrections; held until the transaction ends."""
    found: dict[int, tuple[str | None, bytes | None]] = {}
    for part in _parts(ids):
        query = sa.select(R.id, R.asked, R.correction).where(R.id.in_(part), _OPEN).order_by(R.id)
        found |= {row.id: (row.asked, row.correction) for row in connection.execute(query.with_for_update())}
    return found


def _places(connection: sa.Connection, deployment: str, *which: sa.ColumnElement[bool]) -> set[Position]:
    """The partitions with such rejects."""
    query = sa.select(R.topic, R.partition).where(R.deployment == deployment, *which).distinct()
    return {Position(*place) for place in connection.execute(query)}


def _of(
    deployment: str,
    positions: Sequence[Position],
    columns: sa.sql.base.ReadOnlyColumnCollection[str, Any] = R,
) -> sa.ColumnElement[bool]:
    places = sa.tuple_(columns.topic, columns.partition).in_([(p.topic, p.partition) for p in positions])
    return sa.and_(columns.deployment == deployment, places)


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    """Few enough for one statement: SQLite takes 32,766 parameters."""
    return [ids[at : at + 10_000] for at in range(0, len(ids), 10_000)]


def _parked(row: sa.Row[Any]) -> Parked:
    return Parked(
        system=row.system,
        dataset=row.dataset,
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        head=row.head,
        key=row.record_key,
        seq=row.seq,
        original=row.original,
        fingerprint=row.fingerprint,
    )
