"""What the stores have in common: transactions, claims, the ledger, receipts and rejects.

A subclass brings the engine, the staging of a batch, and what its database's errors mean.
"""
# ruff: noqa: S608 (only names of our own tables and numbered placeholders are put into statements)

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import sqlalchemy as sa

from consumers import ddl, migration
from consumers.audit_key import AuditKey
from consumers.audit_lines import blocks_of, draft
from consumers.audit_store import AuditBooks
from consumers.merge_sql import Dialect, MergeSql, merge_sql
from consumers.outcomes import Burial, Refusal, Tally, Verdict
from consumers.preparing import prepare, receipts_of_parked, receipts_of_rejects
from consumers.readings import Readings
from consumers.receipts import Parked, Receipt, Reject
from consumers.store import Applied, Claim, Fenced, Position, Prepared, Slice, Step, StoreError, SyncBatch
from consumers.trace_readings import TraceReadings
from schemas.errors import LienthongError
from schemas.formats import NationalFormat

MIGRATE = "lienthong store migrate"
READS = "lienthong_reads"  #: option of a connection
STAGED_FIELDS = "lienthong_staged_fields"  #: of a connection: how many its staging table has room for


class Refused(StoreError):
    """The database refuses the content of a row. In a batch the row is found and rejected."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            f"national store: the database refuses a row ({refusal.detail})",
            next_step="see which constraint or trigger was added to the tables of the store",
        )
        self.refusal = refusal


class SqlStore(Readings, AuditBooks, TraceReadings, ABC):
    """See ``consumers.store.NationalStore`` for every public method."""

    ten_minutes_ago: ClassVar[str]
    for_update: ClassVar[str]  #: clause that locks ledger rows in order, where rows can be locked
    dialect: ClassVar[Dialect]
    driver_error: ClassVar[type[Exception]]

    def __init__(self, engine: sa.Engine, *, effect_log: bool, audit_key: AuditKey | None) -> None:
        self._engine = engine
        self._effect_log = effect_log
        self._audit_key = audit_key
        self._statements: dict[tuple[str, ...], MergeSql] = {}

    @abstractmethod
    def _understand(self, error: Exception) -> LienthongError:
        """What a driver's error means; ``Refused`` if a row causes it.

        The error's own text may carry personal values and must not be passed on.
        """

    @abstractmethod
    def _stage(self, connection: sa.Connection, prepared: Prepared) -> None:
        """Fill the staging table of this transaction."""

    @abstractmethod
    def _make_staging(self, connection: sa.Connection, fields: int) -> None:
        """Make the staging table of this connection anew, for so many fields, in a transaction of its own."""

    def _moment(self, connection: sa.Connection) -> str:
        """SQL of this transaction's time."""
        return self.now

    def _judge_at_once(self, connection: sa.Connection) -> None:
        """Let no constraint of this transaction wait for the commit."""

    def _take_time(self, connection: sa.Connection) -> None:
        """Let the statements of this transaction, which only reads, read whole tables."""

    def _lock_migration(self, connection: sa.Connection) -> None:
        """Wait until no other process migrates this database."""

    def close(self) -> None:
        self._engine.dispose()

    # --- transactions --------------------------------------------------------------------------------

    @contextmanager
    def _transaction(
        self, staged_for: NationalFormat | None = None, *, reads: bool = False
    ) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect().execution_options(**{READS: reads}) as connection:
                try:
                    if staged_for is not None:
                        self._ensure_staging(connection, staged_for)
                    with connection.begin():
                        if reads:
                            self._take_time(connection)
                        yield connection
                except self.driver_error:
                    self._drop_if_dead(connection)
                    raise
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, self.driver_error) as error:
            # "from None": the driver's text shows rows, and a row is a person.
            raise self._understand(error) from None

    def _drop_if_dead(self, connection: sa.Connection) -> None:
        """Keep a connection that broke outside SQLAlchemy's sight from going back to the pool."""

    def _ensure_staging(self, connection: sa.Connection, national: NationalFormat) -> None:
        # One for all formats: at each commit PostgreSQL empties every such table of the connection, and
        # with one for each of 133 formats that took 40 ms.
        fields = len(national.fields)
        if connection.info.get(STAGED_FIELDS, 0) < fields:
            with connection.begin():
                self._make_staging(connection, fields)
            connection.info[STAGED_FIELDS] = fields

    def _sql(self, national: NationalFormat) -> MergeSql:
        key = (national.table, *(field.name for field in national.fields))
        if key not in self._statements:
            self._statements[key] = merge_sql(national, self.dialect)
        return self._statements[key]

    # --- tables --------------------------------------------------------------------------------------

    def check(self, formats: Sequence[NationalFormat]) -> None:
        lacking = [one.what for one in self._missing(formats) if not one.what.startswith("comment")]
        if lacking:
            raise StoreError(
                f"the national store lacks {len(lacking)} things, first {lacking[0]}", next_step=MIGRATE
            )

    def plan(self, formats: Sequence[NationalFormat]) -> list[str]:
        return [one.sql for one in self._missing(formats)]

    def _missing(self, formats: Sequence[NationalFormat]) -> list[migration.Missing]:
        with self._transaction() as connection:
            return migration.missing(connection, formats, effect_log=self._effect_log)

    def migrate(self, formats: Sequence[NationalFormat]) -> list[str]:
        with self._transaction() as connection:
            self._lock_migration(connection)
            plan = [one.sql for one in migration.missing(connection, formats, effect_log=self._effect_log)]
            for statement in plan:
                # As it stands: a percent sign in it is no parameter.
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            return plan

    # --- claims --------------------------------------------------------------------------------------

    def claim(
        self,
        deployment: str,
        positions: Sequence[Position],
        *,
        generation: int,
        owner: str,
        library: str | None = None,
    ) -> Mapping[Position, Claim]:
        if not positions:
            return {}
        mark = self.dialect.mark
        rows, parameters = self._values([(p.topic, p.partition) for p in sorted(set(positions))])
        text = f"""
            INSERT INTO lienthong_ledger
                (deployment, topic, "partition", epoch, generation, owner, library, claimed_at)
            SELECT {mark}, v.column1, v.column2, 1, {mark}, {mark}, {mark}, {self.now}
            FROM (VALUES {rows}) AS v WHERE true
            ON CONFLICT (deployment, topic, "partition") DO UPDATE SET epoch = lienthong_ledger.epoch + 1,
                generation = excluded.generation, owner = excluded.owner, library = excluded.library,
                claimed_at = excluded.claimed_at
            WHERE lienthong_ledger.generation < excluded.generation
                OR (lienthong_ledger.generation = excluded.generation
                    AND lienthong_ledger.owner = excluded.owner)
                OR (lienthong_ledger.claimed_at < {self.ten_minutes_ago}
                    AND COALESCE(lienthong_ledger.updated_at < {self.ten_minutes_ago}, true))
            RETURNING topic, "partition", epoch, next_offset"""
        with self._transaction() as connection:
            known = (deployment, generation, owner, library)
            found = connection.exec_driver_sql(text, (*known, *parameters)).all()
        claims = [
            Claim(position=Position(topic=topic, partition=partition), epoch=epoch, next_offset=offset)
            for topic, partition, epoch, offset in found
        ]
        return {claim.position: claim for claim in claims}

    def start_at(self, deployment: str, position: Position, *, epoch: int, offset: int) -> None:
        rows = self._ledger_row(deployment, position)
        statement = rows.where(ddl.ledger.c.next_offset.is_(None), ddl.ledger.c.epoch == epoch)
        with self._transaction() as connection:
            self._move(connection, position, statement.values(next_offset=offset))

    def _ledger_row(self, deployment: str, position: Position) -> sa.Update:
        columns = ddl.ledger.c
        return sa.update(ddl.ledger).where(
            columns.deployment == deployment,
            columns.topic == position.topic,
            columns.partition == position.partition,
        )

    def _move(self, connection: sa.Connection, position: Position, statement: sa.Update) -> None:
        moved = connection.execute(statement.values(updated_at=sa.text(self.now)))
        if moved.rowcount != 1:
            raise Fenced([position])

    def _advance(self, connection: sa.Connection, deployment: str, slices: Sequence[Slice]) -> None:
        """Compare and swap all slices; ``Fenced`` rolls the transaction back."""
        if not slices:
            return
        ordered = sorted(slices, key=lambda one: one.position)
        steps = [(s.position.topic, s.position.partition, s.start, s.next, s.epoch) for s in ordered]
        rows, parameters = self._values(steps)
        mark = self.dialect.mark
        text = f"""
            WITH mine AS (
                SELECT l.topic, l."partition", v.column4 AS next_offset
                FROM lienthong_ledger AS l JOIN (VALUES {rows}) AS v
                    ON l.topic = v.column1 AND l."partition" = v.column2
                    AND l.next_offset = v.column3 AND l.epoch = v.column5
                WHERE l.deployment = {mark} ORDER BY l.topic, l."partition" {self.for_update})
            UPDATE lienthong_ledger SET next_offset = mine.next_offset, updated_at = {self.now}
            FROM mine WHERE lienthong_ledger.deployment = {mark}
                AND lienthong_ledger.topic = mine.topic AND lienthong_ledger."partition" = mine."partition"
            RETURNING lienthong_ledger.topic, lienthong_ledger."partition" """
        found = connection.exec_driver_sql(text, (*parameters, deployment, deployment)).all()
        moved = {Position(topic=topic, partition=partition) for topic, partition in found}
        fenced = [one.position for one in ordered if one.position not in moved]
        if fenced:
            raise Fenced(fenced)

    # --- batches -------------------------------------------------------------------------------------

    def prepare(self, batch: SyncBatch) -> Prepared:
        return self._drafted(prepare(batch))

    def _drafted(self, prepared: Prepared) -> Prepared:
        """With its audit lines, but for what only the database knows."""
        key = self._audit_key
        return prepared if key is None else dataclasses.replace(prepared, draft=draft(prepared, key))

    def apply(self, prepared: Prepared, deployment: str) -> Applied:
        try:
            return self._apply(prepared, deployment, bisect=False)
        except Refused:
            # Rolled back. Once more with all versions and savepoints, to find the rows at fault.
            every = self._drafted(prepare(prepared.batch, every_version=True))
            return self._apply(every, deployment, bisect=True)

    def _apply(self, prepared: Prepared, deployment: str, *, bisect: bool) -> Applied:
        batch = prepared.batch
        tally = Tally(prepared)
        with self._transaction(batch.format) as connection:
            if prepared.steps:
                sql = self._sql(batch.format)
                self._stage(connection, prepared)
                moment = self._moment(connection)
                if bisect:
                    self._judge_at_once(connection)
                for step in prepared.steps:
                    if bisect:
                        self._bisect(connection, sql, step, moment, tally)
                    else:
                        self._merge(connection, sql, step, moment, tally)
                self._bury_left(connection, sql, moment, tally)
            applied, receipts, rejects = tally.settle()
            self._log_effects(connection, prepared)
            if prepared.draft is not None:
                lines = blocks_of(
                    prepared, prepared.draft, list(tally.verdicts), tally.replaced, tally.buried
                )
                self._write_blocks(connection, lines)
            self._write_receipts(connection, receipts)
            refused = [*prepared.rejects, *rejects]
            self._write_refused(connection, "lienthong_reject", deployment, refused)
            self._ask_newcomers(connection, deployment, tally)
            self._advance(connection, deployment, batch.slices)
        return applied

    def _merge(self, connection: sa.Connection, sql: MergeSql, step: Step, moment: str, tally: Tally) -> None:
        text = (sql.upsert if step.op == "u" else sql.delete).replace("{now}", moment)
        bounds = (step.start, step.stop)
        told = connection.exec_driver_sql(self.dialect.telling.replace("{merge}", text), bounds).scalars()
        # In the order of lt_row, in which the staged rows are read.
        text = ",".join(filter(None, told))
        replaced = np.fromstring(text, dtype=np.int64, sep=",") if text else np.empty(0, dtype=np.int64)
        losers: Iterable[tuple[int, Verdict]] = ()
        if len(replaced) < step.stop - step.start:
            found = connection.exec_driver_sql(sql.losers.replace("{now}", moment), bounds)
            losers = [(lt_row, verdict) for lt_row, verdict in found]
        tally.merged(step, replaced, losers)

    def _bury_left(self, connection: sa.Connection, sql: MergeSql, moment: str, tally: Tally) -> None:
        """Delete what a record holds under a key that it has left; hardly ever is there one.

        The two keys lie in different partitions, so the newer row may come first, or at the same time in
        another lot or worker: the lock on ``lienthong_left`` puts them in a row, ``gone_seq`` tells the
        later one.
        """
        text = sql.bury.replace("{now}", moment)

        def bury(lt_row: int, key: str, seq: int) -> None:
            found = connection.exec_driver_sql(text, (key, lt_row, seq)).scalars()
            tally.buried += [Burial(key=key, lt_row=lt_row, seq=seq, version=version) for version in found]

        for one in connection.exec_driver_sql(sql.left).all():
            if one.mine != one.lt_key:
                bury(one.lt_row, one.lt_key, one.lt_seq)
                this = [column == getattr(one, column.name) for column in ddl.left.primary_key.columns]
                older = sa.or_(ddl.left.c.gone_seq.is_(None), ddl.left.c.gone_seq < one.lt_seq)
                connection.execute(ddl.left.update().where(*this, older).values(gone_seq=one.lt_seq))
            elif one.gone_seq is not None and one.lt_seq < one.gone_seq:
                bury(one.lt_row, one.lt_key, one.gone_seq)

    def _ask_newcomers(self, connection: sa.Connection, deployment: str, tally: Tally) -> None:
        """Have those sent again that were refused while others held the keys that were let go of now.

        A key passes from one record to another in two changes of different source keys: the newcomer's may
        come first. An older newcomer the gate would refuse as before, so that one stays with people.
        """
        if not tally.lets_go():
            return
        r = ddl.reject.c
        mine = (r.deployment == deployment, r.topic == tally.prepared.batch.topic, ddl.HELD_BACK)
        if not connection.execute(sa.select(sa.exists().where(*mine))).scalar_one():
            return
        free = tally.let_go()
        keys = sorted(free)
        told = sa.select(r.id, r.record_key, r.system, r.dataset, r.seq).where(*mine, r.asked.is_(None))
        newcomers = []
        for at in range(0, len(keys), 10_000):
            for one in connection.execute(told.where(r.record_key.in_(keys[at : at + 10_000]))):
                system, dataset, version = free[one.record_key]
                if (one.system, one.dataset) == (system, dataset) and one.seq > version:
                    newcomers.append(one.id)
        if newcomers:
            asked = sa.update(ddl.reject).where(r.id.in_(sorted(newcomers)), r.asked.is_(None), ddl.HELD_BACK)
            connection.execute(asked.values(asked="retry"))

    def _bisect(
        self, connection: sa.Connection, sql: MergeSql, step: Step, moment: str, tally: Tally
    ) -> None:
        """Merge what the database takes; quarter what it refuses until the row stands alone.

        In quarters one bad row is found as fast as in halves, and a batch of bad rows in a third less time.
        """
        parts = [step]
        while parts:
            part = parts.pop()
            try:
                with connection.begin_nested():
                    self._merge(connection, sql, part, moment, tally)
            except sa.exc.DBAPIError as error:
                meaning = self._understand(error)
                if not isinstance(meaning, Refused):
                    raise
                if part.stop - part.start == 1:
                    tally.refuse(part.start, meaning.refusal)
                    continue
                quarter = (part.stop - part.start + 3) // 4
                parts += [
                    Step(op=part.op, start=start, stop=min(start + quarter, part.stop))
                    for start in range(part.start, part.stop, quarter)
                ]

    def settle(
        self,
        deployment: str,
        slices: Sequence[Slice],
        *,
        rejects: Sequence[Reject],
        parked: Sequence[Parked] = (),
        formats: Sequence[str],
        receipts: Sequence[Receipt] = (),
    ) -> None:
        told = [*receipts_of_rejects(rejects, formats), *receipts_of_parked(parked, formats), *receipts]
        with self._transaction() as connection:
            self._write_receipts(connection, told)
            self._write_refused(connection, "lienthong_reject", deployment, rejects)
            self._write_refused(connection, "lienthong_parked", deployment, parked)
            self._advance(connection, deployment, slices)

    # --- what goes with the rows ---------------------------------------------------------------------

    def _log_effects(self, connection: sa.Connection, prepared: Prepared) -> None:
        if self._effect_log:
            names = ("__partition", "__offset", "lt_system", "lt_dataset", "lt_source_key", "lt_seq")
            plain = {name: name.removeprefix("__").removeprefix("lt_") for name in names}
            rows = prepared.rows.select(names).rename(plain).rows(named=True)
            topic = prepared.batch.topic
            self._insert(connection, "lienthong_effect", [{"topic": topic, **row} for row in rows])

    def _values(self, rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        """Rows for ``VALUES`` as placeholders, and their parameters."""
        row = "(" + ", ".join([self.dialect.mark] * len(rows[0])) + ")"
        return ", ".join([row] * len(rows)), [value for one in rows for value in one]
