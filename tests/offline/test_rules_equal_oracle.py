"""Each kind of rule says of any row what its row-at-a-time restatement says, whatever its parameters."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codelists import CodeLists
from schemas.rules import RULES
from tests.offline import code_oracle, rule_oracle
from tests.oracle import Problem, clean
from tests.rule_bench import Found, obtained_of, usual
from tests.shipped import shipped

Rule = dict[str, Any]

DATE_FORMS = [
    None, "dd.MM.yyyy", "dd.MM.yyyy|MM.yyyy|yyyy", "yyyyMMdd|yyyyMM|yyyy", "yyyy-MM-dd|yyyy-MM|yyyy",
    "yyyyMMdd|yyyy", "yyyy", "ddMMyyyy|MMyyyy|yyyy", "MM/yyyy",
]  # fmt: skip
MOMENT_FORMS = [
    None, "yyyyMMddHHmmss", "dd/MM/yyyy HH:mm:ss", "yyyy-MM-ddTHH:mm:ss|yyyy-MM-dd", "yyyyMMddHHmm",
    "yyyyMMdd",     "HH:mm dd/MM/yyyy|dd/MM/yyyy",
]  # fmt: skip


def pick(*every: str) -> st.SearchStrategy[str]:
    return st.sampled_from(every)


two = st.one_of(
    st.integers(0, 32).map("{:02d}".format), st.integers(0, 32).map(str), pick("", "05", "12", "29")
)
year = st.one_of(st.integers(1898, 2101).map(str), pick("0000", "0001", "9999", "2016", "2000", "1900", "16"))
time = st.builds(
    "{}{}:{}{}".format,
    pick("T", " ", "  ", ""),
    st.one_of(pick("00", "23", "24", "9", "13"), two),
    pick("00", "59", "60", "7"),
    pick("", "", ":00", ":59", ":60", ":1", ":30.5", ":30.123456", ":30.", ".5", "Z"),
)
dates = st.one_of(
    st.builds("{}{}{}{}{}".format, two, pick(*"/.-"), two, pick(*"/.- "), year),
    st.builds(lambda mark, *parts: mark.join(parts), pick(*"/.-"), two, two, year),
    st.builds(lambda mark, *parts: mark.join(parts), pick(*"/.-"), two, year),
    st.builds("{}-{}-{}".format, year, two, two),
    st.builds("{}-{}".format, year, two),
    st.builds("{}{}{}".format, year, two, two),
    year,
)
compact = st.builds("{}{}{}{}{}{}".format, year, two, two, two, pick("00", "59", "60"), pick("", "00", "61"))
moments = st.one_of(
    dates, st.builds("{}{}".format, dates, time), compact, st.text("0123456789-/.:T ", max_size=19)
)
numbers = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        pick("", "", "-", "+"),
        st.lists(pick("0", "7", "00", "12", "000", "150", "1000"), max_size=3).flatmap(
            lambda groups: st.sampled_from([mark.join(groups) for mark in (".", ",", " ", "")])
        ),
        pick("", ",", ".", ""),
        pick("", "0", "50", "125", "00", "000000001"),
    ),
    st.text("0123456789.,- ", max_size=9),
)
numbers_as_told = st.builds(
    lambda marks, places: {
        "thousands": marks[0],
        "decimal_mark": marks[1:],
        "decimals": len(marks[1:]) * places,
    },
    pick(".,", ",.", " ,", " .", ".", ","),
    st.integers(0, 3),
)
places = pick(
    "Thôn 1", "Thôn 1, xã Ba", "Xã Ba", "xã Ba", "Ba", "huyện X;", ", ", "Tỉnh A, tỉnh B", "tỉnh B", "a , b"
)
personal_ids = st.one_of(
    st.text("0123456789", min_size=8, max_size=13), pick("049316000001", "200000003", "C000000")
)
names = st.one_of(
    st.text("aăÂđĐeH' -(1\u200b", max_size=12), pick("NGUYỄN THỊ HẠNH", "y-blô thử", "ǅ ÁN", "Hồ thị")
)
free = st.text("aB -,/1ố", max_size=8)
signed = st.builds(
    "{}{}{}".format, pick("- ", "-", "", "A"), pick("", "B", " - ", " B "), pick(" -", "-", "", "C,")
)


def rules(kind: str, **parameters: Any) -> st.SearchStrategy[Rule]:
    """Rules over column a with parameters drawn, or as they are."""
    drawn = {
        name: one if isinstance(one, st.SearchStrategy) else st.just(one) for name, one in parameters.items()
    }
    return st.fixed_dictionaries({"rule": st.just(kind), "from": st.just("a"), **drawn})


CASES = [{"form": "[0-9]{12}", "value": "4"}, {"form": "[0-9]{9}|C.*", "value": "1"}]
SEVERAL: dict[str, Any] = {"from": st.sampled_from([["a"], ["a", "b"], ["c", "a", "b"]])}
#: For each kind its rules, and texts worth reading by them.
KINDS: Mapping[str, tuple[st.SearchStrategy[Rule], st.SearchStrategy[str]]] = {
    "copy": (rules("copy"), free),
    "split": (rules("split", separator=pick(" - ", "/", " ", ", "), part=pick("first", "rest")), signed),
    "name": (rules("name"), names),
    "match": (
        rules("match", cases=CASES, otherwise="8"),
        personal_ids,
    ),
    "constant": (st.just({"rule": "constant", "value": "Việt Nam"}), free),
    "join": (rules("join", separator=pick(" ", ", ", ""), **SEVERAL), free),
    "address": (rules("address", separator=pick(", ", " - ", " "), **SEVERAL), places),
    "number": (
        st.one_of(rules("number"), st.builds(lambda one, told: one | told, rules("number"), numbers_as_told)),
        numbers,
    ),
    "date": (
        st.one_of(
            rules("date", precision=pick("kept"), form=st.sampled_from(DATE_FORMS)),
            rules("date", precision="day", form=st.sampled_from(DATE_FORMS[:6])),
        ),
        moments,
    ),
    "moment": (rules("moment", form=st.sampled_from(MOMENT_FORMS)), moments),
    "personal_id": (rules("personal_id", old=st.booleans()), personal_ids),
}  # fmt: skip


INNER = st.sampled_from(
    [
        {"rule": "copy", "from": "b"},
        {"rule": "number", "from": "a", "decimals": 1},
        {"rule": "constant", "value": "K"},
        {"rule": "join", "from": ["b", "a"]},
        {"rule": "split", "from": "a", "separator": " - ", "part": "rest"},
        {"rule": "date", "from": "b", "precision": "kept"},
    ]
)
CONDITIONS = st.one_of(
    st.builds(lambda column: {"column": column, "missing": True}, pick("a", "b", "c")),
    st.builds(lambda column: {"column": column, "is": ["7", "K", "12"]}, pick("a", "b", "c")),
)
ITEMS = st.dictionaries(pick("x", "y", "z"), INNER, min_size=1)
NESTED = st.builds(lambda fields: {"rule": "list", "from": "b", "fields": fields}, ITEMS)
scalars = st.one_of(
    numbers, free, dates, pick("7", "K", "a\\nb"), st.none(), st.booleans(), st.integers(-9, 99)
)
objects = st.dictionaries(pick("a", "b", "c"), scalars)
arrays = st.lists(
    st.one_of(
        objects,
        objects,
        st.dictionaries(pick("b"), st.lists(objects, max_size=2)),
        st.dictionaries(pick("b"), st.lists(objects, max_size=2)),
    ),
    max_size=3,
)
lists = st.one_of(
    arrays.map(json.dumps),
    arrays.map(lambda array: json.dumps(array, ensure_ascii=False, indent=1)),
    pick(
        "[1.50]",
        '[{"a": 1.50, "b": -0}]',
        '{"a": "1"}',
        '[{"a": 1, "a": 2}]',
        "[[]]",
        "[{]",
        "[]",
        '[{"a": {}}]',
    ),
)
KINDS = {
    **KINDS,
    "when": (
        st.builds(
            lambda cases, otherwise: {"rule": "when", "cases": cases, **otherwise},
            st.lists(st.builds(lambda one, then: {"if": one, "then": then}, CONDITIONS, INNER), min_size=1),
            st.one_of(st.just({}), st.builds(lambda one: {"otherwise": one}, INNER)),
        ),
        st.one_of(pick("7", "K", "12"), numbers, dates),
    ),
    "list": (
        st.builds(
            lambda fields, required: {"rule": "list", "from": "a", "fields": {**fields, **required}},
            st.dictionaries(pick("x", "y", "z"), st.one_of(INNER, NESTED), min_size=1),
            st.one_of(st.just({}), st.builds(lambda one: {"y": {**one, "required": True}}, INNER)),
        ),
        lists,
    ),
}


@pytest.fixture(scope="module")
def codes() -> CodeLists:
    return shipped().codes


def due(rule: Rule, row: Mapping[str, str | None]) -> Found:
    try:
        return Found(rule_oracle.obtain(rule, row), None)
    except Problem as problem:
        return Found(None, problem.rule)


@settings(max_examples=80)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_a_rule_equals_its_restatement(kind: str, data: st.DataObject, codes: CodeLists) -> None:
    said, texts = KINDS[kind]
    rule = data.draw(said)
    text = st.one_of(texts, texts, texts, free, st.none()).map(clean)
    names = [*rule.get("from", "abc")]
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, text)), min_size=1, max_size=25))
    columns: dict[str, Sequence[str | None]] = {name: [row[name] for row in rows] for name in names}
    found = obtained_of(rule, columns, codes)
    assert found == [due(rule, row) for row in rows]
    if kind in ("date", "number", "name"):
        parameters = {name: value for name, value in rule.items() if name not in ("rule", "from")}
        for quick, full in zip(usual(kind, columns["a"], codes, **parameters), found, strict=True):
            assert quick is None or full == Found(quick, None)


def test_every_kind_is_restated() -> None:
    assert set(rule_oracle.KINDS) == set(KINDS)
    assert set(RULES) - set(KINDS) == set(code_oracle.KINDS)
