"""The rules that look codes up say of any text on any day what their restatement says."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.rules import RULES
from tests.offline import code_oracle, rule_oracle
from tests.oracle import Problem, clean
from tests.rule_bench import Found, obtained_of, usual
from tests.shipped import shipped

CODES = shipped().codes
DATED = sorted(name for name, one in CODES.items() if one.dated)
PLAIN = sorted(set(CODES) - set(DATED))
TWO_LEVELS = date(2025, 7, 1)
DAYS = st.one_of(
    st.sampled_from([date(1, 1, 1), date(2024, 12, 31), date(2025, 1, 1), date(2025, 6, 30), TWO_LEVELS]),
    st.dates(date(2022, 1, 1), date(2026, 12, 31)),
    st.just(date(9999, 12, 30)),
)
MESSES: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: text,
    str.upper,
    str.lower,
    lambda text: text.replace(" ", "-"),
    lambda text: text.replace(" ", ""),
    lambda text: text.replace("òa", "oà"),
    lambda text: text[:-1],
    lambda text: f"{text}x",
    lambda text: text.partition(" ")[2],
    lambda text: text.replace(" 0", " "),
]


def _part(draw: st.DrawFn, name: str, row: Mapping[str, str]) -> str:
    """A name of a row as people write it: its type whole, short or left out."""
    words = code_oracle.types(name)
    text = row["name"]
    for word, short in words.items():
        if text.lower().startswith(f"{word} "):
            bare = text[len(word) + 1 :]
            form = draw(st.sampled_from([text[: len(word)], *(one.upper() for one in short), ""]))
            gap = draw(st.sampled_from(["", " "])) if form.endswith(".") else " "
            return f"{form}{gap}{bare}".strip()
    return text


@st.composite
def texts(draw: st.DrawFn, name: str) -> str:
    """A text that may stand for one of a list's entries."""
    row = draw(st.sampled_from(code_oracle.rows(name)))
    others = [
        one for column in ("aliases", "other_names") for one in (row.get(column) or "").split(";") if one
    ]
    ways = [row["name"], row["code"], f"000.01.02.{row['code']}", f"{row['code']}.17", *others]
    ways += [f"{row['name']} ({one})" for one in others]
    text = draw(st.sampled_from(ways))
    typed = bool(code_oracle.types(name))
    if typed and draw(st.integers(0, 4)):
        parts = [_part(draw, name, row)]
        for column, one in code_oracle.above(name):
            if row[column] and draw(st.booleans()):
                units = code_oracle.coded(one)[row[column]]
                parts.append(_part(draw, one, draw(st.sampled_from(units))))
        text = draw(st.sampled_from([",", ", ", ",  "])).join(parts)
    return draw(st.sampled_from(MESSES))(text)


def due(rule: dict[str, Any], *asked: Any) -> Found:
    try:
        return Found(None if asked[0] is None else code_oracle.KINDS[rule["rule"]](rule, *asked), None)
    except Problem as problem:
        return Found(None, problem.rule)


BY = st.sampled_from([["name"], ["code"], ["name", "code"]])


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(PLAIN), by=BY)
def test_a_code_equals_its_restatement(data: st.DataObject, name: str, by: list[str]) -> None:
    alias = st.sampled_from(["Đúng hạn", "khác", *(row["name"] for row in code_oracle.rows(name))])
    meant = st.sampled_from([row["code"] for row in code_oracle.rows(name)])
    aliases = data.draw(st.dictionaries(alias, meant, max_size=2))
    rule = {"rule": "code", "from": "a", "list": name, "by": by, "aliases": aliases}
    text = st.one_of(texts(name), texts(name), st.sampled_from(["Đúng-hạn", "KHÁC", ""]), st.none()).map(
        clean
    )
    asked = data.draw(st.lists(text, min_size=1, max_size=20))
    found = obtained_of(rule, {"a": asked}, CODES)
    assert found == [due(rule, one) for one in asked]
    for quick, full in zip(
        usual("code", asked, CODES, list=name, by=by, aliases=aliases), found, strict=True
    ):
        assert quick is None or full == Found(quick, None)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(DATED), by=BY, on=DAYS)
@pytest.mark.parametrize("kind", ["code_at", "code_now"])
def test_a_code_on_a_day_equals_its_restatement(
    data: st.DataObject, name: str, by: list[str], on: date, kind: str
) -> None:
    rule = {"rule": kind, "from": "a", "list": name, "by": by, "at": "ngay"}
    if kind == "code_now":
        rule["on"] = on.isoformat()
    text = st.one_of(texts(name), texts(name), texts(name), st.none()).map(clean)
    asked = data.draw(
        st.lists(st.tuples(text, st.one_of(DAYS, DAYS, DAYS, st.none())), min_size=1, max_size=20)
    )
    days = pl.Series([day for _, day in asked], dtype=pl.Date)
    found = obtained_of(rule, {"a": [one for one, _ in asked]}, CODES, {"at": days})
    assert found == [due(rule, *one) for one in asked]


def test_every_kind_is_restated_here_or_with_the_others() -> None:
    assert set(RULES) == set(rule_oracle.KINDS) | set(code_oracle.KINDS)


@pytest.mark.parametrize("text", ["T.P. Hồ Chí Minh", "T.P Hồ Chí Minh", "TP. Hồ Chí Minh", "tp hồ chí minh"])
def test_a_short_form_that_begins_like_another_types_is_read_whole(text: str) -> None:
    rule = {"rule": "code_at", "from": "a", "list": "dvhc.tinh", "by": ["name"], "at": "ngay"}
    days = pl.Series([date(2024, 5, 1)], dtype=pl.Date)
    assert obtained_of(rule, {"a": [text]}, CODES, {"at": days}) == [Found("79", None)]
