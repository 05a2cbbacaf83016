"""Library files as data with line numbers: YAML, and JSON, which is YAML and faster to read.

Every scalar is read as text, so that ``no``, ``08`` and ``1.10`` stay what was written; the model that takes
the document turns text into numbers where it asks for numbers.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from schemas.errors import ContractError
from schemas.plain_words import in_plain_words

Place = tuple[str | int, ...]  #: the way to a value: keys and list positions from the top

#: No file of ours comes near it, and the reader of YAML takes it without harm.
_DEEPEST = 50
#: So many signs that open something: only then a file can be so deep that reading it ends the process.
_MAY_BE_DEEP = 400

#: How many of the known words are told.
_TOLD = 40

_REPAIR = "correct the file, or take it from the library's history"


class Strict(BaseModel):
    """A part of a library file: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """A misspelt key is told as what was written, and not as another one that is missing."""
        known = [field.alias or name for name, field in cls.model_fields.items()]
        unknown = next((key for key in data if key not in known), None) if isinstance(data, dict) else None
        if unknown is not None:
            raise unfit("unknown key", suggestion(str(unknown), known), key=unknown)
        return data


def unfit(text: str, next_step: str, key: str | None = None) -> PydanticCustomError:
    """What a part of a library file raises while it is read. ``key``: the key within it that is wrong."""
    return PydanticCustomError("unfit", "{text}", {"text": text, "next_step": next_step, "key": key})


M = TypeVar("M", bound=Strict)


@dataclass(frozen=True)
class Document:
    """One file: its values as text, lists and mappings, and the line of each."""

    path: Path
    text: str
    data: Any

    @cached_property
    def lines(self) -> Mapping[Place, int]:
        """Where everything stands; hardly ever asked, for most files are right."""
        return dict(_lines(_composed(self.text, self.path), ()))

    def error(self, place: Place, text: str, next_step: str) -> ContractError:
        """An error at a place; if that place has no line of its own, at the nearest one above it."""
        while place and place not in self.lines:
            place = place[:-1]
        line = self.lines[place] if place else 1
        return ContractError(f"{self.path}:{line}: {text}", next_step=next_step)

    def take(self, model: type[M], place: Place = ()) -> M:
        """The part at ``place`` as a ``model``. Raises ``ContractError`` for the first thing wrong."""
        value = self.data
        for step in place:
            value = value[step]
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise self._explained(place, error) from None

    def _explained(self, place: Place, error: ValidationError) -> ContractError:
        every = error.errors(include_url=False)
        first = next((one for one in every if one["type"] == "unfit"), every[0])
        at, missing = place, first["type"] == "missing"
        for step in first["loc"]:  # the way as pydantic tells it also names types; those are no keys
            if (*at, step) in self.lines or missing:
                at = (*at, step)
        ctx, text = first.get("ctx", {}), first["msg"]
        if wrong := ctx.get("key"):
            at = (*at, wrong)
        key = ".".join(map(str, at)) or "the file"
        if missing:
            return self.error(at, f"key {key} is missing", f"add {at[-1]}")
        if first["type"] == "unfit":
            return self.error(at, f"{text} {key}" if wrong else f"{key}: {text}", ctx["next_step"])
        text, known = in_plain_words(first)
        return self.error(at, f"{key}: {text}", suggestion(str(first["input"]), known) if known else _REPAIR)


def suggestion(wrong: str, known: Sequence[str]) -> str:
    """A next step for a word that is not one of the known ones."""
    if not known:
        return "remove it"
    close = get_close_matches(wrong, known, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    more = f" and {len(known) - _TOLD} more" if len(known) > _TOLD else ""
    return f"{hint}known here: {', '.join(known[:_TOLD])}{more}"


def read_text(path: Path) -> str:
    """A library file as text. Raises ``ContractError`` if it cannot be read or is not plain UTF-8."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ContractError(
            f"{path}:1: {error.strerror}", next_step="check the file and its rights"
        ) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{path}:{line}: not UTF-8", next_step="save the file as UTF-8") from None
    if text.startswith("\ufeff"):
        raise ContractError(
            f"{path}:1: begins with a byte order mark", next_step="save the file as UTF-8 without BOM"
        )
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise ContractError(
            f"{path}:{line}: the line ends with CR LF", next_step="save the file with LF line ends (Unix)"
        )
    return text


def read_document(path: Path) -> Document:
    """Read a YAML or JSON file. Raises ``ContractError`` if it cannot be read or says one key twice."""
    text = read_text(path)
    try:
        data = _of_json(text)
    except (ValueError, RecursionError):  # it is YAML, or not right: then YAML tells what, and where
        data = _plain(_composed(text, path), path)
    return Document(path, text, data)


def _of_json(text: str) -> Any:
    """What ``_plain`` makes of the file. Raises ``ValueError`` if it is not JSON that YAML takes too."""
    if "\\u" in text:
        raise ValueError("may escape half a character")
    data = json.loads(
        text, object_pairs_hook=_mapping, parse_int=str, parse_float=str, parse_constant=str, strict=True
    )
    if not isinstance(data, dict):
        raise ValueError("no mapping")
    return data


def _mapping(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = {key: _worded(value) for key, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _worded(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [_worded(one) for one in value] if isinstance(value, list) else value


class _Loader(yaml.CSafeLoader):
    """Tells a missing value from text; what else a word looks like is not asked here, and takes long."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        missing = kind is yaml.ScalarNode and implicit[0] and value in ("", "~", "null", "Null", "NULL")
        return "tag:yaml.org,2002:null" if missing else "tag:yaml.org,2002:str"


def _composed(text: str, path: Path) -> yaml.MappingNode:
    try:
        _refuse_bombs(text, path)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{path}:{line}: {error.problem}", next_step=_REPAIR) from None
    except yaml.YAMLError as error:
        line = text.encode()[: getattr(error, "position", 0)].count(b"\n") + 1
        raise ContractError(f"{path}:{line}: {str(error).splitlines()[0]}", next_step=_REPAIR) from None
    if not isinstance(root, yaml.MappingNode):
        what = "is empty" if root is None else "does not begin with a key"
        raise ContractError(f"{path}:1: the file {what}", next_step=_REPAIR)
    return root


def _refuse_bombs(text: str, path: Path) -> None:
    """A few lines of aliases of aliases stand for gigabytes, and a file nested too deep ends the process."""
    if "*" not in text and sum(map(text.count, "[{-?")) < _MAY_BE_DEEP and len(text) < 50_000:
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ContractError(
                f"{path}:{line}: alias *{event.anchor}: aliases are not read here",
                next_step="write the value out where it is wanted",
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ContractError(f"{path}:{line}: nested more than {_DEEPEST} deep", next_step=_REPAIR)


def _plain(node: yaml.Node, path: Path) -> Any:
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ContractError(
                    f"{path}:{key.start_mark.line + 1}: a key must be a word", next_step=_REPAIR
                )
            if key.value in result:
                text = f"{path}:{key.start_mark.line + 1}: key {key.value} is given twice"
                raise ContractError(text, next_step="keep one of the two")
            result[key.value] = _plain(value, path)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_plain(one, path) for one in node.value]
    # An unquoted null is a missing value; "null" in quotes is a word that a source may hold.
    return None if node.tag.endswith(":null") else node.value


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    """The line of each value, or of its key if it has one."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for at, one in enumerate(node.value):
            yield (*place, at), one.start_mark.line + 1
            yield from _lines(one, (*place, at))
