"""``lienthong codes show`` answers exactly, or says why it cannot."""

import json

import pytest
from typer.testing import CliRunner, Result

from schemas.errors import SettingsError
from streams.cli import app


def ask(*words: str) -> Result:
    return CliRunner().invoke(app, ["codes", "show", *words])


def test_a_commune_code_is_told_as_it_was_on_that_day() -> None:
    answer = ask("xa", "20296", "--at", "2024-05-01")
    assert answer.exit_code == 0
    assert "exact" in answer.stdout
    assert "20296  Xã Hòa Liên  (parent 48, until 2025-07-01)" in answer.stdout


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
