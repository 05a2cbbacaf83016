"""One record's history from the audit chain, as a file for strangers (``deploy/verify_audit.py`` checks it).

The first line is JSON, the second the signature of the first, hexadecimal. Each change comes with its page of
lines (the others tell only handles and hashes of other records), the path from there to the root of its
seal's tree, and the seal. The record's salt is told: who has a version of the record can hash it and compare.
Under keys that were taken over from, the record has another handle and salt: they are told as ``earlier``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consumers.audit_key import AuditKey
from consumers.audit_lines import NO_VERSION, PAGE_LINES, Block, pages_of
from consumers.audit_tree import path
from consumers.auditing import FORM, AuditStore, Seal, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a record."""

    seal: int | None  #: None: not sealed yet
    block: Block
    place: int  #: of the line in its block, from 0
    seq: int
    op: str
    before: int | None  #: number of the version replaced
    after: str  #: hash, hexadecimal

    @property
    def at(self) -> datetime:
        """When the store wrote it."""
        return self.block.at


def history(
    store: AuditStore, keys: Sequence[AuditKey], system: str, datasets: Sequence[str], record: str
) -> list[Entry]:
    """All lines that ``keys`` made of a record, as its source names it; by dataset, in the chain's order."""
    found: list[Entry] = []
    for dataset in datasets:
        mine: list[Entry] = []
        for key in keys:
            handle = key.marks(system, dataset, [record.encode()]).handles
            for seal, block in store.blocks_with(handle, system, dataset):
                mine += _entries(seal, block, handle)
        found += sorted(mine, key=lambda one: (one.seal is None, one.seal or 0, one.block.id, one.place))
    return found


def _entries(seal: int | None, block: Block, handle: bytes) -> Iterator[Entry]:
    for place, (seq, op, mine, before, after) in enumerate(block.each()):
        if mine == handle:
            yield Entry(
                seal=seal,
                block=block,
                place=place,
                seq=seq,
                op=op.decode("ascii", "replace"),
                before=None if before == NO_VERSION else before,
                after=after.hex(),
            )


def exported(
    entries: Sequence[Entry], seals: Mapping[int, Seal], keys: Sequence[AuditKey], system: str, record: str
) -> str:
    """The file, signed by the first of ``keys``. ``entries``: sealed ones, of one dataset."""
    dataset = entries[0].block.dataset
    made = {key.id: key.marks(system, dataset, [record.encode()]) for key in keys}
    marks = {name: {"handle": one.handles.hex(), "salt": one.salts.hex()} for name, one in made.items()}
    key, used = keys[0], {entry.block.key for entry in entries}
    told = {
        "form": FORM,
        "record": {"system": system, "dataset": dataset, "key": record},
        **marks.pop(key.id),
        "earlier": {name: mark for name, mark in marks.items() if name in used},
        "changes": [_change(entry, seals) for entry in entries],
        "seals": {
            number: {"statement": one.statement, "signature": one.signature.hex()}
            for number, one in seals.items()
        },
    }
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n{key.sign(text.encode()).hex()}\n"


def _change(entry: Entry, seals: Mapping[int, Seal]) -> dict[str, Any]:
    assert entry.seal is not None
    seal = seals[entry.seal]
    page = entry.place // PAGE_LINES
    before = 0
    for number, lines in Statement.parse(seal.statement).blocks:
        if number == entry.block.id:
            break
        before += pages_of(lines)
    return {
        "seq": entry.seq,
        "op": entry.op,
        "before": entry.before,
        "after": entry.after,
        "head": entry.block.head.decode(),
        "page": entry.block.pages()[page].hex(),
        "line": entry.place % PAGE_LINES,
        "seal": entry.seal,
        "leaf": before + page,
        "path": [one.hex() for one in path(seal.hashes, before + page)],
    }
