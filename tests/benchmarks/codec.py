"""What reading and writing records as columns costs, beside what it could cost at least and fastavro."""

import io
import random
import time
from collections.abc import Callable
from functools import partial

import fastavro
import polars as pl

from deploy.demo.births import new_births, render
from schemas.avro_layout import layout_of
from schemas.avro_walk import sound
from schemas.codec import decode, encode, encode_row
from schemas.library import Library, load_library
from schemas.mapping import Translator
from schemas.registry import RegisteredSchema
from tests.benchmarks.measure import Measure, against

BATCH = 2_000
#: fastavro goes record by record, so fewer of them, in as many rounds, measure it as fairly and sooner.
PEER_BATCH = 200
ROUNDS = 15
CONTRACT, FORMAT = "hotich_qnam/khaisinh", "hotich.khaisinh.v1"


def codec() -> list[Measure]:
    """Microseconds a record for the provincial envelope and the national record of a birth; no services."""
    library = load_library()
    contract = library.contracts[CONTRACT]
    envelope = library.registry.current(contract.subject)
    change = library.registry.current(library.formats[FORMAT].subject)
    events = _events(envelope)
    [(_, frame)] = decode(events, registry=library.registry, subject=contract.subject).groups
    national = Translator(contract, library).translate(frame).national[FORMAT].drop("__row")
    changes = encode(national, change)
    return [
        *_decode("decode_envelope_25", events, envelope, library),
        *_decode(f"decode_national_{national.width}", changes, change, library),
        *_encode(f"encode_national_{national.width}", national, change),
    ]


def _events(registered: RegisteredSchema) -> list[bytes]:
    rng = random.Random(3)
    source = {
        "version": "1",
        "connector": "bench",
        "name": "hotich_qnam",
        "ts_ms": 1_767_225_600_123,
        "snapshot": "false",
        "db": "bench",
        "table": "ht_khaisinh",
        "dataset": "khaisinh",
    }
    return [
        encode_row(
            {
                "before": None,
                "after": dict(render(birth, rng)),
                "source": source | {"seq": seq},
                "op": "c",
                "ts_ms": 1_767_225_600_456,
            },
            registered,
        )
        for seq, birth in enumerate(new_births(BATCH, 3), start=1)
    ]


def _decode(name: str, values: list[bytes], registered: RegisteredSchema, library: Library) -> list[Measure]:
    layout, parsed = layout_of(registered.schema), fastavro.parse_schema(registered.schema)
    bodies = [value[5:] for value in values]
    block, start = layout.block(bodies)

    def ours(some: list[bytes]) -> None:
        decoded = decode(some, registry=library.registry, subject=registered.subject)
        assert not decoded.faults

    def by_fastavro() -> None:
        for body in bodies[:PEER_BATCH]:
            fastavro.schemaless_reader(io.BytesIO(body), parsed, None)

    whole = _best(lambda: ours(values)) / len(values)
    read = _best(lambda: pl.read_avro(io.BytesIO(block))) / len(values)
    check = _best(lambda: sound(layout.fields, bodies, block, start)) / len(values)
    peer = _best(by_fastavro) / PEER_BATCH
    what = f"batch of {len(values):,}, {len(block) // len(values)} bytes a record, best of {ROUNDS} rounds"
    return [
        against(name, whole, "µs/record", read, f"{what}; ceiling: polars.read_avro of the block alone"),
        against(f"{name}_check", check, "µs/record", whole, f"{what}; the walk of the bytes, of the whole"),
        against(f"{name}_fastavro", peer, "µs/record", whole, f"{what}; the peer, to dicts, against ours"),
        *_small(name, lambda few: ours(values[:few])),
    ]


def _encode(name: str, frame: pl.DataFrame, registered: RegisteredSchema) -> list[Measure]:
    rows, parsed = frame.to_dicts(), fastavro.parse_schema(registered.schema)

    def by_fastavro() -> None:
        for row in rows[:PEER_BATCH]:
            fastavro.schemaless_writer(io.BytesIO(), parsed, row)

    whole = _best(lambda: encode(frame, registered)) / len(rows)
    write = _best(lambda: frame.write_avro(io.BytesIO())) / len(rows)
    peer = _best(by_fastavro) / PEER_BATCH
    what = f"batch of {len(rows):,}, best of {ROUNDS} rounds"
    return [
        against(name, whole, "µs/record", write, f"{what}; ceiling: DataFrame.write_avro alone"),
        against(f"{name}_fastavro", peer, "µs/record", whole, f"{what}; the peer, from dicts, against ours"),
        *_small(name, lambda few: encode(frame[:few], registered)),
    ]


def _small(name: str, work: Callable[[int], object]) -> list[Measure]:
    """The fixed cost: batches of one and of ten."""
    return [
        against(
            f"{name}_batch_{few}",
            _best(partial(work, few), rounds=100) / 1000,
            "ms/batch",
            2,
            f"{few} records, best of 100 rounds; ceiling: the aim",
        )
        for few in (1, 10)
    ]


def _best(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """Microseconds of the quickest round; the machine's other work only ever adds."""
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times) * 1e6
