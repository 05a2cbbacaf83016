"""``lienthong contracts shadow``: a proposed contract run over past changes, beside the present one.

Nothing is published and nothing is stored. What is told are counts and places, never a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from schemas.codenames import folded
from schemas.contracts import Contract, Target
from schemas.library import Library
from schemas.mapping import Translated, Translator
from schemas.overflow import left_columns, without_room

#: So many places are told for each difference.
_PLACES = 5

#: Every kind of difference, and whether something is lost by it.
KINDS: Mapping[str, bool] = {
    "refused": True,  # only the proposal refuses the change
    "accepted": False,  # only the present contract refuses it
    "refused_otherwise": False,  # both refuse it, for different things
    "not_given": True,  # the present contract gives a record, and the proposal none
    "given": False,  # the other way round
    "deleted": True,  # the present contract gives a record, and the proposal deletes it
    "restored": False,  # the other way round
    "key": True,  # the record goes to another national key
    "left": True,  # other keys are deleted because the record has left them
    "source_key": True,  # the record is known by another key of its source
    "emptied": True,  # the present contract gives a value, and the proposal none
    "filled": False,  # the other way round
    "respelt": False,  # the values differ in case, spaces or the place of a tone mark only
    "changed": False,  # the values differ
    "beside": False,  # other columns are kept beside the record; which are lost is told by their names
    "warned": False,  # only the proposal doubts a source column
    "not_warned": False,  # only the present contract does
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One kind of difference in one field. Holds no value of any record."""

    format: str  #: full id; empty if it is about the change as a whole
    field: str  #: a national field, or the source column that a warning is about; may be empty
    kind: str  #: one of ``KINDS``
    reason: str  #: the rule that refuses or warns, or how the field's rule changed
    loss: bool
    changes: int
    places: Sequence[str]  #: the first few


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What came out differently."""

    contract: str
    present: int  #: version of the contract
    proposed: int
    changes: int  #: how many were translated
    same: int  #: how many of them came out the same
    refused: int  #: how many of those were refused by both, for the same reason
    #: By rule, how many could not be read, and so were not translated.
    unreadable: Mapping[str, int]
    stopped: Sequence[str]  #: formats that only the present contract feeds
    added: Sequence[str]  #: formats that only the proposed contract feeds
    #: By format that both feed: columns that only the proposal leaves out; told by no field and not kept.
    left_out: Mapping[str, Sequence[str]]
    #: By format that both feed: columns that the present contract reads or keeps, and the proposal has not.
    dropped: Mapping[str, Sequence[str]]
    differences: Sequence[Difference]

    @property
    def loses(self) -> bool:
        """Whether the proposal would lose anything that the present contract gives."""
        return bool(self.stopped or self.left_out or self.dropped) or any(
            one.loss for one in self.differences
        )


def as_json(shadow: Shadow) -> dict[str, Any]:
    """The result as a JSON object."""
    return asdict(shadow) | {"loses": shadow.loses}


@dataclass(slots=True)
class _Count:
    changes: int = 0
    places: list[str] = field(default_factory=list)


class SideBySide:
    """Two contracts of one dataset, the present one and a proposal; takes in past changes lot by lot."""

    def __init__(self, present: Contract, proposed: Contract, library: Library) -> None:
        self._contracts = present, proposed
        self._translators = Translator(present, library), Translator(proposed, library)
        self._fed = {one.format for one in present.targets}, {one.format for one in proposed.targets}
        self._fields = {
            full_id: [one.name for one in library.formats[full_id].fields]
            for full_id in self._fed[0] & self._fed[1]
        }
        self._rules = {full_id: self._changed_rules(full_id) for full_id in self._fields}
        self._counts: dict[tuple[str, str, str, str], _Count] = {}
        self._changes = 0
        self._different = 0
        self._refused = 0
        self._unreadable: dict[str, int] = {}

    def _changed_rules(self, full_id: str) -> Mapping[str, str]:
        """By field: how its rule changed; no field whose rule did not."""
        before, after = (contract.target(full_id).rules for contract in self._contracts)
        told = {}
        for name in before.keys() | after.keys():
            one, other = before.get(name), after.get(name)
            if one != other:
                kinds = [rule.rule if rule else "no rule" for rule in (one, other)]
                told[name] = (
                    f"{' -> '.join(kinds)}" if kinds[0] != kinds[1] else f"{kinds[0]}, told otherwise"
                )
        return told

    def unreadable(self, rule: str) -> None:
        """Count a record that cannot be read."""
        self._unreadable[rule] = self._unreadable.get(rule, 0) + 1

    def take(self, events: pl.DataFrame, places: Sequence[str]) -> None:
        """Translate decoded envelopes both ways and count the differences.

        ``events`` are as ``Translator.translate`` takes them; ``places`` says for each ``__row`` where the
        change is found. Raises ``ContractError`` if a column has another type than a contract says.
        """
        before, after = (translator.translate(events) for translator in self._translators)
        different: set[int] = set()
        for full_id, name, kind, reason, rows in self._compared(before, after):
            count = self._counts.setdefault((full_id, name, kind, reason), _Count())
            count.changes += len(rows)
            count.places += [places[row] for row in rows[: _PLACES - len(count.places)]]
            different.update(rows)
        self._changes += len(events)
        self._different += len(different)
        reject = ["__row", "field", "rule"]
        self._refused += len(before.rejects.join(after.rejects, on=reject, how="semi", nulls_equal=True))

    def result(self) -> Shadow:
        """What was found so far; what weighs most comes first, and of that what is most frequent."""
        present, proposed = self._contracts
        differences = [
            Difference(
                format=full_id,
                field=name,
                kind=kind,
                reason=reason,
                loss=KINDS[kind],
                changes=count.changes,
                places=tuple(count.places),
            )
            for (full_id, name, kind, reason), count in self._counts.items()
        ]
        differences.sort(key=lambda one: (one.format, not one.loss, -one.changes, one.field, one.kind))
        return Shadow(
            contract=present.id,
            present=present.version,
            proposed=proposed.version,
            changes=self._changes,
            same=self._changes - self._different,
            refused=self._refused,
            unreadable=self._unreadable,
            stopped=sorted(self._fed[0] - self._fed[1]),
            added=sorted(self._fed[1] - self._fed[0]),
            left_out={full_id: left for full_id in sorted(self._fields) if (left := self._left_out(full_id))},
            dropped={full_id: gone for full_id in sorted(self._fields) if (gone := self._dropped(full_id))},
            differences=differences,
        )

    def _left_out(self, full_id: str) -> Sequence[str]:
        before, after = (left_columns(one, one.target(full_id)) for one in self._contracts)
        return [column for column in after if column not in before]

    def _dropped(self, full_id: str) -> Sequence[str]:
        before, after = (_told_or_kept(one, one.target(full_id)) for one in self._contracts)
        left_out = self._left_out(full_id)
        return [column for column in before if column not in after and column not in left_out]

    def _compared(
        self, before: Translated, after: Translated
    ) -> Iterator[tuple[str, str, str, str, list[int]]]:
        """Format, field, kind and reason of each difference, and the ``__row`` of each change that has it."""
        yield from _refusals(before.rejects, after.rejects)
        refused = pl.concat([before.rejects["__row"], after.rejects["__row"]]).implode()
        for full_id, fields in self._fields.items():
            sides = [one.national[full_id].filter(~pl.col("__row").is_in(refused)) for one in (before, after)]
            for name, kind, rows in _of_format(sides[0], sides[1], fields):
                yield full_id, name, kind, self._rules[full_id].get(name, ""), rows
        for kind, one, other in (("not_warned", before, after), ("warned", after, before)):
            only = one.warnings.join(other.warnings, on=["__row", "field", "rule"], how="anti")
            only = only.filter(~pl.col("__row").is_in(refused))
            for (name, rule), found in only.group_by("field", "rule", maintain_order=True):
                yield "", str(name), kind, str(rule), sorted(set(found["__row"]))


def _told_or_kept(contract: Contract, target: Target) -> Sequence[str]:
    """The columns that a target reads or keeps; of a set of lines also each of its own."""
    gone = without_room(contract, target) if contract.source else left_columns(contract, target)
    found: list[str] = []
    for column in (column for column in contract.readable if column not in gone):
        lines = contract.lines.get(column)
        found += (
            [column, *(f"{column}.{one}" for one in lines.columns if not lines.one)] if lines else [column]
        )
    return found


def _refusals(before: pl.DataFrame, after: pl.DataFrame) -> Iterator[tuple[str, str, str, str, list[int]]]:
    both = before.join(after, on="__row", how="full", coalesce=True, suffix="_after")
    one, other = pl.col("rule"), pl.col("rule_after")
    kind = (
        pl.when(one.is_null()).then(pl.lit("refused"))
        .when(other.is_null()).then(pl.lit("accepted"))
        .when((one != other) | (pl.col("field") != pl.col("field_after")))
        .then(pl.lit("refused_otherwise"))
    )  # fmt: skip
    told = both.select(
        "__row",
        kind.alias("kind"),
        pl.coalesce("field_after", "field").alias("field"),
        pl.concat_str(one, other, separator=" -> ", ignore_nulls=True).alias("reason"),
    ).drop_nulls("kind")
    for (kind_, name, reason), found in told.sort("__row").group_by(
        "kind", "field", "reason", maintain_order=True
    ):
        yield "", str(name), str(kind_), str(reason), found["__row"].to_list()


def _of_format(
    before: pl.DataFrame, after: pl.DataFrame, fields: Sequence[str]
) -> Iterator[tuple[str, str, list[int]]]:
    """Field, kind and rows of the differences in what two contracts give to one format."""
    yield from _told("", "left", _left(before, after))
    columns = ["__row", "lt_op", "lt_key", "lt_source_key", "lt_overflow", *fields]
    answers = [one.filter("lt_answers").select(columns) for one in (before, after)]
    both = answers[0].join(answers[1], on="__row", how="full", coalesce=True, suffix="_after").sort("__row")
    op, now = pl.col("lt_op"), pl.col("lt_op_after")
    for kind, condition in (
        ("not_given", (op == "u") & now.is_null()),
        ("given", op.is_null() & (now == "u")),
        ("deleted", (op == "u") & (now == "d")),
        ("restored", (op == "d") & (now == "u")),
    ):
        yield from _told("", kind, both.filter(condition)["__row"])
    yield from _told("", "key", both.filter(pl.col("lt_key") != pl.col("lt_key_after"))["__row"])
    yield from _told(
        "", "source_key", both.filter(pl.col("lt_source_key") != pl.col("lt_source_key_after"))["__row"]
    )
    live = both.filter((op == "u") & (now == "u"))
    yield from _told(
        "", "beside", live.filter(pl.col("lt_overflow").ne_missing(pl.col("lt_overflow_after")))["__row"]
    )
    differing = [pl.col(name).ne_missing(pl.col(f"{name}_after")).any().alias(name) for name in fields]
    (found,) = live.select(differing).to_dicts() or [{}]
    for name in fields:
        if found[name]:
            yield from _of_field(live, name)


def _of_field(live: pl.DataFrame, name: str) -> Iterator[tuple[str, str, list[int]]]:
    one, other = pl.col(name), pl.col(f"{name}_after")
    there = one.is_not_null() & other.is_not_null() & (one != other)
    alike = folded(one) == folded(other)
    for kind, condition in (
        ("emptied", one.is_not_null() & other.is_null()),
        ("filled", one.is_null() & other.is_not_null()),
        ("respelt", there & alike),
        ("changed", there & ~alike),
    ):
        yield from _told(name, kind, live.filter(condition)["__row"])


def _left(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """The rows whose records leave other national keys than before."""
    left = [one.filter(~pl.col("lt_answers")).select("__row", "lt_key") for one in (before, after)]
    only = [one.join(other, on=["__row", "lt_key"], how="anti")["__row"] for one, other in (left, left[::-1])]
    return pl.concat(only).unique().sort()


def _told(name: str, kind: str, rows: pl.Series) -> Iterator[tuple[str, str, list[int]]]:
    if len(rows):
        yield name, kind, rows.to_list()
