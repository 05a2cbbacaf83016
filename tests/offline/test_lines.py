"""Lines of other tables in a contract: what may be said of them, and how rules read the one line of a set."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ContractError
from schemas.library import load_library
from schemas.mapping import Translated, Translator
from tests.envelopes import event, frame
from tests.provinces import CONTRACT, write_contract, write_format

LINES: dict[str, Any] = {
    "phi": {"table": "hs_phi", "on": {"hoso_id": "id"}, "order": ["stt"], "columns": {"tien": "long"}},
    "nop": {
        "table": "hs_nop",
        "on": {"hoso_id": "id"},
        "columns": {"noi": "string", "so": "long", "du": "boolean"},
        "one": True,
    },
}
FIELDS = {"ma": "ma", "noi": "nop.noi", "so": "nop.so"}
TARGETS = {"thu.hoso.v1": {"fields": {name: {"rule": "copy", "from": of} for name, of in FIELDS.items()}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_format(tmp_path, "thu.hoso.v1", "ma", "noi", "so")
    return tmp_path


def translated(folder: Path, *events: dict[str, Any], **more: object) -> Translated:
    write_contract(folder, "thu/hoso", {**CONTRACT, "lines": LINES, "targets": TARGETS, **more})
    library = load_library([folder])
    contract = library.contracts["thu/hoso"]
    return Translator(contract, library).translate(frame(list(events), contract))


def row(nop: str | None, **more: object) -> dict[str, Any]:
    return {"id": 1, "ma": "A", "loai": None, "ten": None, "phi": '[{"tien":5}]', "nop": nop, **more}


def test_the_wire_has_one_text_for_each_set(folder: Path) -> None:
    write_contract(folder, "thu/hoso", {**CONTRACT, "lines": LINES, "targets": TARGETS})
    contract = load_library([folder]).contracts["thu/hoso"]
    value = contract.envelope_schema["fields"][0]["type"][1]
    assert [field["name"] for field in value["fields"]] == ["id", "ma", "loai", "ten", "phi", "nop"]
    assert value["fields"][-1] == {"name": "nop", "type": ["null", "string"], "default": None}
    assert contract.lines["phi"].order == ("stt",)


def test_the_columns_of_the_one_line_are_read_like_the_records_own(folder: Path) -> None:
    one = translated(
        folder,
        event(row('[{"noi":"Hội An","so":7,"du":true}]')),
        event(row('[{"noi":"Tam Kỳ"}]')),
        event(row("[]")),
        event(row(None)),
    )
    national = one.national["thu.hoso.v1"]
    assert national["noi"].to_list() == ["Hội An", "Tam Kỳ", None, None]
    assert national["so"].to_list() == ["7", None, None, None]


def test_several_lines_where_one_is_told_are_refused(folder: Path) -> None:
    two = '[{"noi":"a"},{"noi":"b"}]'
    one = translated(
        folder, event(row(two), seq=1), event(None, row(two), op="d", seq=2), event(row("[]"), seq=3)
    )
    assert one.rejects.select("lt_seq", "field", "rule").rows() == [(1, "nop", "lines_several")]
    assert one.national["thu.hoso.v1"]["lt_op"].to_list() == ["d", "u"], "a delete needs no more than its key"


@pytest.mark.parametrize(
    "nop",
    [
        '[{"so":5.7}]',
        '[{"so":99999999999999999999}]',
        '[{"so":true}]',
        '[{"du":1}]',
        '[{"noi":"a","noi":"b"}]',
        '[{"noi":"\\ud800"}]',
        '[{"noi":"a"}',
        '{"noi":"a"}',
        "[null]",
        "x",
        "",
    ],
)
def test_a_line_that_is_not_what_the_contract_says_is_refused(folder: Path, nop: str) -> None:
    one = translated(folder, event(row(nop)), event(None, row(nop), op="d", seq=2), event(row("[]"), seq=3))
    assert one.rejects.select("lt_seq", "field", "rule").rows() == [(1, "nop", "list_unreadable")]
    assert one.national["thu.hoso.v1"]["lt_seq"].to_list() == [2, 3]


def test_the_largest_number_of_a_line_is_kept_to_its_last_digit(folder: Path) -> None:
    one = translated(folder, event(row('[{"so":9223372036854775807}]')))
    assert one.national["thu.hoso.v1"]["so"].to_list() == ["9223372036854775807"]


def test_a_key_may_come_from_the_line_and_move_with_it(folder: Path) -> None:
    fields = {"ma": {"rule": "copy", "from": "nop.noi"}}
    before, after = row('[{"noi":"a"}]'), row('[{"noi":"b"}]')
    one = translated(folder, event(after, before, op="u"), targets={"thu.hoso.v1": {"fields": fields}})
    changes = one.national["thu.hoso.v1"].select("lt_op", "lt_key", "lt_answers").rows()
    assert changes == [("d", "a", False), ("u", "b", True)]


def test_the_status_may_be_on_the_line(folder: Path) -> None:
    status = {"column": "nop.so", "live": ["1"], "gone": ["0"]}
    gone, live = row('[{"so":0}]'), row('[{"so":1}]')
    one = translated(folder, event(gone), event(live), event(row("[]"), seq=3), status=status)
    assert one.national["thu.hoso.v1"]["lt_op"].to_list() == ["d", "u"]
    assert one.rejects.select("lt_seq", "rule").rows() == [(3, "status_unknown")]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ({"ma": LINES["phi"]}, "a set of lines cannot be named ma"),
        ({"Phi": LINES["phi"]}, "a set of lines cannot be named Phi"),
        ({"phi": {**LINES["phi"], "on": {"hoso_id": "idd"}}}, "the source has no column idd"),
        ({"phi": {**LINES["phi"], "on": {}}}, "lines.phi.on"),
        ({"phi": {**LINES["phi"], "oder": ["stt"]}}, "unknown key lines.phi.oder"),
        ({"nop": {**LINES["nop"], "one": False}}, "the source has no column nop.noi"),
        ({"nop": {**LINES["nop"], "columns": {"noi": "text"}}}, "lines.nop.columns.noi"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(folder: Path, lines: dict[str, Any], text: str) -> None:
    with pytest.raises(ContractError, match=text) as caught:
        translated(folder, lines=lines)
    assert "hoso.yaml:" in caught.value.message
    assert caught.value.next_step
