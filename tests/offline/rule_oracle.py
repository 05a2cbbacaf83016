"""Every kind of rule once more, row at a time, in plain Python: a rule as a contract says it, and a row of
cleaned texts.

Written from what the rules promise and not from their code; like ``oracle``, whose parts it takes, it shares
nothing with ``schemas`` but the code lists' files.
"""

import calendar
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests import oracle
from tests.oracle import Problem, clean, digits

Row = Mapping[str, str | None]
Said = Mapping[str, Any]  #: a rule's parameters


def obtain(rule: Said, row: Row) -> str | None:
    """The value of a rule. Raises ``Problem``."""
    return KINDS[rule["rule"]](rule, row)


def _of_text(obtained: Callable[[Said, str], str | None]) -> Callable[[Said, Row], str | None]:
    def of_row(rule: Said, row: Row) -> str | None:
        text = row[rule["from"]]
        return None if text is None else obtained(rule, text)

    return of_row


# ------------------------------------------------------------------ several columns, or none


def _join(rule: Said, row: Row) -> str | None:
    there = [text for name in rule["from"] if (text := row[name]) is not None]
    return rule.get("separator", " ").join(there) if there else None


def _address(rule: Said, row: Row) -> str | None:
    separator, said = rule.get("separator", ", "), None
    for name in rule["from"]:
        part = (row[name] or "").strip(" ,;")
        if not part:
            continue
        if said is None:
            said = part
        elif _pieces(said, separator)[-len(_pieces(part, separator)) :] != _pieces(part, separator):
            said += separator + part
    return said


def _pieces(address: str, separator: str) -> list[str]:
    return [piece.strip(" ") for piece in re.split("[,;]", address.lower().replace(separator.lower(), ","))]


# ------------------------------------------------------------------ rules that hold rules


def _when(rule: Said, row: Row) -> str | None:
    for case in rule["cases"]:
        asked, text = case["if"], row[case["if"]["column"]]
        if text is None if asked.get("missing") else text in asked["is"]:
            return obtain(case["then"], row)
    return obtain(rule["otherwise"], row) if "otherwise" in rule else None


def _list(rule: Said, text: str) -> str | None:
    given = []
    for number, item in enumerate(_objects(text), start=1):
        values: dict[str, Any] = {}
        for key, one in rule["fields"].items():
            try:
                value = obtain(one, item)
                if value is None and one.get("required"):
                    raise Problem("required_missing")
            except Problem as problem:
                mark = "" if problem.rule.startswith("[") else ":"
                raise Problem(f"[{number}].{key}{mark}{problem.rule}") from None
            if value is not None:
                values[key] = json.loads(value) if one["rule"] == "list" else value
        given.append(values)
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")) if given else None


class _Texts(dict[str, str | None]):
    """An object's cleaned texts; a key that it does not have is missing."""

    def __missing__(self, key: str) -> None:
        return None


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written."""


class _Number(str):
    """A number as it is written."""


def _objects(text: str) -> list[_Texts]:
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number)
    try:
        found = decoder.decode(text)
    except ValueError:
        raise Problem("list_unreadable") from None
    if isinstance(found, _Pairs) or not isinstance(found, list):
        raise Problem("list_unreadable")
    if not all(isinstance(one, _Pairs) and len(dict(one)) == len(one) for one in found):
        raise Problem("list_unreadable")
    return [_Texts({key: clean(_said(value)) for key, value in one}) for one in found]


def _said(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, _Pairs):
        return "{" + ", ".join(f"{_within(key)}: {_within(one)}" for key, one in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_within, value)) + "]"
    return json.dumps(value)


def _within(value: Any) -> str:
    if value is None or (isinstance(value, str) and not isinstance(value, _Number)):
        return json.dumps(value, ensure_ascii=False)
    return str(_said(value))


# ------------------------------------------------------------------ dates and numbers


def _date(rule: Said, text: str) -> str:
    parts = oracle.date_parts(text)
    _check_day(parts)
    if rule["precision"] == "day" and len(parts) < 3:
        raise Problem("date_precision")
    return _formed(list(reversed(parts)), rule.get("form") or "dd.MM.yyyy|MM.yyyy|yyyy", "date_precision")


def _moment(rule: Said, text: str) -> str:
    numbers = _moment_parts(text)
    _check_day(list(reversed(numbers[:3])))
    return _formed(numbers, rule.get("form") or "yyyyMMddHHmmss", "moment_precision")


def _check_day(parts: list[int]) -> None:
    day, month, year = [1] * (3 - len(parts)) + parts
    if not 1 <= month <= 12 or year == 0 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        raise Problem("date_impossible")


def _moment_parts(text: str) -> list[int]:
    """[year, month, day], and hour and minute, and second, as far as they are told."""
    if digits(text):
        time = [int(text[at : at + 2]) for at in range(8, len(text), 2)]
        if len(text) not in (8, 12, 14) or any(
            number >= bound for number, bound in zip(time, (24, 60, 60), strict=False)
        ):
            raise Problem("date_unreadable")
        return [int(text[:4]), int(text[4:6]), int(text[6:8]), *time]
    time = []
    mark = next((one for one in "T " if one in text), None)
    day, _, after = text.partition(mark) if mark else (text, "", "")
    if mark:
        hour_alone = mark == " " and after[1:2] == ":"
        found = oracle.time_parts("0" + after if hour_alone else after)
        if found is None:
            raise Problem("date_unreadable")
        time = found
    parts = oracle.date_parts(day)
    if len(parts) != 3 or digits(day):
        raise Problem("date_unreadable")
    return [*reversed(parts), *time]


def _formed(numbers: list[int], forms: str, too_few: str) -> str:
    """Year, month, … as far as known, in the best form if it has no more parts, else in one with as many."""
    parts = ("yyyy", "MM", "dd", "HH", "mm", "ss")
    by_level = {sum(part in form for part in parts): form for form in forms.split("|")}
    form = by_level.get(min(len(numbers), max(by_level)))
    if form is None:
        raise Problem(too_few)
    for part, number in zip(parts, numbers, strict=False):
        form = form.replace(part, f"{number:0{len(part)}d}")
    return form


def _number(rule: Said, text: str) -> str:
    thousands, mark = rule.get("thousands", "."), rule.get("decimal_mark", ",")
    sign = "-" if text.startswith("-") else ""
    whole, marked, fraction = (
        text.removeprefix("-").partition(mark) if mark else (text.removeprefix("-"), "", "")
    )
    groups = whole.split(thousands) if thousands else [whole]
    led = len(groups[0]) in (1, 2, 3) and not groups[0].startswith("0")
    grouped = len(groups) == 1 or (led and all(len(one) == 3 for one in groups[1:]))
    if not grouped or not all(map(digits, groups)) or (marked and not digits(fraction)):
        raise Problem("number_unreadable")
    whole, fraction = "".join(groups).lstrip("0") or "0", fraction.rstrip("0")
    if len(fraction) > rule.get("decimals", 0):
        raise Problem("number_too_precise")
    value = f"{whole}.{fraction}" if fraction else whole
    return value if value == "0" else sign + value


def _personal_id(rule: Said, text: str) -> str:
    if not digits(text) or len(text) not in ((9, 12) if rule.get("old") else (12,)):
        raise Problem("personal_id_form")
    return text


# ------------------------------------------------------------------ texts


def _split(rule: Said, text: str) -> str | None:
    if rule["separator"] != " ":
        text = f" {text} "  # a blank of the separator may be an end of the text
    first, _, rest = text.partition(rule["separator"])
    return clean(first if rule["part"] == "first" else rest)


def _match(rule: Said, text: str) -> str:
    for case in rule["cases"]:
        if re.fullmatch(case["form"], text):
            return str(case["value"])
    return str(rule["otherwise"])


KINDS: dict[str, Callable[[Said, Row], str | None]] = {
    "address": _address,
    "constant": lambda rule, row: rule["value"],
    "copy": _of_text(lambda rule, text: text),
    "date": _of_text(_date),
    "join": _join,
    "list": _of_text(_list),
    "match": _of_text(_match),
    "moment": _of_text(_moment),
    "name": _of_text(lambda rule, text: oracle.spelled(text, {})),
    "number": _of_text(_number),
    "personal_id": _of_text(_personal_id),
    "split": _of_text(_split),
    "when": _when,
}
