"""Parameters of a rule that cannot be right are told at its line, with what is wrong and the next step."""

from pathlib import Path

import pytest

from tests.gates import rule_of
from tests.offline.test_contract_errors import CONTRACT, refused, told

WRITTEN = f"trangSo: {rule_of('trangSo')}"
DAY = "ngayDangKy:\n        rule: date\n        from: ngay_dk\n        precision: day\n"


@pytest.mark.parametrize(
    ("rule", "text", "next_step"),
    [
        ("rule: constant, value: a, from: trang_so", "unknown key targets.", "known here: rule, basis, note"),
        ("rule: constant", "trangSo.value is missing", "add value"),
        ("rule: join, from: [so_dk, trang]", "the source has no column trang", "did you mean trang_so?"),
        ("rule: join, from: [id, id]", "column id is named twice", "name each column once"),
        ("rule: join, from: id", "trangSo.from: a list belongs here", "correct"),
        ("rule: join, from: []", "trangSo.from: something must stand here", "correct"),
        ('rule: number, from: so_dk, thousands: ","', "is also the decimal mark", "write the two marks"),
        ('rule: number, from: so_dk, thousands: "0"', "0 is part of a number itself", "write the mark"),
        (
            'rule: number, from: so_dk, decimal_mark: "", decimals: 2',
            "there is no decimal mark",
            "name the mark",
        ),
        ("rule: number, from: id, decimals: 19", "decimals: it must be 18 or less", "correct"),
        ("rule: date, from: so_dk, precision: kept, form: yyMMdd", "yyMMdd is no form of", "write it like"),
        (
            "rule: date, from: so_dk, precision: kept, form: yyyy|MM.yyyy",
            "MM.yyyy is not less precise",
            "write",
        ),
        ("rule: date, from: so_dk, precision: kept, form: dd.yyyy", "leaves out a part", "write it like"),
        (
            "rule: date, from: so_dk, precision: kept, form: yyyyMMddHH",
            "has a time of day",
            "use rule moment",
        ),
        ("rule: date, from: so_dk, precision: day, form: yyyy", "date form has no day", "precision: kept"),
        (
            'rule: split, from: so_dk, separator: "\\t", part: first',
            "no cleaned text holds '\\t'",
            "one blank",
        ),
        ('rule: split, from: so_dk, separator: "  ", part: rest', "no cleaned text holds '  '", "one blank"),
        ("rule: personal_id, from: so_dk, old: maybe", "old: true or false belongs here", "correct"),
    ],
)
def test_wrong_parameters(rule: str, text: str, next_step: str, tmp_path: Path) -> None:
    assert WRITTEN in CONTRACT
    error = refused(tmp_path, "contracts/a/b.yaml", CONTRACT.replace(WRITTEN, f"trangSo: {{{rule}}}"))
    line = CONTRACT[: CONTRACT.index(WRITTEN)].count("\n") + 1
    assert told(error, tmp_path / "contracts/a/b.yaml", line, text, next_step)


def test_the_form_of_the_field_is_not_gainsaid(tmp_path: Path) -> None:
    assert DAY in CONTRACT
    error = refused(tmp_path, "contracts/a/b.yaml", CONTRACT.replace(DAY, f"{DAY}        form: yyyyMMdd\n"))
    line = CONTRACT[: CONTRACT.index(DAY)].count("\n") + 5
    assert told(error, tmp_path / "contracts/a/b.yaml", line, "date form is dd.MM.yyyy", "leave form out")


def test_a_constant_is_a_code_of_the_fields_list(tmp_path: Path) -> None:
    written = rule_of("nksGioiTinh")
    assert written in CONTRACT
    error = refused(tmp_path, "contracts/a/b.yaml", CONTRACT.replace(written, "{rule: constant, value: X}"))
    line = CONTRACT[: CONTRACT.index(written)].count("\n") + 1
    assert told(error, tmp_path / "contracts/a/b.yaml", line, "X is no code of hotich.gioiTinh", "use a code")
