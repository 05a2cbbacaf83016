"""``backfill --where``: which parentheses are ours, as PostgreSQL reads quotes."""

import pytest

from producers.postgres_rows import QUOTED
from producers.rows import one_condition
from schemas.errors import SettingsError


@pytest.mark.parametrize(
    "where",
    [
        "ten = $$:-)$$",
        "ten = $a$ ) $$ ' $b$ ) $a$ AND (id = 1)",
        "ten = $đ1$)$đ1$",
        "ten = $$)\n)$$",
        r"ten = E'\')'",
        r"ten = E'\\' AND so = ')'",
        r"date'2026-11-26' < ngay AND ten ~ '\)'",
        "ten = U&')' OR \"a)\" = 1",
    ],
)
def test_a_parenthesis_in_quotes_is_none(where: str) -> None:
    assert one_condition(where, QUOTED) == where


@pytest.mark.parametrize(
    "where",
    [
        "id = 1) OR (id = 2",
        "ten = $$a$$) OR (ten = $$b$$",
        "a$b$ = 1) OR (a$b$ = 2",  # names
        "€$b$ = 1) OR (€$b$ = 2",
        "ten = $1a$ = 1) OR (1 = $1a$",  # no tag begins with a digit
        "ten = '$$') OR (ten = '$$'",
        "ten = $$'$$) OR (ten = $$'$$",
        r"ten = E'\'') OR (ten = E'\''",
        "ten = E'a'\n'\\'') OR (ten = E'a'\n'\\''",
        r"type'\') OR (ten = '\'",  # a type's name before a text without escapes
        "a[1) OR (id = a[1]",
        "`a` = 1) OR (id = `)`",
        " ",
    ],
)
def test_a_parenthesis_that_closes_ours_is_refused(where: str) -> None:
    with pytest.raises(SettingsError) as caught:
        one_condition(where, QUOTED)
    assert caught.value.message == "--where: not one condition"
