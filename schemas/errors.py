"""Errors, sorted by what happens next and not by where they arose.

A text names the place, the rule and the next step, and never a personal value.
"""

from collections.abc import Callable
from typing import ClassVar


class LienthongError(Exception):
    """Something a person can act on.

    Attributes:
        message: one sentence: what is wrong, and where.
        next_step: what the reader can do about it; may be empty.
        exit_code: the process's exit status if this error ends it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step


class ContractError(LienthongError):
    """A file of the contract library breaks a rule; ``message`` begins with ``file:line``."""


#: Takes what is wrong with one library file, so that the reading may go on with the next.
Report = Callable[[ContractError], None]


def raise_it(error: ContractError) -> None:
    """The report of a reading that ends with the first thing wrong."""
    raise error


class SettingsError(LienthongError):
    """A setting is missing or wrong; ``message`` names the environment variable."""

    exit_code = 2


class TryAgain(LienthongError):
    """The broker or a database is away or busy; the same work may succeed later.

    Attributes:
        retry_after_seconds: how long to wait at least.
    """

    exit_code = 75  # EX_TEMPFAIL of sysexits: a supervisor restarts us

    def __init__(self, message: str, *, next_step: str = "", retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_seconds = retry_after_seconds


class StopTheLine(LienthongError):
    """Going on could lose or damage a record: the process must end and a person must look."""

    exit_code = 70  # EX_SOFTWARE
