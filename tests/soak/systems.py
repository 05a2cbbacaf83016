"""A province on a calm day: 141 systems, each at its own pace."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.library import Library
from tests.benchmarks.library import WIDTHS, dataset_of, library_141, source_row
from tests.changes import Events
from tests.shipped import shipped

SYSTEMS: Final = 141
#: Of a hundred changes so many correct an earlier record, and so many delete one.
CORRECTIONS, DELETES = 15, 4


def province(folder: Path) -> Library:
    """The shipped contracts and 141 generated ones."""
    return library_141(folder, datasets=SYSTEMS + len(shipped().contracts))


@dataclass
class System:
    """One dataset whose clerks are at work."""

    events: Events
    columns: int
    pause: float  #: seconds between two changes, on average
    due: float = 0.0  #: seconds since the beginning
    newest: int = 0  #: highest id
    living: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """System and dataset."""
        return self.events.contract.id

    def change(self, rng: random.Random) -> int:
        """Publish the next change; its number."""
        self.due += rng.expovariate(1 / self.pause)
        what = rng.randrange(100)
        if self.living and what < DELETES:
            gone = self.living.pop(rng.randrange(len(self.living)))
            return self.events.delete(str(gone))
        if self.living and what < DELETES + CORRECTIONS:
            id_ = rng.choice(self.living)
            corrected = {"c04": f"LÊ THỊ THỬ {rng.randrange(1000)}"}
            return self.events.write({**source_row(self.columns, id_), **corrected})
        self.newest += 1
        self.living.append(self.newest)
        return self.events.write(source_row(self.columns, self.newest))


def systems(library: Library, broker: str, producer: Any, *, rate: float, seed: int) -> list[System]:
    """All 141, together ``rate`` changes a second; a few busy ones make most of them, as in a province."""
    rng = random.Random(seed)
    busy = [rng.lognormvariate(0, 1.2) for _ in range(SYSTEMS)]
    made = []
    for number, weight in enumerate(busy, 1):
        contract = library.contracts[dataset_of(number)]
        registered = library.registry.current(contract.subject)
        columns, _ = WIDTHS[number % len(WIDTHS)]
        pause = sum(busy) / weight / rate
        events = Events(contract, registered, broker, producer)
        made.append(System(events, columns, pause, due=rng.uniform(0, pause)))
    return made


def due(all_systems: Sequence[System], seconds: float) -> list[System]:
    """Those that have something to say by now."""
    return [one for one in all_systems if one.due <= seconds]
