"""A command is loaded when it is asked for, and nothing of the others with it."""

import subprocess
import sys

import pytest


def loaded(*words: str) -> set[str]:
    """The top names of all that ``lienthong …`` imported."""
    line = [sys.executable, "-X", "importtime", "-m", "streams.cli", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return {told.rsplit("|", 1)[1].strip().split(".")[0] for told in done.stderr.splitlines()}


@pytest.mark.parametrize(
    ("words", "needed", "spared"),
    [
        (("capture", "--help"), "producers", {"consumers", "faust", "kafka"}),
        (("receipts", "show", "--help"), "consumers", {"faust", "kafka"}),
        (("codes", "--help"), "schemas", {"consumers", "producers", "sqlalchemy"}),
    ],
)
def test_a_command_loads_what_it_needs_and_no_other(
    words: tuple[str, ...], needed: str, spared: set[str]
) -> None:
    found = loaded(*words)
    assert needed in found
    assert found & spared == set()
