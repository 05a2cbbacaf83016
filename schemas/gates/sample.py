"""What a new version of a national format would do to records that stand in the older one."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from schemas.codelists import CodeLists
from schemas.date_forms import PARTS, DateForm, date_forms
from schemas.documents import read_text
from schemas.errors import ContractError
from schemas.formats import FormatField, NationalFormat
from schemas.gates.impact import names_of_codes

_LINES = "one JSON object a line, as lienthong consume prints them"

#: So many places are told for each reason.
_PLACES = 5

_DAY = 3  #: so many parts are a day
#: What the rules date and moment give where a layout has no form.
_AS_GIVEN = ("dd.MM.yyyy|MM.yyyy|yyyy", "yyyyMMddHHmmss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One record as a store or a topic of the older version holds it."""

    system: str
    dataset: str
    place: int  #: which line of the file or row of the sample, from 1
    fields: Mapping[str, str | None] = field(repr=False)


@dataclass(slots=True)
class Fate:
    """What would become of the sampled records of one dataset. Holds no value of them."""

    records: int = 0
    refused: int = 0  #: records with at least one reason to be refused
    altered: int = 0  #: records that would be taken, but not as they are
    #: ``(field, reason)`` -> how many
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: dict[tuple[str, str], list[int]] = field(default_factory=dict)  #: the first few of each

    def count(self, told: Iterable[tuple[str, str, bool]], place: int) -> None:
        """Take in one record: ``(field, reason, refused)`` for each thing that would happen to it."""
        self.records += 1
        every = list(told)
        refused = any(one[2] for one in every)
        self.refused += refused
        self.altered += bool(every) and not refused
        for name, reason, _ in every:
            self.reasons[name, reason] += 1
            known = self.places.setdefault((name, reason), [])
            if len(known) < _PLACES:
                known.append(place)


Fates = dict[tuple[str, str], Fate]  #: by system and dataset

#: What a field's value would meet: a reason and whether it refuses the record; or nothing.
_Judge = Callable[[str], tuple[str, bool] | None]


def fates(records: Iterable[Stored], old: NationalFormat, new: NationalFormat, codes: CodeLists) -> Fates:
    """What would become of records of the version ``old`` in the version ``new``.

    Reasons that refuse: ``required_missing``, ``code_unknown``, ``date_unreadable``, ``date_impossible``,
    ``date_precision``.
    Reasons that alter: ``no_room`` (the field is gone), ``date_form`` (written otherwise), ``code_meaning``
    (the code stands for something else).
    """
    judges = dict(_judges(old, new, codes))
    required = [one.name for one in new.fields if one.required]
    found: Fates = {}
    for record in records:
        told = [(name, "required_missing", True) for name in required if not record.fields.get(name)]
        for name, value in record.fields.items():
            if value and name in judges and (verdict := judges[name](value)):
                told.append((name, *verdict))
        found.setdefault((record.system, record.dataset), Fate()).count(told, record.place)
    return found


def _judges(old: NationalFormat, new: NationalFormat, codes: CodeLists) -> Iterator[tuple[str, _Judge]]:
    after = {one.name: one for one in new.fields}
    for one in old.fields:
        if one.name not in after:
            yield one.name, lambda _: ("no_room", False)
            continue
        now = after[one.name]
        if now.code_list != one.code_list and now.code_list in codes:
            yield one.name, _of_codes(one, now, codes)
        elif now.date_form and now.date_form != one.date_form:
            given = (one.date_form,) if one.date_form else _AS_GIVEN
            before = [form for each in given for form in date_forms(each)]
            yield one.name, _of_dates(before, date_forms(now.date_form))


def _of_codes(old: FormatField, new: FormatField, codes: CodeLists) -> _Judge:
    known = codes.get(old.code_list or "")
    before = names_of_codes(known) if known else {}
    after = names_of_codes(codes[new.code_list or ""])

    def judge(value: str) -> tuple[str, bool] | None:
        if value not in after:
            return "code_unknown", True
        other = value in before and before[value].isdisjoint(after[value])
        return ("code_meaning", False) if other else None

    return judge


def _of_dates(old: Sequence[DateForm], new: Sequence[DateForm]) -> _Judge:
    kept = {form.level: form.text for form in new}
    best = max(kept)
    patterns = [(form, _pattern(form)) for form in (*old, *new)]

    def judge(value: str) -> tuple[str, bool] | None:
        form = next((one for one, pattern in patterns if pattern.fullmatch(value)), None)
        if form is None:
            return "date_unreadable", True
        if not _in_calendar(form, value):
            return "date_impossible", True
        if min(form.level, best) not in kept:  # also between two forms: a month where days and years go
            return "date_precision", True
        return None if kept.get(form.level) == form.text else ("date_form", False)

    return judge


def _in_calendar(form: DateForm, value: str) -> bool:
    """Whether a value of a form is of a day, a month or a year that there is."""
    day = [int(value[form.places[part] :][: len(part)]) for part in PARTS[:_DAY] if part in form.places]
    try:
        date(*day, *[1] * (_DAY - len(day)))
    except ValueError:
        return False
    return True


def _pattern(form: DateForm) -> re.Pattern[str]:
    digits = {part: f"[0-9]{{{len(part)}}}" for part in PARTS}
    digits |= {"HH": "(?:[01][0-9]|2[0-3])", "mm": "[0-5][0-9]", "ss": "[0-5][0-9]"}
    return re.compile("".join(digits.get(piece) or re.escape(piece) for piece in form.pieces()))


def read_sample(path: Path, national: NationalFormat) -> Iterator[Stored]:
    """Records as ``lienthong consume`` prints them, one JSON object a line; deleted ones are passed over.

    Lines that hold the fields alone are read, too. Raises ``ContractError`` with file and line, also for a
    line that holds no field of the format.
    """
    known = {one.name for one in national.fields}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        said = json_object(path, number, line)
        if said.get("deleted") is True:
            continue
        fields = said.get("fields", said)
        if not isinstance(fields, dict):
            raise ContractError(f"{path}:{number}: fields is no JSON object", next_step=_LINES)
        if known.isdisjoint(fields):
            raise ContractError(f"{path}:{number}: no field of {national.full_id} is in it", next_step=_LINES)
        yield Stored(
            system=str(said.get("system", "")),
            dataset=str(said.get("dataset", "")),
            place=number,
            fields={name: None if value is None else str(value) for name, value in fields.items()},
        )


def json_object(path: Path, number: int, line: str, next_step: str = _LINES) -> dict[str, Any]:
    """One line of a file of JSON lines. Raises ``ContractError``, which shows nothing of the line."""
    try:
        said = json.loads(line)
        if "\\u" in line:  # half a character is JSON, and no text
            json.dumps(said, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ContractError(f"{path}:{number}: not JSON: {error.msg}", next_step=next_step) from None
    except UnicodeEncodeError:
        text = f"{path}:{number}: an escape (\\u…) stands for half a character"
        raise ContractError(text, next_step="write both halves, or the character itself") from None
    except RecursionError:
        raise ContractError(f"{path}:{number}: nested too deep", next_step=next_step) from None
    except ValueError:  # of more digits than Python takes
        raise ContractError(f"{path}:{number}: a number of too many digits", next_step=next_step) from None
    if not isinstance(said, dict):
        raise ContractError(f"{path}:{number}: not a JSON object", next_step=next_step)
    return said
