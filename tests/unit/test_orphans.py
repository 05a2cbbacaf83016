"""The orphan index: what it is made of, and what it says when something is not known."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumers.orphans import (
    CHANGES_GONE,
    CHANGES_REST,
    PROOF_GONE,
    PROOF_HOLDS,
    Index,
    Proof,
    Seen,
    Weights,
    index_of,
    read_weights,
    systems,
)
from schemas.errors import SettingsError
from schemas.gates.coverage import Beyond, Coverage, Filled

NOW = datetime(2026, 11, 26, 3, tzinfo=UTC)
FULL = Filled(
    format="thu.so.v2",
    origin="ministry",
    fields=20,
    mapped=20,
    required=5,
    required_mapped=5,
    unsure=0,
    lacking=(),
    unmapped=(),
)
COVERED = Coverage(
    system="hotich_thu",
    dataset="so",
    owner="Sở Thử",
    fed=FULL,
    newest=FULL,
    fresh=True,
    beyond=Beyond(kept=(), left_out={}, not_asked=(), lossy=()),
)
OLD = replace(COVERED, fed=replace(FULL, format="thu.so.v1"), fresh=False)
PROVED = Proof(at=NOW, rows=1000, differing=0)
WELL = Seen(applied_at=NOW, proof=PROVED)


def index(coverage: Coverage = COVERED, seen: Seen | None = WELL) -> Index:
    return index_of(coverage, seen, now=NOW, weights=Weights())


def proved(differing: int, rows: int = 1000) -> Seen:
    return replace(WELL, proof=replace(PROVED, rows=rows, differing=differing))


@pytest.mark.parametrize(
    ("coverage", "seen", "value"),
    [
        (COVERED, WELL, 0),
        (COVERED, Seen(), 60),  # 20 + 25 + 15: nothing ever arrived, nobody ever looked
        (COVERED, replace(WELL, proof=None), 40),  # 25 + 15
        (OLD, WELL, 20),
        (replace(COVERED, newest=replace(FULL, mapped=10)), WELL, 10),  # half of 40, for half of the fields
        (replace(COVERED, newest=replace(FULL, lacking=("ma",))), WELL, 40),
        (replace(OLD, newest=replace(FULL, lacking=("ma",))), Seen(), 100),
        (COVERED, proved(50), 25),  # 5 %
        (COVERED, proved(500), 25),
        (COVERED, proved(10), 5),
        (COVERED, proved(1), 1),  # 0.5, rounded up: 0 is for those without any risk
        (COVERED, proved(0, rows=0), 0),
        (COVERED, proved(10_000, rows=0), 25),  # the source is empty, the store is not
        (COVERED, replace(WELL, applied_at=NOW - CHANGES_REST), 0),
        (COVERED, replace(WELL, applied_at=NOW - (CHANGES_REST + CHANGES_GONE) / 2), 10),
        (COVERED, replace(WELL, applied_at=NOW - 2 * CHANGES_GONE), 20),
        (COVERED, replace(WELL, proof=replace(PROVED, at=NOW - PROOF_HOLDS)), 0),
        (COVERED, replace(WELL, proof=replace(PROVED, at=NOW - PROOF_GONE)), 15),
        (COVERED, Seen(applied_at=NOW + timedelta(days=1), proof=PROVED), 0),  # by another clock
    ],
)
def test_what_the_index_is_made_of(coverage: Coverage, seen: Seen, value: int) -> None:
    assert index(coverage, seen).value == value


def test_what_is_not_known_is_not_guessed() -> None:
    lacking = replace(COVERED, newest=replace(FULL, lacking=("ma",)))
    unseen = index(lacking, None)
    assert (unseen.value, unseen.at_least) == (None, 40)
    assert [part for part, points in unseen.points.items() if points is None] == [
        "freshness",
        "matched",
        "proof",
    ]
    # That the newest version is not fed is told by the contract alone.
    assert index(OLD, None).at_least == 20


def test_the_worst_part_is_told_first() -> None:
    assert index(OLD, Seen(applied_at=NOW)).worst == ["matched", "freshness", "proof"]
    assert index().worst == []


def test_a_system_is_as_safe_as_its_worst_dataset() -> None:
    other = replace(COVERED, dataset="khac", owner="Sở Khác")
    safe = replace(COVERED, system="an_toan")
    seen = {("hotich_thu", "so", "thu.so.v2"): WELL, ("an_toan", "so", "thu.so.v2"): WELL}
    found = systems([safe, COVERED, other], seen, now=NOW, weights=Weights())
    assert [(one.system, one.value) for one in found] == [("hotich_thu", 60), ("an_toan", 0)]
    assert [one.coverage.dataset for one in found[0].indices] == ["khac", "so"]
    assert found[0].owners == ["Sở Khác", "Sở Thử"]


def test_an_older_version_counts_only_if_the_newest_is_not_fed() -> None:
    beside = replace(OLD, fresh=True)  # the dataset feeds both
    (both,) = systems([beside, COVERED], {}, now=NOW, weights=Weights())
    assert [one.coverage.fed.format for one in both.indices] == ["thu.so.v2"]
    (one,) = systems([OLD], {}, now=NOW, weights=Weights())
    assert one.value == 60


def test_a_system_of_which_something_is_not_known_has_no_value() -> None:
    (one,) = systems([COVERED, OLD], None, now=NOW, weights=Weights())
    assert (one.value, one.at_least) == (None, 20)


def test_only_the_proportions_of_weights_matter() -> None:
    weights = read_weights("coverage=2, matched=1,proof=1")
    assert [weights.share(part) for part in ("coverage", "freshness", "matched", "proof")] == [50, 0, 25, 25]
    assert index_of(COVERED, Seen(), now=NOW, weights=weights).value == 50
    assert read_weights(" ") == Weights()


@pytest.mark.parametrize(
    "text",
    ["coverage", "proof=1,proof=2", "coverage=-1", "hope=3", "coverage=0,proof=0", "coverage=1;proof=2"],
)
def test_weights_that_are_none_are_told_with_their_setting(text: str) -> None:
    with pytest.raises(SettingsError, match="LIENTHONG_ORPHAN_WEIGHTS") as caught:
        read_weights(text)
    assert "coverage=40" in caught.value.next_step
