"""Accounts: every sequence number of a dataset is in exactly one place, and refused ones have a reason."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import pytest

from consumers.accounts import accounts, as_json, shortened
from consumers.ranges import Ranges
from consumers.receipts import Answers, Reject, RejectRow
from consumers.repairs import RepairStore

FORMAT = "hotich.khaisinh.v1"


@dataclass
class Answered:
    """A store that answers from lists, in pages as a real one does."""

    found: list[Answers]
    refused: list[Reject] = field(default_factory=list)
    pages: int = 0
    missing: str = ""

    def answers(self, system: str, dataset: str | None = None) -> list[Answers]:
        return [one for one in self.found if one.system == system and dataset in (None, one.dataset)]

    def rejects(
        self, system: str, *, dataset: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[RejectRow]:
        self.pages += 1
        rows = [
            RejectRow(id=at, at=datetime(2026, 1, 2, tzinfo=UTC), reject=one)
            for at, one in enumerate(self.refused, 1)
        ]
        wanted = [
            row for row in rows if row.reject.system == system and dataset in (None, row.reject.dataset)
        ]
        return [row for row in wanted if row.id > after][:limit]

    def gaps(self, system: str, dataset: str) -> Ranges:
        return Ranges.parse([self.missing])

    @property
    def store(self) -> RepairStore:
        return cast(RepairStore, self)


def answer(**numbers: str) -> Answers:
    parts = {
        name: Ranges.parse([numbers.get(name, "")])
        for name in ("applied", "stale", "passed", "rejected", "parked", "waiting")
    }
    return Answers(system="hotich_qnam", dataset="khaisinh", format=FORMAT, **parts)


def reject(
    seq: int | None, rule: str = "code_unknown", name: str = "nksDanToc", topic: str = "province.x"
) -> Reject:
    return Reject(
        system="hotich_qnam",
        dataset="khaisinh",
        seq=seq,
        source_key=None,
        topic=topic,
        partition=0,
        offset=seq or 0,
        rule=rule,
        field=name,
        detail="",
        key=None,
        original=None,
    )


def test_refused_numbers_are_grouped_by_reason_the_most_frequent_first() -> None:
    found = answer(applied="1-9", stale="13", rejected="10-12", waiting="14-15")
    refused = [reject(10, "required_missing", "nksHoTen"), reject(11), reject(12)]
    (account,), lost = accounts(Answered([found], refused).store, "hotich_qnam")
    assert [(one.rule, one.field, str(one.seqs)) for one in account.refused] == [
        ("code_unknown", "nksDanToc", "11-12"),
        ("required_missing", "nksHoTen", "10"),
    ]
    assert account.highest == 15
    assert lost == []


def test_a_change_refused_once_and_applied_later_is_not_refused() -> None:
    (account,), _ = accounts(Answered([answer(applied="1-9")], [reject(4)]).store, "hotich_qnam")
    assert account.refused == ()


def test_what_another_national_format_refused_says_nothing_about_this_one() -> None:
    refused = [
        reject(4, "national_key_taken", "", topic=f"national.{FORMAT}"),
        reject(5, "database_refused", "", topic="national.hotich.khaisinh.v2"),
    ]
    (account,), _ = accounts(Answered([answer(rejected="4-5")], refused).store, "hotich_qnam")
    assert [one.rule for one in account.refused] == ["national_key_taken"]


def test_numbers_that_never_arrived_are_apart_from_those_that_wait_and_heal_when_they_arrive() -> None:
    fake = Answered([answer(applied="1-9,14", waiting="10-13")], missing="8-9,12-13")
    (account,), _ = accounts(fake.store, "hotich_qnam")
    assert (str(account.waiting), str(account.missing), account.highest) == ("10-11", "12-13", 14)
    assert as_json(account, "en")["missing"] == {"how_many": 2, "seqs": "12-13"}


def test_records_without_a_number_are_counted_apart() -> None:
    refused = [
        reject(None, "bytes_truncated", ""),
        reject(None, "bytes_truncated", ""),
        reject(None, "utf8_invalid"),
    ]
    found, lost = accounts(Answered([], refused).store, "hotich_qnam")
    assert found == []
    assert [(one.rule, one.how_many) for one in lost] == [("bytes_truncated", 2), ("utf8_invalid", 1)]


def test_all_pages_of_rejects_are_read() -> None:
    fake = Answered([answer(rejected="1-450")], [reject(seq) for seq in range(1, 451)])
    (account,), _ = accounts(fake.store, "hotich_qnam")
    assert len(account.refused[0].seqs) == 450
    assert fake.pages == 4  # 200, 200, 50, and the empty one


def test_the_json_form_holds_every_number_once() -> None:
    found = answer(applied="1-3,5", stale="4", rejected="6", waiting="7-8")
    (account,), _ = accounts(Answered([found], [reject(6)]).store, "hotich_qnam")
    told = as_json(account, "en")
    assert told["applied"] == {"how_many": 4, "seqs": "1-3,5"}
    assert told["waiting"] == {"how_many": 2, "seqs": "7-8"}
    assert told["refused"] == [
        {
            "rule": "code_unknown",
            "field": "nksDanToc",
            "reason": "nksDanToc: the value is not in the code list. Correct it, or extend the list.",
            "how_many": 1,
            "seqs": "6",
        }
    ]
    assert told["highest"] == 8


@pytest.mark.parametrize(
    ("seqs", "text"),
    [
        ("", ""),
        ("812-815", "812–815"),
        ("1,3,5,7", "1, 3, 5, 7"),
        ("1,3,5,7-9,11,20-29", "1, 3, 5, 7–9, … (+11)"),
    ],
)
def test_long_lists_of_numbers_are_shortened_for_people(seqs: str, text: str) -> None:
    assert shortened(Ranges.parse([seqs])) == text
