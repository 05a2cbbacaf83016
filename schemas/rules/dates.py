"""Rules for dates and times kept as text, no more precise than they were written."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import polars as pl

from schemas.codelists import CodeLists
from schemas.date_forms import DateForm, date_forms
from schemas.formats import FormatField
from schemas.rules.base import ColumnRule, Columns, Complaint, Given, Inputs, kind

Forms = Mapping[int, DateForm]  #: by level; the level of a day is 3

_DAY = 3
#: How a date is written between reading and giving: all lies at fixed places, and the length tells the level.
_DOTTED: Forms = {one.level: one for one in date_forms("dd.MM.yyyy|MM.yyyy|yyyy")}
#: The same of a day with a time.
_DIGITS: Forms = {one.level: one for one in date_forms("yyyyMMddHHmmss|yyyyMMddHHmm|yyyyMMdd")}
_DAY_LENGTH = len("dd.MM.yyyy")

# One separator throughout; the year always with four digits, for with two nobody can tell the century.
_DAY_FIRST = "[0-9]{2}/[0-9]{2}/|[0-9]{2}[.][0-9]{2}[.]|[0-9]{2}-[0-9]{2}-"
_FORM = f"^(?:{_DAY_FIRST}|[0-9]{{2}}[/.-])?[0-9]{{4}}$"
_HOUR, _SIXTY = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_TIME = f"(?:[T ]{_HOUR}:{_SIXTY}(?::{_SIXTY}(?:[.][0-9]{{1,9}})?)?)?"
_MOMENT = (
    f"^(?:(?:{_DAY_FIRST})[0-9]{{4}}|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){_TIME}$"
    f"|^[0-9]{{8}}(?:{_HOUR}{_SIXTY}(?:{_SIXTY})?)?$"
)
#: Dates as programs write them, the year first, and what they are with dots.
_YEAR_FIRST = {
    f"^([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}}){_TIME}$": "${3}.${2}.${1}",
    "^([0-9]{4})-([0-9]{2})$": "${2}.${1}",
    "^([0-9]{4})([0-9]{2})([0-9]{2})$": "${3}.${2}.${1}",
}
#: Dates that need no calendar; ``s`` stands for the separator.
_SURE = {
    3: "(?:(?:0[1-9]|1[0-9]|2[0-8])s(?:0[1-9]|1[0-2])|(?:29|30)s(?:0[13-9]|1[0-2])|31s(?:0[13578]|1[02]))s",
    2: "(?:0[1-9]|1[0-2])s",
    1: "",
}
_SURE_YEAR = "[12][0-9]{3}"
_SURE_YEAR_FIRST = (
    f"^{_SURE_YEAR}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    f"|(?:0[13578]|1[02])-31){_TIME}$"
)


class _Dated(ColumnRule):
    form: str | None = None  #: forms it gives; the national field's own, if it has a date form

    @property
    def lossy(self) -> bool:
        return True  # a time of day, parts of a second and what the form has no place for are left out

    def fitted(self, field: FormatField) -> Self:
        return self if field.date_form is None else self.model_copy(update={"form": field.date_form})

    def facts(self) -> frozenset[str]:
        return frozenset({"date", "year"} if max(self.forms()) >= _DAY else {"year"})

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        due = field.date_form if field else None
        if due and self.form not in (None, due):
            raise Complaint("form", f"the field's date form is {due}", "leave form out")
        try:
            self.forms()
        except ValueError as error:
            raise Complaint("form", str(error), "write it like dd.MM.yyyy|MM.yyyy|yyyy") from None

    def forms(self, default: Forms = _DOTTED) -> Forms:
        """The forms it gives."""
        return {one.level: one for one in date_forms(self.form)} if self.form else default


@kind("date")
class Date(_Dated):
    """A date written d/M/yyyy, M/yyyy or yyyy (also with . or -), yyyyMMdd, yyyy-MM or yyyy-MM-dd (a time of
    day behind it does not count). Given in the form of the national field, else dd.MM.yyyy, MM.yyyy or yyyy.

    Problems: ``date_unreadable`` (no such form), ``date_impossible`` (no such day or month),
    ``date_precision`` (only a month or a year is known, and a day is needed or the field has no form for it).
    Facts ``date``: the day as a Date, null if not known; ``year``: its four digits.
    """

    precision: Literal["day", "kept"]

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        super().check(field, codes)
        best = max((self.fitted(field) if field else self).forms())
        if best > _DAY:
            raise Complaint("rule", "the field's date form has a time of day", "use rule moment")
        if self.precision == "day" and best < _DAY:
            raise Complaint("precision", "the field's date form has no day", "write precision: kept")

    def columns(self, take: Inputs, given: Given) -> Columns:
        # "1/2/2016" -> "01.02.2016": then all lies at fixed places, and the length tells how precise it is.
        levels, padded, problem = self._levels(), take.step("padded"), take.step("broken")
        dotted = take.x.str.replace_all("/", ".", literal=True)
        iso = pl.concat_str(take.x.str.slice(8, 2), take.x.str.slice(5, 2), take.x.str.head(4), separator=".")
        written = take.x
        for pattern, dots in _YEAR_FIRST.items():
            written = written.str.replace(pattern, dots)
        return Columns(
            prepare=[
                {"written": written},
                {"begun": _padded(take.step("written"), 0)},
                {"padded": _padded(take.step("begun"), 3)},
                {"formed": padded.str.contains(_FORM), "dotted": padded.str.replace_all("[/-]", ".")},
                {"broken": self._problem(take, levels)},
            ],
            value=pl.when(problem.is_null()).then(_given(take.step("dotted"), _DOTTED, levels)),
            problem=problem,
            usual=[
                pl.when(take.x.str.contains(_sure(levels))).then(_given(dotted, _DOTTED, levels)),
                pl.when(take.x.str.contains(_SURE_YEAR_FIRST)).then(_given(iso, _DOTTED, levels)),
            ],
            facts=_facts(take.value, self.forms()),
        )

    def _levels(self) -> Forms:
        levels = _levels(_DOTTED, self.forms())
        return {_DAY: levels[_DAY]} if self.precision == "day" else levels

    def _problem(self, take: Inputs, levels: Forms) -> pl.Expr:
        dotted = take.step("dotted")
        length = dotted.str.len_bytes().cast(pl.Int64)
        # A month or a year exists if its first day does. The calendar here knows a year 0; ours does not.
        first = pl.concat_str(pl.lit("01.01.").str.head(_DAY_LENGTH - length), dotted)
        impossible = first.str.to_date("%d.%m.%Y", strict=False).is_null() | dotted.str.ends_with("0000")
        formed = take.step("formed")  # null, and so no problem, where there is no text
        return (
            pl.when(~formed)
            .then(pl.lit("date_unreadable"))
            .when(formed & impossible)
            .then(pl.lit("date_impossible"))
            .when(~length.is_in([len(_DOTTED[level].text) for level in levels]))
            .then(pl.lit("date_precision"))
        )


@kind("moment")
class Moment(_Dated):
    """A day with a time, written dd/MM/yyyy HH:mm:ss (also with . or -), yyyy-MM-dd HH:mm:ss (also with T),
    both also without seconds or with fractions of them, yyyyMMddHHmmss or yyyyMMddHHmm. Given in the form of
    the national field, else yyyyMMddHHmmss; parts that the form has no place for are left out.

    Problems: ``date_unreadable``, ``date_impossible``, ``moment_precision`` (the field needs a time, or its
    seconds, and they are not known). Facts ``date`` and ``year`` as those of a date.
    """

    def forms(self, default: Forms = {6: _DIGITS[6]}) -> Forms:  # noqa: B006 (never changed)
        return super().forms(default)

    def columns(self, take: Inputs, given: Given) -> Columns:
        levels = _levels(_DIGITS, self.forms())
        formed, padded, digits, problem = map(take.step, ("formed", "padded", "digits", "broken"))
        year_first = padded.str.replace("^([0-9]{2})[/.-]([0-9]{2})[/.-]([0-9]{4})", "${3}${2}${1}")
        impossible = digits.str.head(8).str.to_date("%Y%m%d", strict=False).is_null()
        return Columns(
            prepare=[
                {"begun": _padded(take.x, 0)},
                {"padded": _padded(take.step("begun"), 3).str.replace(" ([0-9]):", " 0${1}:")},
                {
                    "formed": padded.str.contains(_MOMENT),
                    "digits": year_first.str.replace_all("[^0-9]", "").str.head(len(_DIGITS[6].text)),
                },
                {
                    "broken": pl.when(~formed)
                    .then(pl.lit("date_unreadable"))
                    .when(formed & (impossible | digits.str.starts_with("0000")))
                    .then(pl.lit("date_impossible"))
                    .when(~digits.str.len_bytes().is_in([len(_DIGITS[level].text) for level in levels]))
                    .then(pl.lit("moment_precision"))
                },
            ],
            value=pl.when(problem.is_null()).then(_given(digits, _DIGITS, levels)),
            problem=problem,
            facts=_facts(take.value, self.forms()),
        )


def _levels(written: Forms, forms: Forms) -> Forms:
    """The form to give for each level of what is written; a level without one is not precise enough."""
    best = max(forms)
    return {level: forms[min(level, best)] for level in written if min(level, best) in forms}


def _given(text: pl.Expr, written: Forms, levels: Forms) -> pl.Expr:
    """Texts in one of the forms ``written`` as the forms of ``levels``; null if there is none for a text."""
    if all(written[level].text == form.text for level, form in levels.items()):
        return text
    length = text.str.len_bytes()
    return pl.coalesce(
        pl.when(length == len(written[level].text)).then(_composed(text, written[level], form.pieces()))
        for level, form in levels.items()
    )


def _composed(text: pl.Expr, form: DateForm, pieces: Sequence[str]) -> pl.Expr:
    places = form.places
    return pl.concat_str(
        text.str.slice(places[piece], len(piece)) if piece in places else pl.lit(piece) for piece in pieces
    )


def _facts(value: pl.Expr, forms: Forms) -> Mapping[str, pl.Expr]:
    length = value.str.len_bytes()
    found = {"year": _year(value, forms)}
    days = [
        pl.when(length == len(form.text)).then(_day(value, form))
        for form in forms.values()
        if form.level >= _DAY
    ]
    return found | {"date": pl.coalesce(days)} if days else found


def _day(value: pl.Expr, form: DateForm) -> pl.Expr:
    if form.level > _DAY:
        return _composed(value, form, ["yyyy", "MM", "dd"]).str.to_date("%Y%m%d", strict=False)
    pattern = form.text.replace("yyyy", "%Y").replace("MM", "%m").replace("dd", "%d")
    return value.str.to_date(pattern, strict=False)


def _year(value: pl.Expr, forms: Forms) -> pl.Expr:
    if all(form.text.endswith("yyyy") for form in forms.values()):
        return value.str.tail(4)
    length = value.str.len_bytes()
    return pl.coalesce(
        pl.when(length == len(form.text)).then(value.str.slice(form.places["yyyy"], 4))
        for form in forms.values()
    )


def _sure(levels: Forms) -> str:
    """What dates of these levels look like that need no calendar, their day first, with / or dots."""
    ways = dict.fromkeys(_SURE[level].replace("s", mark) for level in levels for mark in ("/", "[.]"))
    return f"^(?:{'|'.join(ways)}){_SURE_YEAR}$"


def _padded(text: pl.Expr, at: int) -> pl.Expr:
    """A zero before the number at a place, 0 or 3, if it has one digit only. What is no number stays none."""
    short = text.str.contains(f"^(?:[0-9]{{2}}[/.-]){{{at // 3}}}[0-9][/.-]")
    padded = pl.concat_str(text.str.head(at), pl.lit("0"), text.str.slice(at))
    return pl.when(short).then(padded).otherwise(text)
