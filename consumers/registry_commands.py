"""``lienthong registry …``: the library's schemas in a registry that other consumers ask."""

from typing import Annotated

import typer

from consumers.schema_registry import Compared, ConfluentRegistry, compare
from consumers.schema_registry import push as pushed
from schemas.library import load_library
from schemas.printing import print_json
from schemas.registry import FileRegistry
from schemas.settings import LibrarySettings, load_settings

registry = typer.Typer(
    no_args_is_help=True, help="Let others decode the topics: schemas in a Confluent-compatible registry."
)

Url = Annotated[
    str, typer.Option(help="Root of its Confluent API: http://host:8081, or Apicurio's …/apis/ccompat/v7.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


@registry.command()
def push(url: Url, as_json: AsJson = False) -> None:
    """Register every schema of the library there under the id it has here; what is there stays.

    Everything is read back and its fingerprint compared. If an id stands for another schema there, nothing
    is sent. Exit status 1 then, 75 if the registry does not answer.
    """
    every = pushed(_ours(), ConfluentRegistry(url))
    _tell(every, as_json, {"missing": "sent", "there": "was there"})


@registry.command()
def check(url: Url, as_json: AsJson = False) -> None:
    """Compare the registry with the library: every id, subject and fingerprint. Changes nothing.

    Exit status 0 if a consumer that asks this registry can decode every topic, 1 if not.
    """
    every = compare(_ours(), ConfluentRegistry(url))
    _tell(every, as_json, {"missing": "missing", "there": "there", "other": "ANOTHER SCHEMA"})
    if any(each.state != "there" for each in every):
        raise typer.Exit(1)


def _ours() -> FileRegistry:
    return load_library(load_settings(LibrarySettings).contract_folders).registry


def _tell(every: list[Compared], as_json: bool, words: dict[str, str]) -> None:
    if as_json:
        print_json(
            [
                {"id": one.schema.id, "subject": one.schema.subject, "sha256": one.schema.sha256}
                | {"state": words[one.state]}
                for one in every
            ]
        )
        return
    for one in every:
        typer.echo(f"{one.schema.id}\t{one.schema.subject}\t{words[one.state]}")
