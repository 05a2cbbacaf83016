"""Examples beside a contract: ``contracts/<system>/<dataset>.examples.yaml``, its tests.

``row`` is a good source row and ``national`` what it gives in ``format``; ``also`` is what it gives in other
formats that the contract feeds. Each example tells its differences from them, so that every field of every
example is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field

from schemas.contracts import AvroType, Contract
from schemas.documents import Document, Place, Strict, read_document, suggestion
from schemas.events import event_frame, misfit
from schemas.library import Library
from schemas.mapping import Translated, Translator

Values = Mapping[str, str | None]


class Refusal(Strict):
    """The first problem of a row."""

    field: str
    rule: str


class Example(Strict):
    """One change, and what must become of it. Mappings hold only what differs; null takes a value away."""

    name: str
    format: str | None = None  #: the format looked at, if it is not the file's
    op: Literal["c", "u", "r", "d"] = "c"
    before: Values | None = None  #: differences of the row as it was, from ``row``; null: not told
    after: Values | None = None  #: differences of the row as it is, from ``row``; null: deleted
    by: str = "khac"  #: inbound: the system that made the change; what is told of a deletion is ``before``
    gives: Values | None = None  #: an upsert: differences from what ``row`` gives
    deletes: Values | None = None  #: a delete that answers: differences from its key fields
    leaves: Values | None = None  #: the delete of the key that the record had before: likewise
    refused: Refusal | None = None
    warnings: tuple[str, ...] = ()


class _File(Strict):
    format: str  #: full id of the national format
    row: Values
    national: Mapping[str, str]
    also: Mapping[str, Mapping[str, str]] = {}  #: by full id of another format
    examples: tuple[Example, ...] = Field(min_length=1)

    @property
    def whole(self) -> Mapping[str, Mapping[str, str]]:
        """What ``row`` gives, by format."""
        return {self.format: self.national, **self.also}


@dataclass(frozen=True, slots=True)
class Shown:
    """The good row of a file, and what it gives."""

    row: Values
    gives: Mapping[str, Mapping[str, str]]  #: by full id of a format


def read_shown(path: Path) -> Shown:
    """The row that a file of examples begins with. Raises ``ContractError``."""
    file = read_document(path).take(_File)
    return Shown(file.row, file.whole)


def check_examples(path: Path, contract: Contract, library: Library) -> list[str]:
    """What does not come out as an example says: ``file:line: example: difference``. Empty: all is well.

    Raises ``ContractError`` if the file itself is wrong.
    """
    document = read_document(path)
    file = document.take(_File)
    _check_names(document, file, contract, library)
    if contract.source:
        changes = _national_changes(file, contract)
    else:
        changes = _events(document, file, contract.on_wire)
    translated = Translator(contract, library).translate(changes)
    found: list[str] = []
    for at, example in enumerate(file.examples):
        full_id = example.format or file.format
        due = _due(example, file.whole[full_id], library.formats[full_id].key)
        got = _got(translated, full_id, at)
        found += [
            f"{path}:{document.lines['examples', at]}: {example.name}: {difference}"
            for difference in _differences(due, got)
        ]
    return found


def _check_names(document: Document, file: _File, contract: Contract, library: Library) -> None:
    fed = {target.format for target in contract.targets}
    named: list[tuple[Place, str | None]] = [(("format",), file.format)]
    named += [(("also", full_id), full_id) for full_id in file.also]
    for place, full_id in named:
        if full_id not in fed:
            raise document.error(place, f"the contract does not feed {full_id}", "name one of its targets")
    fields = {full_id: {one.name for one in library.formats[full_id].fields} for full_id in file.whole}
    columns = set(contract.on_wire)
    parts: list[tuple[Place, Values | None, set[str]]] = [(("row",), file.row, columns)]
    parts.append((("national",), file.national, fields[file.format]))
    parts += [(("also", full_id), values, fields[full_id]) for full_id, values in file.also.items()]
    for at, example in enumerate(file.examples):
        full_id = example.format or file.format
        if full_id not in fields:
            raise document.error(
                ("examples", at, "format"),
                f"the file does not tell what the row gives in {full_id}",
                "add it under also",
            )
        for part in ("before", "after"):
            parts.append((("examples", at, part), getattr(example, part), columns))
        for part in ("gives", "deletes", "leaves"):
            parts.append((("examples", at, part), getattr(example, part), fields[full_id]))
    for place, values, known in parts:
        for name in values or ():
            if name not in known:
                raise document.error((*place, name), f"unknown name {name}", suggestion(name, sorted(known)))


def example_events(path: Path, columns: Mapping[str, AvroType]) -> tuple[pl.DataFrame, list[int]]:
    """The examples of a file as decoded envelopes, and the line of each.

    ``columns``: of the rows; names beyond them are passed over. Raises ``ContractError``.
    """
    document = read_document(path)
    file = document.take(_File)
    frame = _events(document, file, columns)
    return frame, [document.lines["examples", at] for at in range(len(file.examples))]


def _events(document: Document, file: _File, columns: Mapping[str, AvroType]) -> pl.DataFrame:
    """The examples as decoded envelopes; ``__row`` is an example's place."""
    rows = [
        [None if one is None else {**file.row, **one} for one in (example.before, example.after)]
        for example in file.examples
    ]
    before, after = [side for side, _ in rows], [side for _, side in rows]
    try:
        return event_frame(before, after, [example.op for example in file.examples], columns)
    except pl.exceptions.PolarsError:
        at, name = misfit(before, after, columns)
        parts: list[Place] = [("examples", at, part, name) for part in ("after", "before")]
        place = next((one for one in parts if one in document.lines), ("row", name))
        text = f"column {name} is not of type {columns[name]}"
        raise document.error(place, text, "correct the value, or the contract's columns") from None


def _national_changes(file: _File, contract: Contract) -> pl.DataFrame:
    """Examples of an inbound contract, as its national topic would tell them."""
    deleted = [one.op == "d" for one in file.examples]
    sides = [one.before if one.op == "d" else one.after for one in file.examples]
    rows = [{**file.row, **(side or {})} for side in sides]
    columns = {
        name: [
            None if gone and name not in contract.key else row.get(name)
            for row, gone in zip(rows, deleted, strict=True)
        ]
        for name in contract.columns
    }
    count = len(rows)
    return pl.DataFrame(
        {
            **{name: pl.Series(values, dtype=pl.String) for name, values in columns.items()},
            "lt_op": ["d" if gone else "u" for gone in deleted],
            "lt_system": [one.by for one in file.examples],
            "lt_dataset": ["khac"] * count,
            "lt_source_key": [str(at) for at in range(count)],
            "lt_seq": range(1, count + 1),
            "lt_committed_ms": [0] * count,
            "lt_answers": [True] * count,
            "__row": pl.Series(range(count), dtype=pl.UInt32),
        }
    )


def _due(example: Example, national: Mapping[str, str], key: tuple[str, ...]) -> list[dict[str, str]]:
    """What must come: one mapping for each national change, in order, then refusal and warnings."""
    due: list[dict[str, str]] = []
    keys = {name: value for name, value in national.items() if name in key}
    for op, base, differences in (
        ("leaves", keys, example.leaves),
        ("deletes", keys, example.deletes),
        ("gives", dict(national), example.gives),
    ):
        if differences is not None:
            values = {name: value for name, value in {**base, **differences}.items() if value is not None}
            due.append({"": op, **values})
    if example.refused:
        due.append({"": "refused", "field": example.refused.field, "rule": example.refused.rule})
    return due + [{"": "warning", "rule": rule} for rule in sorted(example.warnings)]


def _got(translated: Translated, full_id: str, at: int) -> list[dict[str, str]]:
    """What came, in the form of ``_due``."""
    got: list[dict[str, str]] = []
    for row in translated.national[full_id].filter(pl.col("__row") == at).iter_rows(named=True):
        op = "gives" if row["lt_op"] == "u" else "deletes" if row["lt_answers"] else "leaves"
        values = {name: value for name, value in row.items() if value is not None}
        got.append(
            {"": op} | {name: value for name, value in values.items() if not name.startswith(("lt_", "__"))}
        )
    refused = translated.rejects.filter(pl.col("__row") == at).select("field", "rule")
    got += [{"": "refused", **row} for row in refused.to_dicts()]
    rules = translated.warnings.filter(pl.col("__row") == at)["rule"].sort()
    return got + [{"": "warning", "rule": rule} for rule in rules]


def _differences(due: list[dict[str, str]], got: list[dict[str, str]]) -> list[str]:
    if [one[""] for one in due] != [one[""] for one in got]:
        told = [one.get("rule", one[""]) for one in got]
        return [f"expected {[one[''] for one in due]}, found {told}"]
    return [
        f"{one['']}: {name}: expected {one.get(name)!r}, found {other.get(name)!r}"
        for one, other in zip(due, got, strict=True)
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]
