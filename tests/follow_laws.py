"""Laws of an agency's answers beside its outbox, whatever its database."""

from collections.abc import Iterator
from threading import Event

import pytest
from sqlalchemy import make_url

from producers.answers import Answer, AnswerBook
from schemas.errors import LienthongError
from tests.capture_lab import SOHO, CaptureLab

TOPIC = "receipts.thu-0"


def answer(
    outcome: str, seqs: str, *, reason: str | None = None, at: str = "2026-01-02T03:04:05.000+00:00"
) -> Answer:
    return Answer(dataset=SOHO.dataset, format="thu.so.v1", outcome=outcome, seqs=seqs, reason=reason, at=at)


def seen(lab: CaptureLab) -> list[tuple[object, ...]]:
    return lab.hand.run("SELECT seq, outcome, reason FROM lienthong_outbox_answered ORDER BY id")


class FollowLaws:
    """``lab`` is an agency's database under capture."""

    @pytest.fixture
    def book(self, lab: CaptureLab) -> Iterator[AnswerBook]:
        lab.install()
        for id_ in range(1, 6):
            lab.insert(id_)
        lab.number()
        made = AnswerBook(make_url(lab.source))
        made.create()
        yield made
        made.close()

    def test_the_agency_sees_what_became_of_each_change(self, lab: CaptureLab, book: AnswerBook) -> None:
        told = [answer("applied", "1-2,4"), answer("rejected", "3", reason="Ngày này không có trong lịch.")]
        assert book.take(TOPIC, 2, told) == 4
        assert seen(lab) == [
            (1, "applied", None),
            (2, "applied", None),
            (3, "rejected", "Ngày này không có trong lịch."),
            (4, "applied", None),
            (5, None, None),
        ]

    def test_the_best_answer_stays_in_any_order(self, lab: CaptureLab, book: AnswerBook) -> None:
        book.take(TOPIC, 1, [answer("rejected", "1", reason="x"), answer("parked", "2-3")])
        book.take(TOPIC, 2, [answer("applied", "1-2"), answer("parked", "1"), answer("stale", "3")])
        book.take(TOPIC, 3, [answer("rejected", "1-3", reason="x"), answer("of a later version", "4")])
        assert [row[:2] for row in seen(lab)][:4] == [
            (1, "applied"),
            (2, "applied"),
            (3, "superseded"),
            (4, None),
        ]
        assert seen(lab)[0][2] is None

    def test_place_and_answers_are_one_transaction_and_repeating_changes_nothing(
        self, lab: CaptureLab, book: AnswerBook
    ) -> None:
        assert book.place(TOPIC) == 0
        for _ in range(2):
            book.take(TOPIC, 7, [answer("applied", "1")])
        assert (book.place(TOPIC), book.place("receipts.thu-1")) == (7, 0)
        with pytest.raises(ValueError, match="invalid literal"):
            book.take(TOPIC, 9, [answer("applied", "2"), answer("applied", "hai")])
        assert book.place(TOPIC) == 7
        assert seen(lab)[1][1] is None

    def test_answers_outlast_their_changes_only_until_they_are_old(
        self, lab: CaptureLab, book: AnswerBook
    ) -> None:
        book.take(
            TOPIC, 1, [answer("applied", "1-2"), answer("applied", "3", at="2027-01-01T00:00:00.000+00:00")]
        )
        lab.hand.run("DELETE FROM lienthong_outbox WHERE seq <> 2")
        book.prune("2026-06-01T00:00:00.000+00:00", Event())
        assert lab.hand.run("SELECT seq FROM lienthong_outbox_answer ORDER BY seq") == [(2,), (3,)]

    def test_making_the_tables_again_is_safe(self, lab: CaptureLab, book: AnswerBook) -> None:
        book.take(TOPIC, 1, [answer("applied", "1")])
        book.create()
        assert seen(lab)[0][1] == "applied"

    def test_without_capture_there_is_nothing_to_follow(self, lab: CaptureLab) -> None:
        book = AnswerBook(make_url(lab.source))
        with pytest.raises(LienthongError):
            book.create()
        book.close()
