"""What a machine that never saw the project goes through: every jar fetched anew, and a broker from them."""

from pathlib import Path

import pytest

from deploy.local.jars import cache_folder, read_lock
from deploy.local.kafka import KafkaNode


@pytest.mark.timeout(600)
def test_a_broker_starts_from_jars_fetched_into_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("M2_REPO", str(tmp_path / "no-maven-cache-either"))
    told: list[str] = []
    node = KafkaNode(tmp_path / "kafka")
    try:
        node.start(say=told.append)
        assert node.answers()
    finally:
        node.stop()
    assert {file.name for file in cache_folder().iterdir()} == {jar.file_name for jar in read_lock()}
    assert any(f"fetching {len(read_lock())} of" in line for line in told)
