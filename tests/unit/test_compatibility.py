"""Which schema can read what another one wrote, by Avro's rules and told by field."""

from copy import deepcopy
from typing import Any

import pytest

from schemas.gates.compatibility import Level, breaks, check

OPTIONAL = ["null", "string"]


def record(**types: Any) -> dict[str, Any]:
    fields = [{"name": name, "type": avro, "default": None} for name, avro in types.items()]
    return {"type": "record", "name": "R", "namespace": "a", "fields": fields}


def envelope(value: dict[str, Any]) -> dict[str, Any]:
    """A record twice in another one, the second time by its name, as in change events."""
    fields = [{"name": "before", "type": ["null", value]}, {"name": "after", "type": ["null", value["name"]]}]
    return {"type": "record", "name": "E", "namespace": "a", "fields": fields}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (record(a=OPTIONAL), record(a=OPTIONAL)),
        (record(a=OPTIONAL, b=OPTIONAL), record(a=OPTIONAL)),
        (record(a=OPTIONAL), record(a=OPTIONAL, b=OPTIONAL)),
        (record(a=["null", "double"]), record(a=["null", "long"])),
        (record(b=OPTIONAL, a=OPTIONAL), record(a=OPTIONAL, b=OPTIONAL)),
    ],
)
def test_these_can_be_read(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert breaks(new, old) == []
    assert breaks(envelope(new), envelope(old)) == []


@pytest.mark.parametrize(
    ("new", "old", "way", "text"),
    [
        (record(a=["null", "long"]), record(a=OPTIONAL), ("a",), "null or string cannot be read as null"),
        (record(a=["null", "long"]), record(a=["null", "double"]), ("a",), "null or double cannot be"),
        (record(a={"type": "string"}), record(a=OPTIONAL), ("a",), "null or string cannot be read as string"),
        (record(a=OPTIONAL) | {"name": "S"}, record(a=OPTIONAL), (), "record a.R cannot be read as a.S"),
    ],
)  # fmt: skip
def test_these_cannot_and_the_field_is_named(
    new: dict[str, Any], old: dict[str, Any], way: tuple[str, ...], text: str
) -> None:
    (one,) = breaks(new, old)
    assert one.way == way
    assert one.text.startswith(text)
    assert [one.way for one in breaks(envelope(new), envelope(old))] == [("before", *way), ("after", *way)]


def test_a_new_field_needs_a_default() -> None:
    new = record(a=OPTIONAL, b=OPTIONAL)
    del new["fields"][1]["default"]
    assert [one.way for one in breaks(new, record(a=OPTIONAL))] == [("b",)]
    assert breaks(record(a=OPTIONAL), new) == []


@pytest.mark.parametrize(
    ("level", "found"),
    [
        ("BACKWARD_TRANSITIVE", [0]),
        ("BACKWARD", []),
        ("FORWARD_TRANSITIVE", [0, 1]),
        ("FORWARD", [1]),
        ("FULL_TRANSITIVE", [0, 0, 1]),
        ("FULL", [1]),
        ("NONE", []),
    ],
)
def test_the_level_says_which_versions_count_and_which_way(level: Level, found: list[int]) -> None:
    oldest, new = record(a=OPTIONAL), record(a=["null", "long"])
    last = deepcopy(new)
    last["fields"].append({"name": "b", "type": "string"})
    assert [at for at, _ in check(new, [oldest, last], level)] == found
