"""What a record may have been, told backwards from its national key: for a delete of one that is gone.

A delete reaches a national record by the key that the contract makes of what the record was. Where the
source does not know that any more, national values are put into the columns that key fields come from, and
the contract itself is asked whether it makes that key of them. Nothing is sent that it does not confirm.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import polars as pl

from schemas.contracts import Contract
from schemas.differences import Difference
from schemas.events import event_frame, misfit
from schemas.mapping import Translator
from schemas.national import parts_of

Image = Mapping[str, Any]


def images_of(
    contract: Contract,
    translator: Translator,
    gone: Mapping[str, Sequence[Difference]],
    last: Mapping[str, str],
) -> dict[str, Image]:
    """Images of records that the source has no more; those that cannot be told are left out.

    Args:
        contract: whose records they are.
        translator: of the contract.
        gone: by source key, what the store still holds of each.
        last: by source key, JSON of the last image that is known of some.
    """
    found: dict[str, Image] = {}
    known = {key: _texts(json.loads(image)) for key, image in last.items() if key in gone}
    guessed = {key: _backwards(contract, key, held) for key, held in gone.items()}
    for images in (known, guessed):
        left = {key: image for key, image in images.items() if key not in found}
        for key in _confirmed(contract, translator, gone, left):
            with suppress(ValueError):  # a text that is no number as the source would give it: 01
                found[key] = _typed(contract, left[key])
    return found


def _backwards(contract: Contract, key: str, held: Sequence[Difference]) -> dict[str, str | None]:
    image: dict[str, str | None] = {}
    for one in held:
        rules = contract.target(one.format).rules
        for name, value in one.stored.items():
            sources = rules[name].sources() if name in rules else ()
            if len(sources) == 1:
                image[sources[0]] = value
    return image | dict(zip(contract.key, parts_of(key), strict=False))


def _confirmed(
    contract: Contract,
    translator: Translator,
    gone: Mapping[str, Sequence[Difference]],
    images: Mapping[str, Mapping[str, str | None]],
) -> list[str]:
    """The keys of images that give exactly the deletes that are wanted, and no refusal."""
    left = dict(images)
    while left:
        befores = list(left.values())
        afters: list[None] = [None] * len(left)
        try:
            events = event_frame(befores, afters, ["d"] * len(left), contract.on_wire)
        except pl.exceptions.PolarsError:
            at, _ = misfit(befores, afters, contract.on_wire)
            del left[list(left)[at]]
            continue
        result = translator.translate(events)
        deletes = {
            (full_id, source_key, key)
            for full_id, frame in result.national.items()
            for source_key, key, op in frame.select("lt_source_key", "lt_key", "lt_op").rows()
            if op == "d"
        }
        refused = set(result.rejects["lt_source_key"].to_list())
        return [
            key
            for key in left
            if key not in refused and all((one.format, key, one.stored_key) in deletes for one in gone[key])
        ]
    return []


def _texts(image: Image) -> dict[str, str | None]:
    return {name: _text(value) for name, value in image.items()}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _typed(contract: Contract, image: Mapping[str, str | None]) -> Image:
    """Every column of the contract, as the outbox would hold it."""
    typed: dict[str, Any] = {}
    for name, avro in contract.columns.items():
        text = image.get(name)
        typed[name] = text if text is None or avro == "string" else json.loads(text)
    return typed | {name: json.loads(image.get(name) or "[]") for name in contract.lines}
