"""The civil-status story told the other way: the provincial register is not thrown away.

A register in a vendor's layout feeds the national layout of 60 columns. The ministry publishes one of 70.
``contracts impact`` tells the gap beforehand, the contract is extended, both layouts are served from the one
source, and every datum of every entry of the old database can be read back out of either. What is refused is
kept as it was sent. Entries that are not in force (drafts, cancelled ones) have no place in a national
register: it keeps a dated tombstone.
"""

import io
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastavro
import pytest
import sqlalchemy as sa

from deploy.demo.agency import create_table, load
from deploy.demo.births import new_births, outcome, render
from deploy.demo.national import Gone, Live, Rejected
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from schemas.library import SHIPPED
from tests.recovery import DATA, lost
from tests.road import Road, road, wait_for

BIRTHS = 240
CONTRACT = "hotichcu_qnam/khaisinh"
V1, V2 = "hotichcu_khaisinh_v1", "hotichcu_khaisinh_v2"
#: What begins the second target in the shipped contract.
SECOND = "\n  # The 70-column template"

Rows = Mapping[str, Mapping[str, Any]]


def ours(path: str) -> str:
    """A shipped file as a province's own, in a domain where no second layout is known yet."""
    text = (SHIPPED / path).read_text(encoding="utf-8")
    return text.replace("hotich.khaisinh", "hotichcu.khaisinh")


def put(library: Path, path: str, text: str) -> Path:
    (library / path).parent.mkdir(parents=True, exist_ok=True)
    (library / path).write_text(text, encoding="utf-8")
    return library / path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A province's folder in which births feed the 60-column layout only."""
    folder = tmp_path / "library"
    put(folder, "formats/hotichcu/khaisinh/v1.avsc", ours("formats/hotich/khaisinh/v1.avsc"))
    contract, marker, _ = ours("contracts/hotich_qnam/khaisinh.yaml").partition(SECOND)
    assert marker
    put(folder, f"contracts/{CONTRACT}.yaml", contract.replace("version: 2", "version: 1"))
    return folder


@pytest.fixture
def source(postgres: PostgresNode, unique: str) -> Iterator[str]:
    """The agency's own database."""
    name = f"{unique}_so"
    yield postgres.create_database(name)
    postgres.start()
    postgres.drop_database(name)


@pytest.fixture
def one(kafka: KafkaNode, database: str, source: str, tmp_path: Path, library: Path) -> Iterator[Road]:
    settings = {"LIENTHONG_SOURCE": source, "LIENTHONG_LANGUAGE": "en"}
    folder, own = tmp_path / "logs", str(library)
    first = Road(broker=kafka.bootstrap, store=database, folder=folder, contracts=own, settings=settings)
    first.run("contracts", "register")
    first.close()
    with road(kafka.bootstrap, database, folder, contracts=own, **settings) as made:
        yield made


def stored(one: Road, table: str) -> Rows:
    """The entries in force by source key."""
    with one.engine.connect() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {table} WHERE lt_deleted_at IS NULL")).mappings()
        return {row["lt_source_key"]: dict(row) for row in found}


def refused(one: Road, library: Path) -> Rows:
    """What the road refused, as it was sent, by the record's key at the source."""
    found = {}
    for key, original in one.query("SELECT source_key, original FROM lienthong_reject WHERE blocks"):
        schema = json.loads((library / f"registry/{int.from_bytes(original[1:5])}.avsc").read_text())
        event = fastavro.schemaless_reader(io.BytesIO(original[5:]), fastavro.parse_schema(schema), None)
        assert isinstance(event, dict)
        found[str(key)] = event["after"]
    return found


def fields_of(rows: Rows) -> dict[str, dict[str, Any]]:
    """What the ministry's layout itself says of each entry."""
    ours = {"lt_seq", "lt_contract", "lt_applied_at", "lt_committed_at", "lt_before"}
    return {key: {n: v for n, v in row.items() if n not in ours} for key, row in rows.items()}


@pytest.mark.timeout(900)
def test_the_old_register_lives_on_through_a_new_layout(
    one: Road, source: str, library: Path, tmp_path: Path
) -> None:
    births = list(new_births(BIRTHS, 11))
    chance = random.Random(11)
    old = {str(birth.id): dict(render(birth, chance)) for birth in births}
    became = {str(birth.id): outcome(birth) for birth in births}
    due = {key for key, one_ in became.items() if isinstance(one_, Live)}
    bad = {key for key, one_ in became.items() if isinstance(one_, Rejected)}
    assert due
    assert bad
    assert any(isinstance(one_, Gone) for one_ in became.values())
    libpq = libpq_url(source)
    create_table(libpq)
    load(libpq, old.values())

    # The register feeds the layout of 60 columns, and does so to this day.
    one.run("capture", "install", CONTRACT, "--snapshot")
    one.start("capture", "capture", "run")
    one.worker("w1")
    wait_for("every entry in the 60-column layout", lambda: stored(one, V1).keys() == due)
    before = fields_of(stored(one, V1))

    # The ministry drafts a layout of 70 columns that asks the personal number of everybody …
    layout = json.loads(ours("formats/hotich/khaisinh/v2.avsc"))
    for field in layout["fields"]:
        field["required"] |= field["name"] == "nksSoDinhDanh"
    draft = put(tmp_path, "draft.avsc", json.dumps(layout))
    told = one.run("contracts", "impact", str(draft), check=False)
    assert told.returncode == 1
    gap = next(line for line in told.stdout.splitlines() if "nksSoDinhDanh" in line)
    assert f"{CONTRACT}.yaml:" in gap
    assert "is required, and no rule obtains it" in gap
    assert "sounding like it: so_dinh_danh" in told.stdout
    # … and publishes one where a newborn's number may come later.
    final = put(tmp_path, "final.avsc", ours("formats/hotich/khaisinh/v2.avsc"))
    told = one.run("contracts", "impact", str(final))
    assert told.stdout.count(" is new and not required") == 10

    # The contract is extended by a target like the first; nothing of the old one is touched.
    put(library, "formats/hotichcu/khaisinh/v2.avsc", final.read_text(encoding="utf-8"))
    put(library, f"contracts/{CONTRACT}.yaml", ours("contracts/hotich_qnam/khaisinh.yaml"))
    one.run("contracts", "register")
    one.run("contracts", "check")
    one.run("store", "migrate")
    one.run("road", "topics")
    one.end("w1")
    one.worker("w2")
    one.run("capture", "snapshot", CONTRACT)
    wait_for("every entry in the 70-column layout", lambda: stored(one, V2).keys() == due)

    def newest() -> bool:
        return all(row["lt_contract"] == f"{CONTRACT}@2" for row in stored(one, V1).values())

    wait_for("the 60-column layout from the same changes", newest)
    after = {table: stored(one, table) for table in (V1, V2)}
    assert fields_of(after[V1]) == before

    # Every datum of every entry of the old database can be read back, out of either layout.
    told_again = 0
    for table, national in after.items():
        for key in due:
            row = national[key]
            beside = json.loads(row["lt_overflow"] or "{}")
            assert lost(old[key], row, beside) == [], f"{table}: source key {key}"
            told_again += len(old[key])
    assert told_again == 2 * len(due) * (len(DATA) + 3)
    originals = refused(one, library)
    assert originals == {key: old[key] for key in bad}


def test_the_oracle_sees_what_is_lost() -> None:
    """Each column, taken out of the national row or of what is beside it, is missed."""
    national = {
        "lt_source_key": "7", "lt_deleted_at": None, "so": "1", "quyenso": "2", "trangso": "3",
        "ngaydangky": "05.03.2016", "loaidangky": "1", "noidangky": "20656", "nguoiky": "Trần Mẫu",
        "chucvunguoiky": "Chủ tịch", "nkshoten": "Bhling Thử", "nksgioitinh": "2", "nksngaysinh": "03.2016",
        "nksnoisinh": "Hội An", "nksquequan": "Hội An", "nksdantoc": "27", "nksquoctich": "VN",
        "mehoten": "A", "mengaysinh": "1990", "medantoc": "01", "mesogiaytotuythan": "200000003",
        "chahoten": "B", "changaysinh": "1988", "chadantoc": "01",
    }  # fmt: skip
    beside = {"so_dinh_danh": "0493 16000001", "du_lieu_cu": False}
    old = {
        "id": 7, "so_dk": "1", "quyen_so": " 2", "trang_so": "3", "ngay_dk": "5/3/2016",
        "loai_dk": "Đúng hạn", "ma_xa_dk": "20656", "nguoi_ky": "Trần  Mẫu - Chủ tịch",
        "ho_ten": "BHLING THỬ", "gioi_tinh": "nữ", "ngay_sinh": "3/2016", "noi_sinh": "Hội An",
        "que_quan": "Hội An",
        "dan_toc": "Giẻ-triêng", "quoc_tich": "Việt Nam", "so_dinh_danh": "0493  16000001", "me_ho_ten": "a",
        "me_ngay_sinh": "1990", "me_dan_toc": "Kinh", "me_giay_to": "200000003", "cha_ho_ten": "B",
        "cha_ngay_sinh": "1988", "cha_dan_toc": "kinh", "trang_thai": 1, "du_lieu_cu": False,
    }  # fmt: skip
    assert lost(old, national, beside) == []
    assert lost(old, {**national, "nkssodinhdanh": "0493 16000001"}, {"du_lieu_cu": False}) == []
    seen = {name for name in beside for name in lost(old, national, {**beside, name: None})}
    for name in national:
        other = "1" if name == "lt_source_key" else "khác" if name == "lt_deleted_at" else None
        (missed,) = lost(old, {**national, name: other}, beside)
        seen.add(missed)
    assert seen == old.keys()
