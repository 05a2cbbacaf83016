"""``backfill --where``: what stands in quotes, as each database reads them, and what does not."""

import pytest

from producers.postgres_rows import QUOTES
from producers.rows import Quotes, one_condition
from producers.sqlite_rows import QUOTES as OF_SQLITE
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
    assert one_condition(where, QUOTES) == where


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
        one_condition(where, QUOTES)
    assert caught.value.message == "--where: not one condition"


both_databases = pytest.mark.parametrize("quotes", [QUOTES, OF_SQLITE], ids=["postgresql", "sqlite"])


@both_databases
@pytest.mark.parametrize(
    "where",
    [
        "ten = 'a;b'",
        "ten = '--' AND \"cột;1\" = 1",
        "ten LIKE '%/*%'",
        "ten = 'nó''; x' OR ten = ''';--'",
        "ten = '\"' OR \"a'\" = ';'",
        "ten = 'a\n;' AND 1 - '-1' > -2",
        "x'3b' = ten AND ten <> ';'",
    ],
)
def test_a_mark_in_quotes_is_none(where: str, quotes: Quotes) -> None:
    assert one_condition(where, quotes) == where


@both_databases
@pytest.mark.parametrize(
    "where",
    [
        "id = 1;",
        "id = 1 -- ",
        "id = 1 /* ",
        "ten = 'a'; DELETE FROM so_nguoi WHERE ten = 'b'",
        "ten = '''; DELETE FROM so_nguoi; --",  # ends nowhere
        "\"a''\" = 1; SELECT ''",
        "ten = '\"'; SELECT '\"'",
        "id = 1 /* ' */; SELECT ' */",
        "id = 1 /* /* ' */ ; ' */",
        "id = 1 -- '\n; SELECT '",
        "ten = 'a;b",
        'ten = "a;b',
        r"ten = E'\'; SELECT \'' OR ten = ';'",
        "ten = $$'$$; SELECT $$'$$",
    ],
)
def test_no_quote_hides_a_mark(where: str, quotes: Quotes) -> None:
    with pytest.raises(SettingsError) as caught:
        one_condition(where, quotes)
    assert caught.value.message == "--where: not one condition"


@pytest.mark.parametrize(
    "where",
    [
        r"ten = 'a;b' || '\\'",
        r"ten = '\' OR ten = '; SELECT '",  # \' goes on where an old server is set so
        r"ten = E'a'' ; \'",
        "ten = E'a'\n'\\'; SELECT '",
        "ten = $$a;b$$",
        "ten = $a$;$a$",
        "ten = '$$' OR ten = ';$$'",
        r"ten = U&'\003b;'",
        "a[1] = 2; SELECT a[1]",
        "`a;b` = 1",
    ],
)
def test_in_postgresql_a_mark_beside_doubtful_quotes_stays_refused(where: str) -> None:
    with pytest.raises(SettingsError):
        one_condition(where, QUOTES)


@pytest.mark.parametrize("where", ["ngay::text = '08:00;'", "ten = E'a;b'", "a[1] = ';' AND a @> ';'"])
def test_postgresql_has_signs_that_quote_nothing(where: str) -> None:
    assert one_condition(where, QUOTES) == where


@pytest.mark.parametrize("where", ["[a;b] = 1", "`a--b` = ']'", "[a'/*] = ';' OR `]` = '['", r"ten = '\;'"])
def test_a_mark_in_the_quotes_of_sqlite_is_none(where: str) -> None:
    assert one_condition(where, OF_SQLITE) == where


@pytest.mark.parametrize(
    "where",
    [
        "[a[] = 1]; SELECT 1",
        "[a = ';'",
        "`a = ';'",
        "[a']; SELECT [b']",
        "`'`; SELECT `'`",
        r"ten = '\'; SELECT '\'",
        "ten = $a('); SELECT '",
        "ten = :a('); SELECT '",
        "ten = @a('); SELECT '",
        "ten = #a('); SELECT '",
    ],
)
def test_no_quote_of_sqlite_hides_a_mark(where: str) -> None:
    with pytest.raises(SettingsError):
        one_condition(where, OF_SQLITE)
