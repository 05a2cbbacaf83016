"""Logs: a sentence for people, fields for machines, all on standard error."""

import logging
import sys
import traceback
from pathlib import Path

import structlog
from structlog.typing import EventDict


def place_of_error(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Say which error and where, and not its text or variables: these may be a person's row."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        event["at"] = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return event


class _NoErrorTexts(logging.Filter):
    """Libraries put the text of an exception into their messages; only its kind may pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                type(one).__name__ if isinstance(one, BaseException) else one for one in record.args
            )
        return True


class _NoFalseAlarms(logging.Filter):
    """kafka-python tells errors of a client that is being closed, and of slow steps, which are none.

    It reads once more from the socket that it has just closed, and gives up a request for metadata: a process
    that ends well must not leave a traceback behind. A step of its loop that takes 0.1 s is told as a fault
    of the program; on a busy machine each takes as long.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        told = record.args if isinstance(record.args, tuple) else ()
        given_up = any(type(one).__name__ == "Cancelled" for one in told)
        read_after_close = record.exc_info and isinstance(record.exc_info[1], AttributeError)
        return not (given_up or read_after_close or "is blocking the event loop" in record.getMessage())


_NO_FALSE_ALARMS = _NoFalseAlarms()


def hush_false_alarms() -> None:
    """Keep kafka-python's false alarms out of every log of this process. Idempotent."""
    for name in ("kafka.net.transport", "kafka.cluster", "kafka.net.selector"):
        logging.getLogger(name).addFilter(_NO_FALSE_ALARMS)


def configure_logs(*, json_lines: bool) -> None:
    """Send our logs and the libraries' warnings to standard error, as lines or as JSON."""
    stamp = structlog.processors.TimeStamper(fmt="iso")
    shared: list[structlog.typing.Processor] = [structlog.stdlib.add_log_level, stamp]
    render: structlog.typing.Processor
    if json_lines:
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, place_of_error, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    foreign: list[structlog.typing.Processor] = [*shared, place_of_error]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=foreign))
    handler.addFilter(_NoErrorTexts())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
