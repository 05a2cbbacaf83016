"""Does an agency's table hold what the contract says? Told by name, before anything is changed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from producers.outbox import Capture, Shape, Site
from schemas.contracts import Contract, LineSet
from schemas.errors import LienthongError
from schemas.library import Library

#: Types whose text is the same wherever it is printed; a key must be.
_KEY_TYPES = ("string", "long")


def choose(library: Library, site: Site, dataset: str | None) -> Contract:
    """The contract of a dataset; if none is named, the one whose table is in this database.

    Raises:
        LienthongError: there is no such contract, or none or several fit.
    """
    if dataset is not None:
        if dataset not in library.contracts:
            raise LienthongError(
                f"there is no contract {dataset} in the library",
                next_step=f"known: {', '.join(sorted(library.contracts)) or 'none'}; others come from"
                " the folders in LIENTHONG_CONTRACTS",
            )
        if library.contracts[dataset].source:
            raise LienthongError(
                f"{dataset} is inbound: it reads a national topic, and captures nothing",
                next_step=f"name another: {', '.join(sorted(one.id for one in library.outbound))}",
            )
        return library.contracts[dataset]
    fitting = [one for one in library.outbound if site.inspect(one.table) is not None]
    if len(fitting) == 1:
        return fitting[0]
    found = "the tables of " + ", ".join(one.id for one in fitting) if fitting else "no contract's table"
    raise LienthongError(
        f"this database has {found}",
        next_step="name the dataset: lienthong capture install <system>/<dataset>",
    )


def check(
    contract: Contract, shape: Shape | None, of_lines: Mapping[str, Shape | None] | None = None
) -> list[str]:
    """What else to tell. Raises ``LienthongError`` if the tables cannot be captured for this contract.

    Args:
        contract: what the tables must hold.
        shape: its table's.
        of_lines: those of its sets of lines, by name.
    """
    place = f"{contract.id}: table {contract.table}"
    shape = _held(shape, contract.table, contract.columns, place)
    _check_key(contract, shape, place)
    told = list(_extra(shape, contract.columns))
    for which, one in contract.lines.items():
        place = f"{contract.id}: table {one.table} of {which}"
        lines = _held((of_lines or {})[which], one.table, one.columns, place)
        _check_ways(one, lines, shape, place)
        told += [f"{which}: {note}" for note in _extra(lines, [*one.columns, *one.on, *one.order])]
        if not lines.indexed & one.on.keys():
            told.append(
                f"{which}: no index of {one.table} begins with {' or '.join(one.on)}: every change reads the"
                " whole table for the record's lines; add one"
            )
    return told


def _held(shape: Shape | None, table: str, columns: Mapping[str, str], place: str) -> Shape:
    """The shape of a table that is there and holds these columns."""
    if shape is None:
        raise LienthongError(
            f"{place} is not in this database",
            next_step="correct LIENTHONG_SOURCE, or the contract's table",
        )
    if shape.obstacle:
        raise LienthongError(f"{place} {shape.obstacle}", next_step="name another table in the contract")
    _check_there(columns, shape, place)
    unfit = [
        f"{column} is {shape.columns[column].declared} in the table and {avro} in the contract"
        for column, avro in columns.items()
        if avro not in shape.columns[column].feeds
    ]
    if unfit:
        raise LienthongError(
            f"{place}: column {'; '.join(unfit)}",
            next_step="correct the type in the contract; string holds every value",
        )
    return shape


def _check_there(columns: Collection[str], shape: Shape, place: str) -> None:
    if missing := [column for column in columns if column not in shape.columns]:
        raise LienthongError(
            f"{place} has no column {', '.join(missing)}{_alike(missing, shape)}",
            next_step="correct the columns in the contract, or add them to the table",
        )
    if unseen := [column for column in columns if not shape.columns[column].feeds]:
        raise LienthongError(
            f"{place}: column {', '.join(unseen)} is computed when it is read, which triggers do not see",
            next_step="make it STORED, or name in the contract the columns that it is computed from",
        )


def _check_ways(one: LineSet, lines: Shape, record: Shape, place: str) -> None:
    """Lines must find their record: by columns that are there and hold the same kind of values."""
    _check_there([*one.on, *one.order], lines, place)
    for line, column in one.on.items():
        here, there = lines.columns[line], record.columns[column]
        if here.feeds != there.feeds:
            raise LienthongError(
                f"{place}: {line} is {here.declared}, and {column} of the record is {there.declared}",
                next_step="name two columns of one type in the contract's on",
            )


def _extra(shape: Shape, named: Iterable[str]) -> Iterator[str]:
    extra = [column for column in shape.columns if column not in set(named)]
    if extra:
        yield f"not captured, for the contract does not name them: {', '.join(extra)}"
    yield from shape.notes


def definitions_agree(contract: Contract, installed: Capture) -> bool:
    """Whether the triggers were made for this contract's table, key and columns."""
    return Capture.of(contract).to_json() == installed.to_json()


def _check_key(contract: Contract, shape: Shape, place: str) -> None:
    for column in contract.key:
        if contract.columns[column] not in _KEY_TYPES:
            raise LienthongError(
                f"{place}: key column {column} is {contract.columns[column]} in the contract",
                next_step="give key columns the type string or long",
            )
    if not any(one <= set(contract.key) for one in shape.unique):
        key = ", ".join(contract.key)
        raise LienthongError(
            f"{place}: nothing keeps its key ({key}) unique and never null",
            next_step="add a primary key, or a unique index over columns that are NOT NULL (not deferrable)",
        )


def _alike(missing: Sequence[str], shape: Shape) -> str:
    """Columns of the same name in other letters: they are other columns."""
    folded = {column.casefold(): column for column in shape.columns}
    found = [folded[column.casefold()] for column in missing if column.casefold() in folded]
    return f" (it has {', '.join(found)})" if found else ""
