"""What the parts of a store, each of which tells or keeps things of its own, have in common."""

from contextlib import AbstractContextManager
from typing import ClassVar

import sqlalchemy as sa


class StorePart:
    """A part of a ``SqlStore``, which gives what stands here."""

    now: ClassVar[str]  #: SQL of the present, by the database's clock

    def _transaction(self, *, reads: bool = False) -> AbstractContextManager[sa.Connection]:
        """``reads``: it writes nothing, and may take long."""
        raise AssertionError("given by the store")
