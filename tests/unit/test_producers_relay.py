"""The relay's decisions, with an outbox in memory, a broker that obeys, and a clock that does not tick."""

from collections.abc import Callable, Mapping, Sequence

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import make_url

from producers import relay as relay_module
from producers.envelope import Encoder, Outgoing
from producers.outbox import ALONE, Outbox, State, runs
from producers.parking import MOST_ROWS
from producers.postgres_session import Session
from producers.publisher import Verdict
from producers.relay import LONGEST_PAUSE, SHORTEST_PAUSE, RelayOptions
from schemas.errors import LienthongError, TryAgain
from tests.unit.relay_bench import (
    ACK,
    LARGE,
    UNKNOWN,
    A,
    B,
    Bench,
    MemoryOutbox,
    ObedientPublisher,
    PlainEncoder,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- the usual way -------------------------------------------------------------------------------------


def test_changes_are_numbered_published_and_marked_in_order(bench: Bench) -> None:
    for key in "xyx":
        bench.outbox.write(key)
    bench.outbox.write("z", dataset=B)
    bench.run(bench.write("late"))
    assert bench.publisher.sent == [(A, "x"), (A, "y"), (A, "x"), (B, "z"), (A, "late")]
    assert bench.outbox.marked == [1, 2, 3, 4, 5]
    assert [one.seq for one in bench.outbox.changes] == [1, 2, 3, 1, 4]
    assert bench.metric("published_total", system="thu", dataset="a", op="u") == 4
    assert bench.metric("outbox_waiting", system="thu", dataset="a") == 2
    assert bench.metric("oldest_waiting_seconds", system="thu", dataset="b") == 3
    assert bench.metric("triggers_in_place", system="thu", dataset="a") == 1


def test_what_was_numbered_before_a_crash_goes_first_under_its_number(bench: Bench) -> None:
    bench.outbox.write("x", seq=7)
    bench.outbox.write("y", seq=8)
    bench.outbox.write("x")
    bench.outbox.marked.append(1)
    bench.run()
    assert bench.publisher.sent == [(A, "y"), (A, "x")]
    assert [one.seq for one in bench.outbox.changes] == [7, 8, 9]
    assert bench.outbox.calls.index("pending") < bench.outbox.calls.index("number")


def test_pauses_grow_while_nothing_happens_and_shrink_when_something_does(bench: Bench) -> None:
    nothing = [bench.forward(0)] * 8
    bench.run(*nothing, bench.write("x"), bench.forward(0), bench.forward(0))
    assert bench.clock.pauses[:3] == [2 * SHORTEST_PAUSE, 4 * SHORTEST_PAUSE, LONGEST_PAUSE]
    assert bench.clock.pauses[8:11] == [LONGEST_PAUSE, SHORTEST_PAUSE, 2 * SHORTEST_PAUSE]


def test_old_rows_are_pruned_and_the_outbox_is_looked_at_now_and_then(bench: Bench) -> None:
    bench.run(*[bench.forward(1)] * 130)
    assert 2 <= bench.outbox.calls.count("prune 30") <= 4
    assert 10 <= bench.outbox.calls.count("states") <= 16


def test_a_second_relay_waits_and_takes_over(bench: Bench) -> None:
    bench.outbox.others_lead = 5
    bench.outbox.write("x")
    bench.options = RelayOptions(stall_seconds=30)
    bench.run(*[bench.forward(100)] * 5)
    assert bench.publisher.sent == [(A, "x")]
    assert bench.outbox.calls.count("lead") == 6


def test_the_end_while_another_one_leads(bench: Bench) -> None:
    bench.outbox.others_lead = 1000
    bench.outbox.write("x")
    bench.run(bench.forward(0))
    assert bench.publisher.sent == []


# --- what the broker refuses ---------------------------------------------------------------------------


def test_nothing_behind_an_unacknowledged_change_of_its_key_is_marked(bench: Bench) -> None:
    for key in ("x", "y", "x", "z", "y"):
        bench.outbox.write(key)
    lost = iter([ACK, UNKNOWN, ACK, ACK, ACK])
    bench.publisher.verdicts = lambda _: next(lost, ACK)
    marked: list[list[int]] = []
    bench.run(lambda: marked.append(list(bench.outbox.marked)))
    assert marked == [[1, 3, 4]], "5 was acknowledged, but 2 of the same key was not"
    assert bench.outbox.marked == [1, 3, 4, 2, 5]
    assert [key for _, key in bench.publisher.sent[-2:]] == ["y", "y"]
    assert (
        bench.metric("publish_errors_total", system="thu", dataset="a", reason="NotEnoughReplicasError") == 1
    )
    assert bench.metric("waits_total") == 1
    assert bench.prepared == 2


def test_a_record_too_large_parks_its_key_and_all_others_flow(bench: Bench) -> None:
    bench.outbox.write("big", size=ALONE + 1)
    for key in ("x", "big", "y"):
        bench.outbox.write(key)
    bench.publisher.verdicts = lambda record: LARGE if record.value == b"1" else ACK
    bench.run(bench.write("big"), bench.write("z"), bench.forward(11), bench.forward(0))
    assert [key for _, key in bench.publisher.sent] == ["x", "y", "z"]
    assert bench.outbox.marked == [2, 4, 6]
    assert bench.metric("parked", system="thu", dataset="a") == 3
    assert bench.metric("publish_errors_total", system="thu", dataset="a", reason="record_too_large") == 1


def test_a_parked_key_is_tried_again_and_drains_in_order(bench: Bench) -> None:
    bench.outbox.write("big", size=ALONE + 1)
    bench.outbox.write("big")
    refuse = [True]
    bench.publisher.verdicts = lambda record: LARGE if refuse and record.value == b"1" else ACK
    bench.run(
        bench.forward(61), lambda: refuse.clear(), bench.write("x"), bench.forward(61), bench.write("big")
    )
    assert [key for _, key in bench.publisher.sent] == ["x", "big", "big", "big"]
    assert sorted(bench.outbox.marked) == [1, 2, 3, 4]
    assert bench.metric("publish_errors_total", system="thu", dataset="a", reason="record_too_large") == 2


def test_a_change_that_cannot_be_encoded_parks_its_key(bench: Bench) -> None:
    bench.encoders[A].bad["x"] = "type_mismatch"
    for key in ("x", "y", "x"):
        bench.outbox.write(key)
    bench.run(bench.write("z"))
    assert [key for _, key in bench.publisher.sent] == ["y", "z"]
    assert bench.metric("publish_errors_total", system="thu", dataset="a", reason="type_mismatch") == 1


def test_a_flood_of_bad_changes_halts_its_dataset_only(bench: Bench) -> None:
    for number in range(MOST_ROWS + 10):
        bench.outbox.write(f"x{number}")
        bench.encoders[A].bad[f"x{number}"] = "column_missing"
    bench.outbox.write("good")
    bench.run(bench.write("more"), bench.write("b", dataset=B), bench.forward(0))
    assert bench.publisher.sent == [(B, "b")]
    assert bench.outbox.changes[-2].seq == 0, "a halted dataset takes no more numbers"


def test_a_halted_dataset_starts_again_by_itself(bench: Bench) -> None:
    for number in range(MOST_ROWS + 1):
        bench.outbox.write(f"x{number}")
        bench.encoders[A].bad[f"x{number}"] = "column_missing"
    bench.run(lambda: bench.encoders[A].bad.clear(), bench.write("y"), bench.forward(61), bench.forward(0))
    assert len(bench.publisher.sent) == MOST_ROWS + 2


# --- what is away --------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_waited_for_with_longer_and_longer_pauses(bench: Bench) -> None:
    bench.outbox.trouble = [TryAgain("away") for _ in range(8)]
    bench.outbox.write("x")
    bench.run(*[bench.forward(0)] * 8)
    assert bench.publisher.sent == [(A, "x")]
    assert bench.clock.pauses[:8] == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert bench.metric("up") == 1


@pytest.mark.parametrize(
    "error", [errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout, errors.AdminShutdown]
)
def test_a_database_that_became_a_standby_is_waited_for(error: type[psycopg.Error]) -> None:
    """Each may pass by itself: a failover, a suspended machine, a restart."""
    with pytest.raises(TryAgain, match=f"the agency database so_ho .*{error.sqlstate}"):
        raise Session(make_url("postgresql://nowhere/so_ho"))._translated(error())


def test_progress_makes_pauses_short_again(bench: Bench) -> None:
    bench.outbox.trouble = [TryAgain("away") for _ in range(3)]

    def away() -> None:
        bench.outbox.trouble = [TryAgain("away")]

    bench.run(*[bench.forward(0)] * 3, bench.forward(0), away, bench.forward(0))
    assert [pause for pause in bench.clock.pauses if pause >= 0.5] == [0.5, 1, 2, 0.5]


def test_no_progress_for_long_ends_the_process(bench: Bench) -> None:
    bench.options = RelayOptions(stall_seconds=60)
    bench.outbox.trouble = [TryAgain("the database is away", next_step="start it") for _ in range(100)]
    with pytest.raises(TryAgain, match="no progress for 6") as caught:
        bench.run(*[bench.forward(0)] * 100)
    assert (caught.value.exit_code, caught.value.next_step) == (75, "start it")
    assert bench.metric("up") == 0


def test_a_missing_topic_ends_the_process_at_the_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        raise LienthongError("no topic", next_step="make it")

    monkeypatch.setattr(bench, "prepare", missing)
    with pytest.raises(LienthongError, match="no topic"):
        bench.run(bench.forward(0))


def test_a_dataset_installed_later_is_relayed_and_a_bad_one_does_not_stop_others(bench: Bench) -> None:
    bench.outbox.captures = {A: True}
    calls = []
    original = bench.prepare

    def prepare(outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        calls.append([state.capture.dataset for state in states])
        if len(calls) == 2:
            raise LienthongError("no contract", next_step="add it")
        return original(outbox, states)

    bench.prepare = prepare  # type: ignore[method-assign]

    def installed() -> None:
        bench.outbox.captures[B] = True

    bench.run(installed, bench.forward(11), bench.write("x"), bench.forward(11), bench.write("b", dataset=B))
    assert calls == [[A], [A, B], [A, B]]
    assert bench.publisher.sent == [(A, "x"), (B, "b")]


def test_a_dataset_whose_triggers_changed_stops_until_its_contract_fits(bench: Bench) -> None:
    original = bench.prepare
    fits = [True]

    def prepare(outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        if not fits:
            raise LienthongError("other columns", next_step="change the contract")
        return original(outbox, states)

    bench.prepare = prepare  # type: ignore[method-assign]

    def reinstalled() -> None:
        fits.clear()
        bench.outbox.columns = {"id": "string"}

    script = [reinstalled, bench.forward(11), bench.write("x"), bench.write("b", dataset=B), bench.forward(0)]
    bench.run(*script, lambda: fits.append(True), bench.forward(11), bench.forward(0))
    assert bench.publisher.sent == [(B, "b"), (A, "x")]


def test_rows_of_new_triggers_are_not_sent_by_an_old_encoder(bench: Bench) -> None:
    newer = PlainEncoder(A)

    def reinstalled() -> None:  # and at once a clerk's change, long before the next look
        bench.outbox.columns = {"id": "long", "moi": "string"}
        bench.encoders[A].strange["x"] = "moi"
        bench.encoders[A] = newer
        bench.publisher.verdicts = verdict
        bench.outbox.write("w")
        bench.outbox.write("x")
        bench.outbox.write("b", dataset=B)

    prepared: list[int] = []

    def verdict(_: Outgoing) -> Verdict:
        prepared.append(bench.prepared)
        return ACK

    bench.run(reinstalled)
    assert prepared == [2, 2, 2], "nothing goes out between the install and the look"
    assert bench.publisher.sent == [(A, "w"), (A, "x"), (B, "b")]
    assert [one.seq for one in bench.outbox.changes] == [1, 2, 1]


def test_rows_of_new_triggers_wait_while_the_contract_is_the_old_one(bench: Bench) -> None:
    original = bench.prepare

    def prepare(outbox: Outbox, states: Sequence[State]) -> Mapping[str, Encoder]:
        if len(bench.outbox.columns) > 1 and bench.encoders[A].strange:
            raise LienthongError("other columns", next_step="change the contract")
        return original(outbox, states)

    bench.prepare = prepare  # type: ignore[method-assign]

    def reinstalled() -> None:
        bench.outbox.columns = {"id": "long", "moi": "string"}
        bench.encoders[A].strange["x"] = "moi"
        bench.outbox.write("x")
        bench.outbox.write("b", dataset=B)

    early: list[tuple[str, str]] = []
    bench.run(
        reinstalled, lambda: early.extend(bench.publisher.sent), bench.encoders[A].strange.clear,
        bench.forward(11), bench.forward(0),
    )  # fmt: skip
    assert early == [(B, "b")]
    assert bench.publisher.sent == [(B, "b"), (A, "x")]


def test_a_column_that_the_contract_has_given_up_is_told_once_and_left_out(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.encoders[A].strange = {"x": "cu", "y": "cu"}
    bench.outbox.write("x")
    bench.run(bench.write("y"), bench.forward(0))
    assert bench.publisher.sent == [(A, "x"), (A, "y")]
    assert bench.prepared == 1
    assert capsys.readouterr().out.count("no longer captured") == 1


def test_a_dataset_that_is_broken_at_the_start_is_relayed_once_it_is_mended(bench: Bench) -> None:
    broken = bench.encoders.pop(A)
    bench.outbox.write("x", seq=1)
    bench.outbox.write("b", dataset=B)

    def mended() -> None:  # its definition is what it was
        bench.encoders[A] = broken

    bench.run(mended, bench.forward(11), bench.write("x"), bench.forward(0))
    assert bench.publisher.sent == [(B, "b"), (A, "x"), (A, "x")]
    assert bench.prepared == 3, "at the start, at the first look, and once it was mended"


# --- numbers ---------------------------------------------------------------------------------------


def test_an_outbox_restored_from_a_backup_gives_no_number_that_its_topic_has(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.publisher.numbers = {A: 7, B: 0}
    bench.outbox.write("x", seq=3)
    bench.outbox.write("y")
    bench.outbox.write("b", dataset=B)
    bench.run(bench.write("z"), bench.forward(11), bench.forward(0))
    assert [one.seq for one in bench.outbox.changes] == [3, 8, 1, 9]
    said = capsys.readouterr().out
    assert said.count("the outbox counts behind its topic") == 1
    assert f"capture snapshot {A}" in said


def test_a_dataset_that_was_made_anew_later_goes_on_above_its_topic(bench: Bench) -> None:
    encoder = bench.encoders.pop(A)
    bench.publisher.numbers = {A: 7}

    def installed() -> None:
        bench.encoders[A] = encoder

    bench.run(installed, bench.write("x"), bench.forward(11), bench.forward(0))
    assert [one.seq for one in bench.outbox.changes] == [8]


# --- the end -------------------------------------------------------------------------------------------


def test_a_dataset_that_is_relayed_again_begins_with_what_was_numbered_before(bench: Bench) -> None:
    bench.encoders[A].bad = {"k": "type_mismatch"}
    bench.outbox.write("k")
    every = dict(bench.encoders)

    def install() -> None:  # before the contract is registered: the encoders are refused
        bench.outbox.columns = {"id": "string"}
        bench.encoders.pop(A)

    def register() -> None:
        every[A].bad = {}
        bench.encoders[A] = every[A]
        bench.outbox.columns = {"id": "long", "ten": "string"}

    look, retry = bench.forward(11), bench.forward(61)
    bench.run(look, install, look, retry, register, look, bench.write("k"), look)
    assert bench.publisher.sent == [(A, "k"), (A, "k")]
    assert bench.outbox.marked == [1, 2]


def test_the_batch_at_hand_is_finished_when_the_process_is_told_to_end(bench: Bench) -> None:
    bench.outbox.write("x")

    def verdict(_: Outgoing) -> Verdict:
        bench.stop.set()
        return ACK

    bench.publisher.verdicts = verdict
    bench.run()
    assert bench.outbox.marked == [1]
    assert bench.publisher.abandoned == 1
    assert not bench.outbox.leading
    assert bench.metric("leading") == 0


def test_a_silent_broker_does_not_hold_up_the_end(bench: Bench) -> None:
    bench.outbox.write("x")
    bench.publisher.seconds_of_silence = 4
    bench.stop.clear()

    class Late(ObedientPublisher):
        def publish(
            self, records: Sequence[Outgoing], *, waiting: Callable[[], None] = lambda: None
        ) -> list[Verdict]:
            bench.stop.set()
            for second in range(1, 100):
                waiting()
                assert second < relay_module._LAST_WORDS_SECONDS
            raise AssertionError

    bench.publisher = Late()
    bench.run()
    assert bench.outbox.marked == []


def test_a_lead_that_is_lost_while_the_broker_is_silent_ends_the_wait(bench: Bench) -> None:
    bench.outbox.write("x")
    bench.publisher.seconds_of_silence = 3
    bench.run(bench.forward(0))
    assert bench.outbox.calls.count("still_leads") == 3
    assert bench.outbox.marked == [1]


# --- runs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([3, 3, 4], [[1, 2, 3]]),
        ([1, ALONE + 1, 1, 1], [[1], [2], [3, 4]]),
        ([ALONE + 1, ALONE + 1, ALONE], [[1], [2], [3]]),
        ([1, ALONE + 1], [[1], [2]]),
    ],
)
def test_large_rows_go_alone(sizes: list[int], expected: list[list[int]]) -> None:
    outbox = MemoryOutbox()
    for size in sizes:
        outbox.write("x", size=size)
    assert [[change.id for change in run] for run in runs(outbox.changes)] == expected
