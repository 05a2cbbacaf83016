"""The SQL that captures the lines of a record in PostgreSQL: rows of other tables that belong to it.

A change of lines is a change of their record: ``u``, with the lines as they were and as they are. It is told
once for each statement and record, from triggers with transition tables. Where changes are applied by
logical replication, which fires no such triggers, it is told once for each line.

Who changes a line locks its record first, as whoever changes the record does. So of two transactions the
later one sees the lines of the earlier, and per key order of id stays order of commit. A line whose record
is not there, not yet or no longer, tells nothing: the record's own change tells its lines.
"""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

from collections.abc import Mapping
from dataclasses import dataclass

from producers.outbox import Capture
from producers.postgres_sql import (
    Sources,
    array_of_lines,
    counted,
    function_statements,
    image,
    key_of,
    line_columns,
    loose_key,
    planned_anew,
)
from producers.sql import LINES, OUTBOX, name, text
from schemas.contracts import LineSet

#: End of the trigger's name -> when it fires; ``{table}`` is the table of the lines.
_TRIGGERS: Mapping[str, str] = {
    "ins": "AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_lines FOR EACH STATEMENT",
    "upd": "AFTER UPDATE ON {table} REFERENCING OLD TABLE AS old_lines NEW TABLE AS new_lines"
    " FOR EACH STATEMENT",
    "del": "AFTER DELETE ON {table} REFERENCING OLD TABLE AS old_lines FOR EACH STATEMENT",
    "row": "AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW"
    " WHEN (current_setting('session_replication_role') = 'replica')",
    "tr1": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
    "tr2": "AFTER TRUNCATE ON {table} FOR EACH STATEMENT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where things are in one database."""

    schema: str  #: of the outbox
    record: str  #: the record's table as it stands behind FROM
    lines: Mapping[str, str]  #: set -> its table, quoted and with its schema
    sources: Sources  #: set -> its table as it stands behind FROM


def line_triggers(capture: Capture) -> list[tuple[str, str]]:
    """The triggers of all sets of lines: name and table."""
    every = enumerate(capture.lines.values())
    return [(trigger, one.table) for at, one in every for trigger in _names(capture, at)]


def line_statements(capture: Capture, place: Place) -> list[str]:
    """Functions and triggers of all sets of lines, in place of earlier ones of this dataset."""
    statements = []
    for at, (which, one) in enumerate(capture.lines.items()):
        function, table = _function(capture, at, place.schema), place.lines[which]
        statements += function_statements(function, capture, _body(capture, place, which, one))
        for trigger, when in zip(_names(capture, at), _TRIGGERS.values(), strict=True):
            statements += [
                f"DROP TRIGGER IF EXISTS {name(trigger)} ON {table}",
                f"CREATE TRIGGER {name(trigger)} {when.format(table=table)} EXECUTE PROCEDURE {function}()",
            ]
        enabled = ", ".join(f"ENABLE ALWAYS TRIGGER {name(trigger)}" for trigger in _names(capture, at))
        statements.append(f"ALTER TABLE {table} {enabled}")
    return statements


def line_removal(capture: Capture, schema: str) -> list[str]:
    """Functions go, and with them their triggers, whatever became of the tables."""
    return [
        f"DROP FUNCTION IF EXISTS {_function(capture, at, schema)}() CASCADE"
        for at in range(len(capture.lines))
    ]


def _names(capture: Capture, at: int) -> list[str]:
    return [f"00_lienthong_{capture.slug}_l{at}_{kind}" for kind in _TRIGGERS]


def _function(capture: Capture, at: int, schema: str) -> str:
    return f"{name(schema)}.{name(f'lienthong_capture_{capture.slug}_l{at}')}"


def _body(capture: Capture, place: Place, which: str, one: LineSet) -> str:
    """What happens after each statement that changed lines of one set.

    First of all the statement that composes is planned, and not run, before a TRUNCATE too: a column that
    the vendor has dropped or renamed shows then, and must not stop the clerks. The records are told without
    these lines, and the relay tells which set is missing. Of a TRUNCATE it is every record that is there
    behind it: which had lines is not known then, and before it those that go as well would be told as there.
    """
    outbox, counts = (f"{name(place.schema)}.{name(table)}" for table in (OUTBOX, LINES))
    dataset, fields = text(capture.dataset), "(dataset, op, key, before, after)"
    table, concerned = place.lines[which], _concerned(place, which, one)
    composed = _composed(capture, place, which, one)
    keys = f"SELECT DISTINCT {key_of('t', capture)} AS key {concerned}"
    order = ", ".join(f"t.{name(column)}" for column in capture.key)
    now = image("t", capture, place.sources)
    has = " AND ".join(f"l.{name(line)} = t.{name(column)}" for line, column in one.on.items())
    every = f"FROM {place.record} AS t"
    having = f"{every} WHERE EXISTS (SELECT 1 FROM {place.sources[which]} AS l WHERE {has})"
    row = "row_to_json(t.*)"
    whole = f"INSERT INTO {outbox} {fields} SELECT {dataset}, 'u', {loose_key(row, capture)}, {row}, {row}"
    unknown = f"INSERT INTO {outbox} {fields} VALUES ({dataset}, 'u', '', '{{}}', '{{}}')"
    return f"""
DECLARE
  came {table}[] := '{{}}';
  went {table}[] := '{{}}';
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    BEGIN
      PERFORM 1 FROM (SELECT {key_of("t", capture)}, {now} {having}) AS c LIMIT 0;
    EXCEPTION WHEN OTHERS THEN
      IF TG_WHEN = 'AFTER' THEN
        {_without_lines(whole, every, unknown)}
      END IF;
      RETURN NULL;
    END;
    IF TG_WHEN = 'BEFORE' THEN
      INSERT INTO {counts} AS c (dataset, key, held) SELECT {dataset}, {key_of("t", capture)}, {now} {having}
      ON CONFLICT (dataset, key) DO UPDATE SET changes = c.changes + 1, held = excluded.held;
    ELSE
      INSERT INTO {outbox} {fields}
      SELECT {dataset}, 'u', c.key, c.held, {now} FROM {counts} AS c JOIN {place.record} AS t
      ON c.key = {key_of("t", capture)} WHERE c.dataset = {dataset} AND c.held IS NOT NULL ORDER BY c.key;
      UPDATE {counts} SET held = NULL WHERE dataset = {dataset} AND held IS NOT NULL;
    END IF;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    IF TG_LEVEL = 'ROW' THEN came := ARRAY[ROW(NEW.*)::{table}];
    ELSE came := ARRAY(SELECT ROW(l.*)::{table} FROM new_lines AS l);
    END IF;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    IF TG_LEVEL = 'ROW' THEN went := ARRAY[ROW(OLD.*)::{table}];
    ELSE went := ARRAY(SELECT ROW(l.*)::{table} FROM old_lines AS l);
    END IF;
  END IF;
  BEGIN
    PERFORM 1 FROM ({composed}) AS c LIMIT 0;
  EXCEPTION WHEN OTHERS THEN
    {_without_lines(whole, concerned, unknown)}
    RETURN NULL;
  END;
  PERFORM 1 {concerned} ORDER BY {order} FOR NO KEY UPDATE OF t;
  {counted(capture, place.schema, keys)}
  INSERT INTO {outbox} {fields}
  SELECT {dataset}, 'u', c.key, c.held, c.now FROM ({composed}) AS c
  WHERE c.held::text IS DISTINCT FROM c.now::text ORDER BY c.key;
  RETURN NULL;
END
"""


def _without_lines(whole: str, records: str, unknown: str) -> str:
    """Tell records as whole rows, or, if they are not found either, that there are some."""
    return f"BEGIN\n      {whole} {records};\n    EXCEPTION WHEN OTHERS THEN\n      {unknown};\n    END;"


def _owners(one: LineSet, source: str) -> str:
    """The values ``c0``, ``c1`` … by which changed lines name their records, each once.

    From arrays: the planner takes them to be short and finds the records by their index, whatever the first
    statement of a session, whose plan is kept, was like.
    """
    columns = ", ".join(f"c{at}" for at in range(len(one.on)))
    values = ", ".join(
        f"ARRAY(SELECT l.{name(line)} FROM unnest(came) AS l"
        f" UNION ALL SELECT l.{name(line)} FROM unnest(went) AS l)"
        for line in one.on
    )
    return f"SELECT DISTINCT {columns} FROM unnest({values}) AS u ({columns}) {planned_anew(source)}"


def _concerned(place: Place, which: str, one: LineSet) -> str:
    """FROM and JOIN of the records ``t`` whose lines were changed."""
    same = " AND ".join(f"t.{name(column)} = p.c{at}" for at, column in enumerate(one.on.values()))
    return f"FROM ({_owners(one, place.sources[which])}) AS p JOIN {place.record} AS t ON {same}"


def _composed(capture: Capture, place: Place, which: str, one: LineSet) -> str:
    """``key``, ``held`` and ``now`` of the records whose lines were changed.

    What the lines were: those there are now, without those that came, and with those that went.
    """
    mine = ", ".join(f"l.{name(line)} AS c{at}" for at, line in enumerate(one.on))
    columns = f"{mine}, {line_columns(one)}"
    owner = ", ".join(f"x.c{at}" for at in range(len(one.on)))
    unordered = ", ".join(["NULL"] * (len(one.order) + 1))
    of_owner = " AND ".join(f"l.{name(line)} = p.c{at}" for at, line in enumerate(one.on))
    same = " AND ".join(f"t.{name(column)} = w.c{at}" for at, column in enumerate(one.on.values()))
    held = image("t", capture, place.sources, {which: "w.lines"})
    return f"""
    WITH p AS ({_owners(one, place.sources[which])})
    SELECT {key_of("t", capture)} AS key, {held} AS held, {image("t", capture, place.sources)} AS now
    FROM (
      SELECT {owner}, {array_of_lines(one)} AS lines FROM (
        (SELECT {columns} FROM p JOIN {place.sources[which]} AS l ON {of_owner}
         EXCEPT ALL SELECT {columns} FROM unnest(came) AS l)
        UNION ALL SELECT {columns} FROM unnest(went) AS l
        UNION ALL SELECT p.*, {unordered} FROM p
      ) AS x GROUP BY {owner}
    ) AS w JOIN {place.record} AS t ON {same} OFFSET 0
  """
