"""``lienthong doctor``: looks at everything a road needs, one line each, OK or a next step."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from consumers import health
from consumers.health import Finding
from consumers.orphans import read_weights
from consumers.settings import OrphanSettings
from schemas.errors import LienthongError
from schemas.library import Library, load_library
from schemas.settings import load_settings
from streams.settings import RoadSettings
from streams.topics import plan_topics


def findings() -> Iterator[Finding]:
    """Check what each line needs first, so that one cause is not reported five times."""
    yield health.exact_pins()
    yield health.foreign_packages()
    settings_finding = health.settings_load(_load_all)
    yield settings_finding
    if not settings_finding.ok:
        return
    settings = load_settings(RoadSettings)
    contracts = health.contracts_load(settings.contract_folders)
    yield contracts
    if not contracts.ok:
        return
    library = load_library(settings.contract_folders)
    yield health.registry_complete(library)
    yield from _services(settings, library)


def _load_all() -> None:
    load_settings(RoadSettings)
    read_weights(load_settings(OrphanSettings).orphan_weights)


def _services(settings: RoadSettings, library: Library) -> Iterator[Finding]:
    broker = health.broker_answers(settings.broker)
    yield broker
    if broker.ok:
        expected = {plan.name: plan.partitions for plan in plan_topics(library)}
        yield health.topics_present(settings.broker, expected)
    store = health.store_ready(settings.store, library.formats.values())
    yield store
    if store.ok:
        yield health.workers_follow(settings.store, settings.deployment, library, settings.contract_folders)
        yield health.audit_sealed(settings.store, settings.audit_key_file)
    yield health.clock_agrees(settings.store)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on standard output.")] = False,
) -> None:
    """Check settings, contracts, registry, broker, topics, store, workers, audit chain, clock and packages.

    Exit status 0 if every line is OK, 1 otherwise.
    """
    found = list(_safely())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    else:
        for finding in found:
            typer.echo(f"{'OK  ' if finding.ok else 'FAIL'}  {finding.name:<10} {finding.detail}")
            if not finding.ok:
                typer.echo(f"      next step: {finding.next_step}")
    if not all(finding.ok for finding in found):
        raise typer.Exit(1)


def _safely() -> Iterator[Finding]:
    try:
        yield from findings()
    except LienthongError as error:  # settings changed under our feet between two looks
        yield Finding(
            name="doctor", ok=False, detail=error.message, next_step=error.next_step or "run it again"
        )
