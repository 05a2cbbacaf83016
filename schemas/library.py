"""The contract library: formats, contracts, code lists and registered schemas, shipped and a province's
own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from schemas.codefiles import load_code_list
from schemas.codelists import CodeList, CodeLists
from schemas.contracts import Contract, load_contract
from schemas.errors import ContractError
from schemas.formats import NationalFormat, load_format
from schemas.registry import FileRegistry

#: Where the library that this package ships lies.
SHIPPED = Path(str(files(__package__)))
#: Ends the name of a contract's examples, which lie beside it.
EXAMPLES = ".examples.yaml"

T = TypeVar("T")


@dataclass(frozen=True)
class Library:
    """Everything that is promised. Loaded whole or not at all."""

    formats: Mapping[str, NationalFormat]  #: by full id, ``hotich.khaisinh.v1``
    contracts: Mapping[str, Contract]  #: by id, ``hotich_qnam/khaisinh``
    codes: CodeLists
    registry: FileRegistry


def load_library(folders: Sequence[Path] = ()) -> Library:
    """Read the shipped library and, after it, the given folders; each has the same layout.

    A folder may hold ``formats/<domain>/<entity>/v<N>.avsc``, ``contracts/<system>/<dataset>.yaml``,
    ``codes/<list>.csv`` and ``registry/``. Raises ``ContractError`` with file, line and next step for the
    first thing wrong: a folder or file that cannot be read, a name given twice, or a contract that does not
    hold.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ContractError(
                f"{folder}: no such folder", next_step="correct LIENTHONG_CONTRACTS, or make the folder"
            )
    every = [SHIPPED, *folders]
    codes = CodeLists(
        _load(every, "codes", "*.csv", lambda path, _: load_code_list(path), lambda one: one.name)
    )
    _check_parents(codes, every)
    formats = {
        one.full_id: one for one in _load(every, "formats", "**/*.avsc", load_format, lambda one: one.full_id)
    }
    _check_lists(formats.values(), codes)
    contracts = {
        one.id: one
        for one in _load(
            every,
            "contracts",
            "**/*.yaml",
            lambda path, folder: load_contract(path, folder, formats, codes),
            lambda one: one.id,
        )
    }
    return Library(formats, contracts, codes, FileRegistry(every))


def _load(
    folders: Iterable[Path],
    kind: str,
    pattern: str,
    load: Callable[[Path, Path], T],
    name: Callable[[T], str],
) -> list[T]:
    """What ``load`` makes of each file of a kind. Raises ``ContractError`` if two files go by one name."""
    found: dict[str, tuple[Path, T]] = {}
    for folder in folders:
        for path in sorted((folder / kind).glob(pattern)):
            if path.name.endswith(EXAMPLES):
                continue
            one = load(path, folder / kind)
            if name(one) in found:
                raise ContractError(
                    f"{path}:1: {name(one)} is already in {found[name(one)][0]}",
                    next_step="give it another name; what is shipped is not replaced",
                )
            found[name(one)] = (path, one)
    return [one for _, one in found.values()]


def _check_parents(codes: CodeLists, folders: Sequence[Path]) -> None:
    """Each parent or district must be a code of its list. When it is valid does not matter."""
    for one in codes.values():
        for column in ("parent", "district"):
            parents = set(one.entries[column].drop_nulls())
            if parents and column not in one.head:
                text = f"the head does not name the {column} list"
                raise _at(one, folders, text, f"add a line `# {column}: <list>`")
            if column not in one.head:
                continue
            parent = codes.get(one.head[column])
            if parent is None:
                text = f"no code list {one.head[column]}"
                raise _at(one, folders, text, f"add the {column} list to the library")
            if unknown := parents - parent.codes:
                text = f"{column} {min(unknown)} is no code of {parent.name}"
                raise _at(one, folders, text, "add it there")


def _at(one: CodeList, folders: Sequence[Path], text: str, next_step: str) -> ContractError:
    path = next(path for folder in folders if (path := folder / "codes" / f"{one.name}.csv").exists())
    return ContractError(f"{path}:1: {text}", next_step=next_step)


def _check_lists(formats: Iterable[NationalFormat], codes: CodeLists) -> None:
    for national in formats:
        for field in national.fields:
            if field.code_list and field.code_list not in codes:
                raise ContractError(
                    f"{national.full_id}: field {field.name}: no code list {field.code_list}",
                    next_step=f"add codes/{field.code_list}.csv, or correct the field's code_list",
                )
