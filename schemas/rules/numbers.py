"""Rules for numbers kept as text."""

import re

import polars as pl
from pydantic import Field

from schemas.codelists import CodeLists
from schemas.formats import FormatField
from schemas.rules.base import ColumnRule, Columns, Complaint, Given, Inputs, kind

#: What every way to write numbers has in common, and what needs no work.
_PLAIN = "^(?:0|-?[1-9][0-9]*)$"


@kind("number")
class Number(ColumnRule):
    """A number, given with ``.`` before its fraction, no zeros that say nothing and no other marks.

    Problems: ``number_unreadable``; ``number_too_precise``: more places than ``decimals`` that are not zero.
    """

    decimals: int = Field(default=0, ge=0, le=18)  #: how many places behind the mark may hold something
    thousands: str = Field(default=".", max_length=1)  #: between groups of three digits, or nowhere; "": none
    decimal_mark: str = Field(default=",", max_length=1)  #: "": whole numbers only

    @property
    def types(self) -> tuple[str, ...]:
        return (*super().types, "double") if self.decimal_mark == "." else super().types

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        for key, mark in (("thousands", self.thousands), ("decimal_mark", self.decimal_mark)):
            if mark.isdigit() or mark == "-":
                raise Complaint(key, f"{mark} is part of a number itself", "write the mark of the source")
        if self.thousands and self.thousands == self.decimal_mark:
            raise Complaint("thousands", "is also the decimal mark", "write the two marks of the source")
        if self.decimals and not self.decimal_mark:
            raise Complaint("decimals", "there is no decimal mark", "name the mark, or leave decimals out")

    def columns(self, take: Inputs, given: Given) -> Columns:
        group, mark = re.escape(self.thousands), re.escape(self.decimal_mark)
        # "0.125" has no group: it is an eighth, written with the other mark.
        whole = f"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}})+|[0-9]+" if group else "[0-9]+"
        fraction = f"(?:{mark}[0-9]+)?" if mark else ""
        plain, bare = take.x, take.step("bare")
        if self.thousands:
            plain = plain.str.replace_all(self.thousands, "", literal=True)
        if self.decimal_mark:
            plain = plain.str.replace(self.decimal_mark, ".", literal=True)
        return Columns(
            prepare=[
                {"formed": take.x.str.contains(f"^-?(?:{whole}){fraction}$"), "plain": plain},
                # "-007.50" -> "-7.5"
                {
                    "bare": take.step("plain")
                    .str.replace("^(-?)0+([0-9])", "${1}${2}")
                    .str.replace(r"(\.[0-9]*?)0+$", "${1}")
                    .str.strip_suffix(".")
                    .str.replace("^-0$", "0")
                },
                {
                    "broken": pl.when(~take.step("formed"))
                    .then(pl.lit("number_unreadable"))
                    .when(bare.str.contains(rf"\.[0-9]{{{self.decimals + 1}}}"))
                    .then(pl.lit("number_too_precise"))
                },
            ],
            value=pl.when(take.step("broken").is_null()).then(bare),
            problem=take.step("broken"),
            usual=[pl.when(take.x.str.contains(_PLAIN)).then(take.x)],
        )
