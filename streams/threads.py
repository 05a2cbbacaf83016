"""Calls that block, made off the main loop."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import TypeVar

T = TypeVar("T")


def in_thread(executor: Executor, call: Callable[[], T]) -> Awaitable[T]:
    """What ``call`` answers in one of these threads. Begun at once; to be called on a running loop."""
    return asyncio.get_running_loop().run_in_executor(executor, call)
