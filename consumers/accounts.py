"""What became of a system's changes, for people: every sequence number is in exactly one place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumers.ranges import Ranges
from consumers.receipts import Answers, Reject
from consumers.repairs import RepairStore
from schemas.reasons import Language, reason

#: How many rejects are asked for at a time: their original bytes come with them.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Changes refused for one reason."""

    rule: str
    field: str  #: "" when no single field is at fault
    seqs: Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One dataset in one national format: each number from 1 to ``highest`` is in one of the seven sets."""

    system: str
    dataset: str
    format: str
    applied: Ranges
    stale: Ranges
    passed: Ranges
    rejected: Ranges
    parked: Ranges
    waiting: Ranges
    missing: Ranges  #: never arrived
    refused: tuple[Refused, ...]  #: ``rejected`` by reason; a number refused for two reasons is in both

    @property
    def highest(self) -> int:
        return max(part.highest for _, part in outcomes(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unnumbered:
    """Records of a dataset that could not be read far enough to know their sequence number."""

    dataset: str
    rule: str
    how_many: int


def accounts(
    store: RepairStore, system: str, dataset: str | None = None
) -> tuple[list[Account], list[Unnumbered]]:
    """Read a system's answers and rejects. Raises ``TryAgain`` and ``StoreError`` as the store does."""
    answers = store.answers(system, dataset)
    reasons: dict[tuple[str, str, str, str], list[int]] = {}
    unnumbered: dict[tuple[str, str], int] = {}
    for reject in _rejects(store, system, dataset):
        if reject.seq is None:
            place = (reject.dataset, reject.rule)
            unnumbered[place] = unnumbered.get(place, 0) + 1
        else:
            reason = (reject.dataset, reject.topic, reject.rule, reject.field)
            reasons.setdefault(reason, []).append(reject.seq)
    gaps = {dataset: store.gaps(system, dataset) for dataset in {answer.dataset for answer in answers}}
    found = [_account(answer, reasons, gaps[answer.dataset]) for answer in answers]
    lost = [Unnumbered(dataset=d, rule=r, how_many=n) for (d, r), n in sorted(unnumbered.items())]
    return found, lost


def _account(
    answer: Answers, reasons: Mapping[tuple[str, str, str, str], Sequence[int]], gaps: Ranges
) -> Account:
    refused: dict[tuple[str, str], Ranges] = {}
    for (dataset, topic, rule, field), seqs in reasons.items():
        # What the store refused in one national format says nothing about the others.
        elsewhere = topic.startswith("national.") and topic != f"national.{answer.format}"
        if dataset != answer.dataset or elsewhere:
            continue
        # A change that was refused once and applied later is not refused.
        here = answer.rejected - (answer.rejected - Ranges.of((seq, seq) for seq in seqs))
        if here:
            refused[rule, field] = refused.get((rule, field), Ranges()) | here
    return Account(
        system=answer.system,
        dataset=answer.dataset,
        format=answer.format,
        applied=answer.applied,
        stale=answer.stale,
        passed=answer.passed,
        rejected=answer.rejected,
        parked=answer.parked,
        waiting=answer.waiting - gaps,
        missing=answer.waiting - (answer.waiting - gaps),  # others have arrived since
        refused=tuple(
            Refused(rule=rule, field=field, seqs=seqs)
            for (rule, field), seqs in sorted(refused.items(), key=lambda one: (-len(one[1]), one[0]))
        ),
    )


def _rejects(store: RepairStore, system: str, dataset: str | None) -> Iterator[Reject]:
    after = 0
    while rows := store.rejects(system, dataset=dataset, after=after, limit=_AT_ONCE):
        for row in rows:
            yield row.reject
        after = rows[-1].id


def outcomes(account: Account) -> list[tuple[str, Ranges]]:
    """The seven sets by name, in the order in which they are told."""
    names = ("applied", "stale", "passed", "rejected", "parked", "waiting", "missing")
    return [(name, getattr(account, name)) for name in names]


def as_json(account: Account, language: Language) -> dict[str, object]:
    """The account with all its numbers, as ``receipts show --json`` prints it."""
    return {
        "system": account.system,
        "dataset": account.dataset,
        "format": account.format,
        "highest": account.highest,
        **{name: {"how_many": len(seqs), "seqs": str(seqs)} for name, seqs in outcomes(account)},
        "refused": [
            {
                "rule": one.rule,
                "field": one.field,
                "reason": reason(one.rule, one.field, language),
                "how_many": len(one.seqs),
                "seqs": str(one.seqs),
            }
            for one in account.refused
        ],
    }


def shortened(seqs: Ranges, *, spans: int = 4) -> str:
    """``812–815, 817, … (+3)``: the first few, and how many further numbers there are."""
    shown = seqs.spans[:spans]
    text = ", ".join(f"{first}–{last}" if last > first else str(first) for first, last in shown)
    rest = len(seqs) - sum(last - first + 1 for first, last in shown)
    return f"{text}, … (+{rest})" if rest else text
