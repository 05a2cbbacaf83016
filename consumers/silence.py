"""Whether an agency is silent, by its own habit: learned from the times of the records in its topic.

For each full hour in which nothing came, the same hour of the earlier days that the topic still holds tells
how often something came then; workdays and weekends by themselves. The odds of all silent hours together are
their product. Nights and weekends tell nothing, because nothing came then before. On a day off most agencies
are silent at once: then none of them is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from consumers.kafka_look import KafkaLook, KafkaSight
from consumers.observation import Dataset, Silence
from consumers.store import Position
from schemas.date_forms import VIETNAM

HOUR = timedelta(hours=1)
EARLIER_DAYS = 28  #: as far as the topic holds them
LONGEST_HOURS = 48  #: of a silence that are looked at
FEWEST_DAYS = 3  #: fewer earlier days are no habit
#: Unlikely silences of more than this share of agencies, and of three at least, are a day off.
DAY_OFF_SHARE = 0.5
#: Requests for offsets at a moment that one look may make.
MARKS_AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class Habit:
    """What the same hour was like on earlier days."""

    active: int  #: days on which something came
    days: int  #: that are known


def silent_hours(since: datetime, now: datetime) -> list[datetime]:
    """The begins of the full hours since then, the last ``LONGEST_HOURS`` of them at most."""
    first = since.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    hours = []
    at = max(first, (now - LONGEST_HOURS * HOUR).astimezone(UTC).replace(minute=0, second=0, microsecond=0))
    while at + HOUR <= now:
        hours.append(at)
        at += HOUR
    return hours


def same_hours(hour: datetime, since: datetime) -> list[datetime]:
    """The same hour on earlier days of its kind (workday or weekend), before the silence."""
    kind = _weekend(hour)
    days = (hour - timedelta(days=back) for back in range(1, EARLIER_DAYS + 1))
    return [one for one in days if one + HOUR <= since and _weekend(one) == kind]


def _weekend(moment: datetime) -> bool:
    return moment.astimezone(VIETNAM).weekday() >= 5


def odds(habits: Iterable[Habit]) -> float:
    """How likely it is that nothing came in any of these hours; 0 to 1."""
    product = 1.0
    for one in habits:
        if one.days >= FEWEST_DAYS:
            product *= 1 - (one.active + 0.5) / (one.days + 1)
    return product


def day_off(datasets: Sequence[Dataset], unlikely: float) -> bool:
    """Whether most agencies are silent at once."""
    known = [one for one in datasets if any(hop.newest for hop in one.hops)]
    silent = [one for one in known if one.silence is not None and one.silence.unlikely < unlikely]
    return len(silent) >= 3 and len(silent) > DAY_OFF_SHARE * len(known)


class Silences:
    """Keeps an unlikely silence until the agency speaks: retention eats the days that told its habit."""

    def __init__(self, unlikely: float) -> None:
        self._unlikely = unlikely
        self._told: dict[str, tuple[datetime, Silence]] = {}  # by dataset, with the moment it was first told

    def tell(self, seen: Iterable[Dataset], found: Mapping[str, Silence], now: datetime) -> list[Dataset]:
        """With the silence of each: what was found by now, or else what was told before."""
        fresh = [replace(one, silence=found.get(one.id)) for one in seen]
        self._told = {
            one.id: self._told[one.id] for one in fresh if one.id in self._told and self._lasts(one)
        }
        if day_off(fresh, self._unlikely):
            # The busiest are silent first, before it can be known; they would be told until they work again.
            reach = now - LONGEST_HOURS * HOUR
            self._told = {name: one for name, one in self._told.items() if one[0] < reach}
            return [replace(one, silence=None) for one in fresh]
        for one in fresh:
            if one.silence is not None and one.silence.unlikely < self._unlikely:
                first, _ = self._told.get(one.id, (now, None))
                self._told[one.id] = (first, one.silence)
        return [replace(one, silence=self._told.get(one.id, (now, one.silence))[1]) for one in fresh]

    def _lasts(self, one: Dataset) -> bool:
        newest = one.hops[0].newest  # None: not known, or nothing is left
        return newest is None or newest <= self._told[one.id][1].since


class Habits:
    """Learns how many records a topic held at each full hour, and remembers it. For one thread at a time."""

    def __init__(self, sight: KafkaSight) -> None:
        self._sight = sight
        self._held: dict[datetime, dict[Position, int]] = {}

    def learn(
        self, silent: Mapping[str, tuple[datetime, Sequence[Position]]], look: KafkaLook, now: datetime
    ) -> Mapping[str, Silence]:
        """How unusual each silence is; those that are not known yet are left out, and known after some looks.

        Args:
            silent: by dataset, when its newest record came, and the partitions of its topic.

        Raises ``TryAgain`` if a broker does not answer.
        """
        wanted: dict[datetime, set[Position]] = {}
        earlier: dict[str, list[list[datetime]]] = {}  # by dataset: of each silent hour the same ones before
        for name, (since, positions) in silent.items():
            earlier[name] = [same_hours(hour, since) for hour in silent_hours(since, now)]
            for mark in {mark for hours in earlier[name] for one in hours for mark in (one, one + HOUR)}:
                wanted.setdefault(mark, set()).update(positions)
        self._held = {mark: held for mark, held in self._held.items() if mark in wanted}
        self._ask(wanted, look)
        found = {}
        for name, (since, positions) in silent.items():
            habits = [self._habit(hours, positions, look) for hours in earlier[name]]
            if None not in habits:
                found[name] = Silence(since=since, unlikely=odds(one for one in habits if one is not None))
        return found

    def _ask(self, wanted: Mapping[datetime, set[Position]], look: KafkaLook) -> None:
        asked = 0
        for mark in sorted(wanted, reverse=True):
            missing = wanted[mark] - self._held.get(mark, {}).keys()
            if not missing:
                continue
            if asked == MARKS_AT_ONCE:
                return
            asked += 1
            at = self._sight.offsets_at(missing, int(mark.timestamp() * 1000))
            held = self._held.setdefault(mark, {})
            for position, offset in at.items():
                held[position] = look.ends[position] if offset is None else offset

    def _habit(
        self, hours: Sequence[datetime], positions: Sequence[Position], look: KafkaLook
    ) -> Habit | None:
        active = days = 0
        begin = sum(look.begins[one] for one in positions)
        for earlier in hours:
            before, after = self._count(earlier, positions), self._count(earlier + HOUR, positions)
            if before is None or after is None:
                return None
            if after > begin:  # the topic reaches back so far
                days += 1
                active += after > before
        return Habit(active, days)

    def _count(self, mark: datetime, positions: Sequence[Position]) -> int | None:
        held = self._held.get(mark, {})
        return sum(held[one] for one in positions) if all(one in held for one in positions) else None
