"""``lienthong consume``: the national-sync consumer on the command line, JSON lines on standard output."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

from consumers.metrics import ConsumeMetrics, serve_metrics
from consumers.national import NationalConsumer
from consumers.records import NationalRecord
from consumers.settings import BrokerSettings
from schemas.errors import TryAgain
from schemas.library import load_library
from schemas.settings import load_settings


def consume(
    topic: Annotated[str, typer.Argument(help="The format, e.g. national.hotich.khaisinh.v1.")],
    group: Annotated[
        str | None,
        typer.Option(help="Go on where this consumer group stopped, and commit. Without it: look only."),
    ] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Let the group begin again at the log's start.")
    ] = False,
    max_records: Annotated[int | None, typer.Option(min=1, help="Stop after so many records.")] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="Stop where the topic ends now, instead of waiting.")
    ] = False,
    park: Annotated[
        Path | None,
        typer.Option(
            help="File to which records are appended that cannot be read or whose key another record holds; "
            "each look without --group appends them again. Default <topic>.park.jsonl."
        ),
    ] = None,
) -> None:
    """Print national records as JSON lines; older and repeated versions are kept back if remembered.

    The lines hold personal values: they are the data. Send them only where such data may go. A group's
    offsets are committed after its lines were written, so after a crash some lines may come again: keep
    "system", "dataset", "source_key", "seq" and "deleted" beside your row. Without --group all partitions are
    read from their start and nothing is committed.
    """
    if not logging.getLogger().handlers:
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    settings = load_settings(BrokerSettings)
    registry = CollectorRegistry()
    consumer = NationalConsumer(
        topic,
        broker=settings.broker,
        group=group,
        library=load_library(settings.contract_folders),
        from_start=from_start,
        park=park,
        language=settings.language,
        metrics=ConsumeMetrics(registry),
    )
    with consumer:
        port = serve_metrics(registry, settings.metrics_port)
        typer.echo(f"reading {consumer.format.topic}; metrics on http://127.0.0.1:{port}/metrics", err=True)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda *_: consumer.stop())
        try:
            written, parked = _write(consumer, max_records, until_end)
        except BrokenPipeError:
            return  # whoever read us has gone
    told = f"; {parked} parked in {consumer.park.path}" if parked else ""
    typer.echo(f"{written} records{told}", err=True)


def _write(consumer: NationalConsumer, max_records: int | None, until_end: bool) -> tuple[int, int]:
    """Print until stopped; how many records were printed, and how many parked."""
    lines = sys.stdout.buffer  # always UTF-8, whatever the locale says
    written = parked = 0
    for batch in consumer.batches(until_end=until_end, at_most=max_records):
        with _told():
            for record in batch.records:
                lines.write(json.dumps(_line(record), ensure_ascii=False).encode() + b"\n")
            lines.flush()
        written += len(batch.records)
        parked += len(batch.parked)
    return written, parked


@contextmanager
def _told() -> Iterator[None]:
    """Tell what hinders writing. Nothing of the batch in hand was committed then."""
    try:
        yield
    except OSError as problem:
        # Python would complain once more when it flushes at exit, so standard output ends here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(problem, BrokenPipeError):
            raise
        raise TryAgain(
            f"could not write to standard output: {problem.strerror}",
            next_step="free some space or write elsewhere, and cut off a last line that is not whole; "
            "what was not written was not committed and comes again",
        ) from problem


def _line(record: NationalRecord) -> dict[str, object]:
    return {
        "key": record.key,
        "deleted": record.deleted,
        "system": record.system,
        "dataset": record.dataset,
        "source_key": record.source_key,
        "seq": record.seq,
        "committed_at": record.committed_at.isoformat(timespec="milliseconds"),
        "contract": record.contract,
        "warnings": [{"field": one.field, "rule": one.rule} for one in record.warnings],
        "fields": dict(record.fields),
    }
