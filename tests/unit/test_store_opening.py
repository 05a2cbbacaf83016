"""The setting LIENTHONG_STORE."""

import pytest

from consumers.opening import open_store
from schemas.errors import SettingsError


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
        "postgresql+psycopg://user:mat-khau@host/db?khong_co=1",
        "postgresql+psycopg://user:mat-khau@host/db?port=mat-khau",
        "sqlite://user:mat-khau@host/national.db",
        "sqlite:////national.db?timeout=mat-khau",
        "sqlite:////khong/co/mat-khau/national.db",
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
