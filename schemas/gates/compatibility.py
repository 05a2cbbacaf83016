"""Whether readers of a schema can read what was written with its other versions.

The verdict is that of Apache ``avro``, whose checker knows the rules of schema resolution; its messages name
only the outermost union, so the fields at fault are found by asking it again for each of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

#: The names are those of Confluent's registry. BACKWARD: the new schema reads what older ones wrote; FORWARD:
#: older ones read what the new one writes; TRANSITIVE: all older ones and not the last only.
Level = Literal[
    "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"
]

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Break:
    """Why one schema cannot read what another one wrote."""

    way: tuple[str, ...]  #: names of the record fields from the outermost inwards; empty: the record itself
    text: str


def check(new: Schema, earlier: Sequence[Schema], level: Level) -> list[tuple[int, Break]]:
    """What breaks between a schema and its earlier versions, each with the place of that version.

    ``earlier``: the oldest first. All are schemas that Avro accepts.
    """
    found: list[tuple[int, Break]] = []
    chosen = list(enumerate(earlier))
    for at, old in chosen if level.endswith("_TRANSITIVE") else chosen[-1:]:
        if level.startswith(("BACKWARD", "FULL")):
            found += [(at, one) for one in breaks(new, old)]
        if level.startswith(("FORWARD", "FULL")):
            found += [(at, one) for one in breaks(old, new)]
    return found


def breaks(reader: Schema, writer: Schema) -> list[Break]:
    """Why ``reader`` cannot read what ``writer`` wrote; empty if it can."""
    parsed = (_parsed(reader), _parsed(writer))
    if _reads(*parsed):
        return []
    return list(_explained(*parsed, ()))


def _parsed(schema: Schema) -> avro.schema.Schema:
    return avro.schema.make_avsc_object(dict(schema))


def _reads(reader: avro.schema.Schema, writer: avro.schema.Schema) -> bool:
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    return result.compatibility is SchemaCompatibilityType.compatible


def _explained(
    reader: avro.schema.Schema, writer: avro.schema.Schema, way: tuple[str, ...]
) -> Iterator[Break]:
    """Breaks of a pair that is known to be one, as far inside as they can be found."""
    pair = (_branch(reader), _branch(writer))
    if not all(isinstance(one, avro.schema.RecordSchema) for one in pair) or _reads(*pair):
        yield Break(way, f"{_type(writer)} cannot be read as {_type(reader)}")
        return
    new, old = ({field.name: field for field in one.fields} for one in pair)  # type: ignore[attr-defined]
    found = False
    for name, field in new.items():
        if name in old and not _reads(field.type, old[name].type):
            found = True
            yield from _explained(field.type, old[name].type, (*way, name))
        elif name not in old and not field.has_default:
            found = True
            yield Break((*way, name), "has no default, and the other version does not write it")
    if not found:
        yield Break(way, f"record {pair[1].fullname} cannot be read as {pair[0].fullname}")  # type: ignore[attr-defined]


def _branch(schema: avro.schema.Schema) -> avro.schema.Schema:
    """What stands beside null in an optional type; else the type itself."""
    if isinstance(schema, avro.schema.UnionSchema):
        filled: list[avro.schema.Schema] = [one for one in schema.schemas if one.type != "null"]
        if len(filled) == 1:
            return filled[0]
    return schema


def _type(schema: avro.schema.Schema) -> str:
    if isinstance(schema, avro.schema.UnionSchema):
        return " or ".join(_type(one) for one in schema.schemas)
    return str(getattr(schema, "fullname", None) or schema.type)
