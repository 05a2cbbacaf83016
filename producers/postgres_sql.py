"""The SQL that captures a table of a PostgreSQL database: outbox, function, triggers."""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; nothing else varies

from collections.abc import Mapping, Sequence

from producers.outbox import Capture
from producers.sql import DATASETS, OUTBOX, SNAPSHOTS, key_text, name, text

#: Images must not depend on a clerk's session: how dates and numbers are printed is fixed.
SESSION = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}


def trigger_names(capture: Capture) -> tuple[str, str]:
    """Row trigger and truncate trigger. Triggers fire in order of name, and ours come first."""
    return f"00_lienthong_{capture.slug}", f"00_lienthong_{capture.slug}_truncate"


def image(row: str, capture: Capture) -> str:
    """JSON of a row's captured columns. What the contract calls a string is printed by the database."""
    columns = ", ".join(
        f"{row}.{name(column)}{'::text' if avro == 'string' else ''} AS {name(column)}"
        for column, avro in capture.columns.items()
    )
    return f"(SELECT row_to_json(i) FROM (SELECT {columns}) AS i)"


def key_of(row: str, capture: Capture) -> str:
    """The record's key as one text."""
    return key_text(f"{row}.{name(column)}::text" for column in capture.key)


def outbox_statements(schema: str) -> list[str]:
    """The three tables, if they are not there."""
    outbox, datasets, snapshots = (f"{name(schema)}.{name(one)}" for one in (OUTBOX, DATASETS, SNAPSHOTS))
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
        # The images hold personal data, whatever default privileges the database gives.
        *(f"REVOKE ALL ON {table} FROM PUBLIC" for table in (outbox, datasets, snapshots)),
        f"COMMENT ON TABLE {outbox} IS "
        + text("Hộp thư đi của liên thông: mỗi dòng là một thay đổi chờ gửi hoặc đã gửi"),
        f"COMMENT ON TABLE {datasets} IS "
        + text("Các tập dữ liệu đang được liên thông ghi nhận, và số thứ tự tiếp theo"),
        f"COMMENT ON TABLE {snapshots} IS " + text("Tiến độ của lần chụp đầu tiên"),
    ]


def trigger_statements(capture: Capture, schema: str, table: str, *, only: str) -> list[str]:
    """The function and the triggers of one table, in place of earlier ones of this dataset.

    Args:
        schema: where the outbox is.
        table: the captured table, quoted and with its schema.
        only: ``ONLY`` for a plain table, so that rows of child tables, whose changes do not fire its
            triggers, are not taken for its own; empty for a partitioned one.
    """
    function = f"{name(schema)}.{name('lienthong_capture_' + capture.slug)}"
    row, truncate = map(name, trigger_names(capture))
    settings = "\n".join(f"SET {name(key)} = {text(value)}" for key, value in SESSION.items())
    return [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger\nLANGUAGE plpgsql SECURITY DEFINER\n"
        f"SET search_path = pg_catalog, pg_temp\n{settings}\n"
        f"AS {text(_body(capture, schema, table, only))}",
        f"COMMENT ON FUNCTION {function}() IS "
        + text(f"Liên thông ghi mọi thay đổi của {capture.dataset}; cài bằng: lienthong capture install"),
        f"DROP TRIGGER IF EXISTS {row} ON {table}",
        f"CREATE TRIGGER {row} AFTER INSERT OR UPDATE OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE PROCEDURE {function}()",
        f"DROP TRIGGER IF EXISTS {truncate} ON {table}",
        f"CREATE TRIGGER {truncate} BEFORE TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE PROCEDURE {function}()",
        # Also for sessions that replay another server's changes.
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {row}, ENABLE ALWAYS TRIGGER {truncate}",
    ]


def removal_statements(capture: Capture, schema: str, table: str | None) -> list[str]:
    """Triggers and function go; outbox and counter stay, for numbers are never reused."""
    function = f"{name(schema)}.{name('lienthong_capture_' + capture.slug)}"
    triggers = trigger_names(capture) if table else ()
    return [
        *(f"DROP TRIGGER IF EXISTS {name(one)} ON {table}" for one in triggers),
        f"DROP FUNCTION IF EXISTS {function}()",
        f"UPDATE {name(schema)}.{name(DATASETS)} SET captured = false"
        f" WHERE dataset = {text(capture.dataset)}",
    ]


def _body(capture: Capture, schema: str, table: str, only: str) -> str:
    """What happens after each changed row, and before a TRUNCATE.

    ``after`` is not NEW but what the table holds for that key by now: a vendor's own AFTER trigger may have
    changed the row again already, and its change stands in the outbox before this one. So however triggers
    nest, the last outbox row of a key tells the truth.

    A column that the vendor has dropped or renamed must not stop the clerks: then the whole row is kept as
    it is, and the relay tells which column is missing. That block writes nothing, so that it costs no
    transaction id.
    """
    outbox = f"{name(schema)}.{name(OUTBOX)}"
    dataset = text(capture.dataset)
    fields = "(dataset, op, key, before, after)"

    def now(row: str) -> str:
        same = " AND ".join(f"t.{name(column)} = {row}.{name(column)}" for column in capture.key)
        found = f"SELECT {image('t', capture)} FROM {only} {table} AS t"
        return f"{found} WHERE {same} AND {key_of('t', capture)}"

    def loose_key(whole: str) -> str:
        return key_text(f"({whole} ->> {text(column)})" for column in capture.key)

    return f"""
DECLARE
  old_key text; held json; old_now json;
  new_key text; new_now json;
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    BEGIN
      INSERT INTO {outbox} {fields}
      SELECT {dataset}, 'd', {key_of("t", capture)}, {image("t", capture)}, NULL FROM {only} {table} AS t;
    EXCEPTION WHEN OTHERS THEN
      INSERT INTO {outbox} {fields}
      SELECT {dataset}, 'd', {loose_key("row_to_json(t)")}, row_to_json(t), NULL FROM {only} {table} AS t;
    END;
    RETURN NULL;
  END IF;
  BEGIN
    IF TG_OP <> 'INSERT' THEN
      old_key := {key_of("OLD", capture)};
      held := {image("OLD", capture)};
      old_now := ({now("OLD")} = old_key);
    END IF;
    IF TG_OP <> 'DELETE' THEN
      new_key := {key_of("NEW", capture)};
      IF new_key IS DISTINCT FROM old_key THEN
        new_now := ({now("NEW")} = new_key);
      END IF;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    old_now := NULL;
    IF TG_OP <> 'INSERT' THEN
      held := row_to_json(OLD);
      old_key := {loose_key("held")};
    END IF;
    IF TG_OP <> 'DELETE' THEN
      new_now := row_to_json(NEW);
      new_key := {loose_key("new_now")};
      IF new_key = old_key THEN
        old_now := new_now;
      END IF;
    END IF;
  END;
  IF TG_OP <> 'INSERT' AND held::text IS DISTINCT FROM old_now::text THEN
    INSERT INTO {outbox} {fields}
    VALUES ({dataset}, CASE WHEN old_now IS NULL THEN 'd' ELSE 'u' END, old_key, held, old_now);
  END IF;
  IF new_now IS NOT NULL AND new_key IS DISTINCT FROM old_key THEN
    INSERT INTO {outbox} {fields} VALUES ({dataset}, 'c', new_key, NULL, new_now);
  END IF;
  RETURN NULL;
END
"""


def lacking(capture: Capture, schema: str) -> str:
    """FROM and WHERE of the waiting outbox rows of which an image lacks a column."""

    def lacks(image: str) -> str:
        keys = f"ARRAY(SELECT json_object_keys({image}))"
        return f"({image} IS NOT NULL AND NOT {keys} @> {_names(capture)})"

    return (
        f"{name(schema)}.{name(OUTBOX)} WHERE published_at IS NULL AND dataset = {text(capture.dataset)}"
        f" AND ({lacks('before')} OR {lacks('after')})"
    )


def completion_statement(capture: Capture, schema: str) -> str:
    """Give waiting rows every column of the dataset; what they do not carry is missing."""
    table, where = lacking(capture, schema).split(" WHERE ", 1)

    def completed(image: str) -> str:
        found = f"unnest({_names(capture)}) AS c LEFT JOIN json_each({image}) AS j ON j.key = c"
        return f"CASE WHEN {image} IS NOT NULL THEN (SELECT json_object_agg(c, j.value) FROM {found}) END"

    return f"UPDATE {table} SET before = {completed('before')}, after = {completed('after')} WHERE {where}"


def _names(capture: Capture) -> str:
    return f"ARRAY[{', '.join(map(text, capture.columns))}]::text[]"


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
