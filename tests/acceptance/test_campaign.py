"""Ten short scenarios of the crash campaign; ``make campaign`` plays any number of others."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.campaign.ground import Ground
from tests.campaign.plan import TEN, draw
from tests.campaign.scenario import play

FIRST = int(os.environ.get("SEED") or TEN)


@pytest.fixture(scope="module")
def ground(
    kafka: KafkaNode, postgres: PostgresNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    with closing(Ground(tmp_path_factory.mktemp("campaign"), kafka, postgres)) as made:
        made.start()
        yield made


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 10))
def test_nothing_is_lost_doubled_or_stale_whatever_goes_wrong(ground: Ground, seed: int) -> None:
    """Again: ``make campaign SCENARIOS=1 SEED=…``."""
    assert play(ground, draw(seed)).failed == []
