"""A province's whole library for measuring: the shipped contracts, and generated ones up to 141.

Generated contracts are as wide as real ones and use the rules that real ones use, each with a format, five
examples and registered schemas of its own. All values are made up.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.gates.checking import check_library
from schemas.library import Library, load_library
from schemas.mapping import Translator
from tests.benchmarks.measure import Measure, against
from tests.benchmarks.wide import register, write

DATASETS = 141
LOAD_AIM, CHECK_AIM = 2, 30
#: Mapped source columns, and the fields of their format: the shipped ones have 11 to 25, and 13 to 60.
WIDTHS = ((12, 16), (18, 24), (22, 60), (40, 45))
#: Columns that no rule reads; real tables have some.
SPARE = 3


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a generated column holds, and what becomes of it."""

    rule: str  #: in a contract, without ``from``
    source: str  #: ``{}`` is the number of the row
    national: str
    field: Mapping[str, str] = field(default_factory=dict)  #: of the format's field, besides what all have


def _code(code_list: str, source: str, national: str, *, more: str = "", sensitivity: str) -> _Kind:
    field = {"code_list": code_list, "sensitivity": sensitivity}
    return _Kind(f"rule: code, list: {code_list}{more}", source, national, field)


_DAY = {"date_form": "dd.MM.yyyy", "sensitivity": "public"}
_KEY = _Kind("rule: copy", "{}/2018", "{}/2018", {"sensitivity": "public"})
_REGISTERED = _Kind("rule: date, precision: day", "5/3/2018", "05.03.2018", _DAY)
_PLACE = _Kind(
    "rule: code_at, list: dvhc.xa, at: f02",
    "20296",
    "20296",
    {"code_list": "dvhc.xa", "sensitivity": "public"},
)
#: What the columns after the first three hold, over and over.
_KINDS = (
    _Kind("rule: name", "NGUYỄN  VĂN MẪU {}", "Nguyễn Văn Mẫu {}"),
    _Kind("rule: date, precision: kept", "07/1990", "07.1990", {"date_form": "dd.MM.yyyy|MM.yyyy|yyyy"}),
    _code("hotich.gioiTinh", "nam", "1", more=", by: [name, code]", sensitivity="personal"),
    _Kind("rule: copy", "Thôn {}, xã Mẫu", "Thôn {}, xã Mẫu"),
    _code("dantoc", "kinh", "01", sensitivity="sensitive"),
    _code("quoctich", "Việt Nam", "VN", sensitivity="personal"),
    _Kind("rule: copy", "Ghi chú số {}", "Ghi chú số {}"),
    _Kind('rule: split, separator: " - ", part: first', "Trần Thị Thử {} - Chủ tịch", "Trần Thị Thử {}"),
    _Kind("rule: copy", "0{}", "0{}"),
    _Kind("rule: date, precision: day", "17-06-2018", "17.06.2018", {"date_form": "dd.MM.yyyy"}),
)


def dataset_of(number: int) -> str:
    """The id of the generated contract of this number."""
    return f"{_system(number)}/hoso"


def source_row(columns: int, number: int) -> dict[str, str | int]:
    """A good source row of a generated contract with so many mapped columns, by its ``id``."""
    kinds = _kinds(columns)
    row: dict[str, str | int] = {"id": number}
    row |= {f"c{at:02}": kind.source.format(number) for at, kind in enumerate(kinds, 1)}
    return row | {f"spare{at}": f"giữ lại {number}" for at in range(1, SPARE + 1)}


def library_141(
    folder: Path, *, datasets: int = DATASETS, widths: Sequence[tuple[int, int]] = WIDTHS
) -> Library:
    """Write generated contracts into ``folder`` until there are so many datasets, and load them all.

    ``widths`` are taken in turn: mapped columns of the contract, fields of its format.
    """
    for number in range(1, datasets - len(load_library().contracts) + 1):
        columns, fields = widths[number % len(widths)]
        system = _system(number)
        write(folder / f"formats/bench/{system}/v1.avsc", _format(system, columns, fields))
        write(folder / f"contracts/{system}/hoso.yaml", _contract(system, columns))
        write(folder / f"contracts/{system}/hoso.examples.yaml", _examples(system, columns))
    return register(folder)


def library(folder: Path) -> list[Measure]:
    """How long 141 contracts take to load, to compile for a worker, and to check."""
    folder = folder / "library"
    loaded = library_141(folder)
    count, own = len(loaded.contracts), [folder]
    findings = check_library(own).findings
    if count != DATASETS or findings:
        raise AssertionError(f"{count} contracts, and {len(findings)} findings: {findings[:1]}")
    measures = []
    for name, work, aim in (
        ("load", lambda: load_library(own), LOAD_AIM),
        ("compile", lambda: [Translator(one, loaded) for one in loaded.contracts.values()], None),
        ("check", lambda: check_library(own), CHECK_AIM),
    ):
        seconds, cpu = min(_seconds(work) for _ in range(3))
        what = f"{count} contracts, best of three; {cpu:.2f} s of processor"
        if aim is None:
            measures.append(Measure(name=f"library_{name}_s", value=seconds, unit="s", conditions=what))
        else:
            measures.append(against(f"library_{name}_s", seconds, "s", aim, f"{what}; ceiling: the limit"))
    return measures


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def _system(number: int) -> str:
    return f"he{number:03}"


def _kinds(columns: int) -> list[_Kind]:
    rest = [_KINDS[at % len(_KINDS)] for at in range(columns - 3)]
    return [_KEY, _REGISTERED, _PLACE, *rest]


def _format(system: str, columns: int, fields: int) -> str:
    kinds = [*_kinds(columns), *[_Kind("", "", "")] * (fields - columns)]
    written: list[dict[str, Any]] = [
        {
            "name": f"f{place:02}",
            "type": ["null", "string"],
            "default": None,
            "position": place,
            "label": f"Trường số {place} của hồ sơ",
            "required": place <= 3,
            "sensitivity": "personal",
            "basis": "made for the benchmark",
            "evidence": "I",
            **kind.field,
        }
        for place, kind in enumerate(kinds, 1)
    ]
    head = {
        "type": "record",
        "name": "HoSo",
        "namespace": f"bench.{system}.v1",
        "title": f"Hồ sơ {system}",
        "doc": "Source: made for the benchmark.",
        "key": ["f01", "f03"],
    }
    lines = ",\n  ".join(json.dumps(field, ensure_ascii=False) for field in written)
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "fields": [\n  {lines}\n]}}\n'


def _contract(system: str, columns: int) -> str:
    kinds = _kinds(columns)
    named = [*(f"c{at:02}" for at in range(1, columns + 1)), *(f"spare{at}" for at in range(1, SPARE + 1))]
    texts = "\n".join(f"  {name}: string" for name in named)
    rules = "\n".join(f"      f{at:02}: {{{kind.rule}, from: c{at:02}}}" for at, kind in enumerate(kinds, 1))
    return (
        f"title: Hồ sơ {system}\nowner: Sở Mẫu\nversion: 1\ntable: ho_so\nkey: [id]\n"
        f"columns:\n  id: long\n{texts}\ntargets:\n  bench.{system}.v1:\n    fields:\n{rules}\n"
    )


def _examples(system: str, columns: int) -> str:
    row = "\n".join(f'  {name}: "{value}"' for name, value in source_row(columns, 7).items())
    national = "\n".join(
        f'  f{at:02}: "{kind.national.format(7)}"' for at, kind in enumerate(_kinds(columns), 1)
    )
    return (
        f"format: bench.{system}.v1\nrow:\n{row}\nnational:\n{national}\nexamples:\n"
        "  - {name: as it stands, after: {}, gives: {}}\n"
        "  - {name: deleted, op: d, before: {}, deletes: {}}\n"
        "  - {name: no day, after: {c02: null}, refused: {field: f02, rule: required_missing}}\n"
        "  - {name: no such group, after: {c08: người Mẫu}, refused: {field: f08, rule: code_unknown}}\n"
        "  - {name: no such day, after: {c02: 30/2/2018}, refused: {field: f02, rule: date_impossible}}\n"
    )
