"""The watchdog ends a process that stands still, with its stacks and a clear exit status."""

import subprocess
import sys

SCRIPT = """
import time
from streams.watchdog import Watchdog
dog = Watchdog(0.4, lambda: "the test stands still")
dog.start()
for _ in range({beats}):
    time.sleep(0.1)
    dog.beat()
print("beaten", flush=True)
{then}
"""


def run(beats: int, then: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(beats=beats, then=then)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_process_without_progress_ends_with_75_and_its_stacks() -> None:
    done = run(0, "time.sleep(20)")
    assert done.returncode == 75
    assert "no progress for" in done.stderr
    assert "the test stands still" in done.stderr
    assert "Thread" in done.stderr


def test_a_beating_process_lives_longer_than_the_limit() -> None:
    done = run(8, "dog.stop()")
    assert done.returncode == 0
    assert "beaten" in done.stdout
