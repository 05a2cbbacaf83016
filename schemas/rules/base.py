"""What a kind of rule is: parameters from a contract, and one small function from them to Polars expressions.

A new kind is a subclass of ``ColumnRule``, ``Rule`` or ``Check`` with its parameters as fields, marked with
``@kind``, or named by an entry point of another package (``schemas.rules.added``).
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, TypeVar

import polars as pl
from pydantic import Field, PlainValidator, SerializeAsAny

from schemas.cleaning import Cleaner
from schemas.codelists import CodeLists
from schemas.documents import Place, Strict, suggestion, unfit
from schemas.errors import LienthongError
from schemas.formats import FormatField


@dataclass(frozen=True, slots=True)
class Given:
    """What rules may look things up in."""

    codes: CodeLists
    cleaner: Cleaner  #: of the contract

    @property
    def missing(self) -> str:
        """Regular expression that a whole cleaned text matches if it says "nothing is known"."""
        return self.cleaner.missing


@dataclass(frozen=True, slots=True)
class Of:
    """Where an input comes from: the value of another national field, or a fact that its rule found out."""

    field: str
    fact: str | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """A rule's inputs as columns."""

    name: str  #: of the national field; marks the columns that belong to it
    sources: tuple[pl.Expr, ...]  #: cleaned texts of ``Step.sources``, in their order; null if missing
    others: Mapping[str, pl.Expr]  #: by the names that ``Step.others`` gives

    @property
    def x(self) -> pl.Expr:
        """The text of the only source column."""
        (only,) = self.sources
        return only

    def step(self, name: str) -> pl.Expr:
        """A column that ``Columns.prepare`` makes."""
        return pl.col(f"{self.name}.{name}")

    @property
    def value(self) -> pl.Expr:
        """The field's own value, for facts."""
        return pl.col(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What a rule gives: expressions over its inputs.

    ``usual`` are faster ways that do for most rows, tried one after the other on the rows still open: where
    one is not null it is the value, and there is no problem. They must agree with ``value``. A rule that has
    them reads one column, may take ``Inputs.x`` only, and its facts ``Inputs.value`` only.
    """

    value: pl.Expr  #: String; null if missing or not obtained
    #: String: the code of the broken rule, or null. What is wrong within a value may have its place before
    #: it, ``[2].name:code``, which is told behind the field's name.
    problem: pl.Expr | None = None
    #: Columns that the steps after it, value, problem and facts may use.
    prepare: Sequence[Mapping[str, pl.Expr]] = ()
    usual: Sequence[pl.Expr] = ()
    facts: Mapping[str, pl.Expr] = field(default_factory=dict)  #: by-products that other rules may ask for


class Complaint(Exception):
    """A parameter cannot be right; the loader tells file and line."""

    def __init__(self, key: str | Place, text: str, next_step: str) -> None:
        super().__init__(text)
        self.place: Place = (key,) if isinstance(key, str) else key  #: within the step
        self.text = text
        self.next_step = next_step


@contextmanager
def within(*place: str | int) -> Iterator[None]:
    """Complaints of a rule that stands at this place within another one."""
    try:
        yield
    except Complaint as complaint:
        raise Complaint((*place, *complaint.place), complaint.text, complaint.next_step) from None


class Unless(Strict):
    """Required unless the named boolean source column is true."""

    unless: str


#: Types of source columns whose every value has one text.
WORDED = ("string", "long", "boolean")


class Step(Strict):
    """What rules and checks have in common."""

    rule: str
    basis: str | None = None  #: the legal text or the evidence the rule rests on
    note: str | None = None

    def reads(self) -> Mapping[Place, str]:
        """The source columns it reads, by where the step names them."""
        return {}

    def sources(self) -> tuple[str, ...]:
        """The source columns it reads, in order, each once."""
        return tuple(dict.fromkeys(self.reads().values()))

    @property
    def types(self) -> tuple[str, ...]:
        """The Avro types that its source columns may have; it reads them as text."""
        return WORDED

    def takes(self) -> Mapping[Place, Sequence[str]]:
        """The Avro types that each column it reads may have, by where the step names it."""
        return dict.fromkeys(self.reads(), self.types)

    def others(self) -> Mapping[str, Of]:
        """Inputs besides the columns: their names, and where they come from."""
        return {}

    def check(self, field: FormatField | None, codes: CodeLists) -> None:
        """Raise ``Complaint`` if the parameters do not fit the national field or the code lists."""

    def hold(self, field: FormatField | None, codes: CodeLists) -> None:
        """Raise ``Complaint`` if the step cannot stand where it does."""
        self.check(field, codes)


class Rule(Step):
    """How one national field is obtained."""

    required: bool | Unless = False  #: besides what the national format requires

    @property
    def lists(self) -> bool:
        """Whether its values are lists of items, as JSON."""
        return False

    @property
    def lossy(self) -> bool:
        """Whether records that mean different things in a column it reads may get one value.

        Spelling does not count, and what no value is given for is refused or missing.
        """
        return False

    def hold(self, field: FormatField | None, codes: CodeLists) -> None:
        if field and field.items and not self.lists:
            raise Complaint("rule", f"the values of {field.name} are lists of items", "use rule list")
        super().hold(field, codes)

    def facts(self) -> frozenset[str]:
        """What other rules may ask of it."""
        return frozenset()

    def fitted(self, field: FormatField) -> Self:
        """This rule with what the national field settles."""
        return self

    def signature(self) -> str:
        """Equal for rules of one column that do the same to different columns."""
        kept = self.model_dump(exclude={"from_", "basis", "note", "required"})
        return f"{type(self).__name__}{sorted(kept.items())}"

    @abstractmethod
    def columns(self, take: Inputs, given: Given) -> Columns:
        """What this rule gives for its inputs."""


class ColumnRule(Rule):
    """A rule over one source column."""

    from_: str = Field(alias="from")

    def reads(self) -> Mapping[Place, str]:
        return {("from",): self.from_}


class Check(Step):
    """What is only looked at: it warns, in the name of the source column, and never rejects."""

    from_: str = Field(alias="from")

    def reads(self) -> Mapping[Place, str]:
        return {("from",): self.from_}

    @abstractmethod
    def warnings(self, take: Inputs, given: Given) -> Sequence[pl.Expr]:
        """Expressions over the inputs; each is the code of a warning, or null."""


#: Every kind of rule and of check by its name in a contract; a rule and a check may have one name.
RULES: dict[str, type[Rule]] = {}
CHECKS: dict[str, type[Check]] = {}

S = TypeVar("S", bound=type[Step])


def kind(name: str) -> Callable[[S], S]:
    """Make a kind known under its name in contracts. Raises ``LienthongError`` if another has the name."""

    def add(cls: S) -> S:
        assert issubclass(cls, Rule | Check)
        known: dict[str, Any] = RULES if issubclass(cls, Rule) else CHECKS
        other = known.setdefault(name, cls)
        if other is not cls:
            raise LienthongError(
                f"the name {name} is taken by {other.__module__}.{other.__qualname__}",
                next_step="give the rule another name; what is there is not replaced",
            )
        return cls

    return add


def _made(written: Any) -> Rule:
    name = written.get("rule") if isinstance(written, Mapping) else None
    if name is None:
        raise unfit("no rule", "write it like {rule: copy, from: column}")
    if name not in RULES:
        raise unfit(f"unknown rule {name}", suggestion(str(name), sorted(RULES)))
    return RULES[name].model_validate(written)


#: A rule within another one.
Inner = Annotated[SerializeAsAny[Rule], PlainValidator(_made)]
