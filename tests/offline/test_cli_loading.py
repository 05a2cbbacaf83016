"""A command is loaded when it is asked for, and nothing of the others with it."""

import subprocess
import sys

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from streams.cli import app


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
        (("road", "run", "--help"), "consumers", {"faust", "kafka"}),
        (("codes", "--help"), "schemas", {"consumers", "producers", "sqlalchemy"}),
        (("--help",), "streams", {"consumers", "producers", "polars", "pydantic", "sqlalchemy"}),
    ],
)
def test_a_command_loads_what_it_needs_and_no_other(
    words: tuple[str, ...], needed: str, spared: set[str]
) -> None:
    found = loaded(*words)
    assert needed in found
    assert found & spared == set()


def test_a_worker_has_no_kafka_python() -> None:
    line = "import sys, streams.commands, streams.worker; sys.exit('kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0


def test_help_tells_the_first_line_of_each_command() -> None:
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout.partition("Commands ")[2]
    lines = [line.strip("│ ").split(maxsplit=1) for line in told.splitlines() if line.startswith("│")]
    assert lines == [[name, str(of.help).splitlines()[0]] for name, of in get_group(app).commands.items()]
