"""Settings from the environment: ``LIENTHONG_*``, checked once, told by the variable's own name."""

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import SettingsError

PREFIX = "LIENTHONG_"

S = TypeVar("S", bound=BaseSettings)


class LibrarySettings(BaseSettings):
    """What is needed to read the contract library."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    contracts: str = ""
    """Folders with a province's own contracts and formats, separated like ``PATH``; may be empty."""

    language: Literal["vi", "en"] = "vi"
    """Language of reasons and receipts shown to people."""

    @property
    def contract_folders(self) -> tuple[Path, ...]:
        """``contracts`` as folders."""
        return tuple(Path(folder) for folder in self.contracts.split(os.pathsep) if folder)


def load_settings(cls: type[S]) -> S:
    """Read the settings of a class from the environment.

    Raises:
        SettingsError: the first variable that is missing or wrong, by its name; a value is never shown,
            because an address may carry a password.
    """
    try:
        return cls.model_validate(_given(cls))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"{PREFIX}{'_'.join(str(part) for part in first['loc'])}".upper()
        if first["type"] == "missing":
            raise SettingsError(
                f"{name} is not set", next_step=f"export {name}=…; deploy/env.example tells"
            ) from None
        raise SettingsError(
            f"{name}: {first['msg']}", next_step=f"correct {name}; deploy/env.example tells what it may be"
        ) from None


def _given(cls: type[BaseSettings]) -> dict[str, str]:
    given = {name: os.environ.get(f"{PREFIX}{name.upper()}") for name in cls.model_fields}
    return {name: value for name, value in given.items() if value is not None}
