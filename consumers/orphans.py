"""The orphan index: how far a provincial database is from one that cannot become an orphan unnoticed.

A database becomes an orphan when the national format goes on without it: fields that nobody fills, changes
that no longer arrive, rows that differ, and nobody who looked. Each of the four is a risk between 0 and 1;
their weighted sum, 0 to 100, is the index. 0: it cannot become an orphan unnoticed. Pure: no clock is read.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from schemas.errors import SettingsError
from schemas.gates.coverage import Coverage

Part = Literal["coverage", "freshness", "matched", "proof"]
#: What the index is made of, in the order in which it is told.
PARTS: tuple[Part, ...] = get_args(Part)

#: Changes so young are no risk; at the second age the risk is whole. Many registers rest at Tết for a week.
CHANGES_REST, CHANGES_GONE = timedelta(days=10), timedelta(days=90)
#: A proof so young is no risk; at the second age it proves nothing any more.
PROOF_HOLDS, PROOF_GONE = timedelta(days=7), timedelta(days=60)
#: At this share of rows that differ the risk is whole: one wrong row in twenty is no register any more.
DIFFERING = 0.05
#: A field that the ministry does not require weighs half of one that it does.
OPTIONAL = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each risk counts; only the proportions matter. At least one is above 0, none below."""

    coverage: float = 40  #: the format that nobody fills is how databases were lost
    freshness: float = 20
    matched: float = 25
    proof: float = 15

    def share(self, part: Part) -> float:
        """Points that the part gives at full risk; all together 100."""
        every: dict[str, float] = asdict(self)
        return 100 * every[part] / sum(every.values())


def read_weights(text: str) -> Weights:
    """``coverage=40,freshness=20,matched=25,proof=15``; a part that is not named counts 0, an empty text asks
    for the usual weights. Raises ``SettingsError``.
    """
    if not text.strip():
        return Weights()
    given: dict[str, float] = {}
    for word in text.split(","):
        found = re.fullmatch(r"\s*([a-z]+)\s*=\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*", word)
        if found is None or found[1] not in PARTS:
            raise _unweighed("a weight is written name=number")
        if found[1] in given:
            raise _unweighed(f"{found[1]} is weighed twice")
        given[found[1]] = float(found[2])
    if not any(given.values()):
        raise _unweighed("all weights are 0")
    return Weights(**dict.fromkeys(PARTS, 0.0) | given)


def _unweighed(what: str) -> SettingsError:
    return SettingsError(
        f"LIENTHONG_ORPHAN_WEIGHTS: {what}",
        next_step="write it as coverage=40,freshness=20,matched=25,proof=15",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the last reconciliation of a dataset with a national format found."""

    at: datetime
    rows: int  #: compared, on either side
    differing: int  #: of them missing on one side, or not equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the store says of one dataset in one national format."""

    applied_at: datetime | None = None  #: None: nothing was ever applied
    proof: Proof | None = None  #: None: never proved
    rejected: int = 0  #: open rejects of the dataset
    parked: int = 0  #: changes that wait behind them
    missing: int = 0  #: numbers that never arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The index of one dataset in one national format."""

    coverage: Coverage
    seen: Seen | None  #: None: the store could not be asked
    points: Mapping[Part, float | None]  #: by part; None: not known

    @property
    def value(self) -> int | None:
        """0 to 100. None: something of it is not known."""
        return None if None in self.points.values() else self.at_least

    @property
    def at_least(self) -> int:
        """What is known of it. Rounded up: 0 is kept for those without any risk."""
        known = sum(points for points in self.points.values() if points is not None)
        return min(100, math.ceil(known - 1e-9))

    @property
    def worst(self) -> Sequence[Part]:
        """The parts with a risk, the heaviest first."""
        heavy = [(points, part) for part, points in self.points.items() if points]
        return [part for _, part in sorted(heavy, key=lambda one: -one[0])]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemIndex:
    """The index of a system: that of its worst dataset, for a mean would hide the one that is being lost."""

    system: str
    owners: Sequence[str]
    indices: Sequence[Index]  #: the worst first

    @property
    def value(self) -> int | None:
        """0 to 100. None: not known of one of its datasets."""
        values = [one.value for one in self.indices]
        return None if None in values else max(value for value in values if value is not None)

    @property
    def at_least(self) -> int:
        """What is known of it."""
        return self.indices[0].at_least


def index_of(coverage: Coverage, seen: Seen | None, *, now: datetime, weights: Weights) -> Index:
    """The index of one dataset in one format; without ``seen`` only what the contract tells is known."""
    risks: dict[Part, float | None] = dict.fromkeys(PARTS)
    risks["coverage"] = _uncovered(coverage)
    if not coverage.fresh:
        risks["freshness"] = 1.0
    if seen is not None:
        proof = seen.proof
        if coverage.fresh:
            risks["freshness"] = _age(seen.applied_at, now, CHANGES_REST, CHANGES_GONE)
        risks["matched"] = _differing(proof) if proof else 1.0
        risks["proof"] = _age(proof.at if proof else None, now, PROOF_HOLDS, PROOF_GONE)
    points = {part: None if risk is None else risk * weights.share(part) for part, risk in risks.items()}
    return Index(coverage=coverage, seen=seen, points=points)


def systems(
    rows: Iterable[Coverage],
    seen: Mapping[tuple[str, str, str], Seen] | None,
    *,
    now: datetime,
    weights: Weights,
) -> list[SystemIndex]:
    """One for each system, those in danger first.

    ``seen``: by system, dataset and full id of the format; what is not in it was never seen. None: the store
    could not be asked. Of a format fed in two versions the newest counts.
    """
    found: dict[str, list[Index]] = {}
    for row in rows:
        if row.fresh and row.fed.format != row.newest.format:
            continue
        key = (row.system, row.dataset, row.fed.format)
        told = None if seen is None else seen.get(key, Seen())
        found.setdefault(row.system, []).append(index_of(row, told, now=now, weights=weights))
    every = [
        SystemIndex(
            system=system,
            owners=sorted({one.coverage.owner for one in indices}),
            indices=sorted(indices, key=lambda one: -one.at_least),
        )
        for system, indices in found.items()
    ]
    return sorted(every, key=lambda one: (-one.at_least, one.system))


def _uncovered(coverage: Coverage) -> float:
    """Whole where the newest version requires what no rule obtains: it would refuse every record."""
    if coverage.newest.lacking:
        return 1.0
    return OPTIONAL * (1 - coverage.newest.mapped / coverage.newest.fields)


def _differing(proof: Proof) -> float:
    if not proof.rows:
        return 1.0 if proof.differing else 0.0
    return min(1.0, proof.differing / proof.rows / DIFFERING)


def _age(at: datetime | None, now: datetime, good: timedelta, gone: timedelta) -> float:
    if at is None:
        return 1.0
    return min(1.0, max(0.0, (now - at - good) / (gone - good)))
