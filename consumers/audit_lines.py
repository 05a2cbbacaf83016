"""Lines of the audit chain: what each applied change leaves, without any value of a person. Pure.

A line is 65 bytes: sequence number, operation (``u`` written, ``d`` deleted, ``p`` a person's deed), handle
of the record, sequence number of the version that it replaced (-1: none), and the hash of the record as it
is then (zeros: deleted). So the line of the version replaced tells the hash before.

A hash is BLAKE2b (32 bytes), with the record's salt, over its row as the store's CSV writes it. Handle and
salt are keyed (``consumers.audit_key``): without the key nobody can try values until a hash fits.

The lines of a transaction are a block, with what they share in its head. A block is hashed page by page, a
few lines each with the head: a leaf of a seal's tree costs as much as the hash of a record.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any

import numpy as np
import polars as pl

from consumers.audit_key import BLOCK_BYTES, AuditKey, Marks
from consumers.audit_tree import leaf
from consumers.outcomes import Burial
from consumers.preparing import csv_of
from consumers.store import Prepared
from schemas.formats import NationalFormat

LINE = struct.Struct(f">qc{BLOCK_BYTES}sq32s")
LINES = np.dtype(
    [("seq", ">i8"), ("op", "S1"), ("handle", f"V{BLOCK_BYTES}"), ("before", ">i8"), ("after", "V32")]
)
PAGE_LINES = 16
NOTHING = bytes(32)
NO_VERSION = -1
SHARED = ("lt_system", "lt_dataset", "lt_contract")

Numbers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The lines of a batch before the database has judged: one for each of its rows."""

    key: str  #: id of the key that made handles and salts
    lines: Numbers = field(repr=False)  #: of type ``LINES``, all with ``before`` unknown
    shared: tuple[tuple[tuple[str, str, str], Numbers | None], ...]
    """System, dataset, contract, and the rows that share them (None: all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """Lines as they are written."""

    key: str  #: id of the audit key; "" for deeds, whose hashes are not keyed
    format: str  #: full id; "" for deeds
    system: str
    dataset: str
    contract: str  #: id and version, "" if the record told none
    how_many: int
    lines: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines as they are stored."""

    id: int
    at: datetime
    key: str
    format: str
    system: str
    dataset: str
    contract: str
    lines: bytes = field(repr=False)

    @property
    def head(self) -> bytes:
        """What all its pages begin with: a JSON array."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        told = [self.id, at, self.key, self.format, self.system, self.dataset, self.contract]
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()

    def pages(self) -> list[bytes]:
        """Its lines, some at a time. What is no whole line at the end is part of the last page."""
        size = LINE.size * PAGE_LINES
        return [self.lines[at : at + size] for at in range(0, len(self.lines), size)]

    def each(self) -> Iterator[tuple[int, bytes, bytes, int, bytes]]:
        """Its lines one by one, without what is no whole line at the end: somebody cut it."""
        return LINE.iter_unpack(self.lines[: self.whole * LINE.size])

    @property
    def whole(self) -> int:
        """How many whole lines it has."""
        return len(self.lines) // LINE.size

    def leaves(self) -> list[bytes]:
        """The hash of each page."""
        head = self.head
        return [leaf(head + b"\n" + page) for page in self.pages()]


def pages_of(lines: int) -> int:
    """Pages of a block with so many lines."""
    return -(-lines // PAGE_LINES)


# --- from a batch ------------------------------------------------------------------------------------


def draft(prepared: Prepared, key: AuditKey) -> Draft:
    """Hash what a batch's rows would become."""
    rows = prepared.rows
    shared = _shared(rows)
    marks = _marks(rows, shared, key)
    deleted = (rows["lt_op"] == "d").to_numpy()
    places, contents = _contents(prepared)
    salts = np.frombuffer(marks.salts, f"V{BLOCK_BYTES}")[places].tolist()
    # What is called for each row costs as much as the rest of its line: nothing but the hash itself is.
    after = [
        blake2b(content, digest_size=32, salt=salt).digest()
        for content, salt in zip(contents, salts, strict=True)
    ]
    lines = np.zeros(rows.height, dtype=LINES)
    lines["seq"] = rows["lt_seq"].to_numpy()
    lines["op"] = np.where(deleted, b"d", b"u")
    lines["handle"] = np.frombuffer(marks.handles, f"V{BLOCK_BYTES}")
    lines["before"] = NO_VERSION
    lines["after"][places] = np.frombuffer(b"".join(after), "V32")
    lines["after"][deleted] = np.void(NOTHING)
    return Draft(key=key.id, lines=lines, shared=shared)


def hash_of(content: bytes, salt: bytes) -> bytes:
    """Of a record as it is after a change."""
    return blake2b(content, digest_size=32, salt=salt).digest()


def marks_of(rows: pl.DataFrame, key: AuditKey) -> Marks:
    """Handle and salt of the record of each row, of rows with the wire's columns."""
    return _marks(rows, _shared(rows), key)


def _shared(rows: pl.DataFrame) -> tuple[tuple[tuple[str, str, str], Numbers | None], ...]:
    told = rows[list(SHARED)]
    if any(column.null_count() for column in told):
        told = told.select(pl.all().fill_null(""))
    if not rows.height:
        return ()
    if all(told[name].n_unique() == 1 for name in SHARED):  # nearly always
        return ((told.row(0), None),)
    groups = told.with_row_index("row").partition_by(*SHARED, as_dict=True)
    return tuple((one, group["row"].to_numpy()) for one, group in groups.items())


def _marks(
    rows: pl.DataFrame, shared: Sequence[tuple[tuple[str, str, str], Numbers | None]], key: AuditKey
) -> Marks:
    keys = rows["lt_source_key"].cast(pl.Binary)
    if len(shared) == 1:
        ((system, dataset, _), _), *_ = shared
        return key.marks(system, dataset, keys.to_list())
    handles = np.zeros(rows.height, dtype=f"V{BLOCK_BYTES}")
    salts = np.zeros_like(handles)
    for (system, dataset, _), places in shared:
        assert places is not None  # there are several groups
        made = key.marks(system, dataset, keys[places].to_list())
        handles[places] = np.frombuffer(made.handles, handles.dtype)
        salts[places] = np.frombuffer(made.salts, salts.dtype)
    return Marks(handles=handles.tobytes(), salts=salts.tobytes())


def _contents(prepared: Prepared) -> tuple[Numbers, list[bytes]]:
    """Places of a batch's rows, and what is hashed of each: the staged ones are written out already."""
    written, places = _split(prepared.csv, len(prepared.staged)), prepared.staged.to_numpy()
    if others := [rider.row for rider in prepared.riders]:
        written += contents_of(prepared.rows[others], prepared.batch.format)
        places = np.append(places, others)
    return places, written


def contents_of(rows: pl.DataFrame, national: NationalFormat) -> list[bytes]:
    """What is hashed of rows with the wire's columns."""
    return _split(csv_of(rows, national), rows.height)


def _split(csv: bytes, count: int) -> list[bytes]:
    """Rows without their number. A format may grow at its end: empty columns there say nothing."""
    pieces = csv.split(b"\n")[:-1]
    rows = pieces if len(pieces) == count else _joined(pieces)
    return [row.partition(b",")[2].rstrip(b",") for row in rows]


def _joined(pieces: Sequence[bytes]) -> list[bytes]:
    """Rows some of which have texts with line breaks."""
    found, open_row = [], b""
    for piece in pieces:
        row = open_row + piece
        if row.count(b'"') % 2:
            open_row = row + b"\n"
        else:
            found.append(row)
            open_row = b""
    return found


# --- to what is written ------------------------------------------------------------------------------


def blocks_of(
    prepared: Prepared,
    drafted: Draft,
    left_out: Sequence[int],
    replaced: Sequence[tuple[Sequence[int], Numbers]],
    buried: Sequence[Burial] = (),
) -> list[NewBlock]:
    """The lines of the rows that were applied, and behind them those of the rows that were ``buried``.

    Args:
        left_out: the other rows, by place in ``prepared.rows``.
        replaced: staged rows (``lt_row``) with the version that each replaced, -1 for none.
    """
    # A copy: a transaction that fails is tried again.
    lines, applied = drafted.lines.copy(), np.ones(prepared.rows.height, dtype=bool)
    applied[list(left_out)] = False
    staged = prepared.staged.to_numpy()
    for lt_rows, versions in replaced:
        lines["before"][staged[lt_rows]] = versions
    if prepared.riders:
        _chain_versions(prepared, lines, applied)
    full_id = prepared.batch.format.full_id
    told_by = staged[np.array([one.lt_row for one in buried], dtype=np.int64)]
    graves = _graves(lines[told_by], buried)
    blocks = []
    for (system, dataset, contract), places in drafted.shared:
        mine = lines[applied] if places is None else lines[places][applied[places]]
        behind = graves if places is None else graves[np.isin(told_by, places)]
        if count := mine.size + behind.size:
            told = {"format": full_id, "system": system, "dataset": dataset, "contract": contract}
            # Not put together as arrays: NumPy would turn the bytes of the numbers round.
            written = mine.tobytes() + behind.tobytes()
            blocks.append(NewBlock(key=drafted.key, how_many=count, lines=written, **told))
    return blocks


def _graves(of_the_same_records: Numbers, buried: Sequence[Burial]) -> Numbers:
    """The lines of rows that were buried, from lines with the handles of their records."""
    lines = of_the_same_records.copy()
    lines["seq"], lines["before"] = [one.seq for one in buried], [one.version for one in buried]
    lines["op"], lines["after"] = b"d", np.void(NOTHING)
    return lines


def _chain_versions(prepared: Prepared, lines: Numbers, applied: Numbers) -> None:
    """Versions of a record that came in one batch replaced each other, though not all were staged."""
    columns = ("lt_key", "lt_system", "lt_dataset", "lt_source_key")
    repeated = prepared.rows.select(*columns, "lt_seq").with_row_index("row")
    repeated = repeated.filter(pl.Series(applied) & pl.struct(*columns).is_duplicated())
    riders = {rider.row for rider in prepared.riders}
    for versions in repeated.sort("lt_seq").partition_by(*columns, maintain_order=True):
        found = versions["row"].to_list()
        staged = [row for row in found if row not in riders]
        first = lines["before"][staged[0]] if staged else NO_VERSION
        for row, before in zip(found, [first, *versions["lt_seq"]], strict=False):
            lines["before"][row] = before


def deed_block(numbers: Sequence[int], deed: Mapping[str, str]) -> NewBlock:
    """What a person did with these rejects. Not keyed: a deed holds names and never values."""
    blank = bytes(BLOCK_BYTES)
    lines = [LINE.pack(one, b"p", blank, NO_VERSION, deed_hash(one, deed)) for one in numbers]
    nothing = dict.fromkeys(("key", "format", "system", "dataset", "contract"), "")
    return NewBlock(how_many=len(lines), lines=b"".join(lines), **nothing)


def deed_hash(number: int, deed: Mapping[str, str]) -> bytes:
    """Of a row of ``lienthong_audit``; ``deed``: who, action, why, detail."""
    told = [number, *(deed[name] for name in ("who", "action", "why", "detail"))]
    return sha256(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()).digest()
