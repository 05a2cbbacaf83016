"""The documents tell the truth: every setting, every metric and every command is where it should be."""

import re
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from consumers.settings import MonitorSettings, OrphanSettings
from producers.settings import RelaySettings
from schemas.settings import LibrarySettings
from streams.cli import app
from streams.settings import RoadSettings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_in_env_example_and_nothing_else() -> None:
    told = set(re.findall(r"^LIENTHONG_([A-Z_]+)=", (ROOT / "deploy/env.example").read_text(), re.MULTILINE))
    known = {
        name.upper()
        for cls in (LibrarySettings, MonitorSettings, OrphanSettings, RelaySettings, RoadSettings)
        for name in cls.model_fields
    }
    assert told == known


def commands(group: TyperGroup, *words: str) -> set[str]:
    """All commands as they are typed."""
    found = set()
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            found |= commands(command, *words, name)
        else:
            found.add(" ".join((*words, name)))
    return found


@pytest.mark.parametrize("document", ["README.md", "README.vi.md"])
def test_the_readme_names_every_command_and_no_other(document: str) -> None:
    known = commands(get_command(app))  # type: ignore[arg-type]
    text = (ROOT / document).read_text()
    named = set(re.findall(r"lienthong ([a-z-]+(?: [a-z-]+)?)", text))
    told = {words if words in known else words.split(" ")[0] for words in named}
    assert told == known


def test_every_command_says_what_it_does() -> None:
    def silent(group: TyperGroup) -> list[str]:
        return [
            name
            for name, command in group.commands.items()
            if not command.help or (isinstance(command, TyperGroup) and silent(command))
        ]

    assert silent(get_command(app)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("document", ["README.md", "README.vi.md"])
def test_the_readme_names_only_targets_and_files_that_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link


def test_the_readme_and_its_vietnamese_sister_show_the_same_commands_and_names() -> None:
    def told(document: str) -> tuple[list[str], Counter[str], list[str]]:
        text = (ROOT / document).read_text()
        # Each is read in its own language.
        typed = [re.sub(" --lang en| *#.*", "", one) for one in re.findall(r"^\$ (.*)", text, re.MULTILINE)]
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        code = re.findall(r"`([^`\n]+)`", re.sub("<[^>]*>|note: [^`]*", "…", prose))
        return typed, Counter(code), re.findall("^#+", prose, re.MULTILINE)

    assert told("README.vi.md") == told("README.md")


@pytest.mark.parametrize("document", ["README.md", "README.vi.md"])
def test_who_follows_the_readme_does_not_save_a_delete_as_a_living_record(
    monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    gone = SimpleNamespace(key="K", seq=2, deleted=True, fields={})
    consumer = SimpleNamespace(batches=lambda: [SimpleNamespace(records=[gone])])
    monkeypatch.setattr("consumers.national.NationalConsumer", lambda topic, **how: nullcontext(consumer))
    saved: list[SimpleNamespace] = []
    exec(block, {"save": saved.append})
    assert saved == [gone]
