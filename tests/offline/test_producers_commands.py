"""``lienthong capture …`` on an SQLite file: data on stdout, talk on stderr, errors with a next step."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from deploy.demo.agency import COLUMNS
from producers.commands import capture
from producers.metrics import CaptureMetrics, serve_metrics
from producers.outbox import Capture
from producers.publisher import Publisher
from producers.running import preparing
from producers.sqlite_sql import drop_statements
from schemas.errors import LienthongError, SettingsError
from schemas.library import SHIPPED, load_library
from tests.capture_lab import CaptureLab
from tests.shipped import shipped

KHAISINH = "hotich_qnam/khaisinh"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CaptureLab]:
    """The vendor's table, as an SQLite file."""
    one = CaptureLab(f"sqlite:///{tmp_path}/ho_tich.db")
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    one.hand.run(f"CREATE TABLE ht_khaisinh ({columns.replace('bigint', 'INTEGER')}, ghi_chu TEXT)")
    one.hand.run("INSERT INTO ht_khaisinh (id, ho_ten) VALUES (1, 'Người thử')")
    monkeypatch.setenv("LIENTHONG_SOURCE", one.source)
    yield one
    one.close()


def run(*words: str) -> Result:
    done = CliRunner().invoke(capture, words)
    if isinstance(done.exception, LienthongError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_install_captures_and_says_so_on_stderr(lab: CaptureLab) -> None:
    done = run("install")
    assert done.stdout == ""
    assert "captured from now on" in done.stderr
    assert "ghi_chu" in done.stderr, "what is not captured is told"
    lab.hand.run("UPDATE ht_khaisinh SET ho_ten = 'Khác'")
    assert lab.hand.run("SELECT dataset, op, key FROM lienthong_outbox") == [(KHAISINH, "u", "1")]
    assert "captured already" in run("install", KHAISINH).stderr


def test_a_dry_run_prints_sql_that_does_the_same(lab: CaptureLab) -> None:
    printed = run("install", "--dry-run").stdout
    assert lab.site.states() == []
    lab.hand.connection.executescript(printed)  # type: ignore[attr-defined]
    assert "captured already" in run("install").stderr
    assert run("install", "--dry-run").stdout == ""


def test_install_with_snapshot_and_status(lab: CaptureLab) -> None:
    done = run("install", "--snapshot")
    assert "snapshot of 1 rows" in done.stderr
    head, line = run("status").stdout.splitlines()
    found = dict(zip(head.split("\t"), line.split("\t"), strict=True))
    assert float(found.pop("oldest_seconds")) < 60
    assert found == {
        "dataset": KHAISINH, "waiting": "1", "next_seq": "1", "triggers": "in place", "snapshot": "done",
        "snapshot_rows": "1",
    }  # fmt: skip


def test_status_tells_triggers_that_this_version_would_make_anew(lab: CaptureLab) -> None:
    run("install")
    assert run("status").stderr == ""
    lab.hand.run(
        "CREATE UNIQUE INDEX mot_so ON ht_khaisinh (so_dk)"
    )  # rows may be replaced by it from now on
    done = run("status")
    assert "outdated" in done.stdout
    assert f": {KHAISINH}\nnext step: run lienthong capture install" in done.stderr
    assert done.exit_code == 0
    run("install")
    assert "outdated" not in run("status").stdout


def test_status_fails_when_changes_are_being_missed(lab: CaptureLab) -> None:
    run("install")
    lab.hand.run("ALTER TABLE ht_khaisinh RENAME TO cu")
    lab.hand.run("DROP TABLE cu")
    with pytest.raises(LienthongError, match="being missed") as caught:
        run("status")
    assert "capture install --snapshot" in caught.value.next_step


def test_status_of_a_database_without_capture_is_an_empty_table(lab: CaptureLab) -> None:
    assert len(run("status").stdout.splitlines()) == 1


def test_snapshot_of_all_or_one(lab: CaptureLab) -> None:
    with pytest.raises(LienthongError, match="nothing is captured"):
        run("snapshot")
    with pytest.raises(LienthongError, match="is not captured"):
        run("snapshot", KHAISINH)
    run("install")
    run("snapshot")
    run("snapshot", KHAISINH)
    assert lab.hand.run("SELECT op, count(*) FROM lienthong_outbox GROUP BY op") == [("r", 2)]


def test_uninstall(lab: CaptureLab) -> None:
    run("install")
    assert "DROP TRIGGER" in run("uninstall", KHAISINH, "--dry-run").stdout
    assert [state.captured for state in lab.site.states()] == [True]
    run("uninstall", KHAISINH)
    lab.hand.run("UPDATE ht_khaisinh SET ho_ten = 'Khác'")
    assert lab.hand.run("SELECT count(*) FROM lienthong_outbox") == [(0,)]
    assert "uninstalled" in run("status").stdout
    with pytest.raises(LienthongError, match="is not captured"):
        run("uninstall", KHAISINH)


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["install"], ["status"], ["run"]):
        with pytest.raises(SettingsError, match="LIENTHONG_SOURCE"):
            run(*words)
    monkeypatch.setenv("LIENTHONG_SOURCE", "sqlite:////x.db")
    with pytest.raises(SettingsError, match="LIENTHONG_BROKER"):
        run("run")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nguoi:mat-khau@127.0.0.1:0/ht", "names a port that is not from 1 to 65535"),
        ("nguoi:mat-khau@127.0.0.1:-1/ht", "names a port that is not from 1 to 65535"),
        ("nguoi:mat-khau@127.0.0.1:65536/ht", "names a port that is not from 1 to 65535"),
        ("nguoi:mat-khau@ht..vn/ht", "names no host"),
        ("nguoi:mat-khau@/ht?host=ht..vn", "names no host"),
        ("nguoi:mat-khau@127.0.0.1/ht?khong_co=1", "has an option that PostgreSQL does not know"),
        ("nguoi:mat-khau@127.0.0.1:chín/ht", "is not an address of a database"),
    ],
)
def test_an_address_that_no_server_has_is_a_setting_to_correct(
    address: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIENTHONG_SOURCE", f"postgresql+psycopg://{address}")
    with pytest.raises(SettingsError) as caught:
        run("status")
    assert caught.value.message == f"LIENTHONG_SOURCE {told}"


@pytest.mark.parametrize("address", ["nguoi:mat-khau@ht/ht.db", "/ht.db?timeout=mat-khau"])
def test_an_address_that_sqlite_refuses(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_SOURCE", f"sqlite://{address}")
    with pytest.raises(SettingsError) as caught:
        run("status")
    assert caught.value.message == "LIENTHONG_SOURCE is not an address of a database"


def test_every_command_has_help() -> None:
    for name in ("install", "uninstall", "snapshot", "run", "status"):
        assert len(run(name, "--help").stdout.splitlines()) > 5


def test_a_taken_metrics_port_is_a_setting_to_correct() -> None:
    registry = CollectorRegistry()
    CaptureMetrics(registry)
    port = serve_metrics(registry, 0)
    assert port > 0
    with pytest.raises(SettingsError, match="LIENTHONG_METRICS_PORT"):
        serve_metrics(registry, port)


def test_a_contract_that_changed_with_its_triggers_is_read_again(tmp_path: Path) -> None:
    place = tmp_path / "province" / "contracts" / "thu"
    place.mkdir(parents=True)
    text = (SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml").read_text(encoding="utf-8")
    (place / "khaisinh.yaml").write_text(text, encoding="utf-8")
    folders = [tmp_path / "province"]
    lab = CaptureLab(f"sqlite:///{tmp_path}/ho_tich.db")

    class Broker(Publisher):
        def missing(self, topics: Collection[str]) -> list[str]:
            return []

    def install() -> None:
        library = load_library(folders)
        contract = library.contracts["thu/khaisinh"]
        library.registry.register(contract.subject, contract.envelope_schema)
        lab.install(Capture.of(contract))

    try:
        lab.hand.run(f"CREATE TABLE ht_khaisinh ({', '.join(COLUMNS)}, ghi_chu, PRIMARY KEY (id))")
        install()
        prepare = preparing(folders, Broker("nowhere:1", client_id="test"))
        before = prepare(lab.outbox, lab.outbox.states())["thu/khaisinh"]
        text = text.replace("  id: long\n", "  id: long\n  ghi_chu: string\n", 1)
        (place / "khaisinh.yaml").write_text(text, encoding="utf-8")
        install()
        after = prepare(lab.outbox, lab.outbox.states())["thu/khaisinh"]
        lab.hand.run("INSERT INTO ht_khaisinh (id, ghi_chu) VALUES (1, 'Ghi chú mới')")
        (change,) = lab.outbox.number(["thu/khaisinh"], 10, 10**9)
        assert "Ghi chú mới".encode() in after.encode(change, now_ms=0).value
        assert "Ghi chú mới".encode() not in before.encode(change, now_ms=0).value
        (place / "khaisinh.yaml").unlink()
        with pytest.raises(LienthongError, match="no such contract"):
            preparing(folders, Broker("nowhere:1", client_id="test"))(lab.outbox, lab.outbox.states())
    finally:
        lab.close()


def test_a_dataset_that_lacks_something_keeps_no_other_from_being_relayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contracts = [shipped().contracts[one] for one in (KHAISINH, "hotich_qnam/kethon")]
    missing: set[str] = set()

    class Broker(Publisher):
        def missing(self, topics: Collection[str]) -> list[str]:
            return sorted(missing.intersection(topics))

    lab = CaptureLab(f"sqlite:///{tmp_path}/ho_tich.db")
    try:
        for one in contracts:
            lab.hand.run(
                f"CREATE TABLE {one.table} ({', '.join(one.columns)}, PRIMARY KEY ({', '.join(one.key)}))"
            )
            lab.install(Capture.of(one))
        prepare = preparing([], Broker("nowhere:1", client_id="test"))
        assert set(prepare(lab.outbox, lab.outbox.states())) == {one.id for one in contracts}
        for statement in drop_statements(Capture.of(contracts[1])):
            lab.hand.run(statement)
        assert set(prepare(lab.outbox, lab.outbox.states())) == {KHAISINH}
        said = capsys.readouterr().out
        assert "triggers of table dk_kethon are gone" in said
        assert "capture install --snapshot hotich_qnam/kethon" in said
        missing.add(contracts[0].topic)
        with pytest.raises(LienthongError, match="the broker has no topic"):
            prepare(lab.outbox, lab.outbox.states())
    finally:
        lab.close()
