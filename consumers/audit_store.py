"""The audit chain in SQL, alike on PostgreSQL and SQLite; see ``consumers.auditing.AuditStore``."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import sqlalchemy as sa

from consumers import ddl
from consumers.audit_key import AuditKey
from consumers.audit_lines import Block, NewBlock, deed_hash
from consumers.audit_tables import block, seal
from consumers.auditing import Seal, Unsealed, seal_blocks
from consumers.preparing import STAGED
from consumers.writings import Writings
from schemas.formats import NationalFormat

B, S = block.c, seal.c
SEALED_AT_ONCE = 100_000  #: lines, so that a seal takes a fraction of a second
BLOCKS_AT_ONCE = 2_000
ROWS_AT_ONCE = 20_000
_BLOCK = tuple(field.name for field in dataclasses.fields(Block))
_SEAL = tuple(field.name for field in dataclasses.fields(Seal))


class AuditBooks(Writings):
    """The part of a store that keeps the audit chain."""

    def _only_sealer(self, connection: sa.Connection) -> bool:
        """Whether no other process seals now; it stays so until the end of the transaction."""
        return True

    def _write_blocks(self, connection: sa.Connection, blocks: Sequence[NewBlock]) -> None:
        self._insert(connection, block.name, [_columns(one) for one in blocks])

    # --- sealing -------------------------------------------------------------------------------------

    def seal(self, key: AuditKey) -> Seal | None:
        with self._transaction() as connection:
            if not self._only_sealer(connection) or not (ids := _next_ids(connection)):
                return None
            last = _last(connection)
            blocks = [
                one
                for part in _parts(ids)
                for one in _blocks(connection, sa.select(block).where(B.id.in_(part)))
            ]
            made = seal_blocks(blocks, last.anchor if last else None, key)
            self._insert(connection, seal.name, [_columns(made)])
            for part in _parts(ids):
                connection.execute(sa.update(block).where(B.id.in_(part)).values(seal=made.number))
        return made

    def unsealed(self) -> Unsealed:
        now = sa.cast(sa.text(self.now), ddl.Moment)
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(B.how_many), 0), sa.func.min(B.at), now
        )
        with self._transaction() as connection:
            blocks, lines, oldest, present = connection.execute(query.where(B.seal.is_(None))).one()
        seconds = max(0.0, (present - oldest).total_seconds()) if oldest is not None else 0.0
        return Unsealed(blocks=blocks, lines=lines, oldest_seconds=seconds)

    def last_seal(self) -> Seal | None:
        with self._transaction() as connection:
            return _last(connection)

    # --- looking -------------------------------------------------------------------------------------

    def seals(self, numbers: Sequence[int] | None = None) -> Iterator[Seal]:
        after = 0
        wanted = sa.true() if numbers is None else S.number.in_(numbers)
        while True:
            query = sa.select(seal).where(S.number > after, wanted).order_by(S.number).limit(100)
            with self._transaction() as connection:
                found = [_seal(row) for row in connection.execute(query)]
            yield from found
            if not found:
                return
            after = found[-1].number

    def blocks_of(self, seal: int | None) -> list[Block]:
        with self._transaction() as connection:
            return list(_blocks(connection, sa.select(block).where(B.seal.is_not_distinct_from(seal))))

    def blocks_with(self, handle: bytes, system: str, dataset: str) -> list[tuple[int | None, Block]]:
        query = sa.select(block).where(B.system == system, B.dataset == dataset, self._holds(handle))
        query = query.order_by(B.seal.asc().nulls_last(), B.id)
        with self._transaction() as connection:
            return [(row.seal, _block(row)) for row in connection.execute(query)]

    def _holds(self, handle: bytes) -> sa.ColumnElement[bool]:
        """That a handle stands somewhere in the bytes of a block."""
        raise AssertionError("given by the store")

    def rows_as_sent(self, national: NationalFormat) -> Iterator[pl.DataFrame]:
        c = ddl.format_table(national).c
        texts = [name for name, kind in STAGED if kind == "text"]
        fields = {one.name: c[ddl.column_name(one)] for one in national.fields}
        columns: dict[str, sa.ColumnElement[Any]] = {
            **{name: c[name] for name in (*texts, "lt_seq", "lt_committed_at", "lt_applied_at")},
            "lt_deleted": c.lt_deleted_at.is_not(None),
            **fields,
        }
        times = dict.fromkeys(("lt_committed_at", "lt_applied_at"), pl.Datetime("us", "UTC"))
        others = {"lt_seq": pl.Int64(), "lt_deleted": pl.Boolean(), **times}
        schema = dict.fromkeys(columns, pl.String()) | others
        query = sa.select(*(column.label(name) for name, column in columns.items()))
        with self._transaction(reads=True) as connection:
            found = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query).partitions()
            for rows in found:
                frame = pl.DataFrame([*map(tuple, rows)], schema=schema, orient="row")
                yield frame.with_columns(lt_committed_ms=pl.col("lt_committed_at").dt.epoch("ms"))

    def strange_seals(self) -> list[int]:
        known = sa.select(sa.literal(1)).where(S.number == B.seal).exists()
        query = sa.select(B.seal).where(B.seal.is_not(None), ~known).distinct().order_by(B.seal)
        with self._transaction() as connection:
            return [number for number in connection.execute(query).scalars() if number is not None]

    def deed_hashes(self) -> list[tuple[int, bytes]]:
        with self._transaction() as connection:
            rows = connection.execute(sa.select(ddl.audit).order_by(ddl.audit.c.id)).mappings()
            return [(row["reject"], deed_hash(row["reject"], dict(row))) for row in rows]


def _next_ids(connection: sa.Connection) -> list[int]:
    """Blocks to be sealed, by id: within a record that is the order of its changes."""
    query = sa.select(B.id, B.how_many).where(B.seal.is_(None)).order_by(B.id).limit(BLOCKS_AT_ONCE)
    ids, lines = [], 0
    for number, how_many in connection.execute(query):
        ids.append(number)
        lines += how_many
        if lines >= SEALED_AT_ONCE:
            break
    return ids


def _last(connection: sa.Connection) -> Seal | None:
    row = connection.execute(sa.select(seal).order_by(S.number.desc()).limit(1)).one_or_none()
    return _seal(row) if row is not None else None


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[at : at + 500] for at in range(0, len(ids), 500))


def _blocks(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[Block]:
    return (_block(row) for row in connection.execute(query.order_by(B.id)))


def _block(row: sa.Row[Any]) -> Block:
    return Block(**{name: getattr(row, name) for name in _BLOCK})


def _seal(row: sa.Row[Any]) -> Seal:
    return Seal(**{name: getattr(row, name) for name in _SEAL})


def _columns(one: NewBlock | Seal) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
