"""National changes that come back to a province, on real Kafka and PostgreSQL: all arrive, none returns."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from deploy.local.kafka import KafkaNode
from schemas.library import load_library
from tests.provinces import CONTRACT, write_contract, write_format
from tests.road import Road, end_offsets, road, wait_for
from tests.topics import every_record

NATIONAL, PROVINCE, CENTRE = "thu.dan.v1", "tinh.dan.v1", "trungtam.dan.v1"
FIELDS = {"ma": {"rule": "copy", "from": "ma"}, "ten": {"rule": "copy", "from": "ten"}}


def outbound(*, only: dict[str, Any] | None = None) -> dict[str, Any]:
    target = {"fields": FIELDS} | ({"only": only} if only else {})
    return {**CONTRACT, "targets": {NATIONAL: target}}


def inbound(full_id: str, *not_from: str) -> dict[str, Any]:
    told = {name: CONTRACT[name] for name in ("title", "owner", "version")}
    targets = {full_id: {"fields": FIELDS}}
    return {**told, "source": {"format": NATIONAL}, "not_from": list(not_from), "targets": targets}


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """The centre feeds the national format and reads it, but no province's echo; so does the province."""
    folder = tmp_path / "library"
    for full_id in (NATIONAL, PROVINCE, CENTRE):
        write_format(folder, full_id, "ma", "ten")
    write_contract(folder, "trungtam/dan", outbound())
    write_contract(folder, "tinh/dan", outbound())
    write_contract(folder, "khac/dan", outbound(only={"column": "loai", "is": ["dân"]}))
    write_contract(folder, "tinh/ve", inbound(PROVINCE))
    write_contract(folder, "trungtam/ve", inbound(CENTRE, "tinh"))
    library = load_library([folder])
    for contract in library.outbound:
        library.registry.register(contract.subject, contract.envelope_schema)
    for full_id in (NATIONAL, PROVINCE, CENTRE):
        national = library.formats[full_id]
        library.registry.register(national.subject, national.wire_schema)
    return folder


@pytest.fixture
def one(kafka: KafkaNode, database: str, contracts: Path, tmp_path: Path) -> Iterator[Road]:
    with road(kafka.bootstrap, database, tmp_path / "logs", contracts=str(contracts)) as made:
        yield made


def readers(one: Road) -> dict[str, set[str]]:
    """The topics of each deployment that keeps a ledger."""
    library = one.library
    main = {each.topic for each in library.outbound}
    main |= {f"national.{full_id}" for full_id in (NATIONAL, PROVINCE, CENTRE)}
    return {"lienthong": main, **{f"lienthong/{each.id}": {each.topic} for each in library.inbound}}


def backlog(one: Road, reading: dict[str, set[str]]) -> int:
    """What some reader has not read of its topics."""
    rows = one.query("SELECT deployment, topic, partition, next_offset FROM lienthong_ledger")
    known = {(deployment, topic, partition): offset for deployment, topic, partition, offset in rows}
    ends = end_offsets(one.broker, sorted(set[str]().union(*reading.values())))
    return sum(
        end - (known.get((name, *where)) or 0)
        for name, topics in reading.items()
        for where, end in ends.items()
        if where[0] in topics
    )


def settle(one: Road) -> None:
    reading = readers(one)
    wait_for("all readers drained", lambda: backlog(one, reading) == 0, every=0.3)


def told(one: Road, full_id: str) -> set[tuple[str, int, str, str]]:
    """Every record ever published of a format, however often: who made it, its number there, key, kind."""
    topic = f"national.{full_id}"
    schema = one.library.registry.current(f"{topic}-value").schema
    found = set()
    for record in every_record(one.broker, topic):
        assert struct.unpack(">bI", record.value[:5])[0] == 0
        read: Any = fastavro.schemaless_reader(io.BytesIO(record.value[5:]), schema, None)
        found.add((read["lt_system"], read["lt_seq"], read["lt_key"], read["lt_op"]))
    return found


def row(id_: int, ma: str, ten: str, loai: str = "dân") -> dict[str, Any]:
    return {"id": id_, "ma": ma, "loai": loai, "ten": ten}


def test_a_national_update_reaches_the_province_and_no_change_returns(one: Road) -> None:
    centre, province = one.events("trungtam/dan"), one.events("tinh/dan")
    one.worker()
    centre.write(row(1, "A", "Thử Một"))
    centre.write(row(2, "B", "Thử Hai"))
    centre.write(row(1, "A", "Thử Một Sửa"))
    centre.producer.flush()
    settle(one)
    there = one.query("SELECT ma, ten, lt_system, lt_seq FROM tinh_dan_v1 ORDER BY ma")
    assert [tuple(each) for each in there] == [
        ("A", "Thử Một Sửa", "trungtam", 3),
        ("B", "Thử Hai", "trungtam", 2),
    ]
    # The province's own program takes them over into its table, which is captured: the echo.
    for at, each in enumerate(there):
        province.write(row(at + 10, each.ma, each.ten))
    province.write(row(20, "C", "Thử Ba"))  # and this one is its own
    province.producer.flush()
    settle(one)
    centre.delete("2")
    centre.producer.flush()
    settle(one)
    assert told(one, NATIONAL) == {
        ("trungtam", 1, "A", "u"),
        ("trungtam", 2, "B", "u"),
        ("trungtam", 3, "A", "u"),
        ("trungtam", 4, "B", "d"),
        ("tinh", 1, "A", "u"),
        ("tinh", 2, "B", "u"),
        ("tinh", 3, "C", "u"),
    }
    assert {each[0] for each in told(one, PROVINCE)} == {"trungtam"}
    assert told(one, CENTRE) == set()
    gone = one.query("SELECT ma FROM tinh_dan_v1 WHERE lt_deleted_at IS NOT NULL")
    assert [each.ma for each in gone] == ["B"]
    # Who made a change hears of each format; the echo is refused where the centre's record stands.
    answers = one.query(
        "SELECT DISTINCT format, outcome FROM lienthong_receipt WHERE system = 'trungtam' ORDER BY format"
    )
    assert [tuple(each) for each in answers] == [(NATIONAL, "applied"), (PROVINCE, "applied")]
    taken = one.query("SELECT DISTINCT system, rule FROM lienthong_reject")
    assert [tuple(each) for each in taken] == [("tinh", "national_key_taken")]
    assert one.end("w1") == 0


def test_a_new_inbound_contract_begins_at_the_start_beside_sync(one: Road, contracts: Path) -> None:
    others = one.events("khac/dan")
    late = contracts / "contracts" / "tinh" / "ve.yaml"
    kept = late.read_text(encoding="utf-8")
    late.unlink()
    one.worker()
    others.write(row(1, "A", "Thử Một"))
    others.write(row(2, "B", "Thử Hai", "khác"))
    others.write(row(3, "C", "Thử Ba"))
    others.write(row(3, "C", "Thử Ba", "khác"))
    others.producer.flush()
    settle(one)
    assert one.end("w1") == 0
    late.write_text(kept, encoding="utf-8")
    one.worker("w2")
    settle(one)
    for table in ("thu_dan_v1", "tinh_dan_v1", "trungtam_dan_v1"):
        there = one.query(f"SELECT ma, lt_deleted_at IS NULL FROM {table} ORDER BY ma")
        assert [tuple(each) for each in there] == [("A", True), ("C", False)], table
    passed = one.query("SELECT seqs FROM lienthong_receipt WHERE outcome = 'passed'")
    assert [each.seqs for each in passed] == ["2"]
    shown = one.run("receipts", "show", "khac", "--language", "en").stdout
    assert "not of its concern" in shown
    readers = one.query(
        "SELECT DISTINCT deployment FROM lienthong_ledger WHERE topic = :t", t=f"national.{NATIONAL}"
    )
    assert {each.deployment for each in readers} == {
        "lienthong",
        "lienthong/tinh/ve",
        "lienthong/trungtam/ve",
    }
    status = one.run("store", "status").stdout
    assert f"national.{PROVINCE}" in status


def test_a_national_change_that_an_inbound_contract_refused_is_corrected_for_it_alone(
    one: Road, contracts: Path
) -> None:
    needs_a_name = {**FIELDS, "ten": {**FIELDS["ten"], "required": True}}
    write_contract(
        contracts, "tinh/ve", {**inbound(PROVINCE), "targets": {PROVINCE: {"fields": needs_a_name}}}
    )
    others = one.events("khac/dan")
    one.worker()
    others.write({**row(1, "A", ""), "ten": None})
    others.write({**row(2, "B", ""), "ten": None})
    others.write(row(2, "B", "Thử Hai"))
    others.producer.flush()
    settle(one)
    assert one.query("SELECT ma FROM tinh_dan_v1") == []
    refused = {each.source_key: each.id for each in one.query("SELECT id, source_key FROM lienthong_reject")}
    assert sorted(refused) == ["1", "2"]
    assert "ten: required_missing" in one.run("rejects", "list", "khac", "--each").stdout
    for key, name in (("1", "Thử Một"), ("2", "Thử Tay")):
        told = one.run("rejects", "fix", str(refused[key]), "--set", f"ten={name}", "--why", "theo sổ gốc")
        assert f"{refused[key]} (ten)" in told.stderr
    there = "SELECT ma, ten, lt_system, lt_seq FROM tinh_dan_v1 ORDER BY ma"
    wait_for("what was corrected, and what waited behind it", lambda: len(one.query(there)) == 2)
    settle(one)
    assert [tuple(each) for each in one.query(there)] == [
        ("A", "Thử Một", "khac", 1),
        ("B", "Thử Hai", "khac", 3),
    ]
    # The national store, and the other contract that reads it, keep what came.
    for table in ("thu_dan_v1", "trungtam_dan_v1"):
        kept = one.query(f"SELECT ma, ten FROM {table} ORDER BY ma")
        assert [tuple(each) for each in kept] == [("A", None), ("B", "Thử Hai")], table
