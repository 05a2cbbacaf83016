"""From a batch of national records to staged rows: everything that needs no database. Pure.

Most batches hold each key once and go through as columns. Where a key comes several times, the rows are
put into rounds, so that merging round after round gives what the single records would give in their order.
"""

import io
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from consumers import ranges
from consumers.receipts import Outcome, Parked, Receipt, Reject
from consumers.records import LATEST_MS
from consumers.store import Prepared, Rider, Step, SyncBatch
from schemas.formats import NationalFormat

REQUIRED = ("lt_key", "lt_op", "lt_system", "lt_dataset", "lt_source_key", "lt_seq")
#: Columns of the staging table before the format's fields, with their SQL types.
STAGED = (
    ("lt_key", "text"),
    ("lt_system", "text"),
    ("lt_dataset", "text"),
    ("lt_source_key", "text"),
    ("lt_seq", "bigint"),
    ("lt_committed_ms", "bigint"),
    ("lt_contract", "text"),
    ("lt_warnings", "text"),
    ("lt_overflow", "text"),
)
WHOSE = ("lt_system", "lt_dataset")
OPS: tuple[Literal["u", "d"], ...] = ("u", "d")  # in the order in which a round is merged
#: Stands for the system of a national record that tells none, and in metrics for one without a contract.
NOBODY = "national"
#: A longer name of a system or a dataset fits no index: its answers would be refused, with the whole batch.
NAME_CHARACTERS = 200
#: Up to so many rows are written out in plain Python: some 25 µs for each of a birth register, where a query
#: of Polars takes 500 µs for any and waits for the interpreter besides.
FEW_ROWS = 24


def staged_fields(count: int) -> list[str]:
    """The names of a format's fields in the staging table, which serves all formats."""
    return [f"f{place}" for place in range(1, count + 1)]


def staging_columns(fields: int) -> list[tuple[str, str]]:
    """Names and SQL types of the staging table with room for so many fields, in the order of the CSV."""
    return [("lt_row", "integer"), *STAGED, *((name, "text") for name in staged_fields(fields))]


def prepare(batch: SyncBatch, *, every_version: bool = False) -> Prepared:
    """Choose, order and write out what the database must see.

    Args:
        every_version: stage all versions of a key, not only those that decide; for a batch in which the
            database refuses rows, because an earlier version may then be the one that stays.
    """
    rows, rejects = _readable(batch, names=every_version)
    prepared = _staged(batch, rows, rejects, every_version)
    if b"\0" in prepared.csv:
        rows, unstorable = _without_nul(batch, rows)
        prepared = _staged(batch, rows, [*rejects, *unstorable], every_version)
    return prepared


def _staged(batch: SyncBatch, rows: pl.DataFrame, rejects: Sequence[Reject], every_version: bool) -> Prepared:
    order, steps, riders = _plan(rows, every_version)
    return Prepared(
        batch=batch,
        rows=rows,
        rejects=(*batch.rejects, *rejects),
        staged=order,
        csv=csv_of(rows, batch.format, order),
        steps=steps,
        riders=riders,
        receipts=receipts_of_rows(rows, batch.format.full_id, "applied"),
    )


def staged_rows(rows: pl.DataFrame, national: NationalFormat, order: pl.Series | None = None) -> pl.DataFrame:
    """Rows with the wire's columns, or those at the places of ``order``, in the staging table's columns."""
    told = _staged_columns(rows, national)
    return (told if order is None else told[order]).with_row_index("lt_row")


def _staged_columns(rows: pl.DataFrame, national: NationalFormat) -> pl.DataFrame:
    return rows[[*(name for name, _ in STAGED), *(one.name for one in national.fields)]]


def csv_of(rows: pl.DataFrame, national: NationalFormat, order: pl.Series | None = None) -> bytes:
    """The ``staged_rows`` as COPY … (FORMAT csv) reads them back: a null is empty, an empty text is ""."""
    if rows.height <= FEW_ROWS:
        told = _staged_columns(rows, national).rows()
        staged = told if order is None else [told[row] for row in order.to_list()]
        return "".join([_csv_line(lt_row, row) for lt_row, row in enumerate(staged)]).encode()
    buffer = io.BytesIO()
    staged_rows(rows, national, order).write_csv(buffer, include_header=False, quote_style="non_numeric")
    return buffer.getvalue()


def _csv_line(lt_row: int, row: Sequence[str | int | None]) -> str:
    """As Polars writes it."""
    cells = [
        "" if one is None else '"' + one.replace('"', '""') + '"' if isinstance(one, str) else str(one)
        for one in row
    ]
    return f"{lt_row},{','.join(cells)}\n"


# --- rows no store can hold --------------------------------------------------------------------------


def is_name(text: str | None) -> bool:
    """Whether it can name a system or a dataset."""
    return bool(text) and len(text or "") <= NAME_CHARACTERS


#: Fields of a row that cannot be applied, each with what is wrong with it.
_FAULTS = (
    *((name, pl.col(name).is_null()) for name in REQUIRED),
    ("lt_op", ~pl.col("lt_op").is_in(OPS)),
    *((name, pl.col(name).str.len_chars() > NAME_CHARACTERS) for name in WHOSE),
    ("lt_committed_ms", ~pl.col("lt_committed_ms").is_between(0, LATEST_MS)),
)


def _readable(batch: SyncBatch, *, names: bool) -> tuple[pl.DataFrame, list[Reject]]:
    """``names``: look at their length, too; that takes as long as all the rest."""
    rows = batch.rows
    ops, moments = rows["lt_op"], rows["lt_committed_ms"]
    known = (ops == "u") | (ops == "d")
    in_time = (moments.min() or 0) >= 0 and (moments.max() or 0) <= LATEST_MS  # type: ignore[operator]
    if known.all() and in_time and not names and not any(rows[name].null_count() for name in REQUIRED):
        return rows, []
    at_fault = rows.select(pl.coalesce(pl.when(wrong).then(pl.lit(name)) for name, wrong in _FAULTS))
    fields = at_fault.to_series()
    detail = "a national change without this cannot be applied"
    faulty = rows.filter(fields.is_not_null())
    refused = rejects_of_rows(batch, faulty, "record_unreadable", fields.drop_nulls().to_list(), detail)
    return rows.filter(fields.is_null()), refused


def _without_nul(batch: SyncBatch, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    texts = rows.select(pl.col(pl.String))
    has_nul = texts.select(pl.all().str.contains("\0", literal=True).fill_null(False))
    mask = has_nul.select(pl.any_horizontal(pl.all())).to_series()
    at_fault = [
        next(name for name, found in row.items() if found)
        for row in has_nul.filter(mask).iter_rows(named=True)
    ]
    unstorable = rejects_of_rows(batch, rows.filter(mask), "text_unstorable", at_fault, "NUL character")
    return rows.filter(~mask), unstorable


def rejects_of_rows(
    batch: SyncBatch, rows: pl.DataFrame, rule: str, fields: Sequence[str], detail: str
) -> list[Reject]:
    """One reject for each row, with its original record if the batch can tell it."""
    rejects = []
    for field_name, row in zip(fields, rows.iter_rows(named=True), strict=True):
        partition, offset = row["__partition"], row["__offset"]
        key, original = batch.original_of(partition, offset) if batch.original_of else (None, None)
        rejects.append(
            Reject(
                system=row["lt_system"] if is_name(row["lt_system"]) else NOBODY,
                dataset=row["lt_dataset"] if is_name(row["lt_dataset"]) else batch.format.full_id,
                seq=row["lt_seq"],
                source_key=row["lt_source_key"],
                topic=batch.topic,
                partition=partition,
                offset=offset,
                rule=rule,
                field=field_name,
                detail=detail,
                key=key,
                original=original,
            )
        )
    return rejects


# --- several versions of a key -----------------------------------------------------------------------


@dataclass(slots=True)
class _Run:
    """Consecutive versions of one key by one source record. Its newest upsert and delete are staged."""

    source: tuple[str, str, str]
    newest: float = -math.inf  #: highest sequence number so far
    upsert: int | None = None
    delete: int | None = None  #: behind ``upsert``, which then gives the tombstone its values
    others: list[tuple[int, Literal["older", "same", "behind"]]] = field(default_factory=list)

    def add(self, row: int, seq: int, op: str) -> None:
        if seq > self.newest:
            self.newest = seq
            replaced = [self.delete] if op == "d" else [self.upsert, self.delete]
            self.others += [(one, "older") for one in replaced if one is not None]
            if op == "d":
                self.delete = row
            else:
                self.upsert, self.delete = row, None
        else:
            self.others.append((row, "same" if seq == self.newest else "behind"))

    def staged(self) -> list[int]:
        return [row for row in (self.upsert, self.delete) if row is not None]


def _plan(rows: pl.DataFrame, every_version: bool) -> tuple[pl.Series, tuple[Step, ...], tuple[Rider, ...]]:
    """Which rows are staged and in which order; what is merged together; what became of the others."""
    # In plain Python: as fast as queries of Polars for many rows, and much faster for few.
    keys, ops = rows["lt_key"].to_list(), rows["lt_op"].to_list()
    # By key: transactions that meet lock rows in one order, and neighbours share index pages.
    by_key = sorted(range(len(keys)), key=keys.__getitem__)
    rounds, riders = [by_key], tuple[Rider, ...]()
    if rows["lt_key"].n_unique() < len(keys):
        rounds, riders = _rounds(rows, keys, by_key, every_version)
    staged: list[int] = []
    steps: list[Step] = []
    for mine in rounds:
        for op in OPS:
            some = [row for row in mine if ops[row] == op]
            if some:
                steps.append(Step(op=op, start=len(staged), stop=len(staged) + len(some)))
                staged += some
    return pl.Series("row", staged, pl.UInt32), tuple(steps), riders


def _rounds(
    rows: pl.DataFrame, keys: Sequence[str], by_key: Sequence[int], every_version: bool
) -> tuple[list[list[int]], tuple[Rider, ...]]:
    """The rows of each round, by key. Only rows with repeated keys are looked at singly."""
    rounds: list[int | None] = [0] * len(keys)  # of each row; None: not staged
    runs: dict[str, list[_Run]] = {}
    how_often = Counter(keys)
    repeated = [row for row, key in enumerate(keys) if how_often[key] > 1]
    versions = rows[list(REQUIRED)][repeated].iter_rows()
    for row, (key, op, system, dataset, source_key, seq) in zip(repeated, versions, strict=True):
        mine = runs.setdefault(key, [])
        source = (system, dataset, source_key)
        if every_version or not mine or mine[-1].source != source:
            mine.append(_Run(source=source))
        mine[-1].add(row, seq, op)
    riders: list[Rider] = []
    for mine in runs.values():
        next_round = 0
        for run in mine:
            for row in run.staged():
                rounds[row] = next_round
                next_round += 1
            for row, order in run.others:
                rounds[row] = None
                riders.append(Rider(row=row, winner=run.staged()[-1], order=order))
    merged: defaultdict[int, list[int]] = defaultdict(list)
    for row in by_key:
        place = rounds[row]
        if place is not None:
            merged[place].append(row)
    return [merged[place] for place in sorted(merged)], tuple(riders)


# --- receipts ----------------------------------------------------------------------------------------


def receipts_of_rows(rows: pl.DataFrame, full_id: str, outcome: Outcome) -> tuple[Receipt, ...]:
    """One receipt for each dataset among the rows that answer for a change."""
    # Nulls count as true: a producer that does not know the flag answers with every record.
    answering = rows if rows["lt_answers"].all() else rows.filter(pl.col("lt_answers").fill_null(True))
    return tuple(
        receipt_of(system, dataset, full_id, outcome, seqs)
        for (system, dataset), seqs in by_dataset(answering, "lt_seq").items()
    )


def by_dataset(rows: pl.DataFrame, column: str) -> dict[tuple[str, str], pl.Series]:
    """What a column holds for each (system, dataset), of rows that tell both."""
    if not rows.height:
        return {}
    if all(rows[name].n_unique() == 1 for name in WHOSE):  # nearly always: a topic is fed by one dataset
        return {(rows["lt_system"][0], rows["lt_dataset"][0]): rows[column]}
    groups = rows[[*WHOSE, column]].partition_by(*WHOSE, as_dict=True)
    return {(str(system), str(dataset)): group[column] for (system, dataset), group in sorted(groups.items())}


def receipt_of(
    system: str,
    dataset: str,
    full_id: str,
    outcome: Outcome,
    seqs: pl.Series,
    rule: str = "",
    at_field: str = "",
) -> Receipt:
    """One receipt for a non-empty column of sequence numbers."""
    numbers = ranges.distinct(seqs)
    return Receipt(
        system=system,
        dataset=dataset,
        format=full_id,
        outcome=outcome,
        seqs=ranges.encode(numbers),
        first_seq=int(numbers[0]),
        last_seq=int(numbers[-1]),
        how_many=len(numbers),
        rule=rule,
        field=at_field,
    )


def receipts_of_parked(parked: Sequence[Parked], formats: Sequence[str]) -> list[Receipt]:
    """One receipt for each dataset and format; a change without a number gets none."""
    groups: dict[tuple[str, str], list[int]] = {}
    for one in parked:
        if one.seq is not None:
            groups.setdefault((one.system, one.dataset), []).append(one.seq)
    return [
        receipt
        for (system, dataset), seqs in groups.items()
        for receipt in receipts_of_numbers(system, dataset, seqs, formats, "parked")
    ]


def receipts_of_numbers(
    system: str, dataset: str, seqs: Sequence[int], formats: Sequence[str], outcome: Outcome
) -> list[Receipt]:
    """The same answer to these numbers of a dataset, in each format."""
    numbers = pl.Series(seqs, dtype=pl.Int64)
    return [receipt_of(system, dataset, full_id, outcome, numbers) for full_id in formats]


def receipts_of_rejects(rejects: Sequence[Reject], formats: Sequence[str]) -> list[Receipt]:
    """One receipt for each dataset, rule, field and format; a reject without a number gets none."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for one in rejects:
        if one.seq is not None:
            groups.setdefault((one.system, one.dataset, one.rule, one.field), []).append(one.seq)
    return [
        receipt_of(system, dataset, full_id, "rejected", pl.Series(seqs, dtype=pl.Int64), rule, at_field)
        for (system, dataset, rule, at_field), seqs in groups.items()
        for full_id in formats
    ]
