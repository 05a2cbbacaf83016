"""The laws of a comparison between two SQLite files: no server needed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.receipts import Reject
from schemas.errors import LienthongError, SettingsError
from tests.reconcile_laws import ReconcileLaws, found
from tests.short_road import DATASET, FORMAT, ShortRoad


class TestSqlite(ReconcileLaws):
    @pytest.fixture
    def road(self, tmp_path: Path) -> Iterator[ShortRoad]:
        yield from short_road(tmp_path)


def short_road(folder: Path, *formats: str) -> Iterator[ShortRoad]:
    (folder / "agency.db").touch()
    made = ShortRoad(
        f"sqlite:///{folder}/agency.db", f"sqlite:///{folder}/national.db", formats=(FORMAT, *formats)
    )
    yield made
    made.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[ShortRoad]:
    """A road into two formats."""
    yield from short_road(tmp_path, "thu.dan.v1")


def test_a_record_of_two_formats_is_refused_or_on_its_way_once(two: ShortRoad) -> None:
    two.install()
    two.people(1, 20)
    two.bring()
    assert found(two) == {}
    two.write("UPDATE so_nguoi SET ngay = '31/02/2016' WHERE id <= 3")
    two.bring()
    two.write("UPDATE so_nguoi SET ten = 'x' WHERE id > 15", "UPDATE so_nguoi SET ngay = NULL WHERE id = 3")
    # The contract would take record 7 by now: it is refused by its reject alone.
    refuse(two, "7", seq=7)
    two.spoil("DELETE FROM thu_nguoi_v1 WHERE lt_key = 'S7'", "DELETE FROM thu_dan_v1 WHERE lt_key = 'S7'")
    for _ in range(2):
        proof, differences = two.compare()
        assert (proof.refused, proof.in_flight, proof.drift) == (3, 6, 0)
        assert len(differences) == 18


def test_a_record_that_differs_in_two_formats_differs_once(two: ShortRoad) -> None:
    two.install()
    two.people(1, 20)
    two.bring()
    for table in ("thu_nguoi_v1", "thu_dan_v1"):
        two.spoil(f"DELETE FROM {table} WHERE lt_key IN ('S3', 'S4')")
    two.spoil("UPDATE thu_dan_v1 SET ten = 'x' WHERE lt_key = 'S5'")
    proof, _ = two.compare()
    assert (proof.rows, proof.drift, proof.differing) == (20, 5, 3)
    assert two.store.proofs() == [proof]


def test_backfill_says_that_its_condition_is_wrong(two: ShortRoad) -> None:
    two.people(1, 3)
    two.install()
    error = two.run("backfill", DATASET, "--where", "khong_co = 1").exception
    assert isinstance(error, SettingsError)
    assert (
        error.message == "--where: the agency database agency refuses a statement (no such column: khong_co)"
    )
    assert error.next_step == "correct the condition"


@pytest.mark.parametrize("words", [("--where", "id = 1"), ("--where", "khong_co = 1"), ("--all",)])
def test_backfill_does_not_blame_the_condition_for_a_column_that_is_gone(
    two: ShortRoad, words: tuple[str, ...]
) -> None:
    two.people(1, 3)
    two.install()
    two.write("ALTER TABLE so_nguoi RENAME COLUMN id TO ma")
    error = two.run("backfill", DATASET, *words).exception
    assert isinstance(error, LienthongError)
    assert error.message == "the agency database agency refuses a statement (no such column: t.id)"


def test_backfill_takes_parentheses_in_quoted_names(two: ShortRoad) -> None:
    two.people(1, 3)
    two.install()
    two.write('ALTER TABLE so_nguoi ADD COLUMN "nơi ở (cũ" text')
    two.write('ALTER TABLE so_nguoi ADD COLUMN "tạm) trú" text')
    for where in (
        "[tạm) trú] IS NULL AND id = 1",
        "`tạm) trú` IS NULL AND id = 1",
        "id = 1 OR [nơi ở (cũ] = ')'",
    ):
        done = two.run("backfill", DATASET, "--where", where, "--dry-run")
        assert "1 records would be sent" in done.stderr, (where, done.output)


@pytest.mark.parametrize(
    "words",
    [
        ("--where", "id = 1"),
        ("--since", "2026-11-26T08:00+07:00"),
        ("--until", "2026-11-26T08:00+07:00"),
        ("--key", "1"),
    ],
)
def test_backfill_of_all_takes_no_choice_beside_it(two: ShortRoad, words: tuple[str, ...]) -> None:
    two.install()
    error = two.run("backfill", DATASET, "--all", *words, "--dry-run").exception
    assert isinstance(error, SettingsError)
    assert error.next_step == "give --key, or --where with --since and --until, or --all"


def test_backfill_takes_in_quotes_what_would_end_a_condition(two: ShortRoad) -> None:
    two.people(1, 3)
    two.install()
    two.write("UPDATE so_nguoi SET ten = 'a;b--/*' WHERE id = 2")
    done = two.run("backfill", DATASET, "--where", "ten = 'a;b--/*'", "--dry-run")
    assert "1 records would be sent" in done.stderr, done.output
    for where in ("ten = 'a;b'; --'", "ten = 'a;b", "ten = 'a' OR ten = '' ; DELETE FROM so_nguoi"):
        error = two.run("backfill", DATASET, "--where", where).exception
        assert isinstance(error, SettingsError)
        assert error.message == "--where: not one condition"


@pytest.mark.parametrize(
    "where",
    [
        "id = 1) OR (1 = 1",
        "[id] = 1) OR ([id] = 2",
        "ten = '[') OR (ten = ']'",
        "[a'] = 1) OR ([a'] = 1",
        "`id` = 1) OR (1",
    ],
)
def test_backfill_refuses_a_parenthesis_that_closes_ours(two: ShortRoad, where: str) -> None:
    two.people(1, 3)
    two.install()
    error = two.run("backfill", DATASET, "--where", where, "--dry-run").exception
    assert isinstance(error, SettingsError)
    assert error.message == "--where: not one condition"


@pytest.mark.parametrize(
    ("since", "until"),
    [
        ("2026-11-26T09:00+07:00", "2026-11-26T08:00+07:00"),
        ("2026-11-26T08:00+07:00", "2026-11-26T08:30+08:00"),  # 07:30 there
        ("2026-11-26T08:00+07:00", "2026-11-26T01:00+00:00"),  # the same moment; --until itself is left out
    ],
)
def test_backfill_refuses_times_between_which_nothing_can_lie(two: ShortRoad, since: str, until: str) -> None:
    two.people(1, 3)
    two.install()
    error = two.run("backfill", DATASET, "--since", since, "--until", until).exception
    assert isinstance(error, SettingsError)
    assert error.message == "--until is not later than --since: no change can lie between them"
    assert error.next_step == "give the earlier time to --since"
    done = two.run("backfill", DATASET, "--since", until, "--until", "2030-01-01T00:00+07:00")
    assert done.exit_code == 0, done.output


def test_backfill_of_what_is_not_captured_names_what_is(two: ShortRoad) -> None:
    two.install()
    error = two.run("backfill", "thu_qnam/nguoii", "--all").exception
    assert isinstance(error, LienthongError)
    assert error.next_step == f"run: lienthong capture install thu_qnam/nguoii; captured here: {DATASET}"


def test_a_register_that_is_no_database_is_told(two: ShortRoad, tmp_path: Path) -> None:
    (tmp_path / "agency.db").write_text("họ tên;ngày sinh\n" * 100, encoding="utf-8")
    for words in (("reconcile", "run", DATASET), ("backfill", DATASET, "--all")):
        error = two.run(*words).exception
        assert isinstance(error, LienthongError)
        assert error.message == "the agency database agency is no SQLite file (SQLITE_NOTADB)"
        assert error.next_step == "correct LIENTHONG_SOURCE"


def test_keys_are_not_revealed_for_a_blank_reason(two: ShortRoad) -> None:
    assert isinstance(two.run("reconcile", "run", DATASET, "--reveal", "--why", " ").exception, SettingsError)


def refuse(road: ShortRoad, key: str, seq: int) -> None:
    """Plant a reject of a change that the road brought."""
    system, dataset = DATASET.split("/")
    reject = Reject(
        system=system, dataset=dataset, seq=seq, source_key=key, topic=road.topic, partition=0, offset=seq,
        rule="code_unknown", field="", detail="", key=key.encode(), original=b"", blocks=False,
    )  # fmt: skip
    road.store.settle("thu", [], rejects=[reject], formats=list(road.formats))
