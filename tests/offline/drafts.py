"""Sample databases on files, and drafts of their tables."""

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from producers.introspection import read_table
from schemas.drafting.drafts import Draft, draft_of
from schemas.library import Library, load_library
from tests.gates import LIBRARY
from tests.layouts.entries import Entry
from tests.layouts.layout import Layout

#: The share of right fields that issue 4 asks of every civil-status layout that was not tuned on.
PROMISED = 0.7


@cache
def library() -> Library:
    """The shipped one with one layout of births, so that a draft of them has one target; read once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("schemas.library.SHIPPED", LIBRARY)
        return load_library()


def made(folder: Path, *statements: str) -> str:
    """A database these statements make; its address."""
    connection = sqlite3.connect(folder / "made.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return f"sqlite:///{folder / 'made.db'}"


def fill(folder: Path, layout: Layout, entries: Iterable[Entry]) -> str:
    """A SQLite database with the layout's table and these entries; its address."""
    path = folder / "sample.db"
    marks = ", ".join("?" * len(layout.columns))
    connection = sqlite3.connect(path)
    connection.execute(layout.ddl())
    connection.executemany(f'INSERT INTO "{layout.table}" VALUES ({marks})', layout.rows(entries, seed=1))
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def right(draft: Draft, layout: Layout, full_id: str) -> float:
    """The share of the national fields that the table truly holds which are obtained from the very column."""
    assert [one.national.full_id for one in draft.targets] == [full_id]
    proposals, held = draft.targets[0].proposals, layout.truth
    return sum(name in proposals and proposals[name].column == held[name] for name in held) / len(held)


def drafted(folder: Path, layout: Layout, entries: Iterable[Entry], *, comments: bool = True) -> Draft:
    """The draft of such a table, held against the shipped library."""
    table = read_table(fill(folder, layout, entries), layout.table)
    if comments:  # SQLite has none
        pairs = zip(table.columns, layout.columns, strict=True)
        table = replace(table, columns=tuple(replace(one, comment=held.comment) for one, held in pairs))
    return draft_of(table, library(), name=("thu", "bang"))
