"""Rows of an agency's own table: read for a comparison as capture would tell them, and sent again.

What is sent goes through the outbox, so that a live change and what is sent of its record stand in true
order, and the newer one wins wherever they arrive.
"""

# ruff: noqa: S608 - names from a contract go through sql.name and sql.text; only a choice's condition varies

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Protocol

import polars as pl

from producers.envelope import HOLDERS, as_lines
from producers.outbox import Capture
from producers.sql import OUTBOX, text
from schemas.contracts import COLUMN_TYPES
from schemas.errors import SettingsError
from schemas.sides import Newest, Unfit
from schemas.sums import Sums


@dataclass(frozen=True, slots=True)
class Frame:
    """Some rows of a table, each column as the text that capture would print."""

    rows: pl.DataFrame  #: ``key``, then the names of the capture; String
    broken: Mapping[str, str] = field(default_factory=dict)  #: key -> column whose text is no Unicode


@dataclass(frozen=True, slots=True)
class Looked:
    """Some records and the newest change of each in the outbox, at one moment."""

    frame: Frame
    newest: Mapping[str, Newest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which records to send; what is not told does not narrow them."""

    where: str | None = None  #: a condition in the SQL of the agency's database
    times: tuple[tuple[str, int], ...] = ()  #: of their changes in the outbox: sign and ms since 1970


@dataclass(frozen=True, slots=True)
class Chosen:
    """A record to send."""

    key: str
    place: Sequence[Any]  #: its key's parts, to go on behind it


def frame_schema(capture: Capture) -> dict[str, pl.DataType]:
    """The columns of ``Frame.rows``."""
    return dict.fromkeys(("key", *capture.names), pl.String())


def gathered(capture: Capture, parts: Iterable[pl.DataFrame]) -> Frame:
    """All rows of some parts; there may be none."""
    return Frame(pl.concat([pl.DataFrame(schema=frame_schema(capture)), *parts]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """How a database reads quotes in a condition."""

    closed: re.Pattern[str]  #: texts and names in quotes; no parenthesis in them is one
    plain: re.Pattern[str]  #: a whole condition of which nobody can doubt where its quotes begin and end


def one_condition(where: str, quotes: Quotes) -> str:
    """The condition as it is. ``SettingsError`` if it may be anything else than one condition."""
    outside = quotes.closed.sub(" ", where)
    signs = re.findall(r"[()]", outside)
    depths = accumulate(1 if sign == "(" else -1 for sign in signs)
    # One that closed our parenthesis would choose the same records page by page, without an end.
    closes = any(depth < 0 for depth in depths)
    # A mark within quotes ends nothing; but where a trick might hide one, it is refused wherever it stands.
    looked_at = outside if quotes.plain.fullmatch(where) else where
    if closes or not where.strip() or any(mark in looked_at for mark in (";", "--", "/*")):
        raise SettingsError("--where: not one condition", next_step="write it as it stands behind WHERE")
    return where


def conditions(
    capture: Capture, choice: Choice, key: str, moment: Callable[[int], str], quotes: Quotes
) -> list[str]:
    """The SQL of what a choice asks of the records ``t``. ``SettingsError`` as of ``one_condition``.

    Args:
        capture: of the records.
        choice: what is asked.
        key: SQL of a record's key.
        moment: SQL of ms since 1970, as the outbox has its times.
        quotes: of the database.
    """
    found = [] if choice.where is None else [f"({one_condition(choice.where, quotes)})"]
    if choice.times:
        times = " AND ".join(f"changed_at {sign} {moment(ms)}" for sign, ms in choice.times)
        changed = f"SELECT key FROM {OUTBOX} WHERE dataset = {text(capture.dataset)} AND {times}"
        found.append(f"{key} IN ({changed})")
    return found


class Rows(Protocol):
    """An agency's database, one dataset at a time. Errors as for ``producers.outbox.Outbox``."""

    def captured(self, capture: Capture) -> bool:
        """Whether changes of the dataset go into an outbox here."""

    def sums(self, capture: Capture) -> Sums:
        """Sums of the rows, bucket by bucket; a row's text is its key and what is captured of it."""

    def frames(self, capture: Capture, buckets: Collection[str] | None = None) -> Iterator[Frame]:
        """The rows, or those in some buckets; part by part, in no order."""

    def look(self, capture: Capture, keys: Sequence[str]) -> Looked:
        """The records with these keys, and the newest outbox row of each; both at one moment."""

    def chosen(self, capture: Capture, choice: Choice, after: Sequence[Any], size: int) -> list[Chosen]:
        """The next records of a choice behind ``after``, in order of the key. The condition cannot write."""

    def send(self, capture: Capture, keys: Sequence[str]) -> int:
        """Put the records with these keys, as they are now, into the outbox as op ``r``; how many there were.

        Raises ``Locked`` if one is held by somebody else.
        """

    def send_deletes(self, capture: Capture, images: Mapping[str, str]) -> int:
        """Put deletes of records that are not in the table into the outbox; how many.

        ``images``: key -> JSON of what the record was. One that is in the table after all is left alone.
        Raises ``Locked`` if somebody is changing the table.
        """

    def waiting(self, newest: int) -> int:
        """How many of the ``newest`` outbox rows wait to be published."""

    def close(self) -> None:
        """Never raises; safe to repeat."""


def typed(capture: Capture, frame: Frame) -> tuple[pl.DataFrame, dict[str, Unfit]]:
    """The rows with the types of the contract, and which of them do not fit it: they cannot be sent.

    Those stay in the frame, with what fits.
    """
    unfit = {key: Unfit(column, "utf8_invalid") for key, column in frame.broken.items()}
    keys = frame.rows["key"]
    columns = [keys]
    for name, avro in capture.columns.items():
        texts = frame.rows[name]
        values = texts
        if avro == "boolean":
            values = texts.replace_strict(
                ["true", "false"], [True, False], default=None, return_dtype=pl.Boolean
            )
        elif avro != "string":
            values = texts.cast(COLUMN_TYPES[avro], strict=False)
        if values.null_count() > texts.null_count():
            values = _by_hand(texts, values, keys, avro, unfit)
        columns.append(values.alias(name))
    for name, one in capture.lines.items():
        lines = [None if text is None else as_lines(one, json.loads(text)) for text in frame.rows[name]]
        columns.append(pl.Series(name, lines, pl.String))
    return pl.DataFrame(columns), unfit


def _by_hand(
    texts: pl.Series, values: pl.Series, keys: pl.Series, avro: str, unfit: dict[str, Unfit]
) -> pl.Series:
    """The values that the quick way did not understand, as the relay would: ``5.0`` is a whole number."""
    found = values.to_list()
    for at in (values.is_null() & texts.is_not_null()).arg_true():
        try:
            found[at] = HOLDERS[avro](_loose(texts[at]))
        except (ValueError, TypeError, OverflowError):
            unfit[keys[at]] = Unfit(texts.name, "type_mismatch")
    return pl.Series(texts.name, found, values.dtype)


def _loose(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
