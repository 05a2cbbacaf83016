"""Merkle trees as RFC 6962 (Certificate Transparency) builds them, over SHA-256. Pure.

A leaf is hashed with a zero byte before it and a node with a one, so that none can stand for the other; a
tree of n leaves has on its left side the largest power of two below n.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf(content: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + content).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over the hashes of leaves; there is at least one."""
    *_, top = _levels(leaves)
    return top[0]


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from a leaf to the root, the lowest first."""
    found = []
    for level in _levels(leaves):
        if index ^ 1 < len(level):
            found.append(level[index ^ 1])
        index >>= 1
    return found


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Pair by pair from the leaves to the root; who has no neighbour goes up as it is."""
    levels = [list(leaves)]
    while len(below := levels[-1]) > 1:
        above = [sha256(b"\1" + a + b).digest() for a, b in zip(below[::2], below[1::2], strict=False)]
        if len(below) % 2:
            above.append(below[-1])
        levels.append(above)
    return levels
