"""The rules that look codes up once more, text by text, in plain Python over the code lists' files.

Every text that may mean a code is written out once, with its rank and its time; an answer is a scan of those
that are equal to the text asked. Written from what the rules promise; shares nothing with ``schemas``.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from tests.oracle import CODES, Problem, _bare

Said = Mapping[str, Any]  #: a rule's parameters

#: The better rank wins; a text that is a code is nothing else.
CODE, OFFICIAL, ALIAS, OTHER, COMBINED, BARE = range(6)
EVER, NEVER = date.min, date.max


@dataclass(frozen=True)
class Meaning:
    """What a text means, from a day to the day before another."""

    rank: int
    code: str
    begin: date
    end: date


@cache
def head(name: str) -> Mapping[str, str]:
    lines = (CODES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"# ([a-z]+): (.*)", "\n".join(line for line in lines if line.startswith("#"))))


@cache
def rows(name: str) -> Sequence[Mapping[str, str]]:
    lines = (CODES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@cache
def coded(name: str) -> Mapping[str, Sequence[Mapping[str, str]]]:
    """The rows by their code."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for row in rows(name):
        found.setdefault(row["code"], []).append(row)
    return found


@cache
def successors(name: str) -> Mapping[tuple[str, date], Sequence[str]]:
    found: dict[tuple[str, date], list[str]] = {}
    if (CODES / "successors" / f"{name}.csv").exists():
        for row in rows(f"successors/{name}"):
            found.setdefault((row["code"], date.fromisoformat(row["on"])), []).append(row["successor"])
    return found


def time_of(row: Mapping[str, str]) -> tuple[date, date]:
    begin, end = row.get("valid_from"), row.get("valid_to")
    return date.fromisoformat(begin) if begin else EVER, date.fromisoformat(end) if end else NEVER


# ------------------------------------------------------------------ how names are compared


@cache
def types(name: str) -> Mapping[str, Sequence[str]]:
    """Word of a unit -> its short forms, in small letters."""
    parts = (part.partition("=") for part in head(name).get("types", "").lower().split("|") if part.strip())
    return {word.strip(): short.split() for word, _, short in parts}


@cache
def above(name: str) -> Sequence[tuple[str, str]]:
    """Columns that name units above, the lower first, and their lists."""
    return [(column, head(name)[column]) for column in ("district", "parent") if column in head(name)]


def _begins(text: str, word: str) -> str | None:
    """What follows the word; after a full stop no space is needed."""
    rest = text[len(word) :]
    if not text.startswith(word) or not (word.endswith(".") or rest.startswith(" ")):
        return None
    return rest.lstrip(" ")


def _without(text: str, words: Sequence[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        if (rest := _begins(text, word)) is not None:
            return rest
    return text


def key(name: str, text: str) -> str:
    """Equal if two texts are one name."""
    known = types(name)
    if not known:
        return _bare(text)
    own, *rest = text.lower().split(",")
    forms = {short: word for word, every in known.items() for short in every}
    for short in sorted(forms, key=len, reverse=True):
        if (bare := _begins(own, short)) is not None:
            own = f"{forms[short]} {bare}"
            break
    for word in known:
        if (bare := _begins(own, word)) is not None and re.match("0+[1-9]", bare):
            own = f"{word} {bare.lstrip('0')}"
    higher = [every for _, one in above(name) for every in types(one).items()]
    words = [word for kind, short in higher for word in (kind, *short)]
    return ",".join([_bare(own), *(_bare(_without(part.lstrip(" "), words)) for part in rest)])


@cache
def texts(name: str) -> Mapping[str, Sequence[Meaning]]:
    """Key -> what it means. A name in a row that is a hint (U) means nothing."""
    found: dict[str, list[Meaning]] = {}
    for row in rows(name):
        begin, end = time_of(row)
        said = [(CODE, row["code"])]
        if row.get("evidence") != "U":
            aliases = [one for one in (row.get("aliases") or "").split(";") if one]
            others = [one for one in (row.get("other_names") or "").split(";") if one]
            said += [(OFFICIAL, row["name"]), *((ALIAS, one) for one in aliases)]
            said += [(OTHER, one) for one in others]
            said += [(COMBINED, f"{one} ({other})") for one in (row["name"], *aliases) for other in others]
        if types(name):
            said.append((BARE, _without(row["name"].lower(), list(types(name)))))
        for rank, text in said:
            for more, since, until in (
                _with_above(name, row, begin, end) if rank != CODE else [("", begin, end)]
            ):
                found.setdefault(key(name, text + more), []).append(Meaning(rank, row["code"], since, until))
    return found


def _with_above(
    name: str, row: Mapping[str, str], begin: date, end: date
) -> Sequence[tuple[str, date, date]]:
    """How a name may go on, and when."""
    ways = [("", begin, end)]
    for column, one in above(name) if types(name) else ():
        for unit in coded(one).get(row[column], ()):
            since, until = time_of(unit)
            ways += [
                (f"{more}, {unit['name']}", max(first, since), min(last, until))
                for more, first, last in list(ways)
                if max(first, since) < min(last, until) and unit["name"] not in more
            ]
    return ways


# ------------------------------------------------------------------ the rules


def code(rule: Said, text: str) -> str:
    by = rule.get("by", ["name"])
    wanted = _bare(text)
    found = [
        one for one in texts(rule["list"]).get(wanted, ()) if ("code" if one.rank == CODE else "name") in by
    ]
    found += [
        Meaning(CODE, meant, EVER, NEVER)
        for alias, meant in rule.get("aliases", {}).items()
        if _bare(alias) == wanted
    ]
    if not found:
        raise Problem("code_unknown")
    codes = {one.code for one in found if one.rank == min(each.rank for each in found)}
    if len(codes) > 1:
        raise Problem("code_ambiguous")
    return codes.pop()


def _meant(rule: Said, text: str, day: date | None) -> str:
    """The code that a text means on a day."""
    name, by = rule["list"], rule.get("by", ["code"])
    below = re.fullmatch(head(name)["below"], text) if "below" in head(name) else None
    text = below[1] if below else text
    if "name" in by:
        found = [one for one in texts(name).get(key(name, text), ()) if "code" in by or one.rank != CODE]
    else:
        found = [Meaning(CODE, text, *time_of(row)) for row in coded(name).get(text, ())]
    if any(one.rank == CODE for one in found):
        found = [one for one in found if one.rank == CODE]
    if not found:
        raise Problem("code_unknown")
    if day is None:
        raise Problem("code_ambiguous")
    then = [one for one in found if one.begin <= day < one.end]
    if not then:
        raise Problem("code_not_valid_then")
    codes = {one.code for one in then if one.rank == min(each.rank for each in then)}
    if len(codes) > 1:
        raise Problem("code_ambiguous")
    return codes.pop()


def code_at(rule: Said, text: str, day: date | None) -> str:
    meant = _meant(rule, text, day)
    name = rule["list"]
    written = "name" not in rule.get("by", ["code"])
    return text if written or ("below" in head(name) and re.fullmatch(head(name)["below"], text)) else meant


def code_now(rule: Said, text: str, day: date | None) -> str:
    meant, on = _meant(rule, text, day), date.fromisoformat(rule["on"])
    assert day is not None
    codes = {meant} if day >= on else became(rule["list"], meant, day, on)
    if codes is None:
        raise Problem("code_successor_unknown")
    if len(codes) > 1:
        raise Problem("code_ambiguous")
    return next(iter(codes))


def became(name: str, one: str, day: date, on: date) -> frozenset[str] | None:
    """The codes that the unit of a code on a day has on a later one; None: the list does not tell."""
    mine = coded(name).get(one, ())
    (now,) = (row for row in mine if time_of(row)[0] <= day < time_of(row)[1])
    told = {when for _, when in successors(name)}
    ends = [when for when in told if (one, when) in successors(name) and day < when < time_of(now)[1]]
    end = min([*ends, time_of(now)[1]])
    if on < end:
        return frozenset({one})
    heirs = successors(name).get((one, end))
    if heirs is None:
        following = [row for row in mine if time_of(row)[0] == end]
        if end in told or not following or _name_alone(name, following[0]) != _name_alone(name, now):
            return None
        heirs = [one]
    found: set[str] = set()
    for heir in heirs:
        if not any(time_of(row)[0] <= end < time_of(row)[1] for row in coded(name).get(heir, ())):
            return None
        later = became(name, heir, end, on)
        if later is None:
            return None
        found |= later
    return frozenset(found)


def _name_alone(name: str, row: Mapping[str, str]) -> str:
    return key(name, _without(row["name"].lower(), list(types(name))))


KINDS: Mapping[str, Callable[..., str]] = {"code": code, "code_at": code_at, "code_now": code_now}
