"""The way out of receipts and rejects, without a broker: which worker publishes whose, and what they say."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from consumers.opening import open_store
from consumers.receipts import Reject
from consumers.repairs import RepairStore, Which
from schemas.library import Library, load_library
from schemas.registry import REJECT_SUBJECT
from streams.answers import AnswersPublisher
from streams.metrics import RoadMetrics
from streams.publisher import Outgoing, Publisher
from tests.hop_lab import DATASET, FORMAT, SYSTEM, Remembered
from tests.provinces import CONTRACT, write_contract, write_format
from tests.shipped import shipped
from tests.store_lab import BOOK, a_reject
from tests.topics import read_value

PATIENCE_SECONDS = 10.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RepairStore]:
    with closing(open_store(f"sqlite:///{tmp_path}/national.db")) as made:
        made.migrate([BOOK])
        yield made


def published(store: RepairStore, library: Library, how_many: int) -> list[tuple[str, Outgoing]]:
    """Topic and record of what a worker with this library publishes until it has marked so many answers."""

    async def until_marked() -> None:
        publisher.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while marked() < how_many:  # noqa: ASYNC110 - as a scrape asks
                await asyncio.sleep(0.01)
        await publisher.stop()

    def marked() -> float:
        name = "lienthong_answers_published_total"
        return sum(registry.get_sample_value(name, {"kind": one}) or 0 for one in ("receipts", "rejects"))

    broker, registry = Remembered(), CollectorRegistry()
    with ThreadPoolExecutor(2) as threads:
        publisher = AnswersPublisher(
            store=store,
            library=library,
            publisher=cast(Publisher, broker),
            metrics=RoadMetrics(registry),
            executor=threads,
            stop_the_line=lambda error: None,
        )
        asyncio.run(until_marked())
    return broker.sent


def topics(answers: list[tuple[str, Outgoing]]) -> list[str]:
    return sorted(topic for topic, _ in answers)


def test_answers_of_a_system_wait_for_a_worker_that_knows_it(store: RepairStore, tmp_path: Path) -> None:
    old = shipped()
    write_format(tmp_path, "thu.hoso.v1", "ma", "ten")
    write_contract(tmp_path, "thu/hoso", CONTRACT)
    new = load_library([tmp_path])
    systems = ("thu", SYSTEM, "national")
    rejects = [a_reject(at, seq=at, system=system) for at, system in enumerate(systems)]
    store.settle("thu", [], rejects=rejects, formats=[FORMAT])
    with capture_logs() as logs:
        told = topics(published(store, old, 4))
    assert told == [f"receipts.{SYSTEM}", f"rejected.{SYSTEM}", "rejected.national"]
    assert store.unpublished() == {"thu"}
    assert [one["systems"] for one in logs if one["log_level"] == "warning"] == [1]
    assert topics(published(store, new, 2)) == ["receipts.thu", "rejected.thu"]


def rejected(store: RepairStore, *rejects: Reject) -> list[dict[str, Any]]:
    """What stands on the topic of these rejects, which have numbers and rules of their own."""
    store.settle("thu", [], rejects=rejects, formats=[FORMAT])
    library, topic = shipped(), f"rejected.{SYSTEM}"
    sent = [one for where, one in published(store, library, 2 * len(rejects)) if where == topic]
    sha256 = library.registry.current(REJECT_SUBJECT).sha256.encode()
    assert {(one.key, *one.headers) for one in sent} == {(DATASET.encode(), ("schema-sha256", sha256))}
    return [read_value(one.value, library.registry) for one in sent]


def test_a_reject_tells_where_and_why_and_brings_the_record(store: RepairStore) -> None:
    told: dict[str, Any] = {
        "system": SYSTEM, "dataset": DATASET, "seq": 7, "source_key": "số 7",
        "topic": "province.hotich_qnam.khaisinh", "partition": 3, "offset": 17,
        "rule": "code_unknown", "field": "hoTen", "detail": "list dantoc",
        "key": b"\x00k", "original": b"\xff\x00",
    }  # fmt: skip
    found = rejected(store, Reject(**told))
    (stored,) = store.open_rejects(Which(system=SYSTEM))
    assert found == [
        {
            **told,
            "reason_vi": "hoTen: giá trị không có trong danh mục. Sửa giá trị, hoặc bổ sung danh mục.",
            "reason_en": "hoTen: the value is not in the code list. Correct it, or extend the list.",
            "at_ms": int(stored.at.timestamp() * 1000),
        }
    ]


def test_a_reject_that_is_too_large_leaves_its_record_in_the_store(store: RepairStore) -> None:
    """850,000 bytes go with it: those of the original, of the key and of the source key."""
    original = b"x" * (850_000 - len(b"key") - len("số".encode()))
    both: dict[str, Any] = {
        "system": SYSTEM, "dataset": DATASET, "source_key": "số", "original": original, "field": ""
    }  # fmt: skip
    largest, *others = rejected(
        store,
        a_reject(18, seq=8, rule="bytes_truncated", key=b"key", **both),
        a_reject(19, seq=9, rule="bytes_trailing", key=b"key+", **both),
        a_reject(
            20, seq=10, rule="utf8_invalid", key=None, **both | {"original": b"y" * 900_000}, detail="byte 9"
        ),
    )
    assert (largest["original"], largest["key"], largest["source_key"]) == (original, b"key", "số")
    assert largest["detail"] == ""
    ids = {row.reject.offset: row.id for row in store.open_rejects(Which(system=SYSTEM))}
    place = {"system": SYSTEM, "dataset": DATASET, "topic": "province.hotich_thu.sothu", "partition": 0}
    left_out = {"field": None, "key": None, "original": None, "source_key": None}
    for one in others:
        del one["at_ms"]
    assert others == [
        {
            **place, **left_out, "offset": 19, "seq": 9, "rule": "bytes_trailing",
            "detail": f"850001 bytes kept in lienthong_reject {ids[19]} only",
            "reason_vi": "Bản ghi thừa byte ở cuối. Phát hành lại từ nguồn.",
            "reason_en": "The record has bytes too many at its end. Publish it again from the source.",
        },
        {
            **place, **left_out, "offset": 20, "seq": 10, "rule": "utf8_invalid",
            "detail": f"byte 9; 900004 bytes kept in lienthong_reject {ids[20]} only",
            "reason_vi": "Văn bản không phải UTF-8. Sửa bảng mã ở chương trình phát hành.",
            "reason_en": "Text is not UTF-8. Correct the encoding in the publishing program.",
        },
    ]  # fmt: skip
