"""The source side of a comparison, as whoever compares sees it.

Who reads a source (``producers``) and who knows the store (``consumers``) do not know each other.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from schemas.contracts import Contract
from schemas.sums import Sums


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest change of a record in the outbox."""

    seq: int | None  #: None: it has no number yet
    changed_ms: int  #: by the source's clock, ms since 1970
    image: str | None = field(repr=False)  #: JSON of the record after it, or before if it is a delete


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a row cannot be sent at all."""

    column: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRows:
    """Some records of a source."""

    keys: Sequence[str]  #: of the records, as the national side knows them
    texts: Sequence[str] = field(repr=False)  #: what their hashes are of
    records: pl.DataFrame = field(repr=False)  #: ``Contract.on_wire``, typed, row by row
    unfit: Mapping[str, Unfit]  #: by key


class SourceSide(Protocol):
    """One dataset in its agency's database. Raises ``TryAgain`` if it is away or busy.

    One thread at a time.
    """

    contract: Contract
    captured: bool  #: its changes go into an outbox

    def sums(self) -> Sums:
        """Sums of all records, bucket by bucket."""

    def rows(self, buckets: Collection[str] | None = None) -> Iterator[SourceRows]:
        """All records, or those in some buckets; part by part."""

    def look(self, keys: Sequence[str]) -> tuple[SourceRows, Mapping[str, Newest]]:
        """The records with these keys and the newest change of each, at one moment."""

    def send(self, keys: Sequence[str]) -> int:
        """Send the records with these keys as they are now, by the ordinary road; how many there are.

        Waits while they are locked by others, or while the relay is far behind.
        """

    def send_deletes(self, images: Mapping[str, Mapping[str, Any]]) -> int:
        """Tell that these records are gone, those that are; by key, what they were. How many."""

    def close(self) -> None:
        """Never raises; safe to repeat."""


OpenSide = Callable[[str, Contract, Callable[[str], None]], SourceSide]
"""From the address of a database, a contract, and what tells a person of a wait, to its side."""
