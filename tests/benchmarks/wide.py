"""Contract libraries of a given width, for measuring the sync hop alone."""

import json
from pathlib import Path

import polars as pl

from schemas.library import Library, load_library


def make_library(folder: Path, width: int) -> Library:
    """A format of ``width`` text fields and a contract that feeds it; keyed by its first field."""
    names = [f"f{number:02}" for number in range(1, width + 1)]
    entity = f"wide{width}"
    fields = [
        {
            "name": name,
            "type": ["null", "string"],
            "default": None,
            "position": place,
            "label": f"Trường {place}",
            "required": place == 1,
            "sensitivity": "public",
            "basis": "benchmark",
            "evidence": "I",
        }
        for place, name in enumerate(names, 1)
    ]
    schema = {
        "type": "record",
        "name": "Wide",
        "namespace": f"bench.{entity}.v1",
        "title": f"Bench {width}",
        "doc": "Source: made for the benchmark.",
        "key": [names[0]],
        "fields": fields,
    }
    write(folder / f"formats/bench/{entity}/v1.avsc", json.dumps(schema, ensure_ascii=False))
    columns = "\n".join(f"  {name}: string" for name in names)
    rules = "\n".join(f"      {name}: {{rule: copy, from: {name}}}" for name in names)
    contract = (
        f"title: Bench {width}\nowner: bench\nversion: 1\ntable: {entity}\nkey: [{names[0]}]\n"
        f"columns:\n{columns}\ntargets:\n  bench.{entity}.v1:\n    fields:\n{rules}\n"
    )
    write(folder / f"contracts/bench/{entity}.yaml", contract)
    return register(folder)


def register(folder: Path) -> Library:
    """The library with this folder, each of whose schemas has its id."""
    library = load_library([folder])
    for contract_made in library.outbound:  # an inbound one reads a format, whose schema is not its own
        library.registry.register(contract_made.subject, contract_made.envelope_schema)
    for national in library.formats.values():
        library.registry.register(national.subject, national.wire_schema)
    return load_library([folder])


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def national_rows(width: int, count: int, *, first: int, version: int) -> pl.DataFrame:
    """Wire rows of ``bench.wide<width>.v1``: keys from ``first`` on, values of about 20 characters."""
    number = pl.int_range(first, first + count, eager=True)
    keys = pl.select(pl.format("20296|01/2018|{}", number)).to_series()
    text = {
        f"f{place:02}": pl.select(pl.format("Giá trị {} của {}", pl.lit(place * version), number)).to_series()
        for place in range(2, width + 1)
    }
    return pl.DataFrame(
        {
            "lt_key": keys,
            "lt_op": ["u"] * count,
            "lt_system": ["bench"] * count,
            "lt_dataset": [f"wide{width}"] * count,
            "lt_source_key": number.cast(pl.String),
            "lt_seq": number + (version - 1) * 10_000_000,
            "lt_committed_ms": pl.repeat(1_700_000_000_000, count, dtype=pl.Int64, eager=True),
            "lt_answers": pl.repeat(True, count, eager=True),
            "lt_contract": [f"bench/wide{width}@1"] * count,
            "lt_warnings": pl.repeat(None, count, dtype=pl.String, eager=True),
            "lt_overflow": pl.repeat(None, count, dtype=pl.String, eager=True),
            "f01": keys,
            **text,
        }
    )
