"""Rules for dates kept as text, no more precise than they were written."""

from typing import ClassVar, Literal

import polars as pl

from schemas.rules.base import Columns, Given, Inputs, Rule, kind

# One separator throughout; the year always with four digits, for with two nobody can tell the century.
_DAY = r"^(?:[0-9]{1,2}/[0-9]{1,2}/|[0-9]{1,2}\.[0-9]{1,2}\.|[0-9]{1,2}-[0-9]{1,2}-)[0-9]{4}$"
_MONTH = r"^[0-9]{1,2}[/.-][0-9]{4}$"
_YEAR = r"^[0-9]{4}$"
#: Any month has these days; most records need no more than this to be seen to be right.
_PLAIN_DAY = r"^(?:0[1-9]|1[0-9]|2[0-8])/(?:0[1-9]|1[0-2])/[12][0-9]{3}$"


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
        # "1/2/2016" -> "01/02/2016": then day and month lie at fixed places before the year's four digits.
        padded = take.step("padded")
        pad = take.x.str.replace_all(r"\b([0-9])([/.-])", "0${1}${2}")
        texts = {"dd": padded.str.head(2), "mm": padded.str.head(-5).str.tail(2), "yyyy": padded.str.tail(4)}
        forms = {"day": _DAY, "month": _MONTH, "year": _YEAR}
        matches = {f"is_{name}": take.x.str.contains(form) for name, form in forms.items()}
        numbers = {f"{name}_number": take.step(name).cast(pl.Int32, strict=False) for name in texts}
        problem = self._problem(take)
        dd, mm, yyyy = (take.step(name) for name in texts)
        written = (
            pl.when(take.step("is_day"))
            .then(pl.concat_str(dd, mm, yyyy, separator="."))
            .when(take.step("is_month"))
            .then(pl.concat_str(mm, yyyy, separator="."))
            .otherwise(yyyy)
        )
        plain = take.x.str.replace_all("/", ".", literal=True)
        return Columns(
            prepare=[{"padded": pad}, texts | matches, numbers],
            value=pl.when(problem.is_null()).then(written),
            problem=problem,
            usual=pl.when(take.x.str.contains(_PLAIN_DAY)).then(plain),
            facts={"date": take.value.str.to_date("%d.%m.%Y", strict=False)},
        )

    def _problem(self, take: Inputs) -> pl.Expr:
        is_day, is_month, is_year = (take.step(f"is_{name}") for name in ("day", "month", "year"))
        day, month, year = (take.step(f"{name}_number") for name in ("dd", "mm", "yyyy"))
        impossible = (year < 1) | (~is_year & ~month.is_between(1, 12))
        impossible |= is_day & ~day.is_between(1, _days_in(month, year))
        imprecise = ~is_day if self.precision == "day" else pl.lit(value=False)
        return (
            pl.when(~(is_day | is_month | is_year))
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
