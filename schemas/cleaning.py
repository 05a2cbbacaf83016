"""Cleaning text: what every rule may take for granted about its input.

Unicode NFC; every white space, also NBSP, tab and line ends, is a space; none at the ends, one at a time
within; a text that says "nothing is known" is missing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

_NUL = "\x00"


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
        # Nearly every text is clean already; this finds the others in one pass. ASCII, Latin letters and the
        # Vietnamese letters with tone marks are safe: none of them changes under NFC.
        self._suspect = f"{self.missing}|^ | $|  |[^ !-~\u00a1-\u02ff\u1ea0-\u1ef9]"

    def clean(self, columns: Mapping[str, pl.Series]) -> Cleaned:
        """The columns of String, all of one length, cleaned."""
        if not columns:
            return Cleaned({}, {})
        # One long column instead of many: the fixed cost of an expression counts, and most batches are small.
        long = pl.concat(list(columns.values()), rechunk=True).alias("x")
        suspect = long.str.contains(self._suspect)
        unstorable = None
        if suspect.any():
            found = long.filter(suspect).to_frame().select(*self._cleaned())
            long = spread(long, suspect, found["x"])
            if found["unstorable"].any():
                unstorable = spread(pl.zeros(len(long), pl.Boolean, eager=True), suspect, found["unstorable"])
        parts = slices(long, len(columns))
        cleaned = dict(zip(columns, parts, strict=True))
        if unstorable is None:
            return Cleaned(cleaned, {})
        masks = zip(columns, slices(unstorable, len(columns)), strict=True)
        return Cleaned(cleaned, {name: mask for name, mask in masks if mask.any()})

    def _cleaned(self) -> tuple[pl.Expr, pl.Expr]:
        text = pl.col("x").str.normalize("NFC").str.replace_all(r"\s+", " ").str.strip_chars(" ")
        return (
            pl.when(~text.str.contains(self.missing)).then(text).alias("x"),
            pl.col("x").str.contains(_NUL, literal=True).alias("unstorable"),
        )


def spread(base: pl.Series, where: pl.Series, found: pl.Series) -> pl.Series:
    """``base`` with the rows ``where`` is true replaced, in order, by ``found``."""
    return base.clone().scatter(where.arg_true(), found)  # scatter changes the clone, not what it shares


def slices(long: pl.Series, count: int) -> list[pl.Series]:
    """A long column cut into ``count`` parts of one length."""
    rows = len(long) // count
    return [long.slice(at * rows, rows) for at in range(count)]
