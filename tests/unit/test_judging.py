"""What a difference is, by what is known of the record's changes."""

from typing import Any

import pytest

from consumers.judging import Judge
from consumers.proofs import Refused
from consumers.ranges import Ranges
from consumers.receipts import Answers
from schemas.differences import Difference
from schemas.sides import Newest

NONE = Ranges()


def ranges(text: str) -> Ranges:
    return Ranges.parse([text]) if text else NONE


def answers(format_: str, applied: str, **more: str) -> Answers:
    names = ("stale", "passed", "rejected", "parked", "waiting")
    others: dict[str, Any] = {name: ranges(more.get(name, "")) for name in names}
    return Answers(system="s", dataset="d", format=format_, applied=ranges(applied), **others)


def newest(seq: int | None) -> Newest:
    return Newest(seq, 1, None)


OLD = answers("a.b.v1", "1-90", rejected="91", parked="92")
MISSING = Difference(kind="missing", format="a.b.v1", source_key="k", there=True)
IN_NEW = Difference(kind="missing", format="a.b.v2", source_key="k", there=True)


@pytest.mark.parametrize(
    ("last", "held", "refused", "kind"),
    [
        (newest(None), None, None, "in_flight"),  # not numbered yet
        (newest(95), None, None, "in_flight"),  # numbered, not answered
        (newest(95), 90, Refused(91, True), "in_flight"),
        (newest(50), 60, None, "in_flight"),  # the store knows a later one
        (newest(50), 50, None, "missing"),
        (newest(50), 40, None, "missing"),
        (newest(91), 40, None, "refused"),
        (newest(92), 40, Refused(91, True), "refused"),  # waits behind the reject
        (newest(97), 40, None, "missing"),  # known never to have arrived
        (None, None, None, "missing"),  # older than the outbox
        (None, 40, Refused(91, False), "refused"),
        (None, 92, Refused(91, True), "missing"),  # a later version was there
        (newest(50), None, Refused(20, True), "missing"),  # a later one was applied
    ],
)
def test_what_a_difference_is(
    last: Newest | None, held: int | None, refused: Refused | None, kind: str
) -> None:
    assert Judge([OLD], ranges("97-98")).kind(MISSING, last, held, refused) == kind


@pytest.mark.parametrize(
    ("told", "last", "kind", "unsure"),
    [
        ([OLD], newest(50), "missing", True),  # the format is new: nobody was ever told of it
        ([OLD], newest(95), "in_flight", False),
        ([OLD, answers("a.b.v2", "80-90")], newest(50), "missing", True),  # from before it was fed
        ([OLD, answers("a.b.v2", "80-85")], newest(90), "in_flight", False),  # one hop behind the other
        ([OLD, answers("a.b.v2", "80-90")], newest(85), "missing", False),
    ],
)
def test_a_format_that_was_added_later_owes_no_answer_for_what_was_before(
    told: list[Answers], last: Newest, kind: str, unsure: bool
) -> None:
    judge = Judge(told, NONE)
    assert (judge.kind(IN_NEW, last, None, None), judge.is_unsure(IN_NEW, last)) == (kind, unsure)
