"""A rule that chooses between other rules, record by record."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Self

import polars as pl
from pydantic import Field

from schemas.codelists import CodeLists
from schemas.documents import Place, Strict
from schemas.formats import FormatField
from schemas.rules.base import WORDED, Columns, Complaint, Given, Inner, Inputs, Of, Rule, kind, within

Steps = Mapping[str, pl.Expr]


class Condition(Strict):
    """What is asked of one source column; of its cleaned text, and case counts."""

    column: str
    is_: tuple[str, ...] = Field(default=(), alias="is")  #: the text is one of these
    missing: bool = False  #: there is no text

    def check(self) -> None:
        """Raise ``Complaint`` if it can never be so, or asks two things."""
        if self.missing == bool(self.is_):
            raise Complaint("column", "a case asks one thing of its column", "write is, or missing: true")
        for text in self.is_:
            if " ".join(text.split()) != text:
                raise Complaint("is", f"no cleaned text is {text!r}", "write single spaces, none at the ends")

    def holds(self, text: pl.Expr) -> pl.Expr:
        """Whether it is so; null counts as not."""
        return text.is_null() if self.missing else text.is_in(pl.Series(self.is_, dtype=pl.String).implode())


class WhenCase(Strict):
    """A condition, and the rule for the records it holds for."""

    if_: Condition = Field(alias="if")
    then: Inner


@kind("when")
class When(Rule):
    """The value of the first case whose condition holds, else of ``otherwise``; without it, none.

    Problems are those of the rule that is chosen. Facts are those that every rule within finds.
    """

    cases: tuple[WhenCase, ...] = Field(min_length=1)
    otherwise: Inner | None = None

    def reads(self) -> Mapping[Place, str]:
        asked = {("cases", at, "if", "column"): case.if_.column for at, case in enumerate(self.cases)}
        return asked | {
            (*place, *where): column for place, rule in self.rules() for where, column in rule.reads().items()
        }

    def takes(self) -> Mapping[Place, Sequence[str]]:
        return dict.fromkeys(self.reads(), WORDED) | {
            (*place, *where): types for place, rule in self.rules() for where, types in rule.takes().items()
        }

    def others(self) -> Mapping[str, Of]:
        return {
            f"{at}.{key}": other
            for at, (_, rule) in enumerate(self.rules())
            for key, other in rule.others().items()
        }

    def facts(self) -> frozenset[str]:
        return frozenset.intersection(*(rule.facts() for _, rule in self.rules()))

    @property
    def lossy(self) -> bool:
        return True  # nothing tells which of the rules gave the value

    @property
    def lists(self) -> bool:
        return all(rule.lists for _, rule in self.rules())

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        for at, case in enumerate(self.cases):
            with within("cases", at, "if"):
                case.if_.check()
        for place, rule in self.rules():
            with within(*place):
                if rule.required:
                    raise Complaint("required", "belongs to the field", "write it beside cases")
                rule.hold(field, codes)

    def fitted(self, field: FormatField) -> Self:
        cases = [case.model_copy(update={"then": case.then.fitted(field)}) for case in self.cases]
        otherwise = self.otherwise and self.otherwise.fitted(field)
        return self.model_copy(update={"cases": tuple(cases), "otherwise": otherwise})

    def columns(self, take: Inputs, given: Given) -> Columns:
        texts = dict(zip(self.sources(), take.sources, strict=True))
        every: list[Columns] = []
        for at, (_, rule) in enumerate(self.rules()):
            others = {key: take.others[f"{at}.{key}"] for key in rule.others()}
            sources = tuple(texts[column] for column in rule.sources())
            every.append(rule.columns(Inputs(f"{take.name}.{at}", sources, others), given))
        case = pl.lit(len(self.cases) if self.otherwise else None, pl.Int32)
        for at, one in reversed(list(enumerate(self.cases))):
            case = pl.when(one.if_.holds(texts[one.if_.column])).then(pl.lit(at, pl.Int32)).otherwise(case)

        def chosen(of_each: Mapping[int, pl.Expr]) -> pl.Expr:
            return pl.coalesce(pl.when(take.step("case") == at).then(one) for at, one in of_each.items())

        problems = {at: one.problem for at, one in enumerate(every) if one.problem is not None}
        return Columns(
            prepare=[{"case": case}, *_together(every)],
            value=chosen({at: take.step(str(at)) for at in range(len(every))}),
            problem=chosen(problems) if problems else None,
            facts={
                fact: chosen({at: one.facts[fact] for at, one in enumerate(every)}) for fact in self.facts()
            },
        )

    def rules(self) -> Iterator[tuple[Place, Rule]]:
        """The rules it chooses between, and where each stands."""
        for at, case in enumerate(self.cases):
            yield ("cases", at, "then"), case.then
        if self.otherwise:
            yield ("otherwise",), self.otherwise


def _together(every: list[Columns]) -> Iterator[Steps]:
    """The steps of several rules side by side, then their values, each under the rule's number."""
    for level in zip_longest(*(one.prepare for one in every), fillvalue={}):
        yield {f"{at}.{name}": step for at, steps in enumerate(level) for name, step in steps.items()}
    yield {str(at): one.value for at, one in enumerate(every)}
