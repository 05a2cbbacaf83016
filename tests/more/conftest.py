"""Servers that only these tests need."""

from collections.abc import Iterator

import pytest

from tests.more.mariadb import MariadbNode


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariadbNode]:
    """A MariaDB for the tests of one module."""
    node = MariadbNode(tmp_path_factory.mktemp("mariadb"))
    try:
        node.start()
        yield node
    finally:
        node.stop()
