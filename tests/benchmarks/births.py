"""The birth register with one layout only, so that figures go on meaning 25 columns to 60 fields."""

from pathlib import Path

import yaml

from schemas.contracts import Contract
from schemas.library import SHIPPED
from tests.benchmarks.wide import register, write

DATASET, LAYOUT = "bench/khaisinh", "hotich.khaisinh.v1"
PROVINCE, NATIONAL = "province.bench.khaisinh", f"national.{LAYOUT}"


def make_library(folder: Path) -> Contract:
    """The shipped contract of births, feeding ``LAYOUT`` alone, in a folder of its own."""
    shipped = SHIPPED / "contracts" / "hotich_qnam" / "khaisinh.yaml"
    contract = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    contract["targets"] = {LAYOUT: contract["targets"][LAYOUT]}
    text = yaml.safe_dump(contract, allow_unicode=True, sort_keys=False)
    write(folder / "contracts" / f"{DATASET}.yaml", text)
    return register(folder).contracts[DATASET]
