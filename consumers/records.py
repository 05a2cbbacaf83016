"""What the national-sync consumer hands to its caller: one typed record for one national change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import polars as pl

#: The envelope of a national change on the wire that a record cannot do without.
_NEEDED = ("lt_key", "lt_op", "lt_system", "lt_dataset", "lt_source_key", "lt_seq", "lt_committed_ms")
_READ = (*_NEEDED, "lt_contract", "lt_warnings")

LATEST_MS = 253_402_300_799_999  # the last that datetime can say: 9999-12-31

#: The rule under which a record is parked whose bytes were read but whose envelope lacks something.
UNREADABLE = "record_unreadable"


class RecordWarning(NamedTuple):
    """Something odd in a record that was translated all the same; never a reason to refuse it."""

    field: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NationalRecord:
    """One version of one national record, as the province last said it.

    ``repr`` shows no personal value, so that a record may stand in a log line.
    """

    #: the national key: the format's key fields joined with ``|``
    key: str = field(repr=False)
    #: True: the record is no longer in force; ``fields`` may then hold only its key
    deleted: bool
    #: where it came from: the provincial system, its dataset and the record's key there
    system: str
    dataset: str
    source_key: str = field(repr=False)
    #: counts up with every change of the dataset, never reused: keep it beside your row, and gate by it
    seq: int
    #: when the province's own database committed the change; aware, UTC
    committed_at: datetime
    #: which contract translated it, e.g. ``hotich_qnam/khaisinh@1``
    contract: str | None
    warnings: tuple[RecordWarning, ...]
    #: every field of the national format, in its order; None is missing, never an empty guess
    fields: Mapping[str, str | None] = field(repr=False)
    #: where it stands on its topic
    partition: int
    offset: int


class Unreadable(NamedTuple):
    """A record that was decoded but cannot be a national change: its row in the batch, and why."""

    row: int
    detail: str


def read_records(
    frame: pl.DataFrame, names: tuple[str, ...], positions: list[tuple[int, int]]
) -> Iterator[NationalRecord | Unreadable]:
    """Turn decoded national changes (wire columns and ``__row``) into records.

    ``names`` are the format's fields; those that an older schema of the format lacks come as missing.
    ``positions[row]`` is the ``(partition, offset)`` of a row. Raises nothing for a bad row: it yields
    ``Unreadable`` in its place.
    """
    columns = ["__row", *_READ, *names]
    here = frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=pl.String).alias(name)
        for name in columns
    )
    width = 1 + len(_READ)
    for values in here.iter_rows():
        row = values[0]
        envelope = dict(zip(_READ, values[1:width], strict=True))
        problem = _problem(envelope)
        if problem is not None:
            yield Unreadable(row, problem)
            continue
        partition, offset = positions[row]
        yield NationalRecord(
            key=envelope["lt_key"],
            deleted=envelope["lt_op"] == "d",
            system=envelope["lt_system"],
            dataset=envelope["lt_dataset"],
            source_key=envelope["lt_source_key"],
            seq=envelope["lt_seq"],
            committed_at=datetime.fromtimestamp(envelope["lt_committed_ms"] / 1000, UTC),
            contract=envelope["lt_contract"],
            warnings=_warnings(envelope["lt_warnings"]),
            fields=MappingProxyType(dict(zip(names, values[width:], strict=True))),
            partition=partition,
            offset=offset,
        )


def _problem(envelope: Mapping[str, Any]) -> str | None:
    """What stops the envelope from being a national change, without a value of it; None if nothing."""
    for name in _NEEDED:
        if envelope[name] is None:
            return f"{name} is missing"
    if envelope["lt_op"] not in ("u", "d"):
        return "lt_op is neither u nor d"
    if not 0 <= envelope["lt_committed_ms"] <= LATEST_MS:
        return "lt_committed_ms is no date"
    return None


def _warnings(text: str | None) -> tuple[RecordWarning, ...]:
    """``"field:rule,field:rule"`` as the wire has it."""
    if not text:
        return ()
    return tuple(RecordWarning(*item.split(":", 1)) for item in text.split(",") if ":" in item)
