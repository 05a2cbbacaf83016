"""``lienthong doctor``: looks at everything a road needs, one line each, OK or a next step."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from pydantic_settings import BaseSettings

from consumers import health
from consumers.health import Finding
from consumers.orphans import read_weights
from consumers.settings import MonitorSettings
from schemas.documents import suggestion
from schemas.errors import LienthongError, SettingsError
from schemas.library import Library, load_library
from schemas.settings import PREFIX, load_settings
from streams.settings import RoadSettings
from streams.topics import plan_topics

#: What deploy/compose.yaml itself is told, and hands on under other names.
_OF_COMPOSE = "DATABASE_PASSWORD"


def findings(relay: type[BaseSettings]) -> Iterator[Finding]:
    """Check what each line needs first, so that one cause is not reported five times.

    ``relay``: the settings of capture, which only the command line knows.
    """
    yield health.exact_pins()
    yield health.foreign_packages()
    spelt = health.settings_load(lambda: _refuse_unknown(RoadSettings, MonitorSettings, relay))
    read = health.settings_load(lambda: _load_all(relay))
    yield read if spelt.ok else spelt  # a misspelt one is why another is not set
    if not read.ok:
        return
    settings = load_settings(RoadSettings)
    contracts = health.contracts_load(settings.contract_folders)
    yield contracts
    if not contracts.ok:
        return
    library = load_library(settings.contract_folders)
    yield health.registry_complete(library)
    yield from _services(settings, library)


def _load_all(relay: type[BaseSettings]) -> None:
    load_settings(RoadSettings)
    read_weights(load_settings(MonitorSettings).orphan_weights)
    if os.environ.get(f"{PREFIX}SOURCE"):
        load_settings(relay)


def _refuse_unknown(*classes: type[BaseSettings]) -> None:
    """Raise ``SettingsError`` for a variable that no program reads: all of them pass a misspelt one over."""
    known = {name.upper() for cls in classes for name in cls.model_fields}
    for variable in sorted(os.environ):
        name = variable.removeprefix(PREFIX)
        if name != variable and name not in known | {_OF_COMPOSE}:
            raise SettingsError(
                f"{variable} is no setting", next_step=f"{PREFIX}…: {suggestion(name, sorted(known))}"
            )


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


def doctor_command(relay: type[BaseSettings]) -> Callable[..., None]:
    """The command; ``relay`` as in ``findings``."""

    def doctor(
        as_json: Annotated[bool, typer.Option("--json", help="One JSON array on standard output.")] = False,
    ) -> None:
        """Check settings, contracts, registry, broker, topics, store, workers, audit chain, clock, packages.

        Exit status 0 if every line is OK, 1 otherwise.
        """
        found = list(_safely(relay))
        if as_json:
            typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
        else:
            for finding in found:
                typer.echo(f"{'OK  ' if finding.ok else 'FAIL'}  {finding.name:<10} {finding.detail}")
                if not finding.ok:
                    typer.echo(f"      next step: {finding.next_step}")
        if not all(finding.ok for finding in found):
            raise typer.Exit(1)

    return doctor


def _safely(relay: type[BaseSettings]) -> Iterator[Finding]:
    try:
        yield from findings(relay)
    except LienthongError as error:  # settings changed under our feet between two looks
        yield Finding(
            name="doctor", ok=False, detail=error.message, next_step=error.next_step or "run it again"
        )
