"""The SQL that captures the lines of a record in SQLite: rows of other tables that belong to it.

A change of a line is a change of its record: ``u``, with the lines as they were and as they are. A BEFORE
trigger puts aside what the records concerned are, the old record and the new one of a line that moves, and
those whose lines a REPLACE removes without firing any trigger. What is told does not hang on it: a vendor's
own trigger may have cleared it in between, and then only ``before`` is missing. A line whose record is not
there, not yet or no longer, tells nothing: the record's own change tells its lines.
"""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

from collections.abc import Iterator, Mapping

from producers.outbox import Capture
from producers.sql import OUTBOX, name, text
from producers.sqlite_sql import Unique, collisions, image, key_of
from schemas.contracts import LineSet

_KINDS = ("before_insert", "insert", "before_update", "update", "before_delete", "delete")
#: What a statement knows of the line: as it was, as it will be.
_ROWS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}


def line_triggers(capture: Capture) -> list[tuple[str, str]]:
    """The triggers of all sets of lines: name and table."""
    every = enumerate(capture.lines.values())
    return [(trigger, one.table) for at, one in every for trigger in _names(capture, at)]


def line_statements(capture: Capture, unique: Mapping[str, Unique]) -> list[str]:
    """The triggers of all sets of lines, in place of earlier ones. ``unique``: of each set's table."""
    statements = drop_lines(capture)
    columns = ", ".join(f"k{at}" for at in range(len(capture.key)))
    for at, (which, one) in enumerate(capture.lines.items()):
        statements.append(f"CREATE TABLE {_aside(capture, at)} ({columns}, key TEXT, before TEXT)")
        bodies = _triggers(capture, at, one, unique[which])
        statements += [
            f"CREATE TRIGGER {name(trigger)} {body}"
            for trigger, body in zip(_names(capture, at), bodies, strict=True)
        ]
    return statements


def drop_lines(capture: Capture) -> list[str]:
    """Everything on the tables of its lines."""
    triggers = [f"DROP TRIGGER IF EXISTS {name(one)}" for one, _ in line_triggers(capture)]
    return [
        *triggers,
        *(f"DROP TABLE IF EXISTS {_aside(capture, at)}" for at in range(len(capture.lines))),
    ]


def _names(capture: Capture, at: int) -> list[str]:
    return [f"lienthong_{capture.slug}_l{at}_{kind}" for kind in _KINDS]


def _aside(capture: Capture, at: int) -> str:
    return name(f"lienthong_lines_{capture.slug}_l{at}")


def _triggers(capture: Capture, at: int, one: LineSet, unique: Unique) -> Iterator[str]:
    for kind, rows in _ROWS.items():
        yield _put_aside(capture, at, one, unique, kind, rows)
        yield _told(capture, at, one, kind, rows)


def _put_aside(
    capture: Capture, at: int, one: LineSet, unique: Unique, kind: str, rows: tuple[str, ...]
) -> str:
    """A BEFORE trigger: what the records concerned are."""
    keys = ", ".join(f"t.{name(column)}" for column in capture.key)
    found = f"SELECT {keys}, {key_of('t', capture)}, {image('t', capture)} FROM {name(capture.table)} AS t"
    queries = [f"{found} WHERE {_owner(one, row)}" for row in rows]
    if kind != "DELETE" and unique:
        queries.append(
            f"{found} JOIN {name(one.table)} AS l ON {_owner(one, 'l')} WHERE {collisions(unique, 'l')}"
        )
    put = "\n  UNION ".join(queries)
    aside = _aside(capture, at)
    return f"""BEFORE {kind} ON {name(one.table)} BEGIN
  DELETE FROM {aside};
  INSERT INTO {aside} {put};
END"""


def _told(capture: Capture, at: int, one: LineSet, kind: str, rows: tuple[str, ...]) -> str:
    """An AFTER trigger: the change of the line's own records, then of those that lost lines to a REPLACE."""
    aside, record, key = _aside(capture, at), name(capture.table), key_of("t", capture)
    insert = f"INSERT INTO {OUTBOX} (dataset, op, key, before, after) SELECT {text(capture.dataset)}, 'u',"
    owners = " OR ".join(f"({_owner(one, row)})" for row in rows)
    looked_at = dict.fromkeys((*one.on, *one.order, *one.columns))
    changed = " OR ".join(f"OLD.{name(column)} IS NOT NEW.{name(column)}" for column in looked_at)
    only = f" AND ({changed})" if kind == "UPDATE" else ""
    same = " AND ".join(f"t.{name(column)} = r.k{n}" for n, column in enumerate(capture.key))
    return f"""AFTER {kind} ON {name(one.table)} BEGIN
  {insert} {key}, (SELECT r.before FROM {aside} AS r WHERE r.key = {key}), {image("t", capture)}
  FROM {record} AS t WHERE ({owners}){only};
  {insert} key, before, now FROM (SELECT r.key, r.before, {image("t", capture)} AS now
    FROM {aside} AS r JOIN {record} AS t ON {same} AND {key} = r.key WHERE NOT coalesce({owners}, false))
  WHERE before IS NOT now;
  DELETE FROM {aside};
END"""


def _owner(one: LineSet, row: str) -> str:
    """Whether the record ``t`` is the one that a line belongs to."""
    return " AND ".join(f"t.{name(column)} = {row}.{name(line)}" for line, column in one.on.items())
