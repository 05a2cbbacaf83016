"""The content of a reject: shown to people without its values, or corrected by them."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from consumers.receipts import Reject
from schemas.codec import MAX_RECORD_BYTES, decode, encode_row
from schemas.contracts import Contract
from schemas.documents import suggestion
from schemas.errors import LienthongError, SettingsError
from schemas.library import Library
from schemas.registry import RegisteredSchema

_LONGEST = 60
_LONG = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Content:
    """A record that can be read, though it was refused."""

    registered: RegisteredSchema  #: it was written with
    fields: dict[str, Any]


def content(reject: Reject, library: Library) -> Content | None:
    """Read a rejected record; None if its bytes cannot be."""
    decoded = decode(
        [reject.original],
        registry=library.registry,
        subject=f"{reject.topic}-value",
        fingerprints=[reject.fingerprint.encode() if reject.fingerprint is not None else None],
    )
    if not decoded.groups:
        return None
    registered, frame = decoded.groups[0]
    return Content(registered, frame.drop("__row").row(0, named=True))


def columns(found: Content) -> dict[str, tuple[Any, Any]]:
    """Value before and after the change by source column; of a national record its value, twice."""
    before, after = found.fields.get("before"), found.fields.get("after")
    if "op" not in found.fields:
        return {name: (value, value) for name, value in found.fields.items() if not name.startswith("lt_")}
    names = dict.fromkeys((*(before or ()), *(after or ())))
    return {name: ((before or {}).get(name), (after or {}).get(name)) for name in names}


def masked(value: Any) -> str | None:
    """The shape of a value and none of it: ``31/02/2016`` is ``99/99/9999``."""
    if value is None:
        return None
    shape = "".join(_mask(letter) for letter in unicodedata.normalize("NFC", str(value)))
    return shape if len(shape) <= _LONGEST else f"{shape[:_LONGEST]}… ({len(shape)})"


def _mask(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind.startswith("L"):
        return "A" if kind == "Lu" else "a"
    return "9" if kind.startswith("N") else letter if kind[0] in "PZ" else "?"


def corrected(reject: Reject, library: Library, values: Mapping[str, str], missing: Sequence[str]) -> bytes:
    """The record with these source columns put right and those set to nothing; nobody else's change.

    Of a national change it is corrected for the inbound contract that refused it, and for no one else.

    Raises ``LienthongError`` if the record is none of a contract or cannot be read, ``SettingsError`` for a
    column or value that the contract does not have, for a column that names the record, and for values that
    make the record too large.
    """
    refused_by = (reject.contract or f"{reject.system}/{reject.dataset}").partition("@")[0]
    contract = library.contracts.get(refused_by)
    if contract is None or contract.topic != reject.topic:
        raise LienthongError(
            f"the reject is not of a dataset with a contract here: {reject.topic}",
            next_step="correct it at the source, then: lienthong rejects retry",
        )
    found = content(reject, library)
    if found is None:
        raise LienthongError(
            f"the record cannot be read ({reject.rule}), so no value of it can be corrected",
            next_step="let the source publish it again, then: lienthong rejects retry --supersede",
        )
    row = _row(found, contract)
    for name in (*values, *missing):
        if name not in row:
            raise SettingsError(
                f"{contract.id} has no column {name}", next_step=suggestion(name, list(contract.columns))
            )
        if not contract.source and name in contract.key:
            # What waits behind it, and a later deletion, are of the record by its old key.
            raise SettingsError(
                f"column {name} is in the key of {contract.id}: changed, it would name another record",
                next_step="correct the key at the source, then: lienthong rejects retry --supersede; "
                "or give it up: lienthong rejects drop",
            )
    row |= {name: _typed(contract, name, text) for name, text in values.items()}
    row |= dict.fromkeys(missing)
    fields = row if contract.source else {_side(found): row}
    value = encode_row({**found.fields, **fields}, found.registered)
    if len(value) > MAX_RECORD_BYTES:  # nobody could read it, and so nobody correct it again
        raise SettingsError(
            f"the corrected record has {len(value)} bytes, the limit is {MAX_RECORD_BYTES}",
            next_step="give shorter values; or give it up: lienthong rejects drop",
        )
    return value


def _row(found: Content, contract: Contract) -> dict[str, Any]:
    """The source columns of a record, as its contract reads them."""
    if contract.source:
        return {name: value for name, value in found.fields.items() if name in contract.columns}
    return dict(found.fields[_side(found)] or {})


def _side(found: Content) -> str:
    """Of a provincial change: where the values stand that are translated."""
    return "after" if found.fields["after"] is not None else "before"


def _typed(contract: Contract, name: str, text: str) -> Any:
    avro = contract.columns.get(name, "string")
    digits = text.isascii() and "_" not in text  # int() and float() read more than a register writes
    try:
        if avro == "long" and digits and int(text) in _LONG:
            return int(text)
        if avro == "double" and digits and isfinite(float(text)):
            return float(text)
        if avro == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if avro == "string":
            return text
    except (ValueError, KeyError):
        pass
    raise SettingsError(
        f"column {name} is {avro}, and the value is not", next_step="write true, false or a number"
    )
