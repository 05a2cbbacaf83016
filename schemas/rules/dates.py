"""Rules for dates kept as text, no more precise than they were written."""

from typing import ClassVar, Literal

import polars as pl

from schemas.rules.base import ColumnRule, Columns, Given, Inputs, kind

# One separator throughout; the year always with four digits, for with two nobody can tell the century.
_FORM = "^(?:[0-9]{2}/[0-9]{2}/|[0-9]{2}[.][0-9]{2}[.]|[0-9]{2}-[0-9]{2}-|[0-9]{2}[/.-])?[0-9]{4}$"
#: Days that need no calendar; ``s`` stands for the separator.
_SURE = "(?:(?:0[1-9]|1[0-9]|2[0-8])s(?:0[1-9]|1[0-2])|(?:29|30)s(?:0[13-9]|1[0-2])|31s(?:0[13578]|1[02]))s"
_SURE_DAY = f"^(?:{_SURE.replace('s', '/')}|{_SURE.replace('s', '[.]')})[12][0-9]{{3}}$"
_SURE_ANY = (
    f"^(?:{_SURE.replace('s', '/')}|{_SURE.replace('s', '[.]')}|(?:0[1-9]|1[0-2])[/.])?[12][0-9]{{3}}$"
)
_DAY_LENGTH = len("dd.MM.yyyy")


@kind("date")
class Date(ColumnRule):
    """A date written d/M/yyyy, M/yyyy or yyyy (also with . or -), given as dd.MM.yyyy, MM.yyyy or yyyy.

    Problems: ``date_unreadable`` (no such form), ``date_impossible`` (no such day or month),
    ``date_precision`` (a day is needed and only a month or a year is known). Fact ``date``: the day as a
    Date, null if not known.
    """

    facts: ClassVar[frozenset[str]] = frozenset({"date"})

    precision: Literal["day", "kept"]

    def columns(self, take: Inputs, given: Given) -> Columns:
        # "1/2/2016" -> "01.02.2016": then all lies at fixed places, and the length tells how precise it is.
        padded, dotted = take.step("padded"), take.step("dotted")
        sure = take.x.str.contains(_SURE_DAY if self.precision == "day" else _SURE_ANY)
        problem = take.step("broken")
        return Columns(
            prepare=[
                {"begun": _padded(take.x, 0)},
                {"padded": _padded(take.step("begun"), 3)},
                {"formed": padded.str.contains(_FORM), "dotted": padded.str.replace_all("[/-]", ".")},
                {"broken": self._problem(take)},
            ],
            value=pl.when(problem.is_null()).then(dotted),
            problem=problem,
            usual=[pl.when(sure).then(take.x.str.replace_all("/", ".", literal=True))],
            facts={"date": take.value.str.to_date("%d.%m.%Y", strict=False)},
        )

    def _problem(self, take: Inputs) -> pl.Expr:
        dotted = take.step("dotted")
        length = dotted.str.len_bytes().cast(pl.Int64)
        # A month or a year exists if its first day does. The calendar here knows a year 0; ours does not.
        first = pl.concat_str(pl.lit("01.01.").str.head(_DAY_LENGTH - length), dotted)
        impossible = first.str.to_date("%d.%m.%Y", strict=False).is_null() | dotted.str.ends_with("0000")
        imprecise = length < _DAY_LENGTH if self.precision == "day" else pl.lit(value=False)
        formed = take.step("formed")  # null, and so no problem, where there is no text
        return (
            pl.when(~formed)
            .then(pl.lit("date_unreadable"))
            .when(formed & impossible)
            .then(pl.lit("date_impossible"))
            .when(imprecise)
            .then(pl.lit("date_precision"))
        )


def _padded(text: pl.Expr, at: int) -> pl.Expr:
    """A zero before the number at a place if it has one digit only. What is no number stays none."""
    short = text.str.contains(f"^.{{{at}}}[0-9][/.-]")
    padded = pl.concat_str(text.str.head(at), pl.lit("0"), text.str.slice(at))
    return pl.when(short).then(padded).otherwise(text)
