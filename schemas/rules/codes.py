"""Rules that look a code up. Ambiguous and unknown are problems; nothing is ever guessed."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from schemas.codelists import AMBIGUOUS, DAY_BITS, FIRST_DAY, CodeLists, folded
from schemas.formats import FormatField
from schemas.rules.base import ColumnRule, Columns, Complaint, Given, Inputs, Of, kind


class _Listed(ColumnRule):
    list: str  #: the code list; the national field's own, if it has one

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        if self.list not in codes:
            raise Complaint("list", f"no code list {self.list}", "known lists: " + ", ".join(sorted(codes)))
        if field and field.code_list not in (None, self.list):
            raise Complaint("list", f"the field's code list is {field.code_list}", "use that list")


@kind("code")
class Code(_Listed):
    """A code of a list without dates, by name, code or alias; case, spaces and hyphens do not count.

    Problems: ``code_unknown``; ``code_ambiguous``: several codes go by this name.
    """

    by: tuple[Literal["name", "code"], ...] = Field(default=("name",), min_length=1)
    aliases: Mapping[str, str] = {}  #: text -> code, besides those of the list

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        super().check(field, codes)
        if codes[self.list].dated:
            raise Complaint(
                "list", f"list {self.list} has dates: a code alone is ambiguous", "use rule code_at"
            )
        for text, code in self.aliases.items():
            if code not in codes[self.list].codes:
                raise Complaint(
                    "aliases", f"alias {text}: {self.list} has no code {code}", "use a code it has"
                )

    def columns(self, take: Inputs, given: Given) -> Columns:
        known = given.codes[self.list].names(
            codes="code" in self.by, names="name" in self.by, aliases=self.aliases
        )
        token = take.step("token")
        return Columns(
            prepare=[{"token": folded(take.x).replace_strict(known.folded, known.tokens, default=None)}],
            value=pl.when(token != AMBIGUOUS).then(token),
            problem=pl.when(token == AMBIGUOUS)
            .then(pl.lit("code_ambiguous"))
            .when(token.is_null() & take.x.is_not_null())
            .then(pl.lit("code_unknown")),
            usual=[take.x.replace_strict(known.usual, known.usual_codes, default=None)],
        )


@kind("code_at")
class CodeAt(_Listed):
    """A code of a list with dates, kept as it is if it was valid on the day of another field.

    Problems: ``code_unknown`` (never in the list), ``code_not_valid_then``, ``code_ambiguous`` (no day to
    resolve it at). Fact ``parent``: the code of what it belonged to on that day.
    """

    facts: ClassVar[frozenset[str]] = frozenset({"parent"})

    at: str  #: a national field whose rule finds a day

    def others(self) -> Mapping[str, Of]:
        return {"at": Of(self.at, "date")}

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        super().check(field, codes)
        if not codes[self.list].dated:
            raise Complaint("list", f"list {self.list} has no dates", "use rule code")

    def columns(self, take: Inputs, given: Given) -> Columns:
        versions = given.codes[self.list].versions()
        rank, version, at = take.step("rank"), take.step("version"), take.step("at")
        key = rank.cast(pl.Int64) * 2**DAY_BITS + at.to_physical().cast(pl.Int64) - FIRST_DAY
        # The last meaning that began on the day or before it, if it is one of this code: else there was none.
        begun = pl.lit(versions.keys).search_sorted(key, side="right").cast(pl.Int64) - 1
        until = pl.lit(versions.until).gather(version)
        valid = (pl.lit(versions.ranks).gather(version) == rank) & (until.is_null() | (at < until))
        valid &= take.step("known") & at.is_not_null()
        return Columns(
            prepare=[
                {
                    "rank": pl.lit(versions.codes)
                    .search_sorted(take.x)
                    .clip(upper_bound=len(versions.codes) - 1),
                    "at": take.others["at"],
                },
                {
                    "known": pl.lit(versions.codes).gather(rank) == take.x,
                    "version": begun.clip(lower_bound=0),
                },
            ],
            value=pl.when(valid).then(take.x),
            problem=pl.when(take.x.is_null() | valid)
            .then(None)
            .when(~take.step("known"))
            .then(pl.lit("code_unknown"))
            .when(at.is_null())
            .then(pl.lit("code_ambiguous"))
            .otherwise(pl.lit("code_not_valid_then")),
            facts={
                "parent": pl.when(take.value.is_not_null()).then(pl.lit(versions.parents).gather(version))
            },
        )
