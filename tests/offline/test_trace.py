"""``lienthong trace`` without a broker: what it tells; a part that is away costs its own hop only."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from consumers.audit_key import load_key, make_key
from consumers.opening import open_store
from consumers.topic_search import Search, TopicSearch
from consumers.tracing import Sources, trace
from schemas.errors import SettingsError
from streams.cli import app
from tests.shipped import shipped
from tests.store_lab import Change, Lab

KEY = "hồ|sơ 4711"
FORMATS = shipped().formats
NATIONAL = FORMATS["hotich.khaisinh.v1"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["trace", *words])


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store, an agency's outbox, and a broker that is away."""
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")
    monkeypatch.setenv("LIENTHONG_STORE", f"sqlite:///{tmp_path}/national.db")
    monkeypatch.setenv("LIENTHONG_SOURCE", f"sqlite:///{tmp_path}/agency.db")
    monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
    monkeypatch.setenv("LIENTHONG_AUDIT_KEY", str(tmp_path / "audit.key"))
    make_key(tmp_path / "audit.key")
    url, key = f"sqlite:///{tmp_path}/national.db", load_key(tmp_path / "audit.key")
    store = open_store(url, audit_key=key)
    store.migrate(list(FORMATS.values()))
    lab = Lab(store=store, url=url, shift_claims=lambda _: None, national=NATIONAL)
    lab.apply(Change(key="K1", seq=7, person=KEY, system="hotich_qnam", dataset="khaisinh"))
    store.seal(key)
    lab.apply(Change(key="K1", seq=9, person=KEY, system="hotich_qnam", dataset="khaisinh"))
    lab.close()
    with sqlite3.connect(tmp_path / "agency.db") as agency:
        agency.execute(
            "CREATE TABLE lienthong_outbox (id INTEGER PRIMARY KEY, dataset TEXT, op TEXT, key TEXT,"
            " changed_at INTEGER, seq INTEGER, published_at INTEGER)"
        )
        rows = [
            ("u", KEY, 1_700_000_000_000, 9, 1_700_000_001_000),
            ("u", KEY, 1_700_000_002_000, None, None),
        ]
        agency.executemany(
            "INSERT INTO lienthong_outbox (dataset, op, key, changed_at, seq, published_at)"
            " VALUES ('hotich_qnam/khaisinh', ?, ?, ?, ?, ?)",
            [*rows, ("c", "another", 1, 1, 1)],
        )
    agency.close()


def test_every_hop_that_answers_is_told_with_numbers_and_times() -> None:
    found = run("hotich_qnam", KEY, "--dataset", "khaisinh", "--json")
    assert found.exit_code == 0, (found.output, found.exception)
    (told,) = json.loads(found.stdout)
    steps = [(one["hop"], one["seq"], one["what"]) for one in told["steps"]]
    assert steps == [
        ("outbox", 9, "captured"),
        ("outbox", 9, "acknowledged"),
        ("outbox", None, "captured"),
        ("outbox", None, "not_published"),
        ("store", 9, "in_force"),
        ("receipt", 9, "applied"),
        ("audit", 7, "sealed"),
        ("audit", 9, "not_sealed"),
    ]
    assert told["steps"][0]["at"] == "2023-11-14T22:13:20+00:00"
    assert "before 7" in told["steps"][4]["detail"]
    assert set(told["away"]) == {"province", "national"}


def test_people_get_a_table_and_hear_what_is_away() -> None:
    found = run("hotich_qnam", KEY)
    assert found.exit_code == 0, found.output
    assert "national store\t9\t" in found.stdout
    assert "national topic: could not be looked at: no broker listens on 127.0.0.1:1" in found.stderr
    assert "4711" not in found.output, "the key is the operator's; it is not told again"
    told = run("hotich_qnam", KEY, "--lang", "vi").stdout
    assert "hộp gửi\t9\t" in told, "as lienthong status, the dashboards and the runbooks call the outbox"


def test_a_key_nobody_ever_saw_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("hotich_qnam", "nobody")
    assert found.exit_code == 1
    assert "none of the places looked through has this record" in found.stderr
    monkeypatch.delenv("LIENTHONG_BROKER")
    found = run("hotich_qnam", "nobody", "--dataset", "khaisinh")
    assert found.exit_code == 1
    assert "none of the places looked through has this record" in found.stderr
    assert "province topic: not set up here" in found.stderr


@pytest.mark.parametrize(("start", "said"), [(0, "nobody has ever seen"), (9, "none of the places")])
def test_never_is_said_only_where_all_was_looked_through(
    start: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = Search(topic="t", partition=0, begin=0, start=start, stop=10, records=())
    search = SimpleNamespace(find=lambda *where, since: searched, close=lambda: None)
    monkeypatch.setattr("consumers.trace_command.TopicSearch", lambda *where, **how: search)
    monkeypatch.setenv("LIENTHONG_AUDIT_KEY", "/nowhere/audit.key")
    found = run("hotich_qnam", "nobody", "--dataset", "khaisinh")
    assert found.exit_code == 1
    assert f"{said} " in found.stderr
    assert ("looked through only from offset 9 on" in found.stderr) == (start > 0)
    found = run("hotich_qnam", "nobody", "--dataset", "khaisinh", "--lang", "vi")
    assert ("topic tỉnh: chỉ xem từ offset 9 trở đi" in found.stderr) == (start > 0)


def test_where_nothing_is_set_up_nobody_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOURCE", "BROKER", "STORE"):
        monkeypatch.delenv(f"LIENTHONG_{name}")
    error = run("hotich_qnam", KEY).exception
    assert isinstance(error, SettingsError)
    assert "nowhere to look" in error.message


def test_an_agency_that_is_away_costs_its_own_hop_only(tmp_path: Path) -> None:
    (tmp_path / "agency.db").unlink()
    (told,) = json.loads(run("hotich_qnam", KEY, "--dataset", "khaisinh", "--json").stdout)
    assert "outbox" in told["away"]
    assert {one["hop"] for one in told["steps"]} == {"store", "receipt", "audit"}


def test_an_unknown_system_is_a_mistake_of_typing() -> None:
    error = run("hotich_qnan", KEY).exception
    assert getattr(error, "exit_code", None) == 2
    assert "hotich_qnam" in getattr(error, "next_step", "")


def test_a_key_that_is_no_utf_8_is_found_as_the_store_keeps_it(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "national.db")) as store, store:
        store.execute("UPDATE hotich_khaisinh_v1 SET lt_source_key = '4\ufffd'")
    (told,) = json.loads(run("hotich_qnam", "4\ufffd", "--dataset", "khaisinh", "--json").stdout)
    assert ("store", 9) in [(one["hop"], one["seq"]) for one in told["steps"]]


def test_a_header_with_a_number_too_long_costs_nothing_but_the_number() -> None:
    """A producer may write anything there; translate takes it for none, too."""

    def found(topic: str, key: bytes, *, since: datetime | None) -> Search:
        place: dict[str, Any] = {"topic": topic, "partition": 0}
        headers = [("seq", b"9" * digits) for digits in (18, 19, 5_000)]
        records = [SimpleNamespace(**place, offset=1, timestamp=1, headers=[one]) for one in headers]
        return Search(**place, begin=0, start=0, stop=3, records=tuple(records))

    library = shipped()
    with closing(open_store(os.environ["LIENTHONG_STORE"])) as store:
        search = cast(TopicSearch, SimpleNamespace(find=found, close=lambda: None))
        sources = Sources(
            library=library, deployment="thu", outbox=None, search=lambda: search, store=store, keys=()
        )
        told = trace(sources, library.contracts["hotich_qnam/khaisinh"], "x")
    assert [one.seq for one in told.steps if one.hop == "province"] == [10**18 - 1, None, None]
