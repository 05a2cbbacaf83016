"""``lienthong contracts show``: one page that tells what becomes of a dataset, in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsError
from schemas.gates.words import RULES as WORDS
from schemas.gates.words import in_words
from schemas.library import SHIPPED
from schemas.rules import RULES, Rule
from tests.gates import EXAMPLES, LIBRARY, OTHER, run, write
from tests.shipped import shipped

ID = "hotich_qnam/khaisinh"


def page(folder: Path, *words: str, name: str = ID, shipped: Path = LIBRARY) -> str:
    result = run(folder, "show", name, *words, shipped=shipped)
    assert result.exit_code == 0, result.output
    return result.stdout


def line(text: str, field: str) -> list[str]:
    """The cells of a field's row."""
    (found,) = (one for one in text.splitlines() if one.startswith("| ") and f"({field})" in one)
    return [cell.strip() for cell in found.strip("|").split(" | ")]


def test_a_clerk_reads_what_goes_where_by_which_rule_and_law(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.startswith("# Sổ đăng ký khai sinh tỉnh Quảng Nam\n")
    assert "## → Sổ đăng ký khai sinh (KS, 60 trường) (hotich.khaisinh.v1)" in text
    label, column, how, before, after, basis = line(text, "nksDanToc")
    assert label == "Dân tộc người được khai sinh (nksDanToc) *bắt buộc, nhạy cảm*"
    assert column == "dan_toc"
    assert how.startswith("mã theo danh mục dantoc")
    assert (before, after) == ("Cơ Tu", "26 (Cơ-tu)")
    assert basis.startswith("the GSO list of ethnic groups")
    assert "khác thì từ chối" in text
    assert "giữ kèm bản ghi (lt_overflow) (2): so_dinh_danh; du_lieu_cu\n" in text
    assert "[I]: suy ra" in text


def test_a_day_that_is_needed_is_not_said_to_be_left_out(tmp_path: Path) -> None:
    text = page(tmp_path, "--lang", "en")
    assert line(text, "ngayDangKy")[2].endswith("written dd.MM.yyyy; refused if a part is not known")
    assert (
        "written dd.MM.yyyy or MM.yyyy or yyyy; what is not known is left out" in line(text, "nksNgaySinh")[2]
    )


def test_a_code_is_named_as_of_the_day_of_the_example(tmp_path: Path) -> None:
    assert line(page(tmp_path), "noiDangKy")[4].startswith("20656 (Xã ")


def test_the_page_in_english_and_as_json(tmp_path: Path) -> None:
    assert line(page(tmp_path, "--lang", "en"), "trangSo")[2] == "copied, without spaces too many"
    told: dict[str, Any] = json.loads(page(tmp_path, "--json"))
    assert told["owner"] == "Sở Tư pháp tỉnh Quảng Nam"
    (so, *_) = told["parts"][0]["lines"]
    assert (so["field"], so["before"], so["after"]) == ("so", {"so_dk": "45/2016"}, "45/2016")
    assert told["parts"][0]["beyond"]["kept"] == ["so_dinh_danh", "du_lieu_cu"]


def test_fields_that_are_not_sure_are_marked(tmp_path: Path) -> None:
    library = shipped()
    for contract in library.contracts.values():
        text = page(tmp_path, name=contract.id, shipped=SHIPPED)
        for target in contract.targets:
            for field in library.formats[target.format].fields:
                if field.evidence != "V" and field.name in target.rules:
                    assert f"({field.name}) [{field.evidence}]" in text


def test_without_examples_the_page_has_no_values(tmp_path: Path) -> None:
    write(tmp_path, "contracts/a/b.yaml", OTHER)
    assert line(page(tmp_path, name="a/b"), "so")[3:5] == ["–", "–"]
    write(tmp_path, "contracts/a/b.examples.yaml", EXAMPLES.replace("45/2016", "7|8"))
    assert "| 7\\|8 |" in page(tmp_path, name="a/b")


def test_a_contract_that_is_not_there(tmp_path: Path) -> None:
    error = run(tmp_path, "show", "hotich_qnam/khaisin").exception
    assert isinstance(error, SettingsError)
    assert "did you mean hotich_qnam/khaisinh?" in error.next_step


def test_every_kind_of_rule_has_words_in_both_languages() -> None:
    assert set(RULES) <= set(WORDS)
    assert all(said["vi"] and said["en"] and said["vi"] != said["en"] for said in WORDS.values())


def test_a_rule_of_a_province_is_told_by_its_own_documentation() -> None:
    class Ours(Rule):
        """What only we do.

        At length.
        """

        def columns(self, take: Any, given: Any) -> Any:
            raise AssertionError("never run")

    assert in_words(Ours.model_validate({"rule": "ours"}), None, "vi") == "What only we do."


@pytest.mark.parametrize(("language", "said"), [("vi", "phần đầu"), ("en", "the first part")])
def test_parameters_are_said(language: Any, said: str) -> None:
    rule = shipped().contracts[ID].targets[0].rules["nguoiKy"]
    told = in_words(rule, None, language)
    assert told.startswith(said)
    assert "“ - ”" in told
