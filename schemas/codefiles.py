"""Code lists as files, ``codes/<name>.csv``: a head, and then a CSV table.

The head is ``# key: text`` lines: ``title``, ``source``, ``evidence``, and if need be ``note``, ``parent``,
``district`` (the lists that these columns name codes of), ``gaps`` (codes that are known to have been out of
use for a time, with spaces between them), ``types`` (see ``codenames``), and ``below`` (a regular expression
for codes of units below those of the list, with one group for the list's own code). A key given twice goes
on.

The table is ``code,name`` and any of ``other_names`` and ``aliases`` (joined with ``;``), ``parent``,
``district``, ``valid_from`` and ``valid_to`` (the first is in, the second out; empty is open), ``sentinel``
(``nothing``: the code says that nothing is known; ``other``: it is none of the others; neither is ever a
default), ``evidence`` (V, I or U of this row) and ``read_in`` (where the row was read).

What became of units is in ``codes/successors/<name>.csv``: ``code,successor,on``, the code of the day before
``on``, and a code its unit has from that day; several lines if it was divided.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path

import polars as pl

from schemas.codelists import NO_SUCCESSORS, CodeList, CodeLists
from schemas.codenames import folded
from schemas.documents import read_text, suggestion
from schemas.errors import ContractError, Report
from schemas.formats import is_expression

HEAD_KEYS = ("title", "source", "evidence", "note", "parent", "district", "gaps", "types", "below")
COLUMNS = (
    *("code", "name", "other_names", "aliases", "parent", "district", "valid_from", "valid_to"),
    *("sentinel", "evidence", "read_in"),
)
#: What these columns may hold.
WORDS: Mapping[str, tuple[str, ...]] = {"sentinel": ("nothing", "other"), "evidence": ("V", "I", "U")}

_HEAD = re.compile(r"# ?([a-z]+): (.+)")


#: The columns that name codes of lists above, the lower ones first.
ABOVE = ("district", "parent")


@dataclass(frozen=True)
class SuccessorsFile:
    """What became of the units of one list, as it was read, alone."""

    path: Path
    rows: pl.DataFrame  #: code, successor (String), on (Date)

    @property
    def name(self) -> str:
        """The list's."""
        return self.path.stem


def load_code_list(path: Path) -> CodeList:
    """Read one list. Raises ``ContractError`` with file and line."""
    head, table = read_table(path, HEAD_KEYS, COLUMNS, ("code", "name"))
    _check_below(path, head)
    return CodeList(path.stem, head, _Checking(path).checked(table, head.get("gaps", "").split()))


def load_successors(path: Path) -> SuccessorsFile:
    """Read what became of the units of one list. Raises ``ContractError`` with file and line."""
    needed = tuple(NO_SUCCESSORS.columns)
    _, table = read_table(path, ("title", "source", "evidence", "note"), needed, needed)
    checking = _Checking(path)
    checking.refuse(table, (pl.struct(needed).is_duplicated(), "it is told twice", "take one away"))
    return SuccessorsFile(path, checking.days(table, "on"))


def together(lists: CodeLists, files: Sequence[SuccessorsFile], report: Report) -> CodeLists:
    """The lists with what they say of each other; ``report`` is told of each file that must be left out."""
    told: dict[str, pl.DataFrame] = {}
    for file in files:
        try:
            _check_successors(file, lists, told)
        except ContractError as error:
            report(error)
        else:
            told[file.name] = pl.concat([told.get(file.name, NO_SUCCESSORS), file.rows])
    return CodeLists(
        replace(
            one,
            above=tuple(
                (column, lists[one.head[column]]) for column in ABOVE if one.head.get(column) in lists
            ),
            successors=told.get(one.name, NO_SUCCESSORS),
        )
        for one in lists.values()
    )


def _check_successors(
    file: SuccessorsFile, lists: Mapping[str, CodeList], told: Mapping[str, pl.DataFrame]
) -> None:
    """The codes must be those of the days before and after, and no other file may tell of them."""
    if file.name not in lists:
        next_step = "name the file like its list: " + suggestion(file.name, sorted(lists))
        raise _wrong(file.path, 1, f"no code list {file.name}", next_step)
    checking, rows = _Checking(file.path), file.rows
    entries = lists[file.name].entries.select("code", "valid_from", "valid_to")
    begun, ended = pl.col("valid_from") < pl.col("on"), pl.col("valid_to") < pl.col("on")
    before = _that_hold(rows, entries, "code", begun, ended)
    begun, ended = pl.col("valid_from") <= pl.col("on"), pl.col("valid_to") <= pl.col("on")
    then = _that_hold(rows, entries, "successor", begun, ended)
    checking.refuse(
        rows,
        (~before, f"{file.name} has no such code on the day before", "correct code or day"),
        (~then, f"{file.name} has no such successor on that day", "correct code or day"),
    )
    if file.name in told:
        both = rows.join(told[file.name], on=["code", "on"], how="semi")
        again = pl.struct("code", "on").is_in(both.select(pl.struct("code", "on")).to_series().implode())
        checking.refuse(rows, (again, "another file tells what becomes of it that day", "tell it once"))


def _that_hold(
    rows: pl.DataFrame, entries: pl.DataFrame, column: str, begun: pl.Expr, ended: pl.Expr
) -> pl.Expr:
    """Whether the code in a column of each row has an entry that has begun and has not ended."""
    found = rows.with_row_index("at").join(entries, left_on=column, right_on="code")
    found = found.filter(begun.fill_null(value=True), ~ended.fill_null(value=False))
    return pl.int_range(pl.len(), dtype=pl.UInt32).is_in(found["at"].unique().implode())


def _check_below(path: Path, head: Mapping[str, str]) -> None:
    if "below" not in head:
        return
    whole = f"^(?:{head['below']})$"  # as it is looked for
    if not is_expression(whole) or re.compile(whole).groups != 1:
        text = "below is no regular expression with one group"
        raise _wrong(path, 1, text, "group the list's own code: [0-9]{3}\\.([A-Z][0-9]{2})")


def read_table(
    path: Path, keys: tuple[str, ...], columns: tuple[str, ...], needed: tuple[str, ...]
) -> tuple[Mapping[str, str], pl.DataFrame]:
    """A file's head, and its table as text with all ``columns``.

    The columns ``needed`` are there and not empty. Raises ``ContractError`` with file and line.
    """
    text = read_text(path)
    head, start = _head(path, text, keys)
    try:
        table = pl.read_csv(
            text.encode(), skip_lines=start - 1, infer_schema=False, raise_if_empty=False, quote_char='"'
        )
    except pl.exceptions.PolarsError as error:
        line, told = _too_wide(text, start) or (start, str(error).splitlines()[0])
        next_step = "one row, one line; a text with a comma stands in quotes"
        raise _wrong(path, line, f"not a CSV table: {told}", next_step) from None
    for column in table.columns:
        if column not in columns:
            raise _wrong(path, start, f"unknown column {column}", "known columns: " + ", ".join(columns))
    for column in needed:
        if column not in table.columns:
            raise _wrong(path, start, f"column {column} is missing", f"add {column}")
    absent = [pl.lit(None, pl.String).alias(column) for column in columns if column not in table.columns]
    table = table.with_columns(absent).select(columns)
    empty = [(pl.col(column).is_null(), f"{column} is empty", "fill it in") for column in needed]
    _Checking(path).refuse(table, *empty)
    return head, table


def line_of(path: Path, row: int) -> int:
    """The line on which a row of a file's table begins: a cell may have several."""
    lines = read_text(path).split("\n")
    above = sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    rows = csv.reader(f"{line}\n" for line in lines[above:])
    with suppress(csv.Error):
        for _ in islice(rows, row + 1):  # the header, and the rows before
            pass
    return above + rows.line_num + 1


def _too_wide(text: str, start: int) -> tuple[int, str] | None:
    """Line of the first row with more fields than the header, and what to say of it. Polars tells no line."""
    rows = csv.reader(f"{line}\n" for line in text.split("\n")[start - 1 :])
    width, above = 0, start
    try:
        for row in rows:
            width = width or len(row)
            if len(row) > width:
                return above, f"the row has {len(row)} fields, the header {width}"
            above = start + rows.line_num
    except csv.Error:
        pass
    return None


def _head(path: Path, text: str, keys: tuple[str, ...]) -> tuple[Mapping[str, str], int]:
    """The head, and the line after it."""
    head: dict[str, str] = {}
    at = 0
    while text.startswith("#", at):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        said = _HEAD.fullmatch(text, at, end)
        line = text.count("\n", 0, at) + 1
        if said is None:
            raise _wrong(path, line, "a head line is `# key: text`", "keys: " + ", ".join(keys))
        if said[1] not in keys:
            raise _wrong(path, line, f"the head has no key {said[1]}", suggestion(said[1], list(keys)))
        head[said[1]] = f"{head[said[1]]} {said[2]}" if said[1] in head else said[2]
        at = end + 1
    for key in ("title", "source", "evidence"):
        if key not in head:
            raise _wrong(path, 1, f"the head does not tell the list's {key}", f"add a line `# {key}: …`")
    return head, text.count("\n", 0, at) + 1


class _Checking:
    """The checks of a file's table."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refuse(self, table: pl.DataFrame, *bad: tuple[pl.Expr, str, str]) -> None:
        """Raise ``ContractError`` for the first row that is bad, of the first rule that finds one.

        ``bad``: which rows are, what is wrong with them, and the next step.
        """
        rows = [rule.fill_null(value=False).arg_true().first() for rule, _, _ in bad]
        found = table.select(row.alias(str(at)) for at, row in enumerate(rows)).row(0)
        for row, (_, text, next_step) in zip(found, bad, strict=True):
            if row is not None:
                raise _wrong(self.path, line_of(self.path, int(row)), text, next_step)

    def checked(self, table: pl.DataFrame, gaps: list[str]) -> pl.DataFrame:
        """The table of a code list, typed."""
        table = table.with_columns(_several(pl.col(column)) for column in ("other_names", "aliases"))
        next_step = "no blanks at its ends, no other white space, Unicode NFC"
        bad = [
            (_unclean(pl.col("code")), "the code is not clean text", next_step),
            (_unclean(pl.col("name")) | _nameless(pl.col("name")), "the name is not clean text", next_step),
        ]
        for column in ("other_names", "aliases"):
            each = _unclean(pl.element()) | _nameless(pl.element())
            unclean = pl.col(column).str.split(";").list.eval(each).list.any()
            bad.append((unclean, f"its {column} are not all clean text", f"one ; between two; {next_step}"))
        for column, words in WORDS.items():
            stranger = ~pl.col(column).is_in(words)
            bad.append((stranger, f"{column} is none of its words", "use: " + ", ".join(words)))
        self.refuse(table, *bad)
        table = self.days(table, "valid_from", "valid_to")
        self._check_times(table, gaps)
        return table

    def days(self, table: pl.DataFrame, *columns: str) -> pl.DataFrame:
        """The table with these columns as dates."""
        for column in columns:
            if table[column].null_count() == len(table):
                table = table.with_columns(pl.col(column).cast(pl.Date))
                continue
            day = pl.col(column).str.to_date("%Y-%m-%d", strict=False)
            bad = day.is_null() & pl.col(column).is_not_null()
            self.refuse(table, (bad, f"{column} is no date", "YYYY-MM-DD"))
            table = table.with_columns(day)
        return table

    def _check_times(self, table: pl.DataFrame, gaps: list[str]) -> None:
        """One meaning of a code ends where the next one begins, and each has its time."""
        backwards = pl.col("valid_to") <= pl.col("valid_from")
        self.refuse(table, (backwards, "it ends before it begins", "correct the dates"))
        if table["code"].n_unique() == len(table):
            return
        rows = table.select("code", "valid_from", "valid_to").with_row_index("at")
        rows = rows.sort("code", "valid_from", nulls_last=False, maintain_order=True)
        before = pl.col("valid_to").shift(1)
        again = pl.col("code") == pl.col("code").shift(1)
        overlap = again & (before.is_null() | (before > pl.col("valid_from")).fill_null(value=True))
        gap = again & (before < pl.col("valid_from")) & ~pl.col("code").is_in(gaps)
        found = rows.select("at", overlap=overlap, gap=gap).sort("at")
        self.refuse(
            found,
            (pl.col("overlap"), "the code already has a meaning then", "end one before the other begins"),
            (
                pl.col("gap"),
                "the code means nothing for a time before this line",
                "let it begin where the one before ends, or name the code in the head: # gaps: <code> …",
            ),
        )


def _several(texts: pl.Expr) -> pl.Expr:
    """Several texts in one cell, without blanks round them; null if there is none."""
    close = texts.str.replace_all(" *; *", ";").str.strip_chars(" ")
    return pl.when(close != "").then(close).alias(texts.meta.output_name())


def _unclean(text: pl.Expr) -> pl.Expr:
    """Whether no cleaned text is this one."""
    spaced = text.str.normalize("NFC").str.replace_all(r"\s+", " ").str.strip_chars(" ")
    return (text != spaced) | (text == "")


def _nameless(text: pl.Expr) -> pl.Expr:
    """Whether nothing is left of it when names are compared: it would be the name of every dash."""
    return folded(text) == ""


def _wrong(path: Path, line: int, text: str, next_step: str) -> ContractError:
    return ContractError(f"{path}:{line}: {text}", next_step=next_step)
