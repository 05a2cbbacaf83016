"""The demo's oracle: it passes a store that is right, and each of its checks can fail."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.demo.changes import Register
from deploy.demo.national import LAYOUTS, Layout, Live
from deploy.demo.oracle import CONTRACT, Expected, Observed, Oracle, StoredRow, compare

STARTED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
LATER = STARTED + timedelta(seconds=30)


def story() -> Oracle:
    """200 births, some changes, and one older version that came again too late."""
    register = Register(200, 7)
    oracle = Oracle()
    oracle.add(register.snapshot())
    oracle.add(change for group in register.transactions(120) for change in group)
    oracle.add(register.typed_twice(1))
    return oracle


def perfect(oracle: Oracle) -> list[Observed]:
    """What a faultless road would leave behind in each layout: numbers in the order of the changes."""
    numbers: dict[str, tuple[int, ...]] = {}
    for seq, change in enumerate(oracle.changes, start=1):
        numbers[str(change.id)] = (*numbers.get(str(change.id), ()), seq)
    expected = oracle.expect(numbers)
    corrected = next(
        str(change.id)
        for change in oracle.changes
        if change.kind == "correction"
        and any(str(change.id) == row.source_key for row in expected.rows.values())
    )
    oracle.late.append((corrected, numbers[corrected][0]))
    return [_perfect(layout, oracle, expected, numbers) for layout in LAYOUTS]


def _perfect(
    layout: Layout, oracle: Oracle, expected: Expected, numbers: dict[str, tuple[int, ...]]
) -> Observed:
    rows = {
        key: StoredRow(
            source_key=row.source_key,
            seq=row.seq,
            fields={name: row.fields.get(name) for name in layout.fields},
            warnings=row.warnings,
            beside={name: row.written[name] for name in layout.beside if row.written.get(name) is not None},
            contract=CONTRACT,
            committed_at=LATER,
            applied_at=LATER,
            deleted_at=LATER if row.deleted else None,
        )
        for key, row in expected.rows.items()
    }
    rejected = Counter(seq for _, seq, _, _ in expected.rejects)
    return Observed(
        layout=layout,
        started_at=STARTED,
        rows=rows,
        current=sum(row.deleted_at is None for row in rows.values()),
        rejects=expected.rejects.copy(),
        answers={
            "applied": Counter(expected.seqs - rejected.keys() - expected.parked),
            "parked": Counter(expected.parked),
            "rejected": rejected,
            "stale": Counter({seq: 1 for _, seq in oracle.late}),
        },
        numbers=numbers,
        source_ids=frozenset(expected.source_ids),
        effects=Counter({(0, 0): 1, (0, 1): 1, (1, 0): 1}),
        ends={0: 2, 1: 1},
    )


def failed(oracle: Oracle, observed: list[Observed]) -> set[str]:
    return {check.name for check in compare(oracle, observed) if not check.passed}


def test_a_faultless_store_passes_every_check() -> None:
    oracle = story()
    observed = perfect(oracle)
    assert [check for check in compare(oracle, observed) if not check.passed] == []
    assert len(compare(oracle, observed)) == 18


def living(observed: Observed) -> str:
    return next(key for key, row in observed.rows.items() if row.deleted_at is None and not row.warnings)


def buried(observed: Observed) -> str:
    return next(key for key, row in observed.rows.items() if row.deleted_at is not None and row.fields["so"])


def with_row(observed: Observed, key: str, row: StoredRow | None) -> Observed:
    rows = {**observed.rows, key: row}
    return replace(observed, rows={key: row for key, row in rows.items() if row is not None})


def lose_a_row(seen: Observed) -> Observed:
    return with_row(seen, living(seen), None)


def add_a_row(seen: Observed) -> Observed:
    return with_row(seen, "20656|01/2024|9|01.01.2024", replace(seen.rows[living(seen)], source_key="9"))


def change_a_value(seen: Observed) -> Observed:
    row = seen.rows[living(seen)]
    return with_row(seen, living(seen), replace(row, fields={**row.fields, "nksHoTen": "Khác"}))


def invent_a_value(seen: Observed) -> Observed:
    row = seen.rows[living(seen)]
    return with_row(seen, living(seen), replace(row, fields={**row.fields, "ghiChu": "Không có thông tin"}))


def forget_what_has_no_field(seen: Observed) -> Observed:
    return with_row(seen, living(seen), replace(seen.rows[living(seen)], beside={}))


def warn_wrongly(seen: Observed) -> Observed:
    row = seen.rows[living(seen)]
    return with_row(seen, living(seen), replace(row, warnings=frozenset({"so_dinh_danh:personal_id_form"})))


def wake_the_dead(seen: Observed) -> Observed:
    return with_row(seen, buried(seen), replace(seen.rows[buried(seen)], deleted_at=None))


def empty_a_tombstone(seen: Observed) -> Observed:
    return with_row(
        seen, buried(seen), replace(seen.rows[buried(seen)], fields=dict.fromkeys(seen.layout.fields))
    )


def undate_a_tombstone(seen: Observed) -> Observed:
    return with_row(
        seen, buried(seen), replace(seen.rows[buried(seen)], deleted_at=STARTED - timedelta(days=1))
    )


def go_back_in_time(seen: Observed) -> Observed:
    return with_row(seen, living(seen), replace(seen.rows[living(seen)], seq=0))


def stand_twice(seen: Observed) -> Observed:
    first, second = [key for key, row in seen.rows.items() if row.deleted_at is None][:2]
    return with_row(seen, first, replace(seen.rows[first], source_key=seen.rows[second].source_key))


def lose_a_reject(seen: Observed) -> Observed:
    lost = next(iter(seen.rejects))
    return replace(seen, rejects=seen.rejects - Counter([lost]))


def reject_for_another_rule(seen: Observed) -> Observed:
    key, seq, field, _ = next(iter(seen.rejects))
    return replace(seen, rejects=seen.rejects + Counter([(key, seq, field, "value_empty")]))


def leave_unanswered(seen: Observed) -> Observed:
    return replace(seen, answers={**seen.answers, "applied": seen.answers["applied"] - Counter([1, 2, 3])})


def overtake_a_reject(seen: Observed) -> Observed:
    return replace(
        seen, answers={**seen.answers, "applied": seen.answers["applied"] + seen.answers["parked"]}
    )


def let_one_wait_without_a_reject(seen: Observed) -> Observed:
    """As a copy would behind a reject; but of its record nothing was refused."""
    refused = {source_key for source_key, *_ in seen.rejects}
    mine = next(numbers for source_key, numbers in seen.numbers.items() if source_key not in refused)
    return replace(seen, answers={**seen.answers, "parked": seen.answers["parked"] + Counter(mine[:1])})


def answer_differently(seen: Observed) -> Observed:
    return replace(
        seen, answers={**seen.answers, "applied": seen.answers["applied"] + seen.answers["rejected"]}
    )


def take_effect_twice(seen: Observed) -> Observed:
    return replace(seen, effects=seen.effects + Counter([(0, 1)]))


def lose_an_effect(seen: Observed) -> Observed:
    return replace(seen, effects=seen.effects - Counter([(0, 1)]))


def tell_stale_too_early(seen: Observed) -> Observed:
    lost = next(seq for seq in seen.answers["applied"] if not seen.answers["stale"][seq])
    answers = {name: seqs - Counter([lost]) for name, seqs in seen.answers.items()}
    return replace(seen, answers={**answers, "stale": answers["stale"] + Counter([lost])})


def forget_the_stale(seen: Observed) -> Observed:
    return replace(seen, answers={**seen.answers, "stale": Counter()})


def skip_a_number(seen: Observed) -> Observed:
    key = next(iter(seen.numbers))
    return replace(seen, numbers={**seen.numbers, key: (*seen.numbers[key][:-1], 999_999)})


def name_no_contract(seen: Observed) -> Observed:
    return with_row(seen, living(seen), replace(seen.rows[living(seen)], contract=None))


def lose_a_source_row(seen: Observed) -> Observed:
    return replace(seen, source_ids=seen.source_ids - {next(iter(seen.source_ids))})


@pytest.mark.parametrize("harmed", [0, 1])
@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (lose_a_row, "every entry in force stands in the store, and no other"),
        (add_a_row, "every entry in force stands in the store, and no other"),
        (change_a_value, "each is equal field by field"),
        (invent_a_value, "nothing was invented"),
        (forget_what_has_no_field, "what no field has room for is kept beside the row"),
        (warn_wrongly, "warnings stand on the rows they belong to"),
        (wake_the_dead, "what is gone is a tombstone that keeps its values"),
        (empty_a_tombstone, "what is gone is a tombstone that keeps its values"),
        (undate_a_tombstone, "rows and tombstones are dated"),
        (go_back_in_time, "the newest version won everywhere"),
        (stand_twice, "nobody stands in the register twice"),
        (lose_a_reject, "rejects are exactly the planted faults"),
        (reject_for_another_rule, "rejects are exactly the planted faults"),
        (leave_unanswered, "every sequence number has an answer"),
        (answer_differently, "no change was told two different things"),
        (overtake_a_reject, "later changes wait behind a reject of their record"),
        (let_one_wait_without_a_reject, "later changes wait behind a reject of their record"),
        (take_effect_twice, "each national record took effect exactly once"),
        (lose_an_effect, "each national record took effect exactly once"),
        (tell_stale_too_early, "older versions that came late changed nothing"),
        (forget_the_stale, "older versions that came late changed nothing"),
        (skip_a_number, "every change was captured, numbered without gaps"),
        (name_no_contract, "each row names the contract that made it"),
        (lose_a_source_row, "both databases hold what the story made"),
    ],
)
def test_each_harm_is_seen_in_either_layout(
    harm: Callable[[Observed], Observed], name: str, harmed: int
) -> None:
    oracle = story()
    observed = perfect(oracle)
    observed[harmed] = harm(observed[harmed])
    assert name in failed(oracle, observed)


def test_a_copy_of_what_came_before_a_reject_may_wait_behind_it() -> None:
    """Capture died before it had marked what it had sent, and sent it once more."""
    oracle = story()
    observed = perfect(oracle)
    expected = oracle.expect(observed[0].numbers)
    before = next(iter(expected.may_wait & observed[0].answers["applied"].keys()))
    for one in observed:
        one.answers["parked"][before] += 1
    assert not failed(oracle, observed)


def test_differences_tell_shapes_and_no_personal_value() -> None:
    oracle = story()
    observed = [change_a_value(one) for one in perfect(oracle)]
    told = " ".join(check.detail for check in compare(oracle, observed))
    names = {
        change.outcome.fields["nksHoTen"] for change in oracle.changes if isinstance(change.outcome, Live)
    }
    assert "found 4 characters" in told
    assert "Khác" not in told
    assert not [name for name in names if name in told]


def test_an_empty_road_fails_instead_of_passing_vacuously() -> None:
    nothing = [
        Observed(
            layout=layout,
            started_at=STARTED,
            rows={},
            current=0,
            rejects=Counter(),
            answers={},
            numbers={},
            source_ids=frozenset(),
            effects=Counter(),
            ends={},
        )
        for layout in LAYOUTS
    ]
    assert len(failed(story(), nothing)) >= 10
