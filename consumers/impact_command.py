"""``lienthong contracts impact``: what a new national format would do, to contracts and to stored records."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.opening import open_store
from consumers.settings import StoreSettings
from schemas.errors import SettingsError
from schemas.formats import NationalFormat, load_new_format
from schemas.gates import findings
from schemas.gates.impact import Impact, impacts
from schemas.gates.sample import Fate, Fates, Stored, fates, read_sample
from schemas.library import load_library
from schemas.printing import print_json
from schemas.settings import LibrarySettings, load_settings


def impact(
    new_format: Annotated[
        Path, typer.Argument(metavar="FORMAT_FILE", help="The ministry's new version, as an .avsc file.")
    ],
    sample: Annotated[
        Path | None, typer.Option(help="Stored records to try, as lines that `lienthong consume` printed.")
    ] = None,
    store: Annotated[
        int, typer.Option(metavar="N", min=0, help="Try N records of LIENTHONG_STORE for each version fed.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Tell what a new version of a national format would do to the systems that feed it.

    For each: required fields that nothing obtains, with columns that sound like them; rules that do not serve
    any more; codes, date forms, labels, duties and legal texts that change; fields without room. With a
    sample: how many stored records would be refused or altered, by field, with their places and never their
    values. Exit status 1 if a system could not feed it as things stand or a sampled record would be refused.
    """
    folders = load_settings(LibrarySettings).contract_folders
    library = load_library(folders)
    new = load_new_format(new_format)
    found = impacts(new, library, folders)
    tried: dict[str, Fates] = {}
    for full_id in sorted({one.fed.full_id for one in found}):
        old = library.formats[full_id]
        records = _records(old, sample, store)
        if records is not None:
            tried[full_id] = fates(records, old, new, library.codes)
    if as_json:
        systems = [_as_json(one) for one in found]
        print_json({"format": new.full_id, "systems": systems, "sample": list(_fates_as_json(tried))})
    else:
        _print(new, found, tried)
    refused = any(fate.refused for by_dataset in tried.values() for fate in by_dataset.values())
    if refused or any(findings.failed(one.findings) for one in found):
        raise typer.Exit(1)


def _records(old: NationalFormat, sample: Path | None, store: int) -> Iterator[Stored] | None:
    if sample is not None and store:
        raise SettingsError("--sample and --store are both given", next_step="give one of them")
    if sample is not None:
        return read_sample(sample, old)
    return _stored(old, store) if store else None


def _stored(old: NationalFormat, how_many: int) -> Iterator[Stored]:
    with closing(open_store(load_settings(StoreSettings).store)) as opened:
        opened.check([old])
        for place, (system, dataset, fields) in enumerate(opened.sample(old, how_many), start=1):
            yield Stored(system=system, dataset=dataset, place=place, fields=fields)


def _fates_of(one: Impact, tried: Mapping[str, Fates]) -> Fate | None:
    return tried.get(one.fed.full_id, {}).get((one.contract.system, one.contract.dataset))


def _as_json(one: Impact) -> dict[str, Any]:
    return {
        "system": one.contract.system,
        "dataset": one.contract.dataset,
        "owner": one.contract.owner,
        "feeds": one.fed.full_id,
        "findings": findings.as_json(one.findings),
    }


def _fates_as_json(tried: Mapping[str, Fates]) -> Iterator[dict[str, Any]]:
    for full_id, by_dataset in tried.items():
        for (system, dataset), fate in by_dataset.items():
            reasons = [
                {"field": name, "reason": reason, "records": count, "places": fate.places[name, reason]}
                for (name, reason), count in fate.reasons.most_common()
            ]
            counts = {"records": fate.records, "refused": fate.refused, "altered": fate.altered}
            yield {"feeds": full_id, "system": system, "dataset": dataset, **counts, "reasons": reasons}


def _print(new: NationalFormat, found: Sequence[Impact], tried: Mapping[str, Fates]) -> None:
    for one in found:
        typer.echo(f"{one.contract.id} ({one.contract.owner}) feeds {one.fed.full_id}")
        for line in findings.told(one.findings):
            typer.echo(f"  {line}")
        if fate := _fates_of(one, tried):
            _print_fate(fate)
    others = {key for by_dataset in tried.values() for key in by_dataset}
    others -= {(one.contract.system, one.contract.dataset) for one in found}
    for by_dataset in tried.values():
        for key in sorted(others & by_dataset.keys()):
            typer.echo("/".join(filter(None, key)) or "records that tell no system")
            _print_fate(by_dataset[key])
    short = sum(findings.failed(one.findings) for one in found)
    told = f"{short} of {len(found)} datasets that feed {new.id} cannot feed {new.full_id} as they stand"
    typer.echo(told if found else f"no contract feeds {new.id}: nothing hangs on it", err=True)


def _print_fate(fate: Fate) -> None:
    typer.echo(f"  of {fate.records} records: {fate.refused} refused, {fate.altered} altered")
    for (name, reason), count in fate.reasons.most_common():
        places = ", ".join(map(str, fate.places[name, reason]))
        more = ", …" if count > len(fate.places[name, reason]) else ""
        typer.echo(f"    {name}: {reason}: {count} (records {places}{more})")
