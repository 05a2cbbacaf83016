"""Code lists as columns: what each text means, day by day, ready for binary search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from schemas.codenames import Spelling

DAY_BITS = 23
FIRST_DAY = -1_000_000  #: days before 1970-01-01: earlier than the year 1
LAST_DAY = FIRST_DAY + 2**DAY_BITS - 1

#: In ``Timeline.rows``: several codes go by this text then; none does.
SEVERAL, NONE = -1, -2

#: Ranks of texts: the better one wins, and a code wins always. Official names, aliases, other names,
#: ``name (other name)``, and an official name without its type.
CODE, OFFICIAL, ALIAS, OTHER, COMBINED, BARE = range(6)


@dataclass(frozen=True, slots=True)
class Timeline:
    """What texts mean, and since when: one step for each day on which a text's meaning changes.

    The key of a step is ``rank of its text << DAY_BITS | its day``, days counted from ``FIRST_DAY``.
    """

    texts: pl.Series  #: String, each once, sorted; a text's place is its rank
    ranks: pl.Series  #: Int64, one for each step
    keys: pl.Series  #: Int64, sorted
    rows: pl.Series  #: Int64, the spell (a row of ``spells``) it means from that day on, or SEVERAL or NONE


def spells(entries: pl.DataFrame, successors: pl.DataFrame) -> pl.DataFrame:
    """The meanings of a list, by code and day, with ``begin`` and ``end`` (Int64, days of ``FIRST_DAY``).

    A meaning in whose time something becomes of its code is two.
    """
    rows = entries.with_columns(
        _days("valid_from").fill_null(FIRST_DAY).alias("begin"),
        _days("valid_to").fill_null(LAST_DAY).alias("end"),
    )
    within = successors.select("code", _days("on").alias("day")).unique().join(rows, on="code")
    within = within.filter(pl.col("begin") < pl.col("day"), pl.col("day") < pl.col("end"))
    cuts = within.group_by("code", "begin").agg(pl.col("day").sort())
    if not cuts.is_empty():
        days = pl.col("day").fill_null([])
        rows = rows.join(cuts, on=["code", "begin"], how="left").with_columns(
            begin=pl.concat_list("begin", days), end=pl.concat_list(days, "end")
        )
        rows = rows.explode("begin", "end").drop("day")
    return rows.sort("code", "begin")


def known_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Every text that means a code: ``at`` (which of the ``rows``), ``code``, ``text``, ``rank``.

    A name in a row marked U is a hint and means nothing.
    """
    rows = rows.with_row_index("at")
    names = rows.filter(pl.col("evidence").ne_missing("U"))
    aliases, others = (
        names.select("at", "code", text=pl.col(column).str.split(";")).explode("text").drop_nulls("text")
        for column in ("aliases", "other_names")
    )
    official = names.select("at", "code", text="name")
    inner = others.select("at", inner="text")
    combined = pl.concat([official, aliases]).join(inner, on="at")
    combined = combined.select("at", "code", text=pl.format("{} ({})", "text", "inner"))
    by_rank = {OFFICIAL: official, ALIAS: aliases, OTHER: others, COMBINED: combined}
    by_rank[CODE] = rows.select("at", "code", text="code")
    return pl.concat([texts.with_columns(rank=pl.lit(rank)) for rank, texts in by_rank.items()])


def keyed(
    rows: pl.DataFrame, spelling: Spelling, above: Sequence[tuple[str, pl.DataFrame]] = ()
) -> pl.DataFrame:
    """Every key of the texts that mean one of the spells ``rows``: ``key``, ``rank``, ``code``, ``at``, and
    from when to when (``begin``, ``end``).

    ``above``: columns that name units above, the lower ones first, and the spells of their lists.
    """
    texts = known_texts(rows)
    if spelling.types:
        bare = rows.with_row_index("at").select("at", "code", text=spelling.bare(pl.col("name")))
        texts = pl.concat([texts, bare.with_columns(rank=pl.lit(BARE))])
    texts = texts.with_columns(key=spelling.keys(pl.col("text"))).drop("text")
    found = texts.join(rows.with_row_index("at").select("at", "begin", "end"), on="at")
    for column, higher in above:
        units = higher.select(
            pl.col("code").alias(column), "begin", "end", ending=spelling.ending(pl.col("name"))
        )
        longer = found.filter(pl.col("rank") != CODE)
        longer = longer.join(rows.with_row_index("at").select("at", column), on="at")
        longer = longer.join(units, on=column, suffix="_above").select(
            *("at", "code", "rank"),
            key=pl.concat_str("key", "ending"),
            begin=pl.max_horizontal("begin", "begin_above"),
            end=pl.min_horizontal("end", "end_above"),
        )
        longer = longer.filter(pl.col("begin") < pl.col("end"))
        found = pl.concat([found, longer.select(found.columns)])
    return found.unique()


def code_timeline(rows: pl.DataFrame) -> Timeline:
    """Codes as they are."""
    at = pl.int_range(pl.len(), dtype=pl.UInt32)
    return timeline(rows.select("code", "begin", "end", key="code", rank=pl.lit(CODE), at=at))


def timeline(texts: pl.DataFrame) -> Timeline:
    """From columns as ``keyed`` gives them."""
    texts = texts.sort("key").with_columns(place=pl.col("key").rle_id().cast(pl.Int64))
    known = texts["key"].filter(texts["place"].diff().fill_null(1) > 0)
    texts = texts.drop("key", "code")
    is_code = texts.filter(pl.col("rank") == CODE)["place"].unique().implode()
    texts = texts.filter((pl.col("rank") == CODE) | ~pl.col("place").is_in(is_code))
    ends = texts.filter(pl.col("end") < LAST_DAY).select("place", day="end")
    steps = pl.concat([texts.select("place", day="begin"), ends]).unique()
    then = steps.join(texts, on="place")
    then = then.filter(pl.col("begin") <= pl.col("day"), pl.col("day") < pl.col("end"))
    best = then.group_by("place", "day").agg(rank=pl.col("rank").min())
    then = then.join(best, on=["place", "day", "rank"], how="semi")
    meant = then.group_by("place", "day").agg(row=pl.col("at").min().cast(pl.Int64), last=pl.col("at").max())
    # Several spells that are valid on one day are several codes.
    row = pl.when(pl.col("row") == pl.col("last")).then("row").otherwise(SEVERAL)
    steps = steps.join(meant.with_columns(row=row), on=["place", "day"], how="left").sort("place", "day")
    keys = steps["place"] * 2**DAY_BITS + steps["day"] - FIRST_DAY
    return Timeline(known, steps["place"], keys, steps["row"].fill_null(NONE))


def became(
    rows: pl.DataFrame, successors: Mapping[tuple[str, int], Sequence[str]], spelling: Spelling, day: int
) -> list[frozenset[str] | None]:
    """The codes that each spell's unit has on a later day (days since 1970-01-01, as in ``successors``, which
    tells what becomes of a code on a day); None if the list does not tell.

    A unit whose code goes on under its name, whatever its type, is the same unit, unless the successors
    speak of that day: then it is only what they say. A spell that begins after the day is what it is.
    """
    told = {when for _, when in successors}
    kept = rows.select("code", "begin", "end", bare=spelling.keys(spelling.bare(pl.col("name")))).rows()
    spell_at = {(code, begin): at for at, (code, begin, _, _) in enumerate(kept)}
    by_code: dict[str, list[int]] = {}
    for at, (code, *_) in enumerate(kept):
        by_code.setdefault(code, []).append(at)
    answers: list[frozenset[str] | None] = [None] * len(kept)

    def successors_of(at: int) -> list[int | None]:
        code, _, end, bare = kept[at]
        if (code, end) in successors:
            return [
                next((one for one in by_code[heir] if kept[one][1] <= end < kept[one][2]), None)
                for heir in successors[code, end]
            ]
        following = spell_at.get((code, end))
        goes_on = following is not None and kept[following][3] == bare and end not in told
        return [following if goes_on else None]

    for at in sorted(range(len(kept)), key=lambda at: kept[at][2], reverse=True):
        code, _, end, _ = kept[at]
        if day < end:
            answers[at] = frozenset({code})
            continue
        heirs = [None if heir is None else answers[heir] for heir in successors_of(at)]
        if all(heirs):
            answers[at] = frozenset().union(*(one for one in heirs if one))
    return answers


def _days(column: str) -> pl.Expr:
    return pl.col(column).to_physical().cast(pl.Int64)
