"""``lienthong codes show`` answers exactly, or says why it cannot."""

import json
import re

import pytest
from typer.testing import CliRunner, Result

from schemas.errors import SettingsError
from streams.cli import app


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, ["codes", "show", *words])


def test_a_commune_code_is_told_as_it_was_on_that_day() -> None:
    answer = ask("xa", "20296", "--at", "2024-05-01")
    assert answer.exit_code == 0
    assert "exact" in answer.stdout
    assert "20296  Xã Hòa Liên  (parent 48, district 497, until 2025-07-01)" in answer.stdout


def test_the_answer_is_told_in_vietnamese_too() -> None:
    answer = ask("xa", "20296", "--at", "2024-05-01", "--on", "2025-07-01", "--lang", "vi")
    assert answer.stdout.splitlines()[:3] == [
        "dvhc.xa: 20296 ngày 2024-05-01: đúng một",
        "  20296  Xã Hòa Liên  (thuộc 48, huyện 497, đến 2025-07-01)",
        "dvhc.xa: 20296 ngày 2025-07-01: mơ hồ",
    ]
    told = json.loads(ask("xa", "20296", "--at", "2024-05-01", "--lang", "vi", "--json").stdout)
    assert told["answer"] == "exact"


def test_a_commune_that_was_divided_names_both_its_successors() -> None:
    answer = ask("xa", "20296", "--at", "2024-05-01", "--on", "2025-07-01")
    assert answer.exit_code == 1
    assert answer.stdout.splitlines()[2:] == [
        "dvhc.xa: 20296 on 2025-07-01: ambiguous",
        "  20194  Phường Hải Vân  (parent 48, from 2025-07-01)",
        "  20197  Phường Liên Chiểu  (parent 48, from 2025-07-01)",
    ]


def test_what_became_of_a_unit_is_told_as_json_too() -> None:
    answer = ask("dvhc.tinh", "Quảng Nam", "--at", "2024-05-01", "--on", "2026-01-01", "--json")
    assert answer.exit_code == 0
    told = json.loads(answer.stdout)
    assert [entry["code"] for entry in told["entries"]] == ["49"]
    assert told["became"]["on"] == "2026-01-01"
    assert [entry["name"] for entry in told["became"]["entries"]] == ["Thành phố Đà Nẵng"]


def test_what_is_not_supplied_is_said_to_be_so() -> None:
    answer = ask("xa", "00004", "--at", "2024-05-01", "--on", "2025-07-01")
    assert answer.exit_code == 1
    assert "does not tell what became of it" in answer.stdout


def test_a_later_day_needs_an_earlier_one() -> None:
    answer = ask("xa", "20296", "--on", "2025-07-01")
    assert isinstance(answer.exception, SettingsError)
    assert "--at" in answer.exception.next_step


def test_every_list_is_told() -> None:
    answer = CliRunner().invoke(app, ["codes", "list", "--json"])
    assert answer.exit_code == 0
    told = {one["list"]: one for one in json.loads(answer.stdout)}
    assert (told["dvhc.xa"]["codes"], told["dvhc.xa"]["successors"]) == (10_621, 281)
    assert {"title", "source", "evidence"} <= told["donvi.cap1"].keys()
    lines = CliRunner().invoke(app, ["codes", "list"]).stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(told)
    assert re.search(r"donvi.cap1 +28  V/I/U  by day  Mã định danh", "\n".join(lines))


def test_a_code_that_was_not_in_force_shows_when_it_was() -> None:
    answer = ask("dvhc.xa", "20296", "--at", "2026-01-01")
    assert answer.exit_code == 1
    assert "not valid then" in answer.stdout
    assert "Xã Hòa Liên" in answer.stdout


def test_an_ambiguous_code_names_its_candidates_as_json() -> None:
    answer = ask("dvhc.tinh", "15", "--json")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert told["answer"] == "ambiguous"
    assert [entry["name"] for entry in told["entries"]] == ["Tỉnh Yên Bái", "Tỉnh Lào Cai"]
    assert told["entries"][0]["valid_to"] == "2025-07-01"


def test_a_name_is_asked_in_any_spelling() -> None:
    assert "26  Cơ" in ask("dantoc", "CƠ-TU").stdout


def test_what_no_list_knows_is_unknown() -> None:
    answer = ask("dantoc", "no such group")
    assert (answer.exit_code, "unknown" in answer.stdout) == (1, True)


@pytest.mark.parametrize(("name", "text"), [("xaa", "no code list xaa"), ("tinh", "tinh may be any of")])
def test_a_list_that_is_not_there_or_not_the_only_one_is_told(name: str, text: str) -> None:
    answer = ask(name, "1")
    assert isinstance(answer.exception, SettingsError)
    assert text in answer.exception.message
    assert answer.exception.next_step
