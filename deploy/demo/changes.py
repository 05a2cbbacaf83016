"""Live changes: what clerks do to the register after the snapshot, with what must become of each.

``Register`` holds the truth of every record of the agency. Each change it makes says which row to write and
which outcome to expect; the story writes the rows, the oracle keeps the outcomes.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal

from deploy.demo.births import (
    CANCELLED,
    IN_FORCE,
    Birth,
    Day,
    Parent,
    new_birth,
    new_births,
    outcome,
    outcome_of_removal,
    person_name,
    render,
)
from deploy.demo.communes import communes
from deploy.demo.faults import plant
from deploy.demo.national import Gone, Live, Outcome, Rejected
from deploy.demo.render import LegacyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One statement in the agency's database, and what must become of it nationally."""

    kind: str
    op: Literal["insert", "update", "delete"]
    id: int
    row: LegacyRow | None  #: as written; None: deleted
    outcome: Outcome
    left: str | None = None  #: the national key that this change moves the record away from


Step = Callable[["Register"], list[Change]]


class Register:
    """The agency's register as it really is. Not thread-safe; everything follows from the seed."""

    def __init__(self, count: int, seed: int) -> None:
        self._rng = random.Random(f"register {seed}")
        self._next_id = 1001 + count
        self._next_number = count + 1
        self.births: dict[int, Birth] = {birth.id: birth for birth in new_births(count, seed)}
        self._removed: list[Birth] = []
        self._kinds: dict[str, list[int]] = {"live": [], "gone": [], "broken": []}
        self._waiting: set[int] = set()  #: refused once: later changes wait, and the store knows none of them
        for birth in self.births.values():
            self._file(birth)

    def snapshot(self) -> list[Change]:
        """Every record as it stands before capture begins."""
        return [
            Change(kind="snapshot", op="insert", id=id_, row=render(birth, self._rng), outcome=outcome(birth))
            for id_, birth in self.births.items()
        ]

    def transactions(self, count: int) -> list[list[Change]]:
        """``count`` transactions of the clerks, one or a few statements each, in the order to write them."""
        kinds, weights = zip(*STEPS.items(), strict=True)
        made: list[list[Change]] = []
        while len(made) < count:
            with suppress(LookupError):  # a small register runs out of rows to repair
                made.append(self._rng.choices(kinds, weights)[0](self))
        return made

    def entered_anew(self, count: int) -> list[Change]:
        """Deleted entries typed in again under a new id: the freed national key changes hands.

        Only to be written when the deletes have been answered: order is kept within a record, not between.
        """
        freed = [
            birth
            for birth in self._removed
            if birth.id not in self._waiting and isinstance(outcome(replace(birth, status=IN_FORCE)), Live)
        ]
        return [self.insert(replace(birth, status=IN_FORCE), "entered anew") for birth in freed[-count:]]

    def typed_twice(self, count: int) -> list[Change]:
        """A second entry with the national key of a living one: refused, never an overwrite.

        Only to be written when the first entry has been answered.
        """
        made: list[Change] = []
        for _ in range(count):
            while (first := self._pick("live")) in self._waiting:
                pass
            twin = self.insert(self.births[first], "typed twice")
            del self.births[twin.id]  # it never holds its key: no later change may pick it
            made.append(replace(twin, outcome=Rejected(*KEY_TAKEN)))
        return made

    def insert(self, birth: Birth, kind: str) -> Change:
        """A new row for ``birth`` under the next free id."""
        birth = replace(birth, id=self._next_id)
        self._next_id += 1
        self.births[birth.id] = birth
        self._file(birth)
        return Change(
            kind=kind, op="insert", id=birth.id, row=render(birth, self._rng), outcome=outcome(birth)
        )

    def update(self, birth: Birth, kind: str) -> Change:
        """The row of ``birth`` rewritten; it leaves its old national key if that differs."""
        before, after = outcome_of_removal(self.births[birth.id]), outcome(birth)
        self.births[birth.id] = birth
        self._file(birth)
        left = None
        if isinstance(before, Gone) and not isinstance(after, Rejected) and before.key != after.key:
            left = before.key
        row = render(birth, self._rng)
        return Change(kind=kind, op="update", id=birth.id, row=row, outcome=after, left=left)

    def remove(self, id_: int, kind: str) -> Change:
        """The row of ``id_`` deleted for good."""
        birth = self.births.pop(id_)
        self._removed.append(birth)
        return Change(kind=kind, op="delete", id=id_, row=None, outcome=outcome_of_removal(birth))

    def _file(self, birth: Birth) -> None:
        became = outcome(birth)
        kind = "live" if isinstance(became, Live) else "gone" if isinstance(became, Gone) else "broken"
        self._kinds[kind].append(birth.id)
        if isinstance(became, Rejected):
            self._waiting.add(birth.id)

    def _pick(self, kind: str) -> int:
        """A record that is ``live``, ``gone`` or ``broken`` now. Lists are swept as records leave them."""
        wanted = {"live": Live, "gone": Gone, "broken": Rejected}[kind]
        ids = self._kinds[kind]
        while ids:
            place = self._rng.randrange(len(ids))
            birth = self.births.get(ids[place])
            if birth is not None and isinstance(outcome(birth), wanted):
                return birth.id
            ids[place] = ids[-1]
            ids.pop()
        raise LookupError(f"no {kind} record is left")

    # The steps, each one transaction of a clerk.

    def correct(self) -> list[Change]:
        """A wrong detail put right: a name, a date, a father acknowledged, a gender, an ethnic group."""
        birth, rng = self.births[self._pick("live")], self._rng
        name = person_name(rng, birth.ethnic, birth.gender)
        father = Parent(
            name=person_name(rng, birth.ethnic, "1"),
            born=Day(1970 + rng.randrange(30)),
            ethnic="01",
            paper=None,
        )
        day = Day(birth.born.year, rng.randrange(1, 13), rng.randrange(1, 29))
        corrected: tuple[Birth, ...] = (
            replace(birth, name=name),
            replace(birth, father=father),
            replace(birth, father=None),
            replace(birth, born=day),
            replace(birth, born=replace(day, year=day.year - 1)),
            replace(birth, gender="2" if birth.gender == "1" else "1"),
            replace(birth, ethnic="26" if birth.ethnic != "26" else "01"),
            replace(birth, page=None, title=None),
        )
        return [self.update(rng.choice(corrected), "correction")]

    def correct_often(self) -> list[Change]:
        """One record corrected three times in one transaction."""
        first = self.correct()[0]
        again = [self.update(replace(self.births[first.id], page=str(page)), "correction") for page in (7, 8)]
        return [first, *again]

    def cancel(self) -> list[Change]:
        return [self.update(replace(self.births[self._pick("live")], status=CANCELLED), "cancelled")]

    def reinstate(self) -> list[Change]:
        return [
            self.update(replace(self.births[self._pick("gone")], status=IN_FORCE, faults=()), "put in force")
        ]

    def drop(self) -> list[Change]:
        """A hard delete of an entry in force, or now and then of a draft or a row that was rejected."""
        kind = self._rng.choices(("live", "gone", "broken"), (8, 1, 1))[0]
        return [self.remove(self._pick(kind), "deleted")]

    def move(self) -> list[Change]:
        """A part of the national key put right: number, date of registration or commune."""
        birth, rng = self.births[self._pick("live")], self._rng
        day = birth.registered + timedelta(days=rng.choice((-9, -1, 1, 2, 30)))
        if rng.random() < 0.3 and birth.commune.valid_at(day):
            return [self.update(replace(birth, registered=day), "moved key")]
        if rng.random() < 0.3:
            commune = rng.choice(
                [c for c in communes() if c.valid_at(birth.registered) and c != birth.commune]
            )
            return [self.update(replace(birth, commune=commune), "moved key")]
        return [self.update(replace(birth, number=self._number()), "moved key")]

    def move_there_and_back(self) -> list[Change]:
        """A number changed by mistake and put back in the same transaction."""
        birth = self.births[self._pick("live")]
        there = self.update(replace(birth, number=self._number()), "moved key")
        return [there, self.update(replace(birth, page="1"), "moved key")]

    def repair(self) -> list[Change]:
        return [self.update(replace(self.births[self._pick("broken")], faults=()), "repaired")]

    def spoil(self) -> list[Change]:
        """A good row made worse: rejected, and the store keeps the version before."""
        birth = self.births[self._pick("live")]
        return [self.update(replace(birth, faults=plant(self._rng, birth)), "spoiled")]

    def register(self) -> list[Change]:
        """A birth registered while the road runs."""
        return [self.insert(new_birth(self._rng, int(self._number()), 0), "new")]

    def _number(self) -> str:
        self._next_number += 1
        return str(self._next_number)


#: The reject of a second living record under one national key.
KEY_TAKEN: Final = ("", "national_key_taken")

#: How often each step is taken among a hundred transactions.
STEPS: Final[dict[Step, int]] = {
    Register.correct: 44,
    Register.correct_often: 4,
    Register.cancel: 9,
    Register.reinstate: 4,
    Register.drop: 9,
    Register.move: 8,
    Register.move_there_and_back: 2,
    Register.repair: 6,
    Register.spoil: 4,
    Register.register: 10,
}


def kinds(changes: Sequence[Change]) -> dict[str, int]:
    """How many changes of each kind, in the order of their first appearance."""
    counted: dict[str, int] = {}
    for change in changes:
        counted[change.kind] = counted.get(change.kind, 0) + 1
    return counted
