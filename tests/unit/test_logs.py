"""No personal value reaches a log, whoever logs it."""

import subprocess
import sys

import pytest

SCRIPT = """
import logging, structlog
from schemas.logs import configure_logs
configure_logs(json_lines={json})
def work():
    rows = ["Nguyễn Văn Bí Mật"]
    raise ValueError(f"bad row {{rows[0]}}")
try:
    work()
except ValueError as error:
    logging.getLogger("faust").exception("Crashed reason=%r", error)
    structlog.get_logger("road").error("unexpected error", exc_info=error)
"""


@pytest.mark.parametrize("json", [True, False])
def test_an_error_is_told_by_kind_and_place_and_never_by_its_text(json: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(json=json)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr.count("ValueError") >= 2
    assert "Crashed reason='ValueError'" in done.stderr
    assert "Bí Mật" not in done.stderr + done.stdout
