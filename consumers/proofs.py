"""The port of proofs: what the store tells and keeps to show that it holds what a source holds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl

from consumers.store_look import WatchedStore
from schemas.formats import NationalFormat
from schemas.sums import Sum, Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one comparison of a dataset with the store found, over all formats that it feeds."""

    system: str
    dataset: str
    at: datetime  #: its end, UTC
    took_ms: int
    rows: int  #: records of the source
    translated: int  #: of them, those that had to be translated; sums answered for the others
    missing: int  #: national records that the store lacks
    extra: int  #: that the store has, and the source does not
    different: int  #: whose fields, or national key, are not what the contract makes of the source
    refused: (
        int  #: source records that have an answer, but no national record as they are now: rejected or parked
    )
    in_flight: int  #: source records with a change on its way; they are not drift
    differing: int  #: source records with drift, in however many formats

    @property
    def drift(self) -> int:
        """How many national records are not as they should be."""
        return self.missing + self.extra + self.different


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What one bucket of the source was translated to; as long as its sum stays, so does this."""

    bucket: str
    source: Sum
    refused: int  #: records of it that the contract refuses
    national: Mapping[str, Sum]  #: by full id of a format


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest reject of a record that is not mended."""

    seq: int  #: 0: it could not be read
    open: bool  #: False: dropped by a person


class ProofStore(WatchedStore, Protocol):
    """A national store that can be compared with a source. Errors as of ``NationalStore``."""

    def national_sums(self, national: NationalFormat, system: str, dataset: str) -> Sums:
        """Sums of the records in force of a dataset, bucket by bucket, built in the database.

        A row's text is its source key, its national key and what is compared (``schemas.differences``).
        """

    def national_rows(
        self,
        national: NationalFormat,
        system: str,
        dataset: str,
        *,
        buckets: Collection[str] = (),
        keys: Sequence[str] = (),
    ) -> Iterator[pl.DataFrame]:
        """Records in force in some buckets, or records with some source keys; part by part, in no order.

        Columns: ``lt_source_key``, ``lt_key``, ``lt_seq`` Int64, what is compared, and ``lt_deleted``
        Boolean, a tombstone; all others String. The first part is empty.
        """

    def refused(self, system: str, dataset: str, topics: Collection[str]) -> dict[str, Refused]:
        """By source key, the newest reject of each record that has one that is not mended.

        Args:
            topics: the contract's own, and those of the formats that it feeds. What an inbound contract
                refuses of its records, on them or behind them, does not count: the record itself arrived.
        """

    def known(self, system: str, dataset: str, fingerprint: str) -> list[Known]:
        """What was kept of earlier translations that followed ``fingerprint``."""

    def keep(self, proof: Proof, fingerprint: str, known: Sequence[Known], forget: Collection[str]) -> None:
        """Keep a proof, and what was translated for it, in one transaction.

        Args:
            proof: what was found.
            fingerprint: of all that the translation followed.
            known: buckets as they are now.
            forget: buckets that must be looked at again next time.
        """

    def proofs(self) -> list[Proof]:
        """The last proof of each dataset that was ever compared, by system and dataset."""

    def revealed_keys(self, dataset: str, *, who: str, why: str) -> None:
        """Note in the audit log that somebody was shown keys of records that differ. ``dataset``: its id."""
