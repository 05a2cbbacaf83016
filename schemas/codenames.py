"""How names are compared: in any case, with or without spaces and hyphens, the tone mark on either vowel.

Units of the state have more spellings. The head of their list says ``types``: the words that begin a name,
and how each is shortened (``Thành phố=TP TP. T.P | Tỉnh=T.``). Then ``TP Huế`` is ``Thành phố Huế``, and a
name may go on with the units above it, the lower first, with or without their types: ``P. Hải Châu, Hải Châu,
Đà Nẵng``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

#: What does not matter when names are compared: spaces and hyphens.
_FOLDED_AWAY = "[ \u2010\u2011-]"
#: The tone mark as it was, and as it is now, written: hoà, hòa; thuỷ, thủy.
_TONES = {
    f"{first}{old}": f"{new}{last}"
    for first, last, before, after in (
        ("o", "a", "àáảãạ", "òóỏõọ"),
        ("o", "e", "èéẻẽẹ", "òóỏõọ"),
        ("u", "y", "ỳýỷỹỵ", "ùúủũụ"),
    )
    for old, new in zip(before, after, strict=True)
}
_TONE = re.compile("|".join(_TONES))


def fold(name: str) -> str:
    """A name without case, spaces, hyphens and the place of the tone mark, for comparison only."""
    return _TONE.sub(lambda found: _TONES[found[0]], re.sub(_FOLDED_AWAY, "", name).lower())


def folded(name: pl.Expr) -> pl.Expr:
    """``fold`` in columns."""
    bare = name.str.replace_all(_FOLDED_AWAY, "").str.to_lowercase()
    return bare.str.replace_many(list(_TONES), list(_TONES.values()))


@dataclass(frozen=True)
class Spelling:
    """How the names of one list become keys that are equal if the names are."""

    types: Mapping[str, tuple[str, ...]]  #: type of a unit -> its short forms; empty if the list has no types
    above: Mapping[str, tuple[str, ...]]  #: those of the lists above it

    def key(self, name: str) -> str:
        """The key of a name."""
        if not self.types:
            return fold(name)
        own, comma, rest = name.lower().partition(",")
        for pattern, full in self._short():
            own = re.sub(pattern, full.replace("\\", r"\\"), own)
        own = re.sub(self._zeros(), r"\1\2", own)
        return fold(own + re.sub(self._of_above(), ",", comma + rest))

    def keys(self, name: pl.Expr) -> pl.Expr:
        """``key`` in columns."""
        if not self.types:
            return folded(name)
        parts = name.str.to_lowercase().str.splitn(",", 2).struct
        own, rest = parts[0], pl.concat_str(pl.lit(","), parts[1])
        for pattern, full in self._short():
            own = own.str.replace(pattern, full.replace("$", "$$"))
        own = own.str.replace(self._zeros(), "$1$2")
        above = rest.str.replace_all(self._of_above(), ",").fill_null("")
        return folded(pl.concat_str(own, above))

    def bare(self, name: pl.Expr) -> pl.Expr:
        """Names without their types, in small letters."""
        return name.str.to_lowercase().str.replace(f"^{_any(self.types)}", "")

    def ending(self, above: pl.Expr) -> pl.Expr:
        """What a key ends with if the name goes on with this name of a unit above."""
        rest = pl.concat_str(pl.lit(","), above.str.to_lowercase())
        return folded(rest.str.replace(self._of_above(), ","))

    def _short(self) -> Iterable[tuple[str, str]]:
        """Patterns of short forms at the beginning of a name, and what they stand for.

        The type with the longest form first: T.P. is no Tỉnh (T.) that is named P.
        """
        kinds = sorted(self.types.items(), key=lambda one: -max(map(len, one[1]), default=0))
        return [(f"^{_any({}, forms)}", f"{full} ") for full, forms in kinds if forms]

    def _zeros(self) -> str:
        """A pattern of units that are numbers: Phường 01 is Phường 1."""
        return f"^({_any(self.types)})0+([1-9])"

    def _of_above(self) -> str:
        return f", *(?:{_any(self.above)})?"


def spelling(types: str, *above: str) -> Spelling:
    """From the heads' ``types`` of a list and of those above it."""
    return Spelling(_types(types), {kind: forms for one in above for kind, forms in _types(one).items()})


def _types(written: str) -> Mapping[str, tuple[str, ...]]:
    parts = [part.partition("=") for part in written.lower().split("|") if part.strip()]
    return {kind.strip(): tuple(forms.split()) for kind, _, forms in parts}


def _any(types: Mapping[str, tuple[str, ...]], forms: Iterable[str] = ()) -> str:
    """A pattern of any of these words. After a full stop no space is needed."""
    words = {*types, *forms, *(form for several in types.values() for form in several)}
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    # Rust's patterns know no escaped space.
    bare = [re.escape(word).replace(r"\ ", " ") for word in longest_first]
    each = [word + (" *" if word.endswith(".") else " +") for word in bare]
    return f"(?:{'|'.join(each)})"
