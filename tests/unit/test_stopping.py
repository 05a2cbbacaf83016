"""A signal must end a process whatever its main thread is doing when it comes."""

import subprocess
import sys

import pytest

#: The main thread is where ``wait`` is for some microseconds: it holds the event's own lock.
AT_THE_WORST_MOMENT = """
import signal, sys
from schemas.stopping import stop_on_signal

stop = stop_on_signal()
with stop._cond:
    signal.raise_signal(int(sys.argv[1]))
    signal.raise_signal(int(sys.argv[1]))
assert stop.wait(60)
"""


@pytest.mark.parametrize("number", [15, 2])
def test_a_signal_that_comes_while_the_event_is_locked_ends_the_process(number: int) -> None:
    line = [sys.executable, "-c", AT_THE_WORST_MOMENT, str(number)]
    assert subprocess.run(line, timeout=60, check=False).returncode == 0
