"""``lienthong trace`` on the whole road: clerk, relay, Kafka, translate, sync, receipts, seals."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.agency import create_table, load
from deploy.demo.births import Birth, new_births, outcome, render
from deploy.demo.national import Live, Rejected
from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from tests.road import Road, road, wait_for

pytestmark = pytest.mark.timeout(600)


def traced(one: Road, birth: Birth) -> dict[str, Any]:
    found = one.run("trace", "hotich_qnam", str(birth.id), "--dataset", "khaisinh", "--json").stdout
    (told,) = json.loads(found)
    assert isinstance(told, dict)
    return told


def test_a_record_is_followed_through_every_hop(
    kafka: KafkaNode, postgres: PostgresNode, database: str, unique: str, tmp_path: Path
) -> None:
    source = postgres.create_database(f"{unique}_agency")
    create_table(libpq_url(source))
    births = list(new_births(60, 5))
    good = next(one for one in births if isinstance(outcome(one), Live))
    bad = next(one for one in births if isinstance(outcome(one), Rejected))
    rng = random.Random(5)
    with road(kafka.bootstrap, database, tmp_path, LIENTHONG_SOURCE=source, LIENTHONG_LANGUAGE="en") as one:
        one.run("capture", "install")
        one.start("capture", "capture", "run")
        one.worker()
        load(libpq_url(source), (render(birth, rng) for birth in births))
        answered = "SELECT count(*) FROM lienthong_receipt WHERE published_at IS NOT NULL"
        sealed = "SELECT count(*) FROM lienthong_audit_block WHERE seal IS NOT NULL"
        steps: list[dict[str, Any]] = []

        def whole() -> bool:
            if not one.one(answered) or not one.one(sealed):
                return False
            steps[:] = traced(one, good)["steps"]
            acknowledged = "acknowledged" in {step["what"] for step in steps}  # the relay may be slowest
            return acknowledged and {"audit", "receipt"} <= {step["hop"] for step in steps}

        wait_for("a whole trace", whole, seconds=180, every=1)
        told = dict.fromkeys((step["hop"], step["what"]) for step in steps)
        assert list(told)[:5] == [
            ("outbox", "captured"),
            ("outbox", "acknowledged"),
            ("province", "published"),
            ("national", "translated"),
            ("store", "in_force"),
        ]
        assert len({step["seq"] for step in steps}) == 1
        assert steps[2]["where"].startswith("province.hotich_qnam.khaisinh-")
        assert "hotich_qnam/khaisinh@" in steps[3]["detail"]
        wait_for(
            "the reject",
            lambda: "rejected" in {step["what"] for step in traced(one, bad)["steps"]},
        )
        hops = {step["hop"] for step in traced(one, bad)["steps"]}
        assert hops >= {"outbox", "province", "translate"}
        assert "store" not in hops
        for name in ("capture", "w1"):
            one.end(name)
        never = one.run("trace", "hotich_qnam", "999999999", check=False)
        assert never.returncode == 1
        assert "nobody has ever seen this record" in never.stderr
    postgres.drop_database(f"{unique}_agency")
