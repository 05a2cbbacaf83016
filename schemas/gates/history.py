"""Past changes of a dataset from a file: one event a line, in Debezium's JSON."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from schemas.contracts import AvroType
from schemas.documents import read_text
from schemas.errors import ContractError
from schemas.events import event_frame, misfit
from schemas.gates.sample import json_object

#: Events translated at a time.
AT_ONCE = 10_000

_FORM = 'one event a line: {"op": "c", "before": null, "after": {column: value, …}}'

_Event = tuple[dict[str, str | None] | None, dict[str, str | None] | None, str]


def read_events(path: Path, columns: Mapping[str, AvroType]) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """Lots of decoded envelopes and, for each event, its line.

    ``columns``: of the rows; names beyond them are passed over. Raises ``ContractError`` with file and line,
    also for a row that has none of them, which is of another dataset, and for a file without an event.
    """
    there = False
    lines = ((at, line) for at, line in enumerate(read_text(path).split("\n"), start=1) if line.strip())
    while lot := list(islice(lines, AT_ONCE)):
        places = [at for at, _ in lot]
        before, after, ops = zip(*(_event(path, at, line, columns) for at, line in lot), strict=True)
        try:
            frame = event_frame(before, after, ops, columns)
        except PolarsError:
            at, name = misfit(before, after, columns)
            text = f"{path}:{places[at]}: column {name} is not of type {columns[name]}"
            raise ContractError(text, next_step="correct the line, or the contract's columns") from None
        there = True
        yield frame, [f"line {at}" for at in places]
    if not there:
        raise ContractError(f"{path}:1: no event is in the file", next_step=_FORM)


def _event(path: Path, at: int, line: str, columns: Mapping[str, AvroType]) -> _Event:
    said = json_object(path, at, line, _FORM)
    said = said["payload"] if isinstance(said.get("payload"), dict) else said  # as Debezium's JSON converter
    sides = [said.get(part) for part in ("before", "after")]
    if "op" not in said or any(side is not None and not isinstance(side, dict) for side in sides):
        raise ContractError(f"{path}:{at}: not a change event", next_step=_FORM)
    if any(side is not None and columns.keys().isdisjoint(side) for side in sides):
        raise ContractError(
            f"{path}:{at}: no column of the dataset is in it",
            next_step=f"give changes of this dataset; its columns: {', '.join(columns)}",
        )
    before, after = (side and {name: _text(side.get(name)) for name in columns} for side in sides)
    return before, after, str(said["op"])


def _text(value: Any) -> str | None:
    """A JSON value as the text that ``event_frame`` takes."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
