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
        self._columns = columns  #: of the first of the fields
        self._source = source  #: the column that these read
        self._number = next(_numbers)

    def of_column(self, texts: pl.Series) -> pl.DataFrame:
        """``value`` and ``problem`` of texts that the first usual way left open."""
        texts, ways = texts.alias(self._source), self._columns.usual[1:]
        distinct = texts.unique() if len(texts) >= _MANY else texts
        if 2 * len(distinct) > len(texts):
            return self._worked_out(texts, ways)
        found = self._worked_out(distinct, ways).with_columns(distinct)
        return texts.to_frame().join(found, on=texts.name, how="left", maintain_order="left")

    def of_few(self, columns: Sequence[Sequence[str | None]]) -> list[list[Answer]]:
        """The answers for few texts in several columns; what was answered before is remembered."""
        number = self._number
        if len(_remembered) > _REMEMBERED:
            _remembered.clear()
        answers: dict[str | None, Answer] = {}
        new = []
        # A missing text is asked for as well: a rule may have a word for it.
        for text in {text for texts in columns for text in texts}:
            answer = _remembered.get((number, text))
            if answer is None:
                new.append(text)
            else:
                answers[text] = answer
        if new:
            found = self._worked_out(pl.Series(self._source, new, pl.String), self._columns.usual)
            for text, answer in zip(new, found.iter_rows(), strict=True):
                answers[text] = _remembered[number, text] = answer
        return [[answers[text] for text in texts] for texts in columns]

    def _worked_out(self, texts: pl.Series, ways: Sequence[pl.Expr]) -> pl.DataFrame:
        frame, name = texts.to_frame(), self.fields[0]
        if not ways:
            told = _NO_PROBLEM if self._columns.problem is None else pl.col(f"{name}.problem")
            found = evaluated(frame, {name: self._columns})
            return found.select(pl.col(name).alias("value"), told.alias("problem"))
        value = frame.select(ways[0].alias("value")).to_series()
        problem = _NOTHING.new_from_index(0, len(texts)).alias("problem")
        rest = places(value.is_null())
        if not len(rest):
            return pl.DataFrame([value, problem])
        found = self._worked_out(texts[rest], ways[1:])
        return pl.DataFrame([spread(value, rest, found["value"]), spread(problem, rest, found["problem"])])
