"""Rules of no source column or of several: what the contract itself says, and texts put together."""

from collections.abc import Mapping

import polars as pl
from pydantic import Field

from schemas.codelists import CodeLists
from schemas.documents import Place
from schemas.formats import FormatField
from schemas.rules.base import Columns, Complaint, Given, Inputs, Rule, kind


@kind("constant")
class Constant(Rule):
    """The same value for every record, because of what the dataset is. It reads nothing."""

    value: str = Field(min_length=1)

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        if field and field.code_list and self.value not in codes[field.code_list].codes:
            raise Complaint(
                "value", f"{self.value} is no code of {field.code_list}", "use a code of the field's list"
            )

    def columns(self, take: Inputs, given: Given) -> Columns:
        return Columns(value=pl.lit(self.value))


class _Joined(Rule):
    from_: tuple[str, ...] = Field(alias="from", min_length=1)

    @property
    def lossy(self) -> bool:
        return len(self.from_) > 1  # where one part ends and the next begins is gone

    def reads(self) -> Mapping[Place, str]:
        return {("from", at): name for at, name in enumerate(self.from_)}

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        for at, name in enumerate(self.from_):
            if name in self.from_[:at]:
                raise Complaint("from", f"column {name} is named twice", "name each column once")


@kind("join")
class Join(_Joined):
    """The texts that are there, in the order of the columns, with ``separator`` between them."""

    separator: str = " "

    def columns(self, take: Inputs, given: Given) -> Columns:
        there = pl.any_horizontal(one.is_not_null() for one in take.sources)
        joined = pl.concat_str(take.sources, separator=self.separator, ignore_nulls=True)
        return Columns(value=pl.when(there).then(joined))


@kind("address")
class Address(_Joined):
    """An address put together from its parts, the smallest first: house or hamlet, commune, province.

    Spaces, commas and semicolons at the ends of a part do not count. A part is not said again where the text
    before it ends with it, as many clerks write the commune into the house's line; case does not count then.
    """

    separator: str = Field(default=", ", min_length=1)

    def columns(self, take: Inputs, given: Given) -> Columns:
        parts = [one.str.strip_chars(" ,;") for one in take.sources]
        prepare: list[Mapping[str, pl.Expr]] = [
            {f"part{at}": pl.when(part != "").then(part) for at, part in enumerate(parts)},
            {"text0": take.step("part0")},
        ]
        for at in range(1, len(parts)):
            before, part = take.step(f"text{at - 1}"), take.step(f"part{at}")
            joined = pl.concat_str(before, part, separator=self.separator, ignore_nulls=True)
            said = self._marked(before).str.ends_with(self._marked(part))
            prepare.append({f"text{at}": pl.when(part.is_null() | said).then(before).otherwise(joined)})
        return Columns(prepare=prepare, value=take.step(f"text{len(parts) - 1}"))

    def _marked(self, text: pl.Expr) -> pl.Expr:
        """In small letters, each part after a comma and bare: only whole parts are alike."""
        small = text.str.to_lowercase().str.replace_all(self.separator.lower(), ",", literal=True)
        return pl.concat_str(pl.lit(","), small.str.replace_all(" *[,;] *", ","))
