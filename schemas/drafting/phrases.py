"""What a draft says to the person who finishes it (``phrases.csv``), in Vietnamese and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from schemas.drafting.tables import rows_of
from schemas.reasons import Language


@dataclass(frozen=True)
class Phrase:
    """Something to say, in no language yet."""

    key: str
    values: dict[str, Any]

    def text(self, language: Language) -> str:
        """In words."""
        values = {
            name: value.text(language) if isinstance(value, Phrase) else value
            for name, value in self.values.items()
        }
        return _phrases()[self.key][language].format(**values)


def say(key: str, **values: Any) -> Phrase:
    """A phrase. Its values are names, counts and shares, never what stands in a column."""
    return Phrase(key, values)


@cache
def _phrases() -> dict[str, Mapping[str, str]]:
    return {row["key"]: row for row in rows_of("phrases.csv")}
