"""Every file of the shipped library is loaded, owned, in its place, and says what its source says."""

import subprocess
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.contracts import Contract
from schemas.errors import ContractError
from schemas.examples import check_examples
from schemas.library import EXAMPLES, SHIPPED, Library
from tests.shipped import shipped

HERE = Path(__file__).parent
CONTRACTS = sorted(shipped().contracts)


@pytest.fixture(scope="module")
def library() -> Library:
    return shipped()


def examples_of(contract: Contract) -> Path:
    return SHIPPED / "contracts" / contract.system / f"{contract.dataset}{EXAMPLES}"


@pytest.mark.parametrize("contract_id", CONTRACTS)
def test_the_examples_beside_a_contract_come_true(contract_id: str, library: Library) -> None:
    contract = library.contracts[contract_id]
    assert check_examples(examples_of(contract), contract, library) == []


@pytest.mark.parametrize("contract_id", CONTRACTS)
def test_examples_show_good_and_bad_rows_and_every_outcome(contract_id: str, library: Library) -> None:
    contract = library.contracts[contract_id]
    text = examples_of(contract).read_text(encoding="utf-8")
    assert text.count("- name:") >= 5
    outcomes = ["gives:", "refused:", "deletes:"]
    # What is inbound is told by its national key: no national change tells what a record was before.
    outcomes.append("by:" if contract.source else "leaves:")
    if any(target.checks for target in contract.targets):
        outcomes.append("warnings:")
    assert [word for word in outcomes if word not in text] == []


def _births_with(before: str, after: str, library: Library, folder: Path) -> tuple[Contract, Path]:
    """The contract of births, and its examples with one text changed."""
    contract = library.contracts["hotich_qnam/khaisinh"]
    text = examples_of(contract).read_text(encoding="utf-8")
    assert before in text
    path = folder / "khaisinh.examples.yaml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return contract, path


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ('loaiDangKy: "1"', 'loaiDangKy: "4"', "gives: loaiDangKy: expected '4', found '1'"),
        ("date_precision", "date_unreadable", "rule: expected 'date_unreadable', found 'date_precision'"),
        (
            "refused: {field: trang_thai, rule: status_unknown}", "gives: {}",
            "expected ['gives'], found ['status_unknown']",
        ),
        (
            "warnings: [personal_id_form]", "warnings: []",
            "expected ['gives'], found ['gives', 'personal_id_form']",
        ),
        (
            'leaves: {so: "54/2016"}', 'leaves: {so: "55/2016"}',
            "leaves: so: expected '55/2016', found '54/2016'",
        ),
    ],
)  # fmt: skip
def test_an_example_can_fail(
    before: str, after: str, difference: str, library: Library, tmp_path: Path
) -> None:
    contract, path = _births_with(before, after, library, tmp_path)
    found = check_examples(path, contract, library)
    assert any(difference in one for one in found), found
    assert all(one.startswith(f"{path}:") for one in found)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("format: hotich.khaisinh.v1", "format: hotich.kethon.v1", "does not feed hotich.kethon.v1"),
        ("  hotich.khaisinh.v2:\n", "  hotich.kethon.v1:\n", "does not feed hotich.kethon.v1"),
        ("  - name: a leap", "  - format: hotich.kethon.v1\n    name: a leap", "add it under also"),
        ('gives: {trangSo: null', 'gives: {trangSoo: null', "did you mean trangSo?"),
    ],
)  # fmt: skip
def test_examples_of_a_format_that_is_not_told_are_refused(
    before: str, after: str, told: str, library: Library, tmp_path: Path
) -> None:
    contract, path = _births_with(before, after, library, tmp_path)
    with pytest.raises(ContractError) as caught:
        check_examples(path, contract, library)
    assert told in f"{caught.value.message} {caught.value.next_step}"


def files(kind: str) -> list[str]:
    """Paths of a kind below the library, as they are in the repository or the wheel."""
    folder = SHIPPED / kind
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_format_and_contract_file_is_loaded(library: Library) -> None:
    formats = [f"{one.domain}/{one.entity}/v{one.version}.avsc" for one in library.formats.values()]
    assert files("formats") == sorted(formats)
    named = [f"{one.id}{end}" for one in library.contracts.values() for end in (".yaml", EXAMPLES)]
    assert files("contracts") == sorted(named)


def test_every_format_is_fed_and_every_contract_is_owned(library: Library) -> None:
    fed = {target.format for contract in library.contracts.values() for target in contract.targets}
    assert fed == set(library.formats)
    assert all(contract.owner and contract.title for contract in library.contracts.values())


def test_every_rule_of_the_birth_register_has_its_basis(library: Library) -> None:
    """The contract that others follow; in theirs the basis of a field stands for its rule's own."""
    contract = library.contracts["hotich_qnam/khaisinh"]
    assert contract.status
    assert contract.status.basis
    for target in contract.targets:
        assert [name for name, rule in target.rules.items() if not rule.basis] == []
        assert [check.rule for check in target.checks if not check.basis] == []


def test_every_code_list_file_is_loaded(library: Library) -> None:
    told = [f"successors/{one.name}.csv" for one in library.codes.values() if len(one.successors)]
    assert sorted([f"{name}.csv" for name in library.codes] + told) == files("codes")


def test_every_wire_schema_is_registered_as_it_is(library: Library) -> None:
    for national in library.formats.values():
        assert library.registry.current(national.subject).schema == national.wire_schema
    for contract in library.outbound:
        assert library.registry.current(contract.subject).schema == contract.envelope_schema


#: Format -> where the names of its fields were read, in order, and how many there are.
REGISTERS = {
    "hotich.khaisinh.v1": ("ks_sohoa", 60),
    "hotich.khaisinh.v2": ("ks_phanmem158", 70),
    "hotich.kethon.v1": ("kh_sohoa", 44),
    "hotich.khaitu.v1": ("kt_sohoa", 48),
    "hotich.nhanchamecon.v1": ("cmc_sohoa", 50),
    "hotich.xacnhanhonnhan.v1": ("hn_sohoa", 35),
}


def test_every_register_has_its_source_beside_this_test(library: Library) -> None:
    assert REGISTERS.keys() == {one.full_id for one in library.formats.values() if one.domain == "hotich"}
    assert {path.stem.removesuffix("_fields") for path in HERE.glob("*_fields.txt")} == {
        source for source, _ in REGISTERS.values()
    }


@pytest.mark.parametrize("full_id", REGISTERS)
def test_a_register_has_the_fields_of_its_source_in_order(full_id: str, library: Library) -> None:
    source, count = REGISTERS[full_id]
    lines = (HERE / f"{source}_fields.txt").read_text(encoding="utf-8").splitlines()
    fields = [line for line in lines if not line.startswith("#")]
    assert len(fields) == count
    assert [field.name for field in library.formats[full_id].fields] == fields


def test_the_two_layouts_of_births_have_60_fields_in_common(library: Library) -> None:
    old, new = (
        {field.name: replace(field, position=0, basis="") for field in library.formats[full_id].fields}
        for full_id in ("hotich.khaisinh.v1", "hotich.khaisinh.v2")
    )
    assert {name: new[name] for name in old} == old
    assert len(new) - len(old) == 10


def test_ethnicity_is_sensitive_and_names_are_personal(library: Library) -> None:
    for national in library.formats.values():
        for field in national.fields:
            if field.code_list == "dantoc":
                assert field.sensitivity == "sensitive", field.name  # NĐ 356/2025/NĐ-CP
            elif "HoTen" in field.name:
                assert field.sensitivity == "personal", field.name


def test_the_key_of_a_format_is_neither_personal_nor_sensitive(library: Library) -> None:
    """It travels as a Kafka key and stands in logs of brokers."""
    for national in library.formats.values():
        of_key = [field for field in national.fields if field.name in national.key]
        assert {field.sensitivity for field in of_key} == {"public"}


def test_every_data_file_tells_its_source_and_evidence() -> None:
    for path in text_files():
        head = path.read_text(encoding="utf-8")[:1200].lower()
        if path.name.endswith((".yaml", ".csv", ".avsc")):
            assert "evidence" in head or "made up" in head, path


def test_every_data_file_is_clean_text() -> None:
    for path in text_files():
        text = path.read_text(encoding="utf-8")
        assert text == unicodedata.normalize("NFC", text), path
        assert "\r" not in text, path
        assert text.endswith("\n"), path


def text_files() -> Sequence[Path]:
    return [
        path
        for kind in ("formats", "contracts", "codes")
        for path in (SHIPPED / kind).rglob("*")
        if path.is_file()
    ]


def test_no_data_file_is_left_out_of_the_repository() -> None:
    """What git ignores would be missing from a fresh clone."""
    done = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "schemas"],
        cwd=SHIPPED.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not in a git working tree")
    assert [name for name in done.stdout.split() if not name.endswith(".pyc")] == []
