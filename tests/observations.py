"""Observations made by hand: one dataset that is well, and what a test changes about it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from consumers.observation import Dataset, Hop, Observation, Outbox, Place, Target
from schemas.contracts import Promise

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PROVINCE, NATIONAL = "province.ho_tich.khai_sinh", "national.hotich.khaisinh.v1"


def place(partition: int = 0, **more: Any) -> Place:
    """A partition of which all was read."""
    known: dict[str, Any] = {
        "begin": 0, "end": 1000, "next_offset": 1000, "oldest_seconds": 0.0, "hours_left": None,
        "still_seconds": 5.0,
    }  # fmt: skip
    return Place(partition=partition, **known | more)


def waits(lag: int, partition: int = 0, *, seconds: float = 5.0, **more: Any) -> Place:
    """A partition in which so much waits, for so long."""
    return place(partition, next_offset=1000 - lag, oldest_seconds=seconds, hours_left=160.0, **more)


def hop(name: Any = "translate", *places: Place, **more: Any) -> Hop:
    known: dict[str, Any] = {
        "topic": PROVINCE if name == "translate" else NATIONAL, "group": "lienthong-road", "missing": False,
        "silent": 0, "group_members": 1, "members": 1, "newest": None,
    }  # fmt: skip
    return Hop(name=name, places=places or [place(0), place(1), place(2)], **known | more)


def dataset(*hops: Hop, **more: Any) -> Dataset:
    known: dict[str, Any] = {
        "system": "ho_tich", "dataset": "khai_sinh", "owner": "Sở Tư pháp", "title": "Khai sinh",
        "promise": Promise(), "inbound": False, "open_rejects": {}, "outbox": outbox(),
    }  # fmt: skip
    return Dataset(hops=hops or [hop("translate"), hop("sync")], **known | more)


def outbox(waiting: int = 0, seconds: float = 0.0, *, in_place: bool = True) -> Outbox:
    return Outbox(target="so_tu_phap", waiting=waiting, oldest_seconds=seconds, in_place=in_place)


TARGETS = (
    Target(kind="broker", name="cluster", up=True, seconds=0.1),
    Target(kind="broker", name="1", up=True, seconds=0.1),
    Target(kind="store", name="store", up=True, seconds=0.1, skew_seconds=0.0),
    Target(kind="outbox", name="so_tu_phap", up=True, seconds=0.1, skew_seconds=0.0),
)


def observation(*datasets: Dataset, **more: Any) -> Observation:
    known: dict[str, Any] = {
        "at": NOW, "seconds": 0.2, "targets": TARGETS, "groups": (), "bounds": {}, "disks": {"1": 0.5},
        "store_busy_seconds": 0.0, "orphan_indices": {},
    }  # fmt: skip
    return Observation(datasets=datasets or (dataset(),), **known | more)


def away(name: str, why: str = "gone") -> tuple[Target, ...]:
    """The targets, of which one does not answer."""
    return tuple(
        replace(one, up=False, why=why, seconds=None, skew_seconds=None) if one.name == name else one
        for one in TARGETS
    )
