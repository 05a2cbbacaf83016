"""Code lists as files, ``codes/<name>.csv``: a head, and then a CSV table.

The head is ``# key: text`` lines: ``title``, ``source``, ``evidence``, and if need be ``note``, ``parent``,
``district`` (the lists that these columns name codes of), and ``gaps`` (codes that are known to have been out
of use for a time, with spaces between them). A key given twice goes on.

The table is ``code,name`` and any of ``other_names`` and ``aliases`` (joined with ``;``), ``parent``,
``district``, ``valid_from`` and ``valid_to`` (the first is in, the second out; empty is open), ``sentinel``
(``nothing``: the code says that nothing is known; ``other``: it is none of the others; neither is ever a
default), ``evidence`` (V, I or U of this row) and ``read_in`` (where the row was read).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from schemas.codelists import CodeList
from schemas.documents import read_text, suggestion
from schemas.errors import ContractError

HEAD_KEYS = ("title", "source", "evidence", "note", "parent", "district", "gaps")
COLUMNS = (
    *("code", "name", "other_names", "aliases", "parent", "district", "valid_from", "valid_to"),
    *("sentinel", "evidence", "read_in"),
)
#: What these columns may hold.
WORDS: Mapping[str, tuple[str, ...]] = {"sentinel": ("nothing", "other"), "evidence": ("V", "I", "U")}

_HEAD = re.compile(r"# ?([a-z]+): (.+)")


def load_code_list(path: Path) -> CodeList:
    """Read one list. Raises ``ContractError`` with file and line."""
    head, table, start = read_table(path, HEAD_KEYS, COLUMNS, ("code", "name"))
    return CodeList(path.stem, head, _Checking(path, start).checked(table, head.get("gaps", "").split()))


def read_table(
    path: Path, keys: tuple[str, ...], columns: tuple[str, ...], needed: tuple[str, ...]
) -> tuple[Mapping[str, str], pl.DataFrame, int]:
    """A file's head, its table as text with all ``columns``, and the line of the table's header.

    The columns ``needed`` are there and not empty. Raises ``ContractError`` with file and line.
    """
    text = read_text(path)
    head, start = _head(path, text, keys)
    try:
        table = pl.read_csv(
            text.encode(), skip_lines=start - 1, infer_schema=False, raise_if_empty=False, quote_char='"'
        )
    except pl.exceptions.PolarsError as error:
        told = str(error).splitlines()[0]
        raise _wrong(path, start, f"not a CSV table: {told}", "one row, one line") from None
    for column in table.columns:
        if column not in columns:
            raise _wrong(path, start, f"unknown column {column}", "known columns: " + ", ".join(columns))
    for column in needed:
        if column not in table.columns:
            raise _wrong(path, start, f"column {column} is missing", f"add {column}")
    absent = [pl.lit(None, pl.String).alias(column) for column in columns if column not in table.columns]
    table = table.with_columns(absent).select(columns)
    checking = _Checking(path, start)
    for column in needed:
        checking.refuse(table, pl.col(column).is_null(), f"{column} is empty", "fill it in")
    return head, table, start


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
    """The checks of a table whose header is on line ``start``."""

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self.start = start

    def refuse(self, table: pl.DataFrame, bad: pl.Expr, text: str, next_step: str) -> None:
        """Raise ``ContractError`` for the first bad row."""
        rows = table.select(bad.fill_null(value=False).arg_true()).to_series()
        if len(rows):
            raise _wrong(self.path, self.start + 1 + int(rows[0]), text, next_step)

    def checked(self, table: pl.DataFrame, gaps: list[str]) -> pl.DataFrame:
        """The table of a code list, typed."""
        for column in ("code", "name"):
            unclean = pl.col(column) != pl.col(column).str.normalize("NFC").str.strip_chars()
            self.refuse(
                table, unclean, f"the {column} is not clean text", "no blanks at its ends, Unicode NFC"
            )
        for column, words in WORDS.items():
            stranger = ~pl.col(column).is_in(words)
            self.refuse(table, stranger, f"{column} is none of its words", "use: " + ", ".join(words))
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
            self.refuse(
                table, day.is_null() & pl.col(column).is_not_null(), f"{column} is no date", "YYYY-MM-DD"
            )
            table = table.with_columns(day)
        return table

    def _check_times(self, table: pl.DataFrame, gaps: list[str]) -> None:
        """One meaning of a code ends where the next one begins, and each has its time."""
        self.refuse(
            table, pl.col("valid_to") <= pl.col("valid_from"), "it ends before it begins", "correct the dates"
        )
        if table["code"].n_unique() == len(table):
            return
        rows = table.select("code", "valid_from", "valid_to").with_row_index("at")
        rows = rows.sort("code", "valid_from", nulls_last=False)
        before = pl.col("valid_to").shift(1)
        again = pl.col("code") == pl.col("code").shift(1)
        overlap = again & (before.is_null() | (before > pl.col("valid_from")).fill_null(value=True))
        gap = again & (before < pl.col("valid_from")) & ~pl.col("code").is_in(gaps)
        found = rows.select("at", overlap=overlap, gap=gap).sort("at")
        self.refuse(
            found, pl.col("overlap"), "the code already has a meaning then", "end one before the other begins"
        )
        self.refuse(
            found,
            pl.col("gap"),
            "the code means nothing for a time before this line",
            "let it begin where the one before ends, or name the code in the head: # gaps: <code> …",
        )


def _wrong(path: Path, line: int, text: str, next_step: str) -> ContractError:
    return ContractError(f"{path}:{line}: {text}", next_step=next_step)
