"""Rules that look a code up. Ambiguous and unknown are problems; nothing is ever guessed."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

import polars as pl
from pydantic import Field

from schemas.cleaning import cleaned
from schemas.codelists import AMBIGUOUS, CodeList, CodeLists
from schemas.codenames import fold, folded
from schemas.codetimes import DAY_BITS, FIRST_DAY, NONE, SEVERAL, Timeline
from schemas.documents import suggestion
from schemas.formats import FormatField
from schemas.rules.base import ColumnRule, Columns, Complaint, Given, Inputs, Of, kind


class _Listed(ColumnRule):
    list: str  #: the code list; the national field's own, if it has one

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        if self.list not in codes:
            raise Complaint("list", f"no code list {self.list}", suggestion(self.list, sorted(codes)))
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
            if not fold(text):  # of blanks and hyphens alone
                raise Complaint(("aliases", text), f"alias {text!r} is no name", "take it out")
            if text != cleaned(text):
                next_step = f"write {cleaned(text)!r}, in Unicode NFC"
                raise Complaint(("aliases", text), f"no cleaned text is {text!r}", next_step)
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
    """A code of a list with dates, by code or name, if it was valid on the day of another field.

    A code is kept as it is written, and so is the code of a unit below one of the list's, where the list's
    head tells their form. Names may be shortened and go on with the units above, see ``codenames``.

    Problems: ``code_unknown`` (never in the list), ``code_not_valid_then``, ``code_ambiguous`` (several units
    had this name then, or there is no day to resolve it at). Facts ``parent`` and ``district``: the codes of
    what it belonged to on that day.
    """

    at: str  #: a national field whose rule finds a day
    by: tuple[Literal["code", "name"], ...] = Field(default=("code",), min_length=1)

    def facts(self) -> frozenset[str]:
        return frozenset({"parent", "district"})

    def others(self) -> Mapping[str, Of]:
        return {"at": Of(self.at, "date")}

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        super().check(field, codes)
        if not codes[self.list].dated:
            raise Complaint("list", f"list {self.list} has no dates", "use rule code")

    def columns(self, take: Inputs, given: Given) -> Columns:
        one = given.codes[self.list]
        row, spells = take.step("row"), one.spells
        found = pl.lit(spells["code"]).gather(row) if "name" in self.by else take.x
        if one.below and "name" in self.by:
            found = pl.when(take.x.str.contains(one.below)).then(take.x).otherwise(found)
        return Columns(
            prepare=self._looked_up(take, one),
            value=pl.when(take.step("found")).then(found),
            problem=self._problem(take),
            facts={
                fact: pl.when(take.value.is_not_null()).then(pl.lit(spells[fact]).gather(row))
                for fact in self.facts()
            },
        )

    def _looked_up(self, take: Inputs, one: CodeList) -> Sequence[Mapping[str, pl.Expr]]:
        """Steps to ``known`` (the text is in the list), ``row`` (of its spell on the day; 0 if there is
        none), ``mark`` (of that row, or SEVERAL or NONE) and ``found``.
        """
        timeline, text = _timeline(one, self.by), take.x
        if one.below:
            text = pl.coalesce(text.str.extract(one.below), text)
        if "name" in self.by:
            text = one.spelling.keys(text)
        return [
            {"text": text, "at": take.others["at"]},
            *_steps(timeline, take),
            {"found": take.step("mark") >= 0, "row": take.step("mark").clip(lower_bound=0)},
        ]

    def _problem(self, take: Inputs) -> pl.Expr:
        return (
            pl.when(take.x.is_null() | take.step("found"))
            .then(None)
            .when(~take.step("known"))
            .then(pl.lit("code_unknown"))
            .when(take.step("at").is_null() | (take.step("mark") == SEVERAL))
            .then(pl.lit("code_ambiguous"))
            .otherwise(pl.lit("code_not_valid_then"))
        )


@kind("code_now")
class CodeNow(CodeAt):
    """The code that the unit of another field's day has on the day ``on``, where the list tells it.

    A unit that was divided is ambiguous, and nothing decides for it. An event on the day ``on`` or after it
    keeps the code it has then. The code of the day itself is obtained by rule ``code_at``: keep both.

    Problems: those of ``code_at``, with ``code_ambiguous`` for a unit that was divided too, and
    ``code_successor_unknown``: the list does not tell what became of it.
    """

    on: date  #: fixed, so that a replay says the same

    @property
    def lossy(self) -> bool:
        return True  # units that were merged

    def facts(self) -> frozenset[str]:
        return frozenset()

    def columns(self, take: Inputs, given: Given) -> Columns:
        one = given.codes[self.list]
        code = pl.lit(one.spells["code"]).gather(take.step("row"))
        heir = pl.lit(one.codes_on(self.on)).gather(take.step("row"))
        now = pl.when(take.step("at") >= self.on).then(code).otherwise(heir)
        found = take.step("found")
        return Columns(
            prepare=[*self._looked_up(take, one), {"now": pl.when(found).then(now)}],
            value=pl.when(take.step("now") != AMBIGUOUS).then(take.step("now")),
            problem=pl.when(found & (take.step("now") == AMBIGUOUS))
            .then(pl.lit("code_ambiguous"))
            .when(found & take.step("now").is_null())
            .then(pl.lit("code_successor_unknown"))
            .otherwise(self._problem(take)),
        )


def _timeline(one: CodeList, by: Sequence[str]) -> Timeline:
    if "name" not in by:
        return one.timeline
    return one.text_timeline if "code" in by else one.name_timeline


def _steps(timeline: Timeline, take: Inputs) -> Sequence[Mapping[str, pl.Expr]]:
    """From ``text`` and ``at`` to ``known`` and ``mark``: the step of the text that began last by the day."""
    if timeline.texts.is_empty():  # by name alone, and every name is a hint
        return [{"known": pl.lit(value=False), "mark": pl.lit(NONE)}]
    text, at, rank, step = (take.step(name) for name in ("text", "at", "rank", "step"))
    texts, last = pl.lit(timeline.texts), len(timeline.texts) - 1
    key = rank.cast(pl.Int64) * 2**DAY_BITS + at.to_physical().cast(pl.Int64) - FIRST_DAY
    begun = pl.lit(timeline.keys).search_sorted(key, side="right").cast(pl.Int64) - 1
    its_own = pl.lit(timeline.ranks).gather(step) == rank
    there = its_own & take.step("known") & at.is_not_null()
    return [
        {"rank": texts.search_sorted(text).clip(upper_bound=last)},
        {"known": texts.gather(rank) == text, "step": begun.clip(lower_bound=0)},
        {"mark": pl.when(there).then(pl.lit(timeline.rows).gather(step)).otherwise(NONE)},
    ]
