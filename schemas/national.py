"""National changes of one target: the wire's columns, put together from what the rules obtained.

A change (``formats.WIRE_FIELDS``) says: ``lt_key`` the national key, its fields joined with ``|``;
``lt_op`` ``u`` upsert or ``d`` delete; ``lt_system``, ``lt_dataset``, ``lt_source_key``, ``lt_seq``,
``lt_committed_ms`` where it comes from and when the source committed it; ``lt_answers`` true on the one
change of an event that answers its receipt, false on the delete of a key that a record has left, or that it
stands under if it was of the format's concern;
``lt_contract`` the contract and its version; ``lt_warnings`` null or ``field:rule,field:rule``;
``lt_overflow`` what the source has and the format has no place for (``overflow``). A delete carries its key
fields only; one that warns (``not_concerned``) is of a record that may never have been there.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from schemas.cleaning import places, spread
from schemas.contracts import COLUMN_TYPES, Contract, Target
from schemas.events import AWAY, LIVE, OLD, Records
from schemas.formats import WIRE_FIELDS, NationalFormat
from schemas.overflow import Overflow, kept_columns
from schemas.plan import Obtained, Plan
from schemas.rules import Given

NO_WARNINGS = pl.DataFrame(schema={"__row": pl.UInt32, "field": pl.String, "rule": pl.String})

_NONE_WARNED = pl.DataFrame(schema={"at": pl.UInt32, "field": pl.String, "rule": pl.String})

#: A column beside national fields; no field has a dot.
_ROLE = "lt.role"

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
            "lt_overflow": None,
        }
        kept = {name: contract.readable[name] for name in kept_columns(contract, target)}
        self._overflow = Overflow(kept) if kept else None
        self._key = JoinedKey(national.key, dict.fromkeys(national.key, "string"))
        live = pl.col(_ROLE) == LIVE
        self._of_deletes = [
            pl.when(live).then(pl.lit("u")).otherwise(pl.lit("d")).alias("lt_op"),
            (~pl.col(_ROLE).is_in([OLD, AWAY])).alias("lt_answers"),
            *(
                pl.when(live).then(pl.col(name)).alias(name)
                for name in (*target.rules, *(["lt_overflow"] if kept else []))
                if name not in national.key
            ),
        ]
        types = dict(WIRE_FIELDS) | {field.name: field.avro_type for field in national.fields}
        outside = f"{target.only.column}:not_concerned" if target.only else None
        self._away = pl.when(pl.col(_ROLE) == AWAY).then(pl.lit(outside, pl.String))
        self._constants = pl.DataFrame(
            [
                pl.Series(name, [constants.get(name)], COLUMN_TYPES[avro]).new_from_index(0, _READY_ROWS)
                for name, avro in types.items()
            ]
        )

    def changes(
        self, obtained: Obtained, records: Records, source_keys: pl.Series, keep: pl.Series | None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The changes in the order of the records, with ``__row``, and their warnings in long form.

        ``keep``: the records that can be translated; None: all.
        """
        values = obtained.values
        keys = self._key.of(pl.DataFrame([values[name].alias(name) for name in self.format.key]))
        columns = [
            keys.alias("lt_key"),
            source_keys.alias("lt_source_key"),
            records.seq.alias("lt_seq"),
            records.committed_ms.alias("lt_committed_ms"),
            *(value.alias(name) for name, value in values.items()),
            records.rows,
        ]
        if self._overflow is not None:
            columns.append(self._overflow.of(records.source))
        if records.origin is not None:
            columns += records.origin.select("lt_system", "lt_dataset").get_columns()
        if not records.all_live:
            keep = _moved_or_not_old(keys, records, keep)
            columns.append(records.roles.alias(_ROLE))
        warned = _warnings(obtained, records, keep) if obtained.warnings else _NONE_WARNED
        if not warned.is_empty():
            columns.append(_warnings_as_text(warned, len(keys)))
        frame = pl.DataFrame(columns)
        if not records.all_live:
            frame = frame.with_columns_seq(self._of_deletes)
            if warned.is_empty():
                frame = frame.with_columns(self._away.alias("lt_warnings"))
            else:
                frame = frame.with_columns(self._away.otherwise("lt_warnings").alias("lt_warnings"))
        if keep is not None:
            frame = frame.filter(keep)
        return self._complete(frame), warned.select(records.rows[warned["at"]], "field", "rule")

    def _complete(self, found: pl.DataFrame) -> pl.DataFrame:
        """The wire's columns in order: those found, constants for the others; and ``__row``."""
        constants = self._constants
        if len(found) > len(constants):
            constants = pl.DataFrame([one.new_from_index(0, len(found)) for one in constants])
        columns = {one.name: one for one in constants.head(len(found)).get_columns()}
        for one in found.get_columns():
            if one.name in columns or one.name == "__row":
                columns[one.name] = one  # a name that is there keeps its place
        return pl.DataFrame(list(columns.values()))


class JoinedKey:
    """A key as one text: its parts joined with ``|``, a missing one empty, ``%`` and ``|`` within escaped."""

    def __init__(self, names: Sequence[str], types: Mapping[str, str]) -> None:
        parts = [pl.col(name) if types[name] == "string" else pl.col(name).cast(pl.String) for name in names]
        parts = [part.fill_null("") for part in parts]
        plain = pl.concat_str(parts, separator="|")
        self._plain = plain.alias("key")
        # What a key looks like if no part needs an escape, as few do.
        simple = rf"^[^%|]*(?:\|[^%|]*){{{len(names) - 1}}}$"
        self._simple = plain.str.contains(simple).alias("simple")
        escaped = [
            part.str.replace_all("%", "%25", literal=True).str.replace_all("|", "%7C", literal=True)
            for part in parts
        ]
        self._escaped = pl.concat_str(escaped, separator="|").alias("key")

    def of(self, columns: pl.DataFrame) -> pl.Series:
        """The keys of records."""
        found = columns.select(self._plain, self._simple)
        if found["simple"].all():
            return found["key"]
        rest = places(~found["simple"])
        return spread(found["key"], rest, columns[rest].select(self._escaped).to_series())


def parts_of(key: str) -> list[str]:
    """The parts of a key's text, see ``JoinedKey``; a missing one is empty."""
    return [part.replace("%7C", "|").replace("%25", "%") for part in key.split("|")]


def _moved_or_not_old(keys: pl.Series, records: Records, keep: pl.Series | None) -> pl.Series:
    """What to keep besides: an OLD record is deleted only if the record after it, its new self, moved."""
    stayed = (records.roles == OLD) & (keys == keys.shift(-1))
    return ~stayed if keep is None else keep & ~stayed


def _warnings(obtained: Obtained, records: Records, keep: pl.Series | None) -> pl.DataFrame:
    """Warnings of live, translated records: ``at``, the record's place, ``field`` and ``rule``; in order."""
    counts = records.roles == LIVE
    if keep is not None:
        counts &= keep
    codes = [one.alias(str(n)) for n, (_, one) in enumerate(obtained.warnings)]
    fields = pl.lit(pl.Series([field for field, _ in obtained.warnings]))
    told = (
        pl.DataFrame(codes)
        .with_row_index("at")
        .lazy()
        .filter(counts)
        .unpivot(index="at", variable_name="n", value_name="rule")
        .drop_nulls("rule")
        .sort("at", maintain_order=True)
    )
    return told.select("at", fields.gather(pl.col("n").cast(pl.UInt32)).alias("field"), "rule").collect()


def _warnings_as_text(warned: pl.DataFrame, count: int) -> pl.Series:
    told = pl.concat_str("field", "rule", separator=":").str.join(",").alias("text")
    texts = warned.group_by("at", maintain_order=True).agg(told)
    nothing = pl.Series("lt_warnings", [None], pl.String).new_from_index(0, count)
    return spread(nothing, texts["at"], texts["text"])
