"""``lienthong road topics``: numbers that Kafka cannot be told."""

import pytest
from typer.testing import CliRunner

from streams.cli import app

ENV = {"LIENTHONG_STORE": "sqlite:////nowhere/national.db", "LIENTHONG_BROKER": "127.0.0.1:1"}


@pytest.mark.parametrize(("copies", "code"), [("0", 2), ("1", 0), ("32767", 0), ("32768", 2)])
def test_the_number_of_copies_is_one_that_fits_kafkas_protocol(copies: str, code: int) -> None:
    told = CliRunner().invoke(app, ["road", "topics", "--dry-run", "--replication", copies], env=ENV)
    assert told.exit_code == code
    assert ("--replication" in told.stderr) == (code == 2)
