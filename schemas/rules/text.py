"""Rules for text as it stands: copy it, split it, spell a name, tell it by its form."""

from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import Field

from schemas.cleaning import cleaned
from schemas.codelists import CodeLists
from schemas.documents import Strict
from schemas.formats import FormatField, is_expression
from schemas.rules.base import Check, ColumnRule, Columns, Complaint, Given, Inputs, kind

_PLAIN_NAME = "^[A-Za-zÀ-ÖØ-Þà-öø-ýĂăĐđĨĩŨũƠơƯưẠ-ỹ -]+$"


@kind("copy")
class Copy(ColumnRule):
    """The cleaned text as it is."""

    def columns(self, take: Inputs, given: Given) -> Columns:
        return Columns(value=take.x)


@kind("split")
class Split(ColumnRule):
    """One of the two parts of a text round the first ``separator``; without it, all is the first part.

    A blank of the separator may be an end of the text.
    """

    separator: str = Field(min_length=1)
    part: Literal["first", "rest"]

    @property
    def lossy(self) -> bool:
        return True  # by itself: both parts together tell the whole

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        within = f"a{self.separator}b"
        if cleaned(within) != within:
            text = f"no cleaned text holds {self.separator!r}"
            raise Complaint("separator", text, "name a mark as it is there: one blank, Unicode NFC")

    def columns(self, take: Inputs, given: Given) -> Columns:
        name = "field_0" if self.part == "first" else "field_1"
        # Cleaning took the blanks at the ends: "name -" is a name without a title.
        end = "" if self.separator == " " else " "
        text = pl.concat_str(pl.lit(end), take.x, pl.lit(end))
        part = text.str.splitn(self.separator, 2).struct.field(name).str.strip_chars(" ")
        # A part may say "nothing is known" although the whole says more.
        there = ~take.step("part").str.contains(given.missing)
        return Columns(prepare=[{"part": part}], value=pl.when(there).then(take.step("part")))


@kind("name")
class Name(ColumnRule):
    """A person's name: in all capitals or all small letters, each word gets one capital.

    Words end at spaces and hyphens, and the capital is a word's first letter. A name with letters of both
    cases stays as its owner's clerk wrote it.
    """

    def columns(self, take: Inputs, given: Given) -> Columns:
        mixed = take.x.str.contains(r"(?s)\p{Lu}.*\p{Ll}|\p{Ll}.*\p{Lu}")
        piece = pl.element()
        capital = piece.str.head(1).str.to_uppercase() + piece.str.slice(1)
        pieces = take.x.str.to_lowercase().str.extract_all(r"\P{L}+|\p{L}[^ -]*")
        spelled = pieces.list.eval(capital).list.join("")
        # Polars begins a word after any character that is no letter, and knows letters with a form of their
        # own for it (ǆ, ǅ): its way is ours for names of nothing but Vietnamese letters.
        plain = take.x.str.contains(_PLAIN_NAME)
        return Columns(
            value=pl.when(mixed).then(take.x).otherwise(spelled),
            usual=[pl.when(mixed).then(take.x), pl.when(~mixed & plain).then(take.x.str.to_titlecase())],
        )


@kind("form")
class Form(Check):
    """The form of a code: one that no form matches whole is doubted, for not all forms are known.

    Warning: ``form_unknown``. A national field that names forms has this check by itself if it is copied.
    """

    forms: tuple[str, ...] = Field(min_length=1)  #: regular expressions

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        for form in self.forms:
            if not is_expression(form):
                raise Complaint("forms", f"no regular expression: {form}", "correct it")

    def warnings(self, take: Inputs, given: Given) -> Sequence[pl.Expr]:
        known = take.x.str.contains(f"^(?:{'|'.join(self.forms)})$")
        return [pl.when(~known).then(pl.lit("form_unknown"))]


class Case(Strict):
    """A form and the value it means."""

    form: str  #: a regular expression that the whole text matches
    value: str


@kind("match")
class Match(ColumnRule):
    """A value told by the form of the text: that of the first case that matches, or ``otherwise``."""

    cases: tuple[Case, ...] = Field(min_length=1)
    otherwise: str

    @property
    def lossy(self) -> bool:
        return True

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        known = codes[field.code_list].codes if field and field.code_list else None
        for case in self.cases:
            if not is_expression(case.form):
                raise Complaint("cases", f"no regular expression: {case.form}", "correct it")
        for value in (*(case.value for case in self.cases), self.otherwise):
            if known is not None and value not in known:
                raise Complaint("cases", f"{value} is no code of the field's list", "use codes of the list")

    def columns(self, take: Inputs, given: Given) -> Columns:
        value: pl.Expr = pl.when(take.x.is_not_null()).then(pl.lit(self.otherwise))
        for case in reversed(self.cases):
            value = (
                pl.when(take.x.str.contains(f"^(?:{case.form})$")).then(pl.lit(case.value)).otherwise(value)
            )
        return Columns(value=value)
