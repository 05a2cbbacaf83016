"""Change events as records: what may be written as text, and what columns may be called."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from schemas.events import event_frame, misfit
from schemas.library import load_library
from schemas.mapping import Translator
from tests.envelopes import event, frame
from tests.provinces import CONTRACT, write_contract, write_format


def test_a_record_from_before_its_column_became_a_double_is_read(tmp_path: Path) -> None:
    write_format(tmp_path, "thu.hoso.v1", "ma")
    columns = {"id": "long", "ma": "string", "tien": "double"}
    write_contract(tmp_path, "thu/hoso", {**CONTRACT, "columns": columns})
    library = load_library([tmp_path])
    contract = library.contracts["thu/hoso"]
    older = replace(contract, columns={**contract.columns, "tien": "long"})
    events = [event({"id": 1, "ma": "A", "tien": 5}, {"id": 1, "ma": "A", "tien": None}, op="u")]
    changes = Translator(contract, library).translate(frame(events, older)).national["thu.hoso.v1"]
    assert changes["lt_overflow"].to_list() == ['{"tien":5.0}']


def test_a_boolean_is_written_true_or_false() -> None:
    after: list[dict[str, str | None]] = [{"con": "true"}, {"con": "false"}, {"con": None}]
    frame = event_frame([None] * 3, after, ["c"] * 3, {"con": "boolean"})
    assert frame["after"].struct.field("con").to_list() == [True, False, None]


@pytest.mark.parametrize("text", ["1", "TRUE", "yes", "0", ""])
def test_any_other_text_is_no_boolean(text: str) -> None:
    before, after = [None, None], [{"con": "true"}, {"con": text}]
    with pytest.raises(pl.exceptions.PolarsError):
        event_frame(before, after, ["c", "c"], {"con": "boolean"})
    assert misfit(before, after, {"con": "boolean"}) == (1, "con")


#: Each is what a column beside those of the contract might be called.
NAMES = ["op", "told", "deleted", "status", "role", "known", "moved", "live", "gone", "at", "side", "inside"]


@pytest.mark.parametrize("name", NAMES)
def test_a_column_and_a_field_may_have_any_name(name: str, tmp_path: Path) -> None:
    """As key of record and format, as status, and as what a target asks."""
    write_format(tmp_path, "thu.hoso.v1", name)
    target = {"fields": {name: {"rule": "copy", "from": name}}, "only": {"column": name, "is": ["a", "b"]}}
    contract = {
        **CONTRACT,
        "key": [name],
        "columns": {name: "string"},
        "status": {"column": name, "live": ["a", "b"]},
        "targets": {"thu.hoso.v1": target},
    }
    write_contract(tmp_path, "thu/hoso", contract)
    library = load_library([tmp_path])
    one = library.contracts["thu/hoso"]
    events = [
        event({name: "a"}),
        event({name: "b"}, {name: "a"}, op="u"),
        event(None, {name: "b"}, op="d"),
        event({name: "a"}, op="x"),
        event({name: "c"}, {name: "a"}, op="u"),
    ]
    found = Translator(one, library).translate(frame(events, one))
    changes = found.national["thu.hoso.v1"].select("__row", "lt_op", "lt_key").rows()
    assert changes == [(0, "u", "a"), (1, "d", "a"), (1, "u", "b"), (2, "d", "b"), (4, "d", "a")]
    assert found.rejects.select("__row", "rule").rows() == [(3, "op_unknown"), (4, "status_unknown")]
