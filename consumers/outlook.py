"""Every database of the province as it stands now, for people: what is known, and what could not be asked."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consumers import proofs as proven
from consumers.opening import open_store
from consumers.orphans import Proof, Seen, SystemIndex, Weights, read_weights, systems
from consumers.settings import OrphanSettings
from consumers.standing import History, Standing, StandingStore
from consumers.store import StoreError
from schemas.date_forms import VIETNAM
from schemas.errors import TryAgain
from schemas.gates.coverage import Coverage, coverages
from schemas.library import Library

#: How far back a trend is told.
TREND = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the province can say of its databases at one moment."""

    at: datetime
    weights: Weights
    library: Library
    systems: Sequence[SystemIndex]  #: those in danger first
    history: History | None  #: without today; None: not known
    problem: str | None  #: why the store could not be asked, without a password or a personal value
    unkept: str | None  #: why today's index could not be kept, in the same words; all else is known


def look(settings: OrphanSettings, library: Library, now: datetime) -> Outlook:
    """Ask the store, keep today's index in it, and say where everything stands.

    A store that is away or not migrated is a ``problem`` and no error: what it would tell is not known then.
    Who may only read it is told all the same; the trend has no point of that day then.
    Raises ``SettingsError`` for wrong settings.
    """
    weights = read_weights(settings.orphan_weights)
    outbound = {one.id for one in library.outbound}
    rows = [one for one in coverages(library) if f"{one.system}/{one.dataset}" in outbound]
    standing: Standing | None = None
    history: History | None = None
    problem: str | None = None
    unkept: str | None = None
    today = now.astimezone(VIETNAM).date()
    with closing(open_store(settings.store)) as store:
        try:
            standing = _proved(store.standing(), store.proofs(), rows)
        except (TryAgain, StoreError) as error:
            problem = error.message
        found = systems(rows, standing, now=now, weights=weights)
        if standing is not None:
            try:
                past = store.indices(today - TREND)
            except (TryAgain, StoreError) as error:
                problem = error.message
            else:
                history = {name: [one for one in days if one[0] < today] for name, days in past.items()}
                unkept = note(store, found, now)
    return Outlook(
        at=now,
        weights=weights,
        library=library,
        systems=found,
        history=history,
        problem=problem,
        unkept=unkept,
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


def note(store: StandingStore, found: Sequence[SystemIndex], now: datetime) -> str | None:
    """Keep the index of a day; what is not known is not kept. Tells why it could not be kept, if so."""
    values: Mapping[str, int] = {one.system: one.value for one in found if one.value is not None}
    try:
        store.note_indices(now.astimezone(VIETNAM).date(), values)
    except (TryAgain, StoreError) as error:
        return error.message
    return None
