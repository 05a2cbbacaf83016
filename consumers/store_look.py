"""What a monitor sees of the national store in one look: ledger, refusals, pauses, and how it fares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consumers.repairs import Breaker, RepairStore
from consumers.store import LedgerRow

#: System and dataset.
Source = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLook:
    """One look, all of it from one transaction.

    *Lately* is the last hour, or less if more was said in it than is read at a time.
    """

    at: datetime  #: by the store's clock, when the look was answered
    ledgers: Mapping[str, Sequence[LedgerRow]]  #: by deployment
    breakers: Mapping[str, Sequence[Breaker]]  #: by deployment
    open_rejects: Mapping[Source, Mapping[str, int]]  #: rejects that nobody mended, by rule
    refused_lately: Mapping[Source, Mapping[str, int]]  #: those among them that came lately
    good_lately: Mapping[Source, int]  #: changes applied, superseded or not of a target's concern
    longest_seconds: float  #: how long the longest statement of a worker has been running now


class WatchedStore(RepairStore, Protocol):
    """A national store that a monitor may look at. Errors as of ``consumers.store.NationalStore``."""

    def look(self, deployments: Sequence[str]) -> StoreLook:
        """Look at what is kept for these deployments; of others in the same database nothing is told."""
