"""Forms of dates and times: what ``dd.MM.yyyy|MM.yyyy|yyyy`` in a national format means.

A form is ``yyyy``, ``MM``, ``dd``, ``HH``, ``mm``, ``ss``, each once, with separators between them; forms are
joined with ``|``, the most precise first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from itertools import pairwise

#: Vietnam's own time, the whole year.
VIETNAM = timezone(timedelta(hours=7))

#: From the least to the most precise part. A form with one of them has all before it.
PARTS = ("yyyy", "MM", "dd", "HH", "mm", "ss")

_PARTS = re.compile("|".join(PARTS))
_FORM = re.compile(f"(?:{'|'.join(PARTS)}|[-/. :T])+")


@dataclass(frozen=True, slots=True)
class DateForm:
    """One form."""

    text: str
    places: Mapping[str, int]  #: where each part begins

    @property
    def level(self) -> int:
        """How precise it is: the number of its parts; 3 is a day."""
        return len(self.places)

    def pieces(self) -> Sequence[str]:
        """Parts and what stands between them, in order."""
        return [piece for piece in re.split(f"({'|'.join(PARTS)})", self.text) if piece]


def date_forms(text: str) -> tuple[DateForm, ...]:
    """The forms that a text names. Raises ``ValueError`` that says what is wrong with it."""
    forms = tuple(_form(one) for one in text.split("|"))
    for longer, shorter in pairwise(forms):
        if shorter.level >= longer.level or len(shorter.text) >= len(longer.text):
            raise ValueError(f"{shorter.text} is not less precise than {longer.text} before it")
    return forms


def _form(text: str) -> DateForm:
    places = {found.group(): found.start() for found in _PARTS.finditer(text)}
    if not _FORM.fullmatch(text) or len(places) != len(_PARTS.findall(text)):
        raise ValueError(f"{text or 'an empty text'} is no form of {', '.join(PARTS)}, each once")
    if set(places) != set(PARTS[: len(places)]):
        raise ValueError(f"{text} leaves out a part before its most precise one")
    return DateForm(text, places)
