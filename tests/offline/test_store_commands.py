"""``lienthong store`` and ``lienthong receipts`` on SQLite."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from consumers.commands import receipts
from consumers.numbers_commands import store
from consumers.opening import open_store
from consumers.ranges import Ranges
from consumers.store import Position, Slice
from schemas.errors import LienthongError, SettingsError
from tests.shipped import shipped
from tests.store_lab import DATASET, SYSTEM, Lab, a_reject, numbered, upsert

FORMAT = "hotich.khaisinh.v1"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/national.db"
    monkeypatch.setenv("LIENTHONG_STORE", address)
    return address


@pytest.fixture
def lab(url: str) -> Iterator[Lab]:
    """A store migrated for the shipped formats; its records are those of the birth register."""
    formats = shipped().formats
    opened = open_store(url)
    opened.migrate(list(formats.values()))
    lab = Lab(
        store=opened, url=url, shift_claims=lambda _: None, national=formats[FORMAT], deployment="lienthong"
    )
    yield lab
    lab.close()


APP = typer.Typer()
APP.add_typer(store, name="store")
APP.add_typer(receipts, name="receipts")


def run(*args: str) -> Result:
    result = CliRunner().invoke(APP, list(args))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url)
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_a_dry_run_prints_the_sql_and_runs_nothing(url: str) -> None:
    result = run("store", "migrate", "--dry-run")
    assert "CREATE TABLE" in result.stdout
    assert "hotich_khaisinh_v1" in result.stdout
    assert "nothing was run" in result.stderr
    assert tables(url) == set()


def test_the_printed_sql_is_all_that_is_needed(url: str) -> None:
    script = run("store", "migrate", "--dry-run").stdout
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.executescript(script)
    engine.dispose()
    assert run("store", "migrate", "--dry-run").stdout == ""


def test_migrating_makes_the_tables_once(url: str) -> None:
    assert run("store", "migrate").stdout == ""
    assert {"hotich_khaisinh_v1", "lienthong_ledger", "lienthong_receipt"} <= tables(url)
    assert run("store", "migrate").stderr.startswith("0 statements run")


def test_the_status_of_a_store_that_is_not_migrated_names_the_next_step(url: str) -> None:
    with pytest.raises(LienthongError, match="not migrated") as told:
        run("store", "status")
    assert "lienthong store migrate" in told.value.next_step


def test_the_status_shows_how_far_each_partition_is(lab: Lab) -> None:
    lab.apply(*numbered(3), partition=4)
    lines = [line.split("\t") for line in run("store", "status").stdout.splitlines()]
    assert lines[0] == ["topic", "partition", "next offset", "worker", "last step"]
    assert lines[1][:4] == ["national.hotich.khaisinh.v1", "4", "3", "w1"]
    (told,) = [json.loads(line) for line in run("store", "status", "--json").stdout.splitlines()]
    assert (told["partition"], told["next_offset"], told["owner"]) == (4, 3, "w1")


def refuse(lab: Lab, *rejects: Any) -> None:
    """As translate does."""
    position = Position(topic="province.hotich_thu.sothu", partition=0)
    claim = lab.store.claim("lienthong", [position], generation=1, owner="w1")[position]
    lab.store.start_at("lienthong", position, epoch=claim.epoch, offset=0)
    step = Slice(position=position, start=0, next=len(rejects), epoch=claim.epoch)
    lab.store.settle("lienthong", [step], rejects=rejects, formats=[FORMAT])


@pytest.fixture
def answered(lab: Lab) -> Lab:
    """15 changes known: 10 applied, one superseded, two rejected (12, 13), 11 and 14 without an answer."""
    lab.apply(*numbered(9))
    lab.apply(upsert(15, "K9", person="p9"))
    lab.apply(upsert(10, "K9", person="p9"))
    refuse(
        lab,
        a_reject(0, seq=12, rule="code_unknown", field="nksDanToc"),
        a_reject(1, seq=13, rule="required_missing", field="nksHoTen"),
        a_reject(2, seq=None, rule="bytes_truncated", field=""),
    )
    return lab


def test_receipts_tell_in_vietnamese_what_became_of_every_number(answered: Lab) -> None:
    out = run("receipts", "show", SYSTEM).stdout
    assert f"{SYSTEM}/{DATASET} → {FORMAT}: 15 thay đổi đã biết" in out
    assert "đã áp dụng\t10\t1–9, 15\t" in out
    assert "đã có bản mới hơn\t1\t10\t" in out
    assert "bị từ chối\t2\t12–13\t" in out
    assert "  nksDanToc: code_unknown\t1\t12\tnksDanToc: giá trị không có trong danh mục" in out
    assert "đang chờ\t2\t11, 14\t" in out
    assert f"{SYSTEM}/{DATASET}: 1 bản ghi không đọc được số thứ tự" in out


def test_receipts_tell_in_english_if_asked_or_set(answered: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = run("receipts", "show", SYSTEM, "--language", "en").stdout
    assert "superseded\t1\t10\t" in asked
    assert "nksDanToc: the value is not in the code list." in asked
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")
    assert run("receipts", "show", SYSTEM).stdout == asked


def test_receipts_as_json_hold_every_number_exactly_once(answered: Lab) -> None:
    told = json.loads(run("receipts", "show", SYSTEM, "--json").stdout)
    (account,) = told["accounts"]
    assert account["highest"] == 15
    parts = ("applied", "stale", "passed", "rejected", "parked", "waiting")
    assert sum(account[part]["how_many"] for part in parts) == 15
    assert {part: account[part]["seqs"] for part in parts} == {
        "applied": "1-9,15",
        "stale": "10",
        "passed": "",
        "rejected": "12-13",
        "parked": "",
        "waiting": "11,14",
    }
    assert [one["seqs"] for one in account["refused"]] == ["12", "13"]
    assert told["unnumbered"] == [{"dataset": DATASET, "rule": "bytes_truncated", "how_many": 1}]


def test_gaps_are_named_in_both_languages_and_gone_when_they_arrive(answered: Lab) -> None:
    answered.store.note_gaps(SYSTEM, DATASET, Ranges.of([(11, 11), (14, 14)]))
    told = run("receipts", "show", SYSTEM, "--language", "en").stdout
    assert f"{SYSTEM}/{DATASET}: 11, 14 never arrived" in told
    assert "never arrived\t2\t11, 14\t" in told
    assert f"{SYSTEM}/{DATASET}: 11, 14 chưa từng đến" in run("receipts", "show", SYSTEM).stdout
    answered.apply(upsert(14, "K14", person="p14"))
    assert f"{SYSTEM}/{DATASET}: 11 never" in run("receipts", "show", SYSTEM, "--language", "en").stdout


def test_a_system_without_receipts_is_told_with_the_next_step(lab: Lab) -> None:
    with pytest.raises(LienthongError, match="no receipt for hotich_khac/x") as told:
        run("receipts", "show", "hotich_khac", "--dataset", "x")
    assert "lienthong store status" in told.value.next_step


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIENTHONG_STORE", raising=False)
    for args in (["store", "status"], ["receipts", "show", "x"]):
        with pytest.raises(SettingsError, match="LIENTHONG_STORE"):
            run(*args)


@pytest.fixture
def certified(lab: Lab) -> Lab:
    """Entries 1 and 3 of a certification book, by a person whose name must not be told."""
    lab.national = shipped().formats["chungthuc.hoso.v1"]
    common = {"DonVi": "000.91.12.H47", "MaSo": "S1", "NguoiKy": "Trần Văn Mẫu"}
    lab.apply(*(upsert(n, f"K{n}", person=f"p{n}", So=str(n), **common) for n in (1, 3)))
    return lab


def test_numbers_tells_the_gaps_of_books_and_no_person(certified: Lab) -> None:
    result = CliRunner().invoke(APP, ["store", "numbers", "chungthuc.hoso.v1", "--language", "en"])
    assert result.exit_code == 1
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:2] == ["book", "in force"]
    assert lines[1][:5] == ["000.91.12.H47 S1", "2", "0", "3", "2"]
    assert "1 books of chungthuc.hoso.v1, 1 with findings" in result.stderr
    assert "Mẫu" not in result.output


def test_numbers_as_json_tells_every_book_and_a_sound_one_is_no_finding(certified: Lab) -> None:
    certified.apply(upsert(4, "K2", person="p2", DonVi="000.91.12.H47", MaSo="S1", So="2"))
    result = run("store", "numbers", "chungthuc.hoso.v1", "--json")
    assert result.exit_code == 0
    (told,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert told == {
        "book": ["000.91.12.H47", "S1"], "known": False, "entries": 3, "cancelled": 0, "highest": 3,
        "missing": "", "disorder": "", "repeated": "", "unreadable": 0,
    }  # fmt: skip


def test_numbers_of_a_format_without_them_names_those_that_have(lab: Lab) -> None:
    with pytest.raises(SettingsError) as told:
        run("store", "numbers", FORMAT)
    assert "chungthuc.hoso.v1" in told.value.next_step
