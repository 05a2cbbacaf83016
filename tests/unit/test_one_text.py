"""Rules of one text: an answer that is remembered is the answer that is worked out."""

from collections.abc import Iterator

import polars as pl
import pytest

from schemas import one_text
from schemas.one_text import OneText
from schemas.rules import Columns


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    one_text._remembered.clear()
    yield
    one_text._remembered.clear()


def digits(name: str) -> OneText:
    """Digits are the value at once, other letters after a step; an empty text is a problem."""
    x = pl.col("column.x")
    step = pl.col(f"{name}.upper")
    return OneText(
        Columns(
            prepare=[{"upper": x.str.to_uppercase()}],
            value=pl.when(x != "").then(step),
            problem=pl.when(x == "").then(pl.lit("nothing")),
            usual=[pl.when(x.str.contains("^[0-9]+$")).then(x)],
        ),
        "column.x",
        [name],
    )


def test_each_column_gets_its_answers_and_a_missing_text_none() -> None:
    found = digits("f").of_few([["1", None, "a"], ["", "a", "1"]])
    assert found == [
        [("1", None), (None, None), ("A", None)],
        [(None, "nothing"), ("A", None), ("1", None)],
    ]


def test_a_rule_that_has_a_word_for_a_missing_text_is_asked_for_it() -> None:
    """As in a large batch: what a record becomes must not hang on how many come with it."""
    x = pl.col("column.x")
    word = OneText(Columns(value=pl.when(x.is_null()).then(pl.lit("none")).otherwise(x)), "column.x", ["f"])
    few = word.of_few([["a", None]])
    assert few == [[("a", None), ("none", None)]]
    assert word.of_column(pl.Series("x", ["a", None])).rows() == few[0]


def test_what_was_answered_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rule, asked = digits("f"), []
    worked_out = OneText._worked_out

    def watched(self: OneText, texts: pl.Series, ways: object) -> pl.DataFrame:
        asked.extend(texts.to_list())
        return worked_out(self, texts, ways)  # type: ignore[arg-type]

    monkeypatch.setattr(OneText, "_worked_out", watched)
    first = rule.of_few([["1", "2"]])
    asked.clear()
    assert rule.of_few([["2", "3", "1"]]) == [[first[0][1], ("3", None), first[0][0]]]
    assert asked == ["3"]


def test_two_rules_keep_their_answers_apart() -> None:
    assert digits("f").of_few([["a"]]) == [[("A", None)]]
    other = OneText(Columns(value=pl.col("column.x").str.len_bytes().cast(pl.String)), "column.x", ["g"])
    assert other.of_few([["a"]]) == [[("1", None)]]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_text, "_REMEMBERED", 10)
    rule = digits("f")
    for start in range(0, 100, 5):
        texts = [str(number) for number in range(start, start + 5)]
        assert rule.of_few([texts]) == [[(text, None) for text in texts]]
        assert len(one_text._remembered) <= 15
