"""Cleaning text: what every rule may take for granted about its input.

Unicode NFC; every white space, also NBSP, tab and line ends, is a space; none at the ends, one at a time
within; a text that says "nothing is known" is missing.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

# One space for each run of white space; a single space, the usual case, is not touched.
_SPACED = pl.col("x").str.replace_all(r"\s{2,}|[\s--\x20]", " ").str.strip_chars(" ")
_HAS_NUL = pl.col("x").str.contains("\x00", literal=True).alias("unstorable")
# None of these letters changes under NFC, alone or beside each other.
_STABLE = "\u00a1-\u02ff\u1ea0-\u1ef9"
_LOOSE = f"[^\x00-\u00a0{_STABLE}]"


def cleaned(text: str) -> str:
    """One text as ``Cleaner`` leaves it, but for words that say "nothing is known"."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Text columns after cleaning."""

    columns: Mapping[str, pl.Series]
    unstorable: Mapping[str, pl.Series]  #: column -> Boolean: rows with a NUL, which no database stores


class Cleaner:
    """Cleans many columns at once. ``missing``: words in small letters that say "nothing is known"."""

    def __init__(self, missing: Sequence[str]) -> None:
        words = "|".join(re.escape(word) for word in missing)
        #: What a whole cleaned text matches if it says nothing.
        self.missing = f"^(?i:{words})?$"
        # Nearly every text is clean already; this finds the others in one pass.
        self._suspect = f"{self.missing}|^ | $|  |[^ !-~{_STABLE}]"

    def clean(self, columns: Mapping[str, pl.Series]) -> Cleaned:
        """The columns of String, all of one length, cleaned."""
        if not columns:
            return Cleaned({}, {})
        # One long column instead of many: the fixed cost of an expression counts, and most batches are small.
        long = pl.concat(list(columns.values()), rechunk=True).alias("x")
        suspect = places(long.str.contains(self._suspect))
        unstorable = None
        if len(suspect):
            found = self._cleaned(long[suspect])
            long = spread(long, suspect, found["x"])
            if found["unstorable"].any():
                nowhere = pl.Series([False]).new_from_index(0, len(long))
                unstorable = spread(nowhere, suspect, found["unstorable"])
        cleaned = dict(zip(columns, slices(long, len(columns)), strict=True))
        if unstorable is None:
            return Cleaned(cleaned, {})
        masks = zip(columns, slices(unstorable, len(columns)), strict=True)
        return Cleaned(cleaned, {name: mask for name, mask in masks if mask.any()})

    def _cleaned(self, texts: pl.Series) -> pl.DataFrame:
        """``x``, the texts cleaned, and ``unstorable``."""
        # To compose letters costs more than all the rest, and most texts that reach this need only the rest.
        loose = places(texts.str.contains(_LOOSE))
        if len(loose):
            texts = spread(texts, loose, texts[loose].str.normalize("NFC"))
        said = pl.when(~pl.col("x").str.contains(self.missing)).then("x").alias("x")
        return texts.to_frame().select(_SPACED, _HAS_NUL).select(said, "unstorable")


def places(where: pl.Series) -> pl.Series:
    """Where a Boolean is true, as row numbers (UInt32)."""
    return pl.int_range(len(where), dtype=pl.UInt32, eager=True).filter(where)


def spread(base: pl.Series, rows: pl.Series, found: pl.Series) -> pl.Series:
    """``base`` with ``found`` in the given rows."""
    return base.clone().scatter(rows, found)  # scatter changes the clone, and not what it shares


def slices(long: pl.Series, count: int) -> list[pl.Series]:
    """A long column cut into ``count`` parts of one length."""
    rows = len(long) // count
    return [long.slice(at * rows, rows) for at in range(count)]
