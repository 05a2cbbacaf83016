"""``lienthong contracts impact``: what a new version of a national format would do to those who feed it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from schemas.codelists import CodeList, CodeLists
from schemas.codenames import fold
from schemas.contracts import Contract, Target
from schemas.documents import Place
from schemas.drafting.words import plain
from schemas.formats import FormatField, NationalFormat, told_in
from schemas.gates.findings import Finding, Severity, at, in_order
from schemas.gates.protection import marked
from schemas.library import Library, file_of
from schemas.overflow import without_room
from schemas.rules import Complaint, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What the new version does to one dataset."""

    contract: Contract
    fed: NationalFormat  #: the newest version that the dataset feeds now
    findings: Sequence[Finding]  #: an error: the new version cannot be fed as things stand


def impacts(new: NationalFormat, library: Library, folders: Sequence[Path]) -> list[Impact]:
    """One for each contract that feeds any version of the format, by its id."""
    found = []
    for contract in sorted(library.contracts.values(), key=lambda one: one.id):
        feeding = [one for one in contract.targets if library.formats[one.format].id == new.id]
        if feeding:
            target = max(feeding, key=lambda one: library.formats[one.format].version)
            old = library.formats[target.format]
            looking = _Looking(contract, file_of(contract, folders), target, old, new, library.codes)
            found.append(Impact(contract=contract, fed=old, findings=in_order(looking.findings())))
    return found


class _Looking:
    """One contract, held against a new version of what it feeds."""

    def __init__(
        self,
        contract: Contract,
        path: Path,
        target: Target,
        old: NationalFormat,
        new: NationalFormat,
        codes: CodeLists,
    ) -> None:
        self.contract = contract
        self.path = path
        self.target = target
        self.old = old
        self.new = new
        self.codes = codes
        self._old = {field.name: field for field in old.fields}
        self._new = {field.name: field for field in new.fields}
        self._gone = [field for field in old.fields if field.name not in self._new]

    def findings(self) -> Iterator[Finding]:
        for field in self.new.fields:
            if field.name not in self.target.rules:
                yield from self._without_rule(field)
            elif field.name in self._old:
                yield from self._changed(self._old[field.name], field)
        for field in self._gone:
            if field.name in self.target.rules:
                yield self._told(
                    field, "warning", "no_room", f"{marked(field)}: {self.new.full_id} has no room for it",
                    "ask the ministry where it goes; until then only the older version keeps it",
                )  # fmt: skip
        if self.old.key != self.new.key:
            yield at(
                self.path, self._place, "warning", "key",
                f"the key becomes {', '.join(self.new.key)} (it is {', '.join(self.old.key)}): records get "
                "other national keys, and records that were two may become one",
                "compare the keys of a sample before the change: --sample",
            )  # fmt: skip

    @property
    def _place(self) -> Place:
        return ("targets", self.target.format)

    def _told(self, field: FormatField, severity: Severity, rule: str, text: str, next_step: str) -> Finding:
        place = (*self._place, "fields", field.name)
        return at(self.path, place, severity, rule, text, next_step)

    def _without_rule(self, field: FormatField) -> Iterator[Finding]:
        """A field that no rule obtains: in the way if it is required."""
        if not field.required:
            if field.name not in self._old:
                text = f"{marked(field)} ({field.label}) is new and not required"
                yield self._told(
                    field,
                    "note",
                    "added",
                    text,
                    f"add a rule for it, if the source holds it{self._from(field)}",
                )
            return
        text = f"{marked(field)} ({field.label}) is required, and no rule obtains it"
        renamed = next((one for one in self._gone if fold(one.label) == fold(field.label)), None)
        if renamed is not None and renamed.name in self.target.rules:
            next_step = (
                f"it has the label of {renamed.name}, which is gone: use that rule, if it means the same"
            )
        elif seems := self._from(field):
            next_step = f"add a rule for it{seems}"
        else:
            next_step = f"ask {self.contract.owner} to record it; no column left over looks like it"
        yield self._told(field, "error", "required_unmapped", text, next_step)

    def _from(self, field: FormatField) -> str:
        """The columns that nothing reads and that sound like a field."""
        columns = {_plain(column): column for column in without_room(self.contract, self.target)}
        names = [_plain(field.name), _plain(field.label)]
        close = [one for name in names for one in get_close_matches(name, columns, n=2, cutoff=0.6)]
        found = ", ".join(dict.fromkeys(columns[one] for one in close))
        return f"; not used yet, and sounding like it: {found}" if found else ""

    def _changed(self, old: FormatField, new: FormatField) -> Iterator[Finding]:
        """A field that a rule obtains and that both versions have."""
        name = marked(new)
        if new.required and not old.required and self.target.rules[new.name].required is not True:
            yield self._told(
                new, "warning", "became_required", f"{name} becomes required: records without it are refused",
                "count them with --sample, and have them completed at the source",
            )  # fmt: skip
        yield from self._unfit(old, new)
        if old.date_form != new.date_form:
            yield self._told(
                new, "warning", "date_form",
                f"{name}: dates are written {new.date_form or 'in any form'} and no longer "
                f"{old.date_form or 'in any form'}",
                "the rule date follows the format; a date less precise than that is refused",
            )  # fmt: skip
        if items := _items_moved(old, new):
            text = f"{name}: its values are told otherwise: {items}"
            yield self._told(new, "warning", "items", text, "see that rule list gives what is asked now")
        if fold(old.label) != fold(new.label):
            yield self._told(
                new, "warning", "meaning", f"{name} was “{old.label}” and is “{new.label}”",
                "ask whether it still means what the rule obtains",
            )  # fmt: skip
        if old.basis != new.basis:
            text = f"{name} rests on {new.basis} and no longer on {old.basis}"
            yield self._told(new, "note", "basis", text, "read what the new text says of it")
        if old.sensitivity != new.sensitivity:
            text = f"{name} is {new.sensitivity} and no longer {old.sensitivity}"
            yield self._told(new, "warning", "sensitivity", text, "give it the protection that is due")

    def _unfit(self, old: FormatField, new: FormatField) -> Iterator[Finding]:
        """A rule that cannot serve the field as it is now, or codes that change their meaning under it."""
        unknown = [one for _, one in told_in([new]) if one.code_list and one.code_list not in self.codes]
        for one in unknown:
            text = f"{marked(new)}: codes{'' if one is new else f' of {one.name}'} are of {one.code_list}"
            text += f" and not of {old.code_list or 'none'} any more" if one is new else ""
            next_step = f"add codes/{one.code_list}.csv to the library"
            yield self._told(new, "error", "code_list", f"{text}, which is not known", next_step)
        if unknown:
            return  # rules look codes up in the lists
        try:
            self._rule(old, new).hold(new, self.codes)
        except Complaint as complaint:
            text = f"{marked(new)}: the rule does not serve any more: {complaint.text}"
            yield self._told(new, "error", "rule_unfit", text, complaint.next_step)
        if old.code_list == new.code_list:
            return
        text = f"{marked(new)}: codes are of {new.code_list or 'no list'}"
        text += f" and not of {old.code_list or 'none'} any more"
        if old.code_list and new.code_list:
            text += _moved(self.codes[old.code_list], self.codes[new.code_list])
        yield self._told(new, "warning", "code_list", text, "look codes up in the new list, by name")

    def _rule(self, old: FormatField, new: FormatField) -> Rule:
        """The field's rule; what it has from the format as it would have it from the new one."""
        rule = self.target.rules[new.name]
        if not (old.date_form or old.items):
            return rule
        there = {one.name for one in new.items}
        gone = [one for one in old.items if one.name not in there]  # the rule names them still
        return rule.fitted(replace(new, items=(*new.items, *gone)))


def _items_moved(old: FormatField, new: FormatField) -> str:
    """What becomes of the keys of a field's items; empty: nothing."""
    if not (old.items and new.items):
        told = "they become lists of items" if new.items else "they are no lists of items any more"
        return told if old.items or new.items else ""
    before, after = ({one.name: one for one in field.items} for field in (old, new))
    other = [name for name in before.keys() & after.keys() if _said(before[name]) != _said(after[name])]
    told_of = {"new": after.keys() - before.keys(), "gone": before.keys() - after.keys(), "changed": other}
    return "; ".join(f"{word}: {', '.join(sorted(names))}" for word, names in told_of.items() if names)


def _said(item: FormatField) -> FormatField:
    """A key of items without its place and without what it may have from its field."""
    items = tuple(map(_said, item.items))
    return replace(item, position=0, sensitivity="public", basis="", evidence="V", items=items)


def _moved(old: CodeList, new: CodeList) -> str:
    before, after = names_of_codes(old), names_of_codes(new)
    gone = len(before.keys() - after.keys())
    other = sum(before[code].isdisjoint(after[code]) for code in before.keys() & after.keys())
    return f"; {gone} codes of the old one are gone, {other} mean something else"


def names_of_codes(one: CodeList) -> dict[str, set[str]]:
    """What each code of a list means or meant, folded."""
    found: dict[str, set[str]] = {}
    for code, name in one.entries.select("code", "name").iter_rows():
        found.setdefault(code, set()).add(fold(name))
    return found


def _plain(text: str) -> str:
    """Letters and digits only, without marks and case: what names of columns and labels have in common."""
    return re.sub("[^a-z0-9]", "", plain(text).lower())
