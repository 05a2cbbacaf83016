"""A table as its database tells it, and what rows of it were looked at."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from schemas.contracts import AvroType

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledColumn:
    """One column, with the sampled values as capture would send them."""

    name: str
    avro: AvroType | None  #: the narrowest type that holds every value; None: binary, which no event carries
    nullable: bool = True
    comment: str | None = None
    values: tuple[str | None, ...] = field(default=(), repr=False)  #: one for each sampled row; never shown

    @property
    def sendable(self) -> bool:
        """Whether its name can be one in Avro."""
        return _AVRO_NAME.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledTable:
    """One table."""

    name: str  #: as a contract names it, ``ht_khaisinh`` or ``schema.table``
    columns: tuple[SampledColumn, ...]  #: in the table's order
    keys: tuple[tuple[str, ...], ...] = ()  #: columns that name a row, the primary key first
    comment: str | None = None
    sampled: int = 0  #: rows looked at

    @property
    def by_name(self) -> Mapping[str, SampledColumn]:
        """The columns by name."""
        return {column.name: column for column in self.columns}


def rows_of(name: str) -> Iterable[Mapping[str, str]]:
    """The rows of a CSV file of this package; lines with ``#`` tell about it."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
