"""Logs: a sentence for people, fields for machines, all on standard error."""

import logging
import sys

import structlog


def configure_logs(json_lines: bool) -> None:
    """Send our logs and the libraries' warnings to standard error, as lines or as JSON."""
    stamp = structlog.processors.TimeStamper(fmt="iso")
    shared: list[structlog.typing.Processor] = [structlog.stdlib.add_log_level, stamp]
    render: structlog.typing.Processor
    if json_lines:
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
