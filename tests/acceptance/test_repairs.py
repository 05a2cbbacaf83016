"""Rejects as work, on real Kafka and PostgreSQL, by the commands that people type."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import KafkaNode
from tests.changes import Events
from tests.integration.test_road import good_rows
from tests.road import Road, road, wait_for

TABLE, PROVINCE, NATIONAL = "thu_nguoi_v1", "province.thu_qnam.nguoi", "national.thu.nguoi.v1"

CONTRACT = """
title: Sổ thử
owner: Phòng thử nghiệm
version: {version}
table: nguoi
key: [id]
columns: {{id: long, ten: string, loai: string, ngay: string}}
targets:
  thu.nguoi.v1:
    fields:
      so: {{rule: copy, from: id}}
      ten: {{rule: copy, from: ten}}
      loai: {{rule: code, from: loai, list: thu.loai, aliases: {aliases}}}
      ngay: {{rule: date, from: ngay, precision: kept}}
"""
CODES = """# title: Loại
# source: thử nghiệm
# evidence: U
code,name
1,Một
2,Hai
"""


def national_format() -> dict[str, Any]:
    field = {"type": ["null", "string"], "default": None, "sensitivity": "public"}
    field |= {"basis": "thử nghiệm", "evidence": "U"}
    names = {"so": "Số", "ten": "Tên", "loai": "Loại", "ngay": "Ngày"}
    fields: list[dict[str, Any]] = [
        {"name": name, "position": at, "label": label, "required": name in ("so", "loai"), **field}
        for at, (name, label) in enumerate(names.items(), 1)
    ]
    fields[2]["code_list"] = "thu.loai"
    fields[3]["date_form"] = "dd.MM.yyyy|MM.yyyy|yyyy"
    head = {"type": "record", "name": "Nguoi", "namespace": "thu.nguoi.v1", "title": "Sổ thử", "key": ["so"]}
    return {**head, "doc": "Made up for a test.", "fields": fields}


def write_contract(library: Path, *, version: int = 1, aliases: str = "{}") -> None:
    path = library / "contracts/thu_qnam/nguoi.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONTRACT.format(version=version, aliases=aliases))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A province's own folder: a small register, its national format and its code list."""
    folder = tmp_path / "library"
    for path, text in (
        ("codes/thu.loai.csv", CODES),
        ("formats/thu/nguoi/v1.avsc", json.dumps(national_format())),
    ):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    write_contract(folder)
    return folder


@pytest.fixture
def one(kafka: KafkaNode, database: str, tmp_path: Path, library: Path) -> Iterator[Road]:
    settings = {"LIENTHONG_EFFECT_LOG": "true", "LIENTHONG_LANGUAGE": "en"}
    first = Road(broker=kafka.bootstrap, store=database, folder=tmp_path / "logs", contracts=str(library))
    first.run("contracts", "register")
    first.close()
    with road(kafka.bootstrap, database, tmp_path / "logs", contracts=str(library), **settings) as made:
        yield made


@pytest.fixture
def events(one: Road) -> Iterator[Events]:
    made = one.events("thu_qnam/nguoi")
    yield made
    made.close()


def person(number: int, **values: str) -> dict[str, Any]:
    return {"id": number, "ten": "An", "loai": "Một", "ngay": "01/02/2016", **values}


def settled(one: Road) -> None:
    wait_for("both hops drained", lambda: one.backlog(PROVINCE, NATIONAL) == 0, every=0.3)


def people(one: Road) -> dict[str, tuple[str, int]]:
    """Name and number of each national row."""
    return {so: (ten, seq) for so, ten, seq in one.query(f"SELECT so, ten, lt_seq FROM {TABLE}_current")}


def order(one: Road) -> dict[str, list[int]]:
    """By source key, the numbers that reached the store in their order; one may come there again."""
    found: dict[str, dict[int, None]] = {}
    for key, seq in one.query("SELECT source_key, seq FROM lienthong_effect ORDER BY id"):
        found.setdefault(key, {})[seq] = None
    return {key: list(seqs) for key, seqs in found.items()}


def said(one: Road) -> dict[str, str]:
    (account,) = json.loads(one.run("receipts", "show", "thu_qnam", "--json").stdout)["accounts"]
    names = ("applied", "stale", "rejected", "parked", "waiting")
    return {name: account[name]["seqs"] for name in names if account[name]["seqs"]}


def test_a_reject_fixed_by_hand(one: Road, events: Events) -> None:
    events.write_all([person(1), person(2, ngay="31/02/2016"), person(2, ten="Bình")])
    one.worker()
    settled(one)
    assert people(one) == {"1": ("An", 1)}
    (cause,) = json.loads(one.run("rejects", "list", "thu_qnam", "--json").stdout)
    assert (cause["rule"], cause["how_many"], cause["parked"]) == ("date_impossible", 1, 1)
    told = one.run("rejects", "show", str(cause["example"])).stdout
    assert "99/99/9999" in told
    assert "31/02/2016" not in told
    one.run("rejects", "fix", str(cause["example"]), "--set", "ngay=01/03/2016", "--why", "sổ gốc ghi 01/03")
    wait_for("the record and what waited", lambda: people(one).get("2") == ("Bình", 3))
    wait_for("the answers", lambda: said(one) == {"applied": "1-3"}, every=1)

    def shown() -> str:
        return one.run("rejects", "show", str(cause["example"])).stdout

    wait_for("it is told as mended", lambda: "mended" in shown(), every=1)  # after it is published
    assert "sổ gốc ghi 01/03" in shown()
    assert order(one)["2"] == [2, 3]


def test_a_code_that_arrives_later(one: Road, events: Events, library: Path) -> None:
    events.write_all(
        [person(1, loai="Ba"), person(1, ten="Chi", loai="Ba"), person(2, loai="Bốn"), person(3)]
    )
    one.worker()
    settled(one)
    assert said(one) == {"applied": "4", "rejected": "1,3", "parked": "2"}
    one.end("w1")
    (library / "codes/thu.loai.csv").write_text(CODES + "3,Ba\n")
    one.worker("w2")
    wait_for("the record healed by itself", lambda: people(one).get("1") == ("Chi", 2))
    settled(one)
    wait_for("the answers", lambda: said(one) == {"applied": "1-2,4", "rejected": "3"}, every=1)

    def causes() -> list[tuple[int, int]]:
        told = json.loads(one.run("rejects", "list", "thu_qnam", "--json").stdout)
        return [(cause["how_many"], cause["asked"]) for cause in told]

    wait_for("the other one still waits for its code", lambda: causes() == [(1, 0)], every=1)


def test_a_contract_mended_and_200_victims_retried_in_order(one: Road, events: Events, library: Path) -> None:
    victims = range(1, 201)
    events.write_all(person(number, loai="CŨ") for number in victims)
    events.write_all(person(number, ten="Bình") for number in victims)
    events.write_all(person(number, ten="Chi", loai="CŨ") for number in victims)
    events.write_all(person(number) for number in range(201, 301))
    one.worker()
    settled(one)
    assert said(one) == {"rejected": "1-200", "parked": "201-600", "applied": "601-700"}
    write_contract(library, version=2, aliases='{"CŨ": "2"}')
    one.run("rejects", "retry", "--system", "thu_qnam", "--rule", "code_unknown", "--why", "hợp đồng bản 2")
    wait_for("the old contract tried them in vain", lambda: _asked(one) == 0)
    assert len(people(one)) == 100
    one.end("w1")
    one.worker("w2")
    wait_for("all victims", lambda: len(people(one)) == 300)
    settled(one)
    wait_for("the answers", lambda: said(one) == {"applied": "1-700"}, every=1)
    assert all(people(one)[str(number)] == ("Chi", 400 + number) for number in victims)
    tried = order(one)
    for number in victims:
        assert tried[str(number)] == [number, 200 + number, 400 + number]
    wait_for("nothing waits any more", lambda: not one.query("SELECT id FROM lienthong_parked"))


def _asked(one: Road) -> int:
    return int(one.one("SELECT count(*) FROM lienthong_reject WHERE asked IS NOT NULL"))


def test_a_flood_pauses_its_source_only_and_ends_when_the_cause_is_gone(
    kafka: KafkaNode, one: Road, events: Events, library: Path
) -> None:
    one.settings |= {"LIENTHONG_FLOOD_WINDOW": "100", "LIENTHONG_FLOOD_PAUSE_SECONDS": "3600"}
    births = one.events("hotich_qnam/khaisinh")
    events.write_all(person(number, loai="CŨ") for number in range(1, 201))
    one.worker()
    wait_for("the pause", lambda: _open(one) == 1)
    wait_for("the log tells it", lambda: "source paused: a flood of rejects" in one.log("w1"))
    wait_for(
        "its publisher is told",
        lambda: one.query(
            "SELECT 1 FROM lienthong_receipt WHERE outcome = 'paused' AND published_at IS NOT NULL"
        ),
    )
    told = one.run("rejects", "list", "thu_qnam")
    assert "thu_qnam/nguoi is paused" in told.stderr
    events.write_all(person(number, loai="CŨ") for number in range(201, 5_201))
    births.write_all(good_rows(50))
    births.close()
    wait_for("the other source flows", lambda: one.one("SELECT count(*) FROM hotich_khaisinh_v1") == 50)
    assert one.one("SELECT count(*) FROM lienthong_reject") < 5_200  # the rest was not even read
    one.end("w1")
    write_contract(library, version=2, aliases='{"CŨ": "2"}')
    one.settings |= {"LIENTHONG_FLOOD_PAUSE_SECONDS": "5"}
    one.worker("w2")
    wait_for("it flows again by itself", lambda: _open(one) == 0)
    wait_for("everything arrived", lambda: len(people(one)) == 5_200)
    settled(one)
    wait_for("the answers", lambda: said(one) == {"applied": "1-5200"}, every=1)


def test_a_person_resumes_a_paused_source(one: Road, events: Events) -> None:
    one.settings |= {"LIENTHONG_FLOOD_CONSECUTIVE": "20"}
    events.write_all(person(number, loai="CŨ") for number in range(1, 21))
    one.worker()
    wait_for("the pause", lambda: _open(one) == 1)
    events.write_all([person(30)])
    told = one.run("road", "resume", "thu_qnam/nguoi")
    assert "flows again" in told.stderr
    wait_for("the next change", lambda: list(people(one)) == ["30"])
    assert one.run("road", "resume", "thu_qnam/nguoi", check=False).returncode == 1
    assert one.run("road", "resume", "thu_qnam/khac", check=False).returncode == 2


def _open(one: Road) -> int:
    return int(one.one("SELECT count(*) FROM lienthong_breaker"))


def test_a_gap_of_a_source_is_named_and_heals(one: Road, events: Events) -> None:
    events.write_all(person(number) for number in range(1, 10))
    late = {number: events.value("c", None, person(number), number) for number in (10, 11, 12)}
    events.seq = 12
    events.write_all(person(number) for number in range(13, 20))
    one.worker()

    def told() -> str:
        return one.run("receipts", "show", "thu_qnam").stdout

    settled(one)
    wait_for("the gap is named", lambda: "thu_qnam/nguoi: 10–12 never arrived" in told(), every=3)
    wait_for("the log tells it", lambda: "changes never arrived" in one.log("w1"))
    for number, value in late.items():
        events.raw(value, key=str(number), headers=events.headers(number))
    wait_for("they arrived", lambda: said(one) == {"applied": "1-19"}, every=1)
    assert "never arrived\t0" in told()
