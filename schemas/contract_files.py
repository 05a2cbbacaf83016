"""Reads ``contracts/<system>/<dataset>.yaml`` and holds it against national formats and code lists.

What is wrong with a contract is told by file, line and next step; nothing half of it is loaded.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import polars as pl
from pydantic import Field

from schemas.avro_layout import is_name
from schemas.cleaning import Cleaner, cleaned
from schemas.codelists import CodeLists
from schemas.contracts import (
    AvroType,
    Contract,
    LineSet,
    Only,
    Promise,
    Status,
    Target,
    columns_of,
    readable,
    typed,
)
from schemas.documents import Document, Place, Strict, read_document, suggestion
from schemas.errors import ContractError
from schemas.formats import FormatField, NationalFormat
from schemas.overflow import without_room
from schemas.rings import ring
from schemas.rules import CHECKS, RULES, Check, Complaint, Rule, Step, Unless
from schemas.rules.cases import Condition
from schemas.rules.lists import List, lists_in
from schemas.rules.text import Copy, Form

S = TypeVar("S", bound=Step)

_PATH = re.compile(r"([a-z][a-z0-9_]*)/([a-z][a-z0-9_]*)\.yaml")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class _Target(Strict):
    like: str | None = None  #: another target: what is not told here is obtained as it is there
    fields: Mapping[str, Mapping[str, Any]] = {}
    checks: tuple[Mapping[str, Any], ...] | None = None
    beside: tuple[str, ...] = ()
    only: Only | None = None


class _Told(Strict):
    title: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    version: int = Field(ge=1)
    missing: tuple[str, ...] = ()
    promise: Promise = Promise()
    targets: Mapping[str, _Target] = Field(min_length=1)


class _File(_Told):
    table: str = Field(min_length=1)
    key: tuple[str, ...] = Field(min_length=1)
    columns: Mapping[str, AvroType] = Field(min_length=1)
    lines: Mapping[str, LineSet] = Field(default_factory=dict)
    left_out: Mapping[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    status: Status | None = None


class _Source(Strict):
    format: str


class _Inbound(_Told):
    source: _Source
    not_from: tuple[str, ...] = ()


def load_contract(
    path: Path, folder: Path, formats: Mapping[str, NationalFormat], codes: CodeLists
) -> Contract:
    """Read one contract of the ``contracts`` folder and hold it against formats and code lists.

    Raises ``ContractError`` with file, line and next step for the first thing wrong with it.
    """
    document = read_document(path)
    named = _PATH.fullmatch(path.relative_to(folder).as_posix())
    if named is None:
        raise document.error(
            (), "not in a place for contracts", "name it <system>/<dataset>.yaml in small letters"
        )
    if isinstance(document.data, Mapping) and "source" in document.data:
        return _inbound(document, formats, codes, *named.groups())
    return _Loading(document, document.take(_File), formats, codes).contract(*named.groups())


def load_proposal(
    path: Path, present: Contract, formats: Mapping[str, NationalFormat], codes: CodeLists
) -> Contract:
    """Read a proposed contract of the same dataset from a file anywhere. Raises ``ContractError``."""
    document = read_document(path)
    loading = _Loading(document, document.take(_File), formats, codes)
    return loading.contract(present.system, present.dataset)


def _inbound(
    document: Document, formats: Mapping[str, NationalFormat], codes: CodeLists, system: str, dataset: str
) -> Contract:
    """A contract that reads what a national format's topic says: the format's fields are its columns."""
    told = document.take(_Inbound)
    full_id = told.source.format
    place: Place = ("source", "format")
    if full_id not in formats:
        text = f"no national format {full_id}"
        raise document.error(place, text, suggestion(full_id, sorted(formats)))
    if full_id in told.targets:
        text = f"{full_id} would be fed by itself, for ever"
        raise document.error(("targets", full_id), text, "feed another format")
    national = formats[full_id]
    common = {name: getattr(told, name) for name in _Told.model_fields}
    columns = dict.fromkeys((one.name for one in national.fields), "string")
    file = _File.model_construct(**common, table=full_id, key=national.key, columns=columns)
    contract = _Loading(document, file, formats, codes).contract(system, dataset)
    for target in contract.targets:
        key = formats[target.format].key
        read = columns_of(key, target.rules)
        if more := sorted(read - set(national.key)):
            text = f"its key needs {more[0]}, which the deletion of a record of {full_id} does not tell"
            next_step = f"obtain its key from {', '.join(national.key)} alone"
            raise document.error(("targets", target.format), text, next_step)
        rules = [target.rules[name] for name in key if name in target.rules]
        copied = {rule.from_ for rule in rules if isinstance(rule, Copy)}
        if lost := [name for name in national.key if name not in copied]:
            # Else the deletion of a key that a record has left could end what stands under its new key.
            text = f"its key does not copy {lost[0]}, so two records of {full_id} may get one key"
            next_step = f"obtain one of its key fields with {{rule: copy, from: {lost[0]}}}"
            raise document.error(("targets", target.format), text, next_step)
    return replace(contract, source=full_id, not_from=told.not_from)


class _Loading:
    """One contract on its way in."""

    def __init__(
        self, document: Document, file: _File, formats: Mapping[str, NationalFormat], codes: CodeLists
    ) -> None:
        self.document = document
        self.file = file
        self.formats = formats
        self.codes = codes
        self.readable = readable(file.columns, file.lines)

    def contract(self, system: str, dataset: str) -> Contract:
        for name in self.file.columns:
            if not is_name(name):
                text = f"a column cannot be named {name!r} on the wire"
                next_step = "read a view that names it with a-z, 0-9 and _, a letter first"
                raise self._error(("columns", name), text, next_step)
        for at, name in enumerate(self.file.key):
            self._column(name, ("key", at), among=self.file.columns)
            if name in self.file.key[:at]:
                raise self._error(("key", at), f"column {name} is in the key twice", "name it once")
        self._check_lines()
        self._check_status()
        for at, word in enumerate(self.file.missing):
            if word != word.lower():
                raise self._error(("missing", at), "write it in small letters", "case does not count anyway")
            if word != cleaned(word):
                text, next_step = f"no cleaned text is {word!r}", f"write {cleaned(word)!r}, in Unicode NFC"
                raise self._error(("missing", at), text, next_step)
        contract = Contract(
            system=system,
            dataset=dataset,
            **{name: getattr(self.file, name) for name in _File.model_fields if name != "targets"},
            targets=tuple(self._target(name, target) for name, target in self.file.targets.items()),
        )
        self._check_left_out(contract)
        return contract

    def _check_left_out(self, contract: Contract) -> None:
        for name in contract.left_out:
            self._column(name, ("left_out", name))
            if not any(name in without_room(contract, target) for target in contract.targets):
                text = f"{name} is a key, or rules of every target read it"
                raise self._error(("left_out", name), text, "take it out: nothing is left out")

    def _check_lines(self) -> None:
        for name, one in self.file.lines.items():
            place: Place = ("lines", name)
            if not _NAME.fullmatch(name) or name in self.file.columns:
                raise self._error(
                    place, f"a set of lines cannot be named {name}", "give it a name of its own: a-z, 0-9, _"
                )
            for column in one.on:
                self._column(one.on[column], (*place, "on", column), among=self.file.columns)

    def _check_status(self) -> None:
        status = self.file.status
        if status is None:
            return
        self._column(status.column, ("status", "column"))
        self._check_values(status.column, status.live, ("status", "live"))
        self._check_values(status.column, status.gone, ("status", "gone"))

    def _check_values(self, column: str, values: Sequence[str], place: Place) -> None:
        avro = self.readable[column]
        try:
            typed(pl.Series(values, dtype=pl.String), avro)
        except pl.exceptions.PolarsError:
            raise self._error(place, f"not all are of type {avro}", "correct them") from None

    def _target(self, full_id: str, target: _Target) -> Target:
        place: Place = ("targets", full_id)
        if full_id not in self.formats:
            raise self._error(
                place, f"no national format {full_id}", suggestion(full_id, sorted(self.formats))
            )
        national = self.formats[full_id]
        fields = {field.name: field for field in national.fields}
        written = self._rule_places(full_id, target, fields)
        rules = {name: self._step(at, RULES, fields[name]) for name, at in written.items()}
        for name, one in fields.items():
            if one.required:
                self._check_required(name, rules.get(name), written.get(name, (*place, "fields")))
        checks = {at: self._step(at, CHECKS) for at in self._check_places(full_id, target)}
        steps: dict[Place, Step] = {at: rules[name] for name, at in written.items()}
        self._check_references(rules, steps | checks)
        waits = {name: [other.field for other in rule.others().values()] for name, rule in rules.items()}
        if found := ring(waits):
            text = f"these fields wait for each other: {' -> '.join(found)}"
            raise self._error(written[found[0]], text, "let one of them not need the others")
        of_forms = [_form_check(rule, fields[name]) for name, rule in rules.items() if isinstance(rule, Copy)]
        return Target(
            format=full_id,
            rules=_in_order(rules, national),
            checks=(*checks.values(), *(one for one in of_forms if one)),
            beside=target.beside,
            only=self._only(full_id, target),
        )

    def _only(self, full_id: str, target: _Target) -> Only | None:
        if target.only is None and target.like is not None:
            full_id, target = target.like, self.file.targets[target.like]
        if target.only is not None:
            place: Place = ("targets", full_id, "only")
            self._column(target.only.column, (*place, "column"))
            self._check_values(target.only.column, target.only.is_, (*place, "is"))
            if self.readable[target.only.column] == "string":
                self._check_clean(target.only.is_, (*place, "is"))
        return target.only

    def _check_clean(self, words: Sequence[str], place: Place) -> None:
        """Words that are looked for among cleaned texts must be such texts, or none is ever found."""
        found = Cleaner(self.file.missing).clean({"is": pl.Series(words, dtype=pl.String)}).columns["is"]
        for at, (word, there) in enumerate(zip(words, found, strict=True)):
            if word != there:
                text, next_step = f"no cleaned text is {word!r}", f"write {there!r}, in Unicode NFC"
                if there is None:
                    text, next_step = f"{word!r} says that nothing is known", "take it out: it is never found"
                raise self._error((*place, at), text, next_step)

    def _check_conditions(self, part: object, place: Place, columns: Mapping[str, AvroType]) -> None:
        """The words of every condition within a step. ``columns``: what its conditions ask."""
        if isinstance(part, Condition):
            self._check_clean(part.is_, (*place, "is"))
            avro = columns.get(part.column, "string")  # of items that are no lines, all is text
            said = typed(pl.Series(part.is_, dtype=pl.String), avro, strict=False).cast(pl.String)
            for at, (word, there) in enumerate(zip(part.is_, said, strict=True)):
                if word != there:
                    next_step = "write true or false" if avro == "boolean" else "write it as it stands there"
                    raise self._error((*place, "is", at), f"no value of type {avro} is {word!r}", next_step)
        elif isinstance(part, Strict):
            if isinstance(part, List):
                columns = self.file.lines[part.from_].columns if part.from_ in self.file.lines else {}
            for name, field in type(part).model_fields.items():
                self._check_conditions(getattr(part, name), (*place, field.alias or name), columns)
        elif isinstance(part, Mapping):
            for key, one in part.items():
                self._check_conditions(one, (*place, key), columns)
        elif isinstance(part, tuple):
            for at, one in enumerate(part):
                self._check_conditions(one, (*place, at), columns)

    def _rule_places(self, full_id: str, target: _Target, fields: Collection[str]) -> dict[str, Place]:
        """Where the rule of each field is written: in the target or, if not there, in the one it is like."""
        place: Place = ("targets", full_id)
        for name in target.fields:
            if name not in fields:
                raise self._error(
                    (*place, "fields", name),
                    f"{full_id} has no field {name}",
                    suggestion(name, list(fields)),
                )
        found: dict[str, Place] = {}
        if target.like is not None:
            others = [name for name, one in self.file.targets.items() if name != full_id and one.like is None]
            if target.like not in others:
                text = f"{target.like} is no target with rules of its own"
                raise self._error((*place, "like"), text, suggestion(target.like, others))
            shared = [name for name in self.file.targets[target.like].fields if name in fields]
            found = {name: ("targets", target.like, "fields", name) for name in shared}
        return found | {name: (*place, "fields", name) for name in target.fields}

    def _check_places(self, full_id: str, target: _Target) -> list[Place]:
        if target.checks is None and target.like is not None:
            full_id, target = target.like, self.file.targets[target.like]
        return [("targets", full_id, "checks", at) for at in range(len(target.checks or ()))]

    def _check_required(self, name: str, rule: Rule | None, place: Place) -> None:
        if rule is None:
            raise self._error(
                place,
                f"the national format requires {name}, and no rule obtains it",
                f"add a rule for {name}; if the source does not hold it, it cannot feed this format",
            )
        if isinstance(rule.required, Unless):
            raise self._error(
                (*place, "required"),
                f"the national format requires {name} of every record",
                "take the exception out",
            )

    def _step(self, place: Place, kinds: Mapping[str, type[S]], field: FormatField | None = None) -> S:
        """The rule or check at ``place``, held against its field, the source columns and the code lists."""
        written = self.document.data
        for key in place:
            written = written[key]
        name = str(written.get("rule") or "")
        if name not in kinds:
            text = f"unknown rule {name}" if name else "key rule is missing"
            raise self._error((*place, "rule"), text, suggestion(name, sorted(kinds)))
        step = self.document.take(kinds[name], place)
        for where, column in step.reads().items():
            self._column(column, (*place, *where), step.takes()[where])
        for inner, one in lists_in(step) if isinstance(step, Rule) else ():
            for where, column in one.item_reads().items() if one.from_ in self.file.lines else ():
                types = one.fields[str(where[1])].takes()[where[2:]]
                among = self.file.lines[one.from_].columns
                self._column(column, (*place, *inner, *where), types, among)
        if isinstance(step, Rule) and isinstance(step.required, Unless):
            self._column(step.required.unless, (*place, "required", "unless"), ("boolean",))
        try:
            step.hold(field, self.codes)
        except Complaint as complaint:
            raise self._error((*place, *complaint.place), complaint.text, complaint.next_step) from None
        self._check_conditions(step, place, self.readable)
        return step.fitted(field) if isinstance(step, Rule) and field else step

    def _check_references(self, rules: Mapping[str, Rule], steps: Mapping[Place, Step]) -> None:
        """Each field another one waits for must be mapped, by a rule that finds what is asked."""
        for at, step in steps.items():
            for key, other in step.others().items():
                rule = rules.get(other.field)
                if rule is None:
                    raise self._error((*at, key), f"no rule obtains {other.field}", "name a mapped field")
                if other.fact and other.fact not in rule.facts():
                    raise self._error(
                        (*at, key),
                        f"{other.field} does not tell its {other.fact}",
                        f"name a field whose rule finds a {other.fact}",
                    )

    def _column(
        self,
        name: str,
        place: Place,
        types: Sequence[str] = (),
        among: Mapping[str, AvroType] | None = None,
    ) -> None:
        known = self.readable if among is None else among
        if name not in known:
            raise self._error(place, f"the source has no column {name}", suggestion(name, list(known)))
        if types and known[name] not in types:
            text = f"column {name} is {known[name]}"
            raise self._error(place, text, f"name a column of type {' or '.join(types)}")

    def _error(self, place: Place, text: str, next_step: str) -> ContractError:
        return self.document.error(place, text, next_step)


def _form_check(rule: Copy, field: FormatField) -> Check | None:
    """The check of a field's forms, on the source column that the field is copied from."""
    told = {"rule": "form", "from": rule.from_, "basis": field.basis, "forms": field.forms}
    return Form.model_validate(told) if field.forms else None


def _in_order(rules: Mapping[str, Rule], national: NationalFormat) -> Mapping[str, Rule]:
    return {field.name: rules[field.name] for field in national.fields if field.name in rules}
