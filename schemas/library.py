"""The contract library: formats, contracts, code lists and registered schemas, shipped and a province's
own.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import TypeVar

import polars as pl

from schemas.codefiles import line_of, load_code_list, load_successors, together
from schemas.codelists import CodeList, CodeLists
from schemas.contract_files import load_contract
from schemas.contracts import Contract
from schemas.documents import read_document, suggestion
from schemas.errors import ContractError, Report, SettingsError, raise_it
from schemas.formats import NationalFormat, load_format, told_in
from schemas.registry import FileRegistry
from schemas.rings import ring
from schemas.rules.added import load_added

#: Where the library that this package ships lies.
SHIPPED = Path(str(files(__package__)))
#: Ends the name of a contract's examples, which lie beside it.
EXAMPLES = ".examples.yaml"
#: How the files of a folder end, and endings that people mean the same by.
_ENDINGS = {
    "codes": (".csv", re.compile(r"\.csv(\.txt)?$", re.IGNORECASE)),
    "formats": (".avsc", re.compile(r"\.avsc(\.txt)?$", re.IGNORECASE)),
    "contracts": (".yaml", re.compile(r"\.ya?ml(\.txt)?$", re.IGNORECASE)),
}

T = TypeVar("T")


@dataclass(frozen=True)
class Library:
    """Everything that is promised. Loaded whole or not at all."""

    formats: Mapping[str, NationalFormat]  #: by full id, ``hotich.khaisinh.v1``
    contracts: Mapping[str, Contract]  #: by id, ``hotich_qnam/khaisinh``
    codes: CodeLists
    registry: FileRegistry

    @property
    def outbound(self) -> Sequence[Contract]:
        """The contracts of datasets that are captured in a province."""
        return [one for one in self.contracts.values() if one.source is None]

    @property
    def inbound(self) -> Sequence[Contract]:
        """The contracts that bring what a national format's topic says back to a province."""
        return [one for one in self.contracts.values() if one.source is not None]


def load_library(folders: Sequence[Path] = ()) -> Library:
    """Read the shipped library and, after it, the given folders; each has the same layout.

    A folder may hold ``formats/<domain>/<entity>/v<N>.avsc``, ``contracts/<system>/<dataset>.yaml``,
    ``codes/<list>.csv``, ``codes/successors/<list>.csv`` and ``registry/``. Raises ``ContractError`` with
    file, line and next step for the first thing wrong: a folder or file that cannot be read, a name given
    twice, or a contract that does not hold; ``LienthongError`` for a rule that another package adds badly.
    """
    return read_library(folders, raise_it)


def read_library(folders: Sequence[Path], report: Report) -> Library:
    """``load_library`` that tells ``report`` of each file it has to do without, and goes on if that returns.

    For looking at a library, never for a road: what hangs on a file left out is left out and told as well.
    """
    load_added()
    every = [SHIPPED]
    for folder in folders:
        try:
            any(folder.iterdir())  # a folder without rights would seem empty
        except (FileNotFoundError, NotADirectoryError):
            text, next_step = f"{folder}:1: no such folder", "correct LIENTHONG_CONTRACTS, or make the folder"
            report(ContractError(text, next_step=next_step))
        except OSError as error:
            next_step = "correct LIENTHONG_CONTRACTS, or the folder's rights"
            report(ContractError(f"{folder}:1: {error.strerror}", next_step=next_step))
        else:
            every.append(folder)
    _check_endings(every, report)
    reading = _Reading(every, report)
    codes = CodeLists(
        reading.load("codes", "*.csv", lambda path, _: load_code_list(path), lambda one: one.name)
    )
    _check_parents(codes, every, report)
    successors = reading.load("codes/successors", "*.csv", lambda path, _: load_successors(path), str)
    codes = together(codes, successors, report)
    formats = {
        one.full_id: one for one in reading.load("formats", "**/*.avsc", load_format, lambda one: one.full_id)
    }
    _check_lists(formats.values(), codes, every, report)
    _check_books(formats, every, report)
    contracts = {
        one.id: one
        for one in reading.load(
            "contracts",
            "**/*.yaml",
            lambda path, folder: load_contract(path, folder, formats, codes),
            lambda one: one.id,
        )
    }
    _check_ways_back(contracts, every, report)
    return Library(formats, contracts, codes, FileRegistry(every, report))


def fingerprints(library: Library, folders: Sequence[Path]) -> dict[str, str]:
    """For each contract, one of all that its translation follows: itself, its formats, every code list.

    ``folders``: those that the library was read from.
    """
    lists = [file_of(one, folders) for one in library.codes.values()]
    lists += [path for folder in (SHIPPED, *folders) for path in folder.glob("codes/successors/*.csv")]
    codes = b"".join(sha256(path.read_bytes()).digest() for path in sorted(lists))
    found: dict[str, str] = {}
    for contract in library.contracts.values():
        names = [target.format for target in contract.targets] + (
            [contract.source] if contract.source else []
        )
        formats = [library.formats[name] for name in names]
        files = [file_of(contract, folders), *(file_of(one, folders) for one in formats)]
        own = b"".join(sha256(path.read_bytes()).digest() for path in files)
        found[contract.id] = sha256(codes + own).hexdigest()
    return found


def fingerprint_of(taken: Mapping[str, str]) -> str:
    """One for a whole library. ``taken``: of ``fingerprints``."""
    return sha256(repr(sorted(taken.items())).encode()).hexdigest()[:16]


def changed_since(library: Library, folders: Sequence[Path], taken: Mapping[str, str]) -> list[str]:
    """Ids of contracts whose files say something else by now than when the library was read, or are new.

    ``taken``: its ``fingerprints`` when it was read.
    """
    try:
        now = fingerprints(library, folders)
    except (OSError, StopIteration):  # a file is gone, or is being replaced
        return sorted(library.contracts)
    there = {
        path.relative_to(folder / "contracts").with_suffix("").as_posix()
        for folder in (SHIPPED, *folders)
        for path in folder.glob("contracts/**/*.yaml")
        if not path.name.endswith(EXAMPLES)
    }
    changed = {name for name, one in now.items() if one != taken[name]}
    return sorted(changed | there - library.contracts.keys())


def file_of(one: Contract | NationalFormat | CodeList, folders: Sequence[Path]) -> Path:
    """The file that something of the library was read from. ``folders``: a province's own."""
    if isinstance(one, Contract):
        place = f"contracts/{one.id}.yaml"
    elif isinstance(one, NationalFormat):
        place = f"formats/{one.domain}/{one.entity}/v{one.version}.avsc"
    else:
        place = f"codes/{one.name}.csv"
    return next(path for folder in (SHIPPED, *folders) if (path := folder / place).exists())


def find_contract(library: Library, name: str) -> Contract:
    """The contract ``<system>/<dataset>``. Raises ``SettingsError`` with the names that come close."""
    if name not in library.contracts:
        raise SettingsError(f"no contract {name}", next_step=suggestion(name, sorted(library.contracts)))
    return library.contracts[name]


def contracts_of(library: Library, system: str, dataset: str | None = None) -> list[Contract]:
    """The contracts of a system, or the one of this dataset, by id.

    Raises ``SettingsError`` with the names that come close if there is none.
    """
    mine = [one for _, one in sorted(library.contracts.items()) if one.system == system]
    if not mine:
        systems = sorted({one.system for one in library.contracts.values()})
        raise SettingsError(f"no contract of a system {system}", next_step=suggestion(system, systems))
    if dataset is None:
        return mine
    if not any(one.dataset == dataset for one in mine):
        known = [one.dataset for one in mine]
        raise SettingsError(f"no contract {system}/{dataset}", next_step=suggestion(dataset, known))
    return [one for one in mine if one.dataset == dataset]


def examples_of(contract: Contract, folders: Sequence[Path]) -> Path:
    """Where the examples of a contract lie, whether it has any or not."""
    return file_of(contract, folders).with_name(f"{contract.dataset}{EXAMPLES}")


class _Reading:
    """The files of some folders on their way in."""

    def __init__(self, folders: Iterable[Path], report: Report) -> None:
        self._folders = folders
        self._report = report

    def load(
        self, kind: str, pattern: str, load: Callable[[Path, Path], T], name: Callable[[T], str]
    ) -> list[T]:
        """What ``load`` makes of each file of a kind; of two files that go by one name, the first."""
        found: dict[str, tuple[Path, T]] = {}
        for folder in self._folders:
            for path in sorted((folder / kind).glob(pattern)):
                if path.name.endswith(EXAMPLES):
                    continue
                try:
                    one = _loaded(load, path, folder / kind)
                    if name(one) in found:
                        raise ContractError(
                            f"{path}:1: {name(one)} is already in {found[name(one)][0]}",
                            next_step="give it another name; what is shipped is not replaced",
                        )
                except ContractError as error:
                    self._report(error)
                else:
                    found[name(one)] = (path, one)
        return [one for _, one in found.values()]


def _check_endings(folders: Iterable[Path], report: Report) -> None:
    """A file that ends nearly as it should, and a folder without rights, are passed over without a word.

    Anything else may lie there: a README, hidden files, what an editor keeps.
    """

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            text, next_step = f"{error.filename}:1: {error.strerror}", "check the folder and its rights"
            report(ContractError(text, next_step=next_step))

    for folder, (kind, (ending, alike)) in product(folders, _ENDINGS.items()):
        for place, inner, names in os.walk(folder / kind, onerror=unreadable):
            inner[:] = sorted(one for one in inner if not one.startswith("."))
            for name in sorted(one for one in names if not one.startswith(".")):
                found = alike.search(name)
                if found and found[0] != ending:
                    text = f"{Path(place, name)}:1: the name ends with {found[0]}, so nobody reads the file"
                    report(ContractError(text, next_step=f"let it end with {ending}, or take it away"))


def _loaded(load: Callable[[Path, Path], T], path: Path, folder: Path) -> T:
    try:
        return load(path, folder)
    except ContractError:
        raise
    except Exception as error:  # whatever people write into a file, they are told the file
        raise ContractError(
            f"{path}:1: cannot be read: {type(error).__name__}",
            next_step="correct what was changed last; please tell the developers, who did not foresee it",
        ) from error


def _check_parents(codes: CodeLists, folders: Sequence[Path], report: Report) -> None:
    """Each parent or district must be a code of its list. When it is valid does not matter."""
    for one in codes.values():
        for column in ("parent", "district"):
            parents = set(one.entries[column].drop_nulls())
            name = one.head.get(column)
            if name is None:
                if parents:
                    text = f"the head does not name the {column} list"
                    report(_at(one, folders, text, f"add a line `# {column}: <list>`"))
            elif name not in codes:
                text = f"no code list {name}"
                report(_at(one, folders, text, f"add the {column} list to the library"))
            elif unknown := parents - codes[name].codes:
                text = f"{column} {min(unknown)} is no code of {name}"
                report(_at(one, folders, text, "add it there", pl.col(column) == min(unknown)))
    _check_rings(codes, folders, report)


def _check_rings(codes: CodeLists, folders: Sequence[Path], report: Report) -> None:
    """A list may hold its own codes' parents; else parents are above, and nothing is above itself."""
    above = {one.name: [one.head["parent"]] for one in codes.values() if "parent" in one.head}
    own = [name for name, parent in above.items() if parent == [name]]
    if found := ring({name: parent for name, parent in above.items() if name not in own}):
        text = f"these lists are each other's parents: {' -> '.join(found)}"
        report(_at(codes[found[0]], folders, text, "let one of them have no parent"))
    for one in (codes[name] for name in own if not codes[name].dated):
        pairs = one.entries.select("code", "parent").drop_nulls()
        if found := ring({code: [parent] for code, parent in pairs.iter_rows()}):
            text = f"these codes are each other's parents: {' -> '.join(found)}"
            report(_at(one, folders, text, "let one have no parent", pl.col("code") == found[0]))


def _check_ways_back(contracts: Mapping[str, Contract], folders: Sequence[Path], report: Report) -> None:
    """Inbound contracts must not feed each other in a ring: a change would go round for ever."""
    inbound = [one for one in contracts.values() if one.source]
    ways: dict[str, list[str]] = {}
    for one in inbound:
        ways.setdefault(str(one.source), []).extend(target.format for target in one.targets)
    if found := ring(ways):
        text = f"changes would go round for ever: {' -> '.join(found)}"
        last = next(one for one in inbound if one.source in found)
        document = read_document(file_of(last, folders))
        report(document.error(("source", "format"), text, "let one of these formats not be read again"))


def _at(
    one: CodeList, folders: Sequence[Path], text: str, next_step: str, row: pl.Expr | None = None
) -> ContractError:
    path, line = file_of(one, folders), 1
    if row is not None:
        line = line_of(path, int(one.entries.select(row.arg_max()).item()))
    return ContractError(f"{path}:{line}: {text}", next_step=next_step)


def _check_lists(
    formats: Iterable[NationalFormat], codes: CodeLists, folders: Sequence[Path], report: Report
) -> None:
    for national in formats:
        for place, field in told_in(national.fields):
            if field.code_list and field.code_list not in codes:
                text = f"{national.full_id}: field {field.name}: no code list {field.code_list}"
                next_step = f"add codes/{field.code_list}.csv, or correct the field's code_list"
                document = read_document(file_of(national, folders))
                report(document.error((*place, "code_list"), text, next_step))


def _check_books(formats: Mapping[str, NationalFormat], folders: Sequence[Path], report: Report) -> None:
    """The format of the books must be there, with the key that entries name a book by."""
    for national in formats.values():
        running = national.running
        if running is None or running.books is None:
            continue
        books = formats.get(running.books.format)
        if books is None or books.key != running.within:
            text = f"no format {running.books.format} with the key {', '.join(running.within)}"
            next_step = "name the format of the books, by the same key fields in the same order"
        else:
            known = sorted(field.name for field in books.fields)
            unknown = [name for name in (running.books.first, running.books.last) if name not in known]
            if not unknown:
                continue
            text = f"{books.full_id} has no field {unknown[0]}"
            next_step = suggestion(unknown[0], known)
        report(read_document(file_of(national, folders)).error(("running", "books"), text, next_step))
