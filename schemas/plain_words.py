"""What pydantic finds wrong with a library file, in words for people who never saw a schema."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

#: By the beginning of pydantic's own name of the error.
_WANTED: Mapping[str, str] = {
    "string_type": "one text belongs here, and no list and no keys",
    "int": "a whole number belongs here",
    "bool": "true or false belongs here",
    "dict": "keys with values belong here",
    "mapping": "keys with values belong here",
    "model": "keys with values belong here",
    "tuple": "a list belongs here, as [a, b]",
    "list": "a list belongs here, as [a, b]",
    "too_short": "something must stand here",
    "string_too_short": "something must stand here",
    "string_pattern_mismatch": "it is not of the form {pattern}",
    "greater_than_equal": "it must be {ge} or more",
    "less_than_equal": "it must be {le} or less",
    "greater_than": "it must be more than {gt}",
    "less_than": "it must be less than {lt}",
    "float": "a number belongs here",
}


def in_plain_words(error: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """What is wrong with a value, and the words that may stand there, if only some may.

    ``error``: one of pydantic's ``ValidationError.errors()``.
    """
    if error["type"] == "literal_error":
        allowed = re.findall("'(.*?)'", error["ctx"]["expected"])
        return f"{error['input']} is none of the words that may stand here", allowed
    wanted = next((text for kind, text in _WANTED.items() if error["type"].startswith(kind)), None)
    if wanted is None:
        return error["msg"].removeprefix("Value error, "), ()
    return wanted.format_map(error.get("ctx", {})), ()
