"""Personal identification numbers (số định danh cá nhân).

A number that does not fit its holder is a warning of the check, never a reject: such numbers were really
issued, and numbers have been cancelled and set up anew (TT 59/2021/TT-BCA Đ.6) [V].
"""

from collections.abc import Mapping, Sequence

import polars as pl

from schemas.codelists import CodeLists
from schemas.documents import suggestion
from schemas.formats import FormatField
from schemas.rules.base import Check, ColumnRule, Columns, Complaint, Given, Inputs, Of, kind

#: Codes of hotich.gioiTinh. The number's fourth digit is 0 or 1 in the 1900s, 2 or 3 in the 2000s, and so on.
_MALE, _FEMALE = "1", "2"


@kind("personal_id")
class PersonalIdRule(ColumnRule):
    """A personal identification number: twelve digits; with ``old`` also nine, as identity cards had before.

    Problem: ``personal_id_form``.
    """

    old: bool = False

    def columns(self, take: Inputs, given: Given) -> Columns:
        formed = take.x.str.contains("^(?:[0-9]{9}|[0-9]{12})$" if self.old else "^[0-9]{12}$")
        return Columns(
            value=pl.when(formed).then(take.x), problem=pl.when(~formed).then(pl.lit("personal_id_form"))
        )


@kind("personal_id")
class PersonalIdCheck(Check):
    """Twelve digits: three of the place of birth registration, one of century and gender, two of the birth
    year.

    Warnings: ``personal_id_form``, ``personal_id_prefix``, ``personal_id_birth``; each only if what it is
    compared with is known.
    """

    place: str  #: the field of the registration commune, by rule code_at
    prefixes: str  #: a code list: prefix -> parent, the province's code
    gender: str  #: a field with codes of hotich.gioiTinh
    born: str  #: a field whose rule finds a year

    def others(self) -> Mapping[str, Of]:
        return {
            "province": Of(self.place, "parent"),
            "gender": Of(self.gender),
            "born": Of(self.born, "year"),
        }

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        if self.prefixes not in codes:
            text = f"no code list {self.prefixes}"
            raise Complaint("prefixes", text, suggestion(self.prefixes, sorted(codes)))

    def warnings(self, take: Inputs, given: Given) -> Sequence[pl.Expr]:
        prefixes = given.codes[self.prefixes].entries.sort("parent")
        parents, codes = pl.lit(prefixes["parent"]), pl.lit(prefixes["code"])
        province, gender, born = (take.others[name] for name in ("province", "gender", "born"))
        formed = take.x.str.contains(r"^[0-9]{12}$")
        place = parents.search_sorted(province).clip(upper_bound=len(prefixes) - 1)
        prefix = pl.when(parents.gather(place) == province).then(codes.gather(place))
        year = born.cast(pl.Int32, strict=False)
        digit = (year // 100 - 19) * 2 + (gender == _FEMALE).cast(pl.Int32)
        expected = pl.concat_str(digit.cast(pl.String), born.str.tail(2))
        known = gender.is_in([_MALE, _FEMALE])
        return [
            pl.when(~formed).then(pl.lit("personal_id_form")),
            pl.when(formed & (take.x.str.head(3) != prefix)).then(pl.lit("personal_id_prefix")),
            pl.when(formed & known & (take.x.str.slice(3, 3) != expected)).then(pl.lit("personal_id_birth")),
        ]
