"""Rules of one text: an answer that is remembered is the answer that is worked out."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl
import pytest

from schemas import one_text
from schemas.one_text import Answer, OneText, of_few
from schemas.rules import Columns
from schemas.rules.running import evaluated


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


def answers(rule: OneText, columns: Sequence[Sequence[str | None]]) -> list[list[Answer]]:
    (found,) = of_few([rule], [columns])
    return found


def test_each_column_gets_its_answers_and_a_missing_text_none() -> None:
    found = answers(digits("f"), [["1", None, "a"], ["", "a", "1"]])
    assert found == [
        [("1", None), (None, None), ("A", None)],
        [(None, "nothing"), ("A", None), ("1", None)],
    ]


def test_a_rule_that_has_a_word_for_a_missing_text_is_asked_for_it() -> None:
    """As in a large batch: what a record becomes must not hang on how many come with it."""
    x = pl.col("column.x")
    word = OneText(Columns(value=pl.when(x.is_null()).then(pl.lit("none")).otherwise(x)), "column.x", ["f"])
    few = answers(word, [["a", None]])
    assert few == [[("a", None), ("none", None)]]
    assert word.of_column(pl.Series("x", ["a", None])).rows() == few[0]


def test_what_was_answered_is_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rule, asked = digits("f"), []

    def watched(frame: pl.DataFrame, every: Mapping[str, Columns]) -> pl.DataFrame:
        asked.extend(frame["column.x"].to_list())
        return evaluated(frame, every)

    monkeypatch.setattr(one_text, "evaluated", watched)
    first = answers(rule, [["1", "2"]])
    asked.clear()
    assert answers(rule, [["2", "3", "1"]]) == [[first[0][1], ("3", None), first[0][0]]]
    assert asked == ["3"]


def test_rules_asked_together_answer_as_each_by_itself() -> None:
    """One has known texts, one none, and two read one column; they share a frame."""
    x, y = pl.col("column.x"), pl.col("column.y")
    length = OneText(Columns(value=x.str.len_bytes().cast(pl.String)), "column.x", ["g"])
    word = OneText(
        Columns(value=y.fill_null("none"), problem=pl.when(y == "b").then(pl.lit("bad"))), "column.y", ["h"]
    )
    rules = [digits("f"), length, word]
    texts: list[list[list[str | None]]] = [[["a", "1", ""], ["2", None, "a"]], [["abc", None]], [[None, "b"]]]
    alone = [answers(rule, columns) for rule, columns in zip(rules, texts, strict=True)]
    one_text._remembered.clear()
    answers(rules[0], [["a"]])
    assert of_few(rules, texts) == alone
    assert alone == [
        [[("A", None), ("1", None), (None, "nothing")], [("2", None), (None, None), ("A", None)]],
        [[("3", None), (None, None)]],
        [[("none", None), ("b", "bad")]],
    ]
    assert of_few(rules, texts) == alone


def test_two_rules_keep_their_answers_apart() -> None:
    assert answers(digits("f"), [["a"]]) == [[("A", None)]]
    other = OneText(Columns(value=pl.col("column.x").str.len_bytes().cast(pl.String)), "column.x", ["g"])
    assert answers(other, [["a"]]) == [[("1", None)]]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_text, "_REMEMBERED", 10)
    rule = digits("f")
    for start in range(0, 100, 5):
        texts = [str(number) for number in range(start, start + 5)]
        assert answers(rule, [texts]) == [[(text, None) for text in texts]]
        assert len(one_text._remembered) <= 15
