"""From the names and comments of columns to words of the national formats.

``strHoTenMe``, ``me_hoten`` and ``mother_full_name`` all become ``{me} {ho, ten}``: a role, and plain words
without accents. A lexicon (``lexicon.csv``) knows abbreviations and English; words run together are taken
apart; a word without vowels (``mthr``) is matched with one it abbreviates.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice, product

from schemas.drafting.tables import rows_of

#: Who a field is about: the prefixes of the civil-status layouts.
ROLES = frozenset({
    "nks", "me", "cha", "chong", "vo", "nkt", "gbt", "nxn", "cm", "nc", "nyc"
})  # fmt: skip

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
#: Say what type a column has, and stand before or after its name.
_TYPE_MARKS = frozenset({
    "str", "txt", "int", "big", "bit", "num", "dbl", "flt", "vc", "nvc", "var", "lng", "bool", "obj",
    "fld", "dtm", "ts"
})  # fmt: skip
#: Say nothing at all.
_FILLERS = frozenset({
    "cua", "va", "tai", "the", "is", "of", "at", "on", "in", "by", "for", "f", "c", "col", "cot", "column",
    "field", "truong", "x", "v", "t", "id"
})  # fmt: skip
_LONGEST_PHRASE = 6
_MOST_MEANINGS = 8


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name may mean."""

    roles: frozenset[str]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases without spaces -> the words that each of their meanings consists of."""

    meanings: dict[str, tuple[tuple[str, ...], ...]]

    def extended(self, phrases: Iterable[str]) -> "Lexicon":
        """With words of formats, which mean themselves."""
        known = {word: ((word,),) for phrase in phrases for word in phrase.split() if len(word) > 1}
        return Lexicon(known | self.meanings)


@cache
def lexicon() -> Lexicon:
    """The shipped one."""
    rows = rows_of("lexicon.csv")
    return Lexicon(
        {
            row["words"].replace(" ", ""): tuple(tuple(one.split()) for one in row["means"].split("|"))
            for row in rows
        }
    )


def plain(text: str) -> str:
    """Without accents; đ is d."""
    letters = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def split(name: str) -> tuple[str, ...]:
    """The parts of a name or a label in small letters without accents: at ``_``, spaces and capitals."""
    return tuple(part.lower() for part in _PARTS.findall(plain(name)))


def meanings(parts: Sequence[str], known: Lexicon) -> tuple[Meaning, ...]:
    """Every meaning that the parts of a name may have, the likeliest first; empty if they say nothing."""
    found = [list(one) for one in _phrases([part for part in parts if part not in _TYPE_MARKS], known)]
    result = []
    for choice in islice(product(*found), _MOST_MEANINGS):
        words = {word for phrase in choice for word in phrase} - _FILLERS
        if words:
            result.append(Meaning(frozenset(words & ROLES), frozenset(words - ROLES)))
    return tuple(dict.fromkeys(result))


def without_common_part(names: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Names of a table's columns without the part that most of them begin with: a vendor's prefix."""
    firsts = Counter(parts[0] for parts in names if len(parts) > 1)
    common = {part for part, count in firsts.items() if count > 4 and count >= 0.6 * len(names)}
    return [parts[1:] if len(parts) > 1 and parts[0] in common else parts for parts in names]


def _phrases(parts: Sequence[str], known: Lexicon) -> list[tuple[tuple[str, ...], ...]]:
    """The phrases of a name, longest first, each with its meanings."""
    found: list[tuple[tuple[str, ...], ...]] = []
    at = 0
    while at < len(parts):
        for end in range(min(len(parts), at + _LONGEST_PHRASE), at, -1):
            if meaning := known.meanings.get("".join(parts[at:end])):
                found.append(meaning)
                at = end
                break
        else:
            found += _of_one(parts[at], known)
            at += 1
    return found


def _of_one(part: str, known: Lexicon) -> list[tuple[tuple[str, ...], ...]]:
    """The meanings of a part that no phrase begins with: run together, abbreviated, or only itself."""
    if together := _taken_apart(part, known):
        return [known.meanings[piece] for piece in together]
    if abbreviated := _spelled_out(part, known):
        return [known.meanings[abbreviated]]
    return [((part,),)]


def _taken_apart(part: str, known: Lexicon) -> tuple[str, ...]:
    """The fewest known phrases that make up a part; empty if none do."""
    best: list[tuple[str, ...] | None] = [()] + [None] * len(part)
    for end in range(1, len(part) + 1):
        for start in range(end - 1):
            before = best[start]
            if before is not None and part[start:end] in known.meanings:
                found = (*before, part[start:end])
                now = best[end]
                if now is None or len(found) < len(now):
                    best[end] = found
    return best[-1] or ()


@cache
def _skeleton(word: str) -> str:
    """The first letter and the consonants after it."""
    return word[:1] + re.sub("[aeiouy]", "", word[1:])


def _spelled_out(part: str, known: Lexicon) -> str:
    """The one known word that a part abbreviates: its consonants, or its beginning."""
    if len(part) < 3:
        return ""
    longer = [word for word in known.meanings if len(word) > len(part)]
    for fitting in (
        [word for word in longer if _skeleton(word) == part],
        [word for word in longer if word.startswith(part) or _skeleton(word).startswith(part)],
    ):
        if len({known.meanings[word] for word in fitting}) == 1:
            return min(fitting, key=len)
    return ""
