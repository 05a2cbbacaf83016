"""The watchdog ends a process that stands still, with its stacks and a clear exit status."""

import subprocess
import sys

#: The clock goes on by hand, so that a busy machine is not taken for a process that stands still.
SCRIPT = """
import time, types
from streams import watchdog

now, looks = 0.0, 0

def monotonic():
    global looks
    looks += 1
    return now

watchdog.time = types.SimpleNamespace(monotonic=monotonic)
dog = watchdog.Watchdog(1.0, lambda: "the test stands still")
dog.start()
for _ in range({beats}):
    now += 0.9
    before = looks
    while looks == before:
        time.sleep(0.01)
    dog.beat()
print("beaten", flush=True)
{then}
"""


def run(beats: int, then: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(beats=beats, then=then)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_process_without_progress_ends_with_75_and_its_stacks() -> None:
    done = run(3, "now += 1.1; time.sleep(100)")
    assert done.returncode == 75
    assert "no progress for" in done.stderr
    assert "the test stands still" in done.stderr
    assert "Thread" in done.stderr


def test_a_beating_process_lives_longer_than_the_limit() -> None:
    done = run(8, "dog.stop()")
    assert done.returncode == 0
    assert "beaten" in done.stdout
