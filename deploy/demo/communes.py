"""The demo's own small table of communes, with the validity of each version of each code."""

import csv
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Commune:
    """One version of one commune; ``until`` is exclusive."""

    code: str
    name: str
    province: str  #: two digits: "49" Quảng Nam until 30/06/2025, "48" Đà Nẵng
    since: date
    until: date

    def valid_at(self, day: date) -> bool:
        return self.since <= day < self.until


@cache
def communes() -> tuple[Commune, ...]:
    """Every version of every commune of ``communes.csv``, in the file's order."""
    with (Path(__file__).parent / "communes.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return tuple(
            Commune(
                code=row["code"],
                name=row["name"],
                province=row["province"],
                since=date.fromisoformat(row["valid_from"]) if row["valid_from"] else date.min,
                until=date.fromisoformat(row["valid_to"]) if row["valid_to"] else date.max,
            )
            for row in rows
        )


def codes_not_valid_at(day: date) -> list[str]:
    """Codes that the table knows and that named no commune on ``day``."""
    valid = {commune.code for commune in communes() if commune.valid_at(day)}
    return sorted({commune.code for commune in communes()} - valid)
