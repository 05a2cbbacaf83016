"""The local stack's parts that need no server: jars, records of processes, ports."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.jars import LockedJar, class_path, read_lock
from deploy.local.kafka import KafkaNode
from deploy.local.process import PortTaken, Server, StackError, free_port, is_free

CONTENT = b"not really a jar"
JAR = LockedJar("org.example", "example", "1.0", hashlib.sha256(CONTENT).hexdigest())


def served(tmp_path: Path, content: bytes) -> Path:
    file = tmp_path / "served.jar"
    file.write_bytes(content)
    return file


def test_a_fetched_jar_is_kept_and_not_fetched_again(tmp_path: Path) -> None:
    fetched: list[LockedJar] = []

    def fetch(jar: LockedJar) -> Path:
        fetched.append(jar)
        return served(tmp_path, CONTENT)

    for _ in range(2):
        files = class_path([JAR], tmp_path / "cache", fetch=fetch)
        assert [file.read_bytes() for file in files] == [CONTENT]
    assert fetched == [JAR]


def test_a_fetched_jar_with_the_wrong_hash_is_refused_and_not_kept(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(StackError, match=r"example-1\.0\.jar is refused|served\.jar is refused"):
        class_path([JAR], cache, fetch=lambda jar: served(tmp_path, CONTENT + b"!"))
    assert list(cache.iterdir()) == []


def test_a_kept_jar_that_was_changed_is_refused_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / JAR.file_name).write_bytes(CONTENT[:-1])
    with pytest.raises(StackError, match=r"example-1\.0\.jar is refused") as caught:
        class_path([JAR], tmp_path)
    assert str(tmp_path / JAR.file_name) in caught.value.next_step


def test_an_interrupted_fetch_leaves_nothing_that_counts_as_kept(tmp_path: Path) -> None:
    def cut_off(jar: LockedJar) -> Path:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        class_path([JAR], tmp_path / "cache", fetch=cut_off)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_shipped_lock_holds_the_broker_and_a_hash_for_each_jar() -> None:
    jars = read_lock()
    assert LockedJar("org.apache.kafka", "kafka_2.13", "4.3.1", jars[0].sha256) == jars[0]
    assert len({jar.file_name for jar in jars}) == len(jars), (
        "two jars of one name would overwrite each other"
    )
    assert all(int(jar.sha256, 16) >= 0 for jar in jars)


@pytest.mark.parametrize("line", ["org.example:example:1.0", "org.example:example " + "0" * 64, "a:b:1 abc"])
def test_a_damaged_lock_names_its_line(tmp_path: Path, line: str) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text(f"# a comment\n{line}\n")
    with pytest.raises(StackError, match=r"jars\.lock:2:"):
        read_lock(lock)


def sleeper(tmp_path: Path, seconds: float = 600) -> Server:
    server = Server("Sleeper", tmp_path / "process.json", tmp_path / "log")
    server.spawn([sys.executable, "-c", f"import time; time.sleep({seconds})"], cwd=tmp_path)
    return server


def test_a_recorded_process_is_found_and_ended_by_a_stranger(tmp_path: Path) -> None:
    server = sleeper(tmp_path)
    try:
        stranger = Server("Sleeper", server.record, server.log)
        found = stranger.running()
        assert found is not None
        assert not stranger.crashed()
    finally:
        assert server.end(signal.SIGKILL, timeout_seconds=60)
    assert stranger.running() is None
    assert not stranger.crashed(), "it was told to end"


def test_a_process_that_ended_by_itself_is_told_from_one_that_was_stopped(tmp_path: Path) -> None:
    server = sleeper(tmp_path)
    process = server.running()
    assert process is not None
    process.kill()
    process.wait(60)
    assert server.crashed()
    assert server.end(signal.SIGTERM, timeout_seconds=1)


def test_a_reused_process_id_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    record = tmp_path / "process.json"
    started = psutil.Process().create_time()
    record.write_text(json.dumps({"pid": os.getpid(), "started": started - 60}))
    server = Server("Stranger", record, tmp_path / "log")
    assert server.running() is None
    assert server.end(signal.SIGKILL, timeout_seconds=1), "and we are still here"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": 20000'])
def test_a_record_cut_off_while_written_is_no_record(tmp_path: Path, content: str) -> None:
    record = tmp_path / "process.json"
    record.write_text(content)
    assert Server("Any", record, tmp_path / "log").remembered() == {}


def test_a_server_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = Server("Kafka", tmp_path / "process.json", tmp_path / "log")
    server.spawn([sys.executable, "-c", "raise SystemExit('the disk is full')"], cwd=tmp_path)
    with pytest.raises(StackError, match="the disk is full"):
        server.wait_ready(lambda: False, timeout_seconds=180)


def test_a_server_that_never_answers_is_told_after_the_time_given(tmp_path: Path) -> None:
    server = sleeper(tmp_path)
    try:
        with pytest.raises(StackError, match="did not answer within 0 s"):
            server.wait_ready(lambda: False, timeout_seconds=0.1)
    finally:
        server.end(signal.SIGKILL, timeout_seconds=60)


def test_a_chosen_port_is_free_until_somebody_listens() -> None:
    port = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert not is_free(port)


def test_a_port_that_was_taken_meanwhile_is_told(tmp_path: Path) -> None:
    node = KafkaNode(tmp_path)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        (tmp_path / "process.json").write_text(json.dumps({"port": taken, "controller_port": free_port()}))
        with pytest.raises(PortTaken, match=f"port {taken}"):
            node.start()


def test_an_unknown_command_is_told_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local", "sideways"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "invalid choice" in done.stderr
    assert "Traceback" not in done.stderr
