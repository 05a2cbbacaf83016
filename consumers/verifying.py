"""Looks at the whole audit chain of a store: is each line what was sealed, and is none missing?"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumers.audit_key import Anchor, PublicKey
from consumers.audit_lines import LINE, PAGE_LINES, Block, pages_of
from consumers.audit_tree import root
from consumers.audit_words import Said, said
from consumers.auditing import NO_SEAL, AuditStore, Seal, Statement, Unsealed

_Deed = tuple[int, bytes]  # reject and hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something that is not as it was sealed."""

    seal: int | None  #: its number; None: the flaw is of no one seal
    what: str  #: a code: altered, removed, added, forged, chain, truncated, deed, row
    text: Said  #: where, and what; no personal value


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was found."""

    flaws: list[Flaw]
    seals: int = 0
    lines: int = 0
    keys: tuple[str, ...] = ()  #: ids of the keys that sealed
    last: Anchor | None = None  #: the last seal, to be remembered elsewhere
    unsealed: Unsealed | None = None


def verify(
    store: AuditStore,
    keys: Mapping[str, PublicKey],
    anchors: Sequence[Anchor],
    progress: Callable[[Verdict], None] = lambda _: None,
) -> Verdict:
    """Look at every seal and every block.

    Args:
        keys: those that are trusted, by id.
        anchors: seals that somebody outside the store remembers.
        progress: called after each seal.
    """
    verdict = Verdict(flaws=[])
    written = Counter(store.deed_hashes())
    # First: what is sealed while we look stands under a seal then, and is seen there again.
    deeds = _deeds(store.blocks_of(None))
    before: Anchor | None = None
    found: set[str] = set()
    for seal in store.seals():
        blocks = store.blocks_of(seal.number)
        statement = _statement(seal)
        verdict.flaws += _chained(seal, statement, before, anchors)
        verdict.flaws += _sealed(seal, keys)
        verdict.flaws += _held(seal, statement, blocks)
        deeds |= _deeds(blocks)
        before = seal.anchor
        found.add(seal.key)
        verdict.seals += 1
        verdict.lines += sum(block.whole for block in blocks)
        progress(verdict)
    verdict.flaws += _cut_off(before, anchors, store.strange_seals())
    lines = Counter(deed for block in deeds.values() for deed in block)
    verdict.flaws += _deeds_kept(lines, written, Counter(store.deed_hashes()))
    verdict.last, verdict.keys, verdict.unsealed = before, tuple(sorted(found)), store.unsealed()
    return verdict


def _statement(seal: Seal) -> Statement | None:
    """What it says; None if that cannot be read."""
    try:
        return Statement.parse(seal.statement)
    except ValueError:
        return None


def _chained(
    seal: Seal, statement: Statement | None, before: Anchor | None, anchors: Sequence[Anchor]
) -> Iterator[Flaw]:
    """Whether it follows the one before."""
    expected = before.number + 1 if before else 1
    if seal.number > expected:
        many = "seals_missing" if seal.number > expected + 1 else "seal_missing"
        yield Flaw(seal=expected, what="removed", text=said(many, first=expected, last=seal.number - 1))
    if statement is None:
        return  # told with its blocks
    if statement.number != seal.number:
        yield Flaw(seal=seal.number, what="chain", text=said("number", number=statement.number))
    if seal.number == expected and statement.previous != (before.digest if before else NO_SEAL):
        yield Flaw(seal=seal.number, what="chain", text=said("not_behind", before=seal.number - 1))
    # Several may remember one seal, and none of them overrides another.
    if any(one.number == seal.number and one != seal.anchor for one in anchors):
        yield Flaw(seal=seal.number, what="chain", text=said("not_remembered"))


def _sealed(seal: Seal, keys: Mapping[str, PublicKey]) -> Iterator[Flaw]:
    """Whether a trusted key signed it."""
    key = keys.get(seal.key)
    if key is None:
        yield Flaw(seal=seal.number, what="forged", text=said("not_trusted", key=seal.key))
    elif not key.signed(seal.statement.encode(), seal.signature):
        yield Flaw(seal=seal.number, what="forged", text=said("not_signed", key=seal.key))


def _held(seal: Seal, statement: Statement | None, blocks: Sequence[Block]) -> Iterator[Flaw]:
    """Whether the blocks are those that were sealed, page by page."""
    if statement is None:
        yield Flaw(seal=seal.number, what="forged", text=said("unreadable"))
        return
    hashes = seal.hashes
    pages = sum(pages_of(lines) for _, lines in statement.blocks)
    if not hashes or len(hashes) != pages or root(hashes).hex() != statement.root:
        yield Flaw(seal=seal.number, what="altered", text=said("hashes"))
        return
    here = {block.id: block for block in blocks}
    at = 0
    for number, lines in statement.blocks:
        mine, at = hashes[at : at + pages_of(lines)], at + pages_of(lines)
        if (block := here.pop(number, None)) is None:
            text = said("block_missing", block=number, lines=lines)
            yield Flaw(seal=seal.number, what="removed", text=text)
        else:
            yield from _pages(seal.number, block, mine, lines)
    for block in here.values():
        yield Flaw(seal=seal.number, what="added", text=said("block_added", block=_named(block)))


def _pages(seal: int, block: Block, expected: Sequence[bytes], lines: int) -> Iterator[Flaw]:
    """Where a block is not as it was sealed."""
    wrong = [page for page, (a, b) in enumerate(zip(block.leaves(), expected, strict=False)) if a != b]
    if len(block.lines) != lines * LINE.size:
        first = (wrong[0] if wrong else len(expected)) * PAGE_LINES + 1
        place = {"there": len(block.lines) / LINE.size, "first": first, "last": first + PAGE_LINES - 1}
        text = said("other_length", block=_named(block), lines=lines, **place)
        yield Flaw(seal=seal, what="removed" if len(block.lines) < lines * LINE.size else "added", text=text)
    elif wrong and len(wrong) == len(expected) > 1:
        yield Flaw(seal=seal, what="altered", text=said("whole_block", block=_named(block)))
    else:
        for page in wrong:
            text = said("page", block=_named(block), lines=_which(block, page))
            yield Flaw(seal=seal, what="altered", text=text)


def _which(block: Block, page: int) -> Said:
    """The lines of a page, with the numbers that they tell now."""
    first, seqs = page * PAGE_LINES + 1, [line[0] for line in LINE.iter_unpack(block.pages()[page])]
    told = {"first": first, "last": first + len(seqs) - 1, "seqs": ", ".join(map(str, seqs))}
    return said("one_line" if len(seqs) == 1 else "lines", **told)


def _named(block: Block) -> Said:
    source = f"{block.system}/{block.dataset} -> {block.format}" if block.format else said("deeds")
    return said("block", block=block.id, source=source, at=block.at.isoformat(timespec="seconds"))


def _cut_off(last: Anchor | None, anchors: Sequence[Anchor], strange: Sequence[int]) -> Iterator[Flaw]:
    """Whether seals at the end are gone."""
    end = last.number if last else 0
    known = max((one.number for one in anchors), default=0)
    if known > end:
        yield Flaw(seal=end + 1, what="truncated", text=said("cut_off", end=end, known=known))
    for number in strange:
        yield Flaw(seal=number, what="removed", text=said("no_seal"))


def _deeds(blocks: Sequence[Block]) -> dict[int, list[_Deed]]:
    """What people did, by block."""
    return {
        block.id: [(number, told) for number, _, _, _, told in block.each()]
        for block in blocks
        if not block.format
    }


def _deeds_kept(lines: Counter[_Deed], before: Counter[_Deed], after: Counter[_Deed]) -> Iterator[Flaw]:
    """Whether ``lienthong_audit`` tells what people did as it was noted; read before the lines, and after."""
    for number in sorted({number for number, _ in (lines - after) | (before - lines)}):
        yield Flaw(seal=None, what="deed", text=said("deed", reject=number))
