"""Laws of a comparison, whatever databases it stands between. A subclass gives ``road``: a short one."""

import json
from collections import Counter

import pytest

from consumers.proofs import Proof
from consumers.receipts import Reject
from consumers.reconcile import LOOK_AGAIN_SECONDS
from consumers.reconcile_commands import CannotCompare
from consumers.store import inbound_name
from schemas.errors import LienthongError, SettingsError
from tests.short_road import DATASET, FORMAT, TABLE, ShortRoad


def counts(proof: Proof) -> dict[str, int]:
    names = ("missing", "extra", "different", "refused", "in_flight")
    return {name: getattr(proof, name) for name in names if getattr(proof, name)}


def found(road: ShortRoad) -> dict[str, int]:
    return counts(road.compare()[0])


def plant(road: ShortRoad) -> None:
    """One record missing, one with another name, one under another key, one that becomes another's."""
    road.spoil(
        f"DELETE FROM {TABLE} WHERE lt_key = 'S3'",
        f"UPDATE {TABLE} SET ten = 'Người Khác' WHERE lt_key = 'S5'",
        f"UPDATE {TABLE} SET lt_key = 'S700', so = 'S700' WHERE lt_key = 'S7'",
        f"UPDATE {TABLE} SET lt_key = 'S999', so = 'S999', lt_source_key = '999' WHERE lt_key = 'S9'",
    )


class ReconcileLaws:
    def test_two_empty_sides_are_equal(self, road: ShortRoad) -> None:
        road.install()
        proof, differences = road.compare()
        assert (proof.rows, proof.translated, counts(proof), differences) == (0, 0, {}, [])

    def test_only_what_changed_since_the_last_proof_is_translated_anew(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 300)
        road.bring()
        first, _ = road.compare()
        assert (first.rows, first.translated, counts(first)) == (300, 300, {})
        again, _ = road.compare()
        assert (again.rows, again.translated, counts(again)) == (300, 0, {})
        assert road.compare(full=True)[0].translated == 300
        road.write("UPDATE so_nguoi SET ten = 'trần thử' WHERE id = 5", "DELETE FROM so_nguoi WHERE id = 6")
        road.bring()
        third, _ = road.compare()
        assert (third.rows, counts(third)) == (299, {})
        assert 1 <= third.translated < 10
        assert road.compare()[0].translated == 0
        (proof,) = road.store.proofs()
        assert (proof.rows, proof.drift, f"{proof.system}/{proof.dataset}") == (299, 0, DATASET)

    @pytest.mark.parametrize("proved_before", [False, True])
    def test_planted_drift_is_found_by_record_and_field_and_repaired_by_the_road(
        self, road: ShortRoad, proved_before: bool
    ) -> None:
        road.install()
        road.people(1, 300)
        road.bring()
        if proved_before:
            road.compare()
        plant(road)
        proof, differences = road.compare()
        assert sorted((one.kind, one.source_key, one.fields) for one in differences) == [
            ("different", "5", ("ten",)),
            ("different", "7", ("so",)),
            ("extra", "999", ()),
            ("missing", "3", ()),
            ("missing", "9", ()),
        ]
        if proved_before:
            assert proof.translated < 30
        assert road.repair(send=False) == {"records": 4, "kept_back": 1}
        assert road.bring() == 0
        assert road.repair() == {"records": 4, "kept_back": 1}
        assert found(road) == {"in_flight": 4, "extra": 1}
        assert road.bring() == 4
        assert found(road) == {"extra": 1}
        assert road.repair(deletes=True) == {"deletes": 1}
        assert road.bring() == 1
        assert found(road) == {}
        stored = road.stored()
        assert set(stored) == {f"S{n}" for n in range(1, 301)}
        assert stored["S5"] == ("5", "Nguyễn Văn Thử", "01.02.2016")

    def test_a_bucket_that_differs_is_told_as_translated_once(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 50)
        road.bring()
        road.spoil(f"DELETE FROM {TABLE}")
        proof, _ = road.compare()
        assert (proof.rows, proof.translated, proof.missing) == (50, 50, 50)
        road.write("UPDATE so_nguoi SET ten = 'x' WHERE id = 1")
        assert road.compare()[0].translated == 50

    def test_changes_on_their_way_are_no_drift(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 50)
        road.bring()
        road.compare()
        road.people(51, 1)
        road.write("UPDATE so_nguoi SET ten = 'x' WHERE id = 5", "DELETE FROM so_nguoi WHERE id = 6")
        assert found(road) == {"in_flight": 3}
        assert road.repair(deletes=True) == {}
        road.bring()
        assert found(road) == {}

    def test_a_change_that_never_arrived_is_on_its_way_until_its_gap_is_known(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 50)
        road.bring(lose=["5"])
        assert found(road) == {"in_flight": 1}
        system, dataset = DATASET.split("/")
        (answers,) = road.store.answers(system, dataset)
        road.store.note_gaps(system, dataset, answers.waiting)
        assert found(road) == {"missing": 1}
        assert road.repair() == {"records": 1}
        road.bring()
        assert found(road) == {}

    def test_refused_records_have_an_answer_and_are_not_missing(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 50)
        road.write("UPDATE so_nguoi SET ngay = '31/02/2016' WHERE id = 5")
        road.bring()
        road.write("UPDATE so_nguoi SET ngay = '30/02/2016' WHERE id = 6")
        road.bring()
        for _ in range(2):
            proof, differences = road.compare()
            assert counts(proof) == {"refused": 2}
            assert {one.kind for one in differences} == {"refused"}
        assert road.repair(deletes=True) == {}

    def test_a_record_that_an_inbound_contract_refused_is_missing_if_it_is_gone(
        self, road: ShortRoad
    ) -> None:
        road.install()
        road.people(1, 50)
        road.bring()
        system, dataset = DATASET.split("/")
        theirs = Reject(
            system=system, dataset=dataset, seq=3, source_key="3", topic=f"national.{FORMAT}", partition=0,
            offset=2, rule="code_unknown", field="", detail="", key=b"S3", original=b"", blocks=True,
            contract="yte_qnam/nguoidan@1",
        )  # fmt: skip
        reader = inbound_name("thu", "yte_qnam/nguoidan")
        road.store.settle(reader, [], rejects=[theirs], formats=["yte.nguoidan.v1"])
        assert found(road) == {}
        road.spoil(f"DELETE FROM {TABLE} WHERE lt_key = 'S3'")
        assert found(road) == {"missing": 1}
        assert road.repair() == {"records": 1}
        road.bring()
        assert found(road) == {}

    def test_records_that_nobody_was_told_of_are_missing_even_if_they_would_be_refused(
        self, road: ShortRoad
    ) -> None:
        road.people(1, 30)
        road.write("UPDATE so_nguoi SET ngay = '31/02/2016' WHERE id = 5")
        road.install()
        for _ in range(2):
            proof, differences = road.compare()
            assert counts(proof) == {"missing": 30}
            assert [(one.source_key, one.rule) for one in differences if one.rule] == [
                ("5", "date_impossible")
            ]
        assert road.repair() == {"records": 30}
        road.bring()
        assert found(road) == {"refused": 1}

    def test_records_out_of_force_are_not_expected_and_taken_out_by_word_only(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 20)
        road.bring()
        road.write("UPDATE so_nguoi SET trang_thai = 0 WHERE id IN (4, 5)")
        road.bring()
        assert found(road) == {}
        road.spoil(f"UPDATE {TABLE} SET lt_deleted_at = NULL WHERE lt_key = 'S4'")
        assert found(road) == {"extra": 1}
        assert road.repair() == {"kept_back": 1}
        assert road.repair(deletes=True) == {"records": 1}
        road.bring()
        assert found(road) == {}

    def test_a_delete_that_nobody_can_tell_is_said_to_be_so(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 20)
        road.bring()
        road.spoil(f"UPDATE {TABLE} SET lt_source_key = '999', so = NULL WHERE lt_key = 'S9'")
        assert road.repair(deletes=True) == {"records": 1, "untold": 1}

    def test_a_source_that_is_not_captured_is_looked_at_twice_and_cannot_be_repaired(
        self, road: ShortRoad, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        road.people(1, 20)
        pauses: list[float] = []
        monkeypatch.setattr("consumers.reconcile.time.sleep", pauses.append)
        assert found(road) == {"missing": 20}
        assert pauses == [LOOK_AGAIN_SECONDS]
        with pytest.raises(LienthongError, match="not captured"):
            road.repair()

    # --- commands ------------------------------------------------------------------------------------

    def test_the_command_tells_fields_and_masked_keys_and_no_value(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 20)
        road.bring()
        assert road.run("reconcile", "run", DATASET).exit_code == 0
        road.spoil(f"UPDATE {TABLE} SET ten = 'Người Bí Mật', ngay = NULL WHERE lt_key = 'S17'")
        done = road.run("reconcile", "run", DATASET)
        assert done.exit_code == 1
        assert "different\tthu.nguoi.v1\t99\t17\tten, ngay" in done.stdout
        assert "Bí Mật" not in done.output
        assert isinstance(road.run("reconcile", "run", DATASET, "--reveal").exception, SettingsError)
        done = road.run("reconcile", "run", DATASET, "--json", "--reveal", "--why", "xem lại sổ")
        told = json.loads(done.stdout)
        assert (told["equal"], told["different"], told["differences"][0]["key"]) == (False, 1, "17")
        (deed,) = road.store.deeds(0)
        assert (deed.action, deed.why, deed.detail) == ("reveal", "xem lại sổ", f"keys of {DATASET}")
        done = road.run("reconcile", "repair", DATASET, "--dry-run")
        assert done.exit_code == 1
        assert "1 records and 0 deletes would be sent" in done.stderr
        assert road.run("reconcile", "repair", DATASET).exit_code == 0
        assert road.bring() == 1
        assert road.run("reconcile", "run", DATASET).exit_code == 0

    def test_the_command_speaks_vietnamese_to_the_last_line(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 20)
        road.bring()
        said = road.run("reconcile", "run", DATASET, "--lang", "vi").stderr
        assert f"{DATASET}: bằng nhau; 20 bản ghi ở nguồn, dịch 20 bản" in said
        road.spoil(f"DELETE FROM {TABLE} WHERE lt_key = 'S3'")
        said = road.run("reconcile", "repair", DATASET, "--dry-run", "--lang", "vi").stderr
        assert f"{DATASET}: 1 thiếu, 0 thừa, 0 khác" in said
        assert "1 bản ghi và 0 lệnh xóa sẽ được gửi" in said

    def test_the_command_tells_what_is_no_drift_by_cause_and_json_each(self, road: ShortRoad) -> None:
        road.install()
        road.people(1, 20)
        road.bring()
        road.write("UPDATE so_nguoi SET ngay = '31/02/2016' WHERE id <= 9")
        road.bring()
        road.write("UPDATE so_nguoi SET ten = 'x' WHERE id > 15")
        road.spoil(f"UPDATE {TABLE} SET ten = 'Khác' WHERE lt_key = 'S12'")
        done = road.run("reconcile", "run", DATASET)
        assert done.exit_code == 1
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        assert [line[:2] for line in lines] == [
            ["kind", "format"],
            ["different", "thu.nguoi.v1"],
            ["no drift", "format"],
            ["refused or parked", "thu.nguoi.v1"],
            ["in flight", "thu.nguoi.v1"],
        ]
        refused, in_flight = lines[3:]
        assert (refused[2], len(refused[3].split(", ")), refused[4]) == ("9", 3, "ngay")
        assert "the calendar has no such day" in refused[5]
        assert in_flight[2] == "5"
        assert "lienthong rejects list thu_qnam --dataset nguoi --each" in done.stderr
        told = json.loads(road.run("reconcile", "run", DATASET, "--json").stdout)["differences"]
        assert Counter(one["kind"] for one in told) == {"refused": 9, "in_flight": 5, "different": 1}

    def test_the_command_says_how_many_it_leaves_out(
        self, road: ShortRoad, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("consumers.reconcile_commands.MANY", 3)
        road.install()
        road.people(1, 20)
        road.bring()
        road.write("UPDATE so_nguoi SET ten = 'x' WHERE id > 15")
        road.spoil(f"DELETE FROM {TABLE} WHERE lt_key IN ('S1', 'S2', 'S3', 'S4', 'S5')")
        road.spoil(f"UPDATE {TABLE} SET ten = 'Khác' WHERE lt_key IN ('S7', 'S8')")
        done = road.run("reconcile", "run", DATASET)
        assert done.stdout.count("missing in the store") == 3
        assert "2 more that differ are not listed: only the first 3 of each kind are" in done.stderr
        told = json.loads(road.run("reconcile", "run", DATASET, "--json").stdout)
        assert Counter(one["kind"] for one in told["differences"]) == {
            "missing": 3, "in_flight": 3, "different": 2,
        }  # fmt: skip
        assert told["left_out"] == {"missing": 2, "in_flight": 2}
        assert "not listed" not in road.run("reconcile", "repair", DATASET).stderr

    @pytest.mark.parametrize("dataset", ["thu_qnam/khong", "hotich_qnam/khaisinh"])
    def test_what_cannot_be_compared_ends_with_2(self, road: ShortRoad, dataset: str) -> None:
        error = road.run("reconcile", "run", dataset).exception
        assert isinstance(error, CannotCompare)
        assert error.exit_code == 2
        assert error.next_step

    def test_a_table_that_is_not_there_is_no_unforeseen_error(self, road: ShortRoad) -> None:
        road.write("DROP TABLE so_nguoi")
        error = road.run("reconcile", "run", DATASET).exception
        assert isinstance(error, CannotCompare)
        assert error.next_step

    def test_backfill_by_key_condition_time_and_table(self, road: ShortRoad) -> None:
        road.people(1, 30)
        road.install()
        for words, sent in (
            (["--key", "3", "--key", "5"], 2),
            (["--where", "id % 10 = 0 AND ten LIKE 'ng%'"], 3),
            (["--all"], 30),
            (["--where", "(ten <> ':-)' AND id < 3)"], 2),
            (["--since", "2020-01-01T00:00+07:00", "--where", "id > 7"], 23),
            (["--until", "2020-01-01T00:00+07:00"], 0),
        ):
            told = road.run("backfill", DATASET, *words, "--dry-run")
            assert f"{sent} records would be sent" in told.stderr, told.output
            assert road.bring() == 0
            done = road.run("backfill", DATASET, *words)
            assert done.exit_code == 0, done.output
            assert road.bring() == sent
        assert found(road) == {}

    def test_backfill_says_what_it_does_not_understand(self, road: ShortRoad) -> None:
        road.people(1, 3)
        road.install()
        for words in ([], ["--dry-run"]):
            done = road.run("backfill", DATASET, "--key", "99", *words)
            assert done.exit_code == 1
            assert "1 keys name no record of so_nguoi" in done.stderr
        for words in (
            [], ["--key", "1", "--all"], ["--where", "id = 1; DELETE FROM so_nguoi"], ["--since", "hôm qua"],
            ["--where", "khong_co = 1"], ["--since", "2020-01-01"], ["--where", "id = 1) OR (1 = 1"],
            ["--where", "id = 1 /*'*/) OR (1 = 1 /*'*/"],
        ):  # fmt: skip
            done = road.run("backfill", DATASET, *words)
            assert isinstance(done.exception, LienthongError), (words, done.output)
        assert road.bring() == 0
