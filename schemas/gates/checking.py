"""``lienthong contracts check``: everything that can be known to be wrong before a change goes through.

Reads each file on its own, so that one bad file hides no other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.contracts import Contract
from schemas.documents import Place
from schemas.errors import ContractError
from schemas.examples import check_examples
from schemas.formats import NationalFormat
from schemas.gates import compatibility, protection
from schemas.gates.compatibility import Level
from schemas.gates.findings import Finding, at, in_order, of_error
from schemas.library import SHIPPED, Library, examples_of, file_of, read_library
from schemas.mapping import Translator
from schemas.registry import FileRegistry, fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found, and what it looked at."""

    findings: Sequence[Finding]  #: by file and line
    library: Library  #: all that could be read


def check_library(folders: Sequence[Path], level: Level = "BACKWARD_TRANSITIVE") -> Checked:
    """Check the shipped library and the given folders. Never raises for what a file holds."""
    found: list[Finding] = []
    library = read_library(folders, lambda error: found.append(of_error(error, "file")))
    found = [_softened(one, found) for one in found]
    # What a registry that cannot be read would know is unknown, and not changed.
    if not any("/registry/" in one.path for one in found):
        found += _schemas(library, folders, level)
    for contract in library.contracts.values():
        found += _runs(contract, library, folders)
    for gate in (
        protection.check_keys_of_formats,
        protection.check_lists,
        protection.check_source_columns,
        protection.check_key_spaces,
        protection.check_ways_back,
        protection.check_values,
    ):
        found += [_softened(one, found) for one in gate(library, folders)]
    return Checked(findings=in_order(found), library=library)


def _softened(one: Finding, found: Sequence[Finding]) -> Finding:
    """A finding that only follows from another file that could not be read becomes a note."""
    for other in found:
        domain, entity, name = ("", "", "", *Path(other.path).parts)[-3:]
        names = (
            f"no national format {domain}.{entity}.{Path(name).stem}",
            f"no code list {Path(name).stem}",
            f"no contract of system {entity}",
        )
        if other is not one and one.text.endswith(names):
            text = f"not looked at: {one.text.rpartition(' ')[2]} could not be read"
            return replace(one, severity="note", text=text, next_step=f"correct {other.path} first")
    return one


def _schemas(library: Library, folders: Sequence[Path], level: Level) -> Iterator[Finding]:
    """The schemas of the library, and those that only the registry holds, against their earlier versions."""
    promised: list[Contract | NationalFormat] = [*library.outbound, *library.formats.values()]
    for one in promised:
        yield from _versions(one, library.registry, file_of(one, folders), level)
    for subject in sorted(set(library.registry.subjects) - {one.subject for one in promised}):
        *earlier, newest = library.registry.versions(subject)
        for nth, reason in compatibility.check(newest.schema, [one.schema for one in earlier], level):
            path = _registered(newest.id, folders)
            text = f"{'.'.join(reason.way)}: {reason.text} (schema id {earlier[nth].id} of {subject})"
            yield at(path, (), "error", "compatibility", text, "register a schema that reads older records")


def _registered(schema_id: int, folders: Sequence[Path]) -> Path:
    paths = [folder / "registry" / f"{schema_id}.avsc" for folder in (SHIPPED, *folders)]
    return next(path for path in paths if path.exists())


def _versions(
    one: Contract | NationalFormat, registry: FileRegistry, path: Path, level: Level
) -> Iterator[Finding]:
    schema = one.envelope_schema if isinstance(one, Contract) else one.wire_schema
    sha256 = fingerprint(schema)
    versions = registry.versions(one.subject)
    if not versions or versions[-1].sha256 != sha256:
        text = (
            f"the schema of {one.subject} has no id"
            if not versions
            else f"the schema of {one.subject} changed"
        )
        yield at(path, (), "warning", "registry", text, "run: lienthong contracts register")
    earlier = [version for version in versions if version.sha256 != sha256]
    told: dict[Place, Finding] = {}
    for nth, reason in compatibility.check(schema, [version.schema for version in earlier], level):
        place, next_step = _place(one, reason.way)
        name = reason.way[-1] if reason.way else "the record"
        text = f"{name}: {reason.text} (schema id {earlier[nth].id} of {one.subject})"
        told.setdefault((*place, nth), at(path, place, "error", "compatibility", text, next_step))
    yield from told.values()


def _place(one: Contract | NationalFormat, way: tuple[str, ...]) -> tuple[Place, str]:
    """Where the field at fault stands in the file, and what to do about it."""
    if isinstance(one, Contract):
        return ("columns", *way[-1:]), "keep the column as it was, and add the new one under another name"
    names = [field.name for field in one.fields]
    place: Place = ("fields", names.index(way[-1])) if way and way[-1] in names else ("fields",)
    return (
        place,
        f"keep this version as it was, and add formats/{one.domain}/{one.entity}/v{one.version + 1}.avsc",
    )


def _runs(contract: Contract, library: Library, folders: Sequence[Path]) -> Iterator[Finding]:
    """Whether the contract can be compiled, and its examples come true."""
    path = file_of(contract, folders)
    examples = examples_of(contract, folders)
    try:
        if examples.exists():
            for difference in check_examples(examples, contract, library):
                yield of_error(ContractError(difference, next_step=_EXAMPLE), "example")
            return
        Translator(contract, library)
        text = f"no examples: {examples.name} is missing"
        yield at(
            path, (), "warning", "example", text, "put source rows and what must become of them beside it"
        )
    except ContractError as error:
        one = of_error(error, "rule")
        yield one if one.path else replace(one, path=str(path))
    except (
        Exception
    ) as error:  # a rule of a province may raise anything; the other contracts are looked at all the same
        text = f"the rules or the examples cannot be run: {type(error).__name__}"
        yield at(path, (), "error", "rule", text, "take out what was changed last; tell who wrote the rule")


_EXAMPLE = "correct the example if the contract is right, or else the contract"
