"""The oracle: what the national store must hold, kept from the changes alone, and the comparison.

It follows the outcomes that the generator knew before it rendered a row. Sequence numbers are the only thing
it learns from the road: which numbers a record's changes were given, in their order (``Observed.numbers``).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from deploy.demo.changes import KEY_TAKEN, Change
from deploy.demo.national import Gone, Layout, Rejected
from deploy.demo.render import Cell, LegacyRow

CONTRACT: Final = "hotich_qnam/khaisinh@2"
SHOWN: Final = 3  #: differences told for each check; the count tells the rest


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the last table. ``detail`` never holds a personal value: keys, fields and lengths only."""

    name: str
    passed: bool
    detail: str
    wrong: int = 0  #: how many differ


@dataclass(slots=True)
class Row:
    """A row that must stand under its national key."""

    source_key: str
    seq: int
    fields: dict[str, str]
    warnings: frozenset[str]
    written: LegacyRow  #: the agency's row
    deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row of a national table as it was read; ``fields`` has all of the layout, by their names there."""

    source_key: str
    seq: int
    fields: Mapping[str, str | None]
    warnings: frozenset[str]
    beside: Mapping[str, Cell]  #: what is kept of the agency's row because no field tells it
    contract: str | None
    committed_at: datetime | None
    applied_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the road left behind of one layout, read from its databases and topics."""

    layout: Layout
    started_at: datetime
    rows: Mapping[str, StoredRow]  #: by lt_key
    current: int  #: rows of the view of current rows
    rejects: Counter[tuple[str, int, str, str]]  #: (source key, seq, field, rule)
    answers: Mapping[str, Counter[int]]  #: outcome -> how often each seq was answered so
    numbers: Mapping[
        str, tuple[int, ...]
    ]  #: source key -> its seqs on the province topic, ascending, each once
    source_ids: frozenset[str]  #: ids in the agency's table
    effects: Counter[
        tuple[int, int]
    ]  #: (partition, offset) of the national topic -> how often it took effect
    ends: Mapping[int, int]  #: partition of the national topic -> its end offset


@dataclass(slots=True)
class Oracle:
    """Feed it every committed change, in order, and the seqs that were published once more too late."""

    changes: list[Change] = field(default_factory=list)
    late: list[tuple[str, int]] = field(default_factory=list)  #: (source key, seq) published again

    def add(self, changes: Iterable[Change]) -> None:
        self.changes.extend(changes)

    def expect(self, numbers: Mapping[str, tuple[int, ...]]) -> "Expected":
        """Play all changes in order with the numbers they were given; one without a number is only noted."""
        expected = Expected()
        used: Counter[str] = Counter()
        for change in self.changes:
            source_key = str(change.id)
            given = numbers.get(source_key, ())
            if used[source_key] >= len(given):
                expected.unnumbered.append(source_key)
                continue
            seq = given[used[source_key]]
            used[source_key] += 1
            expected.play(change, source_key, seq)
        expected.surplus = [key for key, given in numbers.items() if len(given) > used[key]]
        return expected


@dataclass(slots=True)
class Expected:
    """What must be found after all changes."""

    rows: dict[str, Row] = field(default_factory=dict)
    rejects: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    source_ids: set[str] = field(default_factory=set)
    seqs: set[int] = field(default_factory=set)
    parked: set[int] = field(
        default_factory=set
    )  #: numbers of changes that wait behind a reject of their record
    came: dict[str, list[int]] = field(default_factory=dict)  #: numbers of each record's changes
    unnumbered: list[str] = field(default_factory=list)  #: source keys with more changes than numbers
    surplus: list[str] = field(default_factory=list)  #: source keys with more numbers than changes
    _blocked: set[str] = field(default_factory=set)

    @property
    def may_wait(self) -> set[int]:
        """Numbers of which a copy may wait: capture sends once more what it had not marked when it died."""
        return {seq for source_key in self._blocked for seq in self.came[source_key]}

    def play(self, change: Change, source_key: str, seq: int) -> None:
        """One change in its turn."""
        self.seqs.add(seq)
        self.came.setdefault(source_key, []).append(seq)
        if change.op == "delete":
            self.source_ids.discard(source_key)
        else:
            self.source_ids.add(source_key)
        if source_key in self._blocked:
            self.parked.add(seq)
            return
        became = change.outcome
        if isinstance(became, Rejected):
            self.rejects[source_key, seq, became.field, became.rule] += 1
            if (became.field, became.rule) != KEY_TAKEN:  # what the store refuses holds nobody up
                self._blocked.add(source_key)
            return
        if change.left is not None:
            self._bury(change.left, source_key, seq)
        if isinstance(became, Gone):
            self._bury(became.key, source_key, seq)
        else:
            written = change.row or {}
            self.rows[became.key] = Row(
                source_key, seq, became.fields, became.warnings, written, deleted=False
            )

    def _bury(self, key: str, source_key: str, seq: int) -> None:
        """A tombstone under ``key``: the values of a known row are kept; only its holder can delete it."""
        row = self.rows.get(key)
        if row is None:
            self.rows[key] = Row(source_key, seq, {}, frozenset(), {}, deleted=True)
        elif row.source_key == source_key:
            row.seq, row.deleted = seq, True


def compare(oracle: Oracle, observed: Sequence[Observed]) -> list[Check]:
    """Every check of the store against the oracle, in the order of the table; each of every layout."""
    expected = oracle.expect(observed[0].numbers)
    checks: tuple[Callable[[Expected, Observed], Check], ...] = (
        partial(_numbered, oracle),
        _answered,
        _agreed,
        _effects,
        _living_rows,
        _field_by_field,
        _untold_fields,
        _kept_beside,
        _warnings,
        _tombstones,
        _dated,
        _newest,
        _nobody_twice,
        _rejects,
        _parked,
        partial(_late, oracle),
        _origin,
        _counts,
    )
    return [_of_all(check, expected, observed) for check in checks]


def _of_all(
    check: Callable[[Expected, Observed], Check], expected: Expected, observed: Sequence[Observed]
) -> Check:
    """One line for all layouts; one layout's words stand for all if each says the same."""
    found = [check(expected, one) for one in observed]
    told = {
        one.detail: f"{len(seen.layout.fields)} fields: {one.detail}"
        for one, seen in zip(found, observed, strict=True)
    }
    detail = found[0].detail if len(told) == 1 else "; ".join(told.values())
    return Check(found[0].name, all(one.passed for one in found), detail, sum(one.wrong for one in found))


def _check(name: str, total: int, wrong: list[str], what: str) -> Check:
    if not wrong:
        return Check(name, total > 0, f"{total:,} {what}" if total else f"nothing to check: 0 {what}")
    told = "; ".join(wrong[:SHOWN])
    return Check(name, False, f"{len(wrong):,} of {total:,} {what} differ: {told}", len(wrong))


def _shape(value: str | None) -> str:
    return "missing" if value is None else f"{len(value)} characters"


def _numbered(oracle: Oracle, expected: Expected, observed: Observed) -> Check:
    """Capture gave each committed change one number, without gaps."""
    given = sorted(seq for numbers in observed.numbers.values() for seq in numbers)
    wrong = [f"source key {key}: change without a number" for key in expected.unnumbered]
    wrong += [f"source key {key}: number without a change" for key in expected.surplus]
    if given != list(range(1, len(given) + 1)):
        wrong.append(
            f"numbers {given[0] if given else 0} to {given[-1] if given else 0} have gaps or doubles"
        )
    return _check("every change was captured, numbered without gaps", len(oracle.changes), wrong, "changes")


def _answered(_: Expected, observed: Observed) -> Check:
    given = {seq for numbers in observed.numbers.values() for seq in numbers}
    told = {seq for answers in observed.answers.values() for seq in answers}
    wrong = [f"seq {seq} has no answer" for seq in sorted(given - told)]
    wrong += [f"seq {seq} was answered but never sent" for seq in sorted(told - given)]
    return _check("every sequence number has an answer", len(given), wrong, "numbers")


def _agreed(_: Expected, observed: Observed) -> Check:
    """An answer may come again after a crash, but never another one."""
    applied, rejected = (observed.answers.get(name, Counter()) for name in ("applied", "rejected"))
    wrong = [f"seq {seq} applied and rejected" for seq in sorted(applied.keys() & rejected.keys())]
    return _check("no change was told two different things", len(applied | rejected), wrong, "answers")


def _effects(_: Expected, observed: Observed) -> Check:
    """Read from a log without a gate, one row for each record, written in the transaction of the rows.

    The version gate would hide a batch that is written twice; this log shows it.
    """
    due = {(part, offset) for part, end in observed.ends.items() for offset in range(end)}
    wrong = [f"{part}@{offset}: no effect" for part, offset in sorted(due - observed.effects.keys())]
    wrong += [f"{place}: {count} effects" for place, count in observed.effects.items() if count > 1]
    wrong += [f"{place}: effect of no record" for place in sorted(observed.effects.keys() - due)]
    return _check("each national record took effect exactly once", len(due), wrong, "records")


def _living_rows(expected: Expected, observed: Observed) -> Check:
    due = {key for key, row in expected.rows.items() if not row.deleted}
    living = {key for key, row in observed.rows.items() if row.deleted_at is None}
    wrong = [f"{key}: missing" for key in sorted(due - living)]
    wrong += [f"{key}: too many" for key in sorted(living - due)]
    return _check("every entry in force stands in the store, and no other", len(due), wrong, "entries")


def _pairs(expected: Expected, observed: Observed) -> list[tuple[str, Row, StoredRow]]:
    """Keys that both sides have."""
    rows = observed.rows
    return [(key, row, rows[key]) for key, row in expected.rows.items() if key in rows]


def _differences(pairs: Iterable[tuple[str, Row, StoredRow]], fields: Iterable[str]) -> list[str]:
    names = tuple(fields)
    wrong = []
    for key, row, stored in pairs:
        for name in names:
            due, found = row.fields.get(name), stored.fields[name]
            if due != found:
                wrong.append(f"{key}: {name}: expected {_shape(due)}, found {_shape(found)}")
    return wrong


def _field_by_field(expected: Expected, observed: Observed) -> Check:
    living = [pair for pair in _pairs(expected, observed) if not pair[1].deleted]
    wrong = _differences(living, observed.layout.fields)
    total = len(living) * len(observed.layout.fields)
    return _check("each is equal field by field", total, wrong, "values")


def _untold_fields(expected: Expected, observed: Observed) -> Check:
    """What the agency does not know stays missing: nothing is invented to fill a column."""
    told = {name for row in expected.rows.values() for name in row.fields}
    untold = [name for name in observed.layout.fields if name not in told]
    wrong = [
        f"{key}: {name}: {_shape(stored.fields[name])}"
        for key, stored in observed.rows.items()
        for name in untold
        if stored.fields[name] is not None
    ]
    return _check("nothing was invented", len(untold) * len(observed.rows), wrong, "values nobody told")


def _kept_beside(expected: Expected, observed: Observed) -> Check:
    """What the agency knows and the layout has no field for is not lost: it stays as it was written."""
    wrong, total = [], 0
    for key, row, stored in _pairs(expected, observed):
        due = {name: row.written.get(name) for name in observed.layout.beside}
        due = {name: value for name, value in due.items() if value is not None}
        total += len(due)
        if due != stored.beside:
            wrong.append(f"{key}: expected {sorted(due)}, found {sorted(stored.beside)}")
    return _check("what no field has room for is kept beside the row", total, wrong, "values")


def _warnings(expected: Expected, observed: Observed) -> Check:
    living = [pair for pair in _pairs(expected, observed) if not pair[1].deleted]
    wrong = [
        f"{key}: expected {sorted(row.warnings)}, found {sorted(stored.warnings)}"
        for key, row, stored in living
        if row.warnings != stored.warnings
    ]
    return _check(
        "warnings stand on the rows they belong to",
        sum(bool(row.warnings) for _, row, _ in living),
        wrong,
        "rows",
    )


def _tombstones(expected: Expected, observed: Observed) -> Check:
    """Deleted and cancelled entries are there, marked, with the values they had (a draft never had any)."""
    due = [(key, row) for key, row in expected.rows.items() if row.deleted]
    wrong = [f"{key}: no tombstone" for key, _ in due if key not in observed.rows]
    pairs = [(key, row, observed.rows[key]) for key, row in due if key in observed.rows]
    wrong += [f"{key}: not marked deleted" for key, _, stored in pairs if stored.deleted_at is None]
    wrong += _differences(pairs, observed.layout.fields)
    return _check("what is gone is a tombstone that keeps its values", len(due), wrong, "tombstones")


def _dated(expected: Expected, observed: Observed) -> Check:
    """Each tombstone says when; no row was committed or applied before this story began."""
    wrong = []
    for key, row in observed.rows.items():
        due = (
            (row.committed_at, row.applied_at)
            if row.deleted_at is None
            else (row.committed_at, row.deleted_at)
        )
        if any(moment is None or moment < observed.started_at for moment in due):
            wrong.append(f"{key}: seq {row.seq}")
    return _check("rows and tombstones are dated", len(expected.rows), wrong, "rows")


def _newest(expected: Expected, observed: Observed) -> Check:
    pairs = _pairs(expected, observed)
    wrong = [
        f"{key}: expected seq {row.seq} of {row.source_key}, found {stored.seq} of {stored.source_key}"
        for key, row, stored in pairs
        if (row.seq, row.source_key) != (stored.seq, stored.source_key)
    ]
    return _check("the newest version won everywhere", len(pairs), wrong, "rows")


def _nobody_twice(expected: Expected, observed: Observed) -> Check:
    """A record that moved to another national key left the old one."""
    living = Counter(row.source_key for row in observed.rows.values() if row.deleted_at is None)
    wrong = [f"source key {key}: {count} living rows" for key, count in living.items() if count > 1]
    return _check("nobody stands in the register twice", len(living), wrong, "records")


def _rejects(expected: Expected, observed: Observed) -> Check:
    """As a set: capture may send a record again after a crash, and each one sent is kept with its reason."""
    wrong = [_reject_text(reject, "missing") for reject in expected.rejects.keys() - observed.rejects.keys()]
    wrong += [
        _reject_text(reject, "too many") for reject in observed.rejects.keys() - expected.rejects.keys()
    ]
    return _check(
        "rejects are exactly the planted faults",
        expected.rejects.total(),
        wrong,
        "rejects (record, field, rule)",
    )


def _reject_text(reject: tuple[str, int, str, str], what: str) -> str:
    source_key, seq, name, rule = reject
    return f"source key {source_key} seq {seq} {name}:{rule} {what}"


def _parked(expected: Expected, observed: Observed) -> Check:
    """What comes after a reject of its record waits, good or not; of what came before it copies may wait."""
    told = (
        observed.answers.get("parked", Counter()).keys() - observed.answers.get("rejected", Counter()).keys()
    )
    wrong = [f"seq {seq}: did not wait" for seq in sorted(expected.parked - told)]
    applied = observed.answers.get("applied", Counter())
    settled = applied.keys() | observed.answers.get("stale", Counter()).keys()
    surplus = told - expected.parked - (expected.may_wait & settled)
    wrong += [f"seq {seq}: waits without a reject before it" for seq in sorted(surplus)]
    wrong += [f"seq {seq}: overtook a reject" for seq in sorted(expected.parked & applied.keys())]
    return _check(
        "later changes wait behind a reject of their record", len(expected.parked), wrong, "changes"
    )


def _late(oracle: Oracle, expected: Expected, observed: Observed) -> Check:
    """An older version that arrives late is told to be stale and changes no row."""
    stale = observed.answers.get("stale", Counter())
    wrong = [f"source key {key} seq {seq}: not told stale" for key, seq in oracle.late if not stale[seq]]
    held = {row.source_key: row.seq for row in observed.rows.values()}
    wrong += [f"source key {key} seq {seq}: won" for key, seq in oracle.late if held.get(key) == seq]
    applied = observed.answers.get("applied", Counter())
    wrong += [f"seq {seq}: told stale, never applied" for seq in sorted(stale.keys() - applied.keys())]
    return _check("older versions that came late changed nothing", len(oracle.late), wrong, "late versions")


def _origin(_: Expected, observed: Observed) -> Check:
    wrong = [f"{key}: {row.contract}" for key, row in observed.rows.items() if row.contract != CONTRACT]
    return _check("each row names the contract that made it", len(observed.rows), wrong, "rows")


def _counts(expected: Expected, observed: Observed) -> Check:
    """Both databases hold as many records as the story made."""
    living = sum(not row.deleted for row in expected.rows.values())
    wrong = []
    if expected.source_ids != observed.source_ids:
        difference = len(expected.source_ids ^ observed.source_ids)
        wrong.append(f"agency: {difference} ids differ, expected {len(expected.source_ids)}")
    if living != observed.current:
        wrong.append(f"national view: expected {living}, found {observed.current}")
    what = f"records at the agency, {observed.current:,} current national rows"
    return _check("both databases hold what the story made", len(expected.source_ids), wrong, what)
