"""Whether an agency is silent by its own habit: nights, weekends, days off, and topics that hold little."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from consumers.causes import UNLIKELY
from consumers.kafka_look import KafkaLook, KafkaSight
from consumers.observation import Silence
from consumers.silence import Habit, Habits, Silences, odds, same_hours, silent_hours
from consumers.store import Position
from schemas.date_forms import VIETNAM
from tests.observations import dataset, hop

#: Monday, 2 March 2026.
MONDAY = datetime(2026, 3, 2, tzinfo=VIETNAM)
HERE = Position(topic="province.ho_tich.khai_sinh", partition=0)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Days after that Monday."""
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


class Topic:
    """A topic with a record at each of these moments, and a sight that looks them up."""

    def __init__(self, moments: list[datetime]) -> None:
        self.times = sorted(int(one.timestamp() * 1000) for one in moments)
        self.asked = 0

    def offsets_at(self, positions: set[Position], moment_ms: int) -> dict[Position, int | None]:
        self.asked += 1
        first = next((offset for offset, one in enumerate(self.times) if one >= moment_ms), None)
        return dict.fromkeys(positions, first)

    def silence(self, now: datetime) -> Silence | None:
        """What is learned, after as many looks as that takes."""
        habits = Habits(cast(KafkaSight, self))
        look = KafkaLook(begins={HERE: 0}, ends={HERE: len(self.times)})
        since = datetime.fromtimestamp(self.times[-1] / 1000, UTC)
        for _ in range(100):
            if found := habits.learn({"ho_tich/khai_sinh": (since, [HERE])}, look, now):
                asked = self.asked
                assert habits.learn({"ho_tich/khai_sinh": (since, [HERE])}, look, now) == found
                assert self.asked == asked  # what is known is not asked again
                return found["ho_tich/khai_sinh"]
        return None


def office(days: range, hours: range = range(8, 17)) -> list[datetime]:
    """A change in every office hour of the workdays among these."""
    return [at(day, hour, 20) for day in days for hour in hours if at(day, hour).weekday() < 5]


def test_hours_are_counted_whole() -> None:
    assert silent_hours(at(0, 9, 20), at(0, 12, 10)) == [at(0, 10), at(0, 11)]
    assert silent_hours(at(0, 9, 20), at(0, 10, 59)) == []
    assert len(silent_hours(at(0, 9), at(20, 9))) == 48


def test_workdays_are_compared_with_workdays() -> None:
    assert same_hours(at(7, 9), at(7, 8, 30))[:3] == [at(4, 9), at(3, 9), at(2, 9)]
    assert all(one.astimezone(VIETNAM).weekday() >= 5 for one in same_hours(at(5, 9), at(5, 8)))


@pytest.mark.parametrize(
    ("habits", "expected"),
    [
        ([], 1.0),
        ([Habit(5, 5)], 1 - 5.5 / 6),
        ([Habit(5, 5)] * 3, (1 - 5.5 / 6) ** 3),  # below 0.001: a morning of a busy agency
        ([Habit(0, 20)] * 12, (1 - 0.5 / 21) ** 12),  # a night
        ([Habit(2, 2)] * 40, 1.0),  # two days are no habit
    ],
)
def test_the_odds_of_silent_hours(habits: list[Habit], expected: float) -> None:
    assert odds(habits) == pytest.approx(expected)


CASES: dict[str, tuple[list[datetime], datetime, bool]] = {
    "busy, then silent from nine on": ([*office(range(-14, 0)), at(0, 8, 20)], at(0, 13), True),
    "the first silent hour": ([*office(range(-14, 0)), at(0, 8, 20)], at(0, 10, 30), False),
    "a night": (office(range(-14, 1)), at(1, 7, 50), False),
    "a weekend": (office(range(-14, 5)), at(6, 22), False),
    "the morning after it": (office(range(-14, 5)), at(7, 8, 50), False),
    "still nothing at Monday noon": (office(range(-14, 5)), at(7, 12, 1), True),
    "an agency of a few changes a week": ([at(day, 9, 20) for day in (-13, -10, -6, -3)], at(0, 17), False),
    "two days old": ([*office(range(-3, 0)), at(0, 8, 20)], at(0, 16), False),
}


@pytest.mark.parametrize("name", CASES)
def test_who_is_silent(name: str) -> None:
    moments, now, silent = CASES[name]
    found = Topic(moments).silence(now)
    assert found is not None
    assert (found.unlikely < UNLIKELY) == silent, found


@pytest.mark.parametrize(("silent", "told"), [(1, 1), (2, 2), (4, 4), (6, 0), (10, 0)])
def test_when_most_are_silent_it_is_a_day_off(silent: int, told: int) -> None:
    hops: Any = [hop("translate", newest=at(0, 9))]
    found = {f"ho_tich/d{one}": odd(at(0, 9)) for one in range(silent)}
    seen = [dataset(*hops, dataset=f"d{one}") for one in range(10)]
    heard = Silences(UNLIKELY).tell(seen, found, at(0, 12))
    assert sum(one.silence is not None for one in heard) == told


def odd(since: datetime) -> Silence:
    return Silence(since=since, unlikely=UNLIKELY / 10)


class Agencies:
    """Ten agencies, and which of them are told as silent."""

    def __init__(self) -> None:
        self.silences = Silences(UNLIKELY)
        self.newest: list[datetime | None] = [at(0, 9)] * 10

    def told(self, now: datetime, *silent: int) -> list[int]:
        """After a look that found the silence of these unlikely."""
        hops: list[Any] = [[hop("translate", newest=one)] for one in self.newest]
        seen = [dataset(*mine, dataset=f"d{one}") for one, mine in enumerate(hops)]
        heard = self.silences.tell(seen, {f"ho_tich/d{one}": odd(at(0, 9)) for one in silent}, now)
        return [at for at, one in enumerate(heard) if one.silence and one.silence.unlikely < UNLIKELY]


def test_a_silence_is_told_until_the_agency_speaks_though_the_topic_forgets_its_habit() -> None:
    one = Agencies()
    assert one.told(at(0, 13), 4) == [4]
    assert one.told(at(5, 13)) == [4]  # no day is left that would tell its habit
    one.newest[4] = None
    assert one.told(at(9, 13)) == [4]  # nor any record
    one.newest[4] = at(9, 14)
    assert one.told(at(9, 15)) == []


def test_who_was_silent_first_on_a_day_off_is_not_told_behind_it() -> None:
    one = Agencies()
    assert one.told(at(0, 13), 4) == [4]
    assert one.told(at(7, 11), 1) == [1, 4]  # the busiest, before the others are known to be silent
    assert one.told(at(7, 14), *range(10)) == []
    assert one.told(at(8, 14)) == [4]
