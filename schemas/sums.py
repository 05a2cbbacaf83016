"""Sums of rows: what two sides compare instead of their rows.

Rows are put into buckets by a hash of their key, never by ranges of it: databases sort texts differently.
A bucket's sum adds a hash of each row, so that it does not depend on any order and a database can build it
by itself. MD5, because every database has it; it guards against nobody.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import polars as pl

#: Hexadecimal digits of the key's hash that name a bucket: 4,096 buckets.
BUCKET_DIGITS = 3
#: Between the parts of a row's text, and in place of a part that is missing. No register's text has them.
BETWEEN, MISSING = "\x1f", "\x1e"

_TURN = 2**64


@dataclass(slots=True)
class Sum:
    """Of one bucket."""

    rows: int = 0
    total: int = 0  #: sum of the rows' hashes, 64 bits with a sign


Sums = dict[str, Sum]  #: by bucket; one without rows is left out


def bucket_of(key: str) -> str:
    """The bucket of a record's key."""
    return md5_of(key)[:BUCKET_DIGITS]


def md5_of(text: str) -> str:
    """As hexadecimal digits."""
    return str(_md5(text).hexdigest())


def hash_of(text: str) -> int:
    """64 bits with a sign, as PostgreSQL reads the first 16 digits of the same MD5."""
    return int.from_bytes(_md5(text).digest()[:8], "big", signed=True)


def wrapped(total: int) -> int:
    """An exact sum of hashes as 64 bits with a sign."""
    return (total + _TURN // 2) % _TURN - _TURN // 2


def row_texts(rows: pl.DataFrame) -> pl.Series:
    """Each row's columns, String, as one text."""
    return rows.select(pl.concat_str(pl.all().fill_null(MISSING), separator=BETWEEN)).to_series()


class Adding:
    """Sums that are built row by row."""

    def __init__(self) -> None:
        self._sums: Sums = {}

    def add(self, buckets: Iterable[str], texts: Iterable[str]) -> None:
        """Rows, each by its bucket and its text."""
        sums = self._sums
        for bucket, text in zip(buckets, texts, strict=True):
            one = sums.get(bucket)
            if one is None:
                one = sums[bucket] = Sum()
            one.rows += 1
            one.total += hash_of(text)

    def sums(self) -> Sums:
        """As they are now."""
        return {bucket: Sum(one.rows, wrapped(one.total)) for bucket, one in self._sums.items()}


def unequal(first: Mapping[str, Sum], second: Mapping[str, Sum]) -> set[str]:
    """The buckets in which two sides differ."""
    return {bucket for bucket in {*first, *second} if first.get(bucket) != second.get(bucket)}


def lots(buckets: Sequence[str], rows: Mapping[str, int], most: int) -> Iterator[list[str]]:
    """The buckets in their order, so many together that they have about ``most`` rows."""
    lot: list[str] = []
    size = 0
    for bucket in buckets:
        if lot and size + rows.get(bucket, 0) > most:
            yield lot
            lot, size = [], 0
        lot.append(bucket)
        size += rows.get(bucket, 0)
    if lot:
        yield lot


def _md5(text: str) -> Any:
    # Legacy files hold texts that are no Unicode; they are kept as lone surrogates.
    return md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False)
