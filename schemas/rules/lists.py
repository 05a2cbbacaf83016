"""A rule for lists: the rows of a line table, or any JSON array of objects, item by item."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import polars as pl
from pydantic import Field

from schemas.codelists import CodeLists
from schemas.documents import Place, suggestion
from schemas.formats import FormatField
from schemas.rings import ring
from schemas.rules.base import ColumnRule, Columns, Complaint, Given, Inner, Inputs, Of, Rule, kind, within
from schemas.rules.cases import When
from schemas.rules.running import evaluated, in_waves, inputs, told_by

_FOUND = pl.Struct({"value": pl.String, "problem": pl.String})

Item = Mapping[str, str | None]


@kind("list")
class List(ColumnRule):
    """A JSON array of objects, each item obtained by rules of its own that read the keys of the object.

    Given as JSON without spaces, keys in the order of the field's items, missing ones left out; an array
    without items is missing. A rule within may refer to another key of its item, or to a national field.

    Problems: ``list_unreadable``; those of the rules within and ``required_missing``, told of the first item
    at fault by its number from 1: ``[2].name:code``.
    """

    fields: Mapping[str, Inner] = Field(min_length=1)  #: by key of the item

    @property
    def types(self) -> tuple[str, ...]:
        return ("string",)

    @property
    def lists(self) -> bool:
        return True

    @property
    def lossy(self) -> bool:
        return any(rule.lossy for rule in self.fields.values())

    def others(self) -> Mapping[str, Of]:
        return {
            f"{name}.{key}": other
            for name, rule in self.fields.items()
            for key, other in rule.others().items()
            if other.field not in self.fields
        }

    def item_reads(self) -> Mapping[Place, str]:
        """The keys of the source's objects that it reads, by where it names them."""
        return {
            ("fields", name, *where): key
            for name, rule in self.fields.items()
            for where, key in rule.reads().items()
        }

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        items = {one.name: one for one in field.items} if field else {}
        if field and not items:
            raise Complaint("rule", f"{field.name} is no list of items", "give the field items in its format")
        for name, rule in self.fields.items():
            with within("fields", name):
                if field and name not in items:
                    raise Complaint((), f"items have no {name}", suggestion(name, list(items)))
                if rule.required not in (True, False):
                    raise Complaint("required", "an item has no exception", "write true, or nothing")
                rule.hold(items.get(name), codes)
                self._check_others(rule)
        missing = [one.name for one in items.values() if one.required and one.name not in self.fields]
        if missing:
            raise Complaint("fields", f"items require {missing[0]}, and no rule obtains it", "add a rule")
        waits = {n: [one.field for one in rule.others().values()] for n, rule in self.fields.items()}
        if found := ring(waits):
            text = f"these keys wait for each other: {' -> '.join(found)}"
            raise Complaint(("fields", found[0]), text, "let one of them not need the others")

    def _check_others(self, rule: Rule) -> None:
        for key, other in rule.others().items():
            told = self.fields.get(other.field)
            if told and other.fact and other.fact not in told.facts():
                raise Complaint(
                    key,
                    f"{other.field} does not tell its {other.fact}",
                    f"name a key whose rule finds a {other.fact}",
                )

    def fitted(self, field: FormatField) -> Self:
        fields = {}
        for one in (one for one in field.items if one.name in self.fields):
            rule = self.fields[one.name].fitted(one)
            required = rule.required or one.required
            fields[one.name] = rule.model_copy(update={"required": required})
        return self.model_copy(update={"fields": fields})

    def columns(self, take: Inputs, given: Given) -> Columns:
        items = _Items(self, list(take.others), given)
        found = pl.map_batches([take.x, *take.others.values()], items.found, return_dtype=_FOUND)
        return Columns(
            prepare=[{"found": found}],
            value=take.step("found").struct.field("value"),
            problem=take.step("found").struct.field("problem"),
        )


def lists_in(rule: Rule, place: Place = ()) -> Iterator[tuple[Place, List]]:
    """The rules for lists that give a rule's values, and their places: it, or those it chooses between."""
    if isinstance(rule, List):
        yield place, rule
    elif isinstance(rule, When):
        for where, one in rule.rules():
            yield from lists_in(one, (*place, *where))


def read_whole(rule: Rule) -> set[str]:
    """The columns that a rule reads, without those of which it reads no more than what a list in it names."""
    if isinstance(rule, List):
        return set()
    if not isinstance(rule, When):
        return set(rule.sources())
    asked = {case.if_.column for case in rule.cases}
    asked -= {one.from_ for _, one in lists_in(rule)}  # whether a list is there tells nothing of its items
    return asked.union(*(read_whole(one) for _, one in rule.rules()))


class _Items:
    """The rules of a list's items, compiled."""

    def __init__(self, rule: List, others: Sequence[str], given: Given) -> None:
        self._rule = rule
        self._others = others
        self._cleaner = given.cleaner
        self._keys = tuple(dict.fromkeys(rule.item_reads().values()))
        self._waves: list[Mapping[str, Columns]] = []
        facts = {other: pl.col(f"other.{name}") for name, other in rule.others().items()}
        for wave in in_waves(rule.fields):
            every = {name: one.columns(inputs(name, one, facts), given) for name, one in wave.items()}
            self._waves.append(every)
            facts |= told_by(every)

    def found(self, columns: Sequence[pl.Series]) -> pl.Series:
        """``value`` and ``problem`` of each text; ``columns``: the texts, then what the rules refer to."""
        read = [None if text is None else items_of(text) for text in columns[0].to_list()]
        at = [nth for nth, items in enumerate(read) for _ in items or ()]
        frame = self._frame([item for items in read for item in items or ()], at, columns[1:])
        told = zip(at, frame.select(*self._rule.fields).iter_rows(), self._problems(frame), strict=True)
        values: list[list[str]] = [[] for _ in read]
        problems = [
            "list_unreadable" if items is None and there else None
            for items, there in zip(read, columns[0].is_not_null(), strict=True)
        ]
        for nth, item, problem in told:
            values[nth].append(self._json(item))
            if problem and problems[nth] is None:
                problems[nth] = f"[{len(values[nth])}].{problem}"
        texts = [
            f"[{','.join(items)}]" if items and problem is None else None
            for items, problem in zip(values, problems, strict=True)
        ]
        return pl.DataFrame({"value": texts, "problem": problems}, _FOUND.to_schema()).to_struct()

    def _frame(self, items: Sequence[Item], at: Sequence[int], others: Sequence[pl.Series]) -> pl.DataFrame:
        """Items as rows with what their rules found."""
        raw = {key: pl.Series(key, [item.get(key) for item in items], pl.String) for key in self._keys}
        cleaned = self._cleaner.clean(raw)
        places = pl.Series("list.row", at, pl.UInt32)  # no key has a dot
        frame = pl.DataFrame(
            [
                places,
                *(column.alias(f"column.{key}") for key, column in cleaned.columns.items()),
                *(column.alias(f"unstorable.{key}") for key, column in cleaned.unstorable.items()),
                *(
                    one.gather(places).alias(f"other.{name}")
                    for name, one in zip(self._others, others, strict=True)
                ),
            ]
        )
        for wave in self._waves:
            frame = evaluated(frame, wave)
        return frame

    def _problems(self, frame: pl.DataFrame) -> Sequence[str | None]:
        """The first problem of each item, ``name:code`` or ``name[2].name:code``."""
        found = [pl.lit(None, pl.String)]
        for name, rule in self._rule.fields.items():
            steps: list[pl.Expr] = [
                pl.when(f"unstorable.{key}").then(pl.lit("text_unstorable"))
                for key in rule.sources()
                if f"unstorable.{key}" in frame.columns
            ]
            if f"{name}.problem" in frame.columns:
                steps.append(pl.col(f"{name}.problem"))
            if rule.required:
                steps.append(pl.when(pl.col(name).is_null()).then(pl.lit("required_missing")))
            if steps:
                code = pl.coalesce(steps)
                mark = pl.when(code.str.starts_with("[")).then(pl.lit("")).otherwise(pl.lit(":"))
                found.append(pl.concat_str(pl.lit(name), mark, code))
        return frame.with_columns(pl.coalesce(found).alias("list.problem"))["list.problem"].to_list()

    def _json(self, item: Sequence[str | None]) -> str:
        parts = [
            f"{_quoted(name)}:{value if rule.lists else _quoted(value)}"
            for (name, rule), value in zip(self._rule.fields.items(), item, strict=True)
            if value is not None
        ]
        return f"{{{','.join(parts)}}}"


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def items_of(text: str) -> list[Item] | None:
    """The objects of a JSON array; numbers as they are written. None if it is none."""
    try:
        found = _DECODER.decode(text)
        if "\\u" in text:
            _quoted(found).encode()  # half a character is none
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            return None
        return [{key: _text(value) for key, value in one.items()} for one in found]
    except (ValueError, RecursionError):  # to write a value may go deeper than to read it
        return None


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else _written(value)


def _written(value: Any) -> str:
    """A value as JSON again, its numbers as they were."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_quoted(key)}: {_written(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(value) if isinstance(value, _Number) else _quoted(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


#: Made once: to make one for each text takes four times as long as to read it.
_DECODER = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_refused, object_pairs_hook=_once
)
