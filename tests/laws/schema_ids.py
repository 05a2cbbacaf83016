"""Laws of whatever tells which schema an id stands for, and of bringing the library's schemas there."""

import json
from pathlib import Path

import polars as pl
import pytest

from consumers.schema_registry import ConfluentRegistry, compare, push
from schemas.codec import decode, encode
from schemas.errors import LienthongError
from schemas.registry import FileRegistry, SchemaIds, UnknownSchema


def national(entity: str, *names: str) -> dict[str, object]:
    """A flat schema, as national changes have one."""
    fields = [{"name": name, "type": ["null", "string"], "default": None} for name in names]
    return {"type": "record", "name": "Change", "namespace": f"national.{entity}", "fields": fields}


@pytest.fixture
def library(tmp_path: Path) -> FileRegistry:
    """Two subjects in two folders, one with two versions."""
    shipped = FileRegistry([tmp_path / "shipped"])
    shipped.register("law.a-value", national("a", "ho", "ten"))
    shipped.register("law.b-value", national("b", "so"))
    province = FileRegistry([tmp_path / "shipped", tmp_path / "province"])
    province.register("law.a-value", national("a", "ho", "ten", "noi"))
    return province


class ReadingLaws:
    """``theirs`` holds what ``library`` holds."""

    def test_an_id_stands_for_the_same_schema(self, library: FileRegistry, theirs: SchemaIds) -> None:
        for subject in library.subjects:
            for one in library.versions(subject):
                found = theirs.schema(one.id)
                assert (found.id, found.subject, found.sha256) == (one.id, one.subject, one.sha256)

    def test_versions_are_told_the_oldest_first(self, library: FileRegistry, theirs: SchemaIds) -> None:
        assert [one.id for one in theirs.versions("law.a-value")] == [1, 10_000]
        assert set(library.subjects) <= set(theirs.subjects)
        assert list(theirs.subjects) == sorted(theirs.subjects)

    def test_an_unknown_id_is_told_and_an_unknown_subject_has_no_versions(self, theirs: SchemaIds) -> None:
        with pytest.raises(UnknownSchema):
            theirs.schema(9_999)
        assert not theirs.versions("law.nobody-value")

    def test_what_the_road_writes_can_be_read_with_it(self, library: FileRegistry, theirs: SchemaIds) -> None:
        frame = pl.DataFrame({"ho": ["Mẫu", None], "ten": ["Thử", "Hai"], "noi": [None, "20296"]})
        values = encode(frame, library.current("law.a-value"))
        ((registered, found),) = decode(values, registry=theirs, subject="law.a-value").groups
        assert registered.id == 10_000
        assert found.drop("__row").equals(frame)

    def test_it_compares_equal(self, library: FileRegistry, theirs: SchemaIds) -> None:
        assert [each.state for each in compare(library, theirs)] == ["there"] * 3


class PushingLaws(ReadingLaws):
    """The same of a registry elsewhere, whose address is the fixture ``url``."""

    @pytest.fixture
    def theirs(self, library: FileRegistry, url: str) -> ConfluentRegistry:
        one = ConfluentRegistry(url)
        assert [each.state for each in push(library, one)] == ["missing"] * 3
        return one

    def test_pushing_again_changes_nothing(self, library: FileRegistry, theirs: ConfluentRegistry) -> None:
        assert [each.state for each in push(library, theirs)] == ["there"] * 3
        assert [one.id for one in theirs.versions("law.a-value")] == [1, 10_000]

    def test_new_schemas_go_behind_those_that_are_there(
        self, library: FileRegistry, theirs: ConfluentRegistry
    ) -> None:
        library.register("law.a-value", national("a", "ho", "ten", "noi", "ngay"))
        library.register("law.c-value", national("c", "so"))
        assert [each.schema.id for each in push(library, theirs) if each.state == "missing"] == [
            10_001,
            10_002,
        ]
        assert [one.id for one in theirs.versions("law.a-value")] == [1, 10_000, 10_001]
        assert theirs.schema(10_002).subject == "law.c-value"

    def test_an_id_that_stands_for_another_schema_is_never_overwritten(
        self, library: FileRegistry, theirs: ConfluentRegistry, tmp_path: Path
    ) -> None:
        other = FileRegistry([tmp_path / "other"])
        other.register("law.z-value", national("z", "so"))
        other.register("law.y-value", national("y", "so"))
        assert [each.state for each in compare(other, theirs)] == ["other", "other"]
        with pytest.raises(LienthongError, match="2 ids stand for other schemas"):
            push(other, theirs)
        assert theirs.schema(1).sha256 == library.schema(1).sha256
        assert "law.z-value" not in theirs.subjects

    def test_a_schema_that_others_register_gets_an_id_of_its_own(self, theirs: ConfluentRegistry) -> None:
        text = json.dumps(national("others", "so"))
        theirs._ask("POST", "/subjects/others-value/versions", {"schema": text, "schemaType": "AVRO"})
        assert theirs.versions("others-value")[0].id not in (1, 2, 10_000)
