"""``lienthong consume``: JSON lines on stdout, talk on stderr, and nothing committed that nobody got."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import KafkaNode
from tests.national_lab import Ground, a_ground

# kafka-python 3.0 does not always close a socket that is connecting when its client is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def ground(kafka: KafkaNode, tmp_path: Path) -> Iterator[Ground]:
    yield from a_ground(kafka, tmp_path)


def command(ground: Ground, *args: str, **more: Any) -> "subprocess.Popen[str]":
    env = os.environ | {
        "LIENTHONG_BROKER": ground.kafka.bootstrap,
        "LIENTHONG_CONTRACTS": str(ground.folder / "library"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "consume", *args],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_the_command_prints_json_lines_and_only_talk_on_stderr(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "AB"])
    ground.raw(b"damaged")
    park = ground.folder / "park.jsonl"
    run = command(ground, ground.format.topic, "--group", ground.group, "--until-end", "--park", str(park))
    out, err = run.communicate(timeout=180)
    assert run.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["key"], line["seq"], line["deleted"]) for line in lines] == [
        ("A", 1, False),
        ("B", 2, False),
    ]
    assert lines[0]["fields"] == {"so": "A", "hoTen": "Người Thử A"}
    assert "Người Thử A" in out
    assert lines[0]["committed_at"] == "2026-01-01T00:00:00.001+00:00"
    assert f"2 records; 1 parked in {park}" in err
    assert "Người" not in err
    assert ground.committed() == {0: 3}
    assert [line["rule"] for line in ground.parked()] == ["header_missing"]


def test_the_command_stops_after_so_many_records_or_at_a_signal(ground: Ground) -> None:
    ground.put(*[ground.change(key) for key in "ABC"])
    run = command(ground, ground.format.topic, "--group", ground.group, "--max-records", "2")
    out, err = run.communicate(timeout=180)
    assert (run.returncode, len(out.splitlines())) == (0, 2), err
    assert ground.committed() == {0: 2}
    run = command(ground, ground.format.topic, "--group", ground.group)
    assert run.stdout is not None
    assert json.loads(run.stdout.readline())["key"] == "C"
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=180)
    assert (run.returncode, out) == (0, ""), err
    assert ground.committed() == {0: 3}


def test_a_reader_that_goes_away_ends_the_command_quietly_and_commits_nothing_it_did_not_get(
    ground: Ground,
) -> None:
    # More than a pipe holds, so that the command is still writing when its reader goes.
    ground.put(*[ground.change(f"{at:04}", hoTen="x" * 1000) for at in range(300)])
    run = command(ground, ground.format.topic, "--group", ground.group)
    assert run.stdout is not None
    assert run.stderr is not None
    assert json.loads(run.stdout.readline())["key"] == "0000"
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait(180) == 0, err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert ground.committed() == {}


def test_the_command_names_the_setting_or_the_format_that_is_wrong(ground: Ground) -> None:
    run = command(ground, "national.hotich.kahisinh.v1")
    out, err = run.communicate(timeout=180)
    assert (run.returncode, out) == (2, "")
    assert "no national format is called national.hotich.kahisinh.v1" in err
    assert "next step: did you mean national.hotich.khaisinh.v1?" in err
    assert "Traceback" not in err
