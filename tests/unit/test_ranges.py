"""Sets of sequence numbers as text, against Python's own sets."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.ranges import Ranges, distinct, encode

numbers = st.sets(st.integers(-20, 60))


def of(some: set[int]) -> Ranges:
    return Ranges.of((number, number) for number in some)


@given(numbers)
def test_text_and_back(some: set[int]) -> None:
    text = encode(distinct(pl.Series(sorted(some, reverse=True) * 2, dtype=pl.Int64)))
    assert text == str(of(some))
    assert list(Ranges.parse([text])) == sorted(some)


@given(numbers, numbers)
def test_union_difference_size_and_membership(one: set[int], other: set[int]) -> None:
    assert set(of(one) | of(other)) == one | other
    assert set(of(one) - of(other)) == one - other
    assert len(of(one)) == len(one)
    assert of(one).highest == max({0, *one})
    assert all((number in of(one)) == (number in one) for number in range(-22, 62))


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=9))
def test_overlapping_pairs_become_separate_spans(pairs: list[tuple[int, int]]) -> None:
    ranges = Ranges.of((first, first + more) for first, more in pairs)
    assert set(ranges) == {n for first, more in pairs for n in range(first, first + more + 1)}
    assert all(
        last + 1 < first for (_, last), (first, _) in zip(ranges.spans, ranges.spans[1:], strict=False)
    )
    assert Ranges.parse(f"{first}-{first + more}" for first, more in pairs) == ranges


def test_texts_of_many_batches_fold_into_one() -> None:
    assert str(Ranges.parse(["812-815,817", "816", "", "3", "2-5"])) == "2-5,812-817"


@pytest.mark.parametrize("text", ["x", "1-", "-", "1--2", "5-3", "1-2-3", "1;2", "1, 2"])
def test_anything_else_is_no_list_of_ranges(text: str) -> None:
    with pytest.raises(ValueError, match="812-815,817"):
        Ranges.parse([text])
