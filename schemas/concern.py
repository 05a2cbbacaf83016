"""Which records a target with ``only`` has to do with, and as what.

A record that was and stays outside is passed over without a word. One that leaves is deleted where it stood.
What it was, its change tells; a change that does not tell it (a snapshot; a source that does not keep it)
gives a deletion that does not answer: of a record that stands there, and nothing if none does.
"""

from dataclasses import replace

import polars as pl

from schemas.cleaning import Cleaner, places
from schemas.contracts import Contract, Only, typed
from schemas.events import AWAY, DELETED, LEFT, LIVE, OLD, PASSED, TOLD, Records

_ROLE, _INSIDE, _WAS_OUTSIDE = pl.col("role"), pl.col("inside"), pl.col("told") & ~pl.col("was_inside")
_ROLES = (
    pl.when(_ROLE == OLD)
    .then(
        pl.when(_WAS_OUTSIDE)
        .then(PASSED)
        .when(_INSIDE.shift(-1))  # right behind it is what it became
        .then(OLD)
        .when("told")
        .then(LEFT)
        .otherwise(AWAY)
    )
    .when("deleted")
    .then(pl.when(_WAS_OUTSIDE).then(PASSED).otherwise(_ROLE))
    .when(_INSIDE)
    .then(_ROLE)
    .when(_WAS_OUTSIDE | (pl.col("told") & (_ROLE.shift(1) == OLD).fill_null(value=False)))
    .then(PASSED)
    .when("told")
    .then(LEFT)
    .otherwise(AWAY)
    .cast(pl.UInt8)
    .alias("role")
)


class Concern:
    """The ``only`` of one target, compiled."""

    def __init__(self, contract: Contract, only: Only) -> None:
        self._column = only.column
        avro = contract.readable[only.column]
        self._values = typed(pl.Series(only.is_, dtype=pl.String), avro).implode()
        # A blank too many must not pass a record over: nobody would hear of it.
        self._cleaner = Cleaner(contract.missing) if avro == "string" else None

    def of(self, records: Records) -> tuple[Records, pl.Series]:
        """The target's view of the records: those it has to do with, in its own roles; and their places."""
        before = records.before
        assert before is not None
        now, was = records.source[self._column], before[self._column]
        if self._cleaner is not None:
            cleaned = self._cleaner.clean({"now": now, "was": was}).columns
            now, was = cleaned["now"], cleaned["was"]
        inside = now.is_in(self._values).fill_null(value=False)
        was_inside = was.is_in(self._values).fill_null(value=False)
        frame = pl.DataFrame(
            [
                records.roles.alias("role"),
                inside.alias("inside"),
                was_inside.alias("was_inside"),
                before[TOLD].alias("told"),
                before[DELETED].alias("deleted"),
            ]
        )
        roles = frame.select(_ROLES).to_series()
        at = places(roles != PASSED)
        roles = roles[at]
        mine = replace(
            records,
            source=records.source[at],
            rows=records.rows[at],
            seq=records.seq[at],
            committed_ms=records.committed_ms[at],
            roles=roles,
            problems={},
            all_live=bool((roles == LIVE).all()),
            before=None,
        )
        return mine, at
