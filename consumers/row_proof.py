"""Compares the rows of a store with the lines of its audit chain: is each what its line tells, and none gone?

A line is only as good as its seal: ``consumers.verifying`` looks at those. The hash of a row covers its key,
source, number, contract and fields, so a row that was altered in the database fits no line any more.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from consumers.audit_key import AuditKey
from consumers.audit_lines import NO_VERSION, Block, contents_of, hash_of, marks_of
from consumers.audit_words import said
from consumers.auditing import AuditStore
from consumers.verifying import Flaw
from schemas.formats import NationalFormat

_Version = tuple[str, bytes, int]  # format, handle, number
#: A row's time may be of the beginning of the transaction that wrote the first block.
_BEGINNING = timedelta(minutes=1)


@dataclass(slots=True, kw_only=True)
class RowProof:
    """What was found."""

    flaws: list[Flaw]
    rows: int = 0  #: in force, compared
    older: int = 0  #: in force, and written before the chain began: no line tells of them


@dataclass(slots=True)
class _Lines:
    """What should be in force, by the lines of the keys."""

    versions: dict[_Version, tuple[bytes, str]] = field(default_factory=dict)  #: hash, and the source's name
    replaced: defaultdict[tuple[str, bytes], set[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    """By format and handle, numbers of a source that were replaced and no line of the same key had made."""
    since: datetime | None = None

    def add(self, block: Block) -> None:
        if self.since is None or block.at < self.since:
            self.since = block.at
        source = f"{block.system}/{block.dataset}"
        for seq, op, handle, before, after in block.each():
            if self.versions.pop((block.format, handle, before), None) is None and before != NO_VERSION:
                self.replaced[block.format, handle].add((before, source))
            if op == b"u":
                self.versions[block.format, handle, seq] = (after, source)

    def settle(self, full_id: str, handles: Sequence[bytes]) -> None:
        """A record has these handles, one by each key: what lines of one key replaced is gone from all."""
        for one in handles:
            for number, _ in self.replaced.pop((full_id, one), ()):
                for other in handles:
                    self.versions.pop((full_id, other, number), None)

    def gone(self) -> Iterator[tuple[str, int, str]]:
        """Format, number and source of what no row is, after all rows were looked at."""
        # A record whose row another one took over has no row that tells its handles. A source gives a number
        # to one record only, so what was replaced under another key of ours is known by its number.
        replaced = {(full_id, *one) for (full_id, _), many in self.replaced.items() for one in many}
        for (full_id, _, seq), (_, source) in self.versions.items():
            if (full_id, seq, source) not in replaced:
                yield full_id, seq, source


def prove_rows(
    store: AuditStore,
    formats: Sequence[NationalFormat],
    keys: Sequence[AuditKey],
    say: Callable[[str], None],
) -> RowProof:
    """Compare all rows of these formats with the lines that ``keys`` made, one after the other.

    Changes may come meanwhile: what does not fit is looked at a second time, and counts if it stays so.
    """
    first = _look(store, formats, keys, say)
    if not first.flaws:
        return first
    second = _look(store, formats, keys, say)
    second.flaws = [flaw for flaw in second.flaws if flaw in first.flaws]
    return second


def _look(
    store: AuditStore,
    formats: Sequence[NationalFormat],
    keys: Sequence[AuditKey],
    say: Callable[[str], None],
) -> RowProof:
    lines, ids = _Lines(), {key.id for key in keys}
    for number in (*[seal.number for seal in store.seals()], None):
        for block in store.blocks_of(number):
            if block.key in ids:
                lines.add(block)
    proof = RowProof(flaws=[])
    for national in formats:
        for rows in store.rows_as_sent(national):
            proof.flaws += _compared(rows, national, keys, lines, proof)
            say(f"{national.full_id}: {proof.rows} rows …")
    for full_id, seq, source in lines.gone():
        text = said("row_gone", source=source, seq=seq, format=full_id)
        proof.flaws.append(Flaw(seal=None, what="row", text=text))
    return proof


def _compared(
    rows: pl.DataFrame, national: NationalFormat, keys: Sequence[AuditKey], lines: _Lines, proof: RowProof
) -> Iterator[Flaw]:
    told = rows.select("lt_system", "lt_dataset", "lt_seq", "lt_deleted", "lt_applied_at").iter_rows()
    marks = zip(*(marks_of(rows, key).each() for key in keys), strict=True)
    for content, mine, row in zip(contents_of(rows, national), marks, told, strict=True):
        system, dataset, seq, deleted, applied_at = row
        lines.settle(national.full_id, [handle for handle, _ in mine])
        if deleted:
            continue  # a delete and a burial leave lines that took the version away; one without them is gone
        versions = [((national.full_id, handle, seq), salt) for handle, salt in mine]
        version, salt = next((one for one in versions if one[0] in lines.versions), versions[0])
        expected, _ = lines.versions.get(version, (b"", ""))
        fits = expected == hash_of(content, salt)
        if fits:
            del lines.versions[version]  # what is left in the end is gone
        proof.rows += 1
        if not fits and not expected and (lines.since is None or applied_at < lines.since - _BEGINNING):
            proof.older += 1
        elif not fits:
            lines.versions.pop(version, None)
            text = said("row_other", source=f"{system}/{dataset}", seq=seq, format=national.full_id)
            yield Flaw(seal=None, what="row", text=text)
