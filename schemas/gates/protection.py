"""What a library promises as a whole: personal values are protected, keys do not collide, nothing returns,
and codes and dates are none that nobody looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.contracts import Contract, Target
from schemas.documents import Place, suggestion
from schemas.formats import SENSITIVITIES, FormatField, Sensitivity, told_in
from schemas.gates.findings import Finding, at
from schemas.library import Library, file_of
from schemas.rules import Rule
from schemas.rules.cases import When
from schemas.rules.lists import List

#: Rules that give what the source says, whatever the field asks for.
_TEXTS = frozenset({"copy", "split", "name", "join", "address", "number", "personal_id"})
#: Rules that give codes or what the contract says.
_NO_DATES = frozenset({"code", "code_at", "code_now", "match", "constant"})


def check_keys_of_formats(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """A national key is also a Kafka key: it stands in logs and on screens that show no values."""
    for national in library.formats.values():
        fields = {field.name: field for field in national.fields}
        for nth, name in enumerate(national.key):
            if fields[name].sensitivity != "public":
                yield at(
                    file_of(national, folders), ("key", nth), "error", "sensitivity",
                    f"key field {marked(fields[name])} is {fields[name].sensitivity}; keys are not protected",
                    "make the key of public fields: a register number, a code, a day",
                )  # fmt: skip


def check_lists(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """A list of sensitive things (ethnic groups, religions) is one in every format.

    A list that one format uses for sensitive and for other fields (declared, revoked) is none of those.
    """
    used: dict[str, dict[str, set[Sensitivity]]] = {}  # list -> format -> how its fields are marked
    for national in library.formats.values():
        for _, field in told_in(national.fields):
            if field.code_list:
                marks = used.setdefault(field.code_list, {}).setdefault(national.full_id, set())
                marks.add(field.sensitivity)
    for name, by_format in used.items():
        where = [full_id for full_id, marks in by_format.items() if marks == {"sensitive"}]
        if not where or any("sensitive" in marks for marks in by_format.values() if len(marks) > 1):
            continue
        for national in (library.formats[full_id] for full_id in by_format if full_id not in where):
            for place, field in told_in(national.fields):
                if field.code_list == name:
                    yield at(
                        file_of(national, folders), (*place, "sensitivity"), "error", "sensitivity",
                        f"field {marked(field)} is {field.sensitivity}, but codes of {name} are sensitive "
                        f"in {where[0]}",
                        "mark it sensitive",
                    )  # fmt: skip


def check_source_columns(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """Looks at what becomes of each source column of each contract."""
    for contract in library.contracts.values():
        path = file_of(contract, folders)
        yield from _keys_of_people(contract, library, path)
        yield from _two_measures(contract, library, path)


@dataclass(frozen=True, slots=True)
class _Use:
    """A source column on its way into a national field."""

    column: str
    way: str  #: equal if it goes the same way
    target: Target
    field: FormatField


def _uses(contract: Contract, library: Library) -> Sequence[_Use]:
    return [
        _Use(column, rule.signature(), target, field)
        for target in contract.targets
        for field in library.formats[target.format].fields
        if (rule := target.rules.get(field.name))
        for column in rule.sources()
    ]


def _keys_of_people(contract: Contract, library: Library, path: Path) -> Iterator[Finding]:
    for use in _uses(contract, library):
        if contract.source is None and use.column in contract.key and use.field.sensitivity != "public":
            yield at(
                path, ("key", contract.key.index(use.column)), "warning", "sensitivity",
                f"key column {use.column} becomes {marked(use.field)}, which is {use.field.sensitivity}; "
                "keys are not protected",
                "name the source's own row number as the key, if it has one",
            )  # fmt: skip


def _two_measures(contract: Contract, library: Library, path: Path) -> Iterator[Finding]:
    """One column that goes the same way into fields of different sensitivity."""
    uses = _uses(contract, library)
    strictest = {(use.column, use.way): use for use in sorted(uses, key=_rank)}
    for use in uses:
        strict = strictest[use.column, use.way]
        if _rank(use) < _rank(strict):
            yield at(
                path, ("targets", use.target.format, "fields", use.field.name), "warning", "sensitivity",
                f"column {use.column} is {strict.field.sensitivity} as {marked(strict.field)} of "
                f"{strict.target.format}, and {use.field.sensitivity} as {marked(use.field)}",
                "correct the sensitivity in one of the two formats, or do not map it here",
            )  # fmt: skip


def _rank(use: _Use) -> int:
    return SENSITIVITIES.index(use.field.sensitivity)


def check_key_spaces(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """Of two datasets that give one national key, the store refuses the second for good.

    Two that feed one format must tell apart their keys by a constant, or a person says in ``beside`` that
    their records are never the same.
    """
    feeding: dict[str, list[tuple[Contract, Target]]] = {}
    for contract in library.contracts.values():
        for target in contract.targets:
            feeding.setdefault(target.format, []).append((contract, target))
    for full_id, every in feeding.items():
        names = [contract.id for contract, _ in every]
        for nth, (contract, target) in enumerate(every):
            place = ("targets", full_id)
            path = file_of(contract, folders)
            for wrong in sorted(set(target.beside) - set(names)):
                yield at(
                    path, (*place, "beside"), "error", "national_key",
                    f"{wrong} does not feed {full_id}", suggestion(wrong, names),
                )  # fmt: skip
            rivals = [
                other.id
                for other, theirs in every[:nth]
                if other.id not in target.beside
                and contract.id not in theirs.beside
                and not _apart(target, theirs, library.formats[full_id].key)
            ]
            if rivals:
                more = f" and {len(rivals) - 1} more" if len(rivals) > 1 else ""
                yield at(
                    path, place, "error", "national_key",
                    f"{rivals[0]}{more} may give the same national keys of {full_id}; the store refuses "
                    "whichever comes second",
                    f"if their records are never the same, say so: beside: [{', '.join(rivals[:3])}]",
                )  # fmt: skip


def check_ways_back(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """A system that an inbound contract takes nothing from must be there: a typo lets its changes return."""
    systems = sorted({contract.system for contract in library.contracts.values()})
    for contract in library.inbound:
        for nth, name in enumerate(contract.not_from):
            if name not in systems:
                yield at(
                    file_of(contract, folders), ("not_from", nth), "error", "way_back",
                    f"changes from there would be taken back: no contract of system {name}",
                    suggestion(name, systems),
                )  # fmt: skip


def check_values(library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """A text that nothing looks up or reads is hardly a code or a date; ``note`` says why it is one."""
    for contract in library.outbound:
        path = file_of(contract, folders)
        for target in contract.targets:
            for field in library.formats[target.format].fields:
                if rule := target.rules.get(field.name):
                    place: Place = ("targets", target.format, "fields", field.name)
                    yield from _unread(path, place, rule, field)


def _unread(path: Path, place: Place, rule: Rule, field: FormatField) -> Iterator[Finding]:
    if isinstance(rule, List):
        for item in (one for one in field.items if one.name in rule.fields):
            yield from _unread(path, (*place, "fields", item.name), rule.fields[item.name], item)
    elif rule.note:
        return
    elif isinstance(rule, When):
        for where, one in rule.rules():
            yield from _unread(path, (*place, *where), one, field)
    elif field.code_list and rule.rule in _TEXTS:
        text = f"a text that nothing looks up in {field.code_list}"
        yield at(
            path, place, "warning", "value", f"rule {rule.rule} gives {marked(field)} {text}",
            "use rule code or code_at, if the source has the codes themselves with by: [code]; or say in "
            "a note why each text is a code",
        )  # fmt: skip
    elif field.date_form and rule.rule in _TEXTS | _NO_DATES:
        yield at(
            path, place, "warning", "value",
            f"rule {rule.rule} gives {marked(field)} a text that nothing reads as a date",
            f"use rule date or moment; or say in a note why each text has the form {field.date_form}",
        )  # fmt: skip


def _apart(one: Target, other: Target, key: Sequence[str]) -> bool:
    """Whether some key field is another constant in each."""
    constants: list[Mapping[str, object]] = [
        {name: getattr(rule, "value", None) for name, rule in each.rules.items() if rule.rule == "constant"}
        for each in (one, other)
    ]
    mine, theirs = constants
    return any(name in mine and name in theirs and mine[name] != theirs[name] for name in key)


def marked(field: FormatField) -> str:
    """A field's name with the mark of how well it is known, unless it was read in its source."""
    return field.name if field.evidence == "V" else f"{field.name} [{field.evidence}]"
