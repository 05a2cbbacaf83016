"""A JSON file is read the fast way, and means what it means as YAML."""

import json
from pathlib import Path

import pytest

from schemas.documents import read_document
from schemas.errors import ContractError
from schemas.library import SHIPPED

FORMATS = sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.glob("formats/**/*.avsc"))
WORDS: dict[str, object] = {
    "a": [1, -2.50, 1e30, True, False, None, "no", "null", "", [], {}],
    "b": {"c": ["ộ", {"d": True}]},
}


@pytest.mark.parametrize(
    "text",
    [
        *((SHIPPED / name).read_text(encoding="utf-8") for name in FORMATS),
        json.dumps(WORDS, ensure_ascii=False),
    ],
    ids=[*FORMATS, "words"],
)
def test_json_means_what_it_means_as_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.avsc"
    path.write_text(text, encoding="utf-8")
    fast = read_document(path)
    path.write_text(f"{text}\n# a comment, so it is no JSON\n", encoding="utf-8")
    yaml = read_document(path)
    assert fast.data == yaml.data
    assert fast.lines == yaml.lines
    assert fast.lines


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('{"a": 1,\n "b": {"c": 1,\n "c": 2}}', 3, "key c is given twice"),
        ('{"a":\n "\\ud800"}', 2, "invalid Unicode"),
        ('{"a":\n [1, 2}', 2, "did not find expected"),
        ('["a"]', 1, "does not begin with a key"),
        ('{"a": ' * 2_000 + "1" + "}" * 2_000, 1, "nested more than 50 deep"),
    ],
)
def test_json_that_is_not_right_is_told_with_its_line(
    text: str, line: int, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.avsc"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        read_document(path)
    assert caught.value.message.startswith(f"{path}:{line}: "), caught.value.message
    assert told in caught.value.message
