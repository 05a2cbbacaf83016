"""A check of records' bytes before they are read.

``polars.read_avro`` trusts what it reads: it takes any non-zero union branch for "a value", any boolean byte
but 1 for false, ignores bytes that are left over, and lets one record's mistake shift every record behind it.
So the bytes are walked first: each record must end exactly where its bytes end, and be written in Avro's one
shortest form (a number in more bytes than it needs is legal Avro that no known writer makes, and is refused).
A record that passes has only one possible reading; just its text may still be invalid UTF-8, which Polars
refuses.

Many records step through the schema together, one field at a time, as numpy arrays (about 0.01 µs for each
field of a record, but some 10 µs for each field of a batch). Few records are walked one by one, in plain
Python.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from schemas.avro_layout import Field

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_FEW_RECORDS = 128
_FIXED_SIZES = {"double": 8, "float": 4}
#: Longest varint in bytes, and the most its last byte may hold (64 = 9 * 7 + 1 bits, 32 = 4 * 7 + 4 bits).
_VARINTS = {"long": (10, 0x01), "int": (5, 0x0F)}
#: Lengths of text need at most three bytes: a record is at most 1 MiB (``codec.MAX_RECORD_BYTES``).
_LENGTH_BYTES = 3


def sound(
    fields: Sequence[Field], bodies: Sequence[bytes], block: bytes, start: int
) -> npt.NDArray[np.bool_]:
    """Which of ``bodies`` are exactly one record each. In ``block`` they lie end to end from ``start``."""
    if len(bodies) <= _FEW_RECORDS:
        return np.array([_is_sound(fields, body) for body in bodies], np.bool_)
    sizes = np.fromiter(map(len, bodies), np.int64, len(bodies))
    ends = np.cumsum(sizes) + start
    places = ends - sizes
    wrong = np.zeros(len(bodies), np.uint8)
    _walk(fields, np.frombuffer(block, np.uint8), places, wrong)
    good: npt.NDArray[np.bool_] = (wrong == 0) & (places == ends)
    return good


def _is_sound(fields: Sequence[Field], body: bytes) -> bool:
    try:
        return _end_of(fields, body, 0) == len(body)
    except IndexError:
        return False


def _end_of(fields: Sequence[Field], body: bytes, at: int) -> int:
    """Where the record at ``at`` ends; -1 if its bytes are wrong. ``IndexError`` if they are too few."""
    for field in fields:
        if field.null_branch is not None:
            branch = body[at]
            at += 1
            if branch & 0xFD:  # branch 0 is byte 0, branch 1 is byte 2
                return -1
            if branch >> 1 == field.null_branch:
                continue
        if field.kind in ("string", "bytes"):
            size = body[at]
            at += 1
            if size >= 0x80:
                size, at = _long_number(body, at, size, _LENGTH_BYTES, 0x7F)
            if size & 1:  # a length below zero, or no number
                return -1
            at += size >> 1
        else:
            at = _end_of_value(field, body, at)
            if at < 0:
                return -1
    return at


def _end_of_value(field: Field, body: bytes, at: int) -> int:
    """``_end_of`` for one value that is not text."""
    if field.kind == "record":
        return _end_of(field.fields, body, at)
    if field.kind == "boolean":
        return at + 1 if body[at] <= 1 else -1
    if field.kind not in _VARINTS:
        return at + _FIXED_SIZES[field.kind]
    number = body[at]
    at += 1
    if number >= 0x80:
        number, at = _long_number(body, at, number, *_VARINTS[field.kind])
    return at if number >= 0 else -1


def _long_number(body: bytes, at: int, first: int, most_bytes: int, last_most: int) -> tuple[int, int]:
    """A varint of several bytes (before zigzag) and the place behind it; -1 if it is not in its shortest
    form."""
    number = first & 0x7F
    for shift in range(7, 7 * most_bytes, 7):
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            too_much = byte == 0 or (shift == 7 * (most_bytes - 1) and byte > last_most)
            return (-1 if too_much else number), at
    return -1, at


# The walk. ``places`` (where each record's next byte lies) and ``wrong`` are changed in place. Reading is
# clipped to the block, so a record that runs past its end reads its neighbour's bytes and is found out when
# the walk is over: places only ever grow.


def _walk(fields: Sequence[Field], data: Bytes, places: Places, wrong: Bytes) -> None:
    for field in fields:
        there: Bytes | None = None  # 1 where a value follows, 0 where the field is null
        if field.null_branch is not None:
            branch = data.take(places, mode="clip")
            np.bitwise_or(wrong, branch & 0xFD, out=wrong)  # branch 0 is byte 0, branch 1 is byte 2
            there = (branch >> np.uint8(1)) & np.uint8(1)
            if field.null_branch == 1:
                there ^= np.uint8(1)
            places += 1
        if field.kind == "record":
            _walk_record(field.fields, data, places, wrong, there)
        elif field.kind in ("string", "bytes"):
            _walk_text(data, places, wrong, there)
        elif field.kind in _VARINTS:
            _walk_number(data, places, wrong, there, *_VARINTS[field.kind])
        elif field.kind == "boolean":
            value = data.take(places, mode="clip")
            if there is not None:
                value *= there
            np.bitwise_or(wrong, value & 0xFE, out=wrong)
            places += 1 if there is None else there
        else:
            size = _FIXED_SIZES[field.kind]
            places += size if there is None else there * np.uint8(size)


def _walk_record(
    fields: Sequence[Field], data: Bytes, places: Places, wrong: Bytes, there: Bytes | None
) -> None:
    if there is None or there.all():
        _walk(fields, data, places, wrong)
        return
    rows = np.flatnonzero(there)
    if rows.size:
        inner_places, inner_wrong = places[rows], wrong[rows]
        _walk(fields, data, inner_places, inner_wrong)
        places[rows], wrong[rows] = inner_places, inner_wrong


def _walk_text(data: Bytes, places: Places, wrong: Bytes, there: Bytes | None) -> None:
    first = data.take(places, mode="clip")
    if there is not None:
        first *= there
    step = (first >> np.uint8(1)) + (np.uint8(1) if there is None else there)
    # Nearly all texts are shorter than 64 bytes: one even byte says their length.
    if np.bitwise_or.reduce(first) & 0x81:
        _walk_long_texts(data, places, wrong, np.flatnonzero(first & 0x81), first, step)
    places += step


def _walk_long_texts(
    data: Bytes, places: Places, wrong: Bytes, rows: npt.NDArray[np.intp], first: Bytes, step: Bytes
) -> None:
    """Go past the texts of ``rows``, whose first length byte is odd (never right) or has another behind
    it."""
    byte = first[rows]
    inner = places[rows]
    length = np.zeros(rows.size, np.int64)
    more = np.ones(rows.size, np.bool_)
    bad = byte & 1  # a length below zero
    for shift in range(0, 7 * _LENGTH_BYTES, 7):
        length += (byte & 0x7F).astype(np.int64) << shift
        inner += more
        more = byte >= 0x80
        if not more.any():
            break
        byte = data.take(inner, mode="clip")
        byte *= more
        bad |= more & (byte == 0)  # longer than it need be
    else:
        bad |= more  # longer than a record may be
    places[rows] = inner + (length >> 1)
    step[rows] = 0
    wrong[rows] |= bad


def _walk_number(
    data: Bytes, places: Places, wrong: Bytes, there: Bytes | None, most_bytes: int, last_byte_most: int
) -> None:
    byte = data.take(places, mode="clip")
    more = byte >= 0x80
    if there is None:
        places += 1
    else:
        more &= there.view(np.bool_)
        places += there
    for at in range(1, most_bytes):
        if not more.any():
            return
        byte = data.take(places, mode="clip")
        places += more
        np.bitwise_or(wrong, more & (byte == 0), out=wrong)  # longer than it need be
        if at == most_bytes - 1:
            np.bitwise_or(wrong, more & (byte > last_byte_most), out=wrong)  # more bits than the type has
        more &= byte >= 0x80
