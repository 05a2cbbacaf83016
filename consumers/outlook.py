"""Every database of the province as it stands now, for people: what is known, and what could not be asked."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consumers import proofs as proven
from consumers.opening import open_store
from consumers.orphans import Proof, Seen, SystemIndex, Weights, read_weights, systems
from consumers.settings import OrphanSettings
from consumers.sql_store import MIGRATE
from consumers.standing import History, Standing
from consumers.store import StoreError
from schemas.date_forms import VIETNAM
from schemas.errors import TryAgain
from schemas.gates.coverage import Coverage, coverages
from schemas.library import Library

_MAY_WRITE = "run it once a day with an account that may write to the store"
#: How far back a trend is told.
TREND = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the province can say of its databases at one moment."""

    at: datetime
    weights: Weights
    library: Library
    systems: Sequence[SystemIndex]  #: those in danger first
    history: History | None  #: without today; None: not known, see ``problem`` or ``unkept``
    problem: str | None  #: why the store could not be asked, without a password or a personal value
    unkept: str | None  #: why today's index could not be kept, in the same words; all else is known
    next_step: str  #: what helps against either; empty: nothing hinders

    @property
    def unmigrated(self) -> bool:
        """The store could not be asked because it lacks tables."""
        return self.problem is not None and self.next_step == MIGRATE


def look(settings: OrphanSettings, library: Library, now: datetime) -> Outlook:
    """Ask the store, keep today's index in it, and say where everything stands.

    A store that is away or not migrated is a ``problem`` and no error: what it would tell is not known then.
    Who may only read it is told all the same; the trend has no point of that day then, and there is none
    where only the table of past days is missing.
    Raises ``SettingsError`` for wrong settings.
    """
    weights = read_weights(settings.orphan_weights)
    outbound = {one.id for one in library.outbound}
    rows = [one for one in coverages(library) if f"{one.system}/{one.dataset}" in outbound]
    standing: Standing | None = None
    history: History | None = None
    problem: str | None = None
    unkept: str | None = None
    next_step = ""
    today = now.astimezone(VIETNAM).date()
    with closing(open_store(settings.store)) as store:
        try:
            standing = _proved(store.standing(), store.proofs(), rows)
        except (TryAgain, StoreError) as error:
            problem = error.message
            next_step = _next_step(error)
        found = systems(rows, standing, now=now, weights=weights)
        if standing is not None:
            try:
                past = store.indices(today - TREND)
                history = {name: [one for one in days if one[0] < today] for name, days in past.items()}
                # What is not known is not kept.
                store.note_indices(today, {one.system: one.value for one in found if one.value is not None})
            except (TryAgain, StoreError) as error:
                unkept = error.message
                next_step = _next_step(error) if history is None else _MAY_WRITE
    return Outlook(
        at=now,
        weights=weights,
        library=library,
        systems=found,
        history=history,
        problem=problem,
        unkept=unkept,
        next_step=next_step,
    )


def _proved(standing: Standing, proofs: Sequence[proven.Proof], rows: Sequence[Coverage]) -> Standing:
    """What stands, with the last proof of each dataset: one proof is about all formats that it feeds."""
    last = {
        # An emptied source counts no records, and what the store still has of it differs.
        (one.system, one.dataset): Proof(
            at=one.at, rows=max(one.rows, one.differing), differing=one.differing
        )
        for one in proofs
    }
    keys = {(row.system, row.dataset, row.fed.format) for row in rows}
    return {
        key: replace(standing.get(key, Seen()), proof=last.get(key[:2])) for key in keys | standing.keys()
    }


def _next_step(error: TryAgain | StoreError) -> str:
    """Of a store that is away doctor tells more."""
    return error.next_step if isinstance(error, StoreError) else "lienthong doctor"
