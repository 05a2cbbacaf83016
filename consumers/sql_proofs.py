"""Proofs in SQL; see ``consumers.proofs.ProofStore``. How a database builds sums is told by its store."""
# ruff: noqa: S608 (names of tables and columns come from formats, whose loader checks them)

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence

import polars as pl
import sqlalchemy as sa

from consumers import ddl
from consumers.proofs import Known, Proof, Refused
from consumers.sql_looking import LookingStore
from consumers.sql_repairs import NO_REJECT
from schemas.differences import compared
from schemas.formats import NationalFormat
from schemas.sums import BUCKET_DIGITS, Sum, Sums, wrapped

proven = sa.Table(
    "lienthong_proof",
    ddl.metadata,
    ddl.id_column(),
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("at", ddl.Moment, nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("took_ms", "rows", "translated", "missing", "extra", "different", "refused", "in_flight")
    ),
    sa.Column("differing", sa.BigInteger),  # null in lines of earlier versions
    comment="Kết quả các lần đối soát: nguồn và kho quốc gia bằng nhau hay lệch ở đâu",
)
sa.Index("lienthong_proof_by_system", proven.c.system, proven.c.dataset, proven.c.id)

buckets_known = sa.Table(
    "lienthong_proof_bucket",
    ddl.metadata,
    *(sa.Column(name, sa.Text, primary_key=True) for name in ("system", "dataset", "bucket", "format")),
    sa.Column("fingerprint", sa.Text, nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("source_rows", "source_sum", "refused", "rows", "sum")
    ),
    comment="Tổng kiểm của từng nhóm bản ghi nguồn và của bản dịch sang định dạng quốc gia",
)

_BUCKET = f"substr(md5(lt_source_key), 1, {BUCKET_DIGITS})"
_OF_DATASET = "lt_system = :system AND lt_dataset = :dataset"
_IN_FORCE = f"{_OF_DATASET} AND lt_deleted_at IS NULL"
_PROOF = tuple(field.name for field in dataclasses.fields(Proof))
_AT_ONCE = 20_000
#: Parameters of one statement; SQLite takes 32,766.
_KEYS = 10_000


class ProvingStore(LookingStore, ABC):
    """A store that can be compared with a source."""

    @abstractmethod
    def _total(self, columns: Sequence[str]) -> str:
        """SQL of the exact sum, as a text, of the hashes of rows' texts; the columns are quoted names."""

    def _keep_alone(self, connection: sa.Connection) -> None:
        """Wait until no other comparison keeps what it found."""

    # --- what stands in the store --------------------------------------------------------------------

    def national_sums(self, national: NationalFormat, system: str, dataset: str) -> Sums:
        columns = ["lt_source_key", "lt_key", *_columns(national)]
        text = sa.text(
            f"SELECT {_BUCKET}, count(*), {self._total(columns)}"
            f" FROM {national.table} WHERE {_IN_FORCE} GROUP BY {_BUCKET}"
        )
        with self._transaction(reads=True) as connection:
            found = connection.execute(text, {"system": system, "dataset": dataset})
            return {name: Sum(rows, wrapped(int(total))) for name, rows, total in found}

    def national_rows(
        self,
        national: NationalFormat,
        system: str,
        dataset: str,
        *,
        buckets: Collection[str] = (),
        keys: Sequence[str] = (),
    ) -> Iterator[pl.DataFrame]:
        columns = ", ".join(_columns(national))
        schema = {"lt_source_key": pl.String(), "lt_key": pl.String(), "lt_seq": pl.Int64()}
        schema |= {**dict.fromkeys(compared(national), pl.String()), "lt_deleted": pl.Boolean()}
        chosen = f"{_IN_FORCE} AND {_BUCKET}" if buckets else f"{_OF_DATASET} AND lt_source_key"
        text = sa.text(
            f"SELECT lt_source_key, lt_key, lt_seq, {columns}, lt_deleted_at IS NOT NULL"
            f" FROM {national.table} WHERE {chosen} IN :chosen"
        ).bindparams(sa.bindparam("chosen", expanding=True))
        every = [*buckets] if buckets else [*keys]
        yield pl.DataFrame(schema=schema)
        with self._transaction(reads=True) as connection:
            for start in range(0, len(every), _KEYS):
                given = {"system": system, "dataset": dataset, "chosen": every[start : start + _KEYS]}
                found = connection.execution_options(yield_per=_AT_ONCE).execute(text, given)
                for rows in found.partitions():
                    yield pl.DataFrame([*map(tuple, rows)], schema=schema, orient="row")

    def refused(self, system: str, dataset: str, topics: Collection[str]) -> dict[str, Refused]:
        c = ddl.reject.c
        mine = c.contract.startswith(f"{system}/{dataset}@", autoescape=True)
        query = sa.select(c.source_key, c.seq, c.became).where(
            c.system == system,
            c.dataset == dataset,
            c.topic.in_(topics),
            sa.or_(c.contract.is_(None), mine),  # the sync hop refuses without a contract
            c.source_key.is_not(None),
            sa.or_(c.became.is_(None), c.became == "dropped"),
        )
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(sa.func.coalesce(c.seq, 0), c.id))
            return {key: Refused(seq or 0, became is None) for key, seq, became in rows}

    # --- what is kept --------------------------------------------------------------------------------

    def known(self, system: str, dataset: str, fingerprint: str) -> list[Known]:
        c = buckets_known.c
        query = sa.select(buckets_known).where(
            c.system == system, c.dataset == dataset, c.fingerprint == fingerprint
        )
        found: dict[str, Known] = {}
        national: dict[str, dict[str, Sum]] = {}
        with self._transaction() as connection:
            for row in connection.execute(query):
                mine = national.setdefault(row.bucket, {})
                mine[row.format] = Sum(row.rows, row.sum)
                source = Sum(row.source_rows, row.source_sum)
                found[row.bucket] = Known(
                    bucket=row.bucket, source=source, refused=row.refused, national=mine
                )
        return list(found.values())

    def keep(self, proof: Proof, fingerprint: str, known: Sequence[Known], forget: Collection[str]) -> None:
        whose = {"system": proof.system, "dataset": proof.dataset}
        rows = [
            {
                **whose,
                "bucket": one.bucket,
                "format": full_id,
                "fingerprint": fingerprint,
                "source_rows": one.source.rows,
                "source_sum": one.source.total,
                "refused": one.refused,
                "rows": mine.rows,
                "sum": mine.total,
            }
            for one in known
            for full_id, mine in one.national.items()
        ]
        gone = [{"s": proof.system, "d": proof.dataset, "b": name} for name in forget]
        gone += [{"s": proof.system, "d": proof.dataset, "b": one.bucket} for one in known]
        c = buckets_known.c
        mine = (c.system == sa.bindparam("s"), c.dataset == sa.bindparam("d"), c.bucket == sa.bindparam("b"))
        with self._transaction() as connection:
            self._keep_alone(connection)
            stale = (c.system == proof.system, c.dataset == proof.dataset, c.fingerprint != fingerprint)
            connection.execute(sa.delete(buckets_known).where(*stale))
            if gone:
                connection.execute(sa.delete(buckets_known).where(*mine), gone)
            if rows:
                connection.execute(sa.insert(buckets_known), rows)
            connection.execute(sa.insert(proven), [dataclasses.asdict(proof)])

    def proofs(self) -> list[Proof]:
        c = proven.c
        last = sa.select(sa.func.max(c.id)).group_by(c.system, c.dataset)
        differing = sa.func.coalesce(c.differing, c.missing + c.extra + c.different).label("differing")
        told = [differing if name == "differing" else c[name] for name in _PROOF]
        query = sa.select(*told).where(c.id.in_(last)).order_by(c.system, c.dataset)
        with self._transaction() as connection:
            return [Proof(**row) for row in connection.execute(query).mappings()]

    def revealed_keys(self, dataset: str, *, who: str, why: str) -> None:
        with self._transaction() as connection:
            self._note(connection, [NO_REJECT], "reveal", who, why, f"keys of {dataset}")


def _columns(national: NationalFormat) -> list[str]:
    """What is compared, as the table's columns are named."""
    return [f'"{one.lower()}"' for one in compared(national)]
