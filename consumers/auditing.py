"""The audit chain of a national store: its port, and what is signed.

Each applied change leaves a line (``consumers.audit_lines``) in the transaction of its row; a transaction's
lines are a block. Beside the road blocks are sealed in batches: a seal signs the root of a Merkle tree over
their pages and the digest of the seal before, so that seals are a chain. What was altered, removed or put
into another order before a seal's number is found from the public key alone; what was cut off at the end is
found with an anchor, a seal that somebody outside the store remembers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

import polars as pl

from consumers.audit_key import Anchor, AuditKey
from consumers.audit_lines import Block
from consumers.audit_tree import root
from schemas.formats import NationalFormat

FORM = 1  #: of statements and lines
NO_SEAL = "0" * 64  #: what the first seal says of the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A seal as it is stored."""

    number: int  #: from 1 without gaps
    key: str  #: id of the public key
    statement: str = field(repr=False)  #: what is signed: ``Statement`` as JSON
    signature: bytes = field(repr=False)
    leaves: bytes = field(repr=False)  #: the hashes of all pages: they tell which page is at fault

    @property
    def anchor(self) -> Anchor:
        """Its number and digest, to be remembered elsewhere."""
        return Anchor(number=self.number, digest=sha256(self.statement.encode()).hexdigest())

    @property
    def hashes(self) -> list[bytes]:
        """The leaves one by one."""
        return [self.leaves[at : at + 32] for at in range(0, len(self.leaves), 32)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a seal says."""

    number: int
    previous: str  #: digest of the seal before
    root: str  #: of the tree over the pages of its blocks, in their order
    blocks: tuple[tuple[int, int], ...]  #: id and number of lines of each
    lines: int
    until: str  #: time of its last block
    key: str

    def text(self) -> str:
        """As it is signed."""
        told = {
            "form": FORM,
            "number": self.number,
            "previous": self.previous,
            "root": self.root,
            "blocks": ",".join(f"{number}:{lines}" for number, lines in self.blocks),
            "lines": self.lines,
            "until": self.until,
            "key": self.key,
        }
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "Statement":
        """``ValueError`` if it is not like that."""
        try:
            told = json.loads(text)
            if told.pop("form") != FORM:
                raise ValueError("of another form")
            pairs = (pair.partition(":") for pair in told.pop("blocks").split(","))
            return cls(blocks=tuple((int(number), int(lines)) for number, _, lines in pairs), **told)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no statement of a seal") from error


def seal_blocks(blocks: Sequence[Block], before: Anchor | None, key: AuditKey) -> Seal:
    """Chain blocks to the seal before, and sign them."""
    hashes = [one for block in blocks for one in block.leaves()]
    counts = tuple((block.id, block.whole) for block in blocks)
    statement = Statement(
        number=before.number + 1 if before else 1,
        previous=before.digest if before else NO_SEAL,
        root=root(hashes).hex(),
        blocks=counts,
        lines=sum(lines for _, lines in counts),
        until=max(block.at for block in blocks).isoformat(timespec="microseconds"),
        key=key.id,
    )
    text = statement.text()
    signature = key.sign(text.encode())
    return Seal(
        number=statement.number, key=key.id, statement=text, signature=signature, leaves=b"".join(hashes)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What is written and not sealed yet."""

    blocks: int
    lines: int
    oldest_seconds: float  #: age of the oldest block by the database's clock; 0 if there is none


class AuditStore(Protocol):
    """The audit chain of a store. Errors as of ``NationalStore``."""

    def seal(self, key: AuditKey) -> Seal | None:
        """Seal what is not sealed yet, or as much as is sensible at once.

        None if there is nothing, or another process is sealing now. Only one does at a time.
        """

    def unsealed(self) -> Unsealed:
        """What the next seals will hold."""

    def last_seal(self) -> Seal | None:
        """The seal with the highest number."""

    def seals(self, numbers: Sequence[int] | None = None) -> Iterator[Seal]:
        """All seals, or those of these numbers, by number. Other methods may be called in between."""

    def blocks_of(self, seal: int | None) -> list[Block]:
        """The blocks that a seal's number stands at, by id; ``None``: those without."""

    def blocks_with(self, handle: bytes, system: str, dataset: str) -> list[tuple[int | None, Block]]:
        """The blocks in which a handle stands, with their seals; in the order of the chain."""

    def rows_as_sent(self, national: NationalFormat) -> Iterator[pl.DataFrame]:
        """All rows of a format, some thousands at a time, with the columns that are hashed of them.

        Besides ``lt_deleted`` (a tombstone) and ``lt_applied_at``.
        """

    def strange_seals(self) -> list[int]:
        """Numbers that stand at blocks and are of no seal."""

    def deed_hashes(self) -> list[tuple[int, bytes]]:
        """Reject and hash (``audit_lines.deed_hash``) of each deed that was written down, in order."""
