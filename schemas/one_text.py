"""Rules whose answer hangs on one text alone: each text is worked out once.

In a large batch equal texts are found as columns. In a small one the fixed cost of an expression is most of
the work, and most texts came before (codes, dates, places, officials): there the answers given before are
looked up, and only the texts that are new go through expressions.
"""

from collections.abc import Sequence
from itertools import count

import polars as pl

from schemas.cleaning import places, spread
from schemas.rules import Columns
from schemas.rules.running import evaluated

#: What a rule says of a text: the value, and the problem.
Answer = tuple[str | None, str | None]

#: From so many texts on, looking for equal ones pays.
_MANY = 100
#: Answers remembered in all the process, about 300 bytes each; at the limit all are forgotten.
_REMEMBERED = 60_000

_NOTHING = pl.Series([None], dtype=pl.String)
_NO_PROBLEM = pl.lit(None, pl.String)

_remembered: dict[tuple[int, str | None], Answer] = {}
_numbers = count()


class OneText:
    """Rules that do the same to the text of one column each. Pure; may be used by several threads."""

    def __init__(self, columns: Columns, source: str, fields: Sequence[str]) -> None:
        self.fields = tuple(fields)
        self.columns = columns  #: of the first of the fields
        self.source = source  #: the column that these read
        self.number = next(_numbers)

    def of_column(self, texts: pl.Series) -> pl.DataFrame:
        """``value`` and ``problem`` of texts that the first usual way left open."""
        texts, ways = texts.alias(self.source), self.columns.usual[1:]
        distinct = texts.unique() if len(texts) >= _MANY else texts
        if 2 * len(distinct) > len(texts):
            return self._worked_out(texts, ways)
        found = self._worked_out(distinct, ways).with_columns(distinct)
        return texts.to_frame().join(found, on=texts.name, how="left", maintain_order="left")

    def _worked_out(self, texts: pl.Series, ways: Sequence[pl.Expr]) -> pl.DataFrame:
        frame, name = texts.to_frame(), self.fields[0]
        if not ways:
            told = _NO_PROBLEM if self.columns.problem is None else pl.col(f"{name}.problem")
            found = evaluated(frame, {name: self.columns})
            return found.select(pl.col(name).alias("value"), told.alias("problem"))
        value = frame.select(ways[0].alias("value")).to_series()
        problem = _NOTHING.new_from_index(0, len(texts)).alias("problem")
        rest = places(value.is_null())
        if not len(rest):
            return pl.DataFrame([value, problem])
        found = self._worked_out(texts[rest], ways[1:])
        return pl.DataFrame([spread(value, rest, found["value"]), spread(problem, rest, found["problem"])])


def of_few(
    rules: Sequence[OneText], columns: Sequence[Sequence[Sequence[str | None]]]
) -> list[list[list[Answer]]]:
    """The answers of each rule for few texts in several columns; what was answered before is remembered.

    New texts go the full way at once, those of all rules in one frame: with few rows each further expression
    costs more than the faster ways save.
    """
    if len(_remembered) > _REMEMBERED:
        _remembered.clear()
    known: list[dict[str | None, Answer]] = []
    new: dict[str, dict[str | None, None]] = {}  # by source column
    asking = []
    for rule, texts in zip(rules, columns, strict=True):
        answers, missed = {}, []
        # A missing text is asked for as well: a rule may have a word for it.
        for text in {text for column in texts for text in column}:
            answer = _remembered.get((rule.number, text))
            if answer is None:
                missed.append(text)
            else:
                answers[text] = answer
        known.append(answers)
        if missed:
            asking.append((rule, answers))
            new.setdefault(rule.source, {}).update(dict.fromkeys(missed))
    if asking:
        rows = max(len(texts) for texts in new.values())
        padded = {name: [*texts, *[None] * (rows - len(texts))] for name, texts in new.items()}
        frame = pl.DataFrame([pl.Series(name, texts, pl.String) for name, texts in padded.items()])
        found = evaluated(frame, {rule.fields[0]: rule.columns for rule, _ in asking})
        for rule, answers in asking:
            name = rule.fields[0]
            values = found[name].to_list()
            problems = [None] * rows if rule.columns.problem is None else found[f"{name}.problem"].to_list()
            for text, answer in zip(new[rule.source], zip(values, problems, strict=True), strict=False):
                answers[text] = _remembered[rule.number, text] = answer
    return [
        [[answers[text] for text in column] for column in texts]
        for answers, texts in zip(known, columns, strict=True)
    ]
