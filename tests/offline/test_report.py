"""``lienthong report`` and ``lienthong status --orphans``: a page, a table, and what they say in trouble."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner, Result

from consumers.html import Html, alone, both, tag, together
from consumers.opening import open_store
from consumers.orphan_words import WORDS, age, level_of
from consumers.proofs import Proof
from consumers.report_words import PAGE
from consumers.store import StoreError
from schemas.date_forms import VIETNAM
from schemas.errors import SettingsError
from schemas.library import load_library
from schemas.printing import number
from streams.cli import app
from tests.provinces import CONTRACT, write_contract, write_format

HOSTILE = "<script>alert('1')</script> & \"Sở\" <b>Thử</b>"
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """What a browser would make of the page: elements, texts by language, and whether all is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, str]] = []  # element, language
        self.said: dict[str, str] = {"vi": "", "en": "", "": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag not in VOID:
            inherited = self.open[-1][1] if self.open and tag != "html" else ""
            self.open.append((tag, (found.get("lang") or inherited) if tag != "html" else ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] != "style":
            self.said[self.open[-1][1]] += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A province's own folder, with a dataset whose title and owner try to break out of the page."""
    write_format(tmp_path, "thu.hoso.v1", "ma", "ten", origin="proposal")
    write_contract(tmp_path, "thu_tinh/hoso", {**CONTRACT, "title": HOSTILE, "owner": HOSTILE})
    return tmp_path


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/national.db"


def run(folder: Path, url: str, *words: str) -> Result:
    env = {"LIENTHONG_CONTRACTS": str(folder), "LIENTHONG_STORE": url}
    result = CliRunner().invoke(app, [*words], env=env)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def report(folder: Path, url: str, *words: str) -> tuple[Page, str, Result]:
    result = run(folder, url, "report", str(folder / "page.html"), *words)
    text = (folder / "page.html").read_text(encoding="utf-8")
    return Page(text), text, result


def migrate(folder: Path, url: str) -> None:
    assert run(folder, url, "store", "migrate").exit_code == 0


def test_the_page_holds_all_it_needs_and_runs_nothing(folder: Path, url: str) -> None:
    migrate(folder, url)
    page, text, result = report(folder, url)
    assert result.exit_code == 0
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "a"} & {name for name, _ in page.elements}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert not re.search(r"url\(|@import|https?:", text)
    assert "@page { size: A4" in text


def test_a_text_of_a_contract_cannot_become_markup(folder: Path, url: str) -> None:
    migrate(folder, url)
    page, text, _ = report(folder, url)
    assert page.said[""].count(HOSTILE) >= 3  # title, owner, what to do first
    assert "<b>Thử" not in text
    assert ("span", {}) in page.elements


def test_every_database_is_there_with_its_owner_in_both_languages(folder: Path, url: str) -> None:
    migrate(folder, url)
    page, text, _ = report(folder, url, "--lang", "en")
    library = load_library([folder])
    for contract in library.contracts.values():
        assert contract.owner in page.said[""]
        assert contract.system in page.said[""]
    assert '<html lang="en">' in text
    assert 'id="en" class="chooser" aria-label="English" checked="checked"' in text
    assert "Which of the province's databases may become orphans" in page.said["en"]
    assert "Cơ sở dữ liệu nào của tỉnh có nguy cơ mồ côi" in page.said["vi"]
    assert "no change ever reached the store" in page.said["en"]
    assert "lienthong capture install thu_tinh/hoso" in page.said["vi"]


def test_a_store_that_is_away_makes_things_unknown_and_keeps_what_the_contracts_tell(folder: Path) -> None:
    page, _, result = report(folder, "sqlite:////nowhere/national.db")
    assert "not known: freshness, drift, trend" in result.stderr
    assert "lienthong doctor" in result.stderr
    for language, words in WORDS.items():
        assert words["unseen"] in page.said[language]
        assert words["never applied"] not in page.said[language]
        assert PAGE[language]["problem means"] in page.said[language]
        assert PAGE[language]["trend unknown"] in page.said[language]


def test_a_store_that_is_not_migrated_is_told_as_it_is(folder: Path, url: str) -> None:
    page, _, result = report(folder, url)
    assert "a table or column is missing" in page.said[""]
    assert "Next step: lienthong store migrate" in page.said["en"]
    assert "next step: lienthong store migrate, then make the report anew" in result.stderr
    for language, words in WORDS.items():
        assert "lienthong doctor" not in page.said[language]
        assert words["do store"] not in page.said[language]
        assert words["do migrate"] in page.said[language]


def test_a_store_that_lacks_only_the_table_of_past_days_tells_all_but_the_trend(
    folder: Path, url: str
) -> None:
    migrate(folder, url)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as spoiled:
        spoiled.execute("DROP TABLE lienthong_orphan_index")
    page, _, result = report(folder, url)
    assert "not known" not in result.stderr
    assert "today's index was not kept: national store: a table or column is missing" in result.stderr
    assert "next step: lienthong store migrate" in result.stderr
    for language, words in PAGE.items():
        assert words["problem"] not in page.said[language]
        assert words["trend unknown"] in page.said[language]
        assert words["no past"] in page.said[language]
        assert "lienthong store migrate" in page.said[language]
        assert WORDS[language]["never applied"] in page.said[language]
    assert run(folder, url, "status", "--orphans").exit_code == 0


def test_who_may_only_read_the_store_is_told_all_but_that_nothing_was_kept(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(folder, url)
    monkeypatch.setattr(
        "consumers.sqlite.SqliteStore.note_indices", Mock(side_effect=StoreError("national store: only read"))
    )
    page, _, result = report(folder, url)
    assert "not known" not in result.stderr
    assert "today's index was not kept: national store: only read" in result.stderr
    for language, words in PAGE.items():
        assert words["problem"] not in page.said[language]
        assert words["trend unknown"] not in page.said[language]
    told = run(folder, url, "status", "--orphans", "--json")
    assert (told.exit_code, json.loads(told.stdout)["problem"]) == (0, None)
    assert json.loads(told.stdout)["unkept"] == "national store: only read"
    assert "today's index was not kept" in told.stderr


def test_a_trend_needs_days_on_which_somebody_looked(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = datetime(2026, 11, 26, 12, tzinfo=VIETNAM)  # no midnight comes between two reports
    monkeypatch.setattr("consumers.report_commands.datetime", SimpleNamespace(now=noon.astimezone))
    migrate(folder, url)
    page, _, _ = report(folder, url)
    assert PAGE["vi"]["no trend"] in page.said["vi"]
    store = open_store(url)
    week_ago = noon.date() - timedelta(days=7)
    store.note_indices(week_ago, {"thu_tinh": 99})
    page, text, _ = report(folder, url)
    (kept,) = [days for name, days in store.indices(date(2000, 1, 1)).items() if name == "thu_tinh"]
    store.close()
    assert [day for day, _ in kept] == [week_ago, noon.date()]
    assert f"−{99 - kept[1][1]} so với {week_ago:%d.%m.%Y}" in page.said["vi"]
    assert 'class="course"' in text


def prove(url: str, *, rows: int, missing: int, extra: int, different: int, differing: int) -> None:
    """Keep a proof of ``thu_tinh/hoso``."""
    proof = Proof(
        system="thu_tinh", dataset="hoso", at=datetime.now(UTC), took_ms=1, rows=rows, translated=0,
        missing=missing, extra=extra, different=different, refused=0, in_flight=0,
        differing=differing,
    )  # fmt: skip
    store = open_store(url)
    store.keep(proof, "", [], [])
    store.close()


def test_a_proof_lowers_the_index_and_is_told(folder: Path, url: str) -> None:
    migrate(folder, url)
    prove(url, rows=1000, missing=8, extra=3, different=1, differing=10)
    (mine,) = [
        line.split("\t")
        for line in run(folder, url, "status", "--orphans").stdout.splitlines()
        if line.startswith("thu_tinh\t")
    ]
    # 10 of 1,000 differ, some in two formats: a fifth of 5 %. Nothing ever arrived by the road, though.
    assert mine[3:7] == ["10", "20", "5", "0"]
    page, _, _ = report(folder, url)
    assert "10 trên 1.000 dòng khác nhau" in page.said["vi"]
    assert "lienthong reconcile repair thu_tinh/hoso" in page.said["vi"]


def test_an_emptied_source_is_no_equal_source(folder: Path, url: str) -> None:
    migrate(folder, url)
    prove(url, rows=0, missing=0, extra=10_000, different=0, differing=10_000)
    found = run(folder, url, "status", "--orphans").stdout.splitlines()
    (mine,) = [line.split("\t") for line in found if line.startswith("thu_tinh\t")]
    assert mine[3:7] == ["10", "20", "25", "0"]
    page, _, _ = report(folder, url)
    assert "10.000 trên 10.000 dòng khác nhau" in page.said["vi"]


def test_a_file_that_cannot_be_written_is_told(folder: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="page"):
        run(folder, url, "report", str(folder / "none" / "page.html"))


def test_the_table_tells_the_index_its_parts_and_the_next_step(folder: Path, url: str) -> None:
    migrate(folder, url)
    result = run(folder, url, "status", "--orphans", "--lang", "en")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0][:7] == ["system", "index", "level", "coverage", "freshness", "matched rows", "proof"]
    (mine,) = [line for line in lines if line[0] == "thu_tinh"]
    # One of two fields is empty: a quarter of 40. Nothing arrived, nothing was proved: 20, 25 and 15.
    assert mine[1:8] == ["70", "at risk", "10", "20", "25", "15", "hoso"]
    told = json.loads(run(folder, url, "status", "--orphans", "--json").stdout)
    (same,) = [one for one in told["systems"] if one["system"] == "thu_tinh"]
    assert (same["index"], same["datasets"][0]["applied_at"]) == (70, None)
    assert same["datasets"][0]["next"][0]["command"] == "lienthong capture install thu_tinh/hoso"


def test_the_table_says_what_is_not_known(folder: Path) -> None:
    away = "sqlite:////nowhere/national.db"
    result = run(folder, away, "status", "--orphans", "--lang", "en")
    assert result.exit_code == 1
    assert "not known: " in result.stderr
    (mine,) = [line.split("\t") for line in result.stdout.splitlines() if line.startswith("thu_tinh\t")]
    assert mine[1:7] == [">= 10", "not known", "10", "?", "?", "?"]
    told = json.loads(run(folder, away, "status", "--orphans", "--json").stdout)
    assert told["problem"]
    assert {one["index"] for one in told["systems"]} == {None}


def test_the_table_names_the_migration_where_it_heals_the_store(folder: Path, url: str) -> None:
    lines = run(folder, url, "status", "--orphans", "--lang", "en").stdout.splitlines()
    (filled,) = [line.split("\t")[-2:] for line in lines if line.startswith("daugia_qnam\t")]
    assert filled[1] == "lienthong store migrate"
    assert filled[0] == "Make the tables that the store lacks, then make this report anew"
    migrate(folder, url)
    assert run(folder, url, "status", "--orphans", "--lang", "en").exit_code == 0


def test_both_languages_say_the_same_things() -> None:
    for words in (WORDS, PAGE):
        assert words["vi"].keys() == words["en"].keys()
        for name in words["vi"]:
            fields = [set(re.findall(r"{(\w+)}", words[of][name])) for of in ("vi", "en")]
            assert fields[0] == fields[1], name


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=-5), "vừa xong"),
        (timedelta(minutes=3), "3 phút"),
        (timedelta(minutes=119), "119 phút"),
        (timedelta(hours=47), "47 giờ"),
        (timedelta(days=2), "2 ngày"),
        (timedelta(days=1234), "1.234 ngày"),
    ],
)
def test_ages_are_told_in_the_unit_that_fits(ago: timedelta, said: str) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert age(now - ago, now, "vi") == said


def test_numbers_and_levels() -> None:
    assert (number(1234567, "vi"), number(1234567, "en")) == ("1.234.567", "1,234,567")
    assert [level_of(value) for value in (0, 24, 25, 49, 50, 74, 75, 100, None)] == [
        *("safe", "safe", "watch", "watch", "risk", "risk", "danger", "danger", "unknown")
    ]


def test_only_markup_is_not_escaped() -> None:
    assert tag("p", "a<b", Html("<i>c</i>"), class_='x"y') == '<p class="x&quot;y">a&lt;b<i>c</i></p>'
    assert alone("input", checked=None, aria_label="a & b") == '<input aria-label="a &amp; b">'
    assert together("&", Html("&amp;")) == "&amp;&amp;"
    assert both(lambda language: f"<{language}>") == (
        '<span lang="vi">&lt;vi&gt;</span><span lang="en">&lt;en&gt;</span>'
    )
