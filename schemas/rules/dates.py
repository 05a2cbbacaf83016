"""Rules for dates kept as text, no more precise than they were written."""

from typing import ClassVar, Literal

import polars as pl

from schemas.rules.base import Columns, Given, Rule, X, kind

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

    def columns(self, given: Given) -> Columns:
        # "1/2/2016" -> "01/02/2016": then day and month lie at fixed places before the four digits of the
        # year.
        padded = X.str.replace_all(r"\b([0-9])([/.-])", "0${1}${2}")
        forms = {
            "full": X.str.contains(_DAY),
            "month_only": X.str.contains(_MONTH),
            "year_only": X.str.contains(_YEAR),
            "padded": padded,
            "year": padded.str.tail(4),
            "mm": padded.str.head(-5).str.tail(2),
            "dd": padded.str.head(2),
        }
        numbers = {name: pl.col(text).cast(pl.Int32, strict=False) for name, text in _NUMBERS.items()}
        numbers["has_month"] = pl.col("full") | pl.col("month_only")
        full, month, year = pl.col("full"), pl.col("has_month"), pl.col("year")
        readable = month | pl.col("year_only")
        there = (pl.col("y") > 0) & (~month | pl.col("m").is_between(1, 12))
        there &= ~full | pl.col("d").is_between(1, _days_in_month())
        precise = full if self.precision == "day" else pl.lit(True)
        problem = (
            pl.when(~readable)
            .then(pl.lit("date_unreadable"))
            .when(~there)
            .then(pl.lit("date_impossible"))
            .when(~precise)
            .then(pl.lit("date_precision"))
        )
        written = (
            pl.when(full)
            .then(pl.concat_str("dd", "mm", "year", separator="."))
            .when(month)
            .then(pl.concat_str("mm", "year", separator="."))
            .otherwise(year)
        )
        return Columns(
            prepare=[forms, numbers, {"problem": problem}],
            value=pl.when(pl.col("problem").is_null()).then(written),
            problem=pl.col("problem"),
            usual=pl.when(X.str.contains(_PLAIN_DAY)).then(X.str.replace_all("/", ".", literal=True)),
            facts={"date": pl.col("value").str.to_date("%d.%m.%Y", strict=False)},
        )


_NUMBERS = {"y": "year", "m": "mm", "d": "dd"}


def _days_in_month() -> pl.Expr:
    year, month = pl.col("y"), pl.col("m")
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return (
        pl.when(month == 2)
        .then(pl.when(leap).then(29).otherwise(28))
        .when(month.is_in([4, 6, 9, 11]))
        .then(30)
        .otherwise(31)
    )
