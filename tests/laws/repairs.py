"""Laws of a national store: rejects as work."""

from dataclasses import replace
from typing import Any, cast

import pytest

from consumers.receipts import Parked, Reject, RejectRow
from consumers.repairs import Asked, Became, Mend, Which, Work
from consumers.store import Fenced, Position, Slice
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, a_parked, a_reject

ALL = Which(system=SYSTEM)
ME = {"who": "lan", "why": "vì sao"}
HERE = Position(topic="province.hotich_thu.sothu", partition=0)


def head(offset: int, key: bytes, **more: Any) -> Reject:
    return a_reject(offset, key=key, seq=offset + 1, blocks=True, library="l1", contract="c@1", **more)


def behind(offset: int, at: int, key: bytes) -> Parked:
    return a_parked(offset, head=at, key=key, seq=offset + 1)


def refuse(lab: Lab, *rejects: Reject, parked: tuple[Parked, ...] = ()) -> Slice:
    """Settle these in the province's partition; the slice that a worker mends with."""
    if HERE not in lab.epochs:
        lab.epochs[HERE] = lab.store.claim(lab.deployment, [HERE], generation=1, owner="w")[HERE].epoch
        lab.store.start_at(lab.deployment, HERE, epoch=1, offset=0)
    slices = [Slice(position=HERE, start=0, next=0, epoch=lab.epochs[HERE])]
    lab.store.settle(lab.deployment, slices, rejects=rejects, parked=parked, formats=[BOOK.full_id])
    return slices[0]


def work(lab: Lab, *, heads: int = 100, changes: int = 100) -> list[Work]:
    return lab.store.work(lab.deployment, HERE, heads=heads, changes=changes)


def rows(lab: Lab) -> list[RejectRow]:
    return lab.store.rejects(SYSTEM)


class RepairLaws:
    """What is asked for is done by the partition's owner in one transaction, and kept in the audit log."""

    def test_causes_count_open_rejects_and_what_waits_behind_them(self, lab: Lab) -> None:
        refuse(
            lab, head(0, b"a"), head(1, b"b"), head(2, b"c", rule="date_impossible"), a_reject(9, key=None),
            parked=(behind(3, 0, b"a"), behind(4, 0, b"a"), behind(5, 2, b"c")),
        )  # fmt: skip
        lab.store.ask(Which(ids=(rows(lab)[0].id,)), "retry", **ME)
        told = [
            (c.dataset, c.rule, c.how_many, c.parked, c.asked, c.example) for c in lab.store.causes(SYSTEM)
        ]
        ids = [row.id for row in rows(lab)]
        assert told == [
            (DATASET, "code_unknown", 3, 2, 1, ids[3]),
            (DATASET, "date_impossible", 1, 1, 0, ids[2]),
        ]
        assert lab.store.causes(SYSTEM, "khac") == lab.store.causes("khac") == []
        assert lab.store.waiting(ids) == {ids[0]: 2, ids[2]: 1}
        assert [one.offset for one in lab.store.behind(ids[0])] == [3, 4]

    def test_asking_narrows_by_all_that_is_told_and_is_noted(self, lab: Lab) -> None:
        refuse(lab, head(0, b"a"), head(1, b"b", rule="date_impossible"), head(2, b"c", field="so"))
        assert lab.store.ask(Which(system="khac"), "retry", **ME) == 0
        assert lab.store.ask(replace(ALL, rule="code_unknown", field="hoTen"), "retry", **ME) == 1
        first, second, _ = rows(lab)
        assert (first.asked, second.asked) == ("retry", None)
        (deed,) = lab.store.deeds(first.id)
        assert (deed.who, deed.action, deed.why) == ("lan", "retry", "vì sao")
        lab.store.revealed(second.id, **ME)
        assert [one.action for one in lab.store.deeds(second.id)] == ["reveal"]
        assert lab.store.asked(lab.deployment) == [HERE]
        assert lab.store.asked("khac") == []

    def test_work_is_given_out_in_bounds_and_in_order(self, lab: Lab) -> None:
        refuse(
            lab, head(0, b"a"), head(1, b"b"), head(2, b"c"),
            parked=(behind(3, 0, b"a"), behind(4, 1, b"b"), behind(5, 0, b"a"), behind(6, 0, b"x")),
        )  # fmt: skip
        lab.store.ask(ALL, "retry", **ME)
        first, second, third = work(lab)
        assert [(n.offset, n.original) for _, n in first.parked] == [(3, b"\0\2"), (5, b"\0\2")]
        assert ([n.offset for _, n in second.parked], list(third.parked)) == ([4], [])
        assert not any(one.more for one in (first, second, third))
        assert [one.id for one in work(lab, heads=2)] == [first.id, second.id]
        (bounded,) = work(lab, changes=1)
        assert (len(bounded.parked), bounded.more) == (1, True)
        assert [one.id for one in work(lab, changes=2)] == [first.id]

    def test_a_correction_is_given_out_and_the_record_as_it_came_is_kept(self, lab: Lab) -> None:
        refuse(lab, replace(head(0, b"a"), fingerprint="old"))
        (row,) = rows(lab)
        assert lab.store.correct(row.id, b"\0right", detail="so", **ME)
        (one,) = work(lab)
        assert (one.asked, one.reject.original, one.reject.fingerprint) == ("retry", b"\0right", None)
        (stored,) = lab.rows("SELECT original, correction FROM lienthong_reject")
        assert (bytes(stored["original"]), bytes(stored["correction"])) == (b"\0\1", b"\0right")
        assert not lab.store.correct(row.id + 1, b"", detail="", **ME)

    def test_mending_lets_go_all_that_was_done_and_no_more(self, lab: Lab) -> None:
        held = refuse(lab, head(0, b"a"), parked=(behind(1, 0, b"a"), behind(2, 0, b"a")))
        lab.store.ask(ALL, "retry", **ME)
        (one,) = work(lab)
        ids = [number for number, _ in one.parked]
        part = Mend(work=one, became=None, done=ids[:1])
        lab.store.mend(lab.deployment, held, [part], formats=[BOOK.full_id])
        (one,) = work(lab)  # not finished: still asked for
        assert [number for number, _ in one.parked] == ids[1:]
        lab.store.mend(
            lab.deployment, held, [Mend(work=one, became="mended", done=ids)], formats=[BOOK.full_id]
        )
        (row,) = rows(lab)
        assert (row.became, row.asked, row.reject.blocks) == ("mended", None, False)
        assert (lab.rows("SELECT id FROM lienthong_parked"), lab.store.open_rejects(ALL)) == ([], [])
        assert lab.store.blocked(lab.deployment, [HERE]) == []
        assert lab.store.ask(ALL, "retry", **ME) == 0

    def test_what_is_refused_in_its_turn_is_the_new_head(self, lab: Lab) -> None:
        held = refuse(lab, head(0, b"a"), parked=(behind(1, 0, b"a"), behind(2, 0, b"a"), behind(3, 0, b"b")))
        lab.store.ask(ALL, "drop", **ME)
        (one,) = work(lab)
        mend = Mend(work=one, became="dropped", done=[one.parked[0][0]], again=head(1, b"a", rule="r"))
        lab.store.mend(lab.deployment, held, [mend], formats=[BOOK.full_id])
        old, new = rows(lab)
        assert (old.became, new.became, new.reject.rule) == ("dropped", None, "r")
        assert [two.offset for two in lab.store.blocked(lab.deployment, [HERE])] == [1]
        assert [two.offset for two in lab.store.behind(new.id)] == [2]
        assert lab.said() == {"rejected": "1-2", "parked": "3-4"}

    def test_the_same_cause_again_unasks_and_takes_the_library_over(self, lab: Lab) -> None:
        held = refuse(lab, head(0, b"a"), a_reject(7, key=None, library="l1"))
        assert lab.store.ask_again(lab.deployment, [HERE], {HERE.topic: "l1"}) == {}
        assert lab.store.ask_again(lab.deployment, [HERE], {HERE.topic: "l2"}) == {HERE.topic: 1}
        (one,) = work(lab)
        mend = Mend(work=one, became=None, done=(), again=replace(one.reject, library="l2"))
        lab.store.mend(lab.deployment, held, [mend], formats=[BOOK.full_id])
        assert (len(rows(lab)), rows(lab)[0].asked, rows(lab)[0].reject.blocks) == (2, None, True)
        assert lab.store.ask_again(lab.deployment, [HERE], {HERE.topic: "l2"}) == {}

    def test_each_topic_is_asked_for_with_its_own_library_where_it_is_held(self, lab: Lab) -> None:
        other = Position(topic="province.hotich_thu.khac", partition=0)
        refuse(
            lab, head(0, b"a"), replace(head(1, b"b"), topic=other.topic), replace(head(2, b"c"), partition=1)
        )  # fmt: skip
        libraries = {HERE.topic: "l2", other.topic: "l1"}
        assert lab.store.ask_again(lab.deployment, [HERE, other], libraries) == {HERE.topic: 1}
        assert lab.store.asked(lab.deployment) == [HERE]
        libraries[other.topic] = "l2"
        assert lab.store.ask_again(lab.deployment, [HERE, other], libraries) == {other.topic: 1}
        assert lab.store.asked(lab.deployment) == [other, HERE]

    def test_national_records_of_an_unknown_schema_are_asked_for_once_it_is_known(self, lab: Lab) -> None:
        topic, other = "national.thu.nghiem.v1", "national.thu.khac.v1"
        found: dict[str, Any] = {
            "system": "national",
            "topic": topic,
            "rule": "schema_unknown",
            "detail": "schema id 7",
        }
        rejects = [
            a_reject(0, **found),
            a_reject(1, **found | {"detail": "schema id 8"}),
            a_reject(2, **found | {"topic": other}),
            a_reject(3, **found | {"rule": "schema_foreign"}),
            a_reject(4, **found | {"system": SYSTEM}),
        ]
        refuse(lab, *rejects)
        assert lab.store.ask_unread_again([topic], [6, 7]) == 1
        assert [row.reject.offset for row in lab.store.rejects("national") if row.asked] == [0]
        assert lab.store.ask_unread_again([topic], [6, 7]) == 0, "it is asked for already"
        assert lab.store.ask_unread_again([topic, other], []) == 0

    def test_superseding_gives_out_the_newest_and_answers_the_rest(self, lab: Lab) -> None:
        held = refuse(
            lab, head(0, b"a"), head(1, b"b"), parked=tuple(behind(at, 0, b"a") for at in (2, 3, 4))
        )
        assert lab.store.ask(ALL, "supersede", **ME) == 1
        (one,) = work(lab)
        assert ([n.offset for _, n in one.parked], [seq for _, seq in one.passed]) == ([4], [3, 4])
        done = [one.parked[0][0], *(number for number, _ in one.passed)]
        mend = Mend(work=one, became="superseded", done=done, superseded=[1, 3, 4])
        lab.store.mend(lab.deployment, held, [mend], formats=[BOOK.full_id])
        assert lab.said() == {"stale": "1,3-4", "rejected": "2", "parked": "5"}
        assert lab.rows("SELECT id FROM lienthong_parked") == []

    def test_a_lost_claim_mends_nothing(self, lab: Lab) -> None:
        held = refuse(lab, head(0, b"a"), parked=(behind(1, 0, b"a"),))
        lab.store.ask(ALL, "retry", **ME)
        (one,) = work(lab)
        before = lab.everything()
        mend = Mend(work=one, became="mended", done=[one.parked[0][0]])
        with pytest.raises(Fenced):
            lab.store.mend(lab.deployment, replace(held, epoch=2), [mend], formats=[])
        assert lab.everything() == before

    @pytest.mark.parametrize("meanwhile", ["correct", "drop", "supersede"])
    @pytest.mark.parametrize("became", [None, "again", "mended"])
    def test_what_a_person_asks_for_meanwhile_is_worked_on_next(
        self, lab: Lab, became: Became | None, meanwhile: str
    ) -> None:
        held = refuse(lab, head(0, b"a"), head(1, b"b"), parked=(behind(2, 0, b"a"),))
        lab.store.ask(ALL, "retry", **ME)
        one, other = work(lab)
        if meanwhile == "correct":
            lab.store.correct(one.id, b"\0right", detail="so", **ME)
        else:
            lab.store.ask(Which(ids=(one.id,)), cast(Asked, meanwhile), **ME)
        asked, before = work(lab)[0], lab.everything()["lienthong_receipt"]
        mends = [
            Mend(work=one, became="mended", done=[one.parked[0][0]])
            if became == "mended"
            else Mend(work=one, became=became, done=(), again=head(0, b"a", rule=became or "code_unknown")),
            Mend(work=other, became="mended", done=()),
        ]
        written = lab.store.mend(lab.deployment, held, mends, formats=[BOOK.full_id])
        assert [mend.work for mend in written] == [other]
        assert [row.became for row in rows(lab)] == [None, "mended"]
        assert work(lab) == [asked]
        assert (asked.asked, asked.correction) == {
            "correct": ("retry", b"\0right"),
            "drop": ("drop", None),
            "supersede": ("supersede", None),
        }[meanwhile]
        assert lab.everything()["lienthong_receipt"] == before
        assert [two.offset for two in lab.store.blocked(lab.deployment, [HERE])] == [0]

    def test_what_was_dropped_at_once_while_it_was_tried_stays_dropped(self, lab: Lab) -> None:
        held = refuse(lab, a_reject(0, key=None))
        lab.store.ask(ALL, "retry", **ME)
        (one,) = work(lab)
        lab.store.ask(ALL, "drop", **ME)
        again = Mend(work=one, became="again", done=(), again=replace(one.reject, rule="r"))
        assert lab.store.mend(lab.deployment, held, [again], formats=[BOOK.full_id]) == []
        assert [(row.became, row.asked) for row in rows(lab)] == [("dropped", None)]

    def test_what_blocks_nothing_is_dropped_at_once(self, lab: Lab) -> None:
        refuse(lab, a_reject(0, key=None), head(1, b"a"))
        assert lab.store.ask(ALL, "drop", **ME) == 2
        assert [(row.became, row.asked) for row in rows(lab)] == [("dropped", None), (None, "drop")]

    def test_national_records_are_sent_again_until_they_are_sent(self, lab: Lab) -> None:
        lab.send(lab.batch(rejects=[a_reject(0, topic=BOOK.topic, seq=3), a_reject(1, topic=BOOK.topic)]))
        lab.store.ask(Which(ids=(rows(lab)[0].id,)), "retry", **ME)
        with pytest.raises(ConnectionError):
            lab.store.resend([BOOK.topic], 9, _away)
        seen: list[int] = []
        for _ in range(2):
            lab.store.resend([BOOK.topic], 9, lambda found: seen.extend(row.reject.offset for row in found))
        assert seen == [0]
        assert [(row.became, row.asked) for row in rows(lab)] == [("sent", None), (None, None)]


def _away(found: object) -> None:
    raise ConnectionError("the broker is away")
