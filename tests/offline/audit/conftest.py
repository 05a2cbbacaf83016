"""A chain of three seals, and a library that knows its format."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.audit_key import load_key, make_key
from consumers.opening import open_store
from schemas.library import load_library
from tests.audit_lab import seal
from tests.provinces import write_format
from tests.store_lab import BOOK, Lab, delete, numbered, upsert


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys" / "audit.key"
    make_key(file)
    return file


@pytest.fixture
def lab(tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Three seals: twenty new records; an update and a delete; a thing a person did."""
    url, key = f"sqlite:///{tmp_path}/national.db", load_key(key_file)
    monkeypatch.setenv("LIENTHONG_STORE", url)
    monkeypatch.setenv("LIENTHONG_AUDIT_KEY", str(key_file))
    monkeypatch.setenv("LIENTHONG_LANGUAGE", "en")
    store = open_store(url, audit_key=key)
    store.migrate([BOOK])
    made = Lab(store=store, url=url, shift_claims=lambda _: None, key=key)
    made.apply(*numbered(20))
    seal(made, key_file)
    made.apply(upsert(21, "K2", person="p2", hoTen="Thử"))
    made.apply(delete(22, "K3", person="p3"))
    seal(made, key_file)
    store.revealed(7, who="Bà Thử", why="kiểm tra")
    seal(made, key_file)
    yield made
    made.close()


@pytest.fixture
def other_tables(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of a library that knows the format of the lab."""
    folder = tmp_path / "library"
    write_format(folder, "thu.nghiem.v1", "so", "hoTen", "ghiChu")
    monkeypatch.setenv("LIENTHONG_CONTRACTS", str(folder))
    lab.store.migrate(list(load_library([folder]).formats.values()))
