"""``lienthong road accept-loss`` on SQLite: whose word let a partition go on is kept. Kafka is played."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from consumers.opening import open_store
from consumers.proofs import ProofStore
from consumers.store import Position
from streams import loss
from streams.cli import app

HERE = Position(topic="province.thu.so", partition=3)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProofStore]:
    """The ledger stands at 5."""
    url = f"sqlite:///{tmp_path}/national.db"
    monkeypatch.setenv("LIENTHONG_STORE", url)
    monkeypatch.setenv("LIENTHONG_BROKER", "127.0.0.1:1")
    with closing(open_store(url)) as made:
        made.migrate([])
        made.claim("lienthong", [HERE], generation=1, owner="w1")
        made.start_at("lienthong", HERE, epoch=1, offset=5)
        yield made


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic begins at 9."""
    monkeypatch.setattr(loss, "_bounds", lambda broker, position: (9, 20))


def accept(*words: str) -> Result:
    return CliRunner().invoke(app, ["road", "accept-loss", HERE.topic, str(HERE.partition), *words])


def stands(store: ProofStore) -> int | None:
    return store.ledger("lienthong")[0].next_offset


@pytest.mark.usefixtures("deleted")
def test_it_only_tells_without_a_persons_word(store: ProofStore) -> None:
    assert "4 records (5 to 8) are gone; --yes moves the ledger from 5 to 9" in accept().stdout
    for words in ((), ("--why", " "), ("--why", "…")):
        told = accept("--yes", *words).exception
        assert (getattr(told, "exit_code", None), str(told)) == (
            2,
            "--yes needs --why with a reason in words",
        )
    nobody = accept("--yes", "--why", "gửi lại bằng snapshot", "--by", " ").exception
    assert (getattr(nobody, "exit_code", None), str(nobody)) == (2, "--by names nobody")
    assert (stands(store), store.deeds(0)) == (5, [])


@pytest.mark.parametrize(
    ("words", "broker", "code"),
    [
        (("accept-loss", HERE.topic, "3"), "localhost:abc", 2),
        (("accept-loss", HERE.topic, "3"), "127.0.0.1:1", 75),
        (("topics",), "localhost:abc", 2),
        (("topics",), "127.0.0.1:1", 75),
    ],
)
def test_a_broker_that_cannot_be_asked_is_told(
    store: ProofStore, words: tuple[str, ...], broker: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIENTHONG_BROKER", broker)
    error = CliRunner().invoke(app, ["road", *words]).exception
    assert getattr(error, "exit_code", None) == code
    assert broker in str(error)


@pytest.mark.usefixtures("deleted")
def test_whose_word_it_was_and_from_where_to_where_is_kept(store: ProofStore) -> None:
    done = accept("--yes", "--why", "gửi lại bằng snapshot", "--by", "lan")
    assert "the ledger now stands at 9" in done.stdout
    assert stands(store) == 9
    (deed,) = store.deeds(0)
    assert (deed.who, deed.action, deed.why) == ("lan", "accept_loss", "gửi lại bằng snapshot")
    assert deed.detail == "lienthong: province.thu.so 3: 5 to 9"
    assert len(store.deed_hashes()) == sum(block.whole for block in store.blocks_of(None)) == 1


def test_a_topic_made_anew_is_read_from_its_begin_though_it_has_grown_past_the_ledger(
    store: ProofStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "_bounds", lambda broker, position: (0, 20))
    assert "nothing is lost" in str(accept("--yes", "--why", "thử").exception)
    assert "the topic was made anew; --yes moves the ledger from 5 to 0" in accept("--anew").stdout
    assert accept("--anew", "--yes", "--why", "thử").exit_code == 0
    assert stands(store) == 0
