"""What is made of the looks: hours until retention deletes, lists of outboxes, and who never answers."""

import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from consumers.asking import Asking
from consumers.kafka_look import KafkaLook, Retention
from consumers.observer import Observer
from consumers.observing import hours_left
from consumers.opening import open_store
from consumers.outboxes import open_outboxes, read_outboxes
from consumers.outlook import Outlook, look
from consumers.settings import OrphanSettings
from schemas.errors import LienthongError, SettingsError, TryAgain
from streams.agency_outbox import AgencyOutbox
from tests.shipped import shipped

HOUR = 3_600_000
WEEK = Retention(after_ms=168 * HOUR, above_bytes=None)
SMALL = Retention(after_ms=None, above_bytes=1000)


@pytest.mark.parametrize(
    ("retention", "age", "read_share", "size", "bytes_per_hour", "hours"),
    [
        (None, HOUR, 0.0, 500, 10.0, None),  # not known
        (Retention(after_ms=None, above_bytes=None), HOUR, 0.0, 500, 10.0, None),  # kept for ever
        (WEEK, HOUR, 0.0, 500, 10.0, 167.0),
        (WEEK, 170 * HOUR, 0.0, 500, 10.0, -2.0),  # any moment
        (WEEK, None, 0.0, 500, 10.0, None),  # the record's time is not known
        (SMALL, HOUR, 0.0, 500, 100.0, 5.0),  # (1000 - 500) / 100
        (SMALL, HOUR, 0.5, 500, 100.0, 7.5),  # half of it goes first: (1000 - 250) / 100
        (SMALL, HOUR, 0.0, 500, 0.0, None),  # nothing comes
        (SMALL, HOUR, 0.0, 1200, 100.0, 0.0),
        (Retention(after_ms=168 * HOUR, above_bytes=1000), HOUR, 0.0, 500, 100.0, 5.0),
    ],
)
def test_hours_until_unread_records_are_deleted(
    retention: Retention | None, age: float | None, read_share: float, size: int, bytes_per_hour: float,
    hours: float | None,
) -> None:  # fmt: skip
    found = hours_left(
        retention, oldest_age_ms=age, read_share=read_share, size=size, bytes_per_hour=bytes_per_hour
    )
    assert found == pytest.approx(hours)


def test_the_list_of_outboxes(tmp_path: Path) -> None:
    path = tmp_path / "outboxes"
    path.write_text("# the province's\n\nso_tu_phap sqlite:///a.db\nso_y_te  sqlite:///b.db\n")
    assert read_outboxes(str(path)) == {"so_tu_phap": "sqlite:///a.db", "so_y_te": "sqlite:///b.db"}
    assert read_outboxes("") == {}
    path.write_text("so_tu_phap sqlite:///a.db\n", encoding="utf-8-sig")
    assert read_outboxes(str(path)) == {"so_tu_phap": "sqlite:///a.db"}, "as Windows' editors write"


@pytest.mark.parametrize(
    "line",
    [
        "postgresql://u:secret@h/d",
        "a b c",
        "so_tu_phap postgresql://u:secret@h/d",
        "so_y_te secret",
        "so_y_te postgresql://u:secret@h:cổng/d",
    ],
)
def test_a_wrong_line_is_told_without_what_stands_there(line: str, tmp_path: Path) -> None:
    path = tmp_path / "outboxes"
    path.write_text(f"so_tu_phap sqlite:///a.db\n{line}\n")
    with pytest.raises(SettingsError, match="LIENTHONG_OUTBOXES, line 2") as caught:
        read_outboxes(str(path))
    assert "secret" not in caught.value.message


def test_an_outbox_that_no_port_speaks_to_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outboxes"
    path.write_text("so_tu_phap sqlite:///a.db\nso_y_te mysql://u:secret@h/d\n")
    with pytest.raises(SettingsError) as caught:
        open_outboxes(str(path), AgencyOutbox)
    assert (
        caught.value.message == "LIENTHONG_OUTBOXES: so_y_te: databases of kind mysql cannot be captured yet"
    )


def test_a_list_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LIENTHONG_OUTBOXES: the file cannot be read"):
        read_outboxes(str(tmp_path / "none"))


def test_who_never_answers_is_waited_for_until_the_deadline_and_not_asked_again() -> None:
    answering, asking, asked = threading.Event(), threading.Event(), []

    def slow() -> int:
        asked.append(1)
        asking.set()
        answering.wait(60)
        return 7

    one = Asking("store", "store", slow)
    one.begin()
    assert one.answer(time.monotonic()) is None
    assert (one.target().up, one.target().why[:13]) == (False, "no answer for")
    assert asking.wait(60)
    one.begin()
    assert asked == [1]
    answering.set()
    assert one.answer(time.monotonic() + 60) == 7
    one.begin()
    assert one.answer(time.monotonic() + 60) == 7
    assert asked == [1, 1]


def test_an_answer_that_came_after_it_was_waited_for_is_none() -> None:
    """What was not used must not make its target seem up: nothing else is known of it."""
    answering = threading.Event()

    def late() -> int:
        answering.wait(60)
        return 7

    one = Asking("store", "store", late)
    one.begin()
    assert one.answer(time.monotonic()) is None
    answering.set()
    assert one._answer is not None
    assert one._answer.came.wait(60)
    assert not one.target().up
    assert re.fullmatch(r"answered after \d+ s, too late", one.target().why)
    one.begin()
    assert one.answer(time.monotonic() + 60) == 7
    assert one.target().up


def test_errors_are_told_and_those_nobody_foresaw_without_their_text() -> None:
    def away() -> int:
        raise TryAgain("the store is away")

    def strange() -> int:
        raise RuntimeError("password=secret")

    for ask, why in ((away, "the store is away"), (strange, "nobody foresaw this: RuntimeError")):
        one = Asking("store", "store", ask)
        one.begin()
        assert one.answer(time.monotonic() + 60) is None
        assert (one.target().up, one.target().why) == (False, why)


class NoKafka:
    """A broker that is away."""

    names = ()

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def look(self) -> KafkaLook:
        raise TryAgain("away")

    def close(self) -> None:
        """Nothing is open."""


def test_what_hinders_the_orphan_index_is_logged_once_and_when_it_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, whole = open_store(f"sqlite:///{tmp_path}/national.db"), shipped()
    store.migrate([])
    known = look(OrphanSettings(store=f"sqlite:///{tmp_path}/national.db"), whole, datetime.now(UTC))
    assert (known.problem, known.unkept) == (None, None)
    said: list[Outlook | LienthongError] = [
        known,
        *[SettingsError("LIENTHONG_ORPHAN_WEIGHTS: a weight is written name=number")] * 2,
        replace(known, unkept="only read"),
        known,
        known,
    ]
    asked = iter(said)

    def outlook() -> Outlook:
        one = next(asked)
        if isinstance(one, LienthongError):
            raise one
        return one

    observer = Observer(
        replace(whole, contracts={}),
        deployment="thu",
        brokers="127.0.0.1:1",
        store=store,
        outboxes={},
        outlook=outlook,
        sight=NoKafka,  # type: ignore[arg-type]
    )
    with capture_logs() as logs:
        for _ in said:
            monkeypatch.setattr("consumers.observer.OUTLOOK_SECONDS", 0.0)
            observer.look()  # asks
            assert observer._outlook is not None
            observer._outlook.answer(time.monotonic() + 60)
            monkeypatch.setattr("consumers.observer.OUTLOOK_SECONDS", 600.0)
            observer.look()  # hears
    observer.close()
    told = [(one["log_level"], one.get("why")) for one in logs if "orphan index" in one["event"]]
    wrong = "LIENTHONG_ORPHAN_WEIGHTS: a weight is written name=number"
    assert told == [("warning", wrong), ("warning", "only read"), ("info", None)]


@pytest.mark.parametrize(("ahead", "skew"), [(0, 0), (50, 50), (-50, -50)])
def test_a_clock_is_only_wrong_if_it_tells_a_time_out_of_question_and_answer(ahead: int, skew: int) -> None:
    one = Asking("store", "store", lambda: 1)
    one.begin()
    assert one.answer(time.monotonic() + 60) == 1
    found = one.target(told_ms=(time.time() + ahead) * 1000).skew_seconds
    assert found is not None
    assert abs(found - skew) < 20  # the machine may be slow between the lines
