"""The demo's births through the compiled contract: equal to what its generator knew, without a broker.

The generator never saw the mapping, so this is the contract's second, independent restatement.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from deploy.demo.changes import Change, Register
from deploy.demo.national import LAYOUTS, Gone, Layout, Live, Rejected
from deploy.demo.render import LegacyRow
from schemas.mapping import Translated, Translator
from tests.shipped import shipped

BIRTHS = 6000
TYPES: dict[str, type[pl.DataType]] = {"id": pl.Int64, "trang_thai": pl.Int64, "du_lieu_cu": pl.Boolean}


def events(changes: Sequence[tuple[Change, LegacyRow | None]]) -> pl.DataFrame:
    """Decoded envelopes, as capture would send them: (change, the row before it)."""
    columns = next(list(change.row) for change, _ in changes if change.row is not None)
    value = pl.Struct({name: TYPES.get(name, pl.String) for name in columns})
    rows: list[dict[str, Any]] = []
    for place, (change, before) in enumerate(changes):
        op = {"insert": "c", "update": "u", "delete": "d"}[change.op]
        source = {"seq": place + 1, "ts_ms": 1_767_600_000_000 + place}
        rows.append({"before": before, "after": change.row, "source": source, "op": op, "__row": place})
    return pl.DataFrame(
        rows,
        schema={
            "before": value,
            "after": value,
            "source": pl.Struct({"seq": pl.Int64, "ts_ms": pl.Int64}),
            "op": pl.String,
            "__row": pl.UInt32,
        },
    )


@pytest.fixture(scope="module")
def changes() -> list[tuple[Change, LegacyRow | None]]:
    register = Register(BIRTHS, 11)
    made: list[tuple[Change, LegacyRow | None]] = []
    rows: dict[int, LegacyRow | None] = {}
    for group in [register.snapshot(), *register.transactions(1500)]:
        for change in group:
            made.append((change, rows.get(change.id)))
            rows[change.id] = change.row
    return made


@pytest.fixture(scope="module")
def translated(changes: list[tuple[Change, LegacyRow | None]]) -> Translated:
    library = shipped()
    return Translator(library.contracts["hotich_qnam/khaisinh"], library).translate(events(changes))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: one.format)
def test_each_live_row_is_equal_field_by_field(
    layout: Layout, changes: list[tuple[Change, LegacyRow | None]], translated: Translated
) -> None:
    answers = translated.national[layout.format].filter(pl.col("lt_answers"))
    found = {row["__row"]: row for row in answers.iter_rows(named=True)}
    differences: list[str] = []
    compared = 0
    for place, (change, _) in enumerate(changes):
        due = change.outcome
        if not isinstance(due, Live):
            continue
        row = found.get(place)
        if row is None:
            differences.append(f"{place}: no national row")
            continue
        compared += 1
        if (row["lt_op"], row["lt_key"], row["lt_source_key"]) != ("u", due.key, str(change.id)):
            differences.append(f"{place}: {row['lt_op']} {row['lt_key']}, expected {due.key}")
        differences += [
            f"{place}: {name}: {due.fields.get(name)!r} != {row[name]!r} from {change.row}"
            for name in layout.fields
            if due.fields.get(name) != row[name]
        ]
        warned = frozenset((row["lt_warnings"] or "").split(",")) - {""}
        if warned != due.warnings:
            differences.append(f"{place}: warnings {due.warnings} != {warned}")
    assert differences == []
    assert compared > 0.9 * BIRTHS


def test_rejects_are_exactly_the_planted_faults(
    changes: list[tuple[Change, LegacyRow | None]], translated: Translated
) -> None:
    found = Counter(
        (row["__row"], row["field"], row["rule"]) for row in translated.rejects.iter_rows(named=True)
    )
    due = Counter(
        (place, change.outcome.field, change.outcome.rule)
        for place, (change, _) in enumerate(changes)
        if isinstance(change.outcome, Rejected)
    )
    assert found == due
    assert due.total() > 0.02 * BIRTHS


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: one.format)
def test_what_is_gone_is_deleted_and_a_moved_record_leaves_its_old_key(
    layout: Layout, changes: list[tuple[Change, LegacyRow | None]], translated: Translated
) -> None:
    deletes = translated.national[layout.format].filter(pl.col("lt_op") == "d")
    found = Counter(deletes.select("__row", "lt_key", "lt_answers").iter_rows())
    gone = [
        (place, change.outcome.key, True)
        for place, (change, _) in enumerate(changes)
        if isinstance(change.outcome, Gone)
    ]
    left = [(place, change.left, False) for place, (change, _) in enumerate(changes) if change.left]
    assert found == Counter([*gone, *left])
    assert len(gone) > 100
    assert len(left) > 50
