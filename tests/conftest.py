"""What all rings share: a clean environment, and servers for the rings that may use them."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from deploy.local.kafka import QUICK_START, KafkaNode
from deploy.local.postgres import WITHOUT_SYNC, PostgresNode

#: These rings need nothing but Python.
WITHOUT_SERVERS = {"unit", "contracts", "offline"}
SERVERS = ("kafka", "postgres")

#: The same examples each time and no clock: a change is judged by what it changes, on any machine. Other
#: examples: ``pytest --hypothesis-profile=default --hypothesis-seed=7 tests/unit``.
settings.register_profile(
    "ring", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ring")


def pytest_configure() -> None:
    """A developer's own settings must not reach a test."""
    for name in [name for name in os.environ if name.startswith("LIENTHONG_")]:
        del os.environ[name]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a test that would start a server in a ring that promises none."""
    here = Path(__file__).parent
    for item in items:
        ring = item.path.relative_to(here).parts[0]
        asked = set(SERVERS) & set(getattr(item, "fixturenames", ()))
        if ring in WITHOUT_SERVERS and asked:
            raise pytest.UsageError(f"{item.nodeid} asks for {sorted(asked)}: move it to tests/integration")
    # First, so that no worker of pytest takes a part of them over and installs the wheel once more.
    items.sort(key=lambda item: item.path.name != "test_wheel.py")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """One broker for the session. A test may kill it: it is started again for the next one."""
    node = KafkaNode(tmp_path_factory.mktemp("kafka"), java=QUICK_START)
    try:
        node.start()
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresNode]:
    """One PostgreSQL for the session. A test may stop it: it is started again for the next one."""
    node = PostgresNode(tmp_path_factory.mktemp("postgres"), settings=WITHOUT_SYNC)
    try:
        node.start()
        yield node
    finally:
        node.stop("immediate")


@pytest.fixture(autouse=True)
def _servers_run(request: pytest.FixtureRequest) -> None:
    """Whatever the test before did to them."""
    for name in SERVERS:
        if name in request.fixturenames:
            request.getfixturevalue(name).start()


@pytest.fixture
def unique() -> str:
    """A name no other test has: for topics, groups, systems and databases on the shared servers."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def database(postgres: PostgresNode, unique: str) -> Iterator[str]:
    """The SQLAlchemy address of an empty PostgreSQL database that is this test's own."""
    url = postgres.create_database(unique)
    yield url
    postgres.start()
    postgres.drop_database(unique)
