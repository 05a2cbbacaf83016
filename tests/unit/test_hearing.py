"""Nothing came, or nothing can come: what tells one from the other."""

from schemas.hearing import FLOWING_SECONDS, SILENCE_SECONDS, Hearing


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

    def deaf(self, later: float = SILENCE_SECONDS, came: str = "", *, full: bool = False) -> bool:
        """Poll after so many seconds; ``came``: of which part a record. ``full``: more may be there."""
        self.now += later
        self.hearing.heard(self.now, {came: "x"} if came else {}, 1 if full else 2)
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
    assert not log.deaf(1, "a")
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


def test_a_deaf_part_is_found_while_another_flows() -> None:
    log = Log()
    log.ends |= {"a": 6, "b": 1_000_000}
    seconds = 0
    while not log.deaf(1, "b"):
        seconds += 1
        assert seconds <= 2 * FLOWING_SECONDS
    assert log.asked == 2


def test_what_may_wait_in_the_client_behind_a_busy_part_is_not_deaf() -> None:
    log = Log()
    log.ends |= {"a": 9, "b": 1_000_000}
    assert not any(log.deaf(FLOWING_SECONDS, "b", full=True) for _ in range(100))
    assert log.asked == 0


def test_a_part_of_which_something_comes_is_not_deaf() -> None:
    log = Log()
    for turn in range(100):
        part = "ab"[turn % 2]
        log.ends[part] += 2
        log.places[part] = log.ends[part] - 1  # one more has come since
        assert not log.deaf(FLOWING_SECONDS / 2, part)


def test_a_place_that_moves_without_a_record_is_not_deaf_while_another_flows() -> None:
    log = Log()
    log.ends["a"] = 1_000_000
    for place in range(10, 200):
        log.places["a"] = place  # markers of transactions
        assert not log.deaf(FLOWING_SECONDS, "b")


def test_a_part_that_waited_behind_another_is_deaf_when_that_one_falls_silent() -> None:
    log = Log()
    log.ends |= {"a": 6, "b": 1_000_000}
    assert not log.deaf(FLOWING_SECONDS, "b")
    assert log.deaf()
