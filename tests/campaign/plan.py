"""What goes wrong in a scenario, and when: all of it follows from the seed, so it can be played again."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

WORKER: Final = ("road", "run")
CREWS: Final[tuple[Mapping[str, tuple[str, ...]], ...]] = (
    {"w1": WORKER, "w2": WORKER},
    {"w1": WORKER, "w2": WORKER},
    {"t1": (*WORKER, "--only", "translate"), "s1": (*WORKER, "--only", "sync")},
    {"w1": WORKER},
)
#: Ten seeds from here on bring about every kind of fault, with every crew.
TEN: Final = 31
#: The workers' session timeout is 10 s: who is silent for longer has lost its partitions.
SESSION_SECONDS: Final = 10.0
#: Faults begin within this time; a scenario lasts some seconds longer than its last one.
WINDOW_SECONDS: Final = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    kind: str
    target: str  #: a program or a server
    at: float  #: seconds since the clerks began to write
    lasts: float  #: seconds until it is over; of a killed program, until it is started again
    amount: float = 0.0  #: of a kind that has a measure: see ``KINDS``

    def __str__(self) -> str:
        amount = f" ({self.amount:g})" if self.amount else ""
        return f"{self.at:.1f} s: {self.kind} {self.target}{amount} for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One scenario before it is played."""

    seed: int
    births: int  #: records in the register when it begins, captured like all others
    changes: int  #: at least so many changes of clerks after them
    pace: int  #: transactions in a tenth of a second
    crew: Mapping[str, tuple[str, ...]]  #: workers: name -> command; the relay is always there
    faults: tuple[Fault, ...]


def draw(seed: int) -> Plan:
    """A short scenario: four to seven faults, some of them at the same time."""
    rng = random.Random(f"campaign {seed}")
    crew = rng.choice(CREWS)
    kinds, weights = zip(*KINDS.items(), strict=True)
    drawn = rng.choices(kinds, weights, k=rng.randint(4, 7))
    faults = sorted((kind(rng, sorted(crew)) for kind in drawn), key=lambda fault: fault.at)
    return Plan(seed=seed, births=400, changes=800, pace=20, crew=crew, faults=tuple(faults))


def many_kills(seed: int, *, of_workers: int) -> Plan:
    """A long scenario of kill -9 and nothing else; what hits the relay comes on top."""
    rng, crew = random.Random(f"kills {seed}"), CREWS[0]
    faults: list[Fault] = []
    at = 0.0
    while sum(fault.target in crew for fault in faults) < of_workers:
        at += rng.uniform(1.0, 6.0)
        target = rng.choice((*crew, *crew, "capture"))
        faults.append(Fault(kind="kill -9", target=target, at=at, lasts=rng.uniform(0.0, 1.5)))
        at += faults[-1].lasts
    return Plan(seed=seed, births=15_000, changes=35_000, pace=40, crew=crew, faults=tuple(faults))


Draw = Callable[[random.Random, list[str]], Fault]


def _begin(rng: random.Random) -> float:
    return rng.uniform(0.5, WINDOW_SECONDS)


def _kill(rng: random.Random, workers: list[str]) -> Fault:
    target = rng.choice([*workers, *workers, "capture"])
    return Fault(kind="kill -9", target=target, at=_begin(rng), lasts=rng.uniform(0.0, 1.5))


def _pause(rng: random.Random, workers: list[str]) -> Fault:
    """A stopped process, such as a virtual machine that is moved: it goes on as if no time had passed."""
    return Fault(
        kind="SIGSTOP", target=rng.choice([*workers, "capture"]), at=_begin(rng), lasts=rng.uniform(0.5, 4.0)
    )


def _long_pause(rng: random.Random, workers: list[str]) -> Fault:
    lasts = SESSION_SECONDS + rng.uniform(1.0, 2.5)
    return Fault(
        kind="SIGSTOP beyond the session", target=rng.choice(workers), at=rng.uniform(0.5, 3.0), lasts=lasts
    )


def _broker(rng: random.Random, _: list[str]) -> Fault:
    return Fault(kind="kill -9", target="broker", at=_begin(rng), lasts=rng.uniform(0.0, 2.0))


def _database(rng: random.Random, _: list[str]) -> Fault:
    target = rng.choice(("store", "store", "agency"))
    return Fault(kind="immediate stop", target=target, at=_begin(rng), lasts=rng.uniform(0.0, 2.0))


def _full(rng: random.Random, _: list[str]) -> Fault:
    """``amount`` is the share of writing statements that meet a full disk; others find a free page."""
    share = rng.choice((1.0, 0.5, 0.2))
    return Fault(kind="disk full", target="store", at=_begin(rng), lasts=rng.uniform(1.0, 4.0), amount=share)


def _one_more(rng: random.Random, _: list[str]) -> Fault:
    """A worker that comes and goes: two rebalances."""
    return Fault(kind="one more", target="extra", at=_begin(rng), lasts=rng.uniform(2.0, 6.0))


def _copies(rng: random.Random, _: list[str]) -> Fault:
    """``amount`` old records are sent again, in any order."""
    at, amount = rng.uniform(3.0, WINDOW_SECONDS), rng.choice((10, 50, 200))
    return Fault(kind="sent again", target="topic", at=at, lasts=0, amount=amount)


def _clock(rng: random.Random, _: list[str]) -> Fault:
    """``amount`` is by how many seconds the agency's clock is wrong."""
    amount = rng.choice((-86_400, -3_600, -5, 5, 3_600, 86_400))
    return Fault(
        kind="clock step", target="agency's clock", at=_begin(rng), lasts=rng.uniform(1.0, 4.0), amount=amount
    )


#: The longest step of the clock, for those who look at times.
CLOCK_SECONDS: Final = 86_400
#: What can be drawn, and how often.
KINDS: Final[Mapping[Draw, int]] = {
    _kill: 6,
    _pause: 2,
    _long_pause: 2,
    _broker: 2,
    _database: 3,
    _full: 2,
    _one_more: 2,
    _copies: 3,
    _clock: 2,
}
