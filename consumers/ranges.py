"""Sets of sequence numbers as text: ``812-815,817``. Columns in, columns out; no number is handled alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Distinct = npt.NDArray[np.int64]  # sorted, each number once


@dataclass(frozen=True, slots=True)
class Ranges:
    """A set of whole numbers, kept as sorted, separate, non-touching (first, last) pairs."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> "Ranges":
        """From pairs in any order, overlapping or not."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(pairs):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Ranges":
        """From any number of texts like ``812-815,817``. ``ValueError`` if one is not like that."""
        some = [text for text in texts if text]
        if not some:  # so it is of most outcomes, and queries for nothing cost as much as for a few
            return cls()
        pieces = pl.Series("piece", some, dtype=pl.String).str.split(",").explode()
        parts = (
            pieces.drop_nulls()
            .to_frame()
            .filter(pl.col("piece") != "")
            .select(
                # A producer may count from below zero: it is told so, and must stop nobody who reads it.
                pl.col("piece").str.extract(r"^(-?\d+)(?:--?\d+)?$").cast(pl.Int64).alias("first"),
                pl.col("piece").str.extract(r"(?:^|\d-)(-?\d+)$").cast(pl.Int64).alias("last"),
            )
        )
        if parts["first"].null_count() or (parts["first"] > parts["last"]).any():
            raise ValueError("not a list of ranges like 812-815,817")
        return cls(tuple(_merge(parts)))

    def __str__(self) -> str:
        return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in self.spans)

    def __len__(self) -> int:
        return sum(b - a + 1 for a, b in self.spans)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.spans:
            yield from range(first, last + 1)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and any(a <= number <= b for a, b in self.spans)

    def __or__(self, other: "Ranges") -> "Ranges":
        return Ranges.of((*self.spans, *other.spans))

    def __sub__(self, other: "Ranges") -> "Ranges":
        left: list[tuple[int, int]] = []
        holes = other.spans
        at = 0
        for first, last in self.spans:
            while at < len(holes) and holes[at][1] < first:
                at += 1
            look, begin = at, first
            while look < len(holes) and holes[look][0] <= last:
                if holes[look][0] > begin:
                    left.append((begin, holes[look][0] - 1))
                begin = holes[look][1] + 1
                look += 1
            if begin <= last:
                left.append((begin, last))
        return Ranges(tuple(left))

    @property
    def highest(self) -> int:
        """The highest number, 0 if there is none above it."""
        return max(0, self.spans[-1][1]) if self.spans else 0


def encode(numbers: Distinct) -> str:
    """Numbers as text; none: empty text. In NumPy: a small lot needs it too, and a query costs more."""
    if not numbers.size:
        return ""
    ends = np.flatnonzero(np.diff(numbers) != 1)
    spans = zip(
        numbers[np.concatenate(([0], ends + 1))].tolist(),
        numbers[np.append(ends, -1)].tolist(),
        strict=True,
    )
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def distinct(numbers: pl.Series) -> Distinct:
    """What numbers there are in an integer column, in order."""
    return np.unique((numbers.drop_nulls() if numbers.null_count() else numbers).to_numpy())


def _join(sorted_pairs: pl.DataFrame) -> pl.DataFrame:
    """Join pairs (sorted by ``first``) that touch or overlap."""
    reach = pl.col("last").cum_max().shift(1)
    starts = ((pl.col("first") > reach + 1) | reach.is_null()).cum_sum().alias("span")
    joined = sorted_pairs.with_columns(starts).group_by("span", maintain_order=True)
    return joined.agg(pl.col("first").first(), pl.col("last").max()).select("first", "last")


def _merge(pairs: pl.DataFrame) -> Iterator[tuple[int, int]]:
    return ((first, last) for first, last in _join(pairs.sort("first")).iter_rows())
