"""A province's own package adds kinds of rules; a bad one is told with the package's name."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.errors import LienthongError
from schemas.library import load_library
from schemas.rules import RULES
from schemas.rules.added import load_added
from tests.offline.test_contract_errors import CONTRACT
from tests.rule_bench import Found, obtained

MODULE = "tinh_thu_rules"
REVERSED = """\
from schemas.rules import ColumnRule, Columns

class Reversed(ColumnRule):
    def columns(self, take, given):
        return Columns(value=take.x.str.reverse())
"""
MARKED = REVERSED.replace("\nclass", "\nfrom schemas.rules.base import kind\n\n@kind('{}')\nclass")
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package with a module of this code, and entry points; what it adds goes with the test."""
    before = frozenset(RULES)
    site = tmp_path / "site"

    def add(code: str, *entries: str, name: str = "tinh-thu") -> None:
        folder = site / f"{name.replace('-', '_')}-1.2.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text("\n".join(["[lienthong.rules]", *entries, ""]))
        (site / f"{MODULE}.py").write_text(code)
        monkeypatch.syspath_prepend(str(site))
        load_added.cache_clear()

    yield add
    for name in RULES.keys() - before:
        del RULES[name]
    sys.modules.pop(MODULE, None)
    load_added.cache_clear()


@pytest.mark.parametrize("code", [REVERSED, MARKED.format("reversed")])
def test_a_contract_uses_an_added_rule(install: Install, code: str, tmp_path: Path) -> None:
    install(code, f"reversed = {MODULE}:Reversed")
    path = tmp_path / "own" / "contracts" / "a" / "b.yaml"
    path.parent.mkdir(parents=True)
    written = CONTRACT.replace("trangSo: {rule: copy,", "trangSo: {rule: reversed,")
    assert written != CONTRACT
    path.write_text(written, encoding="utf-8")
    library = load_library([tmp_path / "own"])
    target = library.contracts["a/b"].targets[0]
    assert type(target.rules["trangSo"]) is RULES["reversed"]
    assert obtained("reversed", ["ab", None], library.codes) == [Found("ba", None), Found(None, None)]


@pytest.mark.parametrize(
    ("code", "entry", "text", "next_step"),
    [
        ("import no_such_module_thu", "x = {}:Reversed", "ModuleNotFoundError: No module named", "uninstall"),
        ("1 / 0", "x = {}:Reversed", "cannot be imported: ZeroDivisionError", "correct the package"),
        (REVERSED, "x = {}:Reversd", "cannot be imported: AttributeError", "correct the package"),
        ("x = 1", "x = {}:x", "it is no class of rules", "a subclass of"),
        ("class X: pass", "x = {}:X", "it is no class of rules", "a subclass of"),
        (REVERSED, "x = {}:ColumnRule", "it is no class of rules", "a method columns"),
        (REVERSED, "copy = {}:Reversed", "copy is taken by schemas.rules.text.Copy", "another name"),
        (MARKED.format("name"), "x = {}:Reversed", "name is taken by schemas.rules.text.Name", "another"),
    ],
)
def test_a_bad_one_is_told_with_its_package(
    install: Install, code: str, entry: str, text: str, next_step: str
) -> None:
    before = dict(RULES)
    install(code, f"a = {MODULE}:Reversed" if code == REVERSED else "", entry.format(MODULE))
    with pytest.raises(LienthongError) as caught:
        load_library()
    assert caught.value.message.startswith(f"package tinh-thu 1.2: rule {entry.split()[0]} ({MODULE}:")
    assert text in caught.value.message
    assert next_step in caught.value.next_step
    assert before == RULES, "all are added or none"


def test_two_packages_cannot_share_a_name(install: Install) -> None:
    code = f"{REVERSED}\nclass Other(Reversed): pass\n"
    install(code, f"reversed = {MODULE}:Reversed")
    install(code, f"reversed = {MODULE}:Other", name="xa-thu")
    with pytest.raises(LienthongError, match=rf"^package xa-thu 1.2: .* taken by {MODULE}.Reversed"):
        load_library()
