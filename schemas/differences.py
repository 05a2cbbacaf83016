"""Where a source, translated by its contract, and a national store differ: record by record, by field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import polars as pl

from schemas.events import snapshot_frame
from schemas.formats import NationalFormat
from schemas.mapping import Translator
from schemas.sides import SourceRows

#: ``refused``: it has an answer, rejected or parked. ``in_flight``: a change of it is on its way.
Kind = Literal["missing", "extra", "different", "refused", "in_flight"]

#: Which side has a record. No field of a format begins with ``lt_``.
_HELD, _MADE = "lt_held", "lt_made"


def compared(national: NationalFormat) -> list[str]:
    """The columns of a record that are compared, besides its keys."""
    return ["lt_overflow", *(one.name for one in national.fields)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One record that is not in the store as the contract makes it of the source."""

    kind: Kind
    format: str  #: full id
    source_key: str = field(repr=False)
    there: bool  #: the source has the record
    fields: tuple[str, ...] = ()  #: national fields that differ; of the key, if the record stands elsewhere
    rule: str = ""  #: why the contract refuses the source's record as it is
    stored_key: str | None = field(default=None, repr=False)  #: the national key that the store has
    stored: Mapping[str, str | None] = field(default_factory=dict, repr=False)  #: its key fields
    seq: int | None = None  #: number of the change that the store's row came from
    since_ms: int | None = None  #: time of its newest change that is known at the source


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the contract makes no national record of a source's record."""

    field: str
    rule: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The field, if it is one's."""
        return (self.field,) if self.field else ()


@dataclass(frozen=True, slots=True)
class Made:
    """What the contract makes of some records of a source."""

    #: By full id: ``lt_source_key``, ``lt_key`` and what is compared of the records in force, and ``__row``.
    national: Mapping[str, pl.DataFrame]
    refused: Mapping[str, Refusal]  #: by source key


def made_of(rows: SourceRows, translator: Translator, formats: Sequence[NationalFormat]) -> Made:
    """Translate records of a source as the road would translate a snapshot of them."""
    if not rows.keys:
        return Made({one.full_id: _empty(one) for one in formats}, {})
    result = translator.translate(snapshot_frame(rows.records))
    refused = {
        key: Refusal(name, rule)
        for key, name, rule in result.rejects.select("lt_source_key", "field", "rule").rows()
    }
    refused |= {key: Refusal(one.column, one.rule) for key, one in rows.unfit.items()}
    national = {}
    for one in formats:
        found = result.national[one.full_id]
        keep = found["lt_op"] == "u"
        if refused:
            keep &= ~found["lt_source_key"].is_in(pl.Series(list(refused), dtype=pl.String).implode())
        names = ("lt_source_key", "lt_key", *compared(one), "__row")
        national[one.full_id] = found.filter(keep).select(names)
    return Made(national, refused)


def together(parts: Sequence[Made], formats: Sequence[NationalFormat]) -> Made:
    """What the contract makes of all of some parts; there may be none."""
    national = {
        one.full_id: pl.concat([_empty(one), *(part.national[one.full_id] for part in parts)])
        for one in formats
    }
    return Made(national, {key: one for part in parts for key, one in part.refused.items()})


def compare(
    national: NationalFormat, made: Made, keys: Sequence[str], stored: pl.DataFrame
) -> list[Difference]:
    """What differs in one format.

    Args:
        national: the format.
        made: what the source should give.
        keys: source keys of the records that were read of the source.
        stored: records in force in the store: ``lt_source_key``, ``lt_key``, ``lt_seq`` and what is compared.
    """
    names = compared(national)
    there = set(keys)
    expected = made.national[national.full_id].drop("__row").with_columns(pl.lit(True).alias(_MADE))
    both = expected.join(
        stored.with_columns(pl.lit(True).alias(_HELD)),
        on=["lt_source_key", "lt_key"],
        how="full",
        coalesce=True,
        suffix=".",
    )
    other = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}.")) for name in names)
    whole = pl.col(_MADE).is_not_null() & pl.col(_HELD).is_not_null()
    found: list[Difference] = []
    missing: dict[str, dict[str, Any]] = {}
    extra: list[dict[str, Any]] = []
    for row in both.filter(~whole | other).iter_rows(named=True):
        if row[_MADE] and row[_HELD]:
            fields = tuple(name for name in names if row[name] != row[f"{name}."])
            found.append(_difference("different", national, row, fields, made, there))
        elif row[_MADE]:
            missing[row["lt_source_key"]] = row
        else:
            extra.append(row)
    for row in extra:
        moved = missing.pop(row["lt_source_key"], None)
        if moved is not None:
            fields = tuple(name for name in names if moved[name] != row[f"{name}."])
            found.append(_difference("different", national, row, fields, made, there))
        else:
            kind: Kind = "different" if row["lt_source_key"] in made.refused else "extra"
            found.append(_difference(kind, national, row, (), made, there))
    found += [_difference("missing", national, row, (), made, there) for row in missing.values()]
    held = set(stored["lt_source_key"].to_list())
    for key, refusal in made.refused.items():
        if key not in held:
            found.append(
                Difference(
                    kind="missing",
                    format=national.full_id,
                    source_key=key,
                    there=True,
                    fields=refusal.fields,
                    rule=refusal.rule,
                )
            )
    return found


def _difference(
    kind: Kind,
    national: NationalFormat,
    row: Mapping[str, Any],
    fields: tuple[str, ...],
    made: Made,
    there: set[str],
) -> Difference:
    key = row["lt_source_key"]
    refusal = made.refused.get(key)
    held = bool(row[_HELD])
    return Difference(
        kind=kind,
        format=national.full_id,
        source_key=key,
        there=key in there,
        fields=fields or (refusal.fields if refusal is not None else ()),
        rule=refusal.rule if refusal is not None else "",
        stored_key=row["lt_key"] if held else None,
        stored={name: row[f"{name}."] for name in national.key} if held else {},
        seq=row["lt_seq"],
    )


def _empty(national: NationalFormat) -> pl.DataFrame:
    names = ("lt_source_key", "lt_key", *compared(national))
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String()), "__row": pl.UInt32()})
