"""What became of a batch's rows, once the database has told which of the staged ones it did not take."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from consumers.preparing import WHOSE, receipt_of, receipts_of_rejects, rejects_of_rows
from consumers.receipts import Outcome, Receipt, Reject
from consumers.store import Applied, Prepared, Rider, Step

Verdict = Literal["applied", "stale", "duplicate", "held", "refused"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the database refuses a row: names of its own, never a value."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """A row that was deleted because its record stands under another key now, or has left this one."""

    key: str  #: national key of the row that was deleted
    lt_row: int  #: the staged row of the same record that told so
    seq: int  #: of the change that left the key
    version: int  #: of the row that was deleted


@dataclass(slots=True)
class Tally:
    """Collects, for one transaction, what the steps left out."""

    prepared: Prepared
    verdicts: dict[int, Verdict] = field(default_factory=dict)  #: by place in ``rows``; absent: applied
    refusals: dict[int, Refusal] = field(default_factory=dict)
    replaced: list[tuple[Sequence[int], "np.ndarray[Any, Any]"]] = field(default_factory=list)
    """Staged rows (``lt_row``) that were written, with the version that each replaced, -1 for none."""
    buried: list[Burial] = field(default_factory=list)

    def merged(
        self, step: Step, replaced: "np.ndarray[Any, Any]", losers: Iterable[tuple[int, Verdict]]
    ) -> None:
        """A merge wrote as many rows of its step as it ``replaced`` versions: all but the ``losers``."""
        lost = dict(losers)
        written: Sequence[int] = range(step.start, step.stop)
        if lost:
            written = [lt_row for lt_row in written if lt_row not in lost]
        if len(written) > len(replaced):
            # The losers are told by what stands in the table: by what another step of this transaction wrote,
            # if the very same version comes again behind another record's.
            before = {self._version(lt_row) for earlier, _ in self.replaced for lt_row in earlier}
            lost |= {lt_row: "duplicate" for lt_row in written if self._version(lt_row) in before}
            written = [lt_row for lt_row in written if lt_row not in lost]
        for lt_row, verdict in lost.items():
            self.verdicts[self.prepared.staged[lt_row]] = verdict
        self.replaced.append((written, replaced))

    def _version(self, lt_row: int) -> tuple[Any, ...]:
        return self.prepared.rows.select("lt_key", *WHOSE, "lt_source_key", "lt_seq").row(
            self.prepared.staged[lt_row]
        )

    def refuse(self, lt_row: int, refusal: Refusal) -> None:
        """A staged row that the database refuses by itself."""
        row = self.prepared.staged[lt_row]
        self.verdicts[row] = "refused"
        self.refusals[row] = refusal

    def lets_go(self) -> bool:
        """Whether this batch may have let go of a national key."""
        return bool(self.buried) or any(step.op == "d" for step in self.prepared.steps)

    def let_go(self) -> dict[bytes, tuple[str, str, int]]:
        """National keys, as records are keyed, that were let go of: whose they were, and its version."""
        rows, staged = self.prepared.rows, self.prepared.staged
        steps = [staged[step.start : step.stop].to_list() for step in self.prepared.steps if step.op == "d"]
        deletes = [row for step in steps for row in step if row not in self.verdicts]
        told = rows.select("lt_key", *WHOSE, "lt_seq")[deletes].rows()
        for one in self.buried:  # the tombstone keeps the version of the row
            whose = rows.select(WHOSE).row(staged[one.lt_row])
            told.append((one.key, *whose, one.version))
        return {key.encode(): (system, dataset, seq) for key, system, dataset, seq in told}

    def settle(self) -> tuple[Applied, list[Receipt], list[Reject]]:
        """Counts, receipts, and the store's own rejects."""
        ride(self.prepared.riders, self.verdicts)
        rows = self.prepared.rows
        if not self.verdicts:
            deleted = sum(step.stop - step.start for step in self.prepared.steps if step.op == "d")
            deleted += sum(rows["lt_op"][rider.row] == "d" for rider in self.prepared.riders)
            applied = Applied(applied=rows.height, deleted=deleted, stale=0, duplicate=0, rejected=())
            return applied, [*self.prepared.receipts, *self._receipts_of_prepared_rejects()], []
        return self._settle_mixed(rows)

    def _receipts_of_prepared_rejects(self) -> list[Receipt]:
        return receipts_of_rejects(self.prepared.rejects, [self.prepared.batch.format.full_id])

    def _settle_mixed(self, rows: pl.DataFrame) -> tuple[Applied, list[Receipt], list[Reject]]:
        ops = rows["lt_op"]
        final = ["applied"] * rows.height
        for row, verdict in self.verdicts.items():
            # A delete by a record that does not hold the key has nothing to delete: somebody else does.
            final[row] = "stale" if verdict == "held" and ops[row] == "d" else verdict
        said = rows.with_columns(__verdict=pl.Series(final, dtype=pl.String)).with_row_index("__row")
        count = dict(said.group_by("__verdict").len().iter_rows())
        deleted = said.filter((pl.col("__verdict") == "applied") & (pl.col("lt_op") == "d")).height
        rejects, receipts = self._rejects(said)
        applied = Applied(
            applied=count.get("applied", 0),
            deleted=deleted,
            stale=count.get("stale", 0),
            duplicate=count.get("duplicate", 0),
            rejected=tuple(rejects),
        )
        receipts += self._receipts_of_prepared_rejects()
        return applied, [*self._receipts(said), *receipts], rejects

    def _receipts(self, said: pl.DataFrame) -> list[Receipt]:
        # A duplicate is the very version that the store has: its publisher hears "applied" again.
        names: Mapping[str, Outcome] = {"applied": "applied", "duplicate": "applied", "stale": "stale"}
        answering = said.filter(pl.col("lt_answers").fill_null(True) & pl.col("__verdict").is_in(list(names)))
        told = answering.with_columns(pl.col("__verdict").replace(names))
        groups = told.partition_by(*WHOSE, "__verdict", as_dict=True) if told.height else {}
        full_id = self.prepared.batch.format.full_id
        return [
            receipt_of(str(system), str(dataset), full_id, names[str(verdict)], group["lt_seq"])
            for (system, dataset, verdict), group in sorted(groups.items())
        ]

    def _rejects(self, said: pl.DataFrame) -> tuple[list[Reject], list[Receipt]]:
        batch = self.prepared.batch
        held = said.filter(pl.col("__verdict") == "held")
        detail = "another source record holds this national key"
        rejects = rejects_of_rows(batch, held, "national_key_taken", [""] * held.height, detail)
        refused = said.filter(pl.col("__verdict") == "refused")
        for row in refused.partition_by("__row", maintain_order=True):
            refusal = self.refusals[row["__row"].item()]
            rejects += rejects_of_rows(batch, row, "database_refused", [refusal.field], refusal.detail)
        answering = pl.concat([held, refused])["lt_answers"].fill_null(True)
        answers = [one for one, does in zip(rejects, answering, strict=True) if does]
        return rejects, receipts_of_rejects(answers, [batch.format.full_id])


def ride(riders: Sequence[Rider], verdicts: dict[int, Verdict]) -> None:
    """Give the versions that were not staged the verdict that they would have got one by one."""
    for rider in riders:
        winner = verdicts.get(rider.winner, "applied")
        if winner in ("held", "stale", "refused"):
            verdicts[rider.row] = winner
        elif rider.order == "same":
            verdicts[rider.row] = "duplicate"
        elif rider.order == "behind" or winner == "duplicate":
            verdicts[rider.row] = "stale"
