"""No personal value reaches a log, whoever logs it; and no false alarm of a client that is being closed."""

import logging
import subprocess
import sys

import pytest
from kafka.errors import Cancelled, NodeNotReadyError

from schemas.logs import hush_false_alarms

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


def test_a_client_being_closed_tells_no_false_alarm_and_a_true_one_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hush_false_alarms()
    transport, cluster = logging.getLogger("kafka.net.transport"), logging.getLogger("kafka.cluster")
    for error in (AttributeError("'NoneType' object has no attribute 'recv'"), ConnectionResetError()):
        try:
            raise error
        except Exception:
            transport.exception("%s: Error receiving network data closing socket", "transport")
    for told in (Cancelled(), NodeNotReadyError()):
        cluster.error("Metadata refresh: failed %s", told)
    heard = [str(one.exc_info[0] if one.exc_info else one.args) for one in caplog.records]
    assert heard == [str(ConnectionResetError), str((NodeNotReadyError(),))]


def test_a_slow_step_of_a_client_is_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    hush_false_alarms()
    selector = logging.getLogger("kafka.net.selector")
    selector.warning("Task x ran for 0.354s (>0.100s threshold). It is blocking the event loop -- likely …")
    selector.warning("Task x left RUNNING after step; demoting to UNSCHEDULED")
    told = [one.getMessage() for one in caplog.records]  # clients of other tests may tell something, too
    assert [text for text in told if text.startswith("Task x")] == [
        "Task x left RUNNING after step; demoting to UNSCHEDULED"
    ]
