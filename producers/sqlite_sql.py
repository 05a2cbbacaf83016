"""The SQL that captures a table of an SQLite database: outbox and triggers.

Those on the tables of its lines are in ``sqlite_lines``.

SQLite fires triggers right after each row, but in no promised order, so here too ``after`` is what the
table holds by now. And ``INSERT OR REPLACE`` removes rows without firing any trigger: a BEFORE trigger puts
aside the rows that a new one collides with, and the AFTER trigger looks which of them are gone.
"""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

import json
from collections.abc import Mapping, Sequence
from typing import Any

from producers.outbox import Capture
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS, key_text, name, text
from schemas.contracts import LineSet

Unique = Sequence[Mapping[str, str]]  #: each unique index: column -> collation

#: SQLite allows a function 100 arguments: 50 columns, two each.
_COLUMNS_PER_OBJECT = 50


def trigger_names(capture: Capture) -> tuple[str, ...]:
    """Before and after insert, before and after update, after delete; before it too, if there are lines."""
    kinds = ["before_insert", "insert", "before_update", "update", "delete"]
    kinds += ["before_delete"] if capture.lines else []
    return tuple(f"lienthong_{capture.slug}_{kind}" for kind in kinds)


def replaced_table(capture: Capture) -> str:
    """Where colliding rows are put aside during one statement."""
    return f"lienthong_replaced_{capture.slug}"


def outbox_statements() -> list[str]:
    """The three tables, if they are not there."""
    return [
        f"CREATE TABLE IF NOT EXISTS {OUTBOX} (\n"
        "  id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
        "  dataset TEXT NOT NULL,\n"
        "  op TEXT NOT NULL,\n"
        "  key TEXT NOT NULL,\n"
        "  before TEXT,\n"
        "  after TEXT,\n"
        # Milliseconds since 1970; the Julian day of that moment is 2440587.5.
        "  changed_at INTEGER NOT NULL"
        " DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),\n"
        "  seq INTEGER,\n"
        "  published_at INTEGER\n"
        ")",
        f"CREATE INDEX IF NOT EXISTS {OUTBOX}_waiting ON {OUTBOX} (id) WHERE published_at IS NULL",
        f"CREATE INDEX IF NOT EXISTS {OUTBOX}_unnumbered ON {OUTBOX} (id) WHERE seq IS NULL",
        f"CREATE TABLE IF NOT EXISTS {DATASETS} (\n"
        "  dataset TEXT PRIMARY KEY NOT NULL,\n"
        "  definition TEXT NOT NULL,\n"
        "  sql_sha256 TEXT NOT NULL,\n"
        "  captured INTEGER NOT NULL,\n"
        "  next_seq INTEGER NOT NULL DEFAULT 1\n"
        ")",
        f"CREATE TABLE IF NOT EXISTS {SNAPSHOTS} (\n"
        "  dataset TEXT PRIMARY KEY NOT NULL,\n"
        "  after_key TEXT,\n"
        "  rows INTEGER NOT NULL,\n"
        "  finished INTEGER NOT NULL\n"
        ")",
    ]


def image(row: str, capture: Capture) -> str:
    """JSON of a row's captured columns and of its lines. What the contract calls a string is printed by the
    database.

    Doubles travel as text with 17 digits, for ``json_object`` would cut them to 15; and no BLOB may reach
    ``json_object``, which would end the clerk's statement with an error.
    """
    lines = [f"{text(at)}, json({lines_of(row, one)})" for at, one in capture.lines.items()]
    return _object([*_pairs(row, capture.columns), *lines])


def _object(pairs: Sequence[str]) -> str:
    objects = [
        f"json_object({', '.join(pairs[at : at + _COLUMNS_PER_OBJECT])})"
        for at in range(0, len(pairs), _COLUMNS_PER_OBJECT)
    ]
    joined = objects[0]
    for one in objects[1:]:
        joined = f"rtrim({joined}, '}}') || ',' || substr({one}, 2)"
    return joined


def lines_of(row: str, one: LineSet) -> str:
    """SQL of a record's lines, a JSON array. Those that the order leaves equal stand by their texts."""
    same = " AND ".join(f"l.{name(line)} = {row}.{name(column)}" for line, column in one.on.items())
    order = ", ".join([*(f"l.{name(column)}" for column in one.order), "line"])
    return (
        f"(SELECT json_group_array(json(x.line)) FROM (SELECT {_object(_pairs('l', one.columns))} AS line"
        f" FROM {name(one.table)} AS l WHERE {same} ORDER BY {order}) AS x)"
    )


def _pairs(row: str, columns: Mapping[str, str]) -> list[str]:
    return [_pair(row, *column) for column in columns.items()]


def _pair(row: str, column: str, avro: str) -> str:
    return f"{text(column)}, {printed(row, column, avro)}"


def printed(row: str, column: str, avro: str) -> str:
    """A column as it stands in an image."""
    value = f"{row}.{name(column)}"
    if avro == "string":
        return f"CAST({value} AS TEXT)"
    if avro == "double":
        return (
            f"CASE typeof({value}) WHEN 'real' THEN printf('%!.17g', {value})"
            f" WHEN 'blob' THEN CAST({value} AS TEXT) ELSE {value} END"
        )
    return f"CASE typeof({value}) WHEN 'blob' THEN CAST({value} AS TEXT) ELSE {value} END"


def key_of(row: str, capture: Capture) -> str:
    """The record's key as one text."""
    return key_text(f"CAST({row}.{name(column)} AS TEXT)" for column in capture.key)


def read_back(values: Sequence[Any]) -> tuple[str, list[Any]]:
    """A row value of what was read before, and its parameters.

    Text that is not UTF-8 was read with its bytes escaped, and must go back as those bytes.
    """
    marks, parameters = [], []
    for value in values:
        broken = isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)
        marks.append("CAST(? AS TEXT)" if broken else "?")
        parameters.append(value.encode("utf-8", "surrogateescape") if broken else value)
    return f"({', '.join(marks)})", parameters


def trigger_statements(capture: Capture, unique: Unique) -> list[str]:
    """The triggers of one table, in place of earlier ones of this dataset."""
    aside = name(replaced_table(capture))
    columns = ", ".join(f"k{at}" for at in range(len(capture.key)))
    made = dict(zip(trigger_names(capture), _triggers(capture, unique), strict=True))
    return [
        *drop_statements(capture),
        f"CREATE TABLE {aside} ({columns}, key TEXT, before TEXT)",
        *(f"CREATE TRIGGER {name(trigger)} {body}" for trigger, body in made.items()),
    ]


def drop_statements(capture: Capture) -> list[str]:
    """Everything of one dataset but its outbox rows and its counter."""
    triggers = [f"DROP TRIGGER IF EXISTS {name(one)}" for one in trigger_names(capture)]
    return [*triggers, f"DROP TABLE IF EXISTS {name(replaced_table(capture))}"]


def lacking(capture: Capture) -> str:
    """FROM and WHERE of the waiting outbox rows of which an image lacks a column."""

    def lacks(image: str) -> str:
        wanted = f"SELECT value FROM json_each({_names(capture)})"
        return f"({image} IS NOT NULL AND EXISTS ({wanted} EXCEPT SELECT key FROM json_each({image})))"

    return (
        f"{OUTBOX} WHERE published_at IS NULL AND dataset = {text(capture.dataset)}"
        f" AND ({lacks('before')} OR {lacks('after')})"
    )


def completion_statement(capture: Capture) -> str:
    """Give waiting rows every column of the dataset; what they do not carry is missing."""
    table, where = lacking(capture).split(" WHERE ", 1)

    def completed(image: str) -> str:
        found = f"json_each({_names(capture)}) AS c LEFT JOIN json_each({image}) AS j ON j.key = c.value"
        pairs = f"SELECT json_group_object(c.value, j.value) FROM {found}"
        return f"CASE WHEN {image} IS NOT NULL THEN ({pairs}) END"

    return f"UPDATE {table} SET before = {completed('before')}, after = {completed('after')} WHERE {where}"


def _names(capture: Capture) -> str:
    return text(json.dumps(capture.names, ensure_ascii=False))


def remember_statement(capture: Capture, sha256: str) -> str:
    """Note what is captured; the counter of a dataset that was captured before goes on."""
    return (
        f"INSERT INTO {DATASETS} (dataset, definition, sql_sha256, captured)"
        f" VALUES ({text(capture.dataset)}, {text(capture.to_json())}, {text(sha256)}, 1)"
        " ON CONFLICT (dataset) DO UPDATE SET definition = excluded.definition,"
        " sql_sha256 = excluded.sql_sha256, captured = 1"
    )


def _triggers(capture: Capture, unique: Unique) -> list[str]:
    table, aside = name(capture.table), name(replaced_table(capture))
    old, new = key_of("OLD", capture), key_of("NEW", capture)
    clear = f"DELETE FROM {aside};"
    removed = _removed_by_replace(capture)
    # The row itself may have been put aside: for its lines, or by the INSERT that the update stands in for.
    others = _removed_by_replace(capture, f" AND r.key <> {old}")
    old_row = _held_before(capture)
    new_row = f"""
  {_insert()} SELECT {text(capture.dataset)}, CASE WHEN r.before IS NULL THEN 'c' ELSE 'u' END,
    {new}, r.before, {image("t", capture)}
  FROM {table} AS t LEFT JOIN {aside} AS r ON r.key = {new}
  WHERE {_same("NEW", capture)} AND {key_of("t", capture)} = {new}"""
    return [
        _put_aside("INSERT", capture, unique),
        f"AFTER INSERT ON {table} BEGIN{removed}{new_row};\n  {clear}\nEND",
        _put_aside("UPDATE", capture, unique),
        f"AFTER UPDATE ON {table} BEGIN{others}{old_row}{new_row} AND {new} <> {old};\n  {clear}\nEND",
        f"AFTER DELETE ON {table} BEGIN{old_row}\n  {clear}\nEND",
        *([f"BEFORE DELETE ON {table} BEGIN\n  {clear}{_itself(capture)}\nEND"] if capture.lines else []),
    ]


def _itself(capture: Capture) -> str:
    """Remember the row with its lines, which a foreign key may delete or move before the AFTER trigger."""
    columns = ", ".join(f"OLD.{name(column)}" for column in capture.key)
    aside = name(replaced_table(capture))
    return f"\n  INSERT INTO {aside} SELECT {columns}, {key_of('OLD', capture)}, {image('OLD', capture)};"


def _insert() -> str:
    return f"INSERT INTO {OUTBOX} (dataset, op, key, before, after)"


def _same(row: str, capture: Capture) -> str:
    """Finds ``row`` by its key's index; the texts are compared besides, for collations fold case."""
    return " AND ".join(f"t.{name(column)} = {row}.{name(column)}" for column in capture.key)


def _held_before(capture: Capture) -> str:
    """What became of the record under the key it had; no row if nothing that is captured changed."""
    table, old, held = name(capture.table), key_of("OLD", capture), image("OLD", capture)
    if capture.lines:
        aside = f"SELECT r.before FROM {name(replaced_table(capture))} AS r WHERE r.key = {old}"
        held = f"coalesce(({aside}), {held})"
    return f"""
  {_insert()} SELECT {text(capture.dataset)}, CASE WHEN now IS NULL THEN 'd' ELSE 'u' END, {old}, held, now
  FROM (SELECT {held} AS held, (SELECT {image("t", capture)} FROM {table} AS t
    WHERE {_same("OLD", capture)} AND {key_of("t", capture)} = {old}) AS now)
  WHERE held IS NOT now;"""


def collisions(unique: Unique, row: str) -> str:
    """Whether a new row would take the place of the row ``row``."""
    return " OR ".join(
        "("
        + " AND ".join(
            f"{row}.{name(c)} = NEW.{name(c)} COLLATE {collation}" for c, collation in index.items()
        )
        + ")"
        for index in unique
    )


def _put_aside(kind: str, capture: Capture, unique: Unique) -> str:
    """A BEFORE trigger: remember the rows that the new one collides with, in case they are replaced."""
    table, aside = name(capture.table), name(replaced_table(capture))
    other = f" AND {key_of('t', capture)} <> {key_of('OLD', capture)}" if kind == "UPDATE" else ""
    where = f"FROM {table} AS t WHERE ({collisions(unique, 't')}){other}"
    columns = ", ".join(f"t.{name(column)}" for column in capture.key)
    itself = _itself(capture) if kind == "UPDATE" and capture.lines else ""
    when = "" if itself else f" WHEN EXISTS (SELECT 1 {where})"
    return f"""BEFORE {kind} ON {table}{when} BEGIN
  DELETE FROM {aside};
  INSERT INTO {aside} SELECT {columns}, {key_of("t", capture)}, {image("t", capture)} {where};{itself}
END"""


def _removed_by_replace(capture: Capture, besides: str = "") -> str:
    """Rows put aside that are no longer there; that of the new row's own key is its ``before`` instead."""
    table, aside = name(capture.table), name(replaced_table(capture))
    same = " AND ".join(f"t.{name(column)} = r.k{at}" for at, column in enumerate(capture.key))
    return f"""
  {_insert()} SELECT {text(capture.dataset)}, 'd', r.key, r.before, NULL FROM {aside} AS r
  WHERE r.key <> {key_of("NEW", capture)}{besides}
    AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same} AND {key_of("t", capture)} = r.key);"""
