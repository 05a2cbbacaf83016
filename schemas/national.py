"""National changes of one target: the wire's columns, put together from what the rules obtained.

A change (``formats.WIRE_FIELDS``) says: ``lt_key`` the national key, its fields joined with ``|``;
``lt_op`` ``u`` upsert or ``d`` delete; ``lt_system``, ``lt_dataset``, ``lt_source_key``, ``lt_seq``,
``lt_committed_ms`` where it comes from and when the source committed it; ``lt_answers`` true on the one
change of an event that answers its receipt, false on the delete of a key that a record has left;
``lt_contract`` the contract and its version; ``lt_warnings`` null or ``field:rule,field:rule``. A delete
carries its key fields only.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from schemas.contracts import COLUMN_TYPES, Contract, Target
from schemas.events import LIVE, OLD, Records
from schemas.formats import WIRE_FIELDS, NationalFormat
from schemas.plan import Obtained, Plan
from schemas.rules import Given

NO_WARNINGS = pl.DataFrame(schema={"__row": pl.UInt32, "field": pl.String, "rule": pl.String})

#: Rows of constant columns made ahead: larger than the usual batch.
_READY_ROWS = 4096


class National:
    """One target of a contract, compiled."""

    def __init__(self, contract: Contract, target: Target, national: NationalFormat, given: Given) -> None:
        self.format = national
        self.plan = Plan(target, national, given)
        constants = {
            "lt_op": "u",
            "lt_system": contract.system,
            "lt_dataset": contract.dataset,
            "lt_answers": True,
            "lt_contract": f"{contract.id}@{contract.version}",
            "lt_warnings": None,
        }
        self._key = JoinedKey(national.key, dict.fromkeys(national.key, "string"))
        types = dict(WIRE_FIELDS) | {field.name: field.avro_type for field in national.fields}
        self._constants = pl.DataFrame(
            [
                pl.Series(name, [constants.get(name)], COLUMN_TYPES[avro]).new_from_index(0, _READY_ROWS)
                for name, avro in types.items()
            ]
        )

    def changes(
        self, obtained: Obtained, records: Records, source_keys: pl.Series, keep: pl.Series | None
    ) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        """The changes in the order of the records, with ``__row``, and their warnings in long form.

        ``keep``: the records that can be translated; None: all.
        """
        values = obtained.values
        keys = self._key.of(pl.DataFrame([values[name].alias(name) for name in self.format.key]))
        found = [
            keys.alias("lt_key"),
            source_keys.alias("lt_source_key"),
            records.seq.alias("lt_seq"),
            records.committed_ms.alias("lt_committed_ms"),
            *(value.alias(name) for name, value in values.items()),
            records.rows,
        ]
        frame = pl.DataFrame(found)
        if not records.all_live:
            keep = _moved_or_not_old(keys, records, keep)
            frame = frame.with_columns(_with_deletes(values, self.format.key, records.roles))
        warned = _warnings(obtained, records, keep)
        if warned:
            frame = frame.with_columns(_warnings_as_text(obtained, records))
        if keep is not None:
            frame = frame.filter(keep)
        return self._complete(frame), warned

    def _complete(self, found: pl.DataFrame) -> pl.DataFrame:
        """The wire's columns in order: those found, constants for the others; and ``__row``."""
        constants = self._constants
        if len(found) > len(constants):
            constants = pl.DataFrame([one.new_from_index(0, len(found)) for one in constants])
        columns = {one.name: one for one in constants.head(len(found)).get_columns()}
        columns |= {one.name: one for one in found.get_columns()}  # a key that is there keeps its place
        return pl.DataFrame(list(columns.values()))


class JoinedKey:
    """A key as one text: its parts joined with ``|``, a missing one empty, ``%`` and ``|`` within escaped."""

    def __init__(self, names: Sequence[str], types: Mapping[str, str]) -> None:
        self._names = list(names)
        parts = [pl.col(name) if types[name] == "string" else pl.col(name).cast(pl.String) for name in names]
        parts = [part.fill_null("") for part in parts]
        self._plain = pl.concat_str(parts, separator="|").alias("key")
        # Escapes are rare. A part that needs them shows as a % or as one | too many.
        special = self._plain.str.contains(rf"%|(?:\|[^|]*){{{len(names)}}}").any().alias("special")
        self._look = [self._plain, special] if "string" in {types[name] for name in names} else [self._plain]
        escaped = [
            part.str.replace_all("%", "%25", literal=True).str.replace_all("|", "%7C", literal=True)
            for part in parts
        ]
        self._escaped = pl.concat_str(escaped, separator="|").alias("key")

    def of(self, columns: pl.DataFrame) -> pl.Series:
        """The keys of records."""
        found = columns.select(self._look)
        if "special" in found.columns and found["special"].any():
            return columns.select(self._escaped).to_series()
        return found["key"]


def _moved_or_not_old(keys: pl.Series, records: Records, keep: pl.Series | None) -> pl.Series:
    """What to keep besides: an OLD record is deleted only if the record after it, its new self, moved."""
    stayed = (records.roles == OLD) & (keys == keys.shift(-1))
    return ~stayed if keep is None else keep & ~stayed


def _with_deletes(values: dict[str, pl.Series], key: Sequence[str], roles: pl.Series) -> list[pl.Expr]:
    live = pl.lit(roles == LIVE)
    return [
        pl.when(live).then(pl.lit("u")).otherwise(pl.lit("d")).alias("lt_op"),
        pl.lit(roles != OLD).alias("lt_answers"),
        *(pl.when(live).then(pl.col(name)).alias(name) for name in values if name not in key),
    ]


def _warnings(obtained: Obtained, records: Records, keep: pl.Series | None) -> list[pl.DataFrame]:
    """One frame for each warning that some live, translated record has."""
    counts = records.roles == LIVE if keep is None else keep & (records.roles == LIVE)
    found = []
    for field, codes in obtained.warnings:
        there = counts & codes.is_not_null()
        if there.any():
            rows, rules = records.rows.filter(there), codes.filter(there)
            found.append(
                pl.DataFrame({"__row": rows, "rule": rules}).select(
                    "__row", pl.lit(field).alias("field"), "rule"
                )
            )
    return found


def _warnings_as_text(obtained: Obtained, records: Records) -> pl.Expr:
    told = [pl.lit(f"{field}:") + pl.lit(codes) for field, codes in obtained.warnings]
    text = pl.concat_str(told, separator=",", ignore_nulls=True)
    return pl.when(pl.lit(records.roles == LIVE) & (text != "")).then(text).alias("lt_warnings")
