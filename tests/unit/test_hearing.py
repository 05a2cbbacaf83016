"""Nothing came, or nothing can come: what tells one from the other."""

from schemas.hearing import SILENCE_SECONDS, Hearing


class Log:
    """Two parts of a log, and a client's places in them."""

    def __init__(self) -> None:
        self.places: dict[str, int | None] = {"a": 5, "b": 0}
        self.ends = {"a": 5, "b": 0}
        self.asked = 0
        self.now = 1000.0
        self.hearing: Hearing[str] = Hearing(self.now)

    def told(self) -> dict[str, int]:
        self.asked += 1
        return self.ends

    def deaf(self, later: float = SILENCE_SECONDS) -> bool:
        self.now += later
        return self.hearing.deaf(self.now, lambda: self.places, self.told)


def test_a_log_without_news_is_silent_for_as_long_as_it_likes() -> None:
    log = Log()
    assert not any(log.deaf() for _ in range(10))


def test_who_stands_before_the_end_for_long_and_gets_nothing_is_deaf() -> None:
    log = Log()
    log.ends["a"] = 6
    assert [log.deaf(), log.deaf()] == [False, True]


def test_a_record_that_comes_in_between_shows_that_it_hears() -> None:
    log = Log()
    log.ends["a"] = 7
    assert not log.deaf()
    log.places["a"] = 6
    assert not log.deaf()
    log.hearing.heard(log.now)
    assert [log.deaf(), log.deaf()] == [False, True]


def test_news_in_another_part_is_no_proof_yet() -> None:
    log = Log()
    log.ends["a"] = 6
    assert not log.deaf()
    log.places["a"], log.ends["b"] = 6, 1
    assert [log.deaf(), log.deaf()] == [False, True]


def test_a_place_that_cannot_be_learnt_is_before_every_record() -> None:
    log = Log()
    log.places["a"] = None
    assert [log.deaf(), log.deaf()] == [False, True]


def test_the_ends_are_asked_for_only_after_a_silence() -> None:
    log = Log()
    assert not any(log.deaf(SILENCE_SECONDS / 10) for _ in range(9))
    assert log.asked == 0
    assert not log.deaf(SILENCE_SECONDS / 5)
    assert log.asked == 1
