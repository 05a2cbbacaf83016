#!/usr/bin/env python3
"""Checks a record's history that `lienthong audit export` wrote: python verify_audit.py PUBLIC_KEY... FILE

Needs Python 3.9 and the package `cryptography`, and nothing of lienthong. PUBLIC_KEY is the store's public
audit key (PEM), which you should have from elsewhere than the file; if a key took over from another, give
both. Exit status: 0 all is as it was sealed, 1 it is not, 2 it cannot be checked.

What is checked: the file is signed by a key given; each change stands in a page of lines whose hash leads to
the root of a tree (RFC 6962) that a seal signs; each change but the first of a format follows an earlier one.
What cannot be: whether later changes were left out, and which person a hash means. Who has a version of the
record as the store's CSV writes it can compare hashlib.blake2b(row, digest_size=32, salt=salt) with "after".
"""

import json
import struct
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
except ImportError:
    print("the package cryptography is missing: pip install cryptography", file=sys.stderr)
    sys.exit(2)

LINE = struct.Struct(">qc16sq32s")  # number, operation, handle, number of the version replaced, hash
NONE = -1
PAGE_LINES = 16


class Wrong(Exception):
    """The file does not prove what it says."""


def check(name: str, right: bool) -> None:
    """Stop unless it is right."""
    if not right:
        raise Wrong(name)


def signed(keys: Any, text: bytes, signature: str, name: str) -> None:
    """Stop unless one of the keys signed this text."""
    for key in keys:
        try:
            key.verify(bytes.fromhex(signature), text)
        except (InvalidSignature, ValueError):
            continue
        return
    raise Wrong(f"{name}: no key given here signed it")


def root_of(leaf: bytes, index: int, count: int, path: list[bytes]) -> bytes:
    """The root of a tree of `count` leaves, from one of them."""
    found, used = leaf, 0
    while count > 1:
        if index ^ 1 < count:
            check("the path is too short", used < len(path))
            pair = (path[used] + found) if index % 2 else (found + path[used])
            found, used = sha256(b"\1" + pair).digest(), used + 1
        index, count = index // 2, (count + 1) // 2
    check("the path is too long", used == len(path))
    return found


def check_change(change: Any, told: Any, seals: Any) -> tuple[int, int, int]:
    """One change: its line, the page of the line, the seal of the page."""
    page, seal = bytes.fromhex(change["page"]), seals[str(change["seal"])]
    seq, op, handle, before, after = LINE.unpack_from(page, change["line"] * LINE.size)
    shown = (change["seq"], change["op"], change["before"], change["after"])
    check(
        "its line says something else",
        shown == (seq, op.decode(), None if before == NONE else before, after.hex()),
    )
    number, _, key, _, system, dataset, _ = json.loads(change["head"])
    mark = told.get("earlier", {}).get(key, told)  # of keys that another one took over from
    check("its line is of another record", handle.hex() == mark["handle"])
    check(
        "its head is of another source",
        (system, dataset) == (told["record"]["system"], told["record"]["dataset"]),
    )
    pairs = [pair.partition(":") for pair in seal["blocks"].split(",")]
    blocks = [(int(one), -(-int(lines) // PAGE_LINES)) for one, _, lines in pairs]  # pages of each
    start = sum(pages for _, pages in blocks[: [one for one, _ in blocks].index(number)])
    check("its page is of another block", 0 <= change["leaf"] - start < dict(blocks)[number])
    leaf = sha256(b"\0" + change["head"].encode() + b"\n" + page).digest()
    path = [bytes.fromhex(one) for one in change["path"]]
    found = root_of(leaf, change["leaf"], sum(pages for _, pages in blocks), path)
    check(f"seal {change['seal']} does not hold it", found.hex() == seal["root"])
    return change["seal"], change["leaf"], change["line"]


def check_file(keys: Any, lines: bytes) -> tuple[Any, list[str]]:
    """All of it; returns what is told and notes for people."""
    text, signature = lines.split(b"\n", 1)
    signed(keys, text, signature.decode("ascii").rstrip("\n"), "the file")
    check("the file goes on behind its signature", len(signature) == 129)
    told = json.loads(text)
    check("the file is of another form", told["form"] == 1)
    seals = {}
    for number, one in told["seals"].items():
        signed(keys, one["statement"].encode(), one["signature"], f"seal {number}")
        seals[number] = json.loads(one["statement"])
        check(f"seal {number} has another number", seals[number]["number"] == int(number))
    notes: list[str] = []
    known: dict[str, set[int]] = {}
    place = (0, 0, -1)
    for count, change in enumerate(told["changes"], 1):
        try:
            here = check_change(change, told, seals)
            check("it is not behind the one before", here > place)
            place, full_id = here, json.loads(change["head"])[3]
            if change["before"] is not None and change["before"] not in known.setdefault(full_id, set()):
                check("the version that it replaced is missing", not known[full_id])
                notes.append(
                    f"change {count} replaced version {change['before']}, which is older than the chain"
                )
            known.setdefault(full_id, set()).add(change["seq"])
        except Wrong as error:
            raise Wrong(f"change {count}: {error}") from None
    return told, notes


def main(arguments: list[str]) -> int:
    """The exit status."""
    if len(arguments) < 2:
        print("usage: verify_audit.py PUBLIC_KEY... FILE", file=sys.stderr)
        return 2
    try:
        keys = [load_pem_public_key(Path(name).read_bytes()) for name in arguments[:-1]]
        lines = Path(arguments[-1]).read_bytes()
        if not all(isinstance(key, Ed25519PublicKey) for key in keys):
            raise ValueError("one of the first files holds no Ed25519 public key")
    except (OSError, ValueError) as error:
        print(f"cannot be checked: {error}", file=sys.stderr)
        return 2
    try:
        told, notes = check_file(keys, lines)
    except Wrong as error:
        print(f"WRONG: {error}")
        return 1
    except (ValueError, KeyError, TypeError, IndexError, struct.error) as error:
        print(f"WRONG: the file cannot be read as an export ({type(error).__name__})")
        return 1
    for change in told["changes"]:
        _, at, _, full_id, _, _, contract = json.loads(change["head"])
        done = {"u": "written", "d": "deleted"}.get(change["op"], change["op"])
        print(at, full_id, change["seq"], done, contract, f"seal {change['seal']}", change["after"], sep="  ")
    for note in notes:
        print(f"note: {note}")
    source = f"{told['record']['system']}/{told['record']['dataset']}"
    print(f"OK: {len(told['changes'])} changes of a record of {source}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
