"""The laws of schema ids on a real Apicurio Registry, and the library's own schemas there.

Each law has a registry of its own, for an id that was given there is never free again.
"""

import io
import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest
from typer.testing import CliRunner

from schemas.codec import encode_row
from schemas.registry import FileRegistry
from streams.cli import app
from tests.laws.schema_ids import PushingLaws, library
from tests.more.apicurio import ApicurioNode
from tests.shipped import shipped

__all__ = ["library"]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    def say(text: str) -> None:
        with capsys.disabled():
            sys.stderr.write(f"{text}\n")

    node = ApicurioNode(tmp_path / "apicurio")
    try:
        node.start(say=say)
        yield node.url
    finally:
        node.stop()


class TestApicurio(PushingLaws):
    pass


def test_others_decode_a_topic_with_nothing_but_the_registry(url: str, library: FileRegistry) -> None:
    for word, exit_code in (("check", 1), ("push", 0), ("check", 0), ("push", 0)):
        result = CliRunner().invoke(app, ["registry", word, "--url", url])
        assert result.exit_code == exit_code, result.output
    whole = shipped()
    national = whole.formats["hotich.khaisinh.v1"]
    row = {field["name"]: None for field in national.wire_schema["fields"]} | {"nksHoTen": "Nguyễn Văn Mẫu"}
    value = encode_row(row, whole.registry.current(national.subject))
    # As a consumer of another maker does: magic byte, id, schema by id, record.
    assert value[0] == 0
    with urllib.request.urlopen(f"{url}/schemas/ids/{int.from_bytes(value[1:5], 'big')}") as answer:
        schema = json.loads(json.load(answer)["schema"])
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None) == row
