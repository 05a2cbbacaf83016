"""Laws of a national store: what a monitor sees of it."""

from datetime import UTC, datetime, timedelta

from consumers.repairs import Which
from consumers.store_look import Source
from tests.store_lab import BOOK, DATASET, SYSTEM, Lab, a_reject, upsert

ME: Source = (SYSTEM, DATASET)


class LookLaws:
    """One look tells the ledger, refusals and pauses of the deployments asked for, and of no other."""

    def test_a_look_at_an_empty_store_tells_nothing(self, lab: Lab) -> None:
        look = lab.store.look(["thu", "khac"])
        assert look.ledgers == {"thu": [], "khac": []}
        assert look.breakers == {"thu": [], "khac": []}
        assert (look.open_rejects, look.refused_lately, look.good_lately) == ({}, {}, {})
        assert look.longest_seconds >= 0
        assert abs(look.at - datetime.now(UTC)) < timedelta(minutes=1)

    def test_the_ledger_of_another_deployment_is_not_told(self, lab: Lab) -> None:
        lab.apply(upsert(1), upsert(2, "K2", person="p2"))
        other = lab.store.claim("khac", [lab.position()], generation=7, owner="x")
        look = lab.store.look(["thu"])
        assert look.ledgers == {"thu": lab.store.ledger("thu")}
        assert [row.next_offset for row in look.ledgers["thu"]] == [2]
        assert lab.store.look(["khac"]).ledgers["khac"][0].epoch == other[lab.position()].epoch

    def test_what_was_refused_is_counted_until_it_is_mended(self, lab: Lab) -> None:
        lab.apply(upsert(1), upsert(2, "K2", person="p2"))
        lab.send(lab.batch(upsert(3), rejects=[a_reject(8), a_reject(9, rule="x")]))
        look = lab.store.look(["thu"])
        assert look.open_rejects == look.refused_lately == {ME: {"code_unknown": 1, "x": 1}}
        assert look.good_lately == {ME: 3}
        lab.store.ask(Which(system=SYSTEM, rule="x"), "drop", who="lan", why="thử")
        assert lab.store.look(["thu"]).open_rejects == {ME: {"code_unknown": 1}}

    def test_what_was_refused_long_ago_is_open_and_not_lately(self, lab: Lab) -> None:
        lab.send(lab.batch(upsert(1), rejects=[a_reject(8)]))
        for table in ("lienthong_reject", "lienthong_receipt"):
            lab.execute(f"UPDATE {table} SET at = '2020-01-01T00:00:00.000000+00:00'")
        look = lab.store.look(["thu"])
        assert look.open_rejects == {ME: {"code_unknown": 1}}
        assert look.refused_lately == {}
        assert look.good_lately == {}

    def test_a_paused_source_is_told(self, lab: Lab) -> None:
        told = {"rule": "code_unknown", "field": "hoTen", "detail": "9 of 10"}
        lab.store.open_breaker("thu", *ME, **told, formats=[BOOK.full_id])
        look = lab.store.look(["thu", "khac"])
        assert [(one.system, one.dataset, one.rule) for one in look.breakers["thu"]] == [
            (*ME, "code_unknown")
        ]
        assert look.breakers["khac"] == []
