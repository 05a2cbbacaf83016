"""The audit chain on real Kafka and PostgreSQL: what is sealed, by whom, and what tampering leads to."""

import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from consumers.audit_key import AuditKey, load_key, public_file
from consumers.audit_lines import LINE
from consumers.opening import open_store
from deploy.local.kafka import KafkaNode
from tests.integration.test_road import good_rows
from tests.road import Road, road, wait_for

SCRIPT = Path(__file__).parents[2] / "deploy/verify_audit.py"
SEALER = "SELECT pg_advisory_xact_lock(hashtext('lienthong audit seal'))"
SUM = "sum(how_many)"
LINES = f"SELECT COALESCE({SUM}, 0) FROM lienthong_audit_block"
UNSEALED = f"{LINES} WHERE seal IS NULL"
FIRST = f"{LINES} WHERE format = 'hotich.khaisinh.v1'"  # the births feed other layouts beside it
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def one(kafka: KafkaNode, database: str, tmp_path: Path) -> Iterator[Road]:
    with road(kafka.bootstrap, database, tmp_path / "road", LIENTHONG_LANGUAGE="en") as made:
        yield made


def test_lines_survive_a_kill_and_tampering_is_found(one: Road, tmp_path: Path) -> None:
    rows = good_rows(40)
    events = one.events("hotich_qnam/khaisinh")
    with one.engine.connect() as other:
        other.execute(sa.text(SEALER))  # as if another worker sealed without end
        one.worker("w1")
        events.write_all(rows)
        events.producer.flush()
        wait_for("all lines", lambda: one.one(FIRST) == len(rows), seconds=180)
        one.end("w1", signal.SIGKILL)
    # In one question: what the killed worker sent last may still be committed.
    parts = f"{SUM} FILTER (WHERE seal IS NULL), {SUM}"
    ((unsealed, lines),) = one.query(f"SELECT {parts} FROM lienthong_audit_block")
    assert unsealed == lines >= len(rows)
    one.worker("w2")
    wait_for("the next worker seals", lambda: one.one(UNSEALED) == 0, seconds=180)
    changed = str(rows[0]["id"])
    events.write(rows[0])
    events.close()
    every = (len(rows) + 1) * len(one.library.contracts["hotich_qnam/khaisinh"].targets)
    wait_for("one more line of each layout", lambda: one.one(LINES) == every, seconds=180)
    wait_for("one more seal", lambda: one.one(UNSEALED) == 0, seconds=180)
    wait_for("the metric", lambda: "lienthong_audit_unsealed_seconds 0.0" in one.metrics("w2"), seconds=60)
    one.end("w2")
    assert f"sound: {every} lines" in one.run("audit", "verify").stdout

    _a_stranger_checks(one, changed, tmp_path)
    for tamper, what in _tampering().items():
        _tampered(one, tamper, what)
    assert one.run("audit", "verify").returncode == 0, "put back, it is sound again"


def _tampering() -> dict[str, str]:
    """Statements, and what verify calls them."""
    first, second = f"substr(lines, 1, {LINE.size})", f"substr(lines, {LINE.size + 1}, {LINE.size})"
    rest = f"substr(lines, {2 * LINE.size + 1})"
    block = "id = (SELECT min(id) FROM lienthong_audit_block WHERE how_many > 1)"
    last = "number = (SELECT max(number) FROM lienthong_audit_seal)"

    def set_to(column: str, value: str) -> str:
        return f"UPDATE lienthong_audit_block SET {column} = {value} WHERE {block}"

    return {
        set_to("lines", "set_byte(lines, 40, 255 - get_byte(lines, 40))"): "altered",
        set_to("lines", f"{second} || {rest}"): "removed",
        set_to("lines", f"{second} || {first} || {rest}"): "altered",
        set_to("at", "at - interval '1 day'"): "altered",
        f"DELETE FROM lienthong_audit_block WHERE {block}": "removed",
        f"DELETE FROM lienthong_audit_seal WHERE {last}": "cut off",
    }


def _tampered(one: Road, statement: str, what: str) -> None:
    """Tamper, look, and put everything back."""
    tables = ("lienthong_audit_block", "lienthong_audit_seal")
    with one.engine.begin() as connection:
        for table in tables:
            connection.exec_driver_sql(f"CREATE TABLE kept_{table} AS TABLE {table}")
        assert connection.exec_driver_sql(statement).rowcount
    found = one.run("audit", "verify", check=False)
    assert (found.returncode, what in found.stdout) == (1, True), (statement, found.stdout, found.stderr)
    with one.engine.begin() as connection:
        for table in tables:
            connection.exec_driver_sql(f"DELETE FROM {table}")
            columns = "" if table.endswith("seal") else " OVERRIDING SYSTEM VALUE"
            connection.exec_driver_sql(f"INSERT INTO {table}{columns} TABLE kept_{table}")
            connection.exec_driver_sql(f"DROP TABLE kept_{table}")


def test_a_seal_forged_with_another_key_is_found(one: Road) -> None:
    one.worker("w1")
    events = one.events("hotich_qnam/khaisinh")
    events.write_all(good_rows(3))
    events.close()
    wait_for("sealed lines", lambda: one.one(FIRST) == 3 and not one.one(UNSEALED), seconds=180)
    one.end("w1")
    store, forger = open_store(one.store), AuditKey.generate()
    with one.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM lienthong_audit_seal")
        connection.exec_driver_sql("UPDATE lienthong_audit_block SET seal = NULL, contract = 'khac'")
    assert store.seal(forger) is not None
    with one.engine.begin() as connection:
        key = load_key(one.folder / "audit.key").id
        connection.exec_driver_sql(f"UPDATE lienthong_audit_seal SET key = '{key}'")
    store.close()
    found = one.run("audit", "verify", "--json", check=False)
    assert found.returncode == 1
    assert "forged" in {flaw["what"] for flaw in json.loads(found.stdout)["flaws"]}


def _a_stranger_checks(one: Road, record: str, tmp_path: Path) -> None:
    file, public = tmp_path / "record.audit", public_file(one.folder / "audit.key")
    one.run("audit", "export", "hotich_qnam", record, "--into", str(file))
    site = tmp_path / "site"
    site.mkdir()
    for name in ("cryptography", "cffi", "_cffi_backend"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            there = origin.parent if origin.name == "__init__.py" else origin
            (site / there.name).symlink_to(there)
    # Without site-packages, and with nothing of ours on the path: only what was linked can be imported.
    program = (
        f"import sys, runpy; sys.path.append({str(site)!r}); sys.argv[0] = 'verify_audit.py'\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )

    def check() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "-c", program, str(public), str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    told = check()
    assert told.returncode == 0, told.stdout + told.stderr
    assert "changes of a record of hotich_qnam/khaisinh" in told.stdout
    assert len([line for line in told.stdout.splitlines() if "  hotich.khaisinh.v1  " in line]) == 2
    whole = file.read_bytes()
    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 2):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert check().returncode == 1, place
