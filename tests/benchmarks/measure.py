"""One figure with the ceiling it is compared with and the conditions it was taken under."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A line of ``build/bench.json``."""

    name: str
    value: float
    unit: str
    ceiling: float | None = None  #: the named ceiling or peer, in the same unit, from the same run
    ratio: float | None = None  #: value / ceiling
    conditions: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)


def against(name: str, value: float, unit: str, ceiling: float, conditions: str) -> Measure:
    """A figure with its ratio to a ceiling."""
    return Measure(
        name=name, value=value, unit=unit, ceiling=ceiling, ratio=value / ceiling, conditions=conditions
    )
