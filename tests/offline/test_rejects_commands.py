"""``lienthong rejects`` on SQLite, with the translate hop beside it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from consumers.corrections import corrected, masked
from consumers.rejects_commands import MANY, rejects
from schemas.errors import LienthongError, SettingsError
from tests.envelopes import GOOD
from tests.hop_lab import SYSTEM, HopLab

BAD = {"ngay_dk": "31/02/2016"}
NAME = GOOD["ho_ten"]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HopLab]:
    """Two records refused, one of them with two changes behind it."""
    made = HopLab(tmp_path)
    monkeypatch.setenv("LIENTHONG_STORE", made.url)
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")
    made.run(made.change(2, **BAD), made.change(3, dan_toc="Sao Hỏa"), made.change(2), made.change(2))
    yield made
    made.close()


APP = typer.Typer()
APP.add_typer(rejects, name="rejects")


def run(*args: str) -> Result:
    result = CliRunner().invoke(APP, ["rejects", *args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_groups_by_cause_with_reason_and_what_waits(lab: HopLab) -> None:
    lines = [line.split("\t") for line in run("list", SYSTEM).stdout.splitlines()]
    assert lines[0][:5] == ["dataset", "field: rule", "open", "behind", "asked"]
    assert [line[:5] for line in lines[1:]] == [
        ["khaisinh", "ngayDangKy: date_impossible", "1", "2", "0"],
        ["khaisinh", "nksDanToc: code_unknown", "1", "0", "0"],
    ]
    assert lines[1][-1] == "ngayDangKy: the calendar has no such day. Compare with the paper register."
    told = json.loads(run("list", SYSTEM, "--rule", "code_unknown", "--json").stdout)
    assert [(one["rule"], one["how_many"]) for one in told] == [("code_unknown", 1)]
    assert "no reject is open" in run("list", SYSTEM, "--dataset", "kethon").stderr
    for words in (["list", "khac"], ["list", SYSTEM, "--dataset", "khai"], ["list", "khac", "--each"]):
        with pytest.raises(SettingsError, match="no contract") as caught:
            run(*words)
        assert "known here" in caught.value.next_step


@pytest.mark.parametrize("words", [("show", "0"), ("show", "9" * 20), ("drop", "1", "9" * 20, "--why", "x")])
def test_an_id_that_no_reject_can_have_is_refused(lab: HopLab, words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_each_tells_ids_and_no_person(lab: HopLab) -> None:
    out = run("list", SYSTEM, "--each").stdout
    assert [line.split("\t")[:5] for line in out.splitlines()[1:]] == [
        ["1", "khaisinh", "1", "ngayDangKy: date_impossible", "2"],
        ["2", "khaisinh", "2", "nksDanToc: code_unknown", "0"],
    ]
    lines = [json.loads(line) for line in run("list", SYSTEM, "--each", "--json").stdout.splitlines()]
    assert [(one["id"], one["waiting_behind"], one["contract"]) for one in lines] == [
        (1, 2, f"hotich_qnam/khaisinh@{lab.contract.version}"),
        (2, 0, f"hotich_qnam/khaisinh@{lab.contract.version}"),
    ]


def test_each_tells_more_rejects_than_are_read_at_once(lab: HopLab) -> None:
    others = 2 * MANY
    with closing(sqlite3.connect(lab.folder / "national.db")) as store, store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(lienthong_reject)") if row[1] != "id"]
        names = ", ".join(f'"{one}"' for one in columns)
        others_than = {"offset": "100 + value", "blocks": "false"}
        values = ", ".join(others_than.get(one, f'"{one}"') for one in columns)
        store.execute(
            f"INSERT INTO lienthong_reject ({names}) SELECT {values}"
            f" FROM lienthong_reject, (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n"
            f" WHERE value < {others}) SELECT value FROM n) WHERE id = 2"
        )
    lines = [json.loads(line) for line in run("list", SYSTEM, "--each", "--json").stdout.splitlines()]
    assert [one["id"] for one in lines] == list(range(1, others + 3))
    assert [one["waiting_behind"] for one in lines[:3]] == [2, 0, 0]


def test_what_was_asked_for_is_told_in_vietnamese_too(lab: HopLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "vi")
    told = run("fix", "1", "--set", "ngay_dk=01/03/2016", "--why", "theo sổ gốc")
    assert "đã sửa bản 1 (ngay_dk)" in told.stderr
    assert "đã giao\tthử lại" in run("show", "1").stdout
    lines = run("list", SYSTEM, "--each").stdout.splitlines()
    assert [line.split("\t")[5] for line in lines[1:]] == ["thử lại", "-"]
    assert "1 bản sẽ bị từ chối hẳn; chưa làm gì" in run("drop", "2", "--why", "x").stderr
    assert "1 bản: đã giao việc bỏ" in run("drop", "2", "--why", "x", "--yes").stderr


def test_show_masks_every_value_unless_revealed_and_that_is_noted_first(lab: HopLab) -> None:
    out = run("show", "1").stdout
    assert "ngay_dk\t-\t99/99/9999" in out
    assert NAME not in out
    assert "31/02/2016" not in out
    with pytest.raises(SettingsError, match="--why"):
        run("show", "1", "--reveal")
    assert lab.store.deeds(1) == []
    shown = run("show", "1", "--reveal", "--why", "đối chiếu sổ", "--by", "lan").stdout
    assert f"ho_ten\t-\t{NAME}" in shown
    (deed,) = lab.store.deeds(1)
    assert (deed.who, deed.action, deed.why) == ("lan", "reveal", "đối chiếu sổ")
    told = json.loads(run("show", "1", "--json").stdout)
    assert (told["waiting_behind"], told["numbers_behind"], told["source_key"]) == (2, [3, 4], "9")
    assert told["columns"]["ngay_dk"] == [None, "99/99/9999"]
    with pytest.raises(LienthongError, match="no reject 99"):
        run("show", "99")


@pytest.mark.parametrize(
    ("words", "deed"),
    [
        (("show", "1", "--reveal"), "--reveal"),
        (("fix", "1", "--set", "ngay_dk=01/03/2016"), "rejects fix"),
        (("retry", "1"), "rejects retry"),
        (("drop", "1", "--yes"), "rejects drop"),
    ],
)
@pytest.mark.parametrize("why", [" ", "\u00a0…!"])
def test_a_reason_without_a_word_is_none(lab: HopLab, words: tuple[str, ...], deed: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        run(*words, "--why", why)
    assert caught.value.message == f"{deed} needs --why with a reason in words"
    assert caught.value.next_step.startswith("add: --why …")
    assert lab.store.deeds(1) == []


@pytest.mark.parametrize("error", [KeyError, OSError, ImportError])
def test_a_user_without_a_name_is_asked_for_one(
    lab: HopLab, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise error("uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    with pytest.raises(SettingsError, match="who are you") as caught:
        run("show", "1", "--reveal", "--why", "x")
    assert caught.value.next_step == "give --by NAME"
    assert lab.store.deeds(1) == []
    assert run("show", "1", "--reveal", "--why", "x", "--by", "lan").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("show", "1", "--reveal"),
        ("fix", "1", "--set", "ngay_dk=01/03/2016"),
        ("retry", "1"),
        ("drop", "1", "--yes"),
    ],
)
@pytest.mark.parametrize("by", [" ", "\u00a0…!", "4711"])
def test_a_name_without_a_letter_is_none(lab: HopLab, words: tuple[str, ...], by: str) -> None:
    with pytest.raises(SettingsError) as caught:
        run(*words, "--why", "theo sổ gốc", "--by", by)
    assert (caught.value.message, caught.value.next_step) == ("--by names nobody", "give --by NAME")
    assert lab.store.deeds(1) == []


def test_a_value_put_right_by_hand_goes_on_its_way(lab: HopLab) -> None:
    told = run("fix", "1", "--set", "ngay_dk=01/03/2016", "--unset", "trang_so", "--why", "theo sổ gốc")
    assert "reject 1 corrected (ngay_dk, trang_so)" in told.stderr
    lab.mend()
    assert lab.published() == [("2", 1), ("2", 3), ("2", 4)]
    (deed,) = lab.store.deeds(1)
    assert (deed.action, deed.why, deed.detail) == ("fix", "theo sổ gốc", "ngay_dk, trang_so")
    with pytest.raises(LienthongError, match="not open"):
        run("fix", "1", "--set", "ngay_dk=02/03/2016", "--why", "x")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "nothing to correct"),
        (("--set", "ngay_dk"), "nothing to correct"),
        (("--set", "ngay=1"), "has no column ngay"),
        (("--set", "ho_ten=A", "--unset", "ho_ten"), "column ho_ten is given more than once"),
        (("--set", "ho_ten=A", "--set", "ho_ten=B"), "column ho_ten is given more than once"),
        (("--unset", "ho_ten", "--unset", "ho_ten"), "column ho_ten is given more than once"),
        (("--set", "trang_thai=một"), "column trang_thai is long"),
        (("--set", "trang_thai=9_9"), "column trang_thai is long"),
        (("--set", "trang_thai=\u0661"), "column trang_thai is long"),
        (("--set", "du_lieu_cu=có"), "column du_lieu_cu is boolean"),
    ],
)
def test_a_correction_that_is_none_is_told(lab: HopLab, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        run("fix", "1", *words, "--why", "x")
    assert lab.store.deeds(1) == []


def test_a_double_is_a_number_that_a_register_writes(lab: HopLab) -> None:
    row = lab.store.reject(1)
    assert row is not None
    columns = {**lab.contract.columns, "trang_thai": "double"}
    contracts = {**lab.library.contracts, lab.contract.id: replace(lab.contract, columns=columns)}
    library = replace(lab.library, contracts=contracts)
    for text in ("nan", "inf", "-Infinity", "1e400", "1_0.5", "\u0661.5", "1,5"):
        with pytest.raises(SettingsError, match="column trang_thai is double"):
            corrected(row.reject, library, {"trang_thai": text}, ())


@pytest.mark.parametrize("words", [("--set", "id=2"), ("--unset", "id")])
def test_a_correction_never_makes_it_another_record(lab: HopLab, words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="column id is in the key of hotich_qnam/khaisinh") as caught:
        run("fix", "1", "--set", "ngay_dk=01/03/2016", *words, "--why", "x")
    assert "lienthong rejects retry" in caught.value.next_step
    assert lab.store.deeds(1) == []


def test_a_correction_that_nobody_could_read_is_refused(lab: HopLab) -> None:
    words = ("--set", f"ho_ten={'x' * 600_000}", "--set", f"noi_sinh={'x' * 600_000}")
    with pytest.raises(
        SettingsError, match=r"the corrected record has \d{7} bytes, the limit is 1048576"
    ) as caught:
        run("fix", "1", *words, "--why", "theo sổ gốc")
    assert caught.value.next_step.startswith("give shorter values")
    assert lab.store.deeds(1) == []
    run("fix", "1", "--set", "ngay_dk=01/03/2016", "--why", "theo sổ gốc")
    lab.mend()
    assert lab.published() == [("2", 1), ("2", 3), ("2", 4)]


def test_bytes_that_cannot_be_read_are_told_and_cannot_be_corrected(lab: HopLab) -> None:
    lab.run(lab.raw(b"5", b"\0\0", seq=9))
    assert "the record cannot be read" in run("show", "3").stdout
    with pytest.raises(LienthongError, match="cannot be read") as caught:
        run("fix", "3", "--set", "so_dk=1", "--why", "x")
    assert "--supersede" in caught.value.next_step


@pytest.mark.parametrize(
    "words",
    [("retry",), ("retry", "--supersede"), ("drop", "--why", "ghi nhầm"), ("drop", "--why", "x", "--yes")],
)
def test_an_unknown_id_is_named_and_nothing_is_asked_of_the_others(
    lab: HopLab, words: tuple[str, ...]
) -> None:
    with pytest.raises(LienthongError) as caught:
        run(*words, "1", "99", "2", "98", "99")
    assert caught.value.message == "there is no reject 99, 98"
    assert caught.value.next_step == "see: lienthong rejects list SYSTEM --each"
    assert [row.asked for row in lab.store.rejects(SYSTEM)] == [None, None]
    assert lab.store.deeds(1) == []


def test_retry_and_drop_ask_by_cause_or_id(lab: HopLab) -> None:
    assert "1 rejects: supersede asked for" in run("retry", "--system", SYSTEM, "--supersede").stderr
    lab.mend()
    assert lab.published() == [("2", 4)]
    told = run("drop", "2", "--why", "ghi nhầm")
    assert "1 rejects would be dropped; nothing was done" in told.stderr
    run("drop", "2", "--why", "ghi nhầm", "--yes")
    lab.mend()
    assert [row.became for row in lab.store.rejects(SYSTEM)] == ["superseded", "dropped"]
    assert run("retry", "--system", SYSTEM).exit_code == 1
    with pytest.raises(SettingsError, match="which rejects"):
        run("retry")


@pytest.mark.parametrize(
    "words", [("retry",), ("drop", "--why", "ghi nhầm"), ("drop", "--why", "x", "--yes")]
)
def test_a_misspelt_name_is_told_and_not_counted_as_nothing(lab: HopLab, words: tuple[str, ...]) -> None:
    for where in (("--system", "khac"), ("--system", SYSTEM, "--dataset", "khai")):
        with pytest.raises(SettingsError, match="no contract"):
            run(*words, *where)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, None),
        ("Bhling Thị Thử", "Aaaaaa Aaa Aaa"),
        ("Tri\u0323", "Aaa"),
        (1001, "9999"),
        ("x" * 99, "a" * 60 + "… (99)"),
        ("\u0007", "?"),
    ],
)
def test_a_shape_tells_no_value(value: object, shape: str | None) -> None:
    assert masked(value) == shape
