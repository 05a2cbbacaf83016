"""Inbound contracts: a national format comes back to a province, and never to where a change was made."""

from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
import yaml

from producers.install import choose
from schemas.codec import encode_row
from schemas.errors import ContractError, LienthongError
from schemas.examples import check_examples
from schemas.formats import WIRE_FIELDS
from schemas.gates.checking import check_library
from schemas.library import Library, fingerprints, load_library
from schemas.mapping import Translated, Translator
from streams.translate import TranslateHop, Translation
from tests.gates import shipping
from tests.hop_lab import Event
from tests.provinces import CONTRACT, write_contract, write_format

BACK: dict[str, Any] = {
    "title": "Dữ liệu về tỉnh",
    "owner": "Cơ quan thử nghiệm",
    "version": 1,
    "source": {"format": "thu.hoso.v1"},
    "not_from": ["saochep"],
    "targets": {
        "tinh.hoso.v1": {
            "fields": {
                "ma": {"rule": "copy", "from": "ma"},
                "noi": {"rule": "copy", "from": "ten", "required": True},
            }
        }
    },
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_format(tmp_path, "thu.hoso.v1", "ma", "ten")
    write_format(tmp_path, "tinh.hoso.v1", "ma", "noi")
    write_contract(tmp_path, "thu/hoso", CONTRACT)
    return tmp_path


def library_of(folder: Path, **more: object) -> Library:
    write_contract(folder, "huyen/hoso", {**BACK, **more})
    return load_library([folder])


def change(ma: str, ten: str | None = "Thử", *, of: str | None = "thu", **more: object) -> dict[str, Any]:
    told = {"lt_op": "u", "lt_dataset": "hoso", "lt_source_key": f"nguồn-{ma}", "lt_seq": 7}
    return {"ma": ma, "ten": ten, **told, "lt_committed_ms": 1, "lt_answers": True, "lt_system": of, **more}


def translated(library: Library, *changes: dict[str, Any]) -> Translated:
    rows = pl.DataFrame([{**one, "__row": at} for at, one in enumerate(changes)], infer_schema_length=None)
    rows = rows.with_columns(pl.col("__row").cast(pl.UInt32), pl.col("ten").cast(pl.String))
    return Translator(library.contracts["huyen/hoso"], library).translate(rows)


def test_it_reads_the_formats_topic_and_its_fields(folder: Path) -> None:
    contract = library_of(folder).contracts["huyen/hoso"]
    assert (contract.topic, contract.subject) == ("national.thu.hoso.v1", "national.thu.hoso.v1-value")
    assert (contract.key, list(contract.columns)) == (("ma",), ["ma", "ten"])


def test_what_is_made_of_a_change_tells_who_made_it(folder: Path) -> None:
    one = translated(library_of(folder), change("A"))
    told = one.national["tinh.hoso.v1"].row(0, named=True)
    assert (told["ma"], told["noi"], told["lt_key"]) == ("A", "Thử", "A")
    whose = ("lt_system", "lt_dataset", "lt_source_key", "lt_seq", "lt_committed_ms")
    assert tuple(told[name] for name in whose) == ("thu", "hoso", "nguồn-A", 7, 1)
    assert told["lt_contract"] == "huyen/hoso@1"


def test_a_change_never_returns_to_where_it_came_from(folder: Path) -> None:
    one = translated(
        library_of(folder),
        change("A", of="huyen"),
        change("B", of="saochep"),
        change("C"),
        change("D", of=None),
    )
    assert one.national["tinh.hoso.v1"]["ma"].to_list() == ["C", "D"]
    assert one.rejects.is_empty()


def test_deletions_go_on_as_they_came(folder: Path) -> None:
    one = translated(
        library_of(folder),
        change("A", None, lt_op="d"),
        change("B", None, lt_op="d", lt_answers=False),
        change("C", lt_answers=None),
    )
    changes = one.national["tinh.hoso.v1"].select("lt_op", "lt_key", "noi", "lt_answers").rows()
    assert changes == [("d", "A", None, True), ("d", "B", None, False), ("u", "C", "Thử", True)]


def test_what_is_refused_is_told_to_who_made_the_change(folder: Path) -> None:
    one = translated(library_of(folder), change("A", None), change("B", lt_op="x"))
    told = one.rejects.select("lt_system", "lt_dataset", "lt_seq", "field", "rule").rows()
    assert told == [("thu", "hoso", 7, "noi", "required_missing"), ("thu", "hoso", 7, "lt_op", "op_unknown")]
    assert one.national["tinh.hoso.v1"].is_empty()


def test_a_target_may_concern_only_some_of_it(folder: Path) -> None:
    targets = {"tinh.hoso.v1": {**BACK["targets"]["tinh.hoso.v1"], "only": {"column": "ten", "is": ["X"]}}}
    one = translated(
        library_of(folder, targets=targets), change("A", "X"), change("B", "Y"), change("C", None, lt_op="d")
    )
    changes = one.national["tinh.hoso.v1"].select("lt_op", "lt_key", "lt_answers").rows()
    assert changes == [("u", "A", True), ("d", "B", False), ("d", "C", True)]
    assert one.passed["tinh.hoso.v1"]["__row"].to_list() == [1]


def answered(library: Library, folder: Path, *changes: dict[str, Any]) -> Translation:
    """What the hop makes of national records, without a store."""
    national = library.formats["thu.hoso.v1"]
    library.registry.register(national.subject, national.wire_schema)
    library.registry.register("national.tinh.hoso.v1-value", library.formats["tinh.hoso.v1"].wire_schema)
    nobody, registered = cast(Any, None), library.registry.current(national.subject)
    hop = TranslateHop(
        library=library,
        contracts=library.inbound,
        store=nobody,
        publisher=nobody,
        deployment="thu",
        metrics=nobody,
        executor=nobody,
        fingerprints=fingerprints(library, [folder]),
    )
    bare: dict[str, Any] = dict.fromkeys(name for name, _ in WIRE_FIELDS)
    values = [encode_row({**bare, "lt_key": one["ma"], **one}, registered) for one in changes]
    return hop.translate(national.topic, [(0, Event(at, b"k", value)) for at, value in enumerate(values)])


def test_who_made_a_change_is_told_that_it_does_not_concern_the_province(folder: Path) -> None:
    """Numbers of others under the contract's own dataset would look like numbers of its own."""
    targets = {"tinh.hoso.v1": {**BACK["targets"]["tinh.hoso.v1"], "only": {"column": "ten", "is": ["X"]}}}
    changes = [change("A", "Y"), change("B", "Y", of="nước", lt_seq=3), change("C", "Y", of=None)]
    changes += [change("D", "Y", of="x" * 999)]
    out = answered(library_of(folder, targets=targets), folder, *changes, change("E", "X", lt_seq=9))
    told = [(one.system, one.dataset, one.outcome, one.seqs) for one in out.receipts]
    assert told == [("thu", "hoso", "passed", "7"), ("nước", "hoso", "passed", "3")]


def test_what_is_refused_of_nobody_is_told_to_nobody(folder: Path) -> None:
    """A reject without a system is refused by the store itself, and so the line would stop."""
    faulty = (change("A", None, of=None), change("B", None, lt_dataset=None), change("C", None, of="x" * 999))
    out = answered(library_of(folder), folder, *faulty)
    told = [(one.system, one.dataset, one.rule) for one in out.rejects]
    assert told == [("national", "thu.hoso.v1", "required_missing")] * 3


def test_examples_beside_it_are_its_tests(folder: Path) -> None:
    library = library_of(folder)
    path = folder / "contracts" / "huyen" / "hoso.examples.yaml"
    row, gives = {"ma": "A", "ten": "Thử"}, {"ma": "A", "noi": "Thử"}
    examples = [
        {"name": "đổi tên", "after": {"ten": "Sửa"}, "gives": {"noi": "Sửa"}},
        {"name": "của chính mình", "by": "huyen", "after": {}},
        {"name": "xóa", "op": "d", "before": {}, "deletes": {}},
        {
            "name": "thiếu tên",
            "after": {"ten": None},
            "refused": {"field": "noi", "rule": "required_missing"},
        },
        {"name": "sai", "after": {}, "gives": {"noi": "khác"}},
    ]
    told = {"format": "tinh.hoso.v1", "row": row, "national": gives, "examples": examples}
    path.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
    wrong = check_examples(path, library.contracts["huyen/hoso"], library)
    assert [line.partition(": ")[2] for line in wrong] == ["sai: gives: noi: expected 'khác', found 'Thử'"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"source": {"format": "thu.hso.v1"}}, "no national format thu.hso.v1"),
        ({"source": {}}, "source.format"),
        ({"table": "hs_hoso"}, "unknown key table"),
        ({"left_out": {"ten": "thử"}}, "unknown key left_out"),
        ({"targets": {"thu.hoso.v1": {"fields": {"ma": {"rule": "copy", "from": "ma"}}}}}, "fed by itself"),
        (
            {"targets": {"tinh.hoso.v1": {"fields": {"ma": {"rule": "copy", "from": "ten"}}}}},
            "its key needs ten, which the deletion of a record of thu.hoso.v1 does not tell",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(folder: Path, more: dict[str, Any], text: str) -> None:
    with pytest.raises(ContractError, match=text) as caught:
        library_of(folder, **more)
    assert "hoso.yaml:" in caught.value.message
    assert caught.value.next_step


BOTH = {"ma": {"rule": "copy", "from": "ma"}, "noi": {"rule": "copy", "from": "ten"}}


@pytest.mark.parametrize(
    ("changed", "lost"),
    [
        ({"ma": {"rule": "name", "from": "ma"}}, "ma"),
        ({"noi": {"rule": "name", "from": "ten"}}, "ten"),
        ({"noi": {"rule": "constant", "value": "x"}}, "ten"),
        ({"noi": {"rule": "copy", "from": "ma"}}, "ten"),
        ({"noi": {"rule": "join", "from": ["ma", "ten"]}}, "ten"),
    ],
)
def test_two_national_records_never_get_one_key(folder: Path, changed: dict[str, Any], lost: str) -> None:
    """Else a record that moves from one to the other ends as deleted."""
    write_format(folder, "thu.hoso.v1", "ma", "ten", key=["ma", "ten"])
    write_format(folder, "tinh.hoso.v1", "ma", "noi", key=["ma", "noi"])
    library_of(folder, targets={"tinh.hoso.v1": {"fields": BOTH}})
    with pytest.raises(ContractError, match=f"its key does not copy {lost},") as caught:
        library_of(folder, targets={"tinh.hoso.v1": {"fields": {**BOTH, **changed}}})
    assert "hoso.yaml:" in caught.value.message
    assert f"from: {lost}" in caught.value.next_step


def test_a_key_may_have_more_than_the_source_s_own(folder: Path) -> None:
    write_format(folder, "tinh.hoso.v1", "ma", "noi", key=["noi", "ma"])
    fields = {"ma": BOTH["ma"], "noi": {"rule": "constant", "value": "tỉnh"}}
    one = translated(library_of(folder, targets={"tinh.hoso.v1": {"fields": fields}}), change("A"))
    assert one.national["tinh.hoso.v1"]["lt_key"].to_list() == ["tỉnh|A"]


def test_a_system_that_nobody_is_named_is_found(folder: Path) -> None:
    def told(*not_from: str) -> list[tuple[str, str, str]]:
        write_contract(folder, "huyen/hoso", {**BACK, "not_from": list(not_from)})
        with shipping():
            found = [one for one in check_library([folder]).findings if one.rule == "way_back"]
        return [(one.severity, one.text.rpartition(" ")[2], one.next_step) for one in found]

    assert told("thu") == []
    ((severity, name, next_step),) = told("thu", "thuu")
    assert (severity, name) == ("error", "thuu")
    assert "thu" in next_step
    write_contract(folder, "thuu/hoso", {**CONTRACT, "version": "x"})
    assert [severity for severity, *_ in told("thuu")] == ["note"], "what cannot be read may be it"


def test_formats_that_feed_each_other_in_a_ring_are_refused(folder: Path) -> None:
    fields = {"ma": {"rule": "copy", "from": "ma"}}
    again = {**BACK, "source": {"format": "tinh.hoso.v1"}, "targets": {"thu.hoso.v1": {"fields": fields}}}
    write_contract(folder, "xa/hoso", again)
    with pytest.raises(ContractError, match=r"round for ever: .*thu\.hoso\.v1"):
        library_of(folder)


def test_it_has_no_schema_of_its_own_nor_a_table_to_capture(folder: Path) -> None:
    library = library_of(folder)
    assert "huyen/hoso" in {one.id for one in library.inbound}
    assert "huyen/hoso" in fingerprints(library, [folder])
    of_schemas = [one.text for one in check_library([folder]).findings if one.rule == "registry"]
    assert not [text for text in of_schemas if "province.huyen" in text]
    with pytest.raises(LienthongError, match="is inbound"):
        choose(library, cast(Any, None), "huyen/hoso")
