"""What ``lienthong capture install --dry-run`` prints for PostgreSQL is what the table's owner can run."""

import psycopg
import pytest
from typer.testing import CliRunner

from deploy.local.postgres import libpq_url
from producers.commands import capture
from producers.outbox import Capture
from schemas.contracts import Contract
from tests.capture_lab import CaptureLab
from tests.shipped import shipped

SQL_TYPES = {"long": "bigint", "double": "double precision", "boolean": "boolean", "string": "text"}


def make_tables(lab: CaptureLab, contract: Contract) -> None:
    """The record's table and those of its lines, as the contract tells them."""
    columns = [f"{column} {SQL_TYPES[kind]}" for column, kind in contract.columns.items()]
    lab.hand.run(
        f"CREATE TABLE {contract.table} ({', '.join(columns)}, PRIMARY KEY ({', '.join(contract.key)}))"
    )
    for one in contract.lines.values():
        kinds = {
            **dict.fromkeys(one.order, "text"),
            **{column: SQL_TYPES[kind] for column, kind in one.columns.items()},
            **{column: SQL_TYPES[contract.columns[record]] for column, record in one.on.items()},
        }
        lab.hand.run(f"CREATE TABLE {one.table} ({', '.join(' '.join(pair) for pair in kinds.items())})")


@pytest.mark.parametrize("dataset", ["hotich_qnam/khaisinh", "motcua_qnam/hoso"])
def test_a_dry_run_prints_sql_that_does_the_same(
    lab: CaptureLab, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = shipped().contracts[dataset]
    make_tables(lab, contract)
    monkeypatch.setenv("LIENTHONG_SOURCE", lab.source)

    def run(*words: str) -> tuple[str, str]:
        done = CliRunner().invoke(capture, [*words, dataset])
        assert done.exit_code == 0, done.output
        return done.stdout, done.stderr

    printed, said = run("install", "--dry-run")
    assert "none run" in said
    assert "plpgsql" in printed
    assert lab.site.states() == []
    with psycopg.connect(libpq_url(lab.source)) as owner:
        owner.execute(printed.encode())
    assert run("install", "--dry-run")[0] == ""
    assert "captured already" in run("install")[1]

    lab.hand.run(f"INSERT INTO {contract.table} (id) VALUES (1)")
    expected = [("c", "1")]
    for one in contract.lines.values():
        (column,) = one.on
        lab.hand.run(f"INSERT INTO {one.table} ({column}) VALUES (1)")
        expected.append(("u", "1"))
    assert lab.told(Capture.of(contract)) == expected

    with psycopg.connect(libpq_url(lab.source)) as owner:
        owner.execute(run("uninstall", "--dry-run")[0].encode())
    lab.hand.run(f"DELETE FROM {contract.table}")
    assert lab.told(Capture.of(contract)) == expected
    assert [state.captured for state in lab.site.states()] == [False]
