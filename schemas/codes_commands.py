"""``lienthong codes …``: what a code meant, and when."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

import typer

from schemas.codelists import Ambiguous, Answer, CodeList, CodeLists, Entry, Exact, NotThen, Untold
from schemas.documents import suggestion
from schemas.errors import SettingsError
from schemas.library import load_library
from schemas.printing import Tongue
from schemas.reasons import Language
from schemas.settings import LibrarySettings, load_settings

codes = typer.Typer(no_args_is_help=True, help="Look codes up in the code lists, as of a day.")


Json = Annotated[bool, typer.Option("--json", help="JSON instead of lines.")]

#: What an answer is called; in JSON it is the English one.
_KINDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "exact": "đúng một",
        "ambiguous": "mơ hồ",
        "not valid then": "có trong danh mục nhưng không có hiệu lực lúc đó",
        "the list does not tell what became of it": "danh mục không cho biết về sau thành gì",
        "unknown": "không rõ",
    },
    "en": {},
}
_WORDS: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "on": "ngày",
        "by day": "theo ngày",
        "evidence": "bằng chứng",
        "parent": "thuộc",
        "district": "huyện",
        "from": "từ",
        "until": "đến",
        "stands for": "thay cho",
    },
    "en": {},
}


@codes.command(name="list")
def list_(language: Tongue = None, as_json: Json = False) -> None:
    """Tell the code lists: name, number of codes, evidence, and what each is about."""
    settings = load_settings(LibrarySettings)
    lists = sorted(load_library(settings.contract_folders).codes.values(), key=lambda one: one.name)
    if as_json:
        told = [
            {"list": one.name, "codes": len(one.codes), "dated": one.dated, "successors": len(one.successors)}
            | {key: text for key, text in one.head.items() if key in ("title", "source", "evidence", "note")}
            for one in lists
        ]
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    width = max(len(one.name) for one in lists)
    by_day = _word("by day", language or settings.language)
    for one in lists:
        marks = "/".join(dict.fromkeys(re.findall(r"\b[VIU]\b(?=[:, )])", one.head["evidence"])))
        dated = by_day if one.dated else ""
        head = f"{one.name:{width}}  {len(one.codes):>6}  {marks:5}"
        typer.echo(f"{head}  {dated:{len(by_day)}}  {one.head['title']}")


@codes.command()
def show(
    name: Annotated[str, typer.Argument(metavar="LIST", help="A code list, or the end of its name: xa.")],
    code_or_name: Annotated[
        str, typer.Argument(help="A code, or a name in any case, with or without spaces and hyphens.")
    ],
    at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it is asked for; else any day.")
    ] = None,
    on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="What became of it by this later day; needs --at."),
    ] = None,
    language: Tongue = None,
    as_json: Json = False,
) -> None:
    """Tell what a code or a name means: exactly one thing, several (ambiguous), or nothing.

    Exit status 0 if every answer is exact, 1 if not.
    """
    settings = load_settings(LibrarySettings)
    tongue = language or settings.language
    one = _list(load_library(settings.contract_folders).codes, name)
    if on and not at:
        raise SettingsError("--on needs the day before it", next_step="add: --at YYYY-MM-DD")
    answers: list[tuple[date | None, Answer | Untold]] = [
        (at.date() if at else None, one.resolve(code_or_name, at.date() if at else None))
    ]
    if on and at and isinstance(answers[0][1], Exact):
        answers.append((on.date(), one.on(code_or_name, at.date(), on.date())))
    if as_json:
        typer.echo(json.dumps(_as_json(one, code_or_name, answers), ensure_ascii=False, default=str))
    else:
        for day, answer in answers:
            kind, entries = _told(answer)
            asked = f"{code_or_name} {_word('on', tongue)} {day}" if day else code_or_name
            typer.echo(f"{one.name}: {asked}: {_KINDS[tongue].get(kind, kind)}")
            for entry in entries:
                typer.echo(f"  {_line(entry, tongue)}")
        typer.echo(f"{_word('evidence', tongue)}: {one.head['evidence']}", err=True)
    if not all(isinstance(answer, Exact) for _, answer in answers):
        raise typer.Exit(1)


def _word(word: str, tongue: Language) -> str:
    return _WORDS[tongue].get(word, word)


def _as_json(
    one: CodeList, asked: str, answers: Sequence[tuple[date | None, Answer | Untold]]
) -> dict[str, Any]:
    (at, answer), *later = answers
    told: dict[str, Any] = {"list": one.name, "asked": asked, "at": at} | _answer_as_json(answer)
    for day, became in later:
        told["became"] = {"on": day} | _answer_as_json(became)
    return told


def _answer_as_json(answer: Answer | Untold) -> dict[str, Any]:
    kind, entries = _told(answer)
    return {"answer": kind, "entries": [asdict(entry) for entry in entries]}


def _list(every: CodeLists, name: str) -> CodeList:
    """The list of this name, or the only one whose name ends with it. Raises ``SettingsError``."""
    ends = [one for one in every if one == name or one.endswith(f".{name}")]
    found = [name] if name in every else ends
    if len(found) != 1:
        text = f"{name} may be any of {', '.join(sorted(found))}" if found else f"no code list {name}"
        raise SettingsError(text, next_step=suggestion(name, sorted(every)))
    return every[found[0]]


def _told(answer: Answer | Untold) -> tuple[str, tuple[Entry, ...]]:
    if isinstance(answer, Exact):
        return "exact", (answer.entry,)
    if isinstance(answer, Ambiguous):
        return "ambiguous", answer.candidates
    if isinstance(answer, NotThen):
        return "not valid then", answer.candidates
    if isinstance(answer, Untold):
        return "the list does not tell what became of it", ()
    return "unknown", ()


def _line(entry: Entry, tongue: Language) -> str:
    fields: dict[str, Any] = {"parent": entry.parent, "district": entry.district}
    fields |= {"from": entry.valid_from, "until": entry.valid_to}
    fields |= {"stands for": entry.sentinel, "evidence": entry.evidence}
    told = ", ".join(f"{_word(name, tongue)} {value}" for name, value in fields.items() if value is not None)
    return f"{entry.code}  {entry.name}{f'  ({told})' if told else ''}"
