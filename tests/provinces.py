"""A small province's folder, made by hand: dossiers of fees, with lines, several targets, and back again."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

CONTRACT: Mapping[str, object] = {
    "title": "Hồ sơ thử",
    "owner": "Cơ quan thử nghiệm",
    "version": 1,
    "table": "hs_hoso",
    "key": ["id"],
    "columns": {"id": "long", "ma": "string", "loai": "string", "ten": "string"},
    "targets": {"thu.hoso.v1": {"fields": {"ma": {"rule": "copy", "from": "ma"}}}},
}


def write_format(folder: Path, full_id: str, *names: str, **more: object) -> None:
    """A format whose key is its first field; all are required in no case but that one."""
    domain, entity, version = full_id.split(".")
    fields = [
        {
            "name": name,
            "type": ["null", "string"],
            "default": None,
            "position": at + 1,
            "label": name,
            "required": not at,
            "sensitivity": "public",
            "basis": "thử nghiệm",
            "evidence": "U",
        }
        for at, name in enumerate(names)
    ]
    national = {
        "type": "record",
        "name": "Record",
        "namespace": f"national.{full_id}",
        "title": "Thử",
        "doc": "Made up for tests.",
        "key": [names[0]],
        "fields": fields,
        **more,
    }
    path = folder / "formats" / domain / entity / f"{version}.avsc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(national), encoding="utf-8")


def write_contract(folder: Path, id_: str, contract: Mapping[str, object]) -> None:
    path = folder / "contracts" / f"{id_}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(contract, allow_unicode=True, sort_keys=False), encoding="utf-8")
