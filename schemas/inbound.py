"""National changes as records to translate: what an inbound contract reads.

A national change tells its whole way: system, dataset, source key and number. All of it stays with what is
made of it. So the gate of a store decides as it does for the national record, the answer goes to who made
the change, and a change that comes from a contract's own system is known and passed over: it never returns.
"""

import polars as pl

from schemas.contracts import Contract
from schemas.events import AWAY, DELETED, GONE, LIVE, TOLD, Records


class InboundReader:
    """Reads the changes of one national format for one contract."""

    def __init__(self, contract: Contract) -> None:
        self._columns = contract.columns
        self._wanted = ~pl.col("lt_system").is_in([contract.system, *contract.not_from]).fill_null(
            value=False
        )
        # A deletion without an answer is one of a key that the record has left.
        answers = pl.col("lt_answers").fill_null(value=True)
        role = pl.when(pl.col("lt_op") != "d").then(LIVE).when(answers).then(GONE).otherwise(AWAY)
        self._role = role.fill_null(LIVE).cast(pl.UInt8).alias("role")
        asked = sorted({target.only.column for target in contract.targets if target.only})
        nothing = [pl.lit(None, pl.String).alias(name) for name in asked]
        self._before = [pl.lit(value=False).alias(TOLD), *nothing]
        self._unknown = pl.when(~pl.col("lt_op").is_in(["u", "d"]).fill_null(value=False))

    def records(self, changes: pl.DataFrame) -> Records:
        """The records of decoded national changes with ``__row``, without those passed over."""
        changes = changes.filter(self._wanted)
        absent = [
            pl.lit(None, pl.String).alias(name) for name in self._columns if name not in changes.columns
        ]
        source = changes.with_columns(absent).select(pl.col(*self._columns).cast(pl.String))
        found = changes.select(self._role, self._unknown.then(pl.lit("op_unknown")).alias("problem"))
        roles, problem = found["role"], found["problem"]
        # No national change tells what the record was before.
        before = changes.select((pl.col("lt_op") == "d").fill_null(value=False).alias(DELETED), *self._before)
        return Records(
            source=source,
            rows=changes["__row"],
            seq=changes["lt_seq"],
            committed_ms=changes["lt_committed_ms"],
            roles=roles,
            problems={"lt_op": problem} if problem.null_count() < len(problem) else {},
            all_live=bool((roles == LIVE).all()),
            before=before,
            origin=changes.select("lt_system", "lt_dataset", "lt_source_key"),
        )
