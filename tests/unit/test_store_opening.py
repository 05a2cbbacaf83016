"""The setting LIENTHONG_STORE."""

from pathlib import Path

import pytest

from consumers.opening import open_store
from schemas.errors import LienthongError, SettingsError


@pytest.mark.parametrize(
    "url",
    [
        "",
        "national.db",
        "postgresql+psycopg://user:mat-khau@host:port/db",
        "postgresql+psycopg://user:mat-khau@host:65536/db",
        "postgresql+psycopg://user:mat-khau@host:0/db",
        "postgresql+psycopg://user:mat-khau@host:-1/db",
        "postgresql+psycopg://user:mat-khau@ho st/db",
        "postgresql+psycopg://user:mat-khau@kafka..vn/db",
        "postgresql+psycopg://user:mat-khau@/db?host=kafka..vn",
        "sqlite:////national.db?timeout=1&timeout=2",
        "postgresql+psycopg://user:mat-khau@host/db?khong_co=1",
        "postgresql+psycopg://user:mat-khau@host/db?port=mat-khau",
        "sqlite://user:mat-khau@host/national.db",
        "sqlite:////national.db?timeout=mat-khau",
        "mysql://user:mat-khau@host/db",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_a_wrong_address_names_the_setting_and_hides_the_password(url: str) -> None:
    with pytest.raises(SettingsError, match="LIENTHONG_STORE") as caught:
        open_store(url)
    assert "postgresql+psycopg://" in caught.value.next_step
    assert "mat-khau" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@127.0.0.1:1/x",
        "postgresql+psycopg://127.0.0.1:1/x",
        "postgresql+psycopg://nobody@[::1]:1/x?sslmode=require&connect_timeout=1&options=-csearch_path%3Da",
        "postgresql:///x?host=/run/postgresql",
        "postgresql://nobody@/x?host=h1:1&host=h2:2",
    ],
)
def test_opening_connects_to_nothing(url: str) -> None:
    open_store(url).close()


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """It may be on a disk that comes back."""
    store = open_store(f"sqlite:///{tmp_path}/nowhere/national.db")
    with pytest.raises(LienthongError, match="national store"):
        store.check([])
    store.close()
