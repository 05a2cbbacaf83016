"""The SQL that captures a table of a PostgreSQL database: outbox, function, triggers.

Those on the tables of its lines are in ``postgres_lines``.
"""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

from collections.abc import Iterable, Mapping, Sequence

from producers.outbox import Capture
from producers.sql import DATASETS, LINES, OUTBOX, SNAPSHOTS, key_text, name, text
from schemas.contracts import LineSet

#: Images must not depend on a clerk's session: how dates and numbers are printed is fixed.
SESSION = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


#: Where each set of lines is read from, as it stands behind FROM: set -> ``ONLY "schema"."table"``.
Sources = Mapping[str, str]


def trigger_names(capture: Capture) -> tuple[str, str]:
    """Row trigger and truncate trigger. Triggers fire in order of name, and ours come first."""
    return f"00_lienthong_{capture.slug}", f"00_lienthong_{capture.slug}_truncate"


def image(
    row: str, capture: Capture, sources: Sources | None = None, instead: Mapping[str, str] | None = None
) -> str:
    """JSON of a row's captured columns and of its lines as they are now.

    Args:
        row: the row's name in the query.
        capture: what is captured.
        sources: of the lines; left out, their tables are found by the search path.
        instead: SQL of sets of lines that shall not be read: set -> a JSON value.
    """
    columns = _printed(row, capture.columns)
    for at, one in capture.lines.items():
        found = (instead or {}).get(at) or lines_of(row, one, (sources or {}).get(at) or address(one.table))
        columns += f", {found} AS {name(at)}"
    return f"(SELECT row_to_json(i.*) FROM (SELECT {columns}) AS i)"


def address(table: str) -> str:
    """The contract's table name as ``to_regclass`` takes it: ``"table"`` or ``"schema"."table"``."""
    return ".".join(name(part) for part in table.split(".", 1))


def lines_of(row: str, one: LineSet, source: str) -> str:
    """A record's lines as they are now: a JSON array."""
    same = " AND ".join(f"l.{name(line)} = {row}.{name(column)}" for line, column in one.on.items())
    found = f"SELECT {line_columns(one)} FROM {source} AS l WHERE {same}"
    return f"(SELECT {array_of_lines(one)} FROM ({found}) AS x)"


def line_columns(one: LineSet) -> str:
    """What is needed of a line ``l``: ``o0``, ``o1`` … to put it in order, and ``line``, its JSON as text."""
    order = "".join(f"l.{name(column)} AS o{at}, " for at, column in enumerate(one.order))
    return f"{order}(SELECT row_to_json(i.*)::text FROM (SELECT {_printed('l', one.columns)}) AS i) AS line"


def array_of_lines(one: LineSet) -> str:
    """The JSON array of lines ``x``. Those that the order leaves equal stand in the order of their texts."""
    order = ", ".join([*(f"x.o{at}" for at in range(len(one.order))), 'x.line COLLATE "C"'])
    told = f"json_agg(x.line::json ORDER BY {order}) FILTER (WHERE x.line IS NOT NULL)"
    return f"coalesce({told}, '[]'::json)"


def _printed(row: str, columns: Mapping[str, str]) -> str:
    """Columns of an image. What the contract calls a string is printed by the database."""
    return ", ".join(
        f"{row}.{name(column)}{'::text' if avro == 'string' else ''} AS {name(column)}"
        for column, avro in columns.items()
    )


def key_of(row: str, capture: Capture) -> str:
    """The record's key as one text."""
    return key_text(f"{row}.{name(column)}::text" for column in capture.key)


def outbox_statements(schema: str) -> list[str]:
    """The tables, if they are not there."""
    outbox, datasets, snapshots, lines = (
        f"{name(schema)}.{name(one)}" for one in (OUTBOX, DATASETS, SNAPSHOTS, LINES)
    )
    return [
        f"CREATE TABLE IF NOT EXISTS {outbox} (\n"
        "  id bigserial PRIMARY KEY,\n"
        "  dataset text NOT NULL,\n"
        "  op text NOT NULL,\n"
        "  key text NOT NULL,\n"
        "  before json,\n"
        "  after json,\n"
        "  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
        "  seq bigint,\n"
        "  published_at timestamptz\n"
        ")",
        # One index serves both "not numbered" and "not published"; seq is not in it, so that giving a
        # number rewrites no index.
        f"CREATE INDEX IF NOT EXISTS {name(OUTBOX + '_waiting')} ON {outbox} (id) WHERE published_at IS NULL",
        f"CREATE TABLE IF NOT EXISTS {datasets} (\n"
        "  dataset text PRIMARY KEY,\n"
        "  definition json NOT NULL,\n"
        "  sql_sha256 text NOT NULL,\n"
        "  captured boolean NOT NULL,\n"
        "  next_seq bigint NOT NULL DEFAULT 1\n"
        ")",
        f"CREATE TABLE IF NOT EXISTS {snapshots} (\n"
        "  dataset text PRIMARY KEY,\n"
        "  after_key json,\n"
        "  rows bigint NOT NULL,\n"
        "  finished boolean NOT NULL\n"
        ")",
        # One row for each record with lines that was changed. Two transactions of a stricter isolation than
        # READ COMMITTED do not see each other's lines; that both count up here lets the later one fail, with
        # the serialization error that such clients are made for, instead of telling less than there is.
        f"CREATE TABLE IF NOT EXISTS {lines} (\n"
        "  dataset text NOT NULL,\n"
        "  key text NOT NULL,\n"
        "  changes bigint NOT NULL DEFAULT 1,\n"
        "  held json,\n"  # only within a TRUNCATE: what the record was
        "  PRIMARY KEY (dataset, key)\n"
        ")",
        # The images hold personal data, whatever default privileges the database gives.
        *(f"REVOKE ALL ON {table} FROM PUBLIC" for table in (outbox, datasets, snapshots, lines)),
        f"COMMENT ON TABLE {outbox} IS "
        + text("Hộp gửi của liên thông: mỗi dòng là một thay đổi chờ gửi hoặc đã gửi"),
        f"COMMENT ON TABLE {datasets} IS "
        + text("Các tập dữ liệu đang được liên thông ghi nhận, và số thứ tự tiếp theo"),
        f"COMMENT ON TABLE {snapshots} IS " + text("Tiến độ của lần chụp đầu tiên"),
        f"COMMENT ON TABLE {lines} IS " + text("Các bản ghi có dòng chi tiết đã thay đổi"),
    ]


def trigger_statements(
    capture: Capture, schema: str, table: str, *, only: str, sources: Sources
) -> list[str]:
    """The function and the triggers of one table, in place of earlier ones of this dataset.

    Args:
        schema: where the outbox is.
        table: the captured table, quoted and with its schema.
        only: ``ONLY`` for a plain table, so that rows of child tables, whose changes do not fire its
            triggers, are not taken for its own; empty for a partitioned one.
        sources: of its lines.
    """
    function = _function(capture, schema)
    row, truncate = map(name, trigger_names(capture))
    return [
        *function_statements(function, capture, _body(capture, schema, table, only, sources)),
        f"DROP TRIGGER IF EXISTS {row} ON {table}",
        f"CREATE TRIGGER {row} AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE PROCEDURE {function}()",
        f"DROP TRIGGER IF EXISTS {truncate} ON {table}",
        f"CREATE TRIGGER {truncate} BEFORE TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE PROCEDURE {function}()",
        # Also for sessions that replay another server's changes.
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row}, ENABLE ALWAYS TRIGGER {truncate}",
    ]


def function_statements(function: str, capture: Capture, body: str) -> list[str]:
    """A trigger function that runs with its owner's rights, whatever the clerk's session is set to."""
    settings = "\n".join(f"SET {name(key)} = {text(value)}" for key, value in SESSION.items())
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\nLANGUAGE plpgsql SECURITY DEFINER\n"
        f"SET search_path = pg_catalog, pg_temp\n{settings}\nAS {text(body)}",
        f"COMMENT ON FUNCTION {function}() IS "
        + text(f"Liên thông ghi mọi thay đổi của {capture.dataset}; cài bằng: lienthong capture install"),
    ]


def removal(capture: Capture, schema: str) -> str:
    """The function goes, and with it its triggers, on whatever table they are by now."""
    return f"DROP FUNCTION IF EXISTS {_function(capture, schema)}() CASCADE"


def forget_statements(capture: Capture, schema: str) -> list[str]:
    """What was captured is noted as not captured; outbox and counter stay, for numbers are never reused."""
    return [
        *(
            [f"DELETE FROM {name(schema)}.{name(LINES)} WHERE dataset = {text(capture.dataset)}"]
            if capture.lines
            else []
        ),
        f"UPDATE {name(schema)}.{name(DATASETS)} SET captured = false"
        f" WHERE dataset = {text(capture.dataset)}",
    ]


def _function(capture: Capture, schema: str) -> str:
    return f"{name(schema)}.{name('lienthong_capture_' + capture.slug)}"


def counted(capture: Capture, schema: str, keys: str) -> str:
    """Count a change of some records; see ``outbox_statements``. ``keys``: a query with a column ``key``."""
    return (
        f"INSERT INTO {name(schema)}.{name(LINES)} AS c (dataset, key)"
        f" SELECT {text(capture.dataset)}, k.key FROM ({keys}) AS k ORDER BY k.key"
        " ON CONFLICT (dataset, key) DO UPDATE SET changes = c.changes + 1;"
    )


def loose_key(whole: str, capture: Capture) -> str:
    """The key out of a whole row's JSON, which may lack a part of it."""
    return key_text(f"({whole} ->> {text(column)})" for column in capture.key)


def planned_anew(source: str) -> str:
    """A condition that is always true, and lets a session plan its query anew once the table was altered."""
    return f"WHERE NOT EXISTS (SELECT 1 FROM {source} WHERE false)"


def _body(capture: Capture, schema: str, table: str, only: str, sources: Sources) -> str:
    """What happens after each changed row, and before a TRUNCATE.

    ``after`` is not NEW but what the table holds for that key by now: a vendor's own AFTER trigger may have
    changed the row again already, and its change stands in the outbox before this one. So however triggers
    nest, the last outbox row of a key tells the truth.

    A column that the vendor has dropped or renamed must not stop the clerks: then the whole row is kept as
    it is, and the relay tells which column is missing. That block writes nothing, so that it costs no
    transaction id. One of another type than before is no reason for it: a session that was there then has
    plans for the old type, and works all out again with plans that hang on the table (``planned_anew``).
    """
    outbox = f"{name(schema)}.{name(OUTBOX)}"
    dataset, every = text(capture.dataset), f"FROM {only} {table} AS t"
    fields, anew = "(dataset, op, key, before, after)", planned_anew(f"{only} {table}")
    loose = loose_key("row_to_json(t.*)", capture)
    whole = (
        f"INSERT INTO {outbox} {fields} SELECT {dataset}, 'd', {loose}, row_to_json(t.*), NULL FROM {only} "
    )

    def now(row: str) -> str:
        same = " AND ".join(f"t.{name(column)} = {row}.{name(column)}" for column in capture.key)
        return f"SELECT {image('t', capture, sources)} {every} WHERE {same} AND {key_of('t', capture)}"

    def count(key: str) -> str:
        return f"\n    {counted(capture, schema, f'SELECT {key} AS key')}" if capture.lines else ""

    return f"""
DECLARE
  old_key text; held json; old_now json;
  new_key text; new_now json;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    IF TG_RELID <> to_regclass({text(table)}) THEN
      RETURN NULL;  -- another table has this one's name by now, and its records
    END IF;
    BEGIN
      INSERT INTO {outbox} {fields}
      SELECT {dataset}, 'd', {key_of("t", capture)}, {image("t", capture, sources)}, NULL {every};
    EXCEPTION WHEN OTHERS THEN
      EXECUTE {text(whole)} || TG_RELID::regclass || ' AS t';
    END;
    RETURN NULL;
  END IF;
  BEGIN
    IF TG_OP <> 'INSERT' THEN
      old_key := {key_of("OLD", capture)};
      held := {image("OLD", capture, sources)};
      old_now := ({now("OLD")} = old_key);
    END IF;
    IF TG_OP <> 'DELETE' THEN
      new_key := {key_of("NEW", capture)};
      IF new_key IS DISTINCT FROM old_key THEN
        new_now := ({now("NEW")} = new_key);
      END IF;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    BEGIN
      IF TG_OP <> 'INSERT' THEN
        SELECT {key_of("OLD", capture)}, {image("OLD", capture, sources)} INTO old_key, held {anew};
        old_now := ({now("OLD")} = old_key);
      END IF;
      IF TG_OP <> 'DELETE' THEN
        SELECT {key_of("NEW", capture)} INTO new_key {anew};
        IF new_key IS DISTINCT FROM old_key THEN
          new_now := ({now("NEW")} = new_key);
        END IF;
      END IF;
    EXCEPTION WHEN OTHERS THEN
      old_now := NULL;
      IF TG_OP <> 'INSERT' THEN
        held := row_to_json(OLD);
        old_key := {loose_key("held", capture)};
      END IF;
      IF TG_OP <> 'DELETE' THEN
        new_now := row_to_json(NEW);
        new_key := {loose_key("new_now", capture)};
        IF new_key = old_key THEN
          old_now := new_now;
        END IF;
      END IF;
    END;
  END;
  IF TG_OP <> 'INSERT' AND held::text IS DISTINCT FROM old_now::text THEN{count("old_key")}
    INSERT INTO {outbox} {fields}
    VALUES ({dataset}, CASE WHEN old_now IS NULL THEN 'd' ELSE 'u' END, old_key, held, old_now);
  END IF;
  IF new_now IS NOT NULL AND new_key IS DISTINCT FROM old_key THEN{count("new_key")}
    INSERT INTO {outbox} {fields} VALUES ({dataset}, 'c', new_key, NULL, new_now);
  END IF;
  RETURN NULL;
END
"""


def lacking(capture: Capture, schema: str) -> str:
    """FROM and WHERE of the waiting outbox rows of which an image lacks a column, or the text of one."""

    def lacks(image: str) -> str:
        keys = f"ARRAY(SELECT json_object_keys({image}))"
        unprinted = f"EXISTS (SELECT 1 FROM json_each({image}) AS j WHERE {_unprinted(capture)})"
        return f"({image} IS NOT NULL AND (NOT {keys} @> {_names(capture.names)} OR {unprinted}))"

    return (
        f"{name(schema)}.{name(OUTBOX)} WHERE published_at IS NULL AND dataset = {text(capture.dataset)}"
        f" AND ({lacks('before')} OR {lacks('after')})"
    )


def completion_statement(capture: Capture, schema: str) -> str:
    """Give waiting rows every column of the dataset; what they do not carry is missing.

    Rows that were kept whole have numbers where the contract has strings: these become texts.
    """
    table, where = lacking(capture, schema).split(" WHERE ", 1)
    value = f"CASE WHEN {_unprinted(capture)} THEN to_json(j.value #>> '{{}}') ELSE j.value END"

    def completed(image: str) -> str:
        found = f"unnest({_names(capture.names)}) AS c LEFT JOIN json_each({image}) AS j ON j.key = c"
        return f"CASE WHEN {image} IS NOT NULL THEN (SELECT json_object_agg(c, {value}) FROM {found}) END"

    return f"UPDATE {table} SET before = {completed('before')}, after = {completed('after')} WHERE {where}"


def _unprinted(capture: Capture) -> str:
    """Whether a member ``j`` of an image is a number or a Boolean, though the contract calls it a string.

    These print as JSON prints them; an array or a composite does not.
    """
    strings = _names(column for column, avro in capture.columns.items() if avro == "string")
    return f"j.key = ANY({strings}) AND json_typeof(j.value) IN ('number', 'boolean')"


def _names(columns: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(map(text, columns))}]::text[]"


def remember_statement(capture: Capture, schema: str, sha256: str) -> str:
    """Note what is captured; the counter of a dataset that was captured before goes on."""
    table = f"{name(schema)}.{name(DATASETS)}"
    return (
        f"INSERT INTO {table} (dataset, definition, sql_sha256, captured)"
        f" VALUES ({text(capture.dataset)}, {text(capture.to_json())}, {text(sha256)}, true)"
        " ON CONFLICT (dataset) DO UPDATE SET definition = excluded.definition,"
        " sql_sha256 = excluded.sql_sha256, captured = true"
    )


def after_key(row: str, types: Mapping[str, str], sign: str, values: Sequence[str]) -> str:
    """A condition on a compound key: ``types`` is key column -> SQL type, ``values`` its parts as texts."""
    columns = ", ".join(f"{row}.{name(column)}" for column in types)
    parts = zip(values, types.values(), strict=True)
    return (
        f"({columns}) {sign} ({', '.join(f'CAST({text(value)} AS {declared})' for value, declared in parts)})"
    )
