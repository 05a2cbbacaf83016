"""Columns whose names say nothing (``c07``): what their values, and the columns round them, tell.

Registers put what belongs to one person together, the name first. So a table falls into blocks, each begun
by a column of persons' names; each block goes to the group of fields that fits it best as a whole: by the
forms of its values, by Thị and Văn in the names, by how old the persons are, and by the order of the format.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from schemas.drafting.matching import Column, Evidence, Layout, Match, Sample, Wanted, value_evidence

#: The best that values alone can say.
_SUREST = 0.64
#: More persons in one record than this are not told apart.
_MOST_BLOCKS = 6
_WOMEN, _MEN = frozenset({"me", "vo"}), frozenset({"cha", "chong"})
_PARENTS = frozenset({"me", "cha"})
_GENERATION_YEARS = 14

Group = tuple[Wanted, ...]
Found = Mapping[str, tuple[Column, Evidence]]
_Pair = tuple[float, Wanted, Column, Evidence]  #: how much the values speak for it, first


@dataclass(frozen=True)
class _Block:
    """Columns that stand together; the first holds names, but in what stands before the first name."""

    columns: tuple[Column, ...]

    @property
    def head(self) -> Column:
        return self.columns[0]

    @property
    def year(self) -> float | None:
        """The median year of its first date."""
        years = [one.shape.year for one in self.columns if one.shape.year and one.shape.date > 0.5]
        return years[0] if years else None


def match_speechless(match: Match) -> Found:
    """Fields for the columns whose names say nothing, among the fields that ``match`` left open."""
    sample, layout = match.sample, match.layout
    keys = {key[0] for key in sample.table.keys if len(key) == 1}
    taken = {column.name for column, _ in match.found.values()}
    columns = [
        one
        for one in sample.columns
        if not one.meanings and one.name not in keys | taken and one.shape.filled
    ]
    wanted = [one for one in layout.wanted if one.field.name not in match.found and one.kind]
    blocks = list(_blocks(columns))
    groups = _groups(wanted, layout)
    persons = [block for block in blocks if _is_name(block.head)][:_MOST_BLOCKS]
    owned = _owners(sample, persons, groups, layout)
    entry = [one for one in wanted if not any(one in group for group in groups)]
    pairs: list[_Pair] = []
    for block in blocks:
        group = owned.get(block.head.name, ())
        for column in block.columns:
            pairs += _pairs(sample, column, [*entry, *group])
    return _settled(pairs)


def _is_name(column: Column) -> bool:
    return column.shape.of("name") > 0.5


def _blocks(columns: Iterable[Column]) -> Iterator[_Block]:
    block: list[Column] = []
    for column in columns:
        if block and _is_name(column):
            yield _Block(tuple(block))
            block = []
        block.append(column)
    if block:
        yield _Block(tuple(block))


def _groups(wanted: Sequence[Wanted], layout: Layout) -> list[Group]:
    """Fields that belong to one person, with a name among them, in the format's order."""
    groups: list[Group] = []
    for name in (one for one in wanted if one.kind == "name"):
        if name.roles:
            groups.append(tuple(one for one in wanted if one.roles == name.roles))
        else:
            words = name.meanings[0].words
            groups.append(tuple(one for one in wanted if not one.roles and one.has(words)))
    return groups[:_MOST_BLOCKS]


def _owners(
    sample: Sample, blocks: Sequence[_Block], groups: Sequence[Group], layout: Layout
) -> dict[str, Group]:
    """The group of each block, by the block's first column: the best of all ways to give them out."""
    if not blocks or not groups:
        return {}
    latest = max((block.year for block in blocks if block.year), default=None)
    worth = [[_worth(sample, block, group, latest, layout) for group in groups] for block in blocks]
    places = range(len(groups))
    count = min(len(blocks), len(groups))
    best: tuple[int, ...] = max(
        permutations(places, count),
        key=lambda order: sum(worth[at][place] for at, place in enumerate(order)) - 0.15 * _inversions(order),
    )
    return {block.head.name: groups[place] for block, place in zip(blocks, best, strict=False)}


def _inversions(order: Sequence[int]) -> int:
    return sum(1 for at, one in enumerate(order) for other in order[at + 1 :] if other < one)


def _worth(sample: Sample, block: _Block, group: Group, latest: float | None, layout: Layout) -> float:
    """How well a block fits a group: values, then what Thị and Văn, and the years of birth, say."""
    left = list(group)
    worth = 0.0
    for column in block.columns:
        rated = [(_told(sample, column, one), -one.field.position, one) for one in left]
        if rated:
            best, _, one = max(rated, key=lambda each: each[:2])
            worth += best
            if best > 0.5:
                left.remove(one)
    roles = group[0].roles
    women = block.head.shape.women
    worth += 2 * women if roles & _WOMEN else -2 * women if roles & _MEN else 0.0
    if block.year and latest and (roles & _PARENTS or roles <= layout.subjects):
        older = block.year <= latest - _GENERATION_YEARS
        worth += 0.5 if older == bool(roles & _PARENTS) else -0.5
    return worth


def _told(sample: Sample, column: Column, wanted: Wanted) -> float:
    """How much the values alone speak for a field: forms that fit many things speak low."""
    values = value_evidence(sample, column, wanted)
    if values is None:
        return 0.0
    varied = column.shape.distinct / max(column.shape.filled, 1)
    if wanted.kind == "list":
        assert wanted.field.code_list
        known = sample.known(column, wanted.field.code_list)
        return min(1.0, known.by_name + known.by_code * (0.5 if column.shape.longest == 1 else 0.9))
    if wanted.kind == "entry":
        return values * min(1.0, varied * 1.05)
    if wanted.kind in ("small", "book"):
        return values * (1 - 0.4 * varied)
    return values


def _pairs(sample: Sample, column: Column, wanted: Sequence[Wanted]) -> Iterator[_Pair]:
    rated = [(one, _told(sample, column, one)) for one in wanted]
    best = max((told for _, told in rated), default=0.0)
    rivals = sum(1 for _, told in rated if told > best - 0.05)
    for one, told in rated:
        sure = _SUREST * told * (1.0 if rivals == 1 else 0.85)
        yield told, one, column, Evidence(name=None, values=told, kind=one.kind, sure=sure)


def _settled(pairs: Iterable[_Pair]) -> Found:
    """Each field and each column at most once; of equal pairs, in the order of format and table."""
    found: dict[str, tuple[Column, Evidence]] = {}
    taken: set[str] = set()
    ordered = sorted(pairs, key=lambda one: (-round(one[0], 1), one[1].field.position, one[2].position))
    for _, wanted, column, evidence in ordered:
        if evidence.proposed and wanted.field.name not in found and column.name not in taken:
            found[wanted.field.name] = (column, evidence)
            taken.add(column.name)
    return found
