"""How names and texts are written in SQL, equal in PostgreSQL and SQLite."""

# ruff: noqa: S608 - names from a contract go through name and text; nothing else varies

from collections.abc import Iterable

OUTBOX = "lienthong_outbox"
DATASETS = "lienthong_outbox_dataset"
SNAPSHOTS = "lienthong_outbox_snapshot"
LINES = "lienthong_outbox_lines"


def name(identifier: str) -> str:
    """A quoted identifier: exactly this name, whatever letters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"


def key_text(columns: Iterable[str]) -> str:
    """The SQL of a record's key as one text, from the SQL of its parts as texts.

    Joined with ``|``; ``%`` and ``|`` inside are percent-escaped, in a single part too, as in the mapping.
    """
    escaped = (f"replace(replace(coalesce({column}, ''), '%', '%25'), '|', '%7C')" for column in columns)
    return " || '|' || ".join(escaped)


def told(text_: str, avro: str) -> str:
    """The SQL of a column's text; booleans as words where the database has 0 and 1."""
    if avro != "boolean":
        return text_
    return f"CASE {text_} WHEN '1' THEN 'true' WHEN '0' THEN 'false' ELSE {text_} END"


def begin_anew(dataset: str, snapshots: str) -> str:
    """Let an unfinished snapshot begin anew: of what it has passed, changes may have been missed since.

    ``snapshots``: the table, quoted if need be.
    """
    return (
        f"UPDATE {snapshots} SET after_key = NULL, rows = 0 WHERE dataset = {text(dataset)} AND NOT finished"
    )
