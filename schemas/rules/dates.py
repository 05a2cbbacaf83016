"""Rules for dates kept as text, no more precise than they were written."""

from typing import ClassVar, Literal

import polars as pl

from schemas.rules.base import Columns, Given, Inputs, Rule, kind

# One separator throughout; the year always with four digits, for with two nobody can tell the century.
_FORM = "^(?:[0-9]{2}/[0-9]{2}/|[0-9]{2}[.][0-9]{2}[.]|[0-9]{2}-[0-9]{2}-|[0-9]{2}[/.-])?[0-9]{4}$"
#: Days that need no calendar; ``s`` stands for the separator.
_SURE = "(?:(?:0[1-9]|1[0-9]|2[0-8])s(?:0[1-9]|1[0-2])|(?:29|30)s(?:0[13-9]|1[0-2])|31s(?:0[13578]|1[02]))s"
_SURE_DAY = f"^(?:{_SURE.replace('s', '/')}|{_SURE.replace('s', '[.]')})[12][0-9]{{3}}$"
_SURE_ANY = (
    f"^(?:{_SURE.replace('s', '/')}|{_SURE.replace('s', '[.]')}|(?:0[1-9]|1[0-2])[/.])?[12][0-9]{{3}}$"
)
_LENGTHS = {"day": 10, "month": 7, "year": 4}


@kind("date")
class Date(Rule):
    """A date written d/M/yyyy, M/yyyy or yyyy (also with . or -), given as dd.MM.yyyy, MM.yyyy or yyyy.

    Problems: ``date_unreadable`` (no such form), ``date_impossible`` (no such day or month),
    ``date_precision`` (a day is needed and only a month or a year is known). Fact ``date``: the day as a
    Date, null if not known.
    """

    facts: ClassVar[frozenset[str]] = frozenset({"date"})

    precision: Literal["day", "kept"]

    def columns(self, take: Inputs, given: Given) -> Columns:
        # "1/2/2016" -> "01/02/2016": then all lies at fixed places before the year's four digits, and the
        # length tells how precise it is.
        padded = take.step("padded")
        numbers = {
            "day": padded.str.head(2),
            "month": padded.str.head(-5).str.tail(2),
            "year": padded.str.tail(4),
        }
        look = {name: text.cast(pl.Int32, strict=False) for name, text in numbers.items()}
        look |= {"formed": padded.str.contains(_FORM), "length": padded.str.len_bytes()}
        sure = take.x.str.contains(_SURE_DAY if self.precision == "day" else _SURE_ANY)
        problem = take.step("broken")
        return Columns(
            prepare=[
                {"padded": take.x.str.replace_all(r"\b([0-9])([/.-])", "0${1}${2}")},
                look,
                {"broken": self._problem(take)},
            ],
            value=pl.when(problem.is_null()).then(padded.str.replace_all("[/-]", ".")),
            problem=problem,
            usual=[pl.when(sure).then(take.x.str.replace_all("/", ".", literal=True))],
            facts={"date": take.value.str.to_date("%d.%m.%Y", strict=False)},
        )

    def _problem(self, take: Inputs) -> pl.Expr:
        day, month, year, length = (take.step(name) for name in ("day", "month", "year", "length"))
        impossible = (year < 1) | ((length > _LENGTHS["year"]) & ~month.is_between(1, 12))
        impossible |= (length == _LENGTHS["day"]) & ~day.is_between(1, _days_in(month, year))
        imprecise = length < _LENGTHS[self.precision] if self.precision == "day" else pl.lit(value=False)
        return (
            pl.when(~take.step("formed"))
            .then(pl.lit("date_unreadable"))
            .when(impossible)
            .then(pl.lit("date_impossible"))
            .when(imprecise)
            .then(pl.lit("date_precision"))
        )


def _days_in(month: pl.Expr, year: pl.Expr) -> pl.Expr:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return (
        pl.when(month == 2)
        .then(pl.when(leap).then(29).otherwise(28))
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )
