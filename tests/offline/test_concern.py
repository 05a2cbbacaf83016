"""Targets that only some records concern: what passes, what is deleted, and what is said of it."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ContractError
from schemas.library import load_library
from schemas.mapping import Translated, Translator
from tests.envelopes import Row, event, frame
from tests.provinces import CONTRACT, write_contract, write_format

ONE, ALL = "thu.hoso.v1", "thu.tatca.v1"


def copied(*names: str) -> dict[str, Any]:
    return {name: {"rule": "copy", "from": name} for name in names}


TARGETS: dict[str, Any] = {
    ONE: {"fields": copied("ma", "ten"), "only": {"column": "loai", "is": ["X", "Y"]}},
    ALL: {"fields": copied("ten", "ma")},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_format(tmp_path, ONE, "ma", "ten")
    write_format(tmp_path, ALL, "ten", "ma")
    return tmp_path


def translated(folder: Path, *events: Row, **more: object) -> Translated:
    write_contract(folder, "thu/hoso", {**CONTRACT, "targets": TARGETS, **more})
    library = load_library([folder])
    contract = library.contracts["thu/hoso"]
    return Translator(contract, library).translate(frame(list(events), contract))


def row(loai: str | None, ma: str | None = "A", **more: object) -> Row:
    return {"id": 1, "ma": ma, "loai": loai, "ten": "Thử", **more}


KEY_ONLY: Row = {"id": 1, "ma": None, "loai": None, "ten": None}
CASES: dict[str, tuple[Row, list[tuple[str, str, bool]], bool]] = {
    "created inside": (event(row("X")), [("u", "A", True)], False),
    "created outside": (event(row("Z")), [], True),
    "nothing is outside": (event(row(None)), [], True),
    "stays inside": (event(row("Y"), row("X"), op="u"), [("u", "A", True)], False),
    "stays outside": (event(row("Z"), row(None), op="u"), [], True),
    "comes in": (event(row("X"), row("Z"), op="u"), [("u", "A", True)], False),
    "comes in and moves": (event(row("X", "B"), row("Z"), op="u"), [("u", "B", True)], False),
    "moves inside": (
        event(row("X", "B"), row("X"), op="u"),
        [("d", "A", False), ("u", "B", True)],
        False,
    ),
    "leaves": (event(row("Z"), row("X"), op="u"), [("d", "A", True)], False),
    "leaves and moves": (event(row("Z", "B"), row("X"), op="u"), [("d", "A", True)], False),
    "moves outside": (event(row("Z", "B"), row("Z"), op="u"), [], True),
    "leaves from nowhere told": (event(row("Z"), None, op="u"), [("d", "A", False)], True),
    "leaves, and only its key was told": (event(row("Z"), KEY_ONLY, op="u"), [("d", "A", False)], True),
    "a snapshot outside": (event(row("Z"), op="r"), [("d", "A", False)], True),
    "a snapshot inside": (event(row("X"), op="r"), [("u", "A", True)], False),
    "deleted inside": (event(None, row("X"), op="d"), [("d", "A", True)], False),
    "deleted outside": (event(None, row("Z"), op="d"), [], True),
}


@pytest.mark.parametrize("case", CASES)
def test_what_becomes_of_a_change(folder: Path, case: str) -> None:
    change, due, passed = CASES[case]
    one = translated(folder, change, targets={ONE: TARGETS[ONE]})
    assert one.national[ONE].select("lt_op", "lt_key", "lt_answers").rows() == due
    assert one.passed[ONE].rows() == ([(0, 1)] if passed else [])
    assert one.rejects.is_empty()


def test_all_changes_together_are_as_each_alone(folder: Path) -> None:
    changes = [
        {**change, "source": {**change["source"], "seq": at}}
        for at, (change, _, _) in enumerate(CASES.values())
    ]
    one = translated(folder, *changes, targets={ONE: TARGETS[ONE]})
    due = [(at, *each) for at, (_, many, _) in enumerate(CASES.values()) for each in many]
    assert one.national[ONE].select("__row", "lt_op", "lt_key", "lt_answers").rows() == due
    assert one.passed[ONE].rows() == [(at, at) for at, (_, _, passed) in enumerate(CASES.values()) if passed]


def test_a_deletion_of_what_may_never_have_been_there_says_so(folder: Path) -> None:
    one = translated(folder, event(row("Z"), op="r", seq=1), event(row("Z"), row("X"), op="u", seq=2))
    told = one.national[ONE].select("lt_seq", "lt_warnings").rows()
    assert told == [(1, "loai:not_concerned"), (2, None)]
    assert one.warnings.is_empty()


def test_what_does_not_concern_a_target_is_not_refused_by_it(folder: Path) -> None:
    one = translated(folder, event(row("Z", None), seq=1), event(row("X", None), seq=2))
    assert one.rejects.select("lt_seq", "field").rows() == [(2, "ma")]
    assert one.national[ALL]["lt_seq"].to_list() == [1]
    assert one.national[ONE].is_empty()
    assert one.passed[ONE]["lt_seq"].to_list() == [1]


def test_who_leaves_is_deleted_though_another_target_refuses_the_change(folder: Path) -> None:
    """No later change would tell it: that one was outside before, too."""
    one = translated(folder, event(row("Z", ten=None), row("X"), op="u"))
    assert one.rejects.select("lt_seq", "field").rows() == [(1, "ten")]
    assert one.national[ONE].select("lt_op", "lt_key").rows() == [("d", "A")]
    assert one.national[ALL].is_empty()


def test_an_unknown_kind_of_change_is_refused_even_if_it_concerns_nobody(folder: Path) -> None:
    one = translated(folder, event(row("Z"), op="x"), targets={ONE: TARGETS[ONE]})
    assert one.rejects.select("field", "rule").rows() == [("op", "op_unknown")]


def test_a_record_that_left_by_its_status_is_deleted_where_it_was(folder: Path) -> None:
    status = {"column": "ten", "live": ["Thử"], "gone": ["xóa"]}
    one = translated(
        folder,
        event(row("X", ten="xóa"), row("X"), op="u", seq=1),
        event(row("Z", ten="xóa"), row("Z"), op="u", seq=2),
        targets={ONE: {**TARGETS[ONE], "fields": copied("ma")}},
        status=status,
    )
    assert one.national[ONE].select("lt_seq", "lt_op").rows() == [(1, "d")]
    assert one.passed[ONE]["lt_seq"].to_list() == [2]


SPELLINGS = {
    "KS": ["KS", "KS ", "KS\u00a0", " KS", "\tKS\n"],
    "Xơ Đăng": ["Xơ Đăng", unicodedata.normalize("NFD", "Xơ Đăng"), "Xơ  Đăng", "Xơ\u00a0Đăng "],
}


@pytest.mark.parametrize("word", SPELLINGS)
def test_a_word_concerns_it_however_its_blanks_and_marks_are_written(folder: Path, word: str) -> None:
    target = {**TARGETS[ONE], "only": {"column": "loai", "is": [word]}}
    changes = [event(row(text, str(at)), seq=at) for at, text in enumerate(SPELLINGS[word])]
    one = translated(folder, *changes, event(row("KSS"), seq=99), targets={ONE: target})
    assert one.national[ONE]["lt_seq"].to_list() == list(range(len(SPELLINGS[word])))
    assert one.passed[ONE]["lt_seq"].to_list() == [99]


@pytest.mark.parametrize(("now", "was"), [("X ", "X"), ("X", "X "), ("\u00a0X", "X ")])
def test_a_blank_makes_no_record_leave(folder: Path, now: str, was: str) -> None:
    one = translated(folder, event(row(now), row(was), op="u"), targets={ONE: TARGETS[ONE]})
    assert one.national[ONE].select("lt_op", "lt_key").rows() == [("u", "A")]


def test_who_leaves_is_deleted_though_its_word_had_a_blank(folder: Path) -> None:
    one = translated(folder, event(row("Z"), row("X "), op="u"), targets={ONE: TARGETS[ONE]})
    assert one.national[ONE].select("lt_op", "lt_key", "lt_answers").rows() == [("d", "A", True)]


def test_a_column_that_is_no_text_is_compared_as_it_is(folder: Path) -> None:
    target = {**TARGETS[ONE], "only": {"column": "id", "is": ["1"]}}
    one = translated(folder, event(row("X"), seq=1), event(row("X", id=2), seq=2), targets={ONE: target})
    assert one.national[ONE]["lt_seq"].to_list() == [1]


BOOLEAN = {"id": "long", "ma": "string", "loai": "string", "ten": "string", "con": "boolean"}


def test_a_boolean_column_says_who_concerns_it_and_who_is_gone(folder: Path) -> None:
    target = {**TARGETS[ONE], "only": {"column": "con", "is": ["true"]}}
    changes = [event(row("X", con=con), seq=at) for at, con in enumerate((True, False, None))]
    one = translated(folder, *changes, targets={ONE: target}, columns=BOOLEAN)
    assert one.national[ONE]["lt_seq"].to_list() == [0]
    assert one.passed[ONE]["lt_seq"].to_list() == [1, 2]
    status = {"column": "con", "live": ["false"], "gone": ["true"]}
    target = {"fields": copied("ma")}
    one = translated(folder, *changes, targets={ONE: target}, columns=BOOLEAN, status=status)
    assert one.national[ONE].select("lt_seq", "lt_op").rows() == [(0, "d"), (1, "u")]
    assert one.rejects.select("lt_seq", "rule").rows() == [(2, "status_unknown")]


@pytest.mark.parametrize("word", ["1", "TRUE", "yes", ""])
def test_a_boolean_is_true_or_false(folder: Path, word: str) -> None:
    with pytest.raises(ContractError, match="not all are of type boolean"):
        translated(folder, columns=BOOLEAN, status={"column": "con", "live": [word]})


def test_a_target_like_another_concerns_the_same_records(folder: Path) -> None:
    write_format(folder, "thu.hoso.v2", "ma", "ten")
    write_contract(
        folder, "thu/hoso", {**CONTRACT, "targets": {ONE: TARGETS[ONE], "thu.hoso.v2": {"like": ONE}}}
    )
    first, second = load_library([folder]).contracts["thu/hoso"].targets
    assert first.only == second.only is not None


@pytest.mark.parametrize(
    ("only", "text"),
    [
        ({"column": "lai", "is": ["X"]}, "the source has no column lai"),
        ({"column": "loai", "is": []}, "only.is"),
        ({"column": "id", "is": ["một"]}, "not all are of type long"),
        ({"column": "loai"}, "only.is"),
        ({"column": "loai", "is": ["X", "Y "]}, "no cleaned text is 'Y '"),
        ({"column": "loai", "is": ["Xơ  Đăng"]}, "no cleaned text is"),
        ({"column": "loai", "is": [unicodedata.normalize("NFD", "Xơ Đăng")]}, "no cleaned text is"),
        ({"column": "loai", "is": [""]}, "says that nothing is known"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(folder: Path, only: dict[str, Any], text: str) -> None:
    with pytest.raises(ContractError, match=text) as caught:
        translated(folder, targets={ONE: {**TARGETS[ONE], "only": only}})
    assert "hoso.yaml:" in caught.value.message


def test_a_word_that_the_contract_takes_for_nothing_concerns_no_target(folder: Path) -> None:
    target = {**TARGETS[ONE], "only": {"column": "loai", "is": ["X", "Không rõ"]}}
    with pytest.raises(ContractError, match="'Không rõ' says that nothing is known") as caught:
        translated(folder, targets={ONE: target}, missing=["không rõ"])
    assert "hoso.yaml:" in caught.value.message
