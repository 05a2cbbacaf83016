"""The laws on files, and on a registry that does what Confluent's documentation says."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from consumers.schema_registry import ConfluentRegistry, push
from schemas.errors import LienthongError, SettingsError, TryAgain
from schemas.registry import FileRegistry
from streams.cli import app
from tests.laws.schema_ids import PushingLaws, ReadingLaws, library, national

__all__ = ["library"]


class Fake(ThreadingHTTPServer):
    """Subjects, ids and modes in memory."""

    def __init__(self, *, keeps_ids: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keeps_ids = keeps_ids
        self.schemas: dict[int, tuple[str, str]] = {}
        self.modes: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if found := re.fullmatch(r"/mode/([^/?]+)(\?force=true)?", path):
            if method == "DELETE":
                return 200, self.modes.pop(found[1])
            self.modes[found[1]] = body["mode"]
            return 200, body
        if path == "/subjects":
            return 200, list({subject for subject, _ in reversed(self.schemas.values())})
        if found := re.fullmatch(r"/schemas/ids/(\d+)(/versions)?", path):
            if int(found[1]) not in self.schemas:
                return 404, {"error_code": 40403}
            subject, text = self.schemas[int(found[1])]
            return 200, [{"subject": subject, "version": 1}] if found[2] else {"schema": text}
        found = re.fullmatch(r"/subjects/([^/]+)/versions(?:/(\d+))?", path)
        if found is None:
            return 404, {"error_code": 404}
        return self._register(found[1], body) if method == "POST" else self._told(found[1], found[2])

    def _told(self, subject: str, number: str | None) -> tuple[int, Any]:
        mine = [(each, text) for each, (name, text) in self.schemas.items() if name == subject]
        if not mine:
            return 404, {"error_code": 40401}
        if number is None:
            return 200, list(range(1, len(mine) + 1))
        each, text = mine[int(number) - 1]
        return 200, {"subject": subject, "version": int(number), "id": each, "schema": text}

    def _register(self, subject: str, body: Any) -> tuple[int, Any]:
        given = body.get("id")
        if given is not None and self.modes.get(subject) != "IMPORT":
            return 422, {"error_code": 42205, "message": f"Subject {subject} is not in import mode"}
        if given is None or not self.keeps_ids:
            given = max(self.schemas, default=0) + 1 + (not self.keeps_ids)
        if given in self.schemas:
            return 422, {"error_code": 42207, "message": "Overwrite is not permitted"}
        self.schemas[given] = (subject, body["schema"])
        return 200, {"id": given}


class _Handler(BaseHTTPRequestHandler):
    def _do(self) -> None:
        assert isinstance(self.server, Fake)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        status, told = self.server.answer(self.command, self.path, body)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = do_PUT = do_DELETE = _do

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _served(fake: Fake) -> Iterator[Fake]:
    thread = Thread(target=fake.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.shutdown()
    thread.join()
    fake.server_close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    yield from _served(Fake())


class TestFiles(ReadingLaws):
    @pytest.fixture
    def theirs(self, library: FileRegistry, tmp_path: Path) -> FileRegistry:
        return FileRegistry([tmp_path / "shipped", tmp_path / "province"])


class TestConfluent(PushingLaws):
    @pytest.fixture
    def url(self, fake: Fake) -> str:
        return fake.url


def test_no_subject_stays_in_import_mode(library: FileRegistry, fake: Fake) -> None:
    push(library, ConfluentRegistry(fake.url))
    assert not fake.modes


def test_a_registry_that_gives_ids_of_its_own_is_told_after_the_first(library: FileRegistry) -> None:
    for fake in _served(Fake(keeps_ids=False)):
        with pytest.raises(LienthongError, match=r"did not keep id 1 of law\.a-value, it gave 2 instead"):
            push(library, ConfluentRegistry(fake.url))
        assert len(fake.schemas) == 1
        assert not fake.modes


def test_an_address_that_is_none_or_where_nobody_answers(fake: Fake) -> None:
    for wrong in (
        "registry:8081", "file:///etc", "http://", "http://a:b@registry:8081",
        "http://registry:port", "http://registry:99999", "http://[::1",
    ):  # fmt: skip
        with pytest.raises(SettingsError, match="not one"):
            ConfluentRegistry(wrong)
    with pytest.raises(LienthongError, match="does not speak Confluent's API"):
        assert not ConfluentRegistry(f"{fake.url}/elsewhere").subjects
    with pytest.raises(LienthongError, match="does not speak Confluent's API"):
        assert not ConfluentRegistry(f"{fake.url}/some where").subjects
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(TryAgain, match=f"the registry at {place} does not answer: Connection refused"):
            assert not ConfluentRegistry(f"http://{place}").subjects


@pytest.mark.parametrize(
    "told",
    [b"220 mail.example ESMTP\r\n", b"HTTP/1.0 200 OK\r\n\r\n7", b'HTTP/1.0 200 OK\r\n\r\n[1, "a"]'],
    ids=["no HTTP", "a number", "no names"],
)
def test_something_else_that_answers_is_no_registry(told: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(told)

        thread = Thread(target=answer)
        thread.start()
        try:
            with pytest.raises(LienthongError, match="does not speak Confluent's API") as caught:
                assert not ConfluentRegistry(f"http://127.0.0.1:{server.getsockname()[1]}").subjects
        finally:
            thread.join()
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(("refused", "must"), [("GET", "read"), ("PUT", "write")])
def test_a_refusal_tells_what_the_registry_must_let_us_do(
    refused: str, must: str, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fake.answer

    def answer(method: str, path: str, body: Any) -> tuple[int, Any]:
        return (403, {"message": "no"}) if method == refused else real(method, path, body)

    monkeypatch.setattr(fake, "answer", answer)
    error = CliRunner().invoke(app, ["registry", "push", "--url", fake.url]).exception
    assert isinstance(error, LienthongError)
    assert re.fullmatch(f"the registry refused {refused} /.*: 403 no", error.message)
    assert error.next_step == f"see the registry's log; it must let us {must}"


@pytest.mark.parametrize("answer", [7, None, {}, [7], [{"id": 1}]])
def test_an_answer_of_another_shape_is_none_of_a_registry(
    answer: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "answer", lambda method, path, body: (200, answer))
    registry = ConfluentRegistry(fake.url)
    asks: list[Callable[[], object]] = [lambda: registry.schema(1), lambda: registry.versions("a")]
    for ask in asks if answer != {} else asks[:1]:
        with pytest.raises(LienthongError, match="does not speak Confluent's API"):
            ask()


def test_the_commands_push_once_and_then_find_all_there(fake: Fake) -> None:
    def run(*words: str) -> tuple[int, list[dict[str, Any]]]:
        result = CliRunner().invoke(app, ["registry", *words, "--url", fake.url, "--json"])
        return result.exit_code, json.loads(result.stdout)

    exit_code, found = run("check")
    assert exit_code == 1
    assert {one["state"] for one in found} == {"missing"}
    assert {one["state"] for one in run("push")[1]} == {"sent"}
    assert {one["state"] for one in run("push")[1]} == {"was there"}
    exit_code, found = run("check")
    assert exit_code == 0
    assert {one["state"] for one in found} == {"there"}
    assert [one["id"] for one in found] == sorted(fake.schemas)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(national("others", "so")),
        'syntax = "proto3"; message So { string so = 1; }',
        '{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"}',
    ],
)
def test_check_tells_an_id_that_stands_for_another_schema(fake: Fake, text: str) -> None:
    fake.schemas[1] = ("others-value", text)
    result = CliRunner().invoke(app, ["registry", "check", "--url", fake.url])
    assert result.exit_code == 1
    assert "1\tlienthong.receipt-value\tANOTHER SCHEMA" in result.stdout
