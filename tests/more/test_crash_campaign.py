"""The long crash campaign: 20 kills of workers and more over 50,000 changes. ``SEED`` gives another one."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.campaign.ground import Ground
from tests.campaign.plan import many_kills
from tests.campaign.scenario import play


@pytest.mark.timeout(3600)
def test_nothing_is_lost_doubled_or_stale_however_often_processes_die(
    kafka: KafkaNode, postgres: PostgresNode, tmp_path: Path
) -> None:
    plan = many_kills(int(os.environ.get("SEED") or 20261123), of_workers=20)
    with closing(Ground(tmp_path, kafka, postgres)) as ground:
        ground.start()
        result = play(ground, plan)
    assert result.changes >= 50_000
    # Each of these died, was started again, and all that had been committed was answered.
    assert [one.what for one in result.recoveries].count("kill -9 worker") >= 20
