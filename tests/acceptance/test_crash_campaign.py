"""A short crash campaign; ``make test-more`` runs the long one."""

import os
from pathlib import Path

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode
from tests.campaign import run_campaign


def test_nothing_is_lost_doubled_or_stale_however_often_processes_die(
    kafka: KafkaNode, postgres: PostgresNode, tmp_path: Path
) -> None:
    seed = int(os.environ.get("SEED", "20261123"))
    run_campaign(kafka, postgres, tmp_path, seed=seed, births=5_000, changes=12_000, kills=6)
